"""Files that must be what a spec pins: nothing is used before its hash agrees."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import random
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import overload

from assay.tasks.spec import Data
from assay.tasks.types import Row, UserError

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


def git_blob(content: bytes) -> str:
    """What `git hash-object` prints for a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


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
