"""Measure checkpoints as a training run writes them, judge each, and tell of each verdict once.

What has been done is read from the store: a finished run of the same weights on the same tasks, a verdict of the gate
on it, the markers beside that. So a restart goes on where the last watch was ended, however it ended.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from assay.harness import exits, fingerprint
from assay.harness.files import StoreError
from assay.harness.gating import history, hooks, processes, wholeness
from assay.harness.gating.hooks import Hooks, News
from assay.harness.gating.kept_runs import KeptRuns, being_written
from assay.harness.gating.types import INCONCLUSIVE, NOT_MEASURED, REGRESSED, Report
from assay.harness.records import Plan
from assay.harness.store import Run
from assay.tasks.types import UserError

ATTEMPTS = 2
"""At one checkpoint, in one watch."""
FOLDER = ".watch"
"""Of a store: locks, and what the commands printed. No run's id begins with a dot."""
WORST_LAST = (exits.OK, INCONCLUSIVE, NOT_MEASURED, REGRESSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """How a finished run is judged.

    Attributes:
        rules: sha256 of them, as reports have it.
        baselines: folder of baselines.
        arguments: of `assay gate check`, after the run.
    """

    name: str
    rules: str
    baselines: Path
    arguments: tuple[str, ...]

    def promoted(self) -> float:
        """When a baseline was last written, in seconds since 1970; 0 without any."""
        return max((p.stat().st_mtime for p in self.baselines.glob("*/baseline.json")), default=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What is watched, how it is measured and judged, who is told.

    Attributes:
        folder: its sub-folders are checkpoints.
        arguments: of `assay run`, all but --model and --name; the store among them.
        plan: what that command sets out to do with a folder; hashes its weights.
        asked: what of the arguments and the tasks decides the numbers.
        own_tokenizer: checkpoints bring theirs.
        gate: None measures only.
        settle_s: how long a folder must lie unchanged.
        say: takes one line an event.
    """

    folder: Path
    store: Path
    arguments: tuple[str, ...]
    plan: Callable[[Path], Plan]
    asked: str
    own_tokenizer: bool
    gate: Gate | None
    hooks: Hooks
    settle_s: float
    say: Callable[[str], None]


class Locked(StoreError):
    """Another watch has this folder."""


@contextmanager
def opened(watch: Watch) -> Iterator[Watcher]:
    """Begin, and keep other watches of this folder off the store.

    Raises:
        Locked: one is there.
    """
    path = watch.store / FOLDER / fingerprint.digest(str(watch.folder.resolve()))[:16]
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise Locked(f"{watch.folder}: another watch has it, with store {watch.store}: end that one first") from None
    judged = f", gate {watch.gate.name}" if watch.gate else ""
    watch.say(f"watching {watch.folder}: assay run {shlex.join(watch.arguments)}{judged}")
    try:
        yield Watcher(watch, KeptRuns(watch.store, path.with_suffix(".json"), watch.asked))
    finally:
        lock.release()


class _NotYet(Exception):
    """The checkpoint can't be measured now; a later pass may find it otherwise."""


@dataclass(slots=True)
class Watcher:
    """One watch since its start.

    Attributes:
        watch: what it does.
        runs: of the store.
        done: folders, as they looked, that need nothing more before the next start.
        said: the last thing that was said of a folder, so that it is said once.
        reports: verdicts that were read; a record never changes.
    """

    watch: Watch
    runs: KeptRuns
    done: set[tuple[Path, wholeness.Look]] = field(default_factory=set)
    said: dict[Path, str] = field(default_factory=dict)
    reports: dict[Path, Report] = field(default_factory=dict)

    def once(self) -> int:
        """Look twice, do what there is to do, oldest checkpoint first; the worst of the gate's exit codes.

        A checkpoint that can't be measured or judged counts as not measured (5) and ends nothing.
        """
        try:
            ready = sorted(self._settled(), key=lambda found: wholeness.place(found[0]))
        except (OSError, UserError) as error:  # a network disk's hiccup, a state file that goes while it is read
            self._say(self.watch.folder, f"can't be looked at: {error}")
            return NOT_MEASURED
        return max((self._attend(folder, look) for folder, look in ready), key=WORST_LAST.index, default=exits.OK)

    def _settled(self) -> list[tuple[Path, wholeness.Look]]:
        """Whole folders that look the same twice and are not done."""
        folder = self.watch.folder
        before = [found for p in wholeness.checkpoints(folder) if (found := (p, wholeness.look(p))) not in self.done]
        if not before:
            return []
        time.sleep(self.watch.settle_s)
        ready = []
        for path, look in before:
            fault = wholeness.fault(path, own_tokenizer=self.watch.own_tokenizer)
            if not look or look != wholeness.look(path):
                fault = fault or "still written to"
            if fault:
                self._say(path, f"waits: {fault}")
            else:
                ready.append((path, look))
        return ready

    def _attend(self, folder: Path, look: wholeness.Look) -> int:
        """All that one checkpoint needs; an exit code."""
        if wholeness.look(folder) != look:  # renamed, removed or changed while others were measured
            return exits.OK
        try:
            code = self._measure_and_judge(folder, look)
        except _NotYet as why:
            self._say(folder, str(why))
            return exits.OK
        except OSError as error:
            self._say(folder, f"not measured: {error}; again later")
            return NOT_MEASURED
        except Exception as error:  # whatever one folder holds, the next checkpoint must be measured
            self._say(folder, f"not measured: {error if isinstance(error, UserError) else repr(error)}")
            code = NOT_MEASURED
        self.done.add((folder, look))
        return code

    def _measure_and_judge(self, folder: Path, look: wholeness.Look) -> int:
        code = exits.OK
        run = self.runs.remembered(folder, look)
        if run is None:
            plan = self.watch.plan(folder)
            run = self.runs.finished(plan)
            if run is None:
                run, code = self._measure(folder, plan)
                self._demand_unchanged(folder, look, run)
            else:
                self._say(folder, f"measured before: run {run.plan.run_id}")
            if run is None:
                return code
            self.runs.remember(folder, look, run)
        return code if self.watch.gate is None else self._judge(folder, run, self.watch.gate)

    def _measure(self, folder: Path, plan: Plan) -> tuple[Run | None, int]:
        """Run `assay run` until it finishes a run, or has failed as often as it may."""
        for attempt in range(ATTEMPTS):
            begun = self.runs.begun(plan)
            if begun and being_written(begun.path):
                raise _NotYet(f"waits: another process is writing {begun.path}")
            name = begun.plan.run_id if begun else plan.run_id
            log = self._log(name)
            named = ("--name", name) if name != plan.run_id else ()
            self._say(folder, f"{'measuring' if attempt == 0 else 'trying again'}: run {name}, log {log}")
            code = processes.assay(("run", *self.watch.arguments, "--model", _reference(folder), *named), log)
            if run := self.runs.finished(plan):
                self._say(folder, f"measured: run {run.plan.run_id}, exit code {code}")
                return run, code if code == exits.OK else exits.PARTIAL
            self._say(folder, f"not measured: exit code {code}: {processes.last_line(log)}")
        self._say(folder, "given up until it changes, or the watch is started again")
        return None, NOT_MEASURED

    def _demand_unchanged(self, folder: Path, look: wholeness.Look, run: Run | None) -> None:
        """Put a run aside if its checkpoint was overwritten meanwhile: nobody knows which weights answered."""
        now = wholeness.look(folder)
        if run and now and now != look:
            aside = self._log(run.plan.run_id).with_suffix(f".overwritten-{time.time_ns()}")
            run.path.rename(aside)
            raise _NotYet(f"changed while it was measured: its run was put aside in {aside}")

    def _judge(self, folder: Path, run: Run, gate: Gate) -> int:
        """The gate's verdict, had before or now, and those told who are to be; its exit code."""
        verdict = self._verdict(run, gate)
        if verdict is None:
            log = self._log(run.plan.run_id)
            ended = processes.assay(("gate", "check", str(run.path), *gate.arguments), log)
            verdict = self._verdict(run, gate)
            if verdict is None:
                self._say(folder, f"gate {gate.name}: no verdict: exit code {ended}: {processes.last_line(log)}")
                return NOT_MEASURED
            said = f"{verdict[1].verdict}, exit code {verdict[1].exit_code}: {verdict[1].sentence}"
            self._say(folder, f"gate {gate.name}: {said}")
        for sentence in hooks.deliver(self.watch.hooks, News(report=verdict[1], record=verdict[0], checkpoint=folder)):
            self._say(folder, sentence)
        return verdict[1].exit_code

    def _verdict(self, run: Run, gate: Gate) -> tuple[Path, Report] | None:
        """The newest of these rules on a run, and its record; none measured before the baselines last changed."""
        for path in history.paths(self.watch.store):
            if path not in self.reports:
                try:
                    self.reports[path] = history.read_file(path)
                except StoreError:  # torn or foreign; `assay gate history` names it
                    continue
            report = self.reports[path]
            if (report.inputs.get("config"), report.candidate.run_id) != (gate.rules, run.plan.run_id):
                continue
            stale = report.verdict == "not_measured" and gate.promoted() > path.stat().st_mtime
            return None if stale else (path, report)
        return None

    def _log(self, run_id: str) -> Path:
        return self.watch.store / FOLDER / f"{run_id}.log"

    def _say(self, folder: Path, what: str) -> None:
        if self.said.get(folder) != what:
            self.said[folder] = what
            self.watch.say(f"{folder.name}: {what}")


def _reference(folder: Path) -> str:
    """As --model, in which a bracket would be a glob's."""
    return "hf:" + "".join(f"[{c}]" if c in "*?[" else c for c in str(folder))
