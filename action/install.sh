#!/usr/bin/env bash
# Names the interpreter that has assay: the caller's $PYTHON, or one of our own with the files this action came with.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
if [ -z "${PYTHON:-}" ]; then
  PYTHON="$RUNNER_TEMP/assay-venv/bin/python"
  [ -x "$PYTHON" ] || python3 -m venv "$RUNNER_TEMP/assay-venv"
  "$PYTHON" -m pip install --quiet --disable-pip-version-check -c "$root/constraints.txt" "$root"
fi
if ! path="$("$PYTHON" -P -c 'import sys, assay.harness; print(sys.executable)')"; then
  echo "::error title=assay::the interpreter of input 'python' has no assay, or is older than 3.11: leave it out to have one made"
  exit 2
fi
printf 'python=%s\n' "$path" >>"$GITHUB_OUTPUT"
