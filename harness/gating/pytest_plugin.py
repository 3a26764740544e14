"""The fixture `assay_gate`, for teams that gate inside pytest. Every pytest loads this module: it imports nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from assay.harness.gating.types import Report


class Gate(Protocol):
    """What the fixture is."""

    def __call__(
        self, run: str | Path, gate: str | Path = ..., store: str | Path = ..., baselines: str | Path = ...
    ) -> Report:
        """Judge a run; paths are relative to pytest's rootdir."""


@pytest.fixture
def assay_gate(request: pytest.FixtureRequest) -> Gate:
    """Judge a run as `assay gate check` does: `assay_gate("latest")` fails the test unless the exit code is 0.

    The call returns the report, which is kept in the store's history. What was not measured fails like a regression,
    and so does a gate, a store or a run that can't be read: nothing is skipped.
    """
    root = request.config.rootpath

    def judged(
        run: str | Path,
        gate: str | Path = "gate.yaml",
        store: str | Path = "runs",
        baselines: str | Path = "baselines",
    ) -> Report:
        from datetime import date

        from assay.harness import store as runs
        from assay.harness.gating import checking, config, history, reports
        from assay.tasks.registry import open_registry
        from assay.tasks.types import UserError

        try:
            path = runs.find_run(root / store, str(root / run if (root / run).is_dir() else run))
            rules = config.load(root / gate)
            report = checking.check(rules, root / store, path, root / baselines, open_registry(), date.today())
        except UserError as error:
            pytest.fail(f"assay gate: {error}", pytrace=False)
        history.record(root / store, report)
        if report.exit_code:
            pytest.fail(reports.text(report), pytrace=False)
        return report

    return judged
