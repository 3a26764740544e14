"""Did this checkpoint get worse? A pure function of the rules, the anchors and the candidate; it fails closed.

A drop blocks when two keys turn: Holm's adjusted p, over everything that can block, is at most alpha, and the drop is
as large as `min_effect` and as what checkpoints of this series do anyway. What could not be measured never passes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Literal

from assay.harness import comparing, multiplicity, ranking
from assay.harness.comparing import Difference
from assay.harness.gating import saying
from assay.harness.gating.cases import Case, against
from assay.harness.gating.types import (
    EFFECTS,
    INCONCLUSIVE,
    NOT_MEASURED,
    REGRESSED,
    UNMEASURED,
    Config,
    Effect,
    Finding,
    History,
    Mean,
    Report,
    Rule,
    Side,
    Snapshot,
    State,
    Tier,
    Verdict,
)

ROUNDING = 12
"""Decimals: a drop of exactly `min_effect` blocks, however its binary fraction ends."""
OPEN: Mapping[State, Effect] = dict.fromkeys(("minor", "inconclusive", *UNMEASURED), "note")
TIERS: Mapping[Tier, Mapping[State, Effect]] = {
    "block": {"regressed": "fail", "minor": "warn", "infra": "fail"},
    "warn": {"regressed": "warn", **OPEN},
    "track": {"regressed": "note", **OPEN},
}
"""What a state does in a tier, where no `verdicts` of the config say it; nothing where it is not named."""


def decide(
    config: Config,
    anchors: Sequence[Snapshot],
    candidate: Snapshot,
    *,
    tasks: Sequence[str],
    means: Sequence[Mean],
    history: History,
    today: date,
    created: str,
) -> Report:
    """Judge a candidate.

    Args:
        config: of the gate.
        anchors: what it is compared with, the baseline first; none at all fails.
        candidate: the run.
        tasks: that the gate's suite holds: each must be there on both sides.
        means: composites that the config names.
        history: of the candidate's series, without the candidate.
        today: for waivers.
        created: UTC, ISO 8601; stands in the report.
    """
    cases = [case for anchor in anchors for case in against(config, anchor, candidate, tasks, means)]
    worse, better = _adjusted(cases, "p_worse"), _adjusted(cases, "p_better")
    tests = sum(case.rule.tier == "block" and case.p("p_worse") is not None for case in cases)
    findings = []
    for case, p_worse, p_better in zip(cases, worse, better, strict=True):
        noise = _noise(config, history.get(case.name, ()), case.anchor.averaged)
        found = _finding(config, case, p_worse, p_better, noise, config.alpha / max(1, tests))
        findings.append(_effected(config, found, today))
    verdict, code = _verdict(findings)
    findings.sort(key=lambda f: (EFFECTS.index(f.effect), f.kind != "composite"))
    return Report(
        gate=config.name,
        verdict=verdict,
        exit_code=code,
        sentence=saying.sentence(verdict, findings, candidate, anchors),
        created=created,
        candidate=_side(candidate),
        anchors=tuple(map(_side, anchors)),
        findings=tuple(findings),
        notes=tuple(saying.notes(config, anchors, candidate, findings, today)),
        waivers=tuple(saying.waiver(w, today) for w in config.waivers if today <= w.until),
        inputs=saying.inputs(config, anchors, candidate),
        alpha=config.alpha,
        tests=tests,
        promote=verdict == "pass" and _better(findings),
    )


def _better(findings: Sequence[Finding]) -> bool:
    """Something that blocks improved, and nothing is worse, waived or not."""
    states = {f.state for f in findings if f.tier == "block"}
    return "improved" in states and not states & {"regressed", "minor"}


def _side(s: Snapshot) -> Side:
    return Side(
        name=s.name,
        run_id=s.run_id,
        label=s.label,
        series=s.series,
        step=s.step,
        created=s.created,
        averaged=s.averaged,
    )


def _adjusted(cases: Sequence[Case], side: Literal["p_worse", "p_better"]) -> list[float | None]:
    """Holm's adjusted p of each case, within its tier."""
    found: dict[str, float | None] = {}
    for tier in TIERS:
        found |= multiplicity.holm({str(i): c.p(side) for i, c in enumerate(cases) if c.rule.tier == tier})
    return [found[str(i)] for i in range(len(cases))]


