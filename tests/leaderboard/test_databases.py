"""Every page reads the same from SQLite and from PostgreSQL."""

from dataclasses import fields, is_dataclass

import pandas as pd
import pytest

from assay.harness import index
from assay.harness.index import Index
from assay.leaderboard import queries
from assay.leaderboard.loads import (
    about,
    compare,
    compare_runs,
    curves,
    heatmap,
    model,
    overview,
    samples,
    scaling,
    task,
)
from tests.leaderboard import postgres, scenes


@pytest.fixture(scope="module")
def both(tmp_path_factory, registry, server):
    """One store with something for every page, indexed in both databases."""
    folder = scenes.board(tmp_path_factory.mktemp("both") / "runs", registry)
    url = postgres.database(server)
    Index(folder, registry, url).sync()
    yield queries.open_source(folder), queries.open_source(folder, url)
    index.connect(folder, url).dispose()


LOADS = {
    "overview": lambda s: [[overview.load(s, b, score) for score in ("raw", "centred")] for b in overview.boards(s)],
    "model": lambda s: [
        [model.load(s, r), model.shares(s, model.load(s, r)["tasks"], "demo_centred")] for r in ("ck-600", "evil")
    ],
    "task": lambda s: [[task.about(s, n), task.load(s, n), task.items(s, n, queries.ALL_ROWS)] for n in task.names(s)],
    "heatmap": lambda s: [
        heatmap.deltas(s, TASKS, RUNS, "ck-100"),
        heatmap.cells(s, TASKS, RUNS),
        heatmap.columns(s, TASKS),
    ],
    "scaling": lambda s: [scaling.load(s, score) for score in scaling.scores(s)],
    "curves": lambda s: [curves.series(s), curves.load(s, ["mine"], curves.scores(s, ["mine"])[:3], "tokens")],
    "compare": lambda s: [compare.load(s, "ck-100", "ck-600"), compare_runs.settings(s, "ck-100", "ck-600")],
    "samples": lambda s: [samples.listing(s, "ck-100", "ck-600", n) for n in samples.tasks_of(s, "ck-100", "ck-600")],
    "about": lambda s: [about.counts(s), about.evidence(s), about.licences(s), about.changed_baselines(s)],
}
"""What each page reads; Gates and Contribute read nothing of the index."""
TASKS, RUNS = ("demo_sums", "demo_animals"), ("ck-100", "ck-600", "small")


@pytest.mark.parametrize("page", LOADS)
def test_a_page_reads_the_same_from_both_databases(both, page):
    one, two = map(LOADS[page], both)
    assert alike(one, two) > 0, "nothing was read: this test would prove nothing"


def alike(one, two):
    """Both are equal; how many rows of frames they hold."""
    if isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, two)
        return len(one)
    if is_dataclass(one):
        return alike(*([getattr(x, f.name) for f in fields(x)] for x in (one, two)))
    if isinstance(one, dict):
        assert list(one) == list(two)
        return alike(list(one.values()), list(two.values()))
    if isinstance(one, (list, tuple)):
        assert len(one) == len(two)
        return sum(alike(a, b) for a, b in zip(one, two, strict=True))
    assert repr(one) == repr(two)
    return 0
