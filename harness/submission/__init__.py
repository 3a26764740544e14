"""A submission: a folder of run directories as `assay run` wrote them. Nothing in it is believed: it is recomputed.

`validate` says what is wrong with one, `unpack` takes one from a zip, `repack` makes the zip of what passed.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from assay.harness import facts, fingerprint, indexing, records, store
from assay.harness.files import read_json
from assay.harness.records import Plan, TaskResult
from assay.harness.store import Run
from assay.harness.submission import contained
from assay.harness.submission.archives import HIDDEN, pack, safe
from assay.harness.submission.archives import unpack as unpack
from assay.harness.submission.claims import CHANGED, Claim
from assay.harness.submission.findings import Finding as Finding
from assay.harness.submission.findings import Level as Level
from assay.harness.submission.findings import SubmissionError as SubmissionError
from assay.harness.submission.findings import folded, plain
from assay.harness.submission.opening import LARGEST
from assay.tasks.aggregate import CompositeScore
from assay.tasks.registry import Registry, open_registry
from assay.tasks.types import UserError

MOST_FILES, DEEPEST = 2_000, 4
SMALL = 8_000_000
"""Bytes of a JSON file; that of 57 tasks has 0.1 million."""
PARTS = {"plan.json", "results.json", "manifest.json"}
MANIFEST = {"run_id", "ended", "wall_s", "files"}
INDEX = "index.sqlite"
"""Begins the names of what `assay reindex` makes in a store of runs."""
VERDICTS = "gates/"
"""Of a store: the history of its gates."""
LEFT_OUT = "it is left out of what is packed"
PART = "measure all rows: numbers of a part stand beside no other's"
REMOVE = "remove it: a submission holds run folders and nothing else"


@dataclass(frozen=True, slots=True)
class _Folder:
    """A run directory and its plain files, by their path in it; `given`: the submission gives the folder its name."""

    name: str
    path: Path
    files: Mapping[str, Path]
    given: bool = True

    def says(self, file: str, what: object, remedy: str = CHANGED, level: Level = "fail") -> Finding:
        where = f"{self.name}/{file}" if file else self.name
        return Finding(level=level, where=where, what=str(what).replace(f"{self.path}/", ""), remedy=remedy)


def validate(folder: Path, registry: Registry) -> list[Finding]:
    """Everything there is to say of a submission; a fault in it is a finding, never an exception.

    Args:
        folder: of run directories, or one of them.
        registry: whose tasks the runs are held against.
    """
    folders, found = _runs(folder)
    ids: Counter[str] = Counter()
    claims: list[Claim] = []
    for one in folders:
        read = _read(one)
        if isinstance(read, Run):
            ids[read.plan.run_id] += 1
            faults = list(_faults(one, read))
            found += faults
            if not any(f.level == "fail" for f in faults):
                claims += [Claim(one.name, read, task) for task in (*sorted(read.results), "")]
                found.append(one.says("", "complete, sealed, and every file as its manifest has it", "", "pass"))
        else:
            found += read
    found += [
        Finding(level="fail", where=folder.name, what=f"{n} runs are called {i}", remedy="send one of them")
        for i, n in ids.items()
        if n > 1
    ]
    claims.sort(key=lambda c: c.task)  # a task's data are loaded once for all runs
    found += contained.examined(claims, registry)
    order = {one.name: i for i, one in enumerate(folders)}
    return folded(sorted(found, key=lambda f: order.get(f.where.partition("/")[0], -1)))


def repack(folder: Path, findings: Sequence[Finding] | None = None) -> bytes:
    """The zip of a pull request: of runs without a fault, what belongs to a run. The same runs give the same bytes.

    Args:
        folder: the submission.
        findings: what `validate` said of it; None validates it against assay's own tasks.

    Raises:
        SubmissionError: no run is without a fault.
    """
    said = validate(folder, open_registry()) if findings is None else findings
    refused = {f.where.partition("/")[0] for f in said if f.level == "fail"}
    chosen: dict[str, Path] = {}
    for one in _runs(folder)[0]:
        read = _read(one)
        if one.name not in refused and isinstance(read, Run):
            chosen |= {f"{read.plan.run_id}/{name}": one.files[name] for name in sorted(_belongs(read))}
    if not chosen:
        raise SubmissionError(f"{folder.name}: no run in it is without a fault: see what assay submit validate says")
    return pack(chosen)


def _runs(folder: Path) -> tuple[list[_Folder], list[Finding]]:
    """The run directories, sorted by name, and what else is wrong with the folder."""
    found: list[Finding] = []
    files: dict[str, Path] = {}
    for path, fault in _walk(folder, 0):
        name = path.relative_to(folder).as_posix()
        if not fault and len(files) >= MOST_FILES:
            found.append(Finding(level="fail", where=name, what=f"more than {MOST_FILES:,} files", remedy=REMOVE))
            break
        if fault:
            found.append(Finding(level="fail", where=name, what=fault, remedy=REMOVE))
        else:
            files[name] = path
    if "plan.json" in files:
        return [_Folder(plain(folder.resolve().name), folder, files, given=False)], found
    names = {n.partition("/")[0] for n in files if "/" in n}
    runs = sorted(n for n in names if f"{n}/plan.json" in files)
    rest = sorted(n for n in files if n.partition("/")[0] not in runs)
    if any(n.startswith(VERDICTS) for n in rest):
        found.append(Finding(level="warn", where=VERDICTS, what="holds what gates said in a store", remedy=LEFT_OUT))
    for name in (n for n in rest if not n.startswith(VERDICTS)):
        if name.startswith(INDEX):
            found.append(Finding(level="warn", where=name, what="is the index of a store", remedy=LEFT_OUT))
        else:
            found.append(Finding(level="fail", where=name, what="is part of no run", remedy=REMOVE))
    if not runs:
        remedy = "give the folder that holds run folders, such as runs"
        found.append(Finding(level="fail", where=folder.name, what="no run: no plan.json here or below", remedy=remedy))
    inside = {run: {n.removeprefix(f"{run}/"): p for n, p in files.items() if n.startswith(f"{run}/")} for run in runs}
    return [_Folder(run, folder / run, inside[run]) for run in runs], found


def _walk(folder: Path, depth: int) -> Iterator[tuple[Path, str]]:
    """Every file, and why it is refused; folders are followed, links never."""
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            path = Path(entry.path)
            if entry.is_symlink():
                yield path, "is a link"
            elif not (safe(entry.name) or entry.name == HIDDEN):
                yield path, "has a name that not every system can hold, or is hidden"
            elif entry.is_dir():
                yield from _walk(path, depth + 1) if depth < DEEPEST else [(path, "is too deep")]
            elif not entry.is_file():
                yield path, "is no plain file"
            else:
                most = LARGEST if entry.name.endswith(".parquet") else SMALL
                size = entry.stat().st_size
                yield path, "" if size <= most else f"has {size:,} bytes, {most:,} are taken"


def _read(one: _Folder) -> Run | list[Finding]:
    """Plan and results, sealed and of the right types, or why they can't be read; a link is not read, and was named."""
    if any(n not in one.files and os.path.lexists(one.path / n) for n in PARTS):
        return []
    try:
        run = store.peek_run(one.path)
        for adapter, value in (
            (_adapter(Plan), records.to_json(run.plan)),
            (_adapter(dict[str, TaskResult]), {t: records.to_json(r) for t, r in run.results.items()}),
            (_adapter(list[CompositeScore]), run.composites),
        ):
            adapter.validate_json(json.dumps(value), strict=True)
        return run
    except ValidationError as error:
        fault = error.errors()[0]
        at = ".".join(map(str, fault["loc"]))
        return [one.says("", f"plan or results hold what assay does not write: {at}: {fault['msg']}")]
    except UserError as error:
        return [one.says("", error)]
    except Exception as error:  # files of strangers: whatever they make of a reader of records
        return [one.says("", f"plan or results are not what assay writes: {type(error).__name__}: {error}")]


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _belongs(run: Run) -> set[str]:
    """The files that a complete run has."""
    return PARTS | {f"samples/{t}.parquet" for t, r in run.results.items() if r.samples_sha256}


