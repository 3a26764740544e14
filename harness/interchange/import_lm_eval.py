"""lm-eval's files as runs of ours: one results JSON a run, with its samples where they lie beside it.

Nothing is measured again and nothing is made up: an imported task has its own name and a fingerprint that no measured
one can have, so its number is never taken for one of ours.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.harness import __version__, fingerprint, stats
from assay.harness.backends import checkpoint
from assay.harness.interchange import imported
from assay.harness.interchange.export_lm_eval import IMPORTED
from assay.harness.interchange.export_samples import is_stderr, stderr_of
from assay.harness.interchange.import_samples import Samples, read_samples
from assay.harness.interchange.imported import MOST_COUNT, ForeignFile, Imported, number, plain
from assay.harness.records import Checkpoint, Plan, TaskResult

MARK = "lm-eval import"
"""Begins every fingerprint and identity of an import; those of measured runs are hashes or names of models."""
STAMP = re.compile(r"_(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(?:\.\d+)?)$")
"""The time at the end of a file's name, which a results file shares with its samples."""
PER_TASK = ("results", "configs", "n-samples", "higher_is_better")
SECTIONS = (*PER_TASK, "versions", "n-shot", "task_hashes", "group_subtasks", "config")
"""Of a results file: mappings all, the first sort with a mapping for each task."""
ADDRESS = re.compile(r" at 0x[0-9a-f]+")
"""Of a function that a config holds: another in every process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A results file of lm-eval's, read.

    Attributes:
        sha256: of the file.
        samples: by lm-eval's name of the task.
    """

    path: Path
    sha256: str
    data: Mapping[str, Any]
    samples: Mapping[str, Samples]

    def part(self, key: str, task: str) -> Any:
        """What a section of the file says of a task; None when it says nothing."""
        return (self.data.get(key) or {}).get(task)


def read_all(path: Path) -> Iterator[Imported]:
    """The runs of a results file, or of every `results*.json` in a folder and below, as they are read.

    Raises:
        ForeignFile: there is none, or one is damaged or not lm-eval's; names file, line and remedy.
    """
    remedy = "pass what lm-eval wrote to its --output_path"
    return (_imported(read(file)) for file in imported.files(path, [f"{imported.BELOW}results*.json"], remedy))


def read(path: Path) -> Foreign:
    """A results file and the samples beside it.

    Raises:
        ForeignFile: one of them is damaged or not lm-eval's; names file, line and remedy.
    """
    content = imported.content(path)
    data = imported.parse(path, content)
    if not isinstance(data, dict) or not isinstance(data.get("results"), dict) or not data["results"]:
        keys = ", ".join(sorted(data)[:8]) if isinstance(data, dict) else type(data).__name__
        raise ForeignFile(
            f"{path}: no results of lm-eval's: it has no tasks under 'results' (but {keys or 'nothing'}); pass the "
            "results_<time>.json that lm-eval writes to its --output_path"
        )
    sections = {k: data.get(k) or {} for k in SECTIONS}
    odd = [k for k, v in sections.items() if not isinstance(v, dict)]
    odd += [k for k in PER_TASK if k not in odd and not all(isinstance(v, dict) for v in sections[k].values())]
    if odd:
        raise ForeignFile(f"{path}: '{odd[0]}' is not what lm-eval writes there: the file was changed: copy it again")
    bare = Foreign(path=path, sha256=hashlib.sha256(content).hexdigest(), data=data, samples={})
    return dataclasses.replace(bare, samples=dict(_samples(bare)))


def _samples(foreign: Foreign) -> Iterator[tuple[str, Samples]]:
    stamp = STAMP.search(foreign.path.stem)
    for task, numbers in foreign.data["results"].items():
        if re.search(r"[/\\\x00-\x1f]", task):
            raise ForeignFile(f"{foreign.path}: task '{task}' can't name a file: change it there")
        path = foreign.path.with_name(f"samples_{task}_{stamp[1] if stamp else ''}.jsonl")
        if path.is_file():
            kind = str((foreign.part("configs", task) or {}).get("output_type"))
            found = read_samples(path, list(_metrics(numbers)), kind)
            found.demand_whole(path, _effective(foreign, task), foreign.part("task_hashes", task))
            yield task, found


