"""Pinned data: local mirror, then cache, then download; nothing is used before its hash agrees."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import platformdirs

from assay.tasks.code import pal_tasks
from assay.tasks.pinned import DataMismatch as DataMismatch
from assay.tasks.pinned import JsonLines, read_verified
from assay.tasks.pinned import NoData as NoData
from assay.tasks.pinned import git_blob as git_blob
from assay.tasks.spec import Data, TaskSpec
from assay.tasks.types import Row, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A task's rows, verified.

    Attributes:
        git_blob: of the rows' JSON Lines; what the task's fingerprint carries.
        note: how a rebuilt copy differs from the original, or "".
        where: file or archive that was read.
    """

    rows: Sequence[Row]
    git_blob: str
    note: str
    where: Path


def cache_folder() -> Path:
    """Downloads live here: $ASSAY_CACHE, or the platform's cache folder."""
    return Path(os.environ.get("ASSAY_CACHE") or platformdirs.user_cache_dir("assay")) / "data"


def mirrors() -> list[Path]:
    """Folders of $ASSAY_DATA, separated as in $PATH."""
    return [Path(p) for p in os.environ.get("ASSAY_DATA", "").split(os.pathsep) if p]


def find(spec: TaskSpec) -> Path | None:
    """The first copy of a task's file: beside its spec, in a mirror, in the cache; plain or .gz.

    None too where the file that names a task's rows is nowhere.
    """
    if not spec.data.path:
        return _fetched_by_lm_eval(spec)
    if any(find_data(spec, d) is None for d in beside(spec)):
        return None
    return find_data(spec, spec.data)


def beside(spec: TaskSpec) -> list[Data]:
    """Files that a task needs beside its rows."""
    named = spec.code.only if spec.code else None
    examples = spec.lm_eval.shots_from if spec.lm_eval else None
    return [d for d in (named, examples) if d]


def _fetched_by_lm_eval(spec: TaskSpec) -> Path | None:
    from assay.tasks import lm_eval_opening

    try:
        return lm_eval_opening.load(spec).where
    except NoData:
        return None


def find_data(spec: TaskSpec, data: Data) -> Path | None:
    """The first copy of one of a task's files."""
    beside = [Path(spec.source.rpartition(":")[0]).parent] if spec.source else []
    for folder in [*beside, *mirrors(), cache_folder()]:
        for name in (data.path, data.path + ".gz"):
            if (folder / name).is_file():
                return folder / name
    return None


def load(spec: TaskSpec) -> Loaded:
    """Read and verify a task's rows; read again only when the file changes.

    Raises:
        NoData: no copy on this machine.
        DataMismatch: content, row count or archive differs from the spec's pin.
    """
    if not spec.data.path:
        from assay.tasks import lm_eval_opening

        return lm_eval_opening.load(spec)
    loaded = load_data(spec, spec.data)
    for data in beside(spec):
        other = load_data(spec, data)
        blob = hashlib.sha1(f"{loaded.git_blob} {other.git_blob}".encode(), usedforsecurity=False).hexdigest()
        rows = _only(loaded.rows, other.rows) if spec.code else loaded.rows
        loaded = replace(loaded, rows=rows, git_blob=blob)
    return loaded


def load_data(spec: TaskSpec, data: Data) -> Loaded:
    """One of a task's files; see `load`."""
    path = find_data(spec, data)
    if path is None:
        raise NoData(how_to_get(spec))
    return _load(data, path, path.stat().st_mtime_ns)


def _only(rows: Sequence[Row], names: Sequence[Row]) -> list[Row]:
    """The rows that another file names, in its order."""
    by_id = {row["task_id"]: row for row in rows}
    return [by_id[n["task_id"]] for n in names]


def how_to_get(spec: TaskSpec) -> str:
    """What to do about a task without data."""
    if not spec.data.path:
        return f"task '{spec.name}': lm-eval fetches its data from a hub; run again with a network, without --offline"
    files = " and ".join(d.path for d in (spec.data, *beside(spec)))
    return (
        f"no data for task '{spec.name}' ({files}): run 'assay data fetch {spec.name}', or put the "
        "file under a folder named in $ASSAY_DATA"
    )


