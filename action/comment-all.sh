#!/usr/bin/env bash
# Comments on $PULL_REQUEST once for each report below $REPORTS, which a fork's job wrote: the Markdown is made anew from
# its gate.json, so that what is posted are its numbers and its names, escaped, and none of its markup.
set -euo pipefail
shopt -s nullglob
folders=("$REPORTS"/assay-gate*/)
for folder in "${folders[@]:0:10}"; do
  "$PYTHON" -P - "$folder" <<'PYTHON' || continue
import json, sys
from pathlib import Path
from assay.harness.gating import markdown, records

folder = Path(sys.argv[1])
report = records.from_json(json.loads((folder / "gate.json").read_text(encoding="utf-8")))
said = markdown.markdown(report, limit=markdown.COMMENT)
name = folder.name.removeprefix("assay-gate").removeprefix("-")
if name:
    said = markdown.marker(name) + said[said.index("\n") :]
(folder / "comment.md").write_text(said + "\n", encoding="utf-8")
PYTHON
  COMMENT="${folder}comment.md" bash "$(dirname "${BASH_SOURCE[0]}")/comment.sh"
done
