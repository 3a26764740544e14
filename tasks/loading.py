"""The strict loader of spec files: a fault is named by file, line, key and the nearest valid name."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from assay.tasks.spec import (
    Baseline,
    Cluster,
    Code,
    Composite,
    Data,
    Draws,
    LmEval,
    Rebuilt,
    SpecFile,
    Suite,
    TaskSpec,
)
from assay.tasks.types import UserError


class TaskSpecError(UserError):
    """A spec file is wrong; the message names file, line, key and the nearest valid name."""


SECTIONS = {"tasks": TaskSpec, "suites": Suite, "composites": Composite}
Lines = dict[tuple[str | int, ...], int]


def load(path: Path) -> SpecFile:
    """Read one spec file.

    Raises:
        TaskSpecError: unknown or missing key, wrong type, bad YAML, duplicate key; names file, line and key.
    """
    document, lines = plain_yaml(path)
    if not isinstance(document, dict):
        raise TaskSpecError(f"{path}:1: a spec file is a mapping with {_listed(SECTIONS)}")
    defaults = document.pop("defaults", None) or {}
    if not isinstance(defaults, dict):
        raise TaskSpecError(f"{path}:{lines[('defaults',)]}: 'defaults' must be a mapping of keys to values")
    for key in document:
        if key not in SECTIONS:
            where = f"{path}:{lines[(key,)]}"
            raise TaskSpecError(f"{where}: unknown section '{key}'{nearest(key, SECTIONS)}")
    return SpecFile(
        tasks=tuple(_rows(TaskSpec, "tasks", document, lines, path, defaults)),
        suites=tuple(_rows(Suite, "suites", document, lines, path, {})),
        composites=tuple(_rows(Composite, "composites", document, lines, path, {})),
    )


def is_lm_eval(path: Path) -> bool:
    """Whether a YAML file is a task or group in lm-eval's form, which `lm_eval:NAME` reads, and no spec file."""
    try:
        root = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(path.read_text(encoding="utf-8")).get_single_node()
    except (UnicodeDecodeError, yaml.YAMLError):
        return False
    keys = {str(k.value) for k, _ in root.value} if isinstance(root, yaml.MappingNode) else set()
    return bool(keys & {"task", "group"}) and not keys & SECTIONS.keys()


def _rows(
    cls: type[Any], section: str, document: dict[str, Any], lines: Lines, path: Path, defaults: Any
) -> Iterable[Any]:
    rows = document.get(section) or []
    if not isinstance(rows, list):
        raise TaskSpecError(f"{path}:{lines[(section,)]}: '{section}' must be a list")
    adapter = _adapter(cls)
    for i, row in enumerate(rows):
        at = (section, i)
        if not isinstance(row, dict):
            raise TaskSpecError(f"{path}:{lines[at]}: a row of '{section}' must be a mapping")
        full = {**defaults, **row, "source": f"{path}:{lines[at]}"}
        try:
            yield adapter.validate_json(json.dumps(full))
        except (TypeError, ValueError) as error:
            if not isinstance(error, ValidationError):
                raise TaskSpecError(f"{path}:{lines[at]}: a value is no text, number or list: quote it") from None
            raise TaskSpecError(_explain(error, cls, row, at, lines, path)) from None


def _explain(
    error: ValidationError,
    cls: type[Any],
    row: dict[str, Any],
    at: tuple[str | int, ...],
    lines: Lines,
    path: Path,
) -> str:
    """The first fault, in one line: file, line, row, key, what is wrong, nearest valid name."""
    fault = error.errors()[0]
    loc = tuple(fault["loc"])
    key = str(loc[-1]) if loc else "?"
    line = next((lines[at + loc[:n]] for n in range(len(loc), -1, -1) if at + loc[:n] in lines), lines[at])
    where = f"{path}:{line}: {at[0]} '{row.get('name', '?')}'"
    if fault["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"{where}: unknown key '{key}'{nearest(key, _keys(cls, loc[:-1]))}"
    if fault["type"] in ("missing", "missing_argument"):
        return f"{where}: missing key '{'.'.join(map(str, loc))}'"
    dotted = ".".join(map(str, loc))
    hint = nearest(str(fault["input"]), get_args(get_type_hints(cls).get(key, str)))
    return f"{where}: key '{dotted}': {fault['msg']} (got {fault['input']!r}){hint}"


def _keys(cls: type[Any], loc: tuple[str | int, ...]) -> list[str]:
    """Valid keys of the (possibly nested) dataclass that `loc` points into."""
    for part in loc:
        hint = get_type_hints(cls).get(str(part))
        cls = next((t for t in (hint, *get_args(hint)) if isinstance(t, type) and is_dataclass(t)), cls)
    return [f.name for f in fields(cls) if f.name not in ("source", "draws")]


def nearest(word: str, known: Iterable[Any]) -> str:
    """The valid name that is meant, or all of them, as the end of a message."""
    known = [k for k in known if isinstance(k, str)]
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; valid: {_listed(known)}" if known else ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}


def _adapter(cls: type[Any]) -> TypeAdapter[Any]:
    if cls not in _ADAPTERS:
        parts = (Baseline, Rebuilt, Data, Cluster, Code, LmEval, Draws, TaskSpec, Suite, Composite)
        _ADAPTERS[cls] = strict_adapter(cls, parts)
    return _ADAPTERS[cls]


def strict_adapter(cls: type[Any], parts: Iterable[type[Any]]) -> TypeAdapter[Any]:
    """A reader of a dataclass that refuses unknown keys and other types, in each of its parts too."""
    for part in parts:
        setattr(part, "__pydantic_config__", ConfigDict(extra="forbid", strict=True))  # noqa: B010 - no field of theirs
    return TypeAdapter(cls)


def plain_yaml(path: Path) -> tuple[Any, Lines]:
    """Parse YAML to plain values, and remember the line of every key and item."""
    lines: Lines = {(): 1}
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise TaskSpecError(f"{path}:1: not UTF-8 text: {error}") from None
    try:
        root = loader.get_single_node()
        return (_plain(root, (), lines, loader, path) if root else {}), lines
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or error
        raise TaskSpecError(f"{path}:{line}: not valid YAML: {problem}") from None
    except RecursionError:
        raise TaskSpecError(f"{path}:1: an alias (*name) stands inside its own anchor (&name)") from None
    finally:
        loader.dispose()


def _plain(node: Any, at: tuple[str | int, ...], lines: Lines, loader: Any, path: Path) -> Any:
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*at, i), lines, loader, path) for i, item in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        try:
            return loader.construct_object(node)
        except ValueError as error:
            raise TaskSpecError(f"{path}:{node.start_mark.line + 1}: '{node.value}': {error}") from None
    result: dict[str, Any] = {}
    for key_node, value in node.value:
        key, line = str(key_node.value), key_node.start_mark.line + 1
        if key in result:
            raise TaskSpecError(f"{path}:{line}: key '{key}' stands twice in one mapping")
        lines[(*at, key)] = line
        result[key] = _plain(value, (*at, key), lines, loader, path)
    return result
