"""Program-aided maths to scores: the program runs in a cell, what it returned is compared here with the answer."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from importlib.metadata import PackageNotFoundError, version

from assay.harness import truth
from assay.harness.judging import Judges, Tripped
from assay.harness.lanes import Lanes
from assay.harness.verdicts import STATUS
from assay.sandbox.pool import Pool
from assay.sandbox.types import Calls, Job, Outcome, SandboxUnavailable
from assay.tasks.code import pal_tasks
from assay.tasks.code import render as code_render
from assay.tasks.datasets import Loaded
from assay.tasks.spec import Code, TaskSpec
from assay.tasks.types import Generation, Sample, Score

GRACE_S = 2.0
"""What a program may take beside its call."""
OUTPUT_MIB = 1
JUDGE_S = 20.0
"""Most that one comparison may take; MATH's own answers take 0.4 s at most."""
PARSERS = ("math-verify", "latex2sympy2_extended", "sympy")


class ProgramAided:
    """The grader of program-aided maths; see `grading.Grader`."""

    def __init__(self, spec: TaskSpec, code: Code, loaded: Loaded, pool: Pool, judges: Judges) -> None:
        if code.maths is None:
            raise ValueError(f"task '{spec.name}' is no program-aided maths")
        self._spec, self._dataset, self._judges = spec, code.maths, judges
        self._lanes = Lanes(pool)
        self.identity = {
            "checker": "PAL's rule: a number within 1e-3" if self._dataset == "gsm8k" else _math_verify(),
            "dataset": f"{code.dataset} {code.release}",
            "image": pool.digest,
            "runtime": pool.runtime or "the engine's own",
            "cell": truth.cell_sha256(),
        }

    def learn(self, doc_ids: Sequence[str]) -> None:
        """Nothing: the answers are in the data."""

    def failing(self) -> list[str]:
        """None: no problem has a solution of its own."""
        return []

    def submit(self, sample: Sample, answer: Generation) -> Future[Score]:
        """Queue one answer."""
        return self._lanes.begin(lambda result: self._begin(sample, answer, result))

    def close(self) -> None:
        """No more answers: all that were submitted are judged."""
        self._lanes.close()

    def abandon(self) -> None:
        """Drop what waits; nothing more is started."""
        self._lanes.abandon()

    def _begin(self, sample: Sample, answer: Generation, result: Future[Score]) -> None:
        program = code_render.solution(self._spec, sample, answer)
        if answer.form != "program":
            program = self._lanes.sanitised("evalplus", program, pal_tasks.ENTRY_POINT)
        gold = pal_tasks.gold(self._dataset, sample.fields)
        job = _job(sample.doc_id, program)
        self._lanes.run_fairly(lambda: job, lambda o: result.set_result(self._score(program, gold, o)), result)

    def _score(self, program: str, gold: str, outcome: Outcome) -> Score:
        returned = [line.partition(b" ")[2].decode("ascii", "replace") for line in outcome.lines if line[:1] == b"="]
        right, status, said, note = False, STATUS.get(outcome.ended, "ok"), "", outcome.note
        if outcome.ended == "ok" and len(returned) != 1:
            note = f"returned {len(returned)} times, and was called once"
        elif outcome.ended == "ok":
            try:
                asked = self._judges.ask("pal", self._dataset, returned[0], gold, limit_s=JUDGE_S)
                right, status, said, note = asked
            except Tripped as error:
                note = f"what it returned was {error}"
        return Score(
            value=float(right),
            extracted=said or None,
            status=status,
            note=note[:500],
            program=program,
            stderr=outcome.stderr,
            run_s=outcome.wall_s,
            memory_mib=outcome.memory_mib,
        )


def _job(key: str, program: str) -> Job:
    calls = Calls(
        code=program + pal_tasks.ADAPTED,
        entry_point=pal_tasks.ANSWER,
        inputs=("[]",),
        call_s=(pal_tasks.LIMIT_S,),
        digest=(False,),
    )
    return Job(key=key, image="core", program=calls, wall_s=pal_tasks.LIMIT_S + GRACE_S, output_mib=OUTPUT_MIB)


def _math_verify() -> str:
    try:
        return "math-verify, on what was returned: " + ", ".join(f"{name} {version(name)}" for name in PARSERS)
    except PackageNotFoundError as error:
        raise SandboxUnavailable(f"{error.name} is not installed: pip install 'assay-evals[math]'") from None
