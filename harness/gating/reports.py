"""A gate's report, and its history, for a terminal: neither colour nor control codes."""

from __future__ import annotations

from collections.abc import Sequence

from assay.harness.gating import wording
from assay.harness.gating.history import Recorded
from assay.harness.gating.types import Finding, Report
from assay.harness.gating.wording import line, name
from assay.harness.views import columns


def text(report: Report) -> str:
    """The verdict; what blocks, fails or warns with its numbers; how many others there are; notes and waivers."""
    mark, _ = wording.VERDICTS[report.verdict]
    against = " and ".join(wording.side(a) for a in report.anchors) or "no baseline"
    shown, others = wording.split(report)
    parts = [
        f"{mark} {line(report.sentence)}",
        f"gate {name(report.gate)}: {wording.side(report.candidate)} against {against}; "
        f"{wording.level(report)}; exit code {report.exit_code}",
        _table(shown, len(report.anchors) > 1) if shown else "nothing that blocks was compared",
        _listed("why", [f"{name(f.name)}: {wording.why(f)}" for f in shown if f.effect in ("fail", "warn")]),
        f"{len(others):,} others: {wording.tally(others)}" if others else "",
        _listed("notes", [line(n) for n in report.notes]),
        _listed("waivers in force", [line(wording.waiver(w)) for w in report.waivers]),
        "worth promoting to baseline: it passes, and something improved" if report.promote else "",
    ]
    return "\n\n".join(p for p in parts if p)


def history(recorded: Recorded) -> str:
    """A store's verdicts, the newest first, and the files that can't be read."""
    rows = [
        (
            line(r.created, wording.NAME),
            name(r.gate),
            " ".join(wording.VERDICTS[r.verdict]),
            str(r.exit_code),
            name(r.candidate.run_id),
            name(r.anchors[0].name) if r.anchors else wording.NONE,
            line(r.sentence),
        )
        for r in recorded.reports
    ]
    head = ("judged", "gate", "verdict", "exit", "run", "baseline", "")
    table = columns(head, rows) if rows else "no verdicts in this store"
    left = [f"{line(file)}: {line(why)}" for file, why in recorded.left_out.items()]
    return "\n\n".join(p for p in (table, _listed("left out", left)) if p)


def _listed(head: str, lines: Sequence[str]) -> str:
    return "\n".join([head, *(f"  - {said}" for said in lines)]) if lines else ""


def _table(findings: Sequence[Finding], several: bool) -> str:
    """A row a finding, with the anchor where there are several; numbers stand to the right."""
    words = [(name(f.name), *([name(f.anchor)] if several else [])) for f in findings]
    cells = [wording.cells(f) for f in findings]
    widths = [max(map(len, column)) for column in zip(wording.HEADS, *cells, strict=True)]
    rows = [
        (*said, state, *(n.rjust(w) for n, w in zip(numbers, widths[1:], strict=True)))
        for said, (state, *numbers) in zip(words, cells, strict=True)
    ]
    head = ("task", *(["against"] if several else []), *wording.HEADS)
    return f"{columns(head, rows)}\nδ, interval and MDE in percentage points"
