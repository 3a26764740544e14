"""Which tasks of a run are exported, and what its model is called elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from assay.harness.backends.base import parse_reference
from assay.harness.backends.checkpoint import HUB_NAME
from assay.harness.files import StoreError
from assay.harness.store import Run


def named(run: Run, names: Sequence[str]) -> list[str]:
    """The named tasks, every task when none is named.

    Raises:
        StoreError: the run has no such task.
    """
    for task in names:
        if task not in run.results:
            have = ", ".join(run.results) or "none yet"
            raise StoreError(f"run {run.plan.run_id} has no task '{task}'; it has: {have}")
    return list(names or run.results)


def with_number(run: Run, names: Sequence[str], notes: list[str]) -> list[str]:
    """Those of `named` that have a number; says of the others in `notes` why they are left out.

    Raises:
        StoreError: the run has no such task, or none with a number.
    """
    found = []
    for task in named(run, names):
        result = run.results[task]
        if result.value is None:
            notes.append(f"{task}: left out, it has no number: {result.message or result.status}")
        else:
            found.append(task)
    if not found:
        why = "; ".join(notes) or "no task is finished"
        raise StoreError(f"run {run.plan.run_id} has nothing to export: {why}")
    return found


def hub_name(run: Run) -> str:
    """The model's `OWNER/NAME` on the Hub; "" where it has none or nobody knows.

    A folder `a/b` is called b in the plan, the Hub's `a/b` is called a--b; an import may have called it a/b.
    """
    options = run.plan.options
    text = str(options.get("model_name") or options.get("model", ""))
    repo = (parse_reference(text).target or text).partition("@")[0]
    called = run.plan.checkpoint.label.startswith((repo, repo.replace("/", "--")))
    return repo if called and HUB_NAME.fullmatch(repo) else ""


def begun(run: Run) -> datetime | None:
    """When the run began, with its time zone; None of an import whose file did not say."""
    return datetime.fromisoformat(run.plan.created) if run.plan.created else None
