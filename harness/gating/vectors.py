"""A task's items in as few bytes as hold them: right and wrong as bits, ids as runs of numbers behind a prefix."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa

from assay.harness import fingerprint

Encoding: TypeAlias = Literal["bits", "float64"]
"""One bit an item, the first in the highest bit; or eight bytes, little-endian, NaN where there is no score."""
MOST = 1 << 28
"""Bytes that a file may unpack to; 240,464 items of 0 and 1 are 30,058."""
NUMBERED = re.compile(r"(.*?)(0|[1-9][0-9]{0,17})", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Ids of a task's items, sorted, with their categories and with what they share, as `Measured` has them."""

    ids: tuple[str, ...]
    groups: tuple[str, ...] | None = None
    clusters: tuple[str, ...] | None = None


def compressed(raw: bytes) -> bytes:
    """As one zstd frame; equal bytes give equal bytes."""
    return bytes(pa.Codec("zstd", compression_level=19).compress(raw, asbytes=True))


def expanded(frame: bytes, size: int) -> bytes:
    """The inverse of `compressed`.

    Raises:
        ValueError: it is no frame of `size` bytes, or of more than a baseline ever has.
    """
    if not 0 <= size <= MOST:
        raise ValueError(f"{size} bytes are more than {MOST}")
    try:
        return bytes(pa.Codec("zstd").decompress(frame, size, asbytes=True))
    except OSError as error:
        raise ValueError(str(error)) from error


def pack(scores: np.ndarray) -> tuple[Encoding, bytes]:
    """Scores as bytes, as bits where all are 0 or 1."""
    if bool(np.isin(scores, (0, 1)).all()):
        return "bits", np.packbits(scores == 1).tobytes()
    return "float64", scores.astype("<f8").tobytes()


def unpack(encoding: str, raw: bytes, items: int) -> np.ndarray:
    """Scores as float64 [items].

    Raises:
        ValueError: the bytes don't hold that many, or in another way.
    """
    if encoding not in ("bits", "float64"):
        raise ValueError(f"encoding '{encoding}' is not known")
    wanted = -(-items // 8) if encoding == "bits" else 8 * items
    if len(raw) != wanted:
        raise ValueError(f"{items} items as {encoding} take {wanted} bytes, not {len(raw)}")
    if encoding == "float64":
        return np.frombuffer(raw, "<f8").astype(np.float64)
    return np.unpackbits(np.frombuffer(raw, np.uint8), count=items).astype(np.float64)


def pack_ids(named: Named) -> bytes:
    """Ids, categories and clusters as JSON that compresses well.

    Of clusters it is kept which items share one; they come back called 1, 2, … in place of their names.
    """
    split = [NUMBERED.fullmatch(i) for i in named.ids]
    keys = [(m[1], int(m[2]), "") if m else (None, 0, i) for m, i in zip(split, named.ids, strict=True)]
    order = sorted(range(len(keys)), key=lambda i: (keys[i][0] is None, keys[i]))
    numbers: dict[str, list[int]] = {}
    for prefix, number, _ in (keys[i] for i in order):
        if prefix is not None:
            numbers.setdefault(prefix, []).append(number)
    data: dict[str, Any] = {"numbered": {prefix: _spans(found) for prefix, found in numbers.items()}}
    data["other"] = [named.ids[i] for i in order if keys[i][0] is None]
    if named.groups is not None:
        data["groups"] = _runs([named.groups[i] for i in order])
    if named.clusters is not None:
        data["clusters"] = _runs([named.clusters[i] for i in order]) | {"names": None}
    return fingerprint.canonical(data).encode()


def unpack_ids(raw: bytes, items: int) -> Named:
    """The inverse of `pack_ids`.

    Raises:
        ValueError: there are not so many, or one of them twice.
        KeyError, TypeError: the JSON has another form.
    """
    data = json.loads(raw)
    spans = [(p, start, n) for p, s in sorted(data["numbered"].items()) for start, n in _starts(s)]
    if sum(n for _, _, n in spans) + len(data["other"]) != items:
        raise ValueError(f"it names other than {items} items")
    ids = [f"{p}{i}" for p, start, n in spans for i in range(start, start + n)] + list(map(str, data["other"]))
    if len(set(ids)) != items:
        raise ValueError("it names an item twice")
    order = sorted(range(items), key=ids.__getitem__)

    def column(name: str) -> tuple[str, ...] | None:
        if name not in data:
            return None
        values = _values(data[name], items)
        return tuple(values[i] for i in order)

    return Named(ids=tuple(ids[i] for i in order), groups=column("groups"), clusters=column("clusters"))


def _spans(numbers: Sequence[int]) -> dict[str, list[int]]:
    """Ascending numbers as runs of neighbours: how far each begins behind the last one's end, and how many it has."""
    found = np.asarray(numbers, dtype=np.int64)
    starts = np.flatnonzero(np.diff(found, prepend=found[0] - 2) != 1)
    counts = np.diff(starts, append=len(found))
    gaps = found[starts] - np.concatenate(([0], (found[starts] + counts)[:-1]))
    return {"gaps": gaps.tolist(), "counts": counts.tolist()}


def _starts(spans: Mapping[str, Sequence[int]]) -> list[tuple[int, int]]:
    """First number and length of each run; the inverse of `_spans` but for the numbers themselves."""
    found, end = [], 0
    for gap, count in zip(spans["gaps"], spans["counts"], strict=True):
        if gap < 0 or count < 1:
            raise ValueError("its runs of numbers overlap")
        found.append((end + gap, count))
        end += gap + count
    return found


def _runs(values: Sequence[str]) -> dict[str, Any]:
    """Values as runs of the same: names in order of first appearance, steps from name to name, lengths."""
    places = {"": 0}
    codes = np.array([places.setdefault(v, len(places)) for v in values], dtype=np.int64)
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    steps = np.diff(codes[starts], prepend=0)
    return {"names": list(places), "steps": steps.tolist(), "counts": np.diff(starts, append=len(codes)).tolist()}


def _values(runs: Mapping[str, Any], items: int) -> list[str]:
    """The inverse of `_runs`; numbers where there are no names."""
    codes, counts = np.cumsum(runs["steps"], dtype=np.int64).tolist(), runs["counts"]
    if sum(counts) != items or min([*counts, *codes], default=0) < 0:
        raise ValueError(f"its runs are not of {items} items")
    names = runs["names"]
    spoken = [str(names[c]) if names is not None else str(c or "") for c in codes]
    return [name for name, count in zip(spoken, counts, strict=True) for _ in range(count)]
