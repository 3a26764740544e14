"""Unit tests that share a process with the code they test, and what is done so that the code can't fake their outcome.

What a test did is sent away the moment it is known, so nothing that happens later can take it back. Canaries, tests
that must fail, run between the others; their names lie in a pipe that is read after the code's own top level has run.
The machinery of `unittest` is compared with a picture taken before any foreign code ran: after the top level, after
each test method, and at the end. Whoever knows this file can still write a program that defeats it: see
docs/security.md. Semantics of honest tests are bigcodebench 0.2.5's (`unsafe_execute`).
"""

from __future__ import annotations

import builtins
import functools
import inspect
import io
import os
import random
import subprocess
import sys
import time
import traceback
import types
import unittest
from collections.abc import Callable
from typing import Any

from . import machinery, values
from .runner import Report, describe

MODULE = "__test__"
SECRET_FD = 4
MAX_TRACE = 1500

_TestCase, _TestLoader = unittest.TestCase, unittest.TestLoader
_ASSERTIONS: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("assertEqual", (0, 1)),
    ("assertEqual", ([0], [1])),
    ("assertEqual", ("a", "b")),
    ("assertEqual", ({"a": 0}, {"a": 1})),
    ("assertNotEqual", (1, 1)),
    ("assertTrue", (False,)),
    ("assertFalse", (True,)),
    ("assertIs", (0, None)),
    ("assertIsNone", (0,)),
    ("assertIsNotNone", (None,)),
    ("assertIn", (0, ())),
    ("assertNotIn", (0, (0,))),
    ("assertIsInstance", (0, str)),
    ("assertAlmostEqual", (0.0, 1.0)),
    ("assertGreater", (0, 1)),
    ("assertGreaterEqual", (0, 1)),
    ("assertLess", (1, 0)),
    ("assertLessEqual", (1, 0)),
    ("assertListEqual", ([0], [1])),
    ("assertTupleEqual", ((0,), (1,))),
    ("assertSetEqual", ({0}, {1})),
    ("assertDictEqual", ({0: 0}, {0: 1})),
    ("assertCountEqual", ([0], [1])),
    ("assertRegex", ("a", "b")),
    ("fail", ()),
)


class Result(unittest.TestResult):
    """Sends every outcome away at once; runs the next canary when a test has ended."""

    def __init__(self, report: Report, after: Callable[[], None]) -> None:
        super().__init__()
        self._tell, self._flush, self._after = report.line, report.flush, after

    def _say(self, mark: str, text: str) -> None:
        self._tell(mark + text)
        self._flush()

    def startTest(self, test: unittest.TestCase) -> None:
        self._say(">", _name(test))
        super().startTest(test)

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        self._after()

    def addSuccess(self, test: unittest.TestCase) -> None:
        self._say("+", _name(test))

    def _bad(self, test: Any, how: str, trace: str) -> None:
        self._say("-", values.dumps([_name(test), how, trace[-MAX_TRACE:]]))

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        self._bad(test, "failure", _trace(err))

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        self._bad(test, "error", _trace(err))

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self._bad(test, "skip", str(reason)[:200])

    def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:
        self._bad(test, "expected failure", _trace(err))

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        self._bad(test, "unexpected success", "")

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        if err is not None:
            self._bad(test, "failure", _trace(err))


def _name(test: Any) -> str:
    return str(getattr(test, "_testMethodName", None) or test)[:200].replace("\n", " ")


def _trace(err: Any) -> str:
    try:
        return "".join(_format(*err))
    except BaseException:
        return "(its trace can't be had)"


def _format(kind: Any, error: BaseException, trace: Any) -> list[str]:
    lines = traceback.extract_tb(trace)
    own = [f for f in lines if f.filename == MODULE + ".py"]
    shown = ["line %d in %s\n" % (f.lineno or 0, f.name) for f in own[-6:]]
    return [*shown, str(kind.__name__), ": ", str(error)[-MAX_TRACE:]]


class _Swallow(io.StringIO):
    """A stream that can be written to and never read, as bigcodebench gives programs; `tail` keeps the end."""

    def __init__(self) -> None:
        super().__init__()
        self.tail = ""

    def write(self, text: str) -> int:
        self.tail = (self.tail + text)[-2000:]
        return len(text)

    def read(self, *_: Any) -> str:
        raise OSError("standard input is not to be read")

    readline = readlines = read  # type: ignore[assignment]

    def readable(self) -> bool:
        return False


