"""Stores that several tests of the board look at, and the databases that index them."""

import pytest

from assay.harness import index
from assay.harness.interchange import import_dclm, imported
from tests.leaderboard import postgres, scenes
from tests.leaderboard.stores import measured


@pytest.fixture(scope="session")
def dclm(tmp_path_factory, registry, reference):
    """DCLM's 156 published evaluations, imported and indexed."""
    folder = tmp_path_factory.mktemp("dclm") / "runs"
    for run in import_dclm.read_all(reference / "dclm"):
        imported.save(run, folder)
    return scenes.indexed(folder, registry)


@pytest.fixture(scope="session")
def server():
    """A PostgreSQL of our own."""
    with postgres.server() as found:
        yield found


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """An empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'index.sqlite'}"
        return
    made = postgres.database(request.getfixturevalue("server"))
    yield made
    index.connect(tmp_path, made).dispose()


@pytest.fixture
def runs(tmp_path, registry):
    """A store of two measured runs."""
    folder = tmp_path / "runs"
    measured(folder, registry, "one", model="random:1")
    measured(folder, registry, "two", model="corrupted:0.3")
    return folder
