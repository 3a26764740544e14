"""DCLM's published results as runs of ours: one evaluation JSON a run, aggregates without a single sample.

The tasks are the registry's own, since they are DCLM's; the fingerprint says that they were imported. Nothing is
measured again: a task's number is the file's, composites are computed from them and compared with the file's own.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from assay.harness import __version__, fingerprint
from assay.harness.backends.checkpoint import HUB_NAME
from assay.harness.interchange import dclm_models, imported, published
from assay.harness.interchange.dclm_models import Models
from assay.harness.interchange.imported import ForeignFile, Imported, plain
from assay.harness.records import Checkpoint, Plan, TaskResult
from assay.tasks import aggregate
from assay.tasks.aggregate import CompositeScore
from assay.tasks.registry import Registry, open_registry
from assay.tasks.spec import TaskSpec

MARK = "DCLM import"
SUITE = "dclm-extended"
PRECISION = 1e-6
"""Of a number in a file: means are float32 there."""
AGREES = 1e-6
"""Within this a composite is the file's own, but for rounding."""
PUBLISHED: Mapping[str, str] = {
    "core_v2": "Core_v2",
    "extended_v2": "Extended_v2",
    "core_v1": "Core_v1",
    "extended_v1": "Extended_v1",
}
"""Composites, and what DCLM calls them in a file."""
EVALS, MODELS = Path("exp_data/evals"), Path("exp_data/models")
DATABASE = Path("assets/DCLM_model_database.csv")
DATE = "%Y_%m_%d-%H_%M_%S"
"""Of `creation_date`, which is in Pacific time where DCLM's script wrote it, and doesn't say so."""
REMEDY = "pass an evaluation JSON of DCLM's, a folder of them, or the root of its repository"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One file, read.

    Attributes:
        name: of the model, unique among DCLM's: a Hub name, or what its scripts called the file.
        values: by the registry's names of tasks.
        ignored: of numbers that are no task's.
    """

    path: Path
    sha256: str
    data: Mapping[str, Any]
    name: str
    values: Mapping[str, float]
    ignored: Sequence[str]


def read_all(path: Path, models: Path | None = None, database: Path | None = None) -> list[Imported]:
    """Every evaluation at a path, all of them read before the first is returned.

    Args:
        path: a file, a folder of files, or a folder that holds `exp_data`, and `assets`, where the others lie too.
        models: folder of models JSON.
        database: CSV of models.

    Raises:
        ForeignFile: a file is damaged or no evaluation of DCLM's; names file and remedy.
    """
    root = path if (path / EVALS).is_dir() else None
    if root:
        path = root / EVALS
        models = models or (root / MODELS if (root / MODELS).is_dir() else None)
        database = database or (root / DATABASE if (root / DATABASE).is_file() else None)
    registry, known = open_registry(), dclm_models.read(models, database)
    found = [_read(file, registry) for file in imported.files(path, ["*.json"], REMEDY)]
    return [_imported(evaluation, registry, known) for evaluation in found]


def _read(path: Path, registry: Registry) -> Evaluation:
    text = imported.content(path)
    why = "no evaluation of DCLM's: it has no 'eval_metrics'"
    data = imported.demand(path, imported.parse(path, text), "dclm", why)
    metrics = data["eval_metrics"].get("icl") if isinstance(data["eval_metrics"], Mapping) else None
    model = data.get("model")
    if not isinstance(metrics, Mapping) or not isinstance(model, str) or not model:
        raise ForeignFile(f"{path}: no evaluation of DCLM's: it needs 'model' and numbers under 'eval_metrics', 'icl'")
    names = registry.suites[SUITE].tasks
    values = {name: _share(path, name, metrics[name]) for name in names if name in metrics}
    if not values:
        raise ForeignFile(f"{path}: none of its {len(metrics)} numbers is of a task of DCLM's; {REMEDY}")
    called = data.get("_filename")
    file = called.rpartition("/")[2] if isinstance(called, str) and called else path.name
    return Evaluation(
        path=path,
        sha256=hashlib.sha256(text).hexdigest(),
        data=data,
        name=model if HUB_NAME.fullmatch(model) else dclm_models.stem(file),
        values=values,
        ignored=sorted(plain(k, 60) for k in set(metrics) - set(names)),
    )


def _share(path: Path, task: str, value: Any) -> float:
    """A task's number as it must be."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:  # no NaN is
        return float(value)
    raise ForeignFile(f"{path}: '{task}' is {plain(value, 40)}, not a share from 0 to 1: the file was changed")


