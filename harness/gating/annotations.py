"""A gate's report as GitHub's workflow commands: an error, a warning or a notice beside the run."""

from collections.abc import Sequence

from assay.harness.gating import wording
from assay.harness.gating.types import Finding, Report

MOST = 10
"""Annotations of one kind that GitHub shows of a step."""


def annotations(report: Report) -> str:
    """One command a line: errors for what fails, warnings for what warns, notices for what improved, the worst first.

    Beyond `MOST` of a kind the last says how many more there are. A verdict that no finding accounts for is an error.
    """
    found = wording.worst_first(report.findings)
    errors = [f for f in found if f.effect == "fail"]
    better = [f for f in found if f.state == "improved" and f.effect not in ("fail", "warn")]
    lines = [*_kind("error", errors), *_kind("warning", [f for f in found if f.effect == "warn"])]
    lines += _kind("notice", better)
    if report.exit_code and not errors:
        word = wording.VERDICTS[report.verdict][1]
        lines.insert(0, _command("error", f"gate {wording.name(report.gate)} {word}", wording.line(report.sentence)))
    return "\n".join(lines)


def _kind(kind: str, findings: Sequence[Finding]) -> list[str]:
    kept = findings if len(findings) <= MOST else findings[: MOST - 1]
    said = [_command(kind, _title(f), "\n".join(s for s in (wording.figures(f), wording.why(f)) if s)) for f in kept]
    left = len(findings) - len(kept)
    return said + ([_command(kind, f"{left:,} more", "The report has them all: gate.json, gate.md")] if left else [])


def _title(f: Finding) -> str:
    return f"{wording.name(f.name)} {wording.STATES[f.state][1]}"


def _command(kind: str, title: str, message: str) -> str:
    """A workflow command, escaped as the runner undoes it."""
    for plain, escaped in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A")):
        title, message = title.replace(plain, escaped), message.replace(plain, escaped)
    return f"::{kind} title={title.replace(':', '%3A').replace(',', '%2C')}::{message}"
