"""A process that touches what programs returned, so that ours need not: it decodes, compares and sanitises.

Its memory is bounded, its time is watched from outside, and when it trips it is killed and made anew. It is asked in
frames of four bytes of length and JSON, and answers likewise.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import math
import select
import struct
import subprocess
import sys
import threading
from dataclasses import astuple
from typing import Any

from assay.sandbox.cell import values

MEMORY_BYTES = 4 << 30
START_S = 60.0
"""Most that a helper may take to come up."""
LIMIT_S = 30.0
"""Most that one comparison may take."""
SANITISE_S = 120.0
"""Most that sanitising one answer may take: its owners' algorithm is cubic in the lines."""
MAX_DEPTH = 2 * values.MAX_DEPTH
_NUMBERS = "int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 complex64 complex128"
DTYPES = frozenset(["bool", *_NUMBERS.split()])


class Tripped(Exception):
    """The helper ran out of time or memory over a request: what it was given can't be judged within bounds."""


class Judge:
    """A client of one helper process; start it once, ask it often. One thread at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, operation: str, *arguments: Any, limit_s: float = LIMIT_S) -> Any:
        """The helper's answer.

        Raises:
            Tripped: twice it overran its time or memory, or died; the next question finds a new one.
        """
        try:
            return self._ask([operation, *arguments], limit_s)
        except Tripped:  # once more, of a helper that is known to be up: the fault may have been the machine's
            self._ask(["ping"], START_S)
            return self._ask([operation, *arguments], limit_s)

    def _ask(self, question: list[Any], limit_s: float) -> Any:
        text = json.dumps(question).encode()
        try:
            process = self._process = self._process or _start()
            assert process.stdin is not None  # noqa: S101 - both are pipes
            assert process.stdout is not None  # noqa: S101
            process.stdin.write(struct.pack("!I", len(text)) + text)
            process.stdin.flush()
            poller = select.poll()
            poller.register(process.stdout, select.POLLIN)
            if not poller.poll(limit_s * 1000):
                raise Tripped(f"not judged within {limit_s:g} s")
            size = process.stdout.read(4)
            answer = process.stdout.read(struct.unpack("!I", size)[0]) if len(size) == 4 else b""
            if not answer:
                raise Tripped("not judged within its memory")
        except (Tripped, OSError) as error:
            self.close()
            raise error if isinstance(error, Tripped) else Tripped(f"the judging process failed: {error}") from None
        return json.loads(answer)

    def close(self) -> None:
        """End the helper."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


class Judges:
    """One judge a thread, closed together."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._all: list[Judge] = []

    def ask(self, operation: str, *arguments: Any, limit_s: float = LIMIT_S) -> Any:
        """As `Judge.ask`, of this thread's own."""
        judge: Judge | None = getattr(self._local, "judge", None)
        if judge is None:
            judge = self._local.judge = Judge()
            self._all.append(judge)
        return judge.ask(operation, *arguments, limit_s=limit_s)

    def close(self) -> None:
        """End them all."""
        for judge in self._all:
            judge.close()


def _start() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "assay.harness.judging"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - our own module


def decode(text: str) -> Any:
    """The value that a program's text stands for; `Opaque` where it is none or too much.

    Raises:
        MemoryError: it does not fit; the process is given up.
    """
    from assay.tasks.code.judge import Opaque

    try:
        return _revive(json.loads(text, parse_constant=_refuse, parse_int=_int), 0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        return Opaque(f"no value: {type(error).__name__}")


def _int(digits: str) -> int:
    """Long integers travel in hexadecimal: a long decimal one was not written by our encoder, and costs a square."""
    if len(digits) > 20:
        raise ValueError("too many digits")
    return int(digits)


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not how a value is written")


_COLLECTIONS: dict[str, Any] = {"t": tuple, "s": set, "z": frozenset}


def _revive(v: Any, depth: int) -> Any:
    from assay.tasks.code.judge import Opaque

    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(v, list):
        return [_revive(x, depth + 1) for x in v]
    if not isinstance(v, dict):
        return v
    ((key, x),) = v.items()
    if key == "o":
        return Opaque(str(x))
    if key == "n":
        return _dtype(x[0]).type(_revive(x[1], depth + 1))
    if key == "a":
        return _array(*x)
    if key in _COLLECTIONS:
        return _COLLECTIONS[key](_revive(y, depth + 1) for y in x)
    if key == "d":
        return {_revive(k, depth + 1): _revive(y, depth + 1) for k, y in x}
    if key == "c":
        return complex(_revive(x[0], depth + 1), _revive(x[1], depth + 1))
    return values.revive(v)


def _dtype(name: str) -> Any:
    import numpy as np

    if name not in DTYPES:
        raise ValueError(f"no numeric dtype: {name[:20]}")
    return np.dtype(name)


def _array(name: str, shape: list[int], content: str) -> Any:
    import numpy as np

    raw = base64.b64decode(content, validate=True)
    dtype = _dtype(name)
    if len(shape) > 32 or any(type(n) is not int or n < 0 for n in shape):
        raise ValueError("no shape")
    if math.prod(shape) * dtype.itemsize != len(raw):
        raise ValueError("shape and content disagree")
    return np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype).reshape(shape)


def _compare(dataset: Any, entry_point: str, args: str, out: str, expected: str, atol: float) -> tuple[bool, str]:
    """Whether an output is right, by the benchmark's rule; every side has its own copy."""
    from assay.tasks.code.judge import compare

    verdict = compare(dataset, entry_point, values.decode(args), decode(out), decode(expected), atol)
    return verdict.ok, verdict.note


def _sanitise(family: str, code: str, entry_point: str) -> str:
    from assay.tasks.code import bigcodebench_tasks, evalplus_tasks

    owner = bigcodebench_tasks if family == "bigcodebench" else evalplus_tasks
    return str(owner.sanitise(code, entry_point))


def _pal(dataset: Any, out: str, gold: str) -> tuple[Any, ...]:
    """Whether a value answers a maths problem (`pal_judge.Judged`); what the parsers say of hostile text is dropped."""
    from assay.tasks.code import pal_judge

    with contextlib.redirect_stderr(io.StringIO()):
        return astuple(pal_judge.judge(dataset, decode(out), gold))


OPERATIONS: dict[str, Any] = {"ping": lambda: "pong", "compare": _compare, "sanitise": _sanitise, "pal": _pal}


def main() -> None:
    """Answer until nobody asks."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr
    while len(size := source.read(4)) == 4:
        operation, *arguments = json.loads(source.read(struct.unpack("!I", size)[0]))
        answer = json.dumps(OPERATIONS[operation](*arguments)).encode()
        sink.write(struct.pack("!I", len(answer)) + answer)
        sink.flush()


if __name__ == "__main__":
    main()
