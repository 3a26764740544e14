"""Baselines: what was promoted comes back, or is refused; never another number, never another item."""

import csv
import json

import numpy as np
import pytest

from assay.harness.gating import baselines
from assay.harness.gating.baseline_files import IDS, ITEMS, RECORD
from assay.harness.gating.baselines import BaselineMissing
from assay.harness.gating.types import Measured
from tests.gate.promoted import FILES, WHEN, kept, made, promoted, same, snapshot_of, task
from tests.leaderboard.stores import measured


def test_a_measured_run_comes_back_as_it_was(run, tmp_path):
    path = promoted(run, tmp_path / "baselines")
    assert path == tmp_path / "baselines" / "main"
    found = baselines.load(tmp_path / "baselines", "main")
    assert (found.by, found.reason, found.when) == ("R. M.", "first light", WHEN)
    assert found.snapshot.name == "baseline main"
    same(found.snapshot, snapshot_of(run))


def test_clustered_and_categorised_tasks_come_back_as_they_were(mirror, registry, tmp_path):
    tasks = ("winograd", "jeopardy", "agi_eval_lsat_ar")
    run = measured(tmp_path / "runs", registry, "many", model="corrupted:0.3", tasks=tasks)
    promoted(run, tmp_path)
    found = baselines.read(tmp_path, "main")
    same(found, snapshot_of(run))
    assert len(set(found.tasks["winograd"].clusters)) > 100
    assert len(set(found.tasks["jeopardy"].groups)) == 5


@pytest.mark.parametrize(
    "ids",
    [
        ("0", "1", "10", "2", "20"),
        ("HumanEval/0", "HumanEval/7", "Mbpp/3"),
        ("007", "07", "7", "a07", "a7", "-7", "7b", "", "x/", "é/9", "a\nb1", "9" * 30),
    ],
)
def test_any_ids_come_back(ids, tmp_path):
    assert kept(made({"t": task(np.arange(len(ids)) % 2, ids)}), tmp_path).tasks["t"].ids == tuple(sorted(ids))


@pytest.mark.parametrize(
    ("scores", "encoding"),
    [
        ([0, 1, 1, 0, 1, 1, 1, 0, 1], "bits"),
        ([1], "bits"),
        ([0, 1, np.nan], "float64"),
        ([0.25, 1, 1 / 3], "float64"),
        ([3.5, np.inf], "float64"),
    ],
)
def test_any_scores_come_back(scores, encoding, tmp_path):
    found = kept(made({"t": task(scores)}), tmp_path)
    assert np.array_equal(found.tasks["t"].scores, np.float64(scores), equal_nan=True)
    assert json.loads((tmp_path / "made" / RECORD).read_bytes())["tasks"]["t"]["encoding"] == encoding


def test_the_same_run_gives_the_same_bytes(run, tmp_path):
    one, two = promoted(run, tmp_path / "a"), promoted(run, tmp_path / "b")
    assert [(one / f).read_bytes() for f in FILES] == [(two / f).read_bytes() for f in FILES]
    assert sorted(p.name for p in one.iterdir()) == sorted(FILES)


def test_the_record_is_written_last_so_that_a_crash_leaves_none_that_vouches(run, tmp_path):
    path = promoted(run, tmp_path)
    assert max(FILES, key=lambda f: (path / f).stat().st_mtime_ns) == RECORD
    (path / RECORD).unlink()
    with pytest.raises(BaselineMissing):
        baselines.read(tmp_path, "main")


def test_dclms_items_and_their_ids_stay_small(reference, tmp_path):
    """Its own counts; as many categories as MMLU, passages as long as SQuAD's; answers at random."""
    with (reference / "dclm" / "eval" / "eval_meta_data.csv").open() as f:
        counts = {row["Eval Task"]: int(row["#datapoints"]) for row in csv.DictReader(f)}
    assert sum(counts.values()) == 240_464
    rng = np.random.default_rng(0)
    categories = {"mmlu_zeroshot": 57, "mmlu_fewshot": 57, "bbq": 11, "jeopardy": 5}
    passages = {"squad": 5, "coqa": 16, "winograd": 2, "agi_eval_lsat_ar": 6}
    tasks = {}
    for name, n in counts.items():
        part = [f"category {i * categories[name] // n}" if name in categories else "" for i in range(n)]
        ids = [f"{g}/{i}" if g else str(i) for i, g in enumerate(part)]
        order = sorted(range(n), key=ids.__getitem__)
        shared = np.cumsum(rng.random(n) < 1 / passages[name]) if name in passages else None
        tasks[name] = Measured(
            fingerprint="0" * 64,
            value=0.5,
            stderr=0.01,
            n=n,
            ids=tuple(ids[i] for i in order),
            scores=rng.integers(0, 2, n).astype(np.float64),
            groups=tuple(part[i] for i in order) if name in categories else None,
            clusters=None if shared is None else tuple(f"{shared[i]:012x}" for i in order),
        )
    same(kept(made(tasks), tmp_path), made(tasks))
    sizes = {f: (tmp_path / "made" / f).stat().st_size for f in FILES}
    assert sizes[ITEMS] <= 31_000
    assert sizes[IDS] <= 5_000
    assert sizes[RECORD] <= 60_000
