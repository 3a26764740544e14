"""A baseline as three small files, and back: values in, bytes out; nothing is read or written here.

items.bin.zst  scores of every item, task after task (`vectors.pack`)
ids.bin.zst    ids, categories and clusters likewise (`vectors.pack_ids`)
baseline.json  everything else: where each task's bytes lie, their hashes, and its own
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from assay.harness import fingerprint
from assay.harness.files import seal
from assay.harness.gating import vectors
from assay.harness.gating.types import Measured, Snapshot
from assay.tasks.types import UserError

SCHEMA_VERSION = 1
"""Of baseline.json."""
RECORD, ITEMS, IDS = "baseline.json", "items.bin.zst", "ids.bin.zst"
WRONG_FORM = (AttributeError, IndexError, KeyError, OverflowError, RecursionError, TypeError, ValueError)
"""What reading a file raises that has another form than ours, whoever wrote it."""


class BaselineDamaged(UserError):
    """A baseline's file is not as `promote` wrote it, or of another version."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Baseline:
    """A run that others are judged by, and who made it that: `by` whom, for what `reason`, `when` (UTC, ISO 8601)."""

    snapshot: Snapshot
    by: str
    reason: str
    when: str


def encoded(baseline: Baseline) -> dict[str, bytes]:
    """Content by file name, in the order in which they are to be written; equal baselines give equal bytes."""
    snapshot = baseline.snapshot
    tasks, items, ids = {}, b"", b""
    for task, m in sorted(snapshot.tasks.items()):
        encoding, scores = vectors.pack(m.scores)
        named = vectors.pack_ids(vectors.Named(ids=m.ids, groups=m.groups, clusters=m.clusters))
        tasks[task] = {
            **{k: getattr(m, k) for k in ("fingerprint", "value", "stderr", "n", "status", "higher_is_better")},
            "counts": dict(m.counts),
            "self_flips": snapshot.self_flips.get(task),
            "items": len(m.ids),
            "encoding": encoding,
            "items_at": [len(items), len(scores)],
            "items_sha256": _sha256(scores),
            "ids_at": [len(ids), len(named)],
            "ids_sha256": fingerprint.digest(m.ids),
        }
        items, ids = items + scores, ids + named
    frames = {ITEMS: vectors.compressed(items), IDS: vectors.compressed(ids)}
    sizes = {ITEMS: len(items), IDS: len(ids)}
    record = {
        "schema_version": SCHEMA_VERSION,
        **{k: getattr(snapshot, k) for k in ("run_id", "label", "series", "step", "created", "averaged")},
        **{k: getattr(baseline, k) for k in ("by", "reason", "when")},
        "settings": dict(snapshot.settings),
        "files": {f: {"bytes": len(z), "unpacked": sizes[f], "sha256": _sha256(z)} for f, z in frames.items()},
        "tasks": tasks,
    }
    return {**frames, RECORD: seal(record)}


def decoded(fetch: Callable[[str], bytes | None], where: str, name: str) -> Baseline | None:
    """A baseline from its files, every hash and length checked; None where it has no record.

    Args:
        fetch: a file's content, None where there is none.
        where: the files lie, for messages.
        name: that the snapshot is to have.

    Raises:
        BaselineDamaged: names the file and what is wrong with it.
    """
    content, file = fetch(RECORD), RECORD
    if content is None:
        return None
    try:
        record = _record(content)
        raw = {}
        for file in (ITEMS, IDS):
            raw[file] = _unpacked(fetch(file), record["files"][file])
        tasks = {}
        for task, entry in sorted(record["tasks"].items()):
            file = ITEMS
            scores = vectors.unpack(entry["encoding"], _part(raw[ITEMS], entry["items_at"]), entry["items"])
            _demand(_sha256(_part(raw[ITEMS], entry["items_at"])), entry["items_sha256"], f"the vector of '{task}'")
            file = IDS
            named = vectors.unpack_ids(_part(raw[IDS], entry["ids_at"]), entry["items"])
            _demand(fingerprint.digest(named.ids), entry["ids_sha256"], f"the ids of '{task}'")
            file = RECORD
            tasks[task] = _measured(entry, named, scores)
        file = RECORD
        return _baseline(record, name, tasks)
    except WRONG_FORM as error:
        what = f"'{error.args[0]}' is missing in it" if isinstance(error, KeyError) else str(error)
        raise BaselineDamaged(
            f"{where}/{file}: {what}; restore it from git, or promote a run anew (assay baseline promote)"
        ) from error


def _record(content: bytes) -> dict[str, Any]:
    """baseline.json, of a version that is known, unchanged since it was sealed."""
    try:
        record = dict(json.loads(content, parse_constant=_no_number))
    except WRONG_FORM as error:
        raise ValueError(f"not the JSON that was written ({error}), such as a merge that was not resolved") from error
    if record.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(
            f"schema version {record.get('schema_version')}, this assay reads {SCHEMA_VERSION}: use what wrote it"
        )
    wanted = record.pop("sha256")
    _demand(fingerprint.digest(record), wanted, "it was edited by hand")
    return record


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _unpacked(frame: bytes | None, written: Mapping[str, Any]) -> bytes:
    if frame is None:
        raise ValueError("it is missing")
    if len(frame) != written["bytes"]:
        raise ValueError(f"{len(frame)} bytes, {written['bytes']} were written")
    _demand(_sha256(frame), written["sha256"], "it was changed")
    return vectors.expanded(frame, written["unpacked"])


def _part(raw: bytes, place: tuple[int, int]) -> bytes:
    start, length = place
    return raw[start : start + length]


def _measured(entry: Mapping[str, Any], named: vectors.Named, scores: Any) -> Measured:
    return Measured(
        fingerprint=str(entry["fingerprint"]),
        value=_number(entry["value"]),
        stderr=_number(entry["stderr"]),
        n=int(entry["n"]),
        ids=named.ids,
        scores=scores,
        groups=named.groups,
        clusters=named.clusters,
        counts={str(k): int(v) for k, v in entry["counts"].items()},
        status=str(entry["status"]),
        higher_is_better=bool(entry["higher_is_better"]),
    )


def _baseline(record: Mapping[str, Any], name: str, tasks: Mapping[str, Measured]) -> Baseline:
    flips = {t: _number(entry["self_flips"]) for t, entry in record["tasks"].items()}
    snapshot = Snapshot(
        name=name,
        run_id=str(record["run_id"]),
        label=str(record["label"]),
        series=str(record["series"]),
        step=None if record["step"] is None else int(record["step"]),
        created=str(record["created"]),
        settings={str(k): str(v) for k, v in record["settings"].items()},
        tasks=tasks,
        averaged=int(record["averaged"]),
        self_flips={t: share for t, share in flips.items() if share is not None},
    )
    return Baseline(snapshot=snapshot, by=str(record["by"]), reason=str(record["reason"]), when=str(record["when"]))


def _number(value: Any) -> float | None:
    if not (value is None or isinstance(value, int | float)):
        raise TypeError(f"'{value}' is no number")
    return None if value is None else float(value)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _demand(found: str, wanted: Any, what: str) -> None:
    if found != wanted:
        raise ValueError(f"{what}: sha256 {found}, {wanted} was written")
