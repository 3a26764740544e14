"""TaskSpec, and the strict loader that names file, line, key and the nearest valid name."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import yaml
from annotated_types import Ge, Gt, Lt, MinLen
from pydantic import AfterValidator, ConfigDict, StringConstraints, TypeAdapter, ValidationError

from assay.tasks.types import UserError

Kind = Literal["multiple_choice", "schema", "language_modeling", "generation", "code"]
Seam = Literal["segments", "joint"]
Percent = Annotated[float, Ge(0), Lt(100)]
Count = Annotated[int, Ge(0)]
Name = Annotated[str, StringConstraints(pattern=r"^\w[\w.-]*$")]


def _regex(text: str) -> str:
    """Stop strings are regular expressions in the metric, so they must be valid ones."""
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return text


class TaskSpecError(UserError):
    """A spec file is wrong; the message names file, line, key and the nearest valid name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What guessing scores, in percent, in DCLM's two versions of the table, and why."""

    v1: Percent
    v2: Percent
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """A copy that is known to differ from the original: its own git blob id, and how it differs."""

    git_blob: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Where a task's JSON Lines are and what they must hash to.

    Attributes:
        path: relative to the spec's folder, to a mirror, or to the cache; a mirror may hold `path` + ".gz".
        git_blob: `git hash-object` of the uncompressed JSON Lines.
        url: http(s):// or hf://datasets/OWNER/NAME@REVISION/PATH, pinned to a commit; "" when there is none.
        archive_sha256, member: for a task that is converted from a CSV inside a protected archive.
        protected: the authors ask that rows are not published: they are never shown, logged or stored.
    """

    path: str
    git_blob: str
    rows: Annotated[int, Gt(0)]
    url: str = ""
    archive_sha256: str = ""
    member: str = ""
    protected: bool = False
    rebuilt: Rebuilt | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Samples whose `field` agrees (up to the first `until`, when given) are not independent."""

    field: str
    until: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What a code task asks for and how its answers are judged.

    Attributes:
        dataset: whose rules: evalplus's for two of them, bigcodebench's.
        part: of the tests (`base`, `plus`), or which prompt (`complete`, `instruct`).
        release: of the dataset, as its owners name it; shown with every number.
        only: a file that names, under `task_id`, the rows that belong to the task; all rows without it.
    """

    dataset: Literal["humaneval", "mbpp", "bigcodebench"]
    part: Literal["base", "plus", "complete", "instruct"]
    release: Annotated[str, MinLen(1)]
    only: Data | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """How often and how a model is asked for code. Not in a table: `assay run` says it.

    Attributes:
        n: answers to each problem; more than one needs a temperature.
        temperature: 0 takes the most likely token each time.
        plain: never use the chat template, for base models whose tokenizer ships one.
    """

    n: int = 1
    temperature: float = 0.0
    top_p: float = 0.95
    seed: int = 0
    plain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """One row of the table. Names follow DCLM's eval/heavy.yaml where it has one.

    Attributes:
        shots: examples before the question, drawn from the same file (and category).
        seed: of the one random generator a file (and category) is drawn with.
        seam: `segments` tokenises examples, question and answer apart (llm-foundry); `joint` tokenises question
            and answer as one text (lm-eval).
        max_length: tokens of context and answer together; the left end is cut to fit.
        source: spec file and line, for messages; not part of what is measured.
    """

    name: Name
    kind: Kind
    skill: str
    shots: Count
    baseline: Baseline
    data: Data
    licence: str
    version: Annotated[int, Gt(0)] = 1
    seed: int = 1234
    prelimiter: str = ""
    example_delimiter: str = "\n"
    continuation_delimiter: str = " "
    cot_delimiter: str = ""
    stop: tuple[Annotated[str, MinLen(1), AfterValidator(_regex)], ...] = ()
    categories: bool = False
    seam: Seam = "segments"
    max_length: Annotated[int, Gt(0)] = 2048
    cluster: Cluster | None = None
    code: Code | None = None
    draws: Draws = Draws()
    source: str = field(default="", compare=False)

    @property
    def rows(self) -> int:
        """Documents that it has."""
        return self.code.only.rows if self.code and self.code.only else self.data.rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A named list of tasks."""

    name: Name
    description: str
    tasks: Annotated[tuple[str, ...], MinLen(1)]
    source: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Composite:
    """The mean centred score over every task of a suite, with one version of the baselines."""

    name: Name
    suite: str
    baseline: Literal["v1", "v2"]
    source: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecFile:
    """Everything one YAML file declares."""

    tasks: tuple[TaskSpec, ...] = ()
    suites: tuple[Suite, ...] = ()
    composites: tuple[Composite, ...] = ()


