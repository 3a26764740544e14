"""Names to specs: built-in tables, the user's folders, installed packages; suites and globs."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from assay.tasks import lm_eval_specs
from assay.tasks.lm_eval_index import Group
from assay.tasks.loading import TaskSpecError, is_lm_eval, load
from assay.tasks.spec import Composite, SpecFile, Suite, TaskSpec
from assay.tasks.types import UserError

SPECS = Path(__file__).parent / "specs"
ENTRY_POINTS = "assay.tasks"
T = TypeVar("T", TaskSpec, Suite, Composite)


class UnknownTask(UserError):
    """A name that is no task, no suite, and matches nothing as a glob."""


@dataclass(frozen=True, slots=True)
class Registry:
    """Every task, suite and composite by name, in the order of declaration.

    Attributes:
        groups: of lm-eval's, which are known once they have been selected.
        include: the user's folders of lm-eval tasks.
    """

    tasks: dict[str, TaskSpec]
    suites: dict[str, Suite]
    composites: dict[str, Composite]
    groups: dict[str, Group] = field(default_factory=dict)
    include: tuple[str, ...] = ()

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
        if lm_eval_specs.named(name):
            specs, groups = lm_eval_specs.specs(name, self.include)
            for spec in specs:
                if self.tasks.setdefault(spec.name, spec) != spec:
                    raise UserError(f"{name}: '{spec.name}' is chosen already, and otherwise: measure them in two runs")
            self.groups.update((f"{g.name} {g.metric}", g) for g in groups)
            return [s.name for s in specs]
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
    include = tuple(str(f) for f in folders if any(map(is_lm_eval, f.rglob("*.yaml"))))
    registry = Registry(
        tasks=_by_name("task", (t for f in files for t in f.tasks)),
        suites=_by_name("suite", (s for f in files for s in f.suites)),
        composites=_by_name("composite", (c for f in files for c in f.composites)),
        include=include,
    )
    _check_references(registry, files)
    return registry


def _spec_paths(folders: Sequence[Path]) -> Iterator[Path]:
    yield from sorted(SPECS.glob("*.yaml"))
    for folder in [*_installed_folders(), *folders]:
        if not folder.is_dir() or not any(folder.rglob("*.yaml")):
            raise TaskSpecError(f"{folder}: no .yaml spec files here; see docs/add-a-task.md")
        yield from (path for path in sorted(folder.glob("*.yaml")) if not is_lm_eval(path))


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
    _check_tasks(registry.tasks.values())
    for composite in (c for f in files for c in f.composites):
        if composite.suite not in registry.suites:
            raise TaskSpecError(f"{composite.source}: composite '{composite.name}' names unknown suite")


def _check_tasks(tasks: Iterable[TaskSpec]) -> None:
    for task in tasks:
        if task.data.protected and task.kind != "multiple_choice":
            raise TaskSpecError(f"{task.source}: protected data needs kind multiple_choice, whose records hold no text")
        for kind in ("code", "lm_eval"):
            if (task.kind == kind) != (getattr(task, kind) is not None):
                raise TaskSpecError(f"{task.source}: key '{kind}' belongs to kind {kind}, and kind {kind} needs it")
