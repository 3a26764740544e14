"""Stores that several tests of the board look at."""

import pytest

from assay.harness.interchange import import_dclm, imported
from tests.leaderboard import scenes


@pytest.fixture(scope="session")
def dclm(tmp_path_factory, registry, reference):
    """DCLM's 156 published evaluations, imported and indexed."""
    folder = tmp_path_factory.mktemp("dclm") / "runs"
    for run in import_dclm.read_all(reference / "dclm"):
        imported.save(run, folder)
    return scenes.indexed(folder, registry)
