"""A run as rows of the index: sums over its tasks, and bootstrap draws of its composites."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assay.harness import ranking
from assay.harness.facts import Facts, count
from assay.harness.records import Plan, TaskResult
from assay.harness.store import Run
from assay.tasks import aggregate
from assay.tasks.registry import Registry
from assay.tasks.spec import TaskSpec

ANSWERED = ("ok",)
"""Statuses of samples whose verdict is right or wrong; `infra_error` is the machine's, the rest the answer's."""
RESULT = (
    *("task", "status", "fingerprint", "version", "value", "stderr", "low", "high", "method", "n", "truncated"),
    *("centred_v1", "centred_v2", "higher_is_better", "message"),
)
"""Columns of a result that are its attributes."""
HASH = re.compile("[0-9a-f]{64}")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rows:
    """What the index keeps of one run."""

    run: Row
    results: list[Row]
    composites: list[Row]


def rows_of(run: Run, said: Facts, registry: Registry) -> Rows:
    """A run's rows."""
    plan, every = run.plan, list(run.results.values())
    counts = [(status, n) for r in every for status, n in r.counts.items()]
    facts = {k: v for k, v in asdict(said).items() if k not in ("notes", "links")}
    row = facts | {
        "run_id": plan.run_id,
        "label": plan.checkpoint.label,
        "step": count(plan.checkpoint.step),
        "evidence": evidence(run),
        "rows_asked": rows_asked(plan),
        "complete": run.complete,
        "created": plan.created,
        "n": sum(r.n for r in every),
        "infra": sum(n for status, n in counts if status == "infra_error"),
        "failed": sum(n for status, n in counts if status not in (*ANSWERED, "infra_error")),
        "wall_s": sum(s for r in every for s in r.wall_s.values()) or None,
        "cost_usd": sum(r.usage.get("cost_usd", 0.0) for r in every) or None,
        "engine": plan.identity.get("engine", ""),
        "dtype": plan.identity.get("dtype", ""),
        "assay_version": plan.assay_version,
        "identity": dict(plan.identity),
        "options": dict(plan.options),
        "environment": dict(plan.environment),
        "notes": list(said.notes),
        "links": list(said.links),
    }
    results = [plain(_result(plan.run_id, r)) for r in every]
    return Rows(plain(row), results, list(map(plain, _composites(run, registry))))


