"""What a gate has to judge: each task and composite against each anchor, as far as the two can be compared at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from scipy import stats

from assay.harness import comparing, composing
from assay.harness.comparing import Difference
from assay.harness.gating import pairing, saying
from assay.harness.gating.types import Config, Mean, Measured, Rule, Snapshot, State

POWER = 0.8
SHARES = 5
"""Tasks that a composite's finding names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A task or composite against one anchor, before the families of tests are known.

    Attributes:
        state, reason: why nothing can be said; None where `narrow` says it.
        wide, narrow: the difference with its 95 % interval, and with bounds at the family's alpha.
        doubt: why a difference that is no regression says nothing all the same; "" where nothing speaks against it.
        base, value, shares: as in a `Finding`.
    """

    name: str
    kind: Literal["task", "composite"]
    anchor: Snapshot
    rule: Rule
    state: State | None = None
    reason: str = ""
    wide: Difference | None = None
    narrow: Difference | None = None
    doubt: str = ""
    base: float | None = None
    value: float | None = None
    shares: Mapping[str, float] = field(default_factory=dict)

    def p(self, side: Literal["p_worse", "p_better"]) -> float | None:
        """One-sided, unadjusted; None where nothing was tested."""
        found: float | None = getattr(self.narrow, side, None)
        return found

    def detectable(self, alpha: float) -> float | None:
        """Least true drop found with power 0.8 at this level; None without a flip."""
        d = self.narrow
        if d is None or d.mde is None:
            return None
        if self.kind == "composite":
            return float(stats.norm.isf(alpha) + stats.norm.ppf(POWER)) * d.stderr
        return d.mde * comparing.detectable(1.0, d.n, alpha) / comparing.detectable(1.0, d.n)


def against(
    config: Config, anchor: Snapshot, candidate: Snapshot, tasks: Sequence[str], means: Sequence[Mean]
) -> list[Case]:
    """All of a gate's composites and tasks against one anchor."""
    differing = pairing.settings(config, anchor, candidate)
    found = {task: _task(config, anchor, candidate, task, differing) for task in tasks}
    return [*(_composite(config, anchor, mean, found) for mean in means), *found.values()]


def _task(config: Config, anchor: Snapshot, candidate: Snapshot, task: str, differing: str) -> Case:
    rule, base, other = config.rule(task), anchor.tasks.get(task), candidate.tasks.get(task)
    if base is None or other is None:
        reason = f"{'the baseline' if base is None else 'the candidate'} has no result of it"
        return Case(name=task, kind="task", anchor=anchor, rule=rule, state="missing", reason=reason)
    state, reason = pairing.fault(config, base, other, differing)
    if state is None:
        pairs = pairing.pairs(base, other)
        if pairs.unpaired <= config.max_unpaired and len(pairs.base):
            return _measured(config, anchor, task, rule, (base, other), pairs)
        state, reason = "not_comparable", f"{pairs.unpaired:.1%} of the items have a score on one side alone"
    return Case(
        name=task,
        kind="task",
        anchor=anchor,
        rule=rule,
        state=state,
        reason=reason,
        base=base.value,
        value=other.value,
    )


def _measured(
    config: Config, anchor: Snapshot, task: str, rule: Rule, of: tuple[Measured, Measured], pairs: pairing.Pairs
) -> Case:
    wide, narrow = pairs.differences(0.95, 1 - 2 * config.alpha)
    base, value = pairing.shown(*of, pairs, wide)
    doubt = pairing.rambling(config, *of)
    return Case(
        name=task,
        kind="task",
        anchor=anchor,
        rule=rule,
        wide=wide,
        narrow=narrow,
        doubt=doubt,
        base=base,
        value=value,
    )


def _composite(config: Config, anchor: Snapshot, mean: Mean, found: Mapping[str, Case]) -> Case:
    """A mean over all of its tasks; over fewer it is another mean, and has no verdict."""
    rule = config.composites[mean.name]
    parts = {t: found[t] for t in mean.baselines if t in found and found[t].state is None}
    lacking = [t for t in mean.baselines if t not in parts]
    if lacking:
        state = next((s for t in lacking if t in found and (s := found[t].state)), None) or "missing"
        reason = f"it needs {saying.listed(lacking)}"
        return Case(name=mean.name, kind="composite", anchor=anchor, rule=rule, state=state, reason=reason)
    wide, narrow = ({t: d for t, c in parts.items() if (d := getattr(c, at))} for at in ("wide", "narrow"))
    whole = composing.composite_difference(wide, mean.baselines, mean.kin)
    return Case(
        name=mean.name,
        kind="composite",
        anchor=anchor,
        rule=rule,
        wide=_as_one(whole, list(wide.values())),
        narrow=_as_one(composing.composite_difference(narrow, mean.baselines, mean.kin), list(narrow.values())),
        base=mean.of({t: c.base or 0.0 for t, c in parts.items()}),
        value=mean.of({t: c.value or 0.0 for t, c in parts.items()}),
        doubt=next((c.doubt for c in parts.values() if c.doubt), ""),
        shares=dict(sorted(whole.shares.items(), key=lambda kv: -kv[1])[:SHARES]),
    )


def _as_one(whole: composing.CompositeDifference, of: Sequence[Difference]) -> Difference:
    """A composite's difference with the counts of its tasks, to be judged as a task's is."""
    n, lost, gained = (sum(getattr(d, name) for d in of) for name in ("n", "lost", "gained"))
    return Difference(
        n=n,
        lost=lost,
        gained=gained,
        flip_rate=(lost + gained) / n,
        delta=whole.delta,
        stderr=whole.stderr,
        low=whole.low,
        high=whole.high,
        p=whole.p,
        p_worse=whole.p_worse,
        p_better=1 - whole.p_worse,
        mde=float(stats.norm.ppf(0.95) + stats.norm.ppf(POWER)) * whole.stderr,
        test="normal",
        note="" if lost + gained else "identical answers",
    )
