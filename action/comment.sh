#!/usr/bin/env bash
# Puts $COMMENT on a pull request, or into the place of the comment that bears its marker: its hidden first line.
# A comment that can't be written is a warning: it must not hide the verdict.
set -uo pipefail
warn() { echo "::warning title=assay gate::$1"; exit 0; }
[ -n "${PULL_REQUEST:-}" ] || { echo "no pull request: no comment"; exit 0; }
if [ "${HEAD_REPOSITORY:-}" != "$GITHUB_REPOSITORY" ]; then
  echo "a fork's token only reads: no comment from here. The reports are an artifact; docs/gate.md has the workflow that comments"
  exit 0
fi
[[ "$PULL_REQUEST" =~ ^[0-9]+$ ]] || warn "no comment: that is no number of a pull request"
IFS= read -r marker <"$COMMENT" || warn "no comment: $COMMENT is empty or missing"
[[ "$marker" =~ ^'<!-- assay-gate:'[A-Za-z0-9_.-]*' -->'$ ]] || warn "no comment: its first line is no marker"
comments="repos/$GITHUB_REPOSITORY/issues/$PULL_REQUEST/comments"
# only a bot's: anybody can write a comment with this marker, and would be edited
mine=".[] | select(.user.type == \"Bot\") | select(.body | startswith(\"$marker\")) | .id"
found="$(gh api --paginate "$comments?per_page=100" --jq "$mine")" || warn "no comment: gh could not list comments (pull-requests: write?)"
id="${found%%$'\n'*}"
if [ -n "$id" ]; then
  gh api --silent --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$id" --field "body=@$COMMENT" || warn "the comment could not be edited"
else
  gh api --silent --method POST "$comments" --field "body=@$COMMENT" || warn "the comment could not be written (pull-requests: write?)"
fi
