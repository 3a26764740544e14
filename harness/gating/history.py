"""What gates have said: one file a verdict, `<store>/gates/<gate>/<created>-<run id>.json`, each a gate.json."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from assay.harness.files import StoreError, read_json, write
from assay.harness.gating import records
from assay.harness.gating.types import Report

FOLDER = "gates"
"""Of a store. No run lies in it: a run's folder has a plan.json."""
LONGEST = 80
"""Characters of a name that a file's name keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A store's history.

    Attributes:
        reports: newest first.
        left_out: why, by file below `gates`, of those that can't be read: torn, or of another schema.
    """

    reports: tuple[Report, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)


def record(store: Path, report: Report) -> Path:
    """Keep a verdict; nothing that is there is ever replaced.

    Raises:
        ValueError: `created` is no ISO 8601 time.
        OSError: the store can't be written (full, read-only).
    """
    folder = store / FOLDER / _named(report.gate)
    folder.mkdir(parents=True, exist_ok=True)
    created = datetime.fromisoformat(report.created).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    stem = f"{created}-{_named(report.candidate.run_id)}"
    with FileLock(folder / ".lock"):
        names = itertools.chain([stem], (f"{stem}-{n}" for n in itertools.count(2)))
        path = next(p for p in (folder / f"{name}.json" for name in names) if not p.exists())
        write(path, json.dumps(records.to_json(report), indent=1).encode())
    return path


def _named(text: str) -> str:
    """A name as part of a file's: the same where it is plain, else its plain part and a hash of all of it."""
    safe = re.sub(r"[^A-Za-z0-9._=+-]+", "_", text).lstrip(".")[:LONGEST]
    return safe if safe and safe == text else f"{safe}-{hashlib.sha256(text.encode(errors='replace')).hexdigest()[:8]}"


def read(store: Path) -> Recorded:
    """Every verdict that can be read; a store without any is an empty history."""
    found, left_out = [], {}
    for path in paths(store):
        try:
            found.append(read_file(path))
        except StoreError as error:
            left_out[key(path)] = str(error)
    return Recorded(reports=tuple(found), left_out=left_out)


def read_file(path: Path) -> Report:
    """One verdict.

    Raises:
        StoreError: the file is torn, gone, of another schema, or no verdict.
    """
    try:
        return records.from_json(read_json(path))
    except Exception as error:  # whatever a file holds, which may be anybody's, must not hide the others
        why = " ".join(str(error).split())[:300]
        raise StoreError(f"{path}: no verdict that can be read ({type(error).__name__}: {why})") from error


def paths(store: Path) -> list[Path]:
    """The files of a history, newest first; of one second, those written last first."""
    found = [(p.name[: len("20260131T235959Z")], _written(p), str(p), p) for p in (store / FOLDER).glob("*/*.json")]
    return [p for *_, p in sorted(found, reverse=True)]


def _written(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:  # removed meanwhile
        return 0


def key(path: Path) -> str:
    """How a verdict is spoken of: its file below `gates`, without its ending."""
    return f"{path.parent.name}/{path.stem}"


def false_blocks(alphas: Iterable[float]) -> tuple[float, float]:
    """What chance alone does: blocks that verdicts at these levels expect, and the probability of one or more.

    Of N at one α: α·N and 1 − (1 − α)^N, no checkpoint being worse than its baseline and no two verdicts depending on
    each other.
    """
    levels = list(alphas)
    return math.fsum(levels), 1 - math.prod(1 - alpha for alpha in levels)
