"""What a series does ahead of its turn: the next checkpoint's weights are read while the last one's are asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from assay.harness import runner, store
from assay.harness.backends.base import Backend, Preparable
from assay.harness.journal import Journal
from assay.harness.records import Plan
from assay.tasks import datasets
from assay.tasks.selection import DocRange
from assay.tasks.spec import TaskSpec
from assay.tasks.types import UserError

GROUPS = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)
"""A container's limit, its use, and what of that is cache that can be dropped; by version of control groups."""


def prepare_next(
    planned: Sequence[tuple[Backend, Plan]], specs: Sequence[TaskSpec], docs: DocRange, options: Mapping[str, Any]
) -> None:
    """Begin to make the next backend ready that will be asked anything, if it can be."""
    for backend, plan in planned:
        if will_ask(plan, specs, docs, options):
            if isinstance(backend, Preparable):
                with suppress(UserError, OSError):  # its turn will say it
                    backend.prepare(available_bytes())
            return


def will_ask(plan: Plan, specs: Sequence[TaskSpec], docs: DocRange, options: Mapping[str, Any]) -> bool:
    """Whether measuring this plan needs its model: the store has not all answers. It is read, never changed."""
    asked = [s for s in specs if plan.tasks[s.name]]
    path = options["store"] / plan.run_id
    if options["fresh"] or not (path / "plan.json").is_file():
        return bool(asked)
    try:
        results = store.peek_run(path).results
        left = [s for s in asked if s.name not in results or not results[s.name].is_final(plan.tasks[s.name])]
        return any(_answers(path, s) < _documents(s, docs) for s in left)
    except (UserError, OSError):
        return False  # its turn will say it


def _answers(run: Path, spec: TaskSpec) -> int:
    return sum(map(len, runner.usable(Journal(run / "journal" / f"{spec.name}.jsonl").peek()).values()))


def _documents(spec: TaskSpec, docs: DocRange) -> int:
    parts = datasets.parts(spec, datasets.load(spec).rows)
    return sum(len(docs.rows(len(p.rows), p.group)) for p in parts)


def available_bytes(root: Path = Path("/")) -> int:
    """Host memory to be had without swapping, within the container's limit; 0 where the system does not tell."""
    left = 0
    with suppress(OSError, KeyError):
        left = int(_fields(root / "proc/meminfo")["MemAvailable:"]) * 1024
    group = root / "sys/fs/cgroup"
    for limit, used, stat, droppable in GROUPS:
        with suppress(OSError, ValueError, KeyError):  # the other version, or no limit
            cached = int(_fields(group / stat)[droppable])
            left = min(left, int((group / limit).read_text()) - int((group / used).read_text()) + cached)
    return left


def _fields(path: Path) -> dict[str, str]:
    """The second word of each line by its first."""
    return {line.split()[0]: line.split()[1] for line in path.read_text().splitlines()}
