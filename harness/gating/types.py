"""The gate's vocabulary: what is judged, by which rules, what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias, get_args

import numpy as np

Tier: TypeAlias = Literal["block", "warn", "track"]
Mode: TypeAlias = Literal["detect", "prove"]
State: TypeAlias = Literal[
    "regressed",
    "minor",
    "held",
    "no_change_seen",
    "inconclusive",
    "improved",
    "not_comparable",
    "missing",
    "infra",
]
Effect: TypeAlias = Literal["fail", "warn", "note", "pass"]
"""What a finding does to the build."""
EFFECTS: tuple[Effect, ...] = get_args(Effect)
"""The worst first."""
UNMEASURED: frozenset[State] = frozenset({"not_comparable", "missing", "infra"})
"""States of what could not be judged."""
Verdict: TypeAlias = Literal["pass", "regressed", "inconclusive", "not_measured"]

REGRESSED, INCONCLUSIVE, NOT_MEASURED = 3, 4, 5
"""Exit codes; 0 passes, 1 is a bug of ours, 2 wrong usage or a wrong gate.yaml."""
SCHEMA_VERSION = 1
"""Of gate.json."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How one task or composite is judged.

    Attributes:
        tier: whether it can fail the build, warn, or is only shown.
        mode: `detect` looks for a drop; `prove` demands that a drop of `max_drop` is ruled out.
        min_effect: least drop that blocks, as a difference of scores in [0, 1]: the second key beside the test.
        max_drop: of `prove`; then `min_effect` is the same unless it is given.
    """

    tier: Tier = "track"
    mode: Mode = "detect"
    min_effect: float = 0.01
    max_drop: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """A regression that people accept until a day, inclusive; `task` is a glob."""

    task: str
    until: date
    reason: str
    by: str

    def covers(self, name: str, today: date) -> bool:
        """Whether it holds for this task today."""
        return today <= self.until and fnmatchcase(name, self.task)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A gate.yaml.

    Attributes:
        name: of the gate: the file's stem, but its folder's where the file is called gate.
        suite: task, suite or glob, as `assay run` takes it.
        use: the baseline: `pinned/NAME`, `previous`, `mean-of-last-K` or `merge-base` (of `pinned/main`).
        also: further anchors, each of them judged as well: `best-so-far` or any form of `use`.
        on_missing: what a missing baseline does: `fail`, `create` or `warn`.
        must_match, warn_if_differs: names of settings (`Snapshot.settings`), and `fingerprint`.
        alpha: of the family: the chance that a gate of equal checkpoints blocks, one-sided.
        window, k, min_points: of the noise between checkpoints: how many are looked at, how many standard deviations
            a drop must exceed, and the least number of checkpoints that say something.
        max_infra_error, max_unpaired, max_truncated_rise: shares of a task's samples beyond which it is not judged.
        defaults: of tasks that no glob of `tasks` names.
        verdicts: what `inconclusive`, `not_comparable` and `missing` do in tier `block`: `fail` or `warn`.
    """

    name: str
    suite: str
    use: str = "pinned/main"
    also: tuple[str, ...] = ()
    on_missing: Literal["fail", "create", "warn"] = "fail"
    must_match: tuple[str, ...] = ("fingerprint", "rows", "chat_template")
    warn_if_differs: tuple[str, ...] = ("engine", "dtype", "device", "tokenizer", "assay_version")
    alpha: float = 0.01
    window: int = 10
    k: float = 2.0
    min_points: int = 5
    max_infra_error: float = 0.005
    max_unpaired: float = 0.01
    max_truncated_rise: float = 0.05
    defaults: Rule = Rule()
    tasks: Mapping[str, Rule] = field(default_factory=dict)
    composites: Mapping[str, Rule] = field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()
    verdicts: Mapping[str, Literal["fail", "warn"]] = field(
        default_factory=lambda: {"inconclusive": "warn", "not_comparable": "fail", "missing": "fail"}
    )

    def rule(self, task: str) -> Rule:
        """The rule of a task: by its own name, else the first glob that fits, else the defaults."""
        if task in self.tasks:
            return self.tasks[task]
        return next((rule for glob, rule in self.tasks.items() if fnmatchcase(task, glob)), self.defaults)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """One task of one run as a gate sees it: numbers, and no text.

    Attributes:
        fingerprint: of the task as it was measured and graded.
        value, stderr: as the run has them.
        n: items scored.
        ids: of the items, sorted; () where only the number is known.
        scores: float64 [items], each the mean over an item's draws; NaN where the machine lost all of them.
        groups: category of each item, where the number is the mean over categories weighted alike; else None.
        clusters: what items share, "" for an item on its own; None where none share anything, or it isn't known.
        counts: samples per status.
        status: of the result: `ok`, `partial`, or why there is no number.
    """

    fingerprint: str
    value: float | None
    stderr: float | None
    n: int
    ids: tuple[str, ...]
    scores: np.ndarray
    groups: tuple[str, ...] | None = None
    clusters: tuple[str, ...] | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    status: str = "ok"
    higher_is_better: bool = True


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    """A run, or a baseline made of one or several, as a gate sees it.

    Attributes:
        name: how it is spoken of: `baseline main`, `step-000100`.
        run_id: of the run, or of the last of several.
        settings: what must match or is compared: rows, chat_template, tokenizer, engine, dtype, device, assay_version.
        averaged: how many runs its scores are means of.
        self_flips: share of items that the same weights, measured twice, answered otherwise, by task.
    """

    name: str
    run_id: str
    label: str = ""
    series: str = ""
    step: int | None = None
    created: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    tasks: Mapping[str, Measured] = field(default_factory=dict)
    averaged: int = 1
    self_flips: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A composite: the mean over tasks of (score − baseline)/(1 − baseline).

    Attributes:
        baselines: what guessing scores, in [0, 1), by task.
        kin: data file by task: tasks that share one are not independent.
    """

    name: str
    baselines: Mapping[str, float]
    kin: Mapping[str, str]

    def of(self, scores: Mapping[str, float]) -> float:
        """The composite of tasks' scores; each of its tasks must be there."""
        return sum((scores[t] - b) / (1 - b) for t, b in self.baselines.items()) / len(self.baselines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One task, or one composite, against one anchor: candidate minus anchor.

    Attributes:
        kind: `task` or `composite`.
        anchor: name of the snapshot it was compared with.
        effect: what it does to the build.
        waived: the waiver's reason, author and last day in one sentence; "" without one.
        reason: one sentence that says why the state is what it is.
        margin: `max_drop` of `prove`, `min_effect` of `detect`.
        base, value: the scores themselves (composites: centred).
        lost, gained: items where the anchor scored more, and less.
        delta, low, high: difference and its two-sided 95 % interval.
        lower, upper: one-sided bounds of the difference at the family's alpha.
        p, p_adjusted: one-sided, of the candidate being worse; Holm's over the tier.
        mde: least true drop that is found 4 times of 5 at the adjusted level's first step.
        noise: k·σ·√(1 + 1/averaged), the drop that checkpoints of this series show anyway; None where unknown.
        self_flips: share of items that the same weights answered otherwise, where that was measured.
        shares: of a composite's variance by task, largest first, at most five.
    """

    name: str
    kind: Literal["task", "composite"]
    anchor: str
    tier: Tier
    mode: Mode
    state: State
    effect: Effect
    reason: str
    waived: str = ""
    margin: float = 0.0
    base: float | None = None
    value: float | None = None
    n: int = 0
    lost: int = 0
    gained: int = 0
    delta: float | None = None
    low: float | None = None
    high: float | None = None
    lower: float | None = None
    upper: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    mde: float | None = None
    noise: float | None = None
    self_flips: float | None = None
    test: str = ""
    shares: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Which run stood on a side of the comparison."""

    name: str
    run_id: str
    label: str = ""
    series: str = ""
    step: int | None = None
    created: str = ""
    averaged: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a gate says of a candidate. Everything that is printed is made from it; gate.json is it.

    Attributes:
        verdict: `pass`, `regressed`, `inconclusive` (where that fails) or `not_measured`.
        exit_code: 0, 3, 4 or 5.
        sentence: the verdict in words.
        created: UTC, ISO 8601.
        anchors: the baseline first.
        findings: composites first, then tasks; the worst effect first.
        notes: what a reader must know beside them: settings that differ, waivers that ended, noise unknown.
        waivers: every waiver in force: task, until, days_left, reason, by.
        inputs: sha256 of what went in: the config, the anchors' and the candidate's vectors.
        alpha: of the family.
        tests: how many tests the family of tier `block` had.
        promote: the candidate passes and something improved: worth promoting to baseline.
        seconds: that judging took; None where nobody measured it.
    """

    gate: str
    verdict: Verdict
    exit_code: int
    sentence: str
    created: str
    candidate: Side
    anchors: tuple[Side, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    waivers: tuple[Mapping[str, str], ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    alpha: float = 0.01
    tests: int = 0
    promote: bool = False
    seconds: float | None = None
    schema_version: int = SCHEMA_VERSION


History: TypeAlias = Mapping[str, Sequence[tuple[float, float]]]
"""Scores of earlier checkpoints of the candidate's series by task or composite: (place in training, value)."""
