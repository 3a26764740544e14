"""The child: runs one program as nobody in particular and reports on a pipe, a line a fact; the first, `r`, is ours.

Calls: `=MICROSECONDS TEXT` an output (`values.encode`), `#MICROSECONDS SHA256` the digest of a large one
(with an `f` after it if all of it is floats),
`!JSON` an exception ([type, message, where]), `T` a call overran its limit, `.` the end.
Tests: `>NAME` started, `+NAME` succeeded, `-JSON` did not ([name, how, trace]), `!JSON` nothing could run,
`~JSON` somebody touched the machinery, `.CANARIES` the end.
Script: what it prints travels as `=0 TEXT`; `!JSON` an exception, `.` the end.
Every line is hostile: the program shares this process. What it can't do is know what the host expects to read.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

from . import values

BUFFER = 32 * 1024
EVERY_S = 0.05
MAX_NOTE = 400


class CallTimeout(BaseException):
    """A call overran its limit. Not an Exception, so that a program's own handlers rarely catch it."""


class Report:
    """Lines on their way to the supervisor, sent when there are many or some time has passed."""

    def __init__(self, fd: int) -> None:
        self._fd, self._write, self._clock = fd, os.write, time.monotonic
        self._held: list[str] = []
        self._size, self._sent = 0, self._clock()

    def line(self, text: str) -> None:
        """Hold a line."""
        self._held.append(text)
        self._size += len(text)
        if self._size > BUFFER or self._clock() - self._sent > EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Send what is held."""
        if not self._held:
            return
        self._held.append("")
        data = memoryview("\n".join(self._held).encode("ascii", "backslashreplace"))
        self._held, self._size = [], 0
        while data:
            data = data[self._write(self._fd, data) :]
        self._sent = self._clock()


def describe(error: BaseException) -> str:
    """A bounded line on an exception whose methods may be hostile."""
    try:
        message = str(error)[:MAX_NOTE]
    except BaseException:
        message = "(its message can't be had)"
    try:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = "line %d in %s" % (frame.lineno or 0, frame.name)
    except BaseException:
        where = ""
    return values.dumps([str(type(error).__name__)[:80], str.__str__(message), where[:120]])


def calls(job: dict[str, Any], report: Report) -> None:
    """Run the code once, then call its function on each input (evalplus 0.3.1 `unsafe_execute`, without its judge)."""
    clock = time.perf_counter
    alarm = _Alarm(report)
    namespace: dict[str, Any] = {}
    try:
        exec(job["code"], namespace)
        call = namespace[job["entry_point"]]
        for given, limit, may_digest in zip(job["inputs"], job["call_s"], job["digest"]):
            arguments = values.revive(given)
            alarm.start(limit)
            try:
                begun = clock()
                out = call(*arguments)
                took = clock() - begun
            finally:
                alarm.stop()
            report.line(_output(out, took, may_digest))
    except CallTimeout:
        report.line("T")
    except BaseException as error:
        report.line("!" + describe(error))
    report.line(".")
    report.flush()


class _Alarm:
    """Ends a call that overruns; sends what is held before, so that a wrong answer is seen while the next hangs."""

    def __init__(self, report: Report) -> None:
        self._report, self._timer, self._clock = report, signal.setitimer, time.monotonic
        self._deadline = 0.0
        signal.signal(signal.SIGALRM, self._ring)

    def start(self, limit: float) -> None:
        """From now on a call may take so many seconds."""
        self._deadline = self._clock() + limit
        self._timer(signal.ITIMER_REAL, min(limit, EVERY_S))

    def stop(self) -> None:
        """The call has ended."""
        self._timer(signal.ITIMER_REAL, 0)

    def _ring(self, *_: Any) -> None:
        left = self._deadline - self._clock()
        if left <= 0:
            raise CallTimeout
        self._report.flush()
        self._timer(signal.ITIMER_REAL, left)


def _output(out: Any, took: float, may_digest: bool) -> str:
    stamp = "%d " % (took * 1e6)
    if may_digest:
        try:
            short = values.digest(out)
        except values.Undigestable:
            short = None
        if short is not None:
            return "#" + stamp + short + ("f" if values.floats(out) else "")
    return "=" + stamp + values.encode(out)


def script(job: dict[str, Any], report: Report) -> None:
    """Run source as a program of its own; what it prints is kept, up to the job's output limit."""
    stdin_r, stdin_w = os.pipe()
    os.write(stdin_w, job["stdin"].encode()[:65536])
    os.close(stdin_w)
    os.dup2(stdin_r, 0)
    sys.stdin = open(0, closefd=False)
    sys.stdout = _Lines(report)
    try:
        exec(compile(job["code"], "<program>", "exec"), {"__name__": "__main__", "__builtins__": __builtins__})
    except SystemExit:
        pass
    except BaseException as error:
        report.line("!" + describe(error))
    report.line(".")
    report.flush()


class _Lines:
    """A standard output whose text travels as lines of the report."""

    encoding = "utf-8"

    def __init__(self, report: Report) -> None:
        self._report = report

    def write(self, text: str) -> int:
        """Send the text."""
        if text:
            self._report.line("=0 " + values.dumps(str(text)))
        return len(text)

    def flush(self) -> None:
        """Nothing is held here."""

    def isatty(self) -> bool:
        """Never."""
        return False


def tests(job: dict[str, Any], report: Report) -> None:
    """Run the code and its unittest class in one module (bigcodebench 0.2.5 `unsafe_execute`), canaries among them."""
    from . import suite

    suite.run(job, report)


RUN: dict[str, Callable[[dict[str, Any], Report], None]] = {"calls": calls, "tests": tests, "script": script}


def main(body: bytes, result_fd: int) -> None:
    """Run the program of a job; leaves the process without its atexit handlers, which may be the program's."""
    leave, flush = os._exit, sys.stderr.flush
    job = json.loads(body)
    report = Report(result_fd)
    try:
        RUN[job["kind"]](job, report)
        flush()
    except BaseException:
        leave(3)
    leave(0)