def _faults(one: _Folder, run: Run) -> Iterator[Finding]:
    """What is wrong with a run's files and seals; the samples are looked into later."""
    for name in sorted(one.files.keys() - _belongs(run) - {HIDDEN}):
        kept = name.startswith("journal/") and name.endswith(".jsonl")
        remedy = LEFT_OUT if kept else REMOVE
        yield one.says(name, "belongs to no finished run", remedy, "warn" if kept else "fail")
    if HIDDEN in one.files and one.files[HIDDEN].stat().st_size:
        yield one.says(HIDDEN, "is not empty", REMOVE)
    if not safe(run.plan.run_id) or (one.given and run.plan.run_id != one.name):
        yield one.says("plan.json", f"the run is called {run.plan.run_id}, its folder is not", "rename the folder")
    if not run.complete:
        yield one.says("", "not complete", "the command that began it finishes it: assay run, with the same options")
        return
    yield from _of_plan(one, run)
    manifest = _manifest(one)
    if manifest.keys() != MANIFEST or manifest["run_id"] != run.plan.run_id or not isinstance(manifest["files"], dict):
        yield one.says("manifest.json", "is not the manifest of this run")
        return
    hashes = {f"samples/{t}.parquet": r.samples_sha256 for t, r in run.results.items() if r.samples_sha256}
    listed = _belongs(run) - {"manifest.json"}
    if manifest["files"].keys() != listed or any(manifest["files"][n] != h for n, h in hashes.items()):
        yield one.says("manifest.json", "does not list the files of its results, with their hashes")
    for name in sorted(listed):
        if name not in one.files:
            yield one.says(name, "is missing")
        elif fingerprint.file_sha256(one.files[name]) != manifest["files"].get(name):
            yield one.says(name, "was changed: it has another sha256 than the manifest says")


