"""Pinned data: local mirror, then cache, then download; nothing is used before its hash agrees."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import random
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import overload

import platformdirs

from assay.tasks.spec import Data, TaskSpec
from assay.tasks.types import Row, Sample, UserError

GZIP = b"\x1f\x8b"
GPQA_PASSWORD = b"deserted-untie-orchid"
"""Published by GPQA's authors; it keeps rows out of crawls, not out of reach."""


class NoData(UserError):
    """The file is nowhere; the message says how to get it. The task is reported, the rest runs."""


class DataMismatch(UserError):
    """A file's content is not what the spec pins; the message names both hashes."""


class JsonLines(Sequence[Row]):
    """Rows of JSON Lines, parsed when they are looked at: a limited run pays for what it uses."""

    def __init__(self, content: bytes) -> None:
        self._lines = [line for line in content.split(b"\n") if line.strip()]
        self._rows: dict[int, Row] = {}

    def __len__(self) -> int:
        return len(self._lines)

    @overload
    def __getitem__(self, at: int) -> Row: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[Row]: ...

    def __getitem__(self, at: int | slice) -> Row | Sequence[Row]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        if at not in self._rows:
            try:
                row = json.loads(self._lines[at])
            except ValueError as error:
                raise DataMismatch(f"row {at}: not JSON: {error}") from None
            if not isinstance(row, dict):
                raise DataMismatch(f"row {at}: not a JSON object")
            self._rows[at] = row
        return self._rows[at]


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


def git_blob(content: bytes) -> str:
    """What `git hash-object` prints for a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


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
    if spec.code and spec.code.only and _find(spec, spec.code.only) is None:
        return None
    return _find(spec, spec.data)


def _find(spec: TaskSpec, data: Data) -> Path | None:
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
    path = find(spec)
    if path is None:
        raise NoData(how_to_get(spec))
    loaded = _load(spec.data, path, path.stat().st_mtime_ns)
    return _only(spec, spec.code.only, loaded) if spec.code and spec.code.only else loaded


def _only(spec: TaskSpec, only: Data, loaded: Loaded) -> Loaded:
    """The rows that another file names, in its order; the hash covers both files."""
    path = _find(spec, only)
    if path is None:
        raise NoData(how_to_get(spec))
    names = _load(only, path, path.stat().st_mtime_ns)
    rows = {row["task_id"]: row for row in loaded.rows}
    blob = hashlib.sha1(f"{loaded.git_blob} {names.git_blob}".encode(), usedforsecurity=False).hexdigest()
    return Loaded(rows=[rows[n["task_id"]] for n in names.rows], git_blob=blob, note=loaded.note, where=loaded.where)


def how_to_get(spec: TaskSpec) -> str:
    """What to do about a task without data."""
    files = " and ".join(d.path for d in (spec.data, spec.code.only if spec.code else None) if d)
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


def read_verified(data: Data, path: Path) -> bytes:
    """The uncompressed JSON Lines at `path`, hash checked; converted in memory when they come from an archive.

    Raises:
        DataMismatch: names the hash found and the hash wanted.
    """
    try:
        raw = path.read_bytes()
        if data.archive_sha256:
            _demand(path, "sha256", hashlib.sha256(raw).hexdigest(), (data.archive_sha256,))
            content = gpqa_jsonl(zipfile.ZipFile(io.BytesIO(raw)).read(data.member, GPQA_PASSWORD))
        else:
            content = gzip.decompress(raw) if raw.startswith(GZIP) else raw
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise DataMismatch(f"{path}: cannot be read ({error}); delete it and fetch it again") from error
    wanted = (data.git_blob, *((data.rebuilt.git_blob,) if data.rebuilt else ()))
    _demand(path, "git blob", git_blob(content), wanted)
    return content


def _demand(path: Path, kind: str, found: str, wanted: Sequence[str]) -> None:
    if found not in wanted:
        raise DataMismatch(
            f"{path}: {kind} is {found}, expected {' or '.join(wanted)}: not the pinned file; "
            "delete it and run 'assay data fetch'"
        )


def gpqa_jsonl(table: bytes) -> bytes:
    """GPQA's CSV in DCLM's JSON Lines: choices shuffled per row by one Random(42) a file, right answer first before.

    Semantics of convert_gpqa in eval/eval_openlm_ckpt.py, mlfoundations/dclm 361714b; the spec pins the result.
    """
    rng = random.Random(42)  # noqa: S311 - fixed by the benchmark
    lines = []
    for row in csv.DictReader(io.StringIO(table.decode("utf-8"), newline="")):
        answers = [row["Correct Answer"], *(row[f"Incorrect Answer {i}"] for i in (1, 2, 3))]
        order = list(range(4))
        rng.shuffle(order)
        choices = [answers[i] for i in order]
        lines.append(json.dumps({"query": row["Question"], "choices": choices, "gold": order.index(0)}))
    return ("\n".join(lines) + "\n").encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Rows, as published, that are drawn from together: a whole file, or one category of it."""

    group: str
    rows: Sequence[Row]


