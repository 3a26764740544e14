"""Code answers to scores: sanitised, run in cells, judged here while the model writes the next ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

from assay.harness import truth
from assay.harness.judging import Judges
from assay.harness.lanes import Family, Lanes
from assay.harness.pal import ProgramAided
from assay.harness.truth import PHASES, CallsTruth, TestsTruth
from assay.harness.verdicts import Phase, Verdict, read_tests
from assay.sandbox.cell import values
from assay.sandbox.pool import Pool, open_pool
from assay.sandbox.types import Image, Outcome, SandboxUnavailable
from assay.tasks.code import bigcodebench_tasks, judge
from assay.tasks.code import render as code_render
from assay.tasks.datasets import Loaded
from assay.tasks.spec import Code, TaskSpec
from assay.tasks.types import Generation, Row, Sample, Score

FLAKY_S = 20.0
"""A failing BigCodeBench answer that took less is run once more, to tell chance from fault (PARITY D 33)."""


class Grading:
    """The sandboxes of a run: opened when the first code task needs them, closed together.

    Args:
        cells: containers of each image, 0 for what suits the image (`default_cells`).
        runtime: of the engine, "" for its default.
    """

    def __init__(self, *, cells: int = 0, runtime: str = "") -> None:
        self._options: dict[str, Any] = {"cells": cells, "runtime": runtime}
        self._pools: dict[Image, Pool] = {}
        self._judges = Judges()
        self._graders: list[Grader] = []

    def open(self, spec: TaskSpec, loaded: Loaded) -> Grader:
        """The grader of one task.

        Raises:
            SandboxUnavailable: no engine, or no image; the message has the remedy.
        """
        if spec.code is None:
            raise ValueError(f"task '{spec.name}' is not of kind code")
        image: Image = "bigcodebench" if spec.code.dataset == "bigcodebench" else "core"
        if image not in self._pools:
            self._pools[image] = open_pool(image, **self._options)
        pool = self._pools[image]
        pool.hope()
        make = ProgramAided if spec.code.maths else OwnersRules
        grader: Grader = make(spec, spec.code, loaded, pool, self._judges)
        self._graders.append(grader)
        return grader

    def close(self) -> None:
        """End every cell and helper; answers that were not judged by now are given up."""
        for grader in self._graders:
            grader.abandon()
        for pool in self._pools.values():
            pool.close()
        self._judges.close()

    def __enter__(self) -> Grading:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Grader(Protocol):
    """Judges one task's answers. Submit them as they come; the scores are futures.

    Attributes:
        identity: who judged, by what and in which image; part of the fingerprint.
    """

    identity: dict[str, str]

    def learn(self, doc_ids: Sequence[str]) -> None:
        """Find the truth of these problems, in the background; call it once, before the first answer."""
        ...

    def failing(self) -> list[str]:
        """Problems whose own solution fails in this image."""
        ...

    def submit(self, sample: Sample, answer: Generation) -> Future[Score]:
        """Queue one answer."""
        ...

    def close(self) -> None:
        """No more answers: all that were submitted are judged."""
        ...

    def abandon(self) -> None:
        """Drop what waits; nothing more is started."""
        ...


class OwnersRules:
    """The grader of evalplus's and bigcodebench's tasks; see `Grader`."""

    def __init__(self, spec: TaskSpec, code: Code, loaded: Loaded, pool: Pool, judges: Judges) -> None:
        self._spec, self._code, self._pool, self._judges = spec, code, pool, judges
        self._lanes = Lanes(pool)
        self._rows = {str(row["task_id"]): row for row in loaded.rows}
        self._path = truth.cache_path(code, loaded.git_blob, pool.digest, pool.runtime)
        self._truth: Future[dict[str, CallsTruth | TestsTruth]] = Future()
        self._learning = ThreadPoolExecutor(1, thread_name_prefix="truth")
        owner = "bigcodebench 0.2.5" if code.dataset == "bigcodebench" else "evalplus 0.3.1"
        self.identity = {
            "checker": f"{owner} rules, judged by assay ({code.part})",
            "dataset": f"{code.dataset} {code.release}",
            "image": pool.digest,
            "runtime": pool.runtime or "the engine's own",
            "cell": truth.cell_sha256(),
        }

    def learn(self, doc_ids: Sequence[str]) -> None:
        """Find the truth of these problems, in the background; call it once, before the first answer."""
        wanted = {d: self._rows[d] for d in doc_ids}
        self._truth = self._learning.submit(truth.find, self._code, wanted, self._path, self._pool)

    def failing(self) -> list[str]:
        """Problems whose own solution fails in this image."""
        return [d for d, known in self._truth.result().items() if not known.passes]

    def submit(self, sample: Sample, answer: Generation) -> Future[Score]:
        """Queue one answer."""
        return self._lanes.begin(lambda result: self._begin(sample, answer, result))

    def close(self) -> None:
        """No more answers: all that were submitted are judged."""
        self._lanes.close()
        self._learning.shutdown()

    def abandon(self) -> None:
        """Drop what waits; nothing more is started."""
        self._learning.shutdown(wait=False, cancel_futures=True)
        self._lanes.abandon()

    def _begin(self, sample: Sample, answer: Generation, result: Future[Score]) -> None:
        program = self._program(sample, answer)
        known = self._truth.result()[sample.doc_id]
        if isinstance(known, TestsTruth):
            self._run_tests(self._rows[sample.doc_id], known, program, result)
        elif known.fault:
            raise SandboxUnavailable(known.fault)
        else:
            self._begin_calls(sample, known, program, result)

    def _program(self, sample: Sample, answer: Generation) -> str:
        text = code_render.solution(self._spec, sample, answer)
        if answer.form != "program":
            family: Family = "bigcodebench" if self._code.dataset == "bigcodebench" else "evalplus"
            text = self._lanes.sanitised(family, text, sample.fields["entry_point"])
        if self._code.dataset == "bigcodebench":
            text = bigcodebench_tasks.calibrated(sample.fields, text)
        return text

    def _begin_calls(self, sample: Sample, known: CallsTruth, program: str, result: Future[Score]) -> None:
        problem = truth.problem(self._code.dataset, self._rows[sample.doc_id])
        names = PHASES if self._code.part == "plus" else ("base",)
        dataset: judge.Dataset = "mbpp" if self._code.dataset == "mbpp" else "humaneval"
        phases = {
            name: Phase(
                dataset,
                problem.entry_point,
                [values.encode(a) for a in getattr(problem, name)],
                known.phases[name],
                self._judges,
            )
            for name in names
        }
        empty = {n: (Verdict(True), Outcome(key=n, ended="ok")) for n, p in phases.items() if not p.calls}
        self._run_calls(phases, program, empty, result)

    def _run_calls(
        self,
        phases: Mapping[str, Phase],
        program: str,
        found: dict[str, tuple[Verdict, Outcome]],
        result: Future[Score],
    ) -> None:
        """Run the next phase, then the rest; what hung or died in one is not run in the next, for it can't be right."""
        left = [n for n in phases if n not in found]
        name, phase, expect_s = left[0], phases[left[0]], sum(phases[n].expect_s for n in left)

        def ended(outcome: Outcome) -> None:
            found[name] = phase.verdict(name, outcome), outcome
            if len(found) < len(phases) and found[name][0].status == "ok":
                self._run_calls(phases, program, found, result)
            else:
                result.set_result(_score(program, found, list(phases)))

        self._lanes.run_fairly(lambda: phase.job(name, program, expect_s), ended, result)

    def _run_tests(self, row: Row, known: TestsTruth, program: str, result: Future[Score]) -> None:
        """Against the unit tests; a quick failure is run once more, and said to be flaky if it then passes."""
        names, limit = bigcodebench_tasks.test_names(row["test"]), bigcodebench_tasks.wall_limit(known.seconds)

        def begin(first: tuple[Verdict, Outcome] | None) -> None:
            job, canaries = truth.tests_job(row, program, limit, known.seconds or FLAKY_S)
            self._lanes.run(job, lambda o: ended(read_tests(names, canaries, o), o, first), result)

        def ended(verdict: Verdict, outcome: Outcome, first: tuple[Verdict, Outcome] | None) -> None:
            quick = verdict.status == "ok" and outcome.wall_s < FLAKY_S
            if first is None and not verdict.passed and quick:
                begin((verdict, outcome))
                return
            if first is not None:
                again, (verdict, outcome) = verdict, first
                if again.passed:
                    verdict = Verdict(False, verdict.status, f"flaky: passed when run again; first {verdict.note}")
            result.set_result(_score(program, {"tests": (verdict, outcome)}, ["tests"]))

        begin(None)


def _score(program: str, found: Mapping[str, tuple[Verdict, Outcome]], names: Sequence[str]) -> Score:
    """Right when every phase of `names` passes; the first that doesn't gives the reason. One not run is not passed."""
    bad = next((v for v, _ in found.values() if not v.passed), None)
    return Score(
        value=float(bad is None),
        extracted=None,
        status=bad.status if bad else "ok",
        note=bad.note[:500] if bad else "",
        parts={n: float(n in found and found[n][0].passed) for n in names} if len(names) > 1 else {},
        program=program,
        stderr=next((o.stderr for _, o in found.values() if o.stderr), ""),
        run_s=sum(o.wall_s for _, o in found.values()),
        memory_mib=max(o.memory_mib for _, o in found.values()),
    )