SECTIONS = {"tasks": TaskSpec, "suites": Suite, "composites": Composite}
Lines = dict[tuple[str | int, ...], int]


def load(path: Path) -> SpecFile:
    """Read one spec file.

    Raises:
        TaskSpecError: unknown or missing key, wrong type, bad YAML, duplicate key; names file, line and key.
    """
    document, lines = _plain_yaml(path)
    if not isinstance(document, dict):
        raise TaskSpecError(f"{path}:1: a spec file is a mapping with {_listed(SECTIONS)}")
    defaults = document.pop("defaults", None) or {}
    if not isinstance(defaults, dict):
        raise TaskSpecError(f"{path}:{lines[('defaults',)]}: 'defaults' must be a mapping of keys to values")
    for key in document:
        if key not in SECTIONS:
            where = f"{path}:{lines[(key,)]}"
            raise TaskSpecError(f"{where}: unknown section '{key}'{_nearest(key, SECTIONS)}")
    return SpecFile(
        tasks=tuple(_rows(TaskSpec, "tasks", document, lines, path, defaults)),
        suites=tuple(_rows(Suite, "suites", document, lines, path, {})),
        composites=tuple(_rows(Composite, "composites", document, lines, path, {})),
    )


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
        return f"{where}: unknown key '{key}'{_nearest(key, _keys(cls, loc[:-1]))}"
    if fault["type"] in ("missing", "missing_argument"):
        return f"{where}: missing key '{'.'.join(map(str, loc))}'"
    dotted = ".".join(map(str, loc))
    hint = _nearest(str(fault["input"]), get_args(get_type_hints(cls).get(key, str)))
    return f"{where}: key '{dotted}': {fault['msg']} (got {fault['input']!r}){hint}"


def _keys(cls: type[Any], loc: tuple[str | int, ...]) -> list[str]:
    """Valid keys of the (possibly nested) dataclass that `loc` points into."""
    for part in loc:
        hint = get_type_hints(cls).get(str(part))
        cls = next((t for t in (hint, *get_args(hint)) if isinstance(t, type) and is_dataclass(t)), cls)
    return [f.name for f in fields(cls) if f.name not in ("source", "draws")]


def _nearest(word: str, known: Iterable[Any]) -> str:
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
        for part in (Baseline, Rebuilt, Data, Cluster, Code, Draws, TaskSpec, Suite, Composite):
            setattr(part, "__pydantic_config__", ConfigDict(extra="forbid", strict=True))  # noqa: B010
        _ADAPTERS[cls] = TypeAdapter(cls)
    return _ADAPTERS[cls]


def _plain_yaml(path: Path) -> tuple[Any, Lines]:
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
        return loader.construct_object(node)
    result: dict[str, Any] = {}
    for key_node, value in node.value:
        key, line = str(key_node.value), key_node.start_mark.line + 1
        if key in result:
            raise TaskSpecError(f"{path}:{line}: key '{key}' stands twice in one mapping")
        lines[(*at, key)] = line
        result[key] = _plain(value, (*at, key), lines, loader, path)
    return result
