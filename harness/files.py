"""Files that survive a kill and notice a change."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from assay.harness import fingerprint
from assay.tasks.types import UserError


class StoreError(UserError):
    """A run directory can't be used as asked; the message says why and what to do."""


def write(path: Path, content: bytes) -> None:
    """Replace a file's content atomically: readers see the old file or the new one, whole, also after a power cut."""
    write_with(path, lambda p: p.write_bytes(content))


def write_with(path: Path, make: Callable[[Path], object]) -> None:
    """The same for a file that `make` writes."""
    fresh = path.with_name(path.name + ".new")
    make(fresh)
    with fresh.open("rb") as f:
        os.fsync(f.fileno())
    fresh.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make names that were added, replaced or removed in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def json_bytes(value: Any) -> bytes:
    """Readable JSON with sorted keys."""
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def seal(value: Mapping[str, Any]) -> bytes:
    """Readable JSON that carries the sha256 of its own canonical form."""
    plain = json.loads(json.dumps(value))  # tuples become lists, as they will be when read back
    return json_bytes({**plain, "sha256": fingerprint.digest(plain)})


def unseal(path: Path) -> dict[str, Any]:
    """What was sealed.

    Raises:
        StoreError: the file was changed since; names both hashes.
    """
    data = read_json(path)
    wanted = str(data.pop("sha256", "missing"))
    demand_sha256(path, fingerprint.digest(data), wanted)
    return data


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        StoreError: it is none.
    """
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise StoreError(f"{path}: changed on disk: not a JSON object ({error}); restore it, or use --fresh") from error


def demand_sha256(path: Path, found: str, wanted: str) -> None:
    """Refuse a file whose hash is not the one that was written down.

    Raises:
        StoreError: names both.
    """
    if found != wanted:
        raise StoreError(
            f"{path}: changed on disk since it was written: sha256 {found}, expected {wanted}; "
            "restore it, or measure again with --fresh"
        )
