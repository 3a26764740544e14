"""A run as lm-eval 0.4.13 would have written it: `results_<time>.json`, and `samples_<task>_<time>.jsonl` a task.

Layout and keys are those of `loggers/evaluation_tracker.py`, `evaluator.py` and `result_schema.py`. What a run did not
keep is null or absent. What has no place there stands under the key `assay`, of the file and of each sample.
"""

from __future__ import annotations

import calendar
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.harness import files
from assay.harness.backends.base import parse_reference
from assay.harness.interchange import asked, export_samples
from assay.harness.interchange.asked import Asked
from assay.harness.interchange.chosen import with_number
from assay.harness.interchange.export_samples import Record
from assay.harness.records import TaskResult, utf8
from assay.harness.store import Run
from assay.tasks.registry import Registry
from assay.tasks.types import UserError

IMPORTED = "imported:"
"""Begins the names of imported tasks, which are no names of measured ones."""
OTHERS = re.compile(rf"^({IMPORTED}|lm_eval:)")
"""What lm-eval leaves out of the names of its own tasks."""
RISES = ("acc", "acc_norm", "acc_bytes", "exact_match", "em", "f1", "bleu", "chrf", "mcc", "rouge1", "rouge2", "rougeL")
FALLS = (*export_samples.PERPLEXITIES, "perplexity", "ter", "brier_score")
"""Which way is up for lm-eval's own metrics; of others nothing is said."""
LOADED = ("hf", "vllm", "sglang")
"""Schemes whose target is what lm-eval calls `pretrained`."""
HASHES = ("doc_hash", "prompt_hash", "target_hash")


@dataclass(frozen=True, slots=True)
class Exported:
    """Where the files are, and what is missing in them and why."""

    folder: Path
    notes: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Model:
    """A model as lm-eval speaks of it: `--model`, `--model_args`, and the name that its files are filed under."""

    source: str
    arguments: Any
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """One task's entry in the results; `hash` is over all its sample lines, None where one of their hashes is."""

    name: str
    result: TaskResult
    kind: str
    metrics: Mapping[str, float]
    asked: Asked | None
    hash: str | None


def save(run: Run, registry: Registry, names: Sequence[str], out: Path) -> Exported:
    """Write a run's tasks into the model's folder below `out`. The same run gives the same files.

    Args:
        run: measured, or itself imported.
        registry: specs by which documents and prompts are rendered again; without them they are null.
        names: of tasks; every task when none is named. One without a number is left out and noted.
        out: what lm-eval calls --output_path.

    Raises:
        StoreError: the run has no such task, or none with a number.
    """
    notes: list[str] = []
    chosen = with_number(run, names, notes)
    model = _model(run)
    folder = out / re.sub(r'["<>:/|\\?*\[\]]+', "__", model.name)  # `sanitize_model_name`
    folder.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y-%m-%dT%H-%M-%S.000000", _begun(run))
    tasks = []
    for task, name in _names(chosen).items():
        samples = run.samples(task).to_pylist() if run.results[task].samples_sha256 else []
        found = _asked(run, registry, task, samples, notes)
        tasks.append(_save_samples(name, run.results[task], samples, found, folder / f"samples_{name}_{stamp}.jsonl"))
    data = {**_results(run, tasks), **_circumstances(run, model), "model_name_sanitized": folder.name}
    text = json.dumps(data, indent=2, ensure_ascii=False)
    files.write(folder / f"results_{stamp}.json", utf8(text).encode())
    return Exported(folder, notes)


def _names(tasks: Sequence[str]) -> dict[str, str]:
    """What lm-eval calls the tasks; with its options (`?num_fewshot=5`) where it would be twice the same."""
    short = {t: OTHERS.sub("", t).partition("?")[0] for t in tasks}
    names = list(short.values())
    return {t: s if names.count(s) == 1 else OTHERS.sub("", t) for t, s in short.items()}


def _asked(run: Run, registry: Registry, task: str, samples: Sequence[Record], notes: list[str]) -> Asked | None:
    try:
        return asked.again(run, asked.spec_of(run, registry, task), [s["form"] for s in samples])
    except UserError as error:
        notes.append(f"{task}: documents and prompts are null: {error}")
        return None


def _save_samples(name: str, result: TaskResult, samples: Sequence[Record], found: Asked | None, to: Path) -> _Task:
    """Write a task's sample lines, where it has samples."""
    kind = export_samples.output_type(result, samples)
    wanted = found.spec.lm_eval.metric if found and found.spec.lm_eval else ""
    numbers = export_samples.numbers(result, kind, samples, wanted)
    hashes: list[str | None] = []

    def make(path: Path) -> None:
        with path.open("w", encoding="utf-8") as out:
            for line in export_samples.lines(samples, numbers, kind, found.questions if found else {}):
                hashes.extend(line[h] for h in HASHES)
                out.write(utf8(json.dumps(line, ensure_ascii=False, default=str)) + "\n")

    if samples:
        files.write_with(to, make)
    known = [h for h in hashes if h]
    whole = export_samples.text_sha256("".join(known)) if known and len(known) == len(hashes) else None
    return _Task(name=name, result=result, kind=kind, metrics=numbers.metrics, asked=found, hash=whole)


