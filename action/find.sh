#!/usr/bin/env bash
# Which open pull request a finished workflow belongs to, by what GitHub says of it and not by what its artifact says.
set -euo pipefail
number="$(gh api --method GET "repos/$GITHUB_REPOSITORY/pulls" --raw-field state=open \
  --raw-field "head=$HEAD_OWNER:$HEAD_BRANCH" --jq ".[] | select(.head.sha == \"$HEAD_SHA\") | .number")"
printf 'number=%s\n' "${number%%$'\n'*}" >>"$GITHUB_OUTPUT"
