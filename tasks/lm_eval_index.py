"""Which tasks the installed lm-eval has, and which of them may be opened here."""

from __future__ import annotations

import difflib
import hashlib
import importlib.metadata
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from assay.tasks.types import UserError

IMPORTS = re.compile(r"^\s*(?:from|import)\s+([\w.]+)", re.MULTILINE)
RUNS_CODE = re.compile(r"(?<![\w.])(exec|eval)\(|code_eval|subprocess|os\.system")
"""In a task's Python: it would run what a model wrote in our own process."""
OURS = {"humaneval": "humaneval_plus", "mbpp": "mbpp_plus"}
"""Tasks of ours that measure the same in the sandbox, by the beginning of lm-eval's names."""


class RunsCode(UserError):
    """A task of lm-eval's that executes model-written code in the evaluating process."""


class UnknownLmEvalTask(UserError):
    """The installed lm-eval has no such task, or has it in a form that can't be taken over."""


STRUCTURE = ("group", "group_alias", "task", "tag", "aggregate_metric_list", "metadata", "include", "alias")
"""Keys of a group that are about the group, not about its tasks."""


@lru_cache(maxsize=4)
def manager(include: Sequence[str] = ()) -> Any:
    """lm-eval's TaskManager over its own tasks and the user's folders; seconds, once."""
    from lm_eval.tasks import TaskManager

    return TaskManager(include_path=list(include) or None)


def demand_safe(name: str, include: Sequence[str]) -> None:
    """Refuse a task that would execute model-written code in our process.

    Raises:
        RunsCode: it says `unsafe_code`, or the Python beside it executes text.
    """
    config = _entry(name, include).cfg or {}
    bad = sorted({s.name for s in _sources(config) if RUNS_CODE.search(s.read_text(encoding="utf-8"))})
    if config.get("unsafe_code") or bad:
        ours = next((o for prefix, o in OURS.items() if name.startswith(prefix)), "")
        remedy = f"'{ours}' measures it in the sandbox" if ours else "it has no counterpart in the sandbox here"
        why = f"{', '.join(bad)} runs text as code" if bad else "it says unsafe_code"
        raise RunsCode(f"lm-eval's task '{name}' is refused: it executes code in this process ({why}); {remedy}")


def _sources(config: Mapping[str, Any]) -> list[Path]:
    """The Python files that a config's functions come from, and those beside them that these import."""
    todo = [Path(f"{function.rpartition('.')[0]}.py") for function in _functions(config)]
    found: dict[Path, None] = {}
    while todo:
        path = todo.pop()
        if path in found or not path.is_file():
            continue
        found[path] = None
        for module in IMPORTS.findall(path.read_text(encoding="utf-8")):
            todo.append(path.parent / f"{module.rpartition('.')[2]}.py")
    return sorted(found)


def identity(name: str, include: Sequence[str]) -> str:
    """All that decides what a task asks and how it scores, wherever it lies: its config and its Python, by content."""
    config = _entry(name, include).cfg or {}
    sources = [hashlib.sha256(s.read_bytes()).hexdigest() for s in _sources(config)]
    folders = {str(Path(f).parent) for f in _functions(config)}
    text = json.dumps(config, sort_keys=True, default=str)
    for folder in sorted(folders, key=len, reverse=True):
        text = text.replace(folder, "")
    return hashlib.sha256(json.dumps([text, sources]).encode()).hexdigest()


def _entry(name: str, include: Sequence[str]) -> Any:
    index = manager(tuple(include)).task_index
    if name in index:
        return index[name]
    close = difflib.get_close_matches(name, index, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    raise UnknownLmEvalTask(f"lm-eval {importlib.metadata.version('lm-eval')} has no task '{name}'{hint}")


def _functions(config: Any) -> Iterator[str]:
    """Paths of a config's `!function module.name` values, which the index leaves as `/folder/module.name`."""
    if isinstance(config, Mapping):
        for value in config.values():
            yield from _functions(value)
    elif isinstance(config, (list, tuple)):
        for value in config:
            yield from _functions(value)
    elif isinstance(config, str) and config.startswith("/") and "\n" not in config:
        yield config


@dataclass(frozen=True, slots=True)
class Leaf:
    """One task of lm-eval's, and what a group says of it beyond its own file.

    Attributes:
        overrides: JSON.
    """

    name: str
    overrides: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """A group's mean over its tasks, as lm-eval takes it (`Group.aggregate`).

    Attributes:
        metric: what is averaged; tasks without it are left out.
        filters: under which filters, () for all that the tasks have.
        by_size: each task weighs as many samples as it has; else all alike.
    """

    name: str
    tasks: tuple[str, ...]
    metric: str = "acc"
    filters: tuple[str, ...] = ()
    by_size: bool = True


def expand(name: str, include: Sequence[str]) -> tuple[list[Leaf], list[Group]]:
    """The tasks of a task, tag or group, in lm-eval's order, and the groups whose mean it defines.

    Raises:
        UnknownLmEvalTask: there is none of that name; the message has the nearest.
    """
    groups: list[Group] = []
    leaves = list(dict.fromkeys(_leaves(name, tuple(include), {}, groups)))
    return leaves, groups


def shots(leaf: Leaf, include: Sequence[str]) -> int:
    """Examples that lm-eval shows where nobody says how many."""
    config = dict(_entry(leaf.name, include).cfg or {}) | json.loads(leaf.overrides or "{}")
    return int(config.get("num_fewshot") or 0)


def _leaves(name: str, include: Sequence[str], overrides: Mapping[str, Any], groups: list[Group]) -> list[Leaf]:
    entry = _entry(name, include)
    config = entry.cfg or {}
    if entry.kind.name == "TAG":
        return [leaf for n in sorted(entry.tags) for leaf in _leaves(n, include, overrides, groups)]
    if entry.kind.name != "GROUP":
        if overrides and list(_functions(overrides)):
            raise UnknownLmEvalTask(f"lm-eval's '{name}' gets functions from a group, which is not supported here")
        return [Leaf(name, json.dumps(overrides, sort_keys=True) if overrides else "")]
    return _members(name, config, include, overrides, groups)


def _members(
    name: str, config: Mapping[str, Any], include: Sequence[str], overrides: Mapping[str, Any], groups: list[Group]
) -> list[Leaf]:
    inherited = {k: v for k, v in config.items() if k not in STRUCTURE} | dict(overrides)
    found: list[Leaf] = []
    for item in config.get("task") or []:
        given = {"task": item} if isinstance(item, str) else item
        child = given.get("task") or given.get("group")
        if child is None:
            raise UnknownLmEvalTask(f"lm-eval's group '{name}' defines a task where it uses it: not supported here")
        if isinstance(child, list):  # a group defined where it is used
            found += _members(f"{name}::{given['group']}", given, include, inherited, groups)
            continue
        found += _leaves(child, include, inherited | {k: v for k, v in given.items() if k not in STRUCTURE}, groups)
    metrics = config.get("aggregate_metric_list") or []
    for metric in [metrics] if isinstance(metrics, Mapping) else metrics:
        groups.append(_group(name, found, metric))
    return found


def _group(name: str, leaves: Sequence[Leaf], metric: Mapping[str, Any]) -> Group:
    filters = metric.get("filter_list") or ()
    return Group(
        name=name,
        tasks=tuple(leaf.name for leaf in leaves),
        metric=str(metric.get("metric", "acc")),
        filters=(filters,) if isinstance(filters, str) else tuple(filters),
        by_size=bool(metric.get("weight_by_size", True)),
    )
