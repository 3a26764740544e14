"""Is a function's output right? The comparison rule of evalplus 0.3.1, away from the program that made the output.

The outputs are hostile. Nothing here calls their methods unless their exact type is on the list of plain ones, and no
array is stretched to another's shape. Memory and time are bounded by the caller: `MemoryError` is let through, because
only the caller knows whether the machine or the value was at fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from types import ModuleType

Dataset: TypeAlias = Literal["humaneval", "mbpp"]

FLOAT_ATOL = 1e-6
"""Tolerance where the task gives none and the expected output is floats; it then stays for the inputs that follow."""

RTOL = 1e-07
"""Relative tolerance wherever there is an absolute one, as evalplus gives to `np.allclose`."""

LIMIT_S = 4.0
"""Least time for one call, seconds: evalplus at the pinned commit. The released 0.3.1 says 1."""

LIMIT_FACTOR = 4.0
"""Time for one call, as a multiple of what the reference solution took."""

TASK_LIMIT_S = 60.0
"""Most time for all calls of one task, seconds, before the one second of grace."""

NOTE_CHARACTERS = 300

ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes})
CONTAINERS = frozenset({list, tuple, set, frozenset})
NUMERIC_KINDS = frozenset("biufc")

ORACLES = {
    "humaneval": frozenset({"find_zero"}),
    "mbpp": frozenset({"are_equivalent", "sum_div", "surface_Area", "digit_distance_nums"}),
}
"""Functions whose output is not only compared with the expected one; two of evalplus's lists add to mbpp's."""


@dataclass(frozen=True, slots=True, eq=False)
class Opaque:
    """A value that could not travel. Equal to nothing, itself included; not None; not a bool.

    Attributes:
        kind: its type's name, as the untrusted side tells it.
    """

    kind: str = ""

    def __eq__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return id(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether one output is right.

    Attributes:
        atol: tolerance for the next input of the same task.
        note: why not, at most 300 characters; "" when it is right.
    """

    ok: bool
    atol: float
    note: str = ""


def compare(
    dataset: Dataset, entry_point: str, args: Sequence[Any], out: object, expected: object, atol: float
) -> Verdict:
    """Judge one output as `unsafe_execute` of evalplus 0.3.1 does.

    Args:
        dataset: which of evalplus's two.
        entry_point: the function's name, which picks the special oracle.
        args: the call's inputs, the judge's own copy: upstream hands its oracles what the program may have changed.
        out: what the program returned. Anything but exact plain types, numeric numpy and `Opaque` counts as `Opaque`.
        expected: what the reference returned; for evalplus's "not None" tasks, whether it was not None.
        atol: the task's tolerance for its first input, the previous verdict's for each later one.

    Returns:
        The verdict. An exception in comparing means wrong, as upstream. Upstream's `find_zero` branch forgets to
        record its success, so released evalplus fails every solution of HumanEval/32; here success counts.
    """
    out = out if is_plain(out) else Opaque(type(out).__name__)
    try:
        exact = _exact(dataset, entry_point, args, out, expected, atol)
    except MemoryError:
        raise
    except Exception as fault:
        return Verdict(ok=False, atol=atol, note=_note(out, expected, fault))
    if (dataset, entry_point) == ("humaneval", "find_zero"):
        return Verdict(ok=bool(exact), atol=atol, note="" if exact else _note(out, "a zero of the polynomial"))
    atol = next_atol(expected, atol)
    try:
        ok = bool(exact) or (atol != 0 and _close(out, expected, atol))
    except MemoryError:
        raise
    except Exception as fault:
        return Verdict(ok=False, atol=atol, note=_note(out, expected, fault))
    return Verdict(ok=ok, atol=atol, note="" if ok else _note(out, expected))


def next_atol(expected: object, atol: float) -> float:
    """The tolerance from this input on: evalplus raises it at the first floats expected and never lowers it again."""
    return FLOAT_ATOL if atol == 0 and _upstream().is_floats(expected) else atol


def digest_decisive(dataset: Dataset, entry_point: str, expected: object, atol: float) -> bool:
    """Whether nothing but `out == expected` can make this output right, so that digests can stand for the values.

    A digest must then agree with Python's `==`: 1, 1.0 and True are equal, so are 0.0 and -0.0, and sets and dicts have
    no order. One that tells those apart can still prove an output right, and must not be taken to prove one wrong.
    """
    return not has_oracle(dataset, entry_point) and next_atol(expected, atol) == 0 and _self_equal(expected)


def decisive_flags(dataset: Dataset, entry_point: str, expected: Sequence[object], atol: float) -> list[bool]:
    """`digest_decisive` for each input of a task in order, the tolerance carried from one to the next."""
    flags = []
    for value in expected:
        flags.append(digest_decisive(dataset, entry_point, value, atol))
        atol = next_atol(value, atol)
    return flags


def call_limits(reference_s: Sequence[float]) -> list[float]:
    """Seconds each call may take, from the reference's: evalplus's `untrusted_check`, least 4 s."""
    return [max(LIMIT_S, LIMIT_FACTOR * seconds) for seconds in reference_s]


def task_limit(limits: Sequence[float]) -> float:
    """Seconds all calls together may take: evalplus's `untrusted_check`."""
    return min(TASK_LIMIT_S, sum(limits)) + 1


def brief(value: object) -> str:
    """A short look at a value of any size: a few hundred characters are built at most, 150 returned."""
    return _brief(value, 2)[:150]


def is_plain(value: object) -> bool:
    """Whether a value is made of the types that may be compared, exactly: a subclass could bring its own `__eq__`."""
    return all(_plain_leaf(leaf) for leaf in _leaves(value))