@lru_cache(maxsize=128)
def _load(data: Data, path: Path, _changed: int) -> Loaded:
    content = read_verified(data, path)
    blob = git_blob(content)
    rows = JsonLines(content)
    if len(rows) != data.rows:
        raise DataMismatch(f"{path}: {len(rows)} rows, its spec expects {data.rows}")
    note = data.rebuilt.note if data.rebuilt and blob == data.rebuilt.git_blob else ""
    return Loaded(rows=rows, git_blob=blob, note=note, where=path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Rows, as published, that are drawn from together: a whole file, or one category of it."""

    group: str
    rows: Sequence[Row]


def parts(spec: TaskSpec, rows: Sequence[Row]) -> list[Part]:
    """Split by category where the task has them, categories sorted. Each has its own random generator."""
    if spec.lm_eval:
        from assay.tasks import lm_eval_opening

        return lm_eval_opening.parts(spec, rows)
    return by_category(spec, rows)


def by_category(spec: TaskSpec, rows: Sequence[Row]) -> list[Part]:
    """The rows as published, by category."""
    if not spec.categories:
        return [Part(group="", rows=rows)]
    groups: dict[str, list[Row]] = {}
    for i, row in enumerate(rows):
        if not isinstance(category(spec, row), str):
            raise DataMismatch(f"task '{spec.name}', row {i}: 'category' must be text: the task has categories")
        groups.setdefault(category(spec, row).strip(), []).append(row)
    return [Part(group=group, rows=groups[group]) for group in sorted(groups)]


def category(spec: TaskSpec, row: Row) -> Any:
    """What a row's category column holds, whatever its file calls that column."""
    made = dict(spec.lm_eval.columns).get("category") if spec.lm_eval else None
    return made.format_map(row) if made else row.get("category")


def strip(row: Row) -> Row:
    """Top-level strings stripped, list elements (choices, aliases) as they are (llm-foundry `strip_data`)."""
    return {k: v.strip() if isinstance(v, str) else v for k, v in row.items()}


def samples(spec: TaskSpec, part: Part, start: int, stop: int) -> Iterator[Sample]:
    """Samples of rows start to stop-1 of a part; see `sample`."""
    return (sample(spec, part, i) for i in range(start, min(stop, len(part.rows))))


def sample(spec: TaskSpec, part: Part, i: int) -> Sample:
    """The sample of one row of a part.

    Raises:
        DataMismatch: the row lacks a key of its kind, or holds something else under it; names task, row and key.
    """
    row = checked(spec, part, i)
    return Sample(
        task=spec.name,
        doc_id=doc_id(spec, part, i),
        fields=row,
        target=_target(spec, row, part.rows[i]),
        group=part.group,
        cluster=_cluster(spec, row),
    )


def doc_id(spec: TaskSpec, part: Part, i: int) -> str:
    """Row, category/row, or for code the name that its owners gave the problem."""
    if spec.code and not spec.code.maths:
        return str(part.rows[i]["task_id"])
    return f"{part.group}/{i}" if part.group else str(i)


TEXT, TEXTS, INDEX = "text", "a list of texts", "the index of an option"
KEYS = {
    "multiple_choice": {"query": TEXT, "choices": TEXTS, "gold": INDEX},
    "schema": {"context_options": TEXTS, "continuation": TEXT, "gold": INDEX},
    "language_modeling": {"context": TEXT, "continuation": TEXT},
    "generation": {"context": TEXT, "answer": TEXT},
    "code": {"task_id": TEXT, "entry_point": TEXT, "canonical_solution": TEXT},
    "gsm8k": {"question": TEXT, "answer": TEXT},
    "math": {"context": TEXT, "answer": TEXT},
}
OPTIONAL = {"generation": {"aliases": TEXTS, "chain_of_thought": TEXT}}


def checked(spec: TaskSpec, part: Part, i: int) -> Row:
    """One row, stripped, whose keys hold what the task's kind needs.

    Raises:
        DataMismatch: names task, row, key and what it should hold.
    """
    row = part.rows[i] if spec.kind == "code" else strip(part.rows[i])
    wanted = KEYS[(spec.code and spec.code.maths) or spec.kind]
    wanted = wanted | {k: v for k, v in OPTIONAL.get(spec.kind, {}).items() if k in row}
    if spec.cluster and spec.cluster.field not in row:
        wanted |= {spec.cluster.field: "what the task's samples are clustered by"}
    for key, what in wanted.items():
        if key not in row or not _holds(row, key, what):
            where = f"task '{spec.name}', row {part.group and part.group + '/'}{i}"
            raise DataMismatch(f"{where}: '{key}' must be {what} for kind '{spec.kind}'; see docs/add-a-task.md")
    return row


def _holds(row: Row, key: str, what: str) -> bool:
    value = row[key]
    if what == TEXT:
        return isinstance(value, str)
    if what == TEXTS:
        return isinstance(value, list) and all(isinstance(v, str) for v in value)
    options = row.get("choices") or row.get("context_options") or []
    return type(value) is int and 0 <= value < len(options)


def _target(spec: TaskSpec, row: Row, raw: Row) -> int | str | tuple[str, ...]:
    """Accepted answers stay as published: upstream gathers them before it strips the row."""
    if spec.kind == "language_modeling":
        return str(row["continuation"])
    if spec.code and spec.code.maths:
        return (pal_tasks.perfect(spec.code.maths, row),)
    if spec.kind == "code":
        return (str(row.get("prompt", row.get("complete_prompt"))) + "\n" + row["canonical_solution"],)
    if spec.kind == "generation":
        return tuple(dict.fromkeys([raw["answer"], *raw.get("aliases", [])]))
    return int(row["gold"])


def _cluster(spec: TaskSpec, row: Row) -> str:
    if spec.cluster is None:
        return ""
    value = row[spec.cluster.field]
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    shared = text.partition(spec.cluster.until)[0] if spec.cluster.until else text
    return hashlib.sha256(shared.encode()).hexdigest()[:12]
