"""What a submission claims, piece by piece, as it is handed to the process that holds it against its samples."""

from __future__ import annotations

from dataclasses import dataclass

from assay.harness import indexing
from assay.harness.records import TaskResult
from assay.harness.store import Run
from assay.harness.submission.findings import Finding, Level

CHANGED = "send the run as assay wrote it: nothing in it may be changed by hand"
"""The remedy of whatever an honest run cannot have."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A task of a run, or the run's composites where `task` is ""; `name` is the run's folder in the submission."""

    name: str
    run: Run
    task: str

    @property
    def where(self) -> str:
        """As findings name it."""
        return f"{self.name}/{self.task}" if self.task else self.name

    @property
    def foreign(self) -> bool:
        """Another tool measured it: what assay measures has a hash for a fingerprint."""
        return not indexing.measured(self.run.plan.tasks[self.task])

    @property
    def result(self) -> TaskResult:
        """What is claimed of the task."""
        return self.run.results[self.task]

    def says(self, level: Level, what: object, remedy: str = "") -> Finding:
        """A finding about it."""
        return Finding(level=level, where=self.where, what=str(what), remedy=remedy)
