"""Ground truth: what the owners' own solutions return, whether they pass, and how long they take, in this very image.

Found once a problem with the same cells that judge the answers, and kept in the cache under the hash of the data, the
image's digest and the cell's source.
"""

from __future__ import annotations

import gzip
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from assay.harness import fingerprint, judging
from assay.harness.files import write
from assay.harness.verdicts import Want, read_tests
from assay.sandbox.cell import values
from assay.sandbox.cells import MODULES, SOURCES
from assay.sandbox.pool import Pool
from assay.sandbox.types import Calls, Job, Outcome, Tests
from assay.tasks import datasets
from assay.tasks.code import bigcodebench_tasks, evalplus_tasks, judge
from assay.tasks.code.evalplus_tasks import Problem
from assay.tasks.spec import Code
from assay.tasks.types import Row

CANARIES = 4
PHASES = ("base", "plus")
UNBOUNDED_S = 300.0
"""Limit of a canonical solution: it is trusted, and its time is what we want to know."""


@dataclass(frozen=True, slots=True)
class CallsTruth:
    """Of one evalplus problem: what each call of each phase must return; a phase that failed says why instead."""

    phases: Mapping[str, Sequence[Want]]
    fault: str = ""

    @property
    def passes(self) -> bool:
        """The owners' solution runs here."""
        return not self.fault


@dataclass(frozen=True, slots=True)
class TestsTruth:
    """Of one BigCodeBench problem.

    Attributes:
        seconds: that its own solution took, None when it fails here; then `fault` says how.
    """

    seconds: float | None
    fault: str = ""

    @property
    def passes(self) -> bool:
        """The owners' solution passes its own tests here."""
        return self.seconds is not None


def problem(dataset: str, row: Row) -> Problem:
    """The evalplus problem of a row."""
    return evalplus_tasks.mbpp_plus(row) if dataset == "mbpp" else evalplus_tasks.humaneval_plus(row)


def cell_sha256() -> str:
    """Of everything that runs inside a cell."""
    return fingerprint.digest([(m, (SOURCES / f"{m}.py").read_text(encoding="utf-8")) for m in ("boot", *MODULES)])


def _rules_sha256() -> str:
    """Of what decides how an expected output is kept."""
    return fingerprint.digest([fingerprint.file_sha256(Path(f)) for f in (__file__, judge.__file__)])


def cache_path(code: Code, blob: str, image_digest: str, runtime: str) -> Path:
    """Where the truth of a dataset in an image is kept."""
    parts = [code.dataset, code.release, blob, image_digest, runtime, cell_sha256(), _rules_sha256()]
    return datasets.cache_folder().parent / "truth" / f"{code.dataset}-{fingerprint.digest(parts)[:24]}.json.gz"


def find(code: Code, rows: Mapping[str, Row], path: Path, pool: Pool) -> dict[str, CallsTruth | TestsTruth]:
    """The truth of these rows: read where it is known, found where it isn't.

    Raises:
        SandboxUnavailable: the machine failed.
    """
    make: Any = _tests_from if code.dataset == "bigcodebench" else _calls_from
    known = _read(path)
    missing = [d for d in rows if d not in known]
    if missing:
        ask = _tests_truth if code.dataset == "bigcodebench" else _calls_truth
        found = ask(code, {d: rows[d] for d in missing}, pool)
        again = [d for d in missing if not make(found[d]).passes]  # chance, or the machine: once more
        found |= ask(code, {d: rows[d] for d in again}, pool) if again else {}
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):  # another run may have found others meanwhile
            sound = {d: t for d, t in found.items() if code.dataset == "bigcodebench" or make(t).passes}
            known = _read(path) | sound
            write(path, gzip.compress(json.dumps(known).encode(), 5))
        known |= found
    return {d: make(known[d]) for d in rows}


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(gzip.decompress(path.read_bytes())))
    except (OSError, ValueError, EOFError):
        return {}  # absent, or torn: found again


def _tests_from(stored: Any) -> TestsTruth:
    return TestsTruth(*stored)


def _calls_from(stored: Any) -> CallsTruth:
    phases, fault = stored
    return CallsTruth({name: [Want(*w) for w in wants] for name, wants in phases.items()}, fault)


