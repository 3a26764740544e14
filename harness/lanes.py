"""The way of an answer: threads that prepare it before its run in a cell, and threads that judge it after."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal

from assay.harness import judging
from assay.harness.judging import Judges, Tripped
from assay.harness.verdicts import starved
from assay.sandbox.pool import Pool
from assay.sandbox.types import Job, Outcome, SandboxUnavailable
from assay.tasks.types import Score

Family = Literal["evalplus", "bigcodebench"]
"""Whose sanitiser."""


class Lanes:
    """Two threads before a pool of cells and two after it, since the cells' own must never wait for room in its queue.

    Whatever an action raises becomes the `infra_error` of its one sample.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._sanitisers = Judges()
        self._before = ThreadPoolExecutor(2, thread_name_prefix="sanitise")
        self._after = ThreadPoolExecutor(2, thread_name_prefix="after")

    def begin(self, action: Callable[[Future[Score]], None]) -> Future[Score]:
        """Start on an answer; the action sees to it that its result is set."""
        result: Future[Score] = Future()
        self._before.submit(_or_fail, lambda: action(result), result)
        return result

    def run(self, job: Job, then: Callable[[Outcome], None], result: Future[Score]) -> None:
        """Queue a job, and go on when it has ended, on a thread that may queue more."""
        future = self._pool.submit(job)
        future.add_done_callback(lambda f: self._after.submit(_or_fail, lambda: then(f.result()), result))

    def run_fairly(self, make: Callable[[], Job], then: Callable[[Outcome], None], result: Future[Score]) -> None:
        """As `run`; a program that others kept from its processor is run once more."""

        def ended(outcome: Outcome) -> None:
            if starved(outcome):
                self.run(make(), then, result)
            else:
                then(outcome)

        self.run(make(), ended, result)

    def sanitised(self, family: Family, text: str, entry_point: str) -> str:
        """The part of an answer that counts, by its owners' sanitiser; all of it where that takes too long."""
        try:
            return str(self._sanitisers.ask("sanitise", family, text, entry_point, limit_s=judging.SANITISE_S))
        except Tripped:
            return text

    def close(self) -> None:
        """No more answers: all that were begun are judged."""
        self._before.shutdown()
        self._after.shutdown()
        self._sanitisers.close()

    def abandon(self) -> None:
        """Drop what waits; nothing more is started."""
        for threads in (self._before, self._after):
            threads.shutdown(wait=False, cancel_futures=True)
        self._sanitisers.close()


def _or_fail(action: Callable[[], None], result: Future[Score]) -> None:
    try:
        action()
    except SandboxUnavailable as error:
        result.set_result(Score(value=None, extracted=None, status="infra_error", note=f"sandbox: {error}"[:500]))
    except Exception as error:  # a fault of ours in one sample: it has no score, and the others do
        note = f"grading failed: {type(error).__name__}: {error}"
        result.set_result(Score(value=None, extracted=None, status="infra_error", note=note[:500]))
