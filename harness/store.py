"""Run directories: journal while running, Parquet per finished task, manifest last.

runs/<run_id>/plan.json            what was set out to do
              journal/<task>.jsonl one line a shard: answers and their sha256; flushed and fsynced before scoring
              samples/<task>.parquet
              results.json         one entry a finished task, and the composites
              manifest.json        sha256 of every file above; its existence means the run is complete
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from assay.harness import fingerprint
from assay.harness.files import (
    StoreError,
    demand_sha256,
    json_bytes,
    read_json,
    seal,
    sync_folder,
    unseal,
    write,
    write_with,
)
from assay.harness.journal import Journal
from assay.harness.records import (
    FINAL,
    READABLE,
    SCHEMA_VERSION,
    Plan,
    TaskResult,
    plan_from_json,
    result_from_json,
    to_json,
)

LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it lies on disk, verified.

    Attributes:
        complete: its manifest exists.
        composites: name, value, stderr and missing tasks of each.
    """

    path: Path
    plan: Plan
    results: Mapping[str, TaskResult]
    composites: Sequence[Mapping[str, Any]]
    complete: bool

    def samples(self, task: str) -> pa.Table:
        """Sample records of a finished task.

        Raises:
            StoreError: the task is not in this run or not finished.
        """
        if task not in self.results or not self.results[task].samples_sha256:
            have = ", ".join(t for t, r in self.results.items() if r.samples_sha256) or "none yet"
            raise StoreError(f"run {self.plan.run_id} has no samples of '{task}'; it has: {have}")
        return pq.read_table(self.path / "samples" / f"{task}.parquet")


def list_runs(store: Path) -> list[Path]:
    """Run directories of a store; the one that `assay run` was last asked for comes last."""
    return sorted((p.parent for p in store.glob("*/plan.json")), key=lambda run: (_asked(run), run.name))


def _asked(run: Path) -> float:
    """In seconds since 1970; of a copy that came without its lock, as from a CI's artifact, its plan's own time."""
    with suppress(StoreError, ValueError):
        if not (run / LOCK).exists():
            return datetime.fromisoformat(peek_run(run).plan.created).timestamp()
    return (run / LOCK if (run / LOCK).exists() else run).stat().st_mtime


def find_run(store: Path, name: str) -> Path:
    """A run by path, id, unique beginning of an id, or 'latest'.

    Raises:
        StoreError: none or several match.
    """
    for place in (Path(name), store / name):
        if (place / "plan.json").is_file():
            return place
    runs = list_runs(store)
    found = runs[-1:] if name == "latest" else [r for r in runs if r.name.startswith(name)]
    if len(found) != 1:
        what = "no run" if not found else f"{len(found)} runs"
        raise StoreError(f"{what} in {store} called '{name}'; see: assay runs --store {store}")
    return found[0]


def read_run(path: Path) -> Run:
    """Read a run and check every file of it against its hashes.

    Raises:
        StoreError: a file was changed, removed or torn since it was written.
    """
    run = peek_run(path)
    if run.complete:
        _verify(path, read_json(path / "manifest.json").get("files", {}))
    _verify(path, {f"samples/{t}.parquet": r.samples_sha256 for t, r in run.results.items() if r.samples_sha256})
    return run


def peek_run(path: Path) -> Run:
    """Read a run's plan and results, checked against their own seals, without reading its samples.

    Raises:
        StoreError: one of them was changed or torn since it was written.
    """
    stored = unseal(path / "plan.json")
    if stored.get("schema_version") not in READABLE:
        raise StoreError(
            f"{path}: written by assay {stored.get('assay_version')}, schema {stored.get('schema_version')}; this one "
            f"reads schema {SCHEMA_VERSION}: use that version, or measure again with --fresh"
        )
    plan = plan_from_json(stored)
    data = unseal(path / "results.json") if (path / "results.json").is_file() else {}
    results = {t: result_from_json(r) for t, r in data.get("tasks", {}).items()}
    return Run(path, plan, results, data.get("composites", []), (path / "manifest.json").is_file())


def _verify(path: Path, files: Mapping[str, str]) -> None:
    for name, wanted in files.items():
        found = fingerprint.file_sha256(path / name) if (path / name).is_file() else "missing"
        demand_sha256(path / name, found, wanted)