def _imported(found: Evaluation, registry: Registry, models: Models) -> Imported:
    results = [_result(registry.tasks[task], value) for task, value in found.values.items()]
    stderrs = {r.task: r.stderr for r in results if r.stderr is not None}
    composites = aggregate.composites(registry, registry.suites[SUITE].tasks, found.values, stderrs)
    plan = _plan(found, models, {r.task: r.fingerprint for r in results}, composites)
    return Imported(plan=plan, results=results, composites=[asdict(c) for c in composites])


def _result(spec: TaskSpec, value: float) -> TaskResult:
    decides = {"task": spec.name, "data": spec.data.git_blob, "rows": spec.rows}
    return published.result(spec, value, PRECISION, f"{MARK} {fingerprint.digest(decides)}")


def _plan(found: Evaluation, models: Models, tasks: Mapping[str, str], composites: Sequence[CompositeScore]) -> Plan:
    data = found.data
    label = dclm_models.label(found.name)
    record = dclm_models.known(
        found.name, models.find(data.get("model_uuid"), found.name, dclm_models.stem(found.path.name))
    )
    computed = {PUBLISHED[c.name]: c.value for c in composites if c.name in PUBLISHED}
    facts = dclm_models.facts(found.name, record, {**data, **computed})
    facts["notes"] = [*facts["notes"], *_disagreements(found, composites), *_ignored(found)]
    version = plain(data.get("eval_version") or "unknown", 40)
    return Plan(
        run_id=imported.run_id(label, "dclm", found.sha256),
        created=imported.moment_of(data.get("creation_date"), DATE),
        assay_version=__version__,
        identity={
            "model": f"{MARK}: {plain(found.name)}",
            "engine": f"llm-foundry (DCLM, eval_version {version})",
        },
        checkpoint=Checkpoint(label=label, parameters=record.parameters, tokens=record.tokens),
        tasks=tasks,
        docs=(0, None, None),
        options={"model": plain(data["model"])},
        environment={
            "imported": {
                "tool": "DCLM",
                "file": plain(found.path.name),
                "sha256": found.sha256,
                "published": {ours: _published(found, theirs) for ours, theirs in PUBLISHED.items()},
            },
            "facts": facts,
        },
    )


def _published(found: Evaluation, key: str) -> float | str | None:
    """A composite as the file has it: a number, its words where it is N/A, None where it has none."""
    value = found.data.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        return plain(value)
    return float(value) if abs(value) <= 1 and math.isfinite(value) else plain(value, 40)


def _disagreements(found: Evaluation, composites: Sequence[CompositeScore]) -> Iterator[str]:
    """What the file says otherwise than its own numbers give."""
    for c in (c for c in composites if c.name in PUBLISHED):
        said = _published(found, PUBLISHED[c.name])
        ours = "N/A" if c.value is None else f"{c.value:.6f}"
        if isinstance(said, float) and (c.value is None or abs(said - c.value) > AGREES):
            yield f"{c.name}: the file says {said:.6f}, its own numbers give {ours}"
        if isinstance(said, str) and c.value is not None:
            yield f"{c.name}: the file says '{said}', its own numbers give {ours}"


def _ignored(found: Evaluation) -> Iterator[str]:
    if found.ignored:
        more = f" and {len(found.ignored) - 20} others" if len(found.ignored) > 20 else ""
        yield f"numbers in the file that are of no task here: {', '.join(found.ignored[:20])}{more}"
