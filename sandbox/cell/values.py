"""Plain values as JSON text that keeps their types, and digests of those too large to travel.

JSON's own null, booleans, strings, lists and numbers (integers below 10**15, finite floats) stand for themselves.
Everything else is an object with one key: {"i": hex} integer, {"f": "nan"|"inf"|"-inf"}, {"t": [...]} tuple,
{"s": [...]} set, {"z": [...]} frozenset, {"d": [[key, value], ...]} dict, {"b": base64} bytes, {"c": [re, im]} complex,
{"n": [dtype, value]} numpy scalar, {"a": [dtype, shape, base64]} numpy array, {"o": type name} anything else. Sets and
dicts are sorted by their elements' text, so equal values mostly have equal texts. Subclasses are reduced to their base.
"""

from __future__ import annotations

import base64
import hashlib
import json
import marshal
import math
from array import array
from collections.abc import Iterator
from typing import Any

LARGE = 16 * 1024
"""Characters from which an output may travel as a digest."""
SMALL = 10**15
PIECE = 4096
EXACT = 2**53
NEGATIVE_ZERO = bytes(7) + bytes([128])
MAX_DEPTH = 200
NUMERIC = ("b", "i", "u", "f", "c")
"""numpy's kinds of dtype that travel: bool, integers, floats, complex."""
_PLAIN = frozenset((str, bool, type(None)))

dumps = json.JSONEncoder(ensure_ascii=True, check_circular=False, allow_nan=False, separators=(",", ":")).encode


class Undigestable(Exception):
    """A value whose equality a digest can't stand for: NaN, numpy, opaque."""


def encode(value: Any) -> str:
    """One line of ASCII. Raises RecursionError only where the stack is nearly used up already."""
    return dumps(_plain(value, 0))


def _plain(v: Any, depth: int) -> Any:  # noqa: C901 - one case a type
    t = type(v)
    if t in _PLAIN:
        return v
    if t is int:
        return v if -SMALL < v < SMALL else {"i": hex(v)}
    if t is float:
        return v if v - v == 0.0 else {"f": repr(v)}
    if depth > MAX_DEPTH:
        return {"o": "nested too deeply"}
    if t is list:
        return v if _as_it_is(v) else [_plain(x, depth + 1) for x in v]
    if t is tuple:
        return {"t": [_plain(x, depth + 1) for x in v]}
    if issubclass(t, (set, frozenset)):
        mutable = issubclass(t, set)
        items = [_plain(x, depth + 1) for x in (set if mutable else frozenset).__iter__(v)]
        return {"s" if mutable else "z": sorted(items, key=dumps)}
    if issubclass(t, dict):
        pairs = [[_plain(k, depth + 1), _plain(x, depth + 1)] for k, x in dict.items(v)]
        return {"d": sorted(pairs, key=_first)}
    if issubclass(t, (bytes, bytearray)):
        return {"b": base64.b64encode(v).decode("ascii")}
    if t.__module__ == "numpy":
        return _numpy(v)
    if issubclass(t, complex):
        return {"c": [_plain(v.real, depth), _plain(v.imag, depth)]}
    for base, reduced in _BASES:
        if issubclass(t, base):
            return _plain(reduced(v), depth)
    return {"o": str(t.__name__)[:100]}


_BASES = (
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (list, lambda v: list.__getitem__(v, slice(None))),
    (tuple, lambda v: tuple.__getitem__(v, slice(None))),
)


def _first(pair: list[Any]) -> str:
    return dumps(pair[0])


def _as_it_is(v: list[Any]) -> bool:
    """Whether JSON can take a list without looking at each element in Python: the common large outputs."""
    kinds: set[type] = set(map(type, v))
    if kinds <= _PLAIN:
        return True
    if kinds == {int}:
        return bool(min(v) > -SMALL and max(v) < SMALL)
    return bool(kinds == {float} and all(map(math.isfinite, v)))


def _numpy(v: Any) -> Any:
    """Numeric scalars and arrays; anything else of numpy is opaque."""
    dtype: Any = getattr(v, "dtype", None)
    if getattr(dtype, "kind", "") not in NUMERIC or type(v).__name__ in ("matrix", "recarray", "MaskedArray"):
        return {"o": "numpy." + str(type(v).__name__)[:80]}
    if type(v).__name__ == "ndarray":
        raw = base64.b64encode(v.astype(dtype.newbyteorder("<")).tobytes()).decode("ascii")
        return {"a": [dtype.name, list(v.shape), raw]}
    item = v.item()
    return {"o": "numpy." + dtype.name} if type(item) is type(v) else {"n": [dtype.name, _plain(item, 0)]}


def digest(value: Any) -> str | None:
    """A digest for a large value, equal exactly for values that Python calls equal; None for a small one.

    Raises:
        Undigestable: it holds NaN, a numpy array or something opaque, and so equals no value that holds none of these.
    """
    if not _large(value):
        return None
    base = next((b for b in (list, tuple) if issubclass(type(value), b)), None)
    value = base.__getitem__(value, slice(None)) if base else value
    whole = hashlib.sha256(type(value).__name__.encode() if type(value) in (list, tuple) else b"")
    for part in _parts(value):
        whole.update(marshal.dumps(_canonical(part, 0), 2))
    return whole.hexdigest()


