"""What a gate can see before it has cost anything, and a gate.yaml to begin with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import yaml
from scipy import stats

from assay.harness import ranking
from assay.harness.gating.series import ASSUMED_FLIPS
from assay.harness.gating.types import Config, Mean, Mode, Tier

STEP = 0.005
"""A new gate's min_effect are whole multiples of it."""
FAMILY = 0.01
WINDOW = 10
POWER = 0.8
EFFECT, DROP = 0.01, 0.02
"""In a new gate, the least drop of a task that blocks, and that of a composite to be ruled out; more for few items."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What a gate can see of one task or composite.

    Attributes:
        n: items.
        flips: share of them that changes between checkpoints; `assumed` where no history tells.
        margin: of the config: `max_drop` or `min_effect`.
        least: the smallest margin that means something: of `detect`, the least drop that the test can call one; of
            `prove`, what equal checkpoints are shown to hold 4 times of 5.
        mde: least true drop that is found 4 times of 5.
    """

    name: str
    tier: Tier
    mode: Mode
    n: int
    flips: float
    assumed: bool
    margin: float
    least: float
    mde: float

    @property
    def underpowered(self) -> bool:
        """Its margin is below what it can resolve, and it can fail the build."""
        return self.tier == "block" and round(self.margin, 9) < round(self.least, 9)


def plan(
    config: Config, sizes: Mapping[str, int], means: Sequence[Mean], flips: Mapping[str, float], anchors: int
) -> list[Power]:
    """What the gate can see.

    Args:
        config: of the gate.
        sizes: items by task.
        means: composites that the config names.
        flips: by task, as far as they are known.
        anchors: how many the candidate is compared with.
    """
    rules = {m.name: config.composites[m.name] for m in means} | {t: config.rule(t) for t in sizes}
    tests = max(1, anchors * sum(r.tier == "block" for r in rules.values()))
    errors, found = _errors(sizes, means, flips), []
    for name, rule in rules.items():
        parts = next((list(m.baselines) for m in means if m.name == name), [name])
        n = sum(sizes[t] for t in parts)
        found.append(
            Power(
                name=name,
                tier=rule.tier,
                mode=rule.mode,
                n=n,
                flips=sum(flips.get(t, ASSUMED_FLIPS) * sizes[t] for t in parts) / n,
                assumed=any(t not in flips for t in parts),
                margin=rule.min_effect if rule.max_drop is None else rule.max_drop,
                least=errors[name] * _least(rule.mode, config.alpha, tests),
                mde=errors[name] * (_z(config.alpha / tests) + _z(1 - POWER)),
            )
        )
    return found


def _errors(sizes: Mapping[str, int], means: Sequence[Mean], flips: Mapping[str, float]) -> dict[str, float]:
    """Standard error of the difference of each task and composite."""
    errors = {t: math.sqrt(flips.get(t, ASSUMED_FLIPS) / n) for t, n in sizes.items()}
    wholes = {m.name: ranking.composite_stderr({t: errors[t] for t in m.baselines}, m.baselines, m.kin) for m in means}
    return errors | wholes


def _least(mode: Mode, alpha: float, tests: int) -> float:
    """The smallest margin that means something, in standard errors."""
    return _z(alpha) + _z(1 - POWER) if mode == "prove" else _z(alpha / tests)


def _z(alpha: float) -> float:
    return float(stats.norm.isf(alpha))


def first(suite: str, sizes: Mapping[str, int], means: Sequence[Mean], flips: Mapping[str, float], use: str) -> str:
    """A gate.yaml whose margins the items resolve: every task looks for a drop, every composite rules one out."""
    tests, errors = len(sizes) + len(means), _errors(sizes, means, flips)

    def margin(name: str, mode: Mode, least: float) -> float:
        needed = errors[name] * _least(mode, FAMILY, tests)
        return round(max(least, STEP * math.ceil(round(needed / STEP, 6))), 4)

    sections = {
        "version": 1,
        "suite": suite,
        "baseline": {"use": use, "on_missing": "fail"},
        "family": {"alpha": FAMILY, "correction": "holm"},
        "noise": {"window": WINDOW, "k": _scatter(tests)},
        "defaults": {"tier": "block", "mode": "detect"},
        "composites": {
            m.name: {
                "mode": "prove",
                "max_drop": margin(m.name, "prove", DROP),
                "min_effect": margin(m.name, "detect", EFFECT),
            }
            for m in means
        },
        "tasks": {t: {"min_effect": margin(t, "detect", EFFECT)} for t in sizes},
        "verdicts": {"inconclusive": "warn", "not_comparable": "fail", "missing": "fail"},
    }
    return HEAD + yaml.safe_dump({k: v for k, v in sections.items() if v != {}}, sort_keys=False)


def _scatter(tests: int) -> float:
    """Standard deviations of earlier checkpoints that equal ones exceed in no task, but for alpha of the gates."""
    return round(float(stats.t.isf(FAMILY / tests, WINDOW - 2)), 1)


HEAD = """\
# What blocks a checkpoint: docs/gate.md says what each key means; `assay gate plan` what this gate can see.
# min_effect is the least drop (of a score in [0, 1]) that blocks: what the items can call one. max_drop is ruled out.
"""