def _leaves(value: Any) -> Iterator[Any]:
    """What is inside containers, keys included; without recursion, since the nesting may be deep."""
    stack = [value]
    while stack:
        item = stack.pop()
        if type(item) in CONTAINERS:
            stack.extend(item)
        elif type(item) is dict:
            stack.extend(item)
            stack.extend(item.values())
        else:
            yield item


def _plain_leaf(leaf: Any) -> bool:
    if type(leaf) in ATOMS or type(leaf) is Opaque:
        return True
    is_numpy = type(leaf) is np.ndarray or (isinstance(leaf, np.generic) and type(leaf).__module__ == "numpy")
    return is_numpy and leaf.dtype.kind in NUMERIC_KINDS


def _upstream() -> ModuleType:
    import evalplus.eval  # type: ignore[import-untyped, unused-ignore]

    return evalplus.eval  # type: ignore[no-any-return, unused-ignore]


def has_oracle(dataset: Dataset, entry_point: str) -> bool:
    """Whether more than equality and tolerance can make an output of this function right."""
    if entry_point in ORACLES[dataset]:
        return True
    upstream = _upstream()
    lists = (*upstream.MBPP_OUTPUT_SET_EQ_TASKS, *upstream.MBPP_OUTPUT_NOT_NONE_TASKS)
    return dataset == "mbpp" and entry_point in lists


def _self_equal(value: object) -> bool:
    """No NaN, nothing opaque, nothing of numpy's inside: a copy of the value would equal it."""
    return all(type(leaf) in ATOMS and leaf == leaf for leaf in _leaves(value))  # NaN is not itself


def _exact(dataset: Dataset, entry_point: str, args: Sequence[Any], out: Any, expected: Any, atol: float) -> object:
    """Equality with the special oracles over it; its truth may still be ambiguous, and then raises."""
    upstream = _upstream()
    exact = _masked(out) == _masked(expected)
    if dataset == "humaneval":
        return abs(upstream._poly(*args, out)) <= atol if entry_point == "find_zero" else exact
    if entry_point == "are_equivalent":
        return exact or True
    if entry_point == "sum_div":
        return exact or out == 0
    if entry_point == "surface_Area":
        return exact or abs(out - upstream._surface_Area(*args)) <= atol
    if entry_point == "digit_distance_nums":
        return exact or out == upstream._digit_distance_nums(*args)
    if entry_point in upstream.MBPP_OUTPUT_SET_EQ_TASKS:
        return set(out) == set(expected)
    if entry_point in upstream.MBPP_OUTPUT_NOT_NONE_TASKS:
        return out == expected if isinstance(out, bool) else expected == (out is not None)
    return exact


def _close(out: Any, expected: Any, atol: float) -> bool:
    """The tolerant comparison; unlike `np.allclose`, shapes must agree: [[1, 2], [1, 2]] is not [1, 2]."""
    if type(out) is not type(expected):
        return False
    if isinstance(expected, list | tuple) and len(out) != len(expected):
        return False
    if np.shape(out) != np.shape(expected):
        return False
    with np.errstate(all="ignore"):
        return bool(np.allclose(out, expected, rtol=RTOL, atol=atol))


class _Many:
    """An array of other than one element within `==`: comparing it is ambiguous, and raises where upstream does."""

    __slots__ = ("shape",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def __eq__(self, other: object) -> _Many:  # type: ignore[override]
        return _Many(np.broadcast_shapes(self.shape, np.shape(other)))  # type: ignore[call-overload, unused-ignore]

    def __bool__(self) -> bool:
        raise ValueError("the truth of an array comparison is ambiguous")


def _masked(value: Any) -> Any:
    """The value with each array of several elements replaced, so that none is ever stretched; most have none."""
    if not any(isinstance(leaf, np.ndarray) for leaf in _leaves(value)):
        return value
    if isinstance(value, np.ndarray):
        return value if value.size == 1 else _Many(value.shape)
    if isinstance(value, dict):
        return {key: _masked(item) for key, item in value.items()}
    return type(value)(_masked(item) for item in value)


def _note(out: object, expected: object, fault: Exception | None = None) -> str:
    reason = f"{type(fault).__name__}: " if fault else ""
    return f"{reason}returned {brief(out)}, expected {brief(expected)}"[:NOTE_CHARACTERS]


def _brief(value: Any, depth: int) -> str:
    kind = type(value)
    if kind in (str, bytes):
        return _brief_text(value)
    if kind is int:
        bits = value.bit_length()
        return repr(value) if bits <= 128 else f"<int of {bits} bits>"
    if kind in ATOMS:
        return repr(value)
    if kind in CONTAINERS or kind is dict:
        return _brief_container(value, depth)
    if isinstance(value, np.ndarray):
        return f"<array of {value.dtype}, shape {value.shape}>"
    if kind is Opaque:
        return f"<{value.kind[:60]}>"
    return repr(value) if isinstance(value, np.generic) and _plain_leaf(value) else f"<{kind.__name__[:60]}>"


def _brief_text(value: str | bytes) -> str:
    return repr(value[:24]) + (f"... ({len(value)} long)" if len(value) > 24 else "")


def _brief_container(value: Any, depth: int) -> str:
    if depth == 0:
        return "..."
    first = [item for item, _ in zip(value, range(3), strict=False)]
    inside = [_brief(k, depth - 1) for k in first]
    if isinstance(value, dict):
        inside = [f"{shown}: {_brief(value[k], depth - 1)}" for shown, k in zip(inside, first, strict=True)]
    if len(value) > 3:
        inside.append(f"... ({len(value)} long)")
    opening, closing = "[]" if type(value) is list else "()" if type(value) is tuple else "{}"
    return opening + ", ".join(inside) + closing
