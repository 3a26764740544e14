"""A gate over a store: find the anchors that the config names, the candidate's history, and judge."""

from __future__ import annotations

import difflib
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path

from assay.harness import facts, gate
from assay.harness import store as runs
from assay.harness.files import StoreError
from assay.harness.gating import baselines, repository, snapshots
from assay.harness.gating.config import GateConfigError
from assay.harness.gating.series import Series
from assay.harness.gating.types import Config, History, Report, Snapshot
from assay.tasks.registry import Registry

PINNED = "main"
"""The baseline that `merge-base` reads, as it was there."""


class NoAnchor(Exception):
    """There is nothing to compare with; the message says why and what to do."""


def tasks_of(config: Config, registry: Registry) -> list[str]:
    """Tasks that a gate judges: its suite's.

    Raises:
        GateConfigError: the config names a task, or a glob of tasks, that the suite lacks.
        UnknownTask: no suite of that name.
    """
    names = [spec.name for spec in registry.select(config.suite.split())]
    for name in config.tasks:
        if name not in names and not any(fnmatchcase(task, name) for task in names):
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise GateConfigError(f"gate '{config.name}': suite {config.suite} has no task '{name}'{hint}")
    return names


def check(config: Config, store: Path, run_path: Path, folder: Path, registry: Registry, today: date) -> Report:
    """Judge a run of a store.

    Args:
        config: of the gate.
        store: where runs lie.
        run_path: the candidate's.
        folder: where baselines lie.
        registry: of tasks and composites.
        today: for waivers.

    Raises:
        UserError: the config names what there is not. What is wrong with the run or a baseline is a verdict, not
            measured, and no error.
    """
    begun = time.perf_counter()
    tasks, means = tasks_of(config, registry), snapshots.means(registry, list(config.composites))
    anchors: list[Snapshot] = []
    history: History = {}
    try:
        run = runs.read_run(run_path)
    except StoreError as error:
        candidate = Snapshot(name=run_path.name, run_id=run_path.name)
        notes, damaged = [f"the run can't be read: {error}"], True
    else:
        candidate = snapshots.of_run(run, facts.read(store), registry)
        series = Series.before(store, run.plan, registry)
        anchors, notes, damaged = _anchors(config, series, candidate, folder, tasks)
        history = series.history(means, candidate)
    report = gate.decide(
        config,
        anchors,
        candidate,
        tasks=tasks,
        means=means,
        history=history,
        today=today,
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )
    report = replace(report, notes=(*notes, *report.notes), seconds=round(time.perf_counter() - begun, 3))
    if not anchors and not damaged and config.on_missing == "warn":
        said = "Pass, with nothing to compare with: gate.yaml says that a missing baseline only warns."
        return replace(report, verdict="pass", exit_code=0, sentence=said)
    return report


def _anchors(
    config: Config, series: Series, candidate: Snapshot, folder: Path, tasks: Sequence[str]
) -> tuple[list[Snapshot], list[str], bool]:
    """What the candidate is compared with, the baseline first; why any of it is missing; whether one is damaged.

    A damaged anchor leaves nothing to compare with: whatever it would have said must not be passed over.
    """
    found: list[Snapshot] = []
    notes = [f"left out of the history: {fault}" for fault in series.unreadable]
    for wanted in (config.use, *config.also):
        try:
            made = _anchor(wanted, config, series, candidate, folder, tasks)
        except NoAnchor as error:
            notes.append(f"no {wanted}: {error}")
            if wanted == config.use:
                return [], notes, False
            continue
        except baselines.BaselineMissing as error:
            return [], [*notes, f"no {wanted}: {error}"], False
        except (baselines.BaselineDamaged, repository.HistoryMissing, snapshots.NotAlike, StoreError) as error:
            return [], [*notes, f"{wanted} can't be used: {error}"], True
        if all(_runs_of(made) != _runs_of(known) for known in found):
            found.append(made)
    return found, notes, False


def _runs_of(anchor: Snapshot) -> tuple[str, str, int]:
    return anchor.run_id, anchor.created, anchor.averaged


def _anchor(
    wanted: str, config: Config, series: Series, candidate: Snapshot, folder: Path, tasks: Sequence[str]
) -> Snapshot:
    if wanted.startswith("pinned/"):
        return baselines.read(folder, wanted.removeprefix("pinned/"))
    if wanted == "merge-base":
        return baselines.at_merge_base(folder, PINNED)
    if wanted == "best-so-far":
        best = series.best(config, candidate, tasks)
        if best is None:
            raise NoAnchor("no earlier checkpoint of this series was asked alike")
        return series.snapshot(best, f"best so far, {best.plan.checkpoint.label}")
    k = 1 if wanted == "previous" else int(wanted.removeprefix("mean-of-last-"))
    if len(series.earlier) < k:
        raise NoAnchor(
            f"the store has {len(series.earlier)} earlier checkpoints of {candidate.series or 'this series'}"
        )
    last = series.earlier[-k:]
    if k == 1:
        return series.snapshot(last[0], f"previous, {last[0].plan.checkpoint.label}")
    return snapshots.averaged([series.snapshot(run, run.plan.run_id) for run in last], f"mean of the last {k}")
