"""Two runs, task by task: may their results be paired, which differ beyond chance, and what that comes to in words.

`a` is the baseline and `b` the candidate: every difference is b minus a.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from assay.harness import comparing
from assay.harness.comparing import Difference
from assay.harness.gating import pairing
from assay.harness.gating.types import Measured

UNPAIRED = 0.01
"""Share of a task's documents that one side may lack; beyond it, what is left is another set of questions."""
UNDECIDED = {
    "too few items": f"fewer than {comparing.FEW_ITEMS} items: not tested",
    "one cluster": "all items are of one cluster: not tested",
    "too few flips to decide": f"fewer than {comparing.FEW_FLIPS} answers changed: too few to decide",
    "too few clusters": f"answers changed in fewer than {comparing.FEW_FLIPS} clusters: too few to decide",
}
"""Why no test decides, by `Difference.note`; the last is the third where clusters are tested."""
PARTS = ("identity", "options", "environment")
FACTS = ("rows_asked", "assay_version", "evidence", "step", "tokens", "parameters", "series")
PLACES = ("options store", "options name", "options fresh", "options yes", "options offline")
"""Where and how a run is kept, not what was measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What decides whether one run's result of a task can be set beside another's.

    Attributes:
        known: there are samples, or a number.
        rows: which documents were asked, in words.
        checker: who judged.
        message: what the run says of a task that it has no number of.
    """

    known: bool = False
    sampled: bool = False
    higher_is_better: bool = True
    fingerprint: str = ""
    version: int = 1
    rows: str = ""
    checker: Mapping[str, str] = field(default_factory=dict)
    message: str = ""


def unlike(a: Asked, b: Asked) -> tuple[str, str]:
    """Why two results of one task can't be paired, as a kind and in words; "" and "" where they can.

    Returns:
        the kind: `one` run alone has it, `aggregates`: a side has no samples, `different`: not asked alike.
    """
    sides = {"A": a, "B": b}
    lacking = [side.message for side in sides.values() if not side.known]
    if lacking:
        have = next((f"only {name} has it" for name, side in sides.items() if side.known), "neither run has it")
        said = next(filter(None, lacking), "")
        return "one", f"{have}: {said}" if said else have
    bare = [name for name, side in sides.items() if not side.sampled]
    if bare:
        return "aggregates", f"no samples of {' and '.join(bare)}, only the published number"
    if not a.fingerprint or a.fingerprint != b.fingerprint:
        return "different", _asked_otherwise(a, b)
    if not (a.higher_is_better and b.higher_is_better):
        return "different", "lower is better here: no share of right answers"
    return "", ""


def _asked_otherwise(a: Asked, b: Asked) -> str:
    """What makes two fingerprints differ, as far as the records tell."""
    if a.version != b.version:
        return f"asked by versions {a.version} and {b.version} of the task"
    if a.rows != b.rows:
        return f"A asked {a.rows}, B {b.rows}"
    other = [k for k in sorted({*a.checker, *b.checker}) if a.checker.get(k) != b.checker.get(k)]
    if other:
        return f"judged otherwise: {other[0]} {a.checker.get(other[0], '–')} and {b.checker.get(other[0], '–')}"
    return "asked otherwise: the task's spec, its data or assay's way of asking is another"


def paired(a: Measured, b: Measured) -> tuple[Difference | str, int]:
    """The difference on the items that both have a score for, or why there is none; and how many were left out.

    A number that is missing is not held against the samples; of a number that is the mean over categories weighted
    alike, and of no other, `groups` are given.
    """
    pairs = pairing.pairs(a, b)
    total = len({*a.ids, *b.ids})
    left_out = total - len(pairs.base)
    for name, of in (("A", a), ("B", b)):
        lacking = total - int((~np.isnan(of.scores)).sum())
        if lacking > UNPAIRED * total:
            return f"{name} has no score for {lacking} of {total} items", left_out
    if not len(pairs.base):
        return "no item has a score", left_out
    for name, of in (("A", a), ("B", b)):
        if of.value is not None and abs(of.value - pairing.mean_of(of)) > pairing.SAME:
            return f"{name}'s number is not the mean of its samples' scores: no test of items is one of it", 0
    try:
        (found,) = pairs.differences(0.95)
    except ValueError:
        return "its scores are no shares between 0 and 1", 0
    return found, left_out


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A task's difference among those of all tasks; the figures are `Difference`'s.

    Attributes:
        holm: p, adjusted over the family; None where nothing is tested.
        alpha: level of the family.
    """

    task: str
    n: int
    lost: int
    gained: int
    delta: float
    low: float
    high: float
    p: float | None
    holm: float | None
    mde: float | None
    test: str
    note: str
    alpha: float

    @property
    def state(self) -> str:
        """`better`, `worse` or `not told apart`."""
        if self.holm is None or self.holm > self.alpha:
            return "not told apart"
        return "better" if self.delta > 0 else "worse"

    @property
    def said(self) -> str:
        """The note in words."""
        if self.note == "identical answers":
            return "identical scores"
        if self.note or self.mde is None or self.state != "not told apart" or abs(self.delta) >= self.mde:
            return self.note
        return f"underpowered below {100 * self.mde:.1f} points"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a comparison says.

    Attributes:
        state: `identical`, `better`, `worse`, `mixed`, `not told apart` or `not tested`.
        head: what it comes to, in a few words; `rest` goes on from there without a blank.
    """

    state: str
    head: str
    rest: str