def _metrics(numbers: Mapping[str, Any]) -> dict[str, float]:
    """Every number of `metric,filter`, in lm-eval's order; NaN included."""
    wanted = {k: v for k, v in numbers.items() if "," in k and not is_stderr(k)}
    known = {k: v for k, v in wanted.items() if isinstance(v, float) or (isinstance(v, int) and abs(v) < MOST_COUNT)}
    return {k: float(v) for k, v in known.items()}


def _stderrs(numbers: Mapping[str, Any]) -> Iterator[tuple[str, float | None]]:
    return ((k, number(v)) for k, v in numbers.items() if "," in k and is_stderr(k))


def _effective(foreign: Foreign, task: str) -> int:
    counted = (foreign.part("n-samples", task) or {}).get("effective")
    said = foreign.data["results"][task].get("sample_len")
    return next((int(n) for n in (counted, said) if isinstance(n, int)), 0)


def _imported(foreign: Foreign) -> Imported:
    plan = _plan(foreign)
    return Imported(
        plan=plan,
        results=[_result(foreign, task, plan.tasks[IMPORTED + task]) for task in _leaves(foreign)],
        composites=list(_composites(foreign)),
        samples={IMPORTED + task: found.rows for task, found in foreign.samples.items()},
        wall_s=number(foreign.data.get("total_evaluation_time_seconds")) or 0.0,
    )


def _leaves(foreign: Foreign) -> list[str]:
    groups = {g for g, members in (foreign.data.get("group_subtasks") or {}).items() if members}
    return [t for t in foreign.data["results"] if t not in groups]


def _plan(foreign: Foreign) -> Plan:
    data, config = foreign.data, dict(foreign.data.get("config") or {})
    source, arguments = str(config.get("model") or data.get("model_source") or "unknown"), config.get("model_args")
    name = str(data.get("model_name") or source) if arguments else source  # without arguments lm-eval makes one up
    label = plain(name.rstrip("/").rpartition("/")[2] if name[0] in "/." else name.replace("/", "--"))
    known = {"dtype": config.get("model_dtype"), "revision": config.get("model_sha") or config.get("model_revision")}
    packages = {"lm-eval": data.get("lm_eval_version"), "transformers": data.get("transformers_version")}
    return Plan(
        run_id=imported.run_id(label, "lm-eval", foreign.sha256),
        created=imported.moment(number(data.get("date"))),
        assay_version=__version__,
        identity={
            "model": plain(f"{MARK}: {source} {_said(arguments)}".strip(), 2_000),
            "engine": _engine(foreign),
            **{k: str(v) for k, v in known.items() if v},
        },
        checkpoint=_checkpoint(foreign, label, config),
        tasks={IMPORTED + t: _fingerprint(foreign, t) for t in _leaves(foreign)},
        docs=(0, None, None),
        options=config | {"model": source, "model_args": arguments, "model_name": name},
        environment={
            "packages": {k: str(v) for k, v in packages.items() if v},
            "git": data.get("git_hash") or "",
            "report": data.get("pretty_env_info") or "",
            "imported": {"file": str(foreign.path), "sha256": foreign.sha256},
        },
    )


def _engine(foreign: Foreign) -> str:
    """Who evaluated; a file that we exported names no lm-eval."""
    version = foreign.data.get("lm_eval_version")
    return f"lm-eval {version}" if version else "a file in lm-eval's form"


def _said(arguments: Any) -> str:
    """Model arguments as one text, in the form of --model_args."""
    if isinstance(arguments, Mapping):
        return ",".join(f"{k}={v}" for k, v in arguments.items())
    return str(arguments or "")