def plain(row: Row) -> Row:
    """Without what PostgreSQL can't hold: zero bytes in text, NaN and infinities in JSON."""
    return {k: _plain(v) for k, v in row.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\\x00")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(_plain(k)): _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value


def measured(mark: str) -> bool:
    """Whether a fingerprint is one of what assay measures, a hash; an import's says whose it is."""
    return HASH.fullmatch(mark) is not None


def evidence(run: Run) -> str:
    """How far a run's numbers can be checked from what the store holds of it."""
    imported = "imported" in run.plan.environment or not all(map(measured, filter(None, run.plan.tasks.values())))
    if not any(r.samples_sha256 for r in run.results.values()):
        return "aggregates only" if imported else "no samples"
    return "imported with samples" if imported else "measured"


def rows_asked(plan: Plan) -> str:
    """Which documents a run asked, in words; runs that differ in it don't rank with each other."""
    start, stop, limit = plan.docs
    if limit is not None:
        return f"a sample of {limit}"
    if (start, stop) == (0, None):
        return "all rows"
    return f"rows {start} to {'the last' if stop is None else stop - 1}"


def _result(run_id: str, r: TaskResult) -> Row:
    return {k: getattr(r, k) for k in RESULT} | {
        "run_id": run_id,
        "sampled": bool(r.samples_sha256),
        "counts": dict(r.counts),
        "groups": {g: list(v) for g, v in r.groups.items()},
        "metrics": dict(r.metrics),
        "checker": dict(r.checker),
        "usage": dict(r.usage),
        "wall": dict(r.wall_s),
    }


def _composites(run: Run, registry: Registry) -> list[Row]:
    found = []
    draws: dict[str, np.ndarray] = {}
    for c in run.composites:
        row = {"run_id": run.plan.run_id, "name": c["name"], "value": c["value"], "stderr": c["stderr"]}
        row |= {"missing": list(c["missing"]), "paired": False, "draws": None}
        definition = registry.composites.get(c["name"])
        tasks = registry.suites[definition.suite].tasks if definition else ()
        if definition is not None and c["value"] is not None and set(tasks) <= set(run.results):
            specs = [registry.tasks[name] for name in tasks]
            kept = _draws(run, specs, definition.baseline, draws)
            sampled = all(run.results[s.name].samples_sha256 for s in specs)
            row |= {"draws": None if kept is None else kept.astype("<f4").tobytes(), "paired": sampled}
        found.append(row)
    return found


def _draws(run: Run, specs: Sequence[TaskSpec], version: str, known: dict[str, np.ndarray]) -> np.ndarray | None:
    """Draws of a composite; None where a task has neither samples nor an error. `known` keeps them by task."""
    for spec in specs:
        if spec.name in known:
            continue
        made = _task_draws(run, run.results[spec.name], spec)
        if made is None:
            return None
        known[spec.name] = made
    total = np.zeros(ranking.DRAWS)
    for spec in specs:
        baseline = 0.01 * aggregate.baseline_of(spec.baseline, version)
        total += (known[spec.name] - baseline) / (1 - baseline)
    return total / len(specs)


def _task_draws(run: Run, r: TaskResult, spec: TaskSpec) -> np.ndarray | None:
    if r.samples_sha256:
        items = item_scores(run, r.task)
        grouped = items["group"] if spec.mean == "macro" and any(items["group"]) else None
        clustered = items["cluster"] if any(items["cluster"]) else None
        named = [f"{spec.data.path}/{d}" for d in items["doc_id"]]  # of its file: a row number alone names no item
        return ranking.resampled(items["score"], named, groups=grouped, clusters=clustered)
    if r.value is None or r.stderr is None:
        return None
    return ranking.simulated(r.value, r.stderr, f"{run.plan.run_id} {r.task}")


def item_scores(run: Run, task: str, *, scored_only: bool = True) -> Mapping[str, Any]:
    """Mean score of each document over its draws, with its category and cluster; reads these columns alone.

    `scored_only` leaves out documents of which no draw has a score; else theirs is NaN.
    """
    path = run.path / "samples" / f"{task}.parquet"
    table = pq.read_table(path, columns=["doc_id", "score", "group", "cluster"])
    per = table.group_by("doc_id", use_threads=False).aggregate(
        [("score", "mean"), ("group", "min"), ("cluster", "min")]
    )
    per = per.filter(pc.is_valid(per["score_mean"])) if scored_only else per
    return {
        "doc_id": per["doc_id"].to_pylist(),
        "score": per["score_mean"].to_numpy(),
        "group": per["group_min"].to_pylist(),
        "cluster": per["cluster_min"].to_pylist(),
    }


def registry_rows(registry: Registry) -> dict[str, list[Row]]:
    """Tasks, suites and composites, for tables of these names."""
    return {
        "tasks": [_task(s) for s in registry.tasks.values()],
        "suites": [
            {"suite": s.name, "position": i, "task": name, "description": s.description}
            for s in registry.suites.values()
            for i, name in enumerate(s.tasks)
        ],
        "suite_composites": [
            {"name": c.name, "suite": c.suite, "baseline": c.baseline} for c in registry.composites.values()
        ],
    }


def _task(s: TaskSpec) -> Row:
    return {
        "task": s.name,
        "kind": s.kind,
        "skill": s.skill,
        "shots": s.shots,
        "rows": s.rows,
        "version": s.version,
        "baseline_v1": 0.01 * s.baseline.v1 if s.baseline else None,
        "baseline_v2": 0.01 * s.baseline.v2 if s.baseline else None,
        "baseline_reason": s.baseline.reason if s.baseline else "",
        "mean": s.mean,
        "data": s.data.path,
        "git_blob": s.data.git_blob,
        "rebuilt": s.data.rebuilt.note if s.data.rebuilt else "",
        "url": s.data.url,
        "licence": s.licence,
        "protected": s.data.protected,
    }
