"""A zip that a stranger hands in: unpacked in a temporary folder, validated, packed again, and forgotten."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from assay.harness import submission
from assay.harness.submission import Finding, SubmissionError
from assay.tasks.registry import Registry

ONE = threading.Lock()
"""Validation may take gigabytes: one at a time, whoever asks."""
SAID = {"fail": "✕ fail", "warn": "▲ warn", "pass": "✓ pass"}
"""A level as a shape and a word, the worst first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What is to say of an archive; `packed` is the zip for a pull request, None where something failed."""

    findings: tuple[Finding, ...]
    packed: bytes | None = None

    def count(self, level: str) -> int:
        """How many findings are of this level."""
        return sum(f.level == level for f in self.findings)


def check(archive: bytes, registry: Registry) -> Checked:
    """Validate a zip of run folders. Nothing is kept: what was unpacked is removed before this returns."""
    with ONE, TemporaryDirectory(prefix="assay-submission-") as place:
        try:
            folder = submission.unpack(archive, Path(place) / "submission")
            findings = tuple(submission.validate(folder, registry))
            failed = any(f.level == "fail" for f in findings)
            return Checked(findings=findings, packed=None if failed else submission.repack(folder, findings))
        except SubmissionError as error:
            fault = Finding(level="fail", where="the archive", what=str(error))
        except OSError as error:
            fault = Finding(level="fail", where="this server", what=str(error), remedy="validate on your machine")
        return Checked(findings=(fault,))


def table(checked: Checked) -> pd.DataFrame:
    """Findings as rows, the worst first: result, where, what, remedy."""
    order = list(SAID)
    rows = sorted(checked.findings, key=lambda f: order.index(f.level))
    return pd.DataFrame(
        [(SAID[f.level], f.where, f.what, f.remedy) for f in rows], columns=["result", "where", "what", "remedy"]
    )
