"""A gate over a store: find the anchors that the config names, the candidate's history, and judge."""

from __future__ import annotations

import difflib
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path

from assay.harness import comparing, facts, gate
from assay.harness import store as runs
from assay.harness.files import StoreError
from assay.harness.gating import baselines, repository, saying, snapshots
from assay.harness.gating.config import GateConfigError
from assay.harness.gating.series import Series
from assay.harness.gating.types import Config, History, Mean, Report, Snapshot
from assay.tasks.registry import Registry

LEAST_P = 1 / (comparing.FLIPS + 1)
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


def means_of(config: Config, registry: Registry, tasks: Sequence[str]) -> list[Mean]:
    """Composites that a gate judges.

    Raises:
        GateConfigError: one needs tasks that the suite lacks; or alpha, over all tests, is below the least p of a test.
    """
    means = snapshots.means(registry, list(config.composites))
    for mean in means:
        lacking = [t for t in mean.baselines if t not in tasks]
        if lacking or not mean.baselines:
            raise GateConfigError(
                f"gate '{config.name}': composite {mean.name} is over tasks that suite {config.suite} lacks: "
                f"{saying.listed(lacking) or 'none at all'}"
            )
    rules = [*map(config.rule, tasks), *config.composites.values()]
    tests = (1 + len(config.also)) * sum(rule.tier == "block" for rule in rules)
    if tests and config.alpha / tests < LEAST_P:
        raise GateConfigError(
            f"gate '{config.name}': alpha {config.alpha:g} over {tests} tests is below {LEAST_P:g}, the least p that "
            "sign flips can have: raise family.alpha, or let fewer tasks block"
        )
    return means


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
    tasks = tasks_of(config, registry)
    means = means_of(config, registry, tasks)
    anchors: list[Snapshot] = []
    history: History = {}
    try:
        run = runs.read_run(run_path)
    except StoreError as error:
        candidate = Snapshot(name=run_path.name, run_id=run_path.name)
        notes, damaged = [f"the run can't be read: {error}"], True
    else:
        candidate = snapshots.of_run(run, facts.read(store), registry)
        series = Series.before(store, run.plan, registry, tasks)
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
        except (NoAnchor, baselines.BaselineMissing) as error:
            notes.append(f"no {wanted}: {error}")
            if wanted == config.use:
                return [], notes, False
            if isinstance(error, baselines.BaselineMissing) and config.on_missing != "warn":
                return [], notes, True
        except (baselines.BaselineDamaged, repository.HistoryMissing, snapshots.NotAlike, StoreError) as error:
            return [], [*notes, f"{wanted} can't be used: {error}"], True
        else:
            found += [made] if all(_runs_of(made) != _runs_of(known) for known in found) else []
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
