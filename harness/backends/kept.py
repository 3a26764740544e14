"""The answers that a run has kept, from its journal or its records, to be scored again."""

from __future__ import annotations

from collections.abc import Sequence

from assay.harness.backends.base import BackendError
from assay.harness.backends.fake import Words
from assay.harness.store import Run
from assay.tasks import scorers
from assay.tasks.spec import TaskSpec
from assay.tasks.types import Document, Generation, Greedy, Likelihood, LogLikelihood, Response, Tokenizer


class Kept:
    """One code task's answers in a finished run; in an unfinished one its journal has them, and none is asked for."""

    def __init__(self, run: Run, spec: TaskSpec) -> None:
        self.ref = f"run {run.plan.run_id}"
        self.identity = dict(run.plan.identity)
        self.checkpoint = run.plan.checkpoint
        self.tokenizer: Tokenizer = Words()
        self._texts: dict[str, list[Generation]] = {}
        self._asked: frozenset[str] | None = None
        result = run.results.get(spec.name)
        if result is not None and result.samples_sha256:
            rows = run.samples(spec.name).to_pylist()
            self._asked = frozenset(row["doc_id"] for row in rows)
            for row in rows:
                if row["response"] is not None:
                    text = Generation(
                        text=row["response"],
                        stopped=row["stopped"],
                        tokens=row["response_tokens"],
                        broken=row["score"] is None and row["note"].startswith(scorers.NAN),
                        form=row["form"],
                    )
                    self._texts.setdefault(row["doc_id"], []).append(text)

    def load(self) -> None:
        """Nothing to load."""

    def covers(self, spec: TaskSpec) -> frozenset[str] | None:
        """What was asked, which may be a part of the task; None where no result tells."""
        return self._asked

    def recorded(self, spec: TaskSpec, document: Document) -> tuple[Response, ...]:
        """The kept texts.

        Raises:
            BackendError: there is none: only the model can say.
        """
        doc_id = document.sample.doc_id
        if doc_id not in self._texts:
            raise BackendError(
                f"{self.ref}: {spec.name}/{doc_id} has no answer yet: finish the run with 'assay run', then grade it"
            )
        return tuple(self._texts[doc_id])

    def likelihoods(self, requests: Sequence[LogLikelihood]) -> list[Likelihood]:
        """Never asked of code."""
        raise BackendError(f"{self.ref} can only be graded")

    def generate(self, requests: Sequence[Greedy]) -> list[Generation]:
        """Never asked: `recorded` is."""
        raise BackendError(f"{self.ref} can only be graded")
