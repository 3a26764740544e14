#!/usr/bin/env bash
# Judges $RUN. The step's outputs say what came of it; its exit code is the gate's, so that a red step is the verdict.
# pipefail: what stands behind the gate in a pipe would swallow that code.
set -uo pipefail
name=""
if [ -n "${NAME:-}" ]; then
  marker="$("$PYTHON" -P -c 'import sys; from assay.harness.gating.markdown import marker; print(marker(sys.argv[1]))' "$NAME")"
  name="${marker#'<!-- assay-gate:'}" name="${name%' -->'}"
fi
artifact="assay-gate${name:+-$name}"
report="$RUNNER_TEMP/$artifact"
rm -rf -- "$report"
options=(--gate "$GATE" --store "$STORE" --baselines "$BASELINES" --link "${LINK:-}" --format github --out "$report")
if [ "${EXIT_ZERO:-}" = true ]; then options+=(--exit-zero); fi
# Annotations are standard output. On standard error names are quoted as they are: no line of it may be a runner's command.
{
  "$PYTHON" -P -c 'from assay.harness.cli import main; main(prog_name="assay")' gate check "${options[@]}" -- "$RUN" \
    2>&1 1>&3 | sed 's/^/| /; s/##\[/## [/g' >&2
} 3>&1
code=$?
said="$code"
if [ -f "$report/gate.json" ]; then
  IFS=' ' read -r verdict said < <("$PYTHON" -P - "$report/gate.json" <<'PYTHON'
import json, sys
report = json.load(open(sys.argv[1], encoding="utf-8"))
print(report["verdict"], report["exit_code"])
PYTHON
  )
  if [ -n "$name" ]; then
    { printf '%s\n' "$marker" && tail -n +2 "$report/comment.md"; } >"$report/comment.new"
    mv -- "$report/comment.new" "$report/comment.md"
  fi
  printf 'verdict=%s\nreport=%s\nartifact=%s\n' "$verdict" "$report" "$artifact" >>"$GITHUB_OUTPUT"
fi
printf 'exit-code=%s\n' "$said" >>"$GITHUB_OUTPUT"
exit "$code"
