"""How a report is put into words: marks, numbers, and names of anybody's made harmless. Every output says it alike."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TypeGuard

from assay.harness.gating.types import EFFECTS, Finding, Report, Side, State, Verdict

STATES: Mapping[State, tuple[str, str]] = {
    "infra": ("!", "machine faults"),
    "missing": ("∅", "missing"),
    "not_comparable": ("≠", "not comparable"),
    "regressed": ("✗", "regressed"),
    "inconclusive": ("?", "inconclusive"),
    "minor": ("▾", "minor drop"),
    "no_change_seen": ("·", "no change seen"),
    "held": ("✓", "held"),
    "improved": ("▴", "improved"),
}
"""Mark and word of each state, the worst first."""
VERDICTS: Mapping[Verdict, tuple[str, str]] = {
    "pass": ("✓", "passed"),
    "regressed": ("✗", "regressed"),
    "inconclusive": ("?", "inconclusive"),
    "not_measured": ("!", "not measured"),
}
HEADS = ("state", "δ", "95 % interval", "Holm p", "MDE", "lost / gained of n")
"""Of the columns that `cells` fills."""
NONE = "–"
NAME, SENTENCE = 60, 600
"""Characters of a name and of a sentence that an output for people keeps."""
HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
"""Unicode categories that are escaped: controls, bidirectional marks, halves of pairs, what is not assigned."""


def line(text: object, most: int = SENTENCE) -> str:
    """Untrusted text on one line: what can't be seen or turns others around is written as an escape, a long middle cut.

    What is left has no control character, and nothing that XML 1.0 forbids.
    """
    words = " ".join(str(text).split())
    said = "".join(c if unicodedata.category(c) not in HIDDEN else ascii(c)[1:-1] for c in words)
    return said if len(said) <= most else f"{said[: most - most // 2 - 1]}…{said[-(most // 2) :]}"


def name(text: object) -> str:
    """A name on one line, "(no name)" for none: names of one family differ at their ends, so the middle goes."""
    return line(text, NAME) or "(no name)"


def known(value: float | None) -> TypeGuard[float]:
    """Whether there is a number to show."""
    return value is not None and math.isfinite(value)


def points(value: float | None) -> str:
    """A difference of scores in percentage points, signed: −2.1; 0.0 has no sign."""
    if not known(value):
        return NONE
    said = f"{100 * value:+.1f}"
    return "0.0" if float(said) == 0 else said.replace("-", "−")


def size(value: float | None) -> str:
    """How large a difference is, in percentage points without a sign."""
    return points(value).lstrip("+")


def interval(low: float | None, high: float | None) -> str:
    """[−3.4, −0.8], in percentage points."""
    return f"[{points(low)}, {points(high)}]" if known(low) and known(high) else NONE


def probability(p: float | None) -> str:
    """Three decimals, or "<0.001"."""
    if not known(p):
        return NONE
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def flips(f: Finding) -> str:
    """Items lost and gained, and how many there are; a composite's are its tasks'."""
    return f"{f.lost:,} / {f.gained:,} of {f.n:,}" if f.n and f.kind == "task" else NONE


def state(f: Finding) -> str:
    """Mark and word, and what becomes of it where the state doesn't tell."""
    mark, word = STATES[f.state]
    return f"{mark} {word}" + (", waived" if f.waived else ", warns" if f.effect == "warn" else "")


def cells(f: Finding) -> tuple[str, ...]:
    """A finding's row below `HEADS`."""
    return state(f), points(f.delta), interval(f.low, f.high), probability(f.p_adjusted), size(f.mde), flips(f)


def figures(f: Finding) -> str:
    """The numbers in one line: δ −2.1 points, 95 % [−3.4, −0.8], Holm p 0.004, 61 lost / 33 gained of 1,319."""
    said = [
        f"δ {points(f.delta)} points" if known(f.delta) else "",
        f"95 % {interval(f.low, f.high)}" if known(f.low) and known(f.high) else "",
        f"Holm p {probability(f.p_adjusted)}" if known(f.p_adjusted) else "",
        f"{f.lost:,} lost / {f.gained:,} gained of {f.n:,}" if f.n and f.kind == "task" else "",
    ]
    return ", ".join(s for s in said if s)


def why(f: Finding) -> str:
    """The reason, what the same weights do anyway, and the waiver."""
    floor = f"the same weights answer {100 * f.self_flips:.1f} % of the items otherwise" if f.self_flips else ""
    return line("; ".join(s for s in (f.reason, floor, f.waived) if s))


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """What fails, then what warns, and so on; composites before tasks, then by state and size of the drop."""
    order = list(STATES)

    def rank(f: Finding) -> tuple[int, bool, int, float]:
        return EFFECTS.index(f.effect), f.kind == "task", order.index(f.state), f.delta if known(f.delta) else 0.0

    return sorted(findings, key=rank)


def split(report: Report) -> tuple[list[Finding], list[Finding]]:
    """What everybody must see, tier `block` and all that fails or warns; and the others. The worst first."""
    ordered = worst_first(report.findings)
    seen = [f.tier == "block" or f.effect in ("fail", "warn") for f in ordered]
    return [f for f, s in zip(ordered, seen, strict=True) if s], [
        f for f, s in zip(ordered, seen, strict=True) if not s
    ]


def tally(findings: Iterable[Finding]) -> str:
    """How many there are of each state: 2 improved, 31 no change seen."""
    counts = Counter(f.state for f in findings)
    return ", ".join(f"{counts[s]:,} {word}" for s, (_, word) in STATES.items() if counts[s])


def side(of: Side, safe: Callable[[object], str] = name) -> str:
    """A side of the comparison, each name made `safe`: what it is called, and its run where that says more."""
    more = [f"run {safe(of.run_id)}"] if of.run_id and of.run_id != of.name else []
    more += [f"mean of {of.averaged}"] if of.averaged > 1 else []
    return safe(of.name) + (f" ({', '.join(more)})" if more else "")


def waiver(of: Mapping[str, str]) -> str:
    """A waiver in force, not yet made safe."""
    days = of.get("days_left", "")
    left = f" ({days} {'day' if days == '1' else 'days'} left)" if days else ""
    return f"{of.get('task', '')} until {of.get('until', '')}{left}: {of.get('reason', '')}, by {of.get('by', '')}"


def level(report: Report) -> str:
    """The family's level and size."""
    return f"α {report.alpha:g} over {report.tests:,} {'test' if report.tests == 1 else 'tests'}"
