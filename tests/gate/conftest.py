"""What several of the gate's tests begin with."""

import pytest

from tests.leaderboard.stores import measured


@pytest.fixture
def series(reference):
    """Real checkpoints of one training run."""
    return reference / "parity/checkpoints/series-a"


@pytest.fixture
def ckpts(tmp_path):
    folder = tmp_path / "ckpts"
    folder.mkdir()
    return folder


@pytest.fixture
def run(tmp_path, registry):
    return measured(tmp_path / "runs", registry, "one", model="corrupted:0.3", step=7, label="step-7")
