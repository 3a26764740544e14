"""Names to specs: built-in tables, the user's folders, installed packages; suites and globs."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from assay.tasks.spec import Composite, SpecFile, Suite, TaskSpec, TaskSpecError, load
from assay.tasks.types import UserError

SPECS = Path(__file__).parent / "specs"
ENTRY_POINTS = "assay.tasks"
T = TypeVar("T", TaskSpec, Suite, Composite)


class UnknownTask(UserError):
    """A name that is no task, no suite, and matches nothing as a glob."""


@dataclass(frozen=True, slots=True)
class Registry:
    """Every task, suite and composite by name, in the order of declaration."""

    tasks: dict[str, TaskSpec]
    suites: dict[str, Suite]
    composites: dict[str, Composite]

    def select(self, names: Sequence[str]) -> list[TaskSpec]:
        """Tasks of every name, suite or glob, in the order asked, each once.

        Raises:
            UnknownTask: names the nearest known names.
        """
        chosen: dict[str, TaskSpec] = {}
        for name in names:
            for task in self._expand(name):
                chosen[task] = self.tasks[task]
        return list(chosen.values())

    def _expand(self, name: str) -> Iterable[str]:
        if name in self.suites:
            return self.suites[name].tasks
        if name in self.tasks:
            return (name,)
        matched = fnmatch.filter(self.tasks, name)
        if matched:
            return matched
        known = [*self.suites, *self.tasks]
        close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(close)}?" if close else "see: assay list tasks"
        raise UnknownTask(f"no task or suite is called '{name}'; {hint}")


def open_registry(folders: Sequence[Path] = ()) -> Registry:
    """All specs: built in, from installed packages (entry points `assay.tasks`), and from the user's folders.

    Raises:
        TaskSpecError: a spec is wrong, a name is used twice, or a suite names an unknown task.
    """
    files = [load(path) for path in _spec_paths(folders)]
    registry = Registry(
        tasks=_by_name("task", (t for f in files for t in f.tasks)),
        suites=_by_name("suite", (s for f in files for s in f.suites)),
        composites=_by_name("composite", (c for f in files for c in f.composites)),
    )
    _check_references(registry, files)
    return registry


def _spec_paths(folders: Sequence[Path]) -> Iterator[Path]:
    yield from sorted(SPECS.glob("*.yaml"))
    for folder in [*_installed_folders(), *folders]:
        paths = sorted(folder.glob("*.yaml")) if folder.is_dir() else []
        if not paths:
            raise TaskSpecError(f"{folder}: no .yaml spec files here; see docs/add-a-task.md")
        yield from paths


def _installed_folders() -> Iterator[Path]:
    for entry in entry_points(group=ENTRY_POINTS):
        package, _, folder = entry.value.partition(":")
        found = find_spec(package)
        if found is None or not found.submodule_search_locations:
            raise TaskSpecError(f"entry point '{entry.name}': package '{package}' is not installed")
        yield Path(found.submodule_search_locations[0]) / folder


def _by_name(what: str, rows: Iterable[T]) -> dict[str, T]:
    result: dict[str, T] = {}
    for row in rows:
        if row.name in result:
            first = result[row.name].source
            raise TaskSpecError(f"{row.source}: {what} '{row.name}' is already defined at {first}")
        result[row.name] = row
    return result


def _check_references(registry: Registry, files: Iterable[SpecFile]) -> None:
    for suite in (s for f in files for s in f.suites):
        for name in suite.tasks:
            if name not in registry.tasks:
                close = difflib.get_close_matches(name, registry.tasks, n=1)
                hint = f"; did you mean '{close[0]}'?" if close else ""
                raise TaskSpecError(f"{suite.source}: suite '{suite.name}' names unknown task '{name}'{hint}")
        if suite.name in registry.tasks:
            raise TaskSpecError(f"{suite.source}: '{suite.name}' is a task already; a suite needs its own name")
    for task in registry.tasks.values():
        if task.data.protected and task.kind != "multiple_choice":
            raise TaskSpecError(f"{task.source}: protected data needs kind multiple_choice, whose records hold no text")
        if (task.kind == "code") != (task.code is not None):
            raise TaskSpecError(f"{task.source}: key 'code' belongs to kind code, and kind code needs it")
    for composite in (c for f in files for c in f.composites):
        if composite.suite not in registry.suites:
            raise TaskSpecError(f"{composite.source}: composite '{composite.name}' names unknown suite")