class RunWriter:
    """The one writer of a run directory. Everything it returns from is on disk.

    Raises:
        StoreError: another process writes here, or the directory holds a run with another plan.
        OSError: the store can't be written (full, read-only).
    """

    def __init__(self, store: Path, plan: Plan, *, fresh: bool = False) -> None:
        self.path = store / plan.run_id
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self.path / LOCK)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise StoreError(
                f"{self.path}: another assay is writing this run; wait for it, or pass another --name"
            ) from None
        (self.path / LOCK).touch()
        try:
            self.plan = self._begin(plan, fresh)
        except BaseException:
            self._lock.release()
            raise

    def _begin(self, plan: Plan, fresh: bool) -> Plan:
        """Continue what lies here, or begin. Once --fresh has put the plan aside, the rest of its run goes too."""
        stored, discarded = self.path / "plan.json", self.path / "plan.discarded"
        if fresh and stored.is_file():
            stored.replace(discarded)
            sync_folder(self.path)
        self._results: dict[str, TaskResult] = {}
        if stored.is_file():
            plan = self._continue(plan)
        elif discarded.is_file():
            self._clear()
        elif strange := [p for p in self.path.rglob("*") if p.is_file() and p.name not in (LOCK, "plan.json.new")]:
            raise StoreError(f"{self.path}: no run, yet it holds {strange[0].name}: move it or pass another --name")
        for folder in ("journal", "samples"):
            (self.path / folder).mkdir(exist_ok=True)
        if not stored.is_file():
            write(stored, seal(to_json(plan)))
        discarded.unlink(missing_ok=True)
        return plan

    def _continue(self, plan: Plan) -> Plan:
        """The plan that lies here, with the fingerprints of tasks whose data has come since."""
        run = read_run(self.path)
        _demand_same(run.plan, plan)
        self._results = dict(run.results)
        tasks = {t: plan.tasks[t] or run.plan.tasks[t] for t in plan.tasks}
        if tasks == run.plan.tasks:
            return run.plan
        (self.path / "manifest.json").unlink(missing_ok=True)
        merged = dataclasses.replace(run.plan, tasks=tasks)
        write(self.path / "plan.json", seal(to_json(merged)))
        return merged

    def _clear(self) -> None:
        for name in ("manifest.json", "results.json"):
            (self.path / name).unlink(missing_ok=True)
        for folder in ("journal", "samples"):
            if (self.path / folder).exists():
                shutil.rmtree(self.path / folder)

    def close(self) -> None:
        """Let the next writer in."""
        self._lock.release()

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def result(self, task: str) -> TaskResult | None:
        """The task's result when it is final; a task that lacked data or met infra errors is done again."""
        found = self._results.get(task)
        return found if found is not None and found.is_final(self.plan.tasks[task]) else None

    @property
    def complete(self) -> bool:
        """The manifest stands: nothing has changed since the run was finished."""
        return (self.path / "manifest.json").is_file()

    @property
    def results(self) -> Mapping[str, TaskResult]:
        """Every result so far."""
        return self._results

    def journal(self, task: str) -> Journal:
        """The task's answers so far, and where to keep more."""
        return Journal(self.path / "journal" / f"{task}.jsonl")

    def reopen(self, task: str) -> None:
        """Forget a task's result, not its answers: it is to be scored again."""
        if self._results.pop(task, None) is not None:
            self._write_results([])

    def finish_task(self, result: TaskResult, samples: pa.Table | None) -> TaskResult:
        """Write a task's samples, then its result; then its journal has done its work."""
        if self._results.pop(result.task, None) is not None:
            self._write_results([])  # an earlier, unfinished result must not vouch for the samples that replace its own
        if samples is not None:
            path = self.path / "samples" / f"{result.task}.parquet"
            write_with(path, lambda p: pq.write_table(samples, p, compression="zstd"))
            result = dataclasses.replace(result, samples_sha256=fingerprint.file_sha256(path))
        self._results[result.task] = result
        self._write_results([])
        if result.status in FINAL:
            self.journal(result.task).path.unlink(missing_ok=True)
        return result

    def finish_unsampled(self, results: Iterable[TaskResult]) -> None:
        """Take results that come without samples; `finish` writes them."""
        self._results |= {r.task: r for r in results}

    def finish(self, composites: Iterable[Mapping[str, Any]], wall_s: float, ended: str) -> None:
        """Write the composites, then the manifest: the run is complete."""
        self._write_results(list(composites))
        files = {n: fingerprint.file_sha256(self.path / n) for n in ("plan.json", "results.json")}
        files |= {f"samples/{t}.parquet": r.samples_sha256 for t, r in self._results.items() if r.samples_sha256}
        manifest = {"run_id": self.plan.run_id, "ended": ended, "wall_s": wall_s, "files": files}
        write(self.path / "manifest.json", json_bytes(manifest))

    def _write_results(self, composites: list[Mapping[str, Any]]) -> None:
        (self.path / "manifest.json").unlink(missing_ok=True)
        tasks = {t: to_json(self._results[t]) for t in sorted(self._results)}
        write(self.path / "results.json", seal({"tasks": tasks, "composites": composites}))


def _demand_same(old: Plan, new: Plan) -> None:
    """A run goes on only under the plan it began with; that a task has gained or lost its data is not a change."""
    measured = [t for t, f in old.tasks.items() if f and new.tasks.get(t)]
    differing = [
        f"{name} was {a!r}, now {b!r}"
        for name, a, b in (
            ("schema version", old.schema_version, new.schema_version),
            ("assay version", old.assay_version, new.assay_version),
            ("rows", old.docs, new.docs),
            ("tasks", sorted(old.tasks), sorted(new.tasks)),
            *((k, old.identity.get(k), new.identity.get(k)) for k in {*old.identity, *new.identity}),
            *((f"task '{t}' fingerprint", old.tasks[t], new.tasks[t]) for t in measured),
        )
        if a != b
    ]
    if differing:
        raise StoreError(
            f"run '{old.run_id}' was begun differently: {'; '.join(differing[:3])}. "
            "Use --fresh to start it anew, or another --name to keep both"
        )