def _of_plan(one: _Folder, run: Run) -> Iterator[Finding]:
    """Whether the results are those of the plan."""
    start, stop, limit = run.plan.docs
    if start < 0 or (stop is not None and stop <= start) or (limit is not None and limit < 1):
        yield one.says("plan.json", f"asks for no rows: {run.plan.docs}")
    elif run.plan.docs != (0, None, None):
        rows = f"rows {start}:{'' if stop is None else stop}" + (f", a sample of {limit} of them" if limit else "")
        yield one.says("", f"a part of each task: {rows}", PART, "warn")
    foreign = [t for t, mark in run.plan.tasks.items() if mark and not indexing.measured(mark)]
    if bool(foreign) != ("imported" in run.plan.environment):
        what = f"{foreign[0]} has a fingerprint of another tool's" if foreign else "it says that it was imported"
        yield one.says("plan.json", f"{what}, and the rest of the plan says otherwise")
    if facts.DAMAGED in facts.brought(run.plan).notes:
        yield one.says("plan.json", facts.DAMAGED)
    if odd := sorted(run.plan.tasks.keys() ^ run.results.keys()):
        yield one.says("results.json", f"its tasks are not those of the plan: {', '.join(odd)}")
    for name, result in run.results.items():
        if not safe(name) or result.task != name:
            yield one.says("results.json", f"a task's name is not its own: {name}")
        if (result.value is not None) != (result.status in ("ok", "partial")):
            yield one.says("results.json", f"{name}: its value is {result.value}, its status {result.status}")


def _manifest(one: _Folder) -> dict[str, Any]:
    try:
        return read_json(one.files["manifest.json"])
    except (UserError, RecursionError):
        return {}