def floats(value: Any) -> bool:
    """Whether evalplus 0.3.1 compares it with a tolerance (`is_floats`, but for numpy's arrays)."""
    return type(value) is float or (type(value) in (list, tuple) and set(map(type, value)) == {float})


def _parts(value: Any) -> Iterator[Any]:
    """A long list in pieces, so that its canonical form need not stand beside it in memory."""
    if type(value) not in (list, tuple):
        yield value
        return
    for at in range(0, len(value), PIECE):
        yield value[at : at + PIECE]


def _large(v: Any) -> bool:
    size, stack = 0, [v]
    while stack and size < LARGE:
        x = stack.pop()
        size += 1
        numpy = type(x).__module__ == "numpy" and not issubclass(type(x), _SIZED)
        if numpy or issubclass(type(x), (int, float)):
            size += _digits(x)
            continue
        base = next((b for b in _SIZED if issubclass(type(x), b)), None)
        if base is not None:
            size += base.__len__(x)
            if base in (list, tuple) and size < LARGE:
                stack.extend(base.__iter__(x))
    return size >= LARGE


_SIZED: tuple[Any, ...] = (str, bytes, bytearray, list, tuple, set, frozenset, dict)


def _digits(x: Any) -> int:
    """How long a number is in hexadecimal: the same for numbers that are equal, whatever their types."""
    if type(x).__module__ == "numpy":
        x = x.item() if getattr(x, "shape", None) == () and hasattr(x, "item") else None
    if issubclass(type(x), float):
        x = int(x) if math.isfinite(x) and float.is_integer(x) else 0
    return int.bit_length(x) // 4 if issubclass(type(x), int) else 0


def _canonical(v: Any, depth: int) -> Any:  # noqa: C901 - one case a type
    """One form for values that are equal: 1, 1.0, True and 1+0j are all 1; sets and dicts are sorted by their form.

    `...`, which no value has for its form, marks the forms that are not the value itself.
    """
    t = type(v)
    if t is str or t is int or v is None:
        return v
    if depth > MAX_DEPTH:
        raise Undigestable
    if t is list or t is tuple:
        kinds = set(map(type, v))
        if kinds <= {int, float, bool}:
            return _numbers(t, v)
        if kinds <= {int, str}:
            return v
        items = [_canonical(x, depth + 1) for x in v]
        return _numbers(t, items) if set(map(type, items)) <= {int, float} else t(items)
    if issubclass(t, float):
        if v != v:
            raise Undigestable
        return int(v) if float.is_integer(v) else float.__float__(v)
    if issubclass(t, complex):
        return _canonical(v.real, depth) if v.imag == 0 else (..., _canonical(v.real, depth), _canonical(v.imag, depth))
    if issubclass(t, (set, frozenset)):
        return (..., "set", sorted(marshal.dumps(_canonical(x, depth + 1), 2) for x in v))
    if issubclass(t, dict):
        pairs = ((_canonical(k, depth + 1), _canonical(x, depth + 1)) for k, x in dict.items(v))
        return (..., "dict", sorted(marshal.dumps(p, 2) for p in pairs))
    if issubclass(t, (bytes, bytearray)):
        return bytes(v)
    if t.__module__ == "numpy" and getattr(v, "shape", None) == () and hasattr(v, "item"):
        return _canonical(v.item(), depth + 1)
    for base, reduced in _BASES:
        if issubclass(t, base):
            return _canonical(int(v) if t is bool else reduced(v), depth + 1)
    raise Undigestable


def _numbers(kind: type, v: Any) -> Any:
    """A long list of real numbers: as doubles where all are exact so, which depends on their values alone."""
    if v and min(v) >= -EXACT and max(v) <= EXACT:
        doubles = array("d", v)
        total = sum(doubles)
        if total == total:
            raw = doubles.tobytes()
            if NEGATIVE_ZERO in raw:
                raw = array("d", [x + 0.0 for x in doubles]).tobytes()
            return (..., kind.__name__, raw)
    if any(x != x for x in v):
        raise Undigestable
    return kind([x if x.__class__ is int else int(x) if float(x).is_integer() else x for x in v])


def decode(text: str) -> Any:
    """The value of a text that we wrote ourselves: arguments on their way in.

    Raises:
        ValueError: not such a text.
    """
    return revive(json.loads(text))


def revive(v: Any) -> Any:
    """Values from JSON; numpy's forms and opaque ones raise ValueError (`harness.judging` knows them)."""
    if type(v) is list:
        return v if set(map(type, v)) <= _SCALARS else [revive(x) for x in v]
    if type(v) is not dict:
        return v
    if len(v) != 1:
        raise ValueError("an object stands for a value by its one key")
    ((key, x),) = v.items()
    if key not in _REVIVE:
        raise ValueError("no value is written as " + repr(key)[:20])
    return _REVIVE[key](x)


_SCALARS = frozenset((str, bool, type(None), int, float))
_REVIVE: dict[str, Any] = {
    "i": lambda x: int(x, 16),
    "f": lambda x: {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[x],
    "t": lambda x: tuple(map(revive, x)),
    "s": lambda x: set(map(revive, x)),
    "z": lambda x: frozenset(map(revive, x)),
    "d": lambda x: {revive(k): revive(y) for k, y in x},
    "b": lambda x: base64.b64decode(x, validate=True),
    "c": lambda x: complex(revive(x[0]), revive(x[1])),
}
