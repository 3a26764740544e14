"""A run's numbers as a table: one row a task, then one row a composite."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from assay.harness.interchange import tables
from assay.harness.interchange.chosen import named
from assay.harness.store import Run

NUMBERS = ("value", "stderr", "low", "high", "method", "n", "centred_v1", "centred_v2")
"""Fields of `records.TaskResult`; a composite has the first two."""
FORMATS: Mapping[str, Callable[[Sequence[Mapping[str, Any]]], bytes]] = {
    "csv": tables.csv_bytes,
    "parquet": tables.parquet_bytes,
}


def rows(run: Run, names: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of `run_id, label, step, tokens, kind, task, status, ...NUMBERS, missing, fingerprint`.

    Args:
        run: measured or imported.
        names: of tasks; every task, and every composite, when none is named.

    Returns:
        `kind` is `task` or `composite`, so that no sum counts a number twice; a composite's `task` is its name, its
        `status` `ok` or `missing`. Cells without a value are None.

    Raises:
        StoreError: the run has no such task.
    """
    point = run.plan.checkpoint
    whose = {"run_id": run.plan.run_id, "label": point.label, "step": point.step, "tokens": point.tokens}
    found = [whose | _task(run, t) for t in named(run, names)]
    return found + [whose | _composite(c) for c in (() if names else run.composites)]


def encode(run: Run, names: Sequence[str], form: str) -> bytes:
    """The rows in one of `FORMATS`. The same run gives the same bytes.

    Raises:
        StoreError: the run has no such task.
    """
    return FORMATS[form](rows(run, names))


def _task(run: Run, task: str) -> dict[str, Any]:
    result = run.results[task]
    numbers = {n: getattr(result, n) for n in NUMBERS}
    said = {"missing": None, "fingerprint": result.fingerprint}
    return {"kind": "task", "task": task, "status": result.status, **numbers, **said}


def _composite(c: Mapping[str, Any]) -> dict[str, Any]:
    status = "ok" if c["value"] is not None else "missing"
    numbers = dict.fromkeys(NUMBERS) | {"value": c["value"], "stderr": c["stderr"]}
    said = {"missing": ", ".join(c["missing"]), "fingerprint": None}
    return {"kind": "composite", "task": c["name"], "status": status, **numbers, **said}
