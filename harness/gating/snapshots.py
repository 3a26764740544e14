"""Runs as a gate sees them, and the composites of a registry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from assay.harness import facts
from assay.harness.gating.types import Mean, Measured, Snapshot
from assay.harness.indexing import item_scores, rows_asked
from assay.harness.records import TaskResult
from assay.harness.store import Run
from assay.tasks import aggregate
from assay.tasks.registry import Registry
from assay.tasks.types import UserError


class NotAlike(UserError):
    """Runs that were asked differently have no mean."""


def of_run(run: Run, known: facts.Known, registry: Registry, name: str = "") -> Snapshot:
    """A run, with every item's score.

    Args:
        run: read and verified.
        known: of the store it lies in: which series a run belongs to.
        registry: which tasks' numbers are means over categories.
        name: how it is spoken of; else its label.
    """
    plan = run.plan
    options, identity = plan.options, plan.identity
    return Snapshot(
        name=name or plan.checkpoint.label,
        run_id=plan.run_id,
        label=plan.checkpoint.label,
        series=facts.of(plan, known).series,
        step=plan.checkpoint.step,
        created=plan.created,
        settings={
            "rows": rows_asked(plan),
            "chat_template": f"{options.get('chat_template', False)} {options.get('system_prompt', '')}".strip(),
            "device": str(options.get("device", "")),
            "assay_version": plan.assay_version,
            **{k: str(identity.get(k, "")) for k in ("model", "tokenizer", "engine", "dtype", "arguments")},
        },
        tasks={
            name: _measured(run, result, macro=name in registry.tasks and registry.tasks[name].mean == "macro")
            for name, result in run.results.items()
        },
    )


def _measured(run: Run, r: TaskResult, *, macro: bool) -> Measured:
    bare: dict[str, list[str]] = {"doc_id": [], "group": [], "cluster": []}
    items = item_scores(run, r.task, scored_only=False) if r.samples_sha256 else bare | {"score": np.empty(0)}
    order = np.argsort(np.array(items["doc_id"], dtype=object), kind="stable")
    groups, clusters = (tuple(items[k][i] or "" for i in order) for k in ("group", "cluster"))
    return Measured(
        fingerprint=r.fingerprint,
        value=r.value,
        stderr=r.stderr,
        n=r.n,
        ids=tuple(items["doc_id"][i] for i in order),
        scores=np.asarray(items["score"], dtype=np.float64)[order],
        groups=groups if macro and any(groups) else None,
        clusters=clusters if any(clusters) else None,
        counts=dict(r.counts),
        status=r.status,
        higher_is_better=r.higher_is_better,
    )


def averaged(of: Sequence[Snapshot], name: str) -> Snapshot:
    """The mean of several runs, item by item, of tasks and items that all of them have.

    Raises:
        NotAlike: they were not asked the same.
    """
    last = of[-1]
    tasks = {}
    for task, measured in last.tasks.items():
        sides = [s.tasks[task] for s in of if task in s.tasks]
        if len(sides) < len(of) or not all(s.ids for s in sides):
            continue
        other = [s for s in sides if (s.fingerprint, s.ids) != (measured.fingerprint, measured.ids)]
        if other:
            raise NotAlike(f"{name}: {task} was not asked alike in all of them; choose another baseline")
        scores = np.stack([s.scores for s in sides]).mean(axis=0)
        values = [s.value for s in sides if s.value is not None]
        value = sum(values) / len(values) if len(values) == len(sides) else None
        counts = {k: sum(s.counts.get(k, 0) for s in sides) for s in sides for k in s.counts}
        tasks[task] = replace(measured, scores=scores, value=value, stderr=None, counts=counts)
    return replace(last, name=name, tasks=tasks, averaged=len(of), settings=dict(last.settings) | {"model": ""})


def means(registry: Registry, names: Sequence[str]) -> list[Mean]:
    """Composites by name.

    Raises:
        UserError: none of that name; the message has those there are.
    """
    found = []
    for name in names:
        if name not in registry.composites:
            raise UserError(f"no composite is called '{name}'; there are: {', '.join(registry.composites)}")
        definition = registry.composites[name]
        specs = [registry.tasks[t] for t in registry.suites[definition.suite].tasks]
        found.append(
            Mean(
                name=name,
                baselines={s.name: 0.01 * aggregate.baseline_of(s.baseline, definition.baseline) for s in specs},
                kin={s.name: s.data.path for s in specs},
            )
        )
    return found
