"""Pairs of checkpoints whose difference is known, and a gate that judges them."""

from dataclasses import replace
from datetime import date

import numpy as np

from assay.harness import gate
from assay.harness.gating.types import Config, Measured, Rule, Snapshot

N = 1_319
"""Items of GSM8K."""
TODAY = date(2026, 11, 21)
BLOCK = Rule(tier="block", min_effect=0.02)
STEADY = "steady"
"""A task that blocks and never changes, so that something is measured."""


def answers(n=N, right=None):
    """0/1 scores, the right ones first."""
    return (np.arange(n) < (n // 2 if right is None else right)).astype(np.float64)


def changed(scores, lost=0, gained=0):
    """The same with so many right answers made wrong, and wrong ones right."""
    out = scores.copy()
    out[np.flatnonzero(scores == 1)[:lost]] = 0
    out[np.flatnonzero(scores == 0)[:gained]] = 1
    return out


def mean(scores, groups):
    """A task's number: the mean over its items, or over its categories."""
    of = [scores] if groups is None else [scores[np.array(groups) == g] for g in sorted(set(groups))]
    return float(np.mean([np.nanmean(part) for part in of]))


def measured(scores, **said):
    """A task's result with these scores."""
    scores = np.asarray(scores, dtype=np.float64)
    known = scores[~np.isnan(scores)]
    usual = {
        "fingerprint": "f",
        "value": mean(scores, said.get("groups")) if len(known) else None,
        "stderr": None,
        "n": len(known),
        "ids": tuple(f"{i:05d}" for i in range(len(scores))),
        "counts": {"ok": len(scores)},
    }
    return Measured(scores=scores, **(usual | said))


def snapshot(name, tasks, **said):
    """A run of these tasks: scores, or a `Measured`."""
    found = {k: v if isinstance(v, Measured) else measured(v) for k, v in tasks.items()}
    return Snapshot(name=name, run_id=name, tasks=found, **said)


def pair(lost=0, gained=0, *, n=N, task="gsm8k", right=None):
    """A baseline and a candidate that differ on so many items of one task."""
    base = answers(n, right)
    return snapshot("baseline main", {task: base}), snapshot("candidate", {task: changed(base, lost, gained)})


def with_steady(config, *sides):
    """The gate and both sides with a task beside it that blocks and does not change."""
    steady = {STEADY: measured(answers(200))}
    grown = [replace(s, tasks=dict(s.tasks) | steady) for s in sides]
    return replace(config, tasks=dict(config.tasks) | {STEADY: BLOCK}), *grown


def rules(**said):
    """A gate that blocks on a drop of 2 points of any task, unless something else is said."""
    return Config(**({"name": "main", "suite": "demo", "defaults": BLOCK} | said))


def judged(config, base, candidate, *, tasks=None, means=(), history=None, today=TODAY):
    """The report. `base`: a snapshot, or several; `tasks`: of the suite, by default all that any side has."""
    anchors = [base] if isinstance(base, Snapshot) else list(base)
    names = {t: None for s in (*anchors, candidate) for t in s.tasks}
    return gate.decide(
        config,
        anchors,
        candidate,
        tasks=list(names) if tasks is None else tasks,
        means=means,
        history=history or {},
        today=today,
        created="2026-11-21T12:00:00Z",
    )


def finding(report, name="gsm8k"):
    """The one finding of a task."""
    (found,) = [f for f in report.findings if f.name == name]
    return found