def run(job: dict[str, Any], report: Report) -> None:
    """Execute code and tests, run the tests, say what happened."""
    compare, ours, read, secret = machinery.changed, Result, os.read, SECRET_FD
    before = machinery.picture(ours)
    errors = _Swallow()
    sys.stdin = sys.stdout = _Swallow()
    sys.stderr = errors
    _pipes_by_default()
    module = types.ModuleType(MODULE)
    module.__dict__.update(
        {
            "__builtins__": builtins,
            "__file__": MODULE + ".py",
            "__package__": None,
            "__doc__": None,
            "sys": sys,
            "os": os,
            "environ": os.environ,
        }
    )
    namespace = module.__dict__
    try:
        compiled = compile(job["code"] + "\n" + job["test"], MODULE + ".py", "exec")
        exec(compiled, namespace)
        sys.modules[MODULE] = module
        cases = namespace["TestCases"]
        canaries = read(secret, 65536).decode().split()
        _run(cases, _codes(compiled), canaries, report, lambda: compare(before, ours))
    except BaseException as error:
        report.line("!" + describe(error))
    finally:
        report.flush()
    os.write(2, errors.tail.encode("utf-8", "backslashreplace"))


def _codes(code: Any) -> list[Any]:
    """Every code object inside of what we compiled."""
    inside = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return [*inside, *(c for one in inside for c in _codes(one))]


def _run(cases: Any, codes: list[Any], canaries: list[str], report: Report, changed_now: Callable[[], str]) -> None:
    tell, flush = report.line, report.flush
    ours: dict[str, Any] = {}

    def check() -> None:
        own = vars(cases)
        what = changed_now() or next((n for n, m in ours.items() if own.get(n) is not m), "")
        if what:
            tell("~" + values.dumps(what))
            flush()

    if not (isinstance(cases, type) and issubclass(cases, _TestCase)):
        tell("~" + values.dumps("TestCases is no unittest.TestCase"))
        return
    check()
    waiting = list(canaries)

    def after() -> None:
        if waiting and random.random() < 0.5:
            _canary(waiting.pop(), report)

    strange = _checked_after_each(cases, codes, check, ours)
    if strange:
        tell("~" + values.dumps(strange + " is not of the tests' source"))
        return
    suite = _TestLoader().loadTestsFromTestCase(cases)
    _canary(waiting.pop(), report)
    suite.run(Result(report, after))
    while waiting:
        _canary(waiting.pop(), report)
    check()
    tell("." + " ".join(canaries))


def _canary(name: str, report: Report) -> None:
    """A test that fails as long as every assertion still asserts."""

    def must_fail(self: unittest.TestCase) -> None:
        for method, arguments in _ASSERTIONS:
            try:
                getattr(self, method)(*arguments)
            except AssertionError:
                continue
            return
        self.assertEqual(name, "")

    made = type("Canary", (_TestCase,), {name: must_fail, "longMessage": False})
    made(name).run(Result(report, lambda: None))


def _checked_after_each(cases: Any, codes: list[Any], check: Callable[[], None], ours: dict[str, Any]) -> str:
    """Look at the machinery right after each test method, before a cleanup could put it back.

    Returns:
        the name of a test whose code is not the source's, or "".
    """
    for name in dir(cases):
        method = getattr(cases, name)
        if name.startswith("test") and inspect.isfunction(method) and not inspect.iscoroutinefunction(method):
            if not any(inspect.unwrap(method).__code__ is code for code in codes):
                return name
            ours[name] = _then(method, check)
            setattr(cases, name, ours[name])
    return ""


def _then(method: Callable[..., Any], check: Callable[[], None]) -> Callable[..., Any]:
    @functools.wraps(method)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        finally:
            check()

    return wrapped


def _pipes_by_default() -> None:
    """Bigcodebench runs subprocesses with their output piped unless the program says otherwise."""
    start, run_it = subprocess.Popen, subprocess.run

    def piped(kwargs: dict[str, Any]) -> dict[str, Any]:
        if kwargs.get("capture_output"):
            return {k: v for k, v in kwargs.items() if k not in ("stdout", "stderr")}
        return {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **kwargs}

    def popen(*args: Any, **kwargs: Any) -> Any:
        return start(*args, **piped(kwargs))

    def run_piped(*args: Any, **kwargs: Any) -> Any:
        return run_it(*args, **piped(kwargs))

    subprocess.Popen, subprocess.run = popen, run_piped  # type: ignore[assignment,misc]


def prepare() -> None:
    """In the zygote, before any program: what honest tests expect of their surroundings."""
    time.tzset()
    builtins.exit = builtins.quit = None  # type: ignore[assignment]
