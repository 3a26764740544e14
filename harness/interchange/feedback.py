"""Prompt, completion, reward: what a model wrote and whether it was right, to train on (ReST-EM, arXiv 2312.06585)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from assay.harness import files
from assay.harness.interchange import asked
from assay.harness.records import utf8
from assay.harness.store import Run
from assay.tasks.registry import Registry
from assay.tasks.spec import TaskSpec
from assay.tasks.types import UserError

SCHEMA = pa.schema(
    [
        ("task", pa.string()),
        ("doc_id", pa.string()),
        ("draw", pa.int32()),
        ("prompt", pa.string()),
        ("completion", pa.string()),
        ("form", pa.string()),
        ("reward", pa.int32()),
        ("model", pa.string()),
        ("run_id", pa.string()),
        ("fingerprint", pa.string()),
    ]
)
"""One row an answer. `form`: `completion` goes on from the prompt, `chat` is the model's turn after it, `program` is a
whole program that was given as the answer to it. `reward` is 0 or 1."""


class NoTrainingData(UserError):
    """Answers that must not be trained on, or can't be; the message names the tasks."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """Rows of `SCHEMA`, and how many answers were left out, by why."""

    rows: Sequence[Mapping[str, Any]]
    left_out: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Task:
    spec: TaskSpec
    samples: list[dict[str, Any]]


def collect(run: Run, registry: Registry, names: Sequence[str], *, test_data: bool) -> Feedback:
    """Rows of the named tasks, of every task with written answers when none is named.

    Args:
        run: whose answers.
        registry: with the specs of its tasks.
        names: of tasks.
        test_data: the user knows that test data are among them.

    Raises:
        NoTrainingData: a task is protected or has no written answers; it is test data and `test_data` is False; its
            scores are fractions.
        NotAsAsked: the prompts can't be rendered as they were asked.
    """
    chosen = [t for t in (_task(run, registry, n, named=bool(names)) for n in names or list(run.results)) if t]
    if not chosen:
        raise NoTrainingData(
            f"run {run.plan.run_id} has no task whose answers were written: there is nothing to export"
        )
    tests = [t.spec.name for t in chosen if t.spec.split != "train"]
    if tests and not test_data:
        raise NoTrainingData(
            f"test data, and a model that is trained on it can't be measured by it again: {', '.join(tests)}. Export "
            "the others with --task, say 'split: train' in the spec of rows that are meant for training, or, knowing "
            "what it does, pass --i-know"
        )
    rows: list[Mapping[str, Any]] = []
    left_out: Counter[str] = Counter()
    for task in chosen:
        questions = _questions(run, task)
        for sample in task.samples:
            if why := _unfit(sample):
                left_out[f"{task.spec.name}: {why}"] += 1
            else:
                rows.append(_row(run, task.spec.name, questions[sample["doc_id"]], sample))
    return Feedback(rows, left_out)


def _task(run: Run, registry: Registry, name: str, *, named: bool) -> _Task | None:
    """A task with written answers; None where there are none and nobody asked for it by name."""
    if not named and not run.results[name].samples_sha256:
        return None
    samples = run.samples(name).to_pylist()
    written = any(s["response"] is not None for s in samples)
    if not written and not named:
        return None
    spec = asked.spec_of(run, registry, name)
    if spec.data.protected:
        raise NoTrainingData(f"task '{name}' is protected: its authors ask that rows are not published")
    if not written:
        raise NoTrainingData(f"task '{name}' has no written answers: options were scored, nothing was written")
    return _Task(spec, samples)


def _questions(run: Run, task: _Task) -> Mapping[str, asked.Question]:
    fractions = [s["score"] for s in task.samples if s["score"] not in (None, 0.0, 1.0)]
    if fractions:
        raise NoTrainingData(
            f"task '{task.spec.name}': a score of {fractions[0]} is no reward of 0 or 1: export the others with --task"
        )
    return asked.again(run, task.spec, [s["form"] for s in task.samples]).questions


def _unfit(sample: Mapping[str, Any]) -> str:
    """Why an answer is no example to learn from, or ""."""
    if sample["score"] is None or sample["response"] is None:
        return "infra_error"
    return "the prompt was cut to fit, so its text is not what was asked" if sample["truncated"] else ""


def _row(run: Run, task: str, question: asked.Question, sample: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "task": task,
        "doc_id": sample["doc_id"],
        "draw": sample["draw"],
        "prompt": utf8(question.contexts[0]),
        "completion": sample["response"],
        "form": sample["form"],
        "reward": int(sample["score"]),
        "model": run.plan.checkpoint.label,
        "run_id": run.plan.run_id,
        "fingerprint": run.results[task].fingerprint,
    }


def json_lines(found: Feedback) -> Iterator[str]:
    """The rows as JSON Lines."""
    return (json.dumps(row, ensure_ascii=False) for row in found.rows)


def save(found: Feedback, path: Path) -> None:
    """Write the rows as the file's name says: `.jsonl` or `.parquet`.

    Raises:
        NoTrainingData: it says something else.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        table = pa.Table.from_pylist(list(found.rows), schema=SCHEMA)
        files.write_with(path, lambda p: pq.write_table(table, p, compression="zstd"))
    elif path.suffix == ".jsonl":
        files.write(path, "".join(f"{line}\n" for line in json_lines(found)).encode())
    else:
        raise NoTrainingData(f"--out {path}: its name must end in .jsonl or .parquet")