def verdict(found: Sequence[Judged], a: str, b: str, named: Callable[[str], str] = str) -> Verdict:
    """What the tasks come to together.

    Args:
        found: at least one, all of one level.
        a: how the baseline is called, fit to be shown.
        b: how the candidate is called, fit to be shown.
        named: makes a task's name fit to be shown.
    """
    many = f"{len(found)} tasks" if len(found) > 1 else named(found[0].task)
    if not any(r.lost + r.gained for r in found):
        items = sum(r.n for r in found)
        return Verdict(
            state="identical",
            head="Identical scores",
            rest=f": {a} and {b} score alike on all {items:,} items of {many}.",
        )
    tests = sum(r.p is not None for r in found)
    better, worse = (sum(r.state == s for r in found) for s in ("better", "worse"))
    decided = sum(r.note not in UNDECIDED for r in found)
    on = many if decided == len(found) else f"{decided} of {many}"
    of = many if len(found) == 1 else f"{better + worse} of {many}"
    state = "mixed" if better and worse else "better" if better else "worse" if worse else _open(found)
    head, rest = {
        "mixed": ("Mixed", f": {b} is better than {a} on {better} and worse on {worse} of {many}"),
        "not told apart": ("Not told apart", f": on {on} nothing differs between {a} and {b} beyond chance"),
        "not tested": ("Not tested", f": whether {a} and {b} differ on {many} can't be told"),
    }.get(state, (f"{b} is {state} than {a}", f" on {of}"))
    how = f"Holm's correction over {tests} tests" if tests > 1 else "one test"
    level = "" if state == "not tested" else f" ({how}, α = {found[0].alpha:g})"
    most = max(found, key=lambda r: abs(r.delta))
    what = "The difference" if len(found) == 1 else f"The largest difference, on {named(most.task)},"
    figures = (
        f"{what} is {100 * most.delta:+.1f} points, 95 % [{100 * most.low:+.1f}, {100 * most.high:+.1f}]: "
        f"{most.lost:,} lost and {most.gained:,} gained of {most.n:,} items."
    )
    return Verdict(state=state, head=head, rest=" ".join([f"{rest}{level}.", figures, *_undecided(found, named)]))


def _open(found: Sequence[Judged]) -> str:
    """`not told apart`, or `not tested` where nothing that changed was put to a test that can decide."""
    changed = [r for r in found if r.lost + r.gained]
    return "not tested" if all(r.note in UNDECIDED for r in changed) else "not told apart"


def _undecided(found: Sequence[Judged], named: Callable[[str], str]) -> Iterator[str]:
    """Where no test decides, and why: a sentence a reason."""

    def why(r: Judged) -> str:
        clustered = r.note == "too few flips to decide" and r.test.startswith("cluster")
        return "too few clusters" if clustered else r.note

    for note, words in UNDECIDED.items():
        names = [r.task for r in found if why(r) == note]
        if names:
            yield f"On {named(names[0]) if len(names) == 1 else f'{len(names)} tasks'}, {words}."


def settings(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """What differs between two runs: setting, of a and of b as text; nothing that is the same.

    Args:
        a: `identity`, `options` and `environment` of the plan, and what `FACTS` names.
        b: the same of the other run.
    """
    sides = [dict(_settings(run)) for run in (a, b)]
    names = [n for n in dict.fromkeys([*sides[0], *sides[1]]) if sides[0].get(n) != sides[1].get(n)]
    return [(n, sides[0].get(n, "–"), sides[1].get(n, "–")) for n in names if n not in PLACES]


def _settings(run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for part in PARTS:
        yield from _flat(part, run.get(part) or {})
    for name in FACTS:
        yield name.replace("_", " "), "–" if run.get(name) in (None, "") else str(run[name])


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name} {key}", inner)
    else:
        yield name, str(value)
