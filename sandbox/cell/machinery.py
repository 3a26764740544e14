"""The machinery of `unittest` and the builtins: a picture of them as they were, and what has changed since."""

from __future__ import annotations

import builtins
import sys
import types
import unittest
import unittest.mock
from typing import Any

_WATCHED = (
    unittest.case.TestCase,
    unittest.case._Outcome,  # type: ignore[attr-defined]
    unittest.case._AssertRaisesContext,
    unittest.case._AssertRaisesBaseContext,
    unittest.case._BaseTestCaseContext,
    unittest.suite.BaseTestSuite,
    unittest.suite.TestSuite,
    unittest.loader.TestLoader,
    unittest.result.TestResult,
    unittest.mock.NonCallableMock,
    unittest.mock.CallableMixin,
    unittest.mock._patch,
)
_MODULES = (unittest, unittest.case, unittest.suite, unittest.loader, unittest.result, unittest.mock)


def picture(*ours: type) -> dict[tuple[str, str], Any]:
    """What honest code leaves as it is: the machinery's attributes, their code, and the builtins.

    Args:
        ours: classes of our own to look at as well.
    """
    found: dict[tuple[str, str], Any] = {}
    for owner in (*_WATCHED, *ours):
        for name, value in list(vars(owner).items()):
            if name != "_classSetupFailed":
                found[owner.__name__, name] = (value, getattr(value, "__code__", None))
    for module in _MODULES:
        for name, value in list(vars(module).items()):
            if isinstance(value, (type, types.FunctionType)) and str(value.__module__).startswith("unittest"):
                found[module.__name__, name] = (value, getattr(value, "__code__", None))
    for name, value in list(vars(builtins).items()):
        if name not in ("_", "exit", "quit", "help"):
            found["builtins", name] = (value, None)
    return found


def changed(before: dict[tuple[str, str], Any], *ours: type) -> str:
    """The first thing that is not as in the picture, or ""."""
    now = picture(*ours)
    for key, (value, code) in before.items():
        other = now.get(key)
        if other is None or other[0] is not value or other[1] is not code:
            return ".".join(key)
    if sys.modules.get("unittest") is not unittest or sys.gettrace() is not None or sys.getprofile() is not None:
        return "sys.modules or a trace function"
    return ""