def _results(run: Run, tasks: Sequence[_Task]) -> dict[str, Any]:
    """What lm-eval's `evaluate` returns, and `task_hashes`."""
    rises = {t.name: {m: _rises(t.result, i, m) for i, m in enumerate(_plain(t.metrics))} for t in tasks}
    return {
        "results": {t.name: _numbers(t) for t in tasks},
        "group_subtasks": {},
        "configs": {t.name: _config(t, rises[t.name]) for t in tasks},
        "versions": {t.name: t.result.version for t in tasks},
        "n-shot": {t.name: t.asked.spec.shots for t in tasks if t.asked},
        "higher_is_better": rises,
        "n-samples": {
            t.name: {"original": t.asked.documents if t.asked else None, "effective": t.result.n} for t in tasks
        },
        "task_hashes": {t.name: t.hash for t in tasks if t.hash},
        "assay": {
            "version": run.plan.assay_version,
            "run_id": run.plan.run_id,
            "complete": run.complete,
            "identity": dict(run.plan.identity),
            "docs": run.plan.docs,
            "fingerprints": {t.name: t.result.fingerprint for t in tasks},
            "metrics": {t.name: dict(t.result.metrics) for t in tasks},
        },
    }


def _plain(metrics: Mapping[str, float]) -> list[str]:
    """Names of metrics without their filters and standard errors, each once."""
    return list(dict.fromkeys(m.partition(",")[0] for m in metrics if not export_samples.is_stderr(m)))


def _rises(result: TaskResult, number: int, metric: str) -> bool | None:
    """Which way is up; the first metric is the task's value."""
    if number == 0:
        return result.higher_is_better
    last = metric.rpartition(" ")[2]  # `base pass@1`
    return True if metric in RISES or last.startswith("pass@") else False if metric in FALLS else None


def _numbers(task: _Task) -> dict[str, Any]:
    """Metrics, each followed by its standard error; "N/A" where there is none, as lm-eval has it."""
    found: dict[str, Any] = {"name": task.name, "alias": task.name, "sample_len": task.result.n}
    for i, (name, value) in enumerate(task.metrics.items()):
        if not export_samples.is_stderr(name):
            stderr = export_samples.stderr_of(name)
            known = task.metrics.get(stderr, None if i else task.result.stderr)
            found |= {name: value, stderr: "N/A" if known is None else known}
    return found


def _config(task: _Task, rises: Mapping[str, bool | None]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "task": task.name,
        "output_type": task.kind,
        "metric_list": [{"metric": m, "higher_is_better": up} for m, up in rises.items()],
        "metadata": {"version": task.result.version},
    }
    if task.asked:
        spec = task.asked.spec
        found["num_fewshot"] = spec.shots
        if spec.lm_eval is None:
            found |= {"fewshot_delimiter": spec.example_delimiter, "target_delimiter": spec.continuation_delimiter}
        if spec.code:
            sampling = {"temperature": spec.draws.temperature, "top_p": spec.draws.top_p}
            drawn = spec.draws.temperature > 0
            found |= {"repeats": spec.draws.n, "generation_kwargs": {"do_sample": drawn, **(sampling if drawn else {})}}
        elif spec.kind == "generation":
            found["generation_kwargs"] = {"until": list(spec.stop), "do_sample": False}
    return found


def _circumstances(run: Run, model: _Model) -> dict[str, Any]:
    """What lm-eval's `simple_evaluate` and its tracker add; no `lm_eval_version`, for lm-eval did not evaluate this."""
    options, environment = run.plan.options, run.plan.environment
    config = {"model": model.source, "model_args": model.arguments}
    known = {"model_num_parameters": run.plan.checkpoint.parameters, "model_dtype": run.plan.identity.get("dtype")}
    config |= {k: v for k, v in known.items() if v is not None}
    config |= {k: options.get(k) for k in ("batch_size", "device", "limit")}
    kept_nowhere = ("use_cache", "bootstrap_iters", "gen_kwargs", "random_seed", "numpy_seed", "torch_seed")
    wall_s = sum(s for r in run.results.values() for s in r.wall_s.values())
    return {
        "config": config | dict.fromkeys((*kept_nowhere, "fewshot_seed")),
        "git_hash": environment.get("git") or None,
        "date": float(calendar.timegm(_begun(run))),
        "transformers_version": environment.get("packages", {}).get("transformers"),
        "lm_eval_version": None,
        "model_source": model.source,
        "model_name": model.name,
        "system_instruction": options.get("system_prompt") or None,
        "system_instruction_sha": None,
        "fewshot_as_multiturn": options.get("fewshot_as_turns"),
        "chat_template": None,
        "chat_template_sha": None,
        "total_evaluation_time_seconds": str(wall_s) if wall_s else None,
    }


def _begun(run: Run) -> time.struct_time:
    return time.strptime(run.plan.created, "%Y-%m-%dT%H:%M:%SZ")


def _model(run: Run) -> _Model:
    """`hf:FOLDER` is lm-eval's `--model hf --model_args pretrained=FOLDER`; other models keep their own names."""
    options, label = run.plan.options, run.plan.checkpoint.label
    if "model_args" in options:  # an imported run
        return _Model(options["model"], options["model_args"], options["model_name"])
    given = parse_reference(str(options.get("model", label)))
    if given.scheme == "lm_eval":
        return _Model(given.target, _joined(given.arguments), label)
    if given.scheme not in LOADED:
        return _Model(given.scheme, given.rest, label)
    revised = re.fullmatch(r"([\w.-]+/[\w.-]+)@(.+)", given.target)
    named = {"pretrained": revised[1], "revision": revised[2]} if revised else {"pretrained": given.target}
    named |= {k: run.plan.identity[k] for k in ("dtype",) if k in run.plan.identity}
    name = named["pretrained"]
    return _Model(given.scheme, _joined({**named, **given.arguments}), name if name.strip("./") else label)


def _joined(arguments: Mapping[str, str]) -> str:
    return ",".join(f"{k}={v}" for k, v in arguments.items())