def parts(spec: TaskSpec, rows: Sequence[Row]) -> list[Part]:
    """Split by category where the task has them, categories sorted. Each has its own random generator."""
    if not spec.categories:
        return [Part(group="", rows=rows)]
    groups: dict[str, list[Row]] = {}
    for i, row in enumerate(rows):
        if not isinstance(row.get("category"), str):
            raise DataMismatch(f"task '{spec.name}', row {i}: 'category' must be text: the task has categories")
        groups.setdefault(row["category"].strip(), []).append(row)
    return [Part(group=group, rows=groups[group]) for group in sorted(groups)]


def strip(row: Row) -> Row:
    """Top-level strings stripped, list elements (choices, aliases) as they are (llm-foundry `strip_data`)."""
    return {k: v.strip() if isinstance(v, str) else v for k, v in row.items()}


def samples(spec: TaskSpec, part: Part, start: int, stop: int) -> Iterator[Sample]:
    """Samples of rows start to stop-1 of a part.

    Raises:
        DataMismatch: a row lacks a key of its kind, or holds something else under it; names task, row and key.
    """
    for i in range(start, min(stop, len(part.rows))):
        row = checked(spec, part, i)
        yield Sample(
            task=spec.name,
            doc_id=doc_id(spec, part, i),
            fields=row,
            target=_target(spec, row, part.rows[i]),
            group=part.group,
            cluster=_cluster(spec, row),
        )


def doc_id(spec: TaskSpec, part: Part, i: int) -> str:
    """Row, category/row, or for code the name that its owners gave the problem."""
    if spec.kind == "code":
        return str(part.rows[i]["task_id"])
    return f"{part.group}/{i}" if part.group else str(i)


TEXT, TEXTS, INDEX = "text", "a list of texts", "the index of an option"
KEYS = {
    "multiple_choice": {"query": TEXT, "choices": TEXTS, "gold": INDEX},
    "schema": {"context_options": TEXTS, "continuation": TEXT, "gold": INDEX},
    "language_modeling": {"context": TEXT, "continuation": TEXT},
    "generation": {"context": TEXT, "answer": TEXT},
    "code": {"task_id": TEXT, "entry_point": TEXT, "canonical_solution": TEXT},
}
OPTIONAL = {"generation": {"aliases": TEXTS, "chain_of_thought": TEXT}}


def checked(spec: TaskSpec, part: Part, i: int) -> Row:
    """One row, stripped, whose keys hold what the task's kind needs.

    Raises:
        DataMismatch: names task, row, key and what it should hold.
    """
    row = part.rows[i] if spec.kind == "code" else strip(part.rows[i])
    wanted = KEYS[spec.kind] | {k: v for k, v in OPTIONAL.get(spec.kind, {}).items() if k in row}
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