def _checkpoint(foreign: Foreign, label: str, config: Mapping[str, Any]) -> Checkpoint:
    """Step and tokens as the model's name tells them."""
    parameters = config.get("model_num_parameters")
    said = parameters if isinstance(parameters, int) else None
    return dataclasses.replace(checkpoint.describe(foreign.path.parent, label), parameters=said)


def _fingerprint(foreign: Foreign, task: str) -> str:
    """What the file says of all that decides the number besides the model: config, version, prompts, documents.

    A config's `metadata` is left out: it carries the model's arguments.
    """
    config = {k: v for k, v in (foreign.part("configs", task) or {}).items() if k != "metadata"}
    sections = ("versions", "n-shot", "n-samples", "task_hashes")
    decides = {
        "task": task,
        "config": ADDRESS.sub("", fingerprint.canonical(config)),
        "said": [foreign.part(section, task) for section in sections],
        "general": [foreign.data.get(k) for k in ("lm_eval_version", "system_instruction_sha")],
        "decoding": (foreign.data.get("config") or {}).get("gen_kwargs"),
    }
    return f"{MARK} {fingerprint.digest(decides)}"


def _result(foreign: Foreign, task: str, mark: str) -> TaskResult:
    """The first of the task's metrics is its value; every metric is kept by name."""
    numbers = foreign.data["results"][task]
    every = _metrics(numbers)
    finite = {k: v for k, v in every.items() if math.isfinite(v)}
    main = next(iter(every), "")
    samples = foreign.samples.get(task)
    n, total = _effective(foreign, task), (foreign.part("n-samples", task) or {}).get("original")
    part = isinstance(total, int) and n < total
    notes = [f"partial: {n} of {total} documents; the number is of these alone"] if part else []
    notes.append(f"imported: {_engine(foreign)}")
    notes += [f"the value is {main}"] if main in finite else []
    notes += [f"{k} is not a number" for k in every if k not in finite]
    notes += [] if every else ["no metric in lm-eval's form 'metric,filter': import what lm-eval 0.4 or newer wrote"]
    result = TaskResult(
        task=IMPORTED + task,
        status="incomplete" if main not in finite else "partial" if part else "ok",
        fingerprint=mark,
        version=int(number(foreign.part("versions", task)) or 1),
        n=n or (len(samples.rows) if samples else 0),
        counts={"ok": len(samples.rows)} if samples else {},
        metrics=finite | {k: v for k, v in _stderrs(numbers) if v is not None},
        message="; ".join(notes),
        higher_is_better=(foreign.part("higher_is_better", task) or {}).get(main.partition(",")[0]) is not False,
    )
    if main not in finite:
        return result
    result = dataclasses.replace(result, value=finite[main], stderr=number(numbers.get(stderr_of(main))))
    return _with_interval(result, samples)


def _with_interval(result: TaskResult, samples: Samples | None) -> TaskResult:
    """An interval by the rules of measured tasks, where the samples are there and their mean is the number."""
    scores = [r["score"] for r in samples.rows] if samples else []
    if not scores or None in scores or result.value is None:
        return result
    if not math.isclose(sum(scores) / len(scores), result.value, abs_tol=1e-9):
        return result
    bounds = stats.interval({"": scores}, {"": [""] * len(scores)})
    if bounds is None:
        return result
    return dataclasses.replace(result, low=bounds.low, high=bounds.high, method=bounds.method)


def _composites(foreign: Foreign) -> Iterator[Mapping[str, Any]]:
    """Groups, one entry a metric."""
    leaves = _leaves(foreign)
    for group, numbers in foreign.data["results"].items():
        if group in leaves:
            continue
        for name, value in _metrics(numbers).items():
            yield {
                "name": f"{IMPORTED}{group} {name}",
                "value": value if math.isfinite(value) else None,
                "stderr": number(numbers.get(stderr_of(name))),
                "missing": [],
            }
