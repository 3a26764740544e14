"""A run in the Every Eval Ever schema 0.3.0: an aggregate JSON, and `_samples.jsonl` beside it.

Names and rules are those of `every_eval_ever` 0.3.0: `eval.schema.json`, `instance_level_eval.schema.json` and the
checks of its `validator/validation_core.py`, paths and file names included.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from assay.harness import files, fingerprint
from assay.harness.backends.base import parse_reference
from assay.harness.interchange import asked, eee_metrics, eee_samples
from assay.harness.interchange.asked import Asked
from assay.harness.interchange.chosen import begun, hub_name, with_number
from assay.harness.records import TaskResult
from assay.harness.store import Run
from assay.tasks.registry import Registry
from assay.tasks.spec import TaskSpec
from assay.tasks.types import UserError

SCHEMA = "0.3.0"
COLLECTION = "assay"
"""Folder below `data/`, which the datastore files a source's records in."""
OURS = ("hf", "vllm", "sglang", "gguf")
"""Schemes whose model runs on the user's own machine."""
PROTECTED = "gpqa"
"""Its authors ask that rows are not published, whoever brings them: imports and lm-eval's tasks too."""
RESERVED = re.compile(r"(data|unknown|con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Names that no folder of the datastore may have."""


@dataclass(frozen=True, slots=True)
class Exported:
    """Where the aggregate is, and what is missing in it and in the samples, and why."""

    path: Path
    notes: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """One task with what is known of it here; without `found`, its prompts are unknown, and `why`."""

    name: str
    result: TaskResult
    spec: TaskSpec | None
    samples: Sequence[eee_samples.Record]
    found: Asked | None
    why: str
    metric: eee_metrics.Metric

    @property
    def result_id(self) -> str:
        return f"{self.name}/{self.metric.name}"


def save(run: Run, registry: Registry, names: Sequence[str], out: Path) -> Exported:
    """Write `<out>/data/assay/<developer>/<model>/<uuid>.json` and its samples. The same run gives the same files.

    Args:
        run: measured or imported.
        registry: specs by which prompts are rendered again; without them they are empty.
        names: of tasks; every task when none is named. One without a number is left out and noted.
        out: a folder, as a clone of the datastore.

    Raises:
        StoreError: the run has no such task, or none with a number.
    """
    notes: list[str] = []
    chosen = with_number(run, names, notes)
    model = _model(run)
    owner, _, name = model["id"].partition("/")
    since = begun(run)
    when = str(int(since.timestamp()) if since else 0)
    ids = {"evaluation_id": f"{run.plan.run_id}/{model['id']}/{when}", "model_id": model["id"]}
    path = out / "data" / COLLECTION / owner / name / f"{_uuid4(run, chosen)}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = path.with_name(f"{path.stem}_samples.jsonl")
    results: list[dict[str, Any]] = []

    def make(to: Path) -> None:
        with to.open("wb") as file:
            for t in chosen:  # one after another: prompts of all of them would fill the memory
                task = _task(run, registry, t, notes)
                file.writelines(_lines(task, ids, notes))
                results.append(_result(task))

    files.write_with(samples, make)
    data = {
        "schema_version": SCHEMA,
        "evaluation_id": ids["evaluation_id"],
        **({"evaluation_timestamp": since.isoformat()} if since else {}),
        "retrieved_timestamp": when,
        "source_metadata": _source(run, chosen, whole=not names),
        "eval_library": _library(run),
        "model_info": model,
        "evaluation_results": results,
        **_companion(samples),
    }
    files.write(path, (json.dumps(data, indent=2, allow_nan=False) + "\n").encode())
    return Exported(path, notes)


def _uuid4(run: Run, tasks: Sequence[str]) -> str:
    """A name in the form of UUID 4, which is all that their validator takes, made of what the file is of."""
    plan = run.plan
    what = [plan.run_id, plan.created, dict(plan.identity), {t: run.results[t].fingerprint for t in tasks}]
    return str(uuid.UUID(hex=fingerprint.digest(what)[:32], version=4))


def _companion(samples: Path) -> dict[str, Any]:
    """What the aggregate says of its samples; nothing, and no file, where there are none."""
    with samples.open("rb") as file:
        total = sum(1 for _ in file)
    if not total:
        samples.unlink()
        return {}
    kept = {"format": "jsonl", "file_path": str(PurePosixPath("data", COLLECTION, *samples.parts[-3:]))}
    kept |= {"hash_algorithm": "sha256", "checksum": fingerprint.file_sha256(samples)}
    return {"detailed_evaluation_results": {**kept, "total_rows": total}}


def _task(run: Run, registry: Registry, name: str, notes: list[str]) -> _Task:
    result, spec, found, why = run.results[name], None, None, ""
    samples = run.samples(name).to_pylist() if result.samples_sha256 else []
    try:
        spec = asked.spec_of(run, registry, name)
        open_to_all = not spec.data.protected and PROTECTED not in name.lower()
        found = asked.again(run, spec, [s["form"] for s in samples]) if samples and open_to_all else None
    except UserError as error:
        open_to_all, why = PROTECTED not in name.lower(), str(error)
    if samples and not open_to_all:
        notes.append(f"{name}: no samples: its authors ask that rows are not published")
    elif samples and why:
        notes.append(f"{name}: prompts are empty: {why}")
    metric = eee_metrics.of(result, samples, spec)
    shown = samples if open_to_all else []
    return _Task(name=name, result=result, spec=spec, samples=shown, found=found, why=why, metric=metric)


def _lines(task: _Task, ids: Mapping[str, str], notes: list[str]) -> Iterator[bytes]:
    """ASCII: their reader takes U+2028 for the end of a line."""
    head = {"schema_version": SCHEMA, **ids, "evaluation_name": task.name, "evaluation_result_id": task.result_id}
    without = 0
    for sample in task.samples:
        question = task.found.questions.get(sample["doc_id"]) if task.found else None
        line = eee_samples.line(sample, question, task.why)
        without += line is None
        if line is not None:
            yield (json.dumps({**head, **line}, allow_nan=False) + "\n").encode()
    if without:
        notes.append(f"{task.name}: left out {without} samples that have no score of their own")


def _result(task: _Task) -> dict[str, Any]:
    r = task.result
    interval = {"lower": r.low, "upper": r.high, "confidence_level": 0.95, "method": r.method}
    uncertainty: dict[str, Any] = {"num_samples": r.n} if r.n else {}
    if r.stderr is not None:
        uncertainty["standard_error"] = {"value": r.stderr} | ({"method": r.method} if r.method else {})
    if r.low is not None and r.high is not None:
        uncertainty["confidence_interval"] = interval
    return {
        "evaluation_result_id": task.result_id,
        "evaluation_name": task.name,
        "source_data": _data(task.name, task.spec),
        "metric_config": task.metric.config(lower_is_better=not r.higher_is_better),
        "score_details": {"score": r.value, "uncertainty": uncertainty, "details": _details(r)},
        **({"generation_config": _generation(task.spec)} if task.spec else {}),
    }


def _details(r: TaskResult) -> dict[str, str]:
    """All else that is known of the number; their schema takes texts alone."""
    told = ("status", "version", "fingerprint", "message", "centred_v1", "centred_v2", "truncated")
    maps = ("counts", "groups", "metrics", "checker")
    return {k: str(getattr(r, k)) for k in told if getattr(r, k) not in (None, "")} | {
        k: json.dumps(getattr(r, k)) for k in maps if getattr(r, k)
    }


def _data(task: str, spec: TaskSpec | None) -> dict[str, Any]:
    """Where the task's rows are from."""
    if spec is None:
        return {"dataset_name": task, "source_type": "other"}
    named = {
        "dataset_name": PurePosixPath(spec.data.path).stem,
        "additional_details": {"git_blob": spec.data.git_blob, "licence": spec.licence},
    }
    hub = re.match(r"hf://datasets/([^/]+/[^/@]+)", spec.data.url)
    if hub:
        return {**named, "source_type": "hf_dataset", "hf_repo": hub[1], "samples_number": spec.rows}
    if spec.data.url:
        return {**named, "source_type": "url", "url": [spec.data.url]}
    return {**named, "source_type": "other"}


def _generation(spec: TaskSpec) -> dict[str, Any]:
    """How the answers were asked for."""
    drawn = {"temperature": spec.draws.temperature, "top_p": spec.draws.top_p} if spec.code else {}
    return {
        **({"generation_args": drawn} if drawn else {}),
        "additional_details": {"num_fewshot": str(spec.shots), "kind": spec.kind, "seed": str(spec.seed)},
    }


def _source(run: Run, tasks: Sequence[str], *, whole: bool) -> dict[str, Any]:
    """Who says so. Composites are means of the results, so they stand here and not among them.

    Nobody told who ran it, so organisation and relationship are left open in the schema's own words.
    """
    composites = {f"composite {c['name']}": json.dumps(c) for c in run.composites} if whole else {}
    sampled = any(run.results[t].samples_sha256 for t in tasks)
    return {
        "source_name": "assay",
        "source_type": "evaluation_run" if sampled else "documentation",
        "source_organization_name": "unknown",
        "evaluator_relationship": "other",
        "additional_details": {"run_id": run.plan.run_id, "docs": json.dumps(run.plan.docs), **composites},
    }


def _library(run: Run) -> dict[str, Any]:
    """Who evaluated: assay, or, of an import, what its file says."""
    ours = {"name": "assay", "version": run.plan.assay_version}
    if "imported" not in run.plan.environment:
        return ours
    said = str(run.plan.identity.get("engine") or "unknown")
    known = re.fullmatch(r"(\S+) v?(\d\S*)", said)
    theirs = {"name": known[1], "version": known[2]} if known else {"name": said, "version": "unknown"}
    return {**theirs, "additional_details": {"imported_by": " ".join(ours.values())}}


def _model(run: Run) -> dict[str, Any]:
    """The model; one without a name on the Hub is `local/<label>`, and says so."""
    plan, hub = run.plan, hub_name(run)
    label = re.sub(r"[^\w.+=-]+", "_", plan.checkpoint.label, flags=re.ASCII).strip(".") or "model"
    scheme = parse_reference(str(plan.options.get("model", ""))).scheme
    known = {k: getattr(plan.checkpoint, k) for k in ("step", "tokens", "parameters")}
    found = {
        "name": plan.checkpoint.label,
        "id": hub or f"local/{'_' * bool(RESERVED.fullmatch(label))}{label}",
        "additional_details": {
            **{f"identity {k}": v for k, v in plan.identity.items()},
            **{k: str(v) for k, v in known.items() if v is not None},
            **({} if hub else {"id": "made up: the model has no name on the Hub, or none is known"}),
            "deployment_type": "self_deployed" if scheme in OURS else "unknown",
            "model_availability": "open_weights" if hub else "unknown",
        },
    }
    return found | ({"developer": hub.partition("/")[0]} if hub else {})
