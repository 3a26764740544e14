"""The runs of a store that came before a candidate: its series, its anchors among them, its noise and its flips."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from assay.harness import comparing, facts
from assay.harness import store as runs
from assay.harness.gating import pairing, snapshots
from assay.harness.gating.types import Config, History, Mean, Snapshot
from assay.harness.records import Plan
from assay.harness.store import Run
from assay.tasks.registry import Registry
from assay.tasks.types import UserError

ASSUMED_FLIPS = 0.10
"""Share of items that change between adjacent checkpoints, where no history tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Finished runs of a candidate's series from before it, oldest first.

    Attributes:
        known: of the store.
        registry: of tasks.
        earlier: read without their samples.
        unreadable: runs of the store that can't be read, with the fault: they may belong to it.
    """

    known: facts.Known
    registry: Registry
    earlier: tuple[Run, ...]
    unreadable: tuple[str, ...] = ()

    @classmethod
    def before(
        cls, store: Path, candidate: Plan, registry: Registry, tasks: Collection[str], *, itself: bool = False
    ) -> Series:
        """Of the candidate's training run and asked alike; the candidate or not.

        Of each checkpoint the run that has most of these tasks, the newest of those.
        """
        known, unreadable = facts.read(store), []
        own = facts.of(candidate, known).series
        by_place: dict[tuple[float, str | None], tuple[int, Run]] = {}
        for path in runs.list_runs(store):
            try:
                run = runs.peek_run(path)
            except UserError as error:
                unreadable.append(str(error))
                continue
            plan = run.plan
            same = facts.of(plan, known).series == own and _asked(plan) == _asked(candidate)
            if same and run.complete and (_before(plan, candidate) or (itself and plan == candidate)):
                at, have = (_place(plan), plan.identity.get("model")), len(run.results.keys() & set(tasks))
                if at not in by_place or have >= by_place[at][0]:
                    by_place[at] = have, run
        ordered = sorted((run for _, run in by_place.values()), key=lambda r: (_place(r.plan), r.plan.created))
        return cls(known=known, registry=registry, earlier=tuple(ordered), unreadable=tuple(unreadable))

    def snapshot(self, run: Run, name: str) -> Snapshot:
        """One of them with its items, verified."""
        return snapshots.of_run(runs.read_run(run.path), self.known, self.registry, name)

    def history(self, means: Sequence[Mean], candidate: Snapshot) -> History:
        """Scores of tasks asked as the candidate's were, and of these composites, by place in training."""
        found: dict[str, list[tuple[float, float]]] = {}
        for run in self.earlier:
            alike = {t: r for t, r in run.results.items() if _alike(r.fingerprint, candidate, t)}
            values = {t: r.value for t, r in alike.items() if r.value is not None}
            for mean in means:
                if mean.baselines.keys() <= values.keys():
                    values[mean.name] = mean.of(values)
            for name, value in values.items():
                found.setdefault(name, []).append((_place(run.plan), value))
        return found

    def best(self, config: Config, candidate: Snapshot, tasks: Sequence[str]) -> Run | None:
        """The one with the highest mean score over the tasks that block, of those asked exactly alike."""
        block = [t for t in tasks if config.rule(t).tier == "block"] or list(tasks)
        alike = []
        for run in self.earlier:
            results = [run.results.get(t) for t in block]
            if all(r and r.value is not None and _alike(r.fingerprint, candidate, r.task) for r in results):
                alike.append((sum(r.value for r in results if r and r.value is not None), run))
        return max(alike, key=lambda pair: pair[0])[1] if alike else None

    def flips(self, tasks: Sequence[str]) -> dict[str, float]:
        """Share of items that changed between the last two checkpoints, by task; without those it isn't known of."""
        if len(self.earlier) < 2:
            return {}
        a, b = (self.snapshot(run, run.plan.run_id) for run in self.earlier[-2:])
        return flip_rates(a, b, tasks)


def flip_rates(a: Snapshot, b: Snapshot, tasks: Sequence[str]) -> dict[str, float]:
    """Mean squared change of the items' scores, which is the share that flipped where scores are 0 or 1."""
    found = {}
    for task in tasks:
        if task in a.tasks and task in b.tasks and a.tasks[task].fingerprint == b.tasks[task].fingerprint:
            pairs = pairing.pairs(a.tasks[task], b.tasks[task])
            if len(pairs.base) >= comparing.FEW_ITEMS:
                found[task] = float(((pairs.other - pairs.base) ** 2).mean())
    return found


def _alike(fingerprint: str, candidate: Snapshot, task: str) -> bool:
    return task in candidate.tasks and candidate.tasks[task].fingerprint == fingerprint


def _asked(plan: Plan) -> tuple[object, ...]:
    """Which rows, and in which chat template: what a fingerprint does not say."""
    return (*plan.docs, *(plan.options.get(k) for k in ("chat_template", "system_prompt")))


def _place(plan: Plan) -> float:
    at = plan.checkpoint.step if plan.checkpoint.step is not None else plan.checkpoint.tokens
    return float(at) if at is not None else 0.0


def _before(plan: Plan, candidate: Plan) -> bool:
    """Earlier in training; where nothing tells, measured earlier."""
    if _place(plan) != _place(candidate):
        return _place(plan) < _place(candidate)
    nothing_tells = candidate.checkpoint.step is None and candidate.checkpoint.tokens is None
    return nothing_tells and plan.created < candidate.created