def _calls_truth(code: Code, rows: Mapping[str, Row], pool: Pool) -> dict[str, Any]:
    """Two passes: large outputs come as digests first, and in full where a digest can't decide."""
    found: dict[str, Any] = {}
    problems = {d: problem(code.dataset, row) for d, row in rows.items()}
    flags = {(d, phase): (True,) * len(getattr(p, phase)) for d, p in problems.items() for phase in PHASES}
    while flags:
        jobs = [_call_job(f"{d} {phase}", problems[d], phase, f) for (d, phase), f in flags.items()]
        outcomes = {o.key: o for o in pool.run(jobs)}
        asked, flags = flags, {}
        for (d, phase), f in asked.items():
            wants, fault = _wants(code, problems[d], phase, outcomes[f"{d} {phase}"])
            decisive = tuple(w.decisive or w.text[0] == "=" for w in wants)
            if not fault and not all(x or not y for x, y in zip(decisive, f, strict=True)):
                flags[d, phase] = decisive
            phases, first = found.get(d, ({}, ""))
            found[d] = ({**phases, phase: [list(astuple(w)) for w in wants]}, first or fault)
    return found


def _call_job(key: str, p: Problem, phase: str, digest: tuple[bool, ...]) -> Job:
    """The owners' own solution, without a limit to speak of."""
    inputs = tuple(values.encode(arguments) for arguments in getattr(p, phase))
    limits = (UNBOUNDED_S,) * len(inputs)
    calls = Calls(code=p.canonical, entry_point=p.entry_point, inputs=inputs, call_s=limits, digest=digest)
    return Job(key=key, image="core", program=calls, wall_s=UNBOUNDED_S, output_mib=1024)


def _wants(code: Code, p: Problem, phase: str, outcome: Outcome) -> tuple[list[Want], str]:
    """What each call must return, and why that can't be known."""
    lines = [line.decode("ascii") for line in outcome.lines if line[:1] in b"=#"]
    if outcome.ended != "ok" or len(lines) != len(getattr(p, phase)):
        return [], f"its own solution fails here: {outcome.ended}: {outcome.note}"
    dataset: judge.Dataset = "mbpp" if code.dataset == "mbpp" else "humaneval"
    wants, atol = [], p.atol
    for line in lines:
        stamp, _, text = line[1:].partition(" ")
        if line[0] == "#":
            atol = judge.FLOAT_ATOL if atol == 0 and text[64:] == "f" else atol
            decisive, alone = atol == 0 and not judge.has_oracle(dataset, p.entry_point), True
        else:
            output, text = _expected(dataset, p.entry_point, text)
            decisive = judge.digest_decisive(dataset, p.entry_point, output, atol)
            atol = judge.next_atol(output, atol)
            alone = p.entry_point != "find_zero" and not any(x in text for x in ('"nan"', '{"o"', '{"a"'))
        wants.append(Want(line[0] + (text[:64] if line[0] == "#" else text), decisive, alone, atol, int(stamp)))
    return wants, ""


def _expected(dataset: str, entry_point: str, text: str) -> tuple[Any, str]:
    """The expected output and its text; of evalplus's "not None" tasks only whether there is one."""
    from evalplus.eval import MBPP_OUTPUT_NOT_NONE_TASKS

    output = judging.decode(text)
    if dataset == "mbpp" and entry_point in MBPP_OUTPUT_NOT_NONE_TASKS:
        return output is not None, values.encode(output is not None)
    return output, text


def _tests_truth(code: Code, rows: Mapping[str, Row], pool: Pool) -> dict[str, Any]:
    jobs = {}
    for d, row in rows.items():
        source = row["complete_prompt"] + "\n" + row["canonical_solution"]
        jobs[d] = tests_job(row, source, bigcodebench_tasks.wall_limit(None), 0.0)
    found = {}
    for outcome in pool.run(job for job, _ in jobs.values()):
        canaries = jobs[outcome.key][1]
        verdict = read_tests(bigcodebench_tasks.test_names(rows[outcome.key]["test"]), canaries, outcome)
        found[outcome.key] = [outcome.wall_s if verdict.passed else None, "" if verdict.passed else verdict.note]
    return found


def tests_job(row: Row, program: str, wall_s: float, expect_s: float) -> tuple[Job, tuple[str, ...]]:
    """A job that runs a problem's unit tests, and the canaries that were hidden among them."""
    canaries = tuple(f"test_{secrets.token_hex(8)}" for _ in range(CANARIES))
    tests = Tests(code=program, test=row["test"], canaries=canaries)
    job = Job(key=str(row["task_id"]), image="bigcodebench", program=tests, wall_s=wall_s, expect_s=expect_s)
    return job, canaries
