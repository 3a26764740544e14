"""BigCodeBench as its own package asks it, version 0.2.5: prompts, stop strings, sanitised and calibrated solutions."""

from __future__ import annotations

import ast
import threading
from typing import TYPE_CHECKING, Literal

from assay.tasks.code.evalplus_tasks import CHAT_STOP, INSTRUCTION, RESPONSE, Chat, guarded
from assay.tasks.code.evalplus_tasks import HUMANEVAL_STOP as STOP
from assay.tasks.types import Row

if TYPE_CHECKING:
    from tree_sitter import Node

__all__ = [
    "CHAT_STOP",
    "MAX_NEW_TOKENS",
    "STOP",
    "calibrated",
    "chat_messages",
    "prompt",
    "sanitise",
    "test_names",
    "wall_limit",
]

MAX_NEW_TOKENS = 1280

LIMIT_S = 240.0
"""Time for all tests of a task, seconds, before one second of grace: `TIMEOUT_LIMIT` of bigcodebench.eval.utils."""

LEAST_S = 1.0
"""The evaluator's `min_time_limit`."""

REFERENCE_S = 20.0
"""What the evaluator takes the reference's time to be when it is not known."""

_PARSING = threading.Lock()
"""CPython 3.11's `ast.parse` may raise SystemError when several threads parse (a recursion counter they share)."""

Split = Literal["complete", "instruct"]


def prompt(row: Row, split: Split) -> str:
    """The task's text, as it is: `generate.py` strips nothing by default. "instruct" is for chat models only."""
    return str(row[f"{split}_prompt"])


def chat_messages(row: Row, split: Split) -> Chat:
    """The chat form, `make_raw_chat_prompt`: only the complete split's text is fenced."""
    text = prompt(row, split).strip()
    asked = f"```\n{text}\n```" if split == "complete" else text
    return Chat(user=f"{INSTRUCTION}\n{asked}\n", prefill=f"{RESPONSE}\n```python\n")


def calibrated(row: Row, solution: str) -> str:
    """The program that is tested: a stub with the task's imports, which the solution's own function then replaces."""
    return f"{row['code_prompt']}\n    pass\n{solution}"


def wall_limit(reference_s: float | None) -> float:
    """Seconds the tests may take: 241 unless the reference took over 240. Upstream's `untrusted_check`."""
    return max(LIMIT_S, LEAST_S, reference_s or REFERENCE_S) + 1


def sanitise(code: str, entry_point: str) -> str:
    """The part of an answer that counts: BigCodeBench 0.2.5's `sanitize`, made of evalplus's parts.

    Unlike evalplus's it strips the text first, keeps functions without a return statement, and of the unindented lines
    at the end drops all from the first that names the function. `guarded` bounds what it is given.
    """
    return guarded(lambda text: _target(text, entry_point).strip() or _extract(text), code)


def _target(code: str, entry_point: str) -> str:
    """Imports and all definitions the function may use, the first of each name: `extract_target_code_or_empty`."""
    import tree_sitter_python
    from evalplus.sanitize import get_deps, get_function_dependency  # type: ignore[import-untyped, unused-ignore]
    from tree_sitter import Language, Parser

    source = _extract(code.strip()).encode()
    children = Parser(Language(tree_sitter_python.language())).parse(source).root_node.children
    imports = [node for node in children if node.type in ("import_statement", "import_from_statement")]
    definitions: dict[str | None, Node] = {}
    for node in children:
        for name, defined in _definition(node):
            definitions.setdefault(name, defined)
    used = get_function_dependency(entry_point, get_deps(list(definitions.items())))
    kept = imports + [node for name, node in definitions.items() if name in used]
    return _without_calls("\n".join(source[n.start_byte : n.end_byte].decode() for n in kept), entry_point)


def _definition(node: Node) -> list[tuple[str | None, Node]]:
    """The name a top-level statement defines with what defines it, if it is a class, a function or an assignment."""
    from evalplus.sanitize import get_definition_name

    if node.type == "expression_statement" and node.children[0].type == "assignment":
        node = node.children[0]
    elif node.type not in ("class_definition", "function_definition"):
        return []
    return [(get_definition_name(node), node)]


def _extract(text: str) -> str:
    """What evalplus's `code_extract` gives, at once where the whole text parses rather than after all of its ranges."""
    from evalplus.sanitize import code_extract
    from evalplus.syncheck import syntax_check  # type: ignore[import-untyped, unused-ignore]

    lines = text.split("\n")
    full = [at for at, line in enumerate(lines) if line.strip()]
    if full:
        for last in range(max(full[-1], 1), len(lines)):
            if syntax_check(head := "\n".join(lines[: last + 1])):
                return head
    return str(code_extract(text))


def _without_calls(code: str, entry_point: str) -> str:
    """Cut before the first line at the end, none of them indented, that names the function."""
    lines = code.splitlines()
    at = len(lines)
    for index in range(len(lines) - 1, -1, -1):
        if lines[index].startswith(" "):
            break
        if entry_point in lines[index]:
            at = index
    return "\n".join(lines[:at]) if at < len(lines) else code


def test_names(test_source: str) -> tuple[str, ...]:
    """Tests that unittest's loader finds in the class `TestCases` of this source, in the order it runs them.

    Methods only, inherited ones too where the base is of the same source: a class variable `test_data` is no test.
    """
    with _PARSING:
        body = ast.parse(test_source).body
    classes = {node.name: node for node in body if isinstance(node, ast.ClassDef)}
    methods = _methods("TestCases", classes)
    return tuple(sorted(name for name in methods if name.startswith("test")))


def _methods(name: str, classes: dict[str, ast.ClassDef]) -> set[str]:
    if name not in classes:
        return set()
    found = classes[name]
    others = {key: node for key, node in classes.items() if key != name}
    bases = [base.id for base in found.bases if isinstance(base, ast.Name)]
    own = {n.name for n in found.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
    return own.union(*(_methods(base, others) for base in bases))


test_names.__test__ = False  # type: ignore[attr-defined] # pytest would take it for a test
