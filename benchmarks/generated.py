"""A store as large as a board may have to show: made-up training series, written as an import writes its runs.

Scores rise with the logarithm of tokens and parameters, differ between tasks, and scatter as n items do. The last two
checkpoints of the first series keep samples of some tasks; the others have numbers alone, as published results do.
"""

import json
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from assay.harness import fingerprint, stats
from assay.harness.interchange import imported
from assay.harness.records import Checkpoint, Plan, TaskResult
from assay.tasks import aggregate
from assay.tasks.registry import Registry, open_registry
from assay.tasks.spec import TaskSpec

STEPS = 25
"""Checkpoints of a series."""
SAMPLED = ("hellaswag", "arc_easy", "boolq", "jeopardy", "gsm8k_cot", "humaneval_plus")
"""Tasks of which two runs keep samples; hellaswag has 10,042 rows."""
FAMILIES = ("Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fir", "Ginkgo", "Hazel")
SIZES = (4e8, 1.4e9, 2.8e9, 6.9e9, 1.3e10, 7e10)
OPENNESS = ("open data", "open weights", "closed")
DATA = ("web, filtered", "web and code", "books and web", "synthetic")


@dataclass(frozen=True, slots=True)
class Point:
    """One checkpoint of a made-up series."""

    series: str
    number: int
    parameters: int
    tokens: int
    step: int
    skill: float

    @property
    def name(self) -> str:
        """The run's id and label."""
        return f"{self.series}-step-{self.step:06d}"


def points(runs: int) -> Iterator[Point]:
    """Series of checkpoints, until there are enough."""
    for at in range(runs):
        number, step = divmod(at, STEPS)
        rng = random.Random(number)  # noqa: S311
        parameters, last, talent = rng.choice(SIZES), rng.uniform(6e11, 3e12), rng.gauss(0, 0.3)
        tokens = last * (step + 1) / STEPS
        skill = 0.9 * math.log10(tokens / 1e11) + 0.8 * math.log10(parameters / 1e9) + talent
        series = f"{FAMILIES[number % len(FAMILIES)]}-{number:03d}"
        yield Point(series, number, int(parameters), int(tokens), (step + 1) * 1000, skill)


def chosen(registry: Registry, tasks: int) -> list[TaskSpec]:
    """EXTENDED's tasks first, since its composite needs them all, then those of the other suites."""
    suites = ("dclm-extended", "standard", "code", "math", "demo")
    names = dict.fromkeys(name for suite in suites for name in registry.suites[suite].tasks)
    return [registry.tasks[n] for n in names][:tasks]


def chance(spec: TaskSpec, skill: float) -> float:
    """How likely an item of the task is answered right."""
    floor = 0.01 * aggregate.baseline_of(spec.baseline, "v2")
    return floor + (1 - floor) / (1 + math.exp(random.Random(spec.name).gauss(0, 1.2) - skill))  # noqa: S311


def result(spec: TaskSpec, right: int, n: int) -> TaskResult:
    """A task's number with so many items right."""
    value = right / n
    found = stats.wilson(value, n)
    spoken = spec.kind in ("generation", "code")
    return TaskResult(
        task=spec.name,
        status="ok",
        fingerprint=fingerprint.digest(["generated", spec.name]),
        version=spec.version,
        value=value,
        stderr=found.stderr,
        low=found.low,
        high=found.high,
        method=found.method,
        n=n,
        centred_v1=aggregate.centre(value, aggregate.baseline_of(spec.baseline, "v1")),
        centred_v2=aggregate.centre(value, aggregate.baseline_of(spec.baseline, "v2")),
        counts={"ok": n - n // 50, "no_answer": n // 50} if spoken else {"ok": n},
        wall_s={"model": 0.01 * n},
    )


def samples(spec: TaskSpec, point: Point) -> list[dict[str, Any]]:
    """Records of a task's items; those of two checkpoints of a series agree on most."""
    p, rows = chance(spec, point.skill), []
    for at in range(spec.rows):
        ease = random.Random(f"{spec.name} {at}").random()  # noqa: S311
        luck = random.Random(f"{spec.name} {at} {point.name}").random()  # noqa: S311
        score = float(0.9 * ease + 0.1 * luck < p)
        row = dict(imported.EMPTY) | {"doc_id": f"{at}", "score": score, "correct": score == 1.0, "draw": 0}
        row |= {"request_sha256": fingerprint.digest([spec.name, at]), "wall_s": 0.01, "truncated": 0}
        if spec.kind in ("generation", "code", "language_modeling"):
            row |= {"response": f"answer {at if score else at + 1}\n" * 8, "extracted": f"{at if score else at + 1}"}
            row |= {"target": json.dumps([f"{at}"]), "stopped": True, "response_tokens": 32, "form": "text"}
        else:
            option = {"tokens": 9, "bytes": 40, "greedy": False}
            row |= {"options": [option | {"logprob": -9.0 - o - luck} for o in range(4)], "target": "0"}
            row |= {"predicted": 0 if score else 1}
        rows.append(row)
    return rows


def run(registry: Registry, specs: list[TaskSpec], point: Point, *, sampled: bool) -> imported.Imported:
    """One checkpoint's run, not yet written."""
    rng = random.Random(point.name)  # noqa: S311
    kept = {s.name: samples(s, point) for s in specs if sampled and s.name in SAMPLED}
    results = []
    for spec in specs:
        n = spec.rows or 1000
        p = chance(spec, point.skill)
        right = min(n, max(0, round(rng.gauss(p * n, math.sqrt(p * (1 - p) * n)))))
        right = int(sum(row["score"] for row in kept[spec.name])) if spec.name in kept else right
        results.append(result(spec, right, n))
    values = {r.task: r.value for r in results}
    errors = {r.task: r.stderr for r in results}
    composites = aggregate.composites(registry, values, values, errors)
    plan = Plan(
        run_id=point.name,
        created=f"2026-{1 + point.number % 12:02d}-{1 + point.step // 1000:02d}T12:00:00Z",
        assay_version="0.1.0",
        identity={"engine": "generated", "model": point.name, "dtype": "bfloat16"},
        checkpoint=Checkpoint(label=point.name, step=point.step, tokens=point.tokens, parameters=point.parameters),
        tasks={r.task: r.fingerprint for r in results},
        docs=(0, None, None),
        options={"model": f"hf:{point.series}/step-{point.step:06d}"},
        environment={"facts": _facts(point)} | ({} if sampled else {"imported": {"tool": "benchmarks/generated.py"}}),
    )
    return imported.Imported(plan=plan, results=results, composites=[asdict(c) for c in composites], samples=kept)


def _facts(point: Point) -> Mapping[str, Any]:
    rng = random.Random(point.series)  # noqa: S311
    return {
        "series": point.series,
        "family": FAMILIES[point.number % len(FAMILIES)],
        "dataset": rng.choice(DATA),
        "openness": rng.choice(OPENNESS),
        "flops": 6.0 * point.parameters * point.tokens if point.number % 3 else None,
        "notes": ["a generated run: no model made these numbers"],
    }


def make(store: Path, runs: int, tasks: int) -> None:
    """Write the store."""
    registry = open_registry()
    specs = chosen(registry, tasks)
    for at, point in enumerate(points(runs)):
        imported.save(run(registry, specs, point, sampled=at in (STEPS - 2, STEPS - 1)), store)
