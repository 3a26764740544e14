"""What is run, within which limits, and what comes back. Knows nothing of benchmarks or models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Ended: TypeAlias = Literal["ok", "exception", "timeout", "memory", "crash", "output_limit", "stopped"]
"""How a program ended. `ok`: it left through our epilogue. `exception`: it raised, and that was reported.
`timeout`: a call's limit or the wall clock. `crash`: it died or left without a report. `stopped`: by `Job.watch`."""

Image: TypeAlias = Literal["core", "bigcodebench"]


class SandboxUnavailable(Exception):
    """The machine's fault, never the program's: no engine, no image, a cell that broke. The message has a remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """Call one function many times; its outputs come back, the right answers never go in.

    Attributes:
        inputs: one JSON text an input, a list of arguments (`cell.values.encode`).
        call_s: limit of each call, seconds; the first that overruns ends the program.
        digest: where True, an output of more than `cell.values.LARGE` bytes comes back as a digest.
    """

    code: str
    entry_point: str
    inputs: tuple[str, ...]
    call_s: tuple[float, ...]
    digest: tuple[bool, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tests:
    """Run a `unittest` class that shares a process with the code, among canaries that must fail.

    Attributes:
        test: source that defines `TestCases`; executed after `code`, in one module.
        canaries: unguessable names of tests that our runner adds and that fail, if nobody has touched `unittest`.
    """

    code: str
    test: str
    canaries: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """Run source as `__main__`; what it prints comes back."""

    code: str
    stdin: str = ""


Program: TypeAlias = Calls | Tests | Script


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One program and its limits.

    Attributes:
        wall_s: seconds until it is killed from outside.
        expect_s: how long it is known to take; the longest are started first.
        output_mib: most it may send back.
        watch: called with each line as it comes back (`cell.runner` has the format), on the cell's thread; False
            stops the program, whose answer is decided.
        begin: called before each attempt: where a cell broke, the next one's lines come from the first again.
    """

    key: str
    image: Image
    program: Program
    wall_s: float
    expect_s: float = 0.0
    output_mib: int = 64
    watch: Callable[[bytes], bool] | None = None
    begin: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a program did. All of it is hostile: nothing here may be unpickled, evaluated or shown unescaped.

    Attributes:
        lines: what came back, in the order it came; `cell.runner` has the format. Empty where `watch` took them.
        note: the exception, or what killed it; at most 500 characters.
        stderr: the last 2,000 characters.
        wall_s, cpu_s: seconds. memory_mib: peak resident set of the process.
    """

    key: str
    ended: Ended
    lines: tuple[bytes, ...] = ()
    note: str = ""
    stderr: str = ""
    wall_s: float = 0.0
    cpu_s: float = 0.0
    memory_mib: float = 0.0