def _finding(
    config: Config, case: Case, p_worse: float | None, p_better: float | None, noise: float | None, first: float
) -> Finding:
    """What a case shows; `first` is the level of the family's first step."""
    rule, d, wide = case.rule, case.narrow, case.wide
    found = Finding(
        name=case.name,
        kind=case.kind,
        anchor=case.anchor.name,
        tier=rule.tier,
        mode=rule.mode,
        state=case.state or "inconclusive",
        effect="pass",
        reason=case.reason,
        margin=rule.min_effect if rule.max_drop is None else rule.max_drop,
        base=case.base,
        value=case.value,
        noise=noise,
        self_flips=case.anchor.self_flips.get(case.name),
        shares=case.shares,
    )
    if d is None or wide is None:
        return found
    found = replace(
        found,
        state=_state(rule, d, p_worse, p_better, noise or 0.0, config.alpha),
        n=wide.n,
        lost=wide.lost,
        gained=wide.gained,
        delta=wide.delta,
        low=wide.low,
        high=wide.high,
        test=wide.test,
        lower=d.low,
        upper=d.high,
        p=d.p_worse,
        p_adjusted=p_worse,
        mde=case.detectable(first),
    )
    if case.doubt and found.state != "regressed":
        return replace(found, state="not_comparable", reason=case.doubt)
    return replace(found, reason=saying.reason(found, d.note, config.alpha))


def _state(
    rule: Rule, d: Difference, p_worse: float | None, p_better: float | None, noise: float, alpha: float
) -> State:
    """What the difference shows. `d` has one-sided bounds at alpha; the p are adjusted."""
    size = max(rule.min_effect, noise)
    delta = round(d.delta, ROUNDING)
    violated = rule.mode == "prove" and rule.max_drop is not None and d.high < -rule.max_drop
    if p_worse is not None and p_worse <= alpha and (-delta >= size or violated):
        return "regressed"
    if p_better is not None and p_better <= alpha and delta >= size:
        return "improved"
    if rule.mode == "prove" and rule.max_drop is not None:
        if d.low <= -rule.max_drop:
            return "inconclusive"
        return "minor" if d.high < 0 else "held"
    undecided = d.note in comparing.UNTESTED or d.note == "too few flips to decide"
    if undecided and max(d.lost / d.n, -delta) >= rule.min_effect:
        return "inconclusive"
    return "minor" if p_worse is not None and p_worse <= alpha else "no_change_seen"


def _effected(config: Config, f: Finding, today: date) -> Finding:
    """With what it does to the build. A waiver is for a fault of the model, never for one of the measurement."""
    effect = TIERS[f.tier].get(f.state, "pass")
    if f.tier == "block":
        effect = config.verdicts.get(f.state, effect)
    waiver = next((w for w in config.waivers if w.covers(f.name, today)), None)
    if waiver and f.state not in UNMEASURED and effect in ("fail", "warn"):
        return replace(f, effect="note", waived=saying.waived(waiver))
    return replace(f, effect=effect)


def _verdict(findings: Sequence[Finding]) -> tuple[Verdict, int]:
    """The worst of what blocks; a proven regression counts more than what could not be measured beside it."""
    failing = {f.state for f in findings if f.effect == "fail"}
    tested = any(f.tier == "block" and f.state not in UNMEASURED and f.p is not None for f in findings)
    if "regressed" in failing:
        return "regressed", REGRESSED
    if failing & UNMEASURED or not tested:
        return "not_measured", NOT_MEASURED
    return ("inconclusive", INCONCLUSIVE) if failing else ("pass", 0)


def _noise(config: Config, points: Sequence[tuple[float, float]], averaged: int) -> float | None:
    """What `k` standard deviations of earlier checkpoints about their trend come to; None where they are too few."""
    if len(points) < config.min_points:
        return None
    known = ranking.checkpoint_noise([x for x, _ in points], [y for _, y in points], config.window)
    return None if known is None else config.k * known.sd * math.sqrt(1 + 1 / averaged)
