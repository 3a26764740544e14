"""Answers on disk before anything scores them: one line a shard, its sha256 in front."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from assay.harness import fingerprint
from assay.harness.files import StoreError, sync_folder
from assay.harness.records import answer_from_json, answer_json
from assay.tasks.types import Answer


@dataclass(frozen=True, slots=True)
class Journal:
    """One task's journal."""

    path: Path

    def keep(self, shard: int, answers: Sequence[Answer]) -> None:
        """Append one shard's answers; flushed and fsynced on return.

        Raises:
            OSError: the disk is full, say; what is torn is cut off by the next `answered`.
        """
        new = not self.path.exists()
        payload = fingerprint.canonical([shard, [answer_json(a) for a in answers]]).encode()
        with self.path.open("ab") as f:
            f.write(hashlib.sha256(payload).hexdigest().encode() + b" " + payload + b"\n")
            f.flush()
            os.fsync(f.fileno())
        if new:
            sync_folder(self.path.parent)

    def answered(self) -> dict[int, list[Answer]]:
        """Answers of every shard kept before; a last line torn by a kill is cut off.

        Raises:
            StoreError: a whole line was changed on disk.
        """
        shards, good = self._read()
        if self.path.is_file() and good < self.path.stat().st_size:
            os.truncate(self.path, good)
        return shards

    def peek(self) -> dict[int, list[Answer]]:
        """The same, of a journal that another process may be writing: the file stays as it is."""
        return self._read()[0]

    def _read(self) -> tuple[dict[int, list[Answer]], int]:
        """The shards, and the bytes of their lines."""
        shards: dict[int, list[Answer]] = {}
        good = 0
        for line in self._lines():
            shard = _parse(line)
            if shard is None:
                if line.endswith(b"\n"):
                    raise StoreError(f"{self.path}: changed on disk: a line fails its sha256; use --fresh")
                break
            good += len(line)
            shards[shard[0]] = shard[1]
        return shards, good

    def _lines(self) -> Iterator[bytes]:
        if self.path.is_file():
            with self.path.open("rb") as f:
                yield from f


def _parse(line: bytes) -> tuple[int, list[Answer]] | None:
    """Shard number and answers, or None when the line is not whole."""
    sha, _, payload = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or hashlib.sha256(payload).hexdigest().encode() != sha:
        return None
    number, entries = json.loads(payload)
    return number, [answer_from_json(e) for e in entries]
