"""Baselines to test with, and ways to tell whether one came back as it was."""

import numpy as np

from assay.harness import facts
from assay.harness.gating import baselines, snapshots
from assay.harness.gating.baseline_files import IDS, ITEMS, RECORD, Baseline, encoded
from assay.harness.gating.types import Measured, Snapshot
from assay.tasks.registry import open_registry

FILES = (ITEMS, IDS, RECORD)
WHEN = "2026-11-27T12:00:00Z"


def snapshot_of(run):
    return snapshots.of_run(run, facts.Known(), open_registry())


def promoted(run, folder, name="main", **more):
    said = {"reason": "first light", "by": "R. M.", "when": WHEN} | more
    return baselines.promote(run, snapshot_of(run), folder, name, **said)


def same(a, b):
    """Everything but names: of the snapshot, and of clusters, of which only who shares one is kept."""
    assert [getattr(a, k) for k in ("run_id", "label", "series", "step", "created", "settings", "averaged")] == [
        getattr(b, k) for k in ("run_id", "label", "series", "step", "created", "settings", "averaged")
    ]
    assert list(a.tasks) == sorted(b.tasks)
    for task, m in b.tasks.items():
        kept = a.tasks[task]
        exact = ("fingerprint", "value", "stderr", "n", "ids", "groups", "counts", "status", "higher_is_better")
        assert [getattr(kept, k) for k in exact] == [getattr(m, k) for k in exact]
        assert kept.scores.dtype == np.float64
        assert np.array_equal(kept.scores, m.scores, equal_nan=True)
        assert partition(kept.clusters) == partition(m.clusters)


def partition(clusters):
    """Which items share what, whatever it is called; those on their own stay so."""
    if clusters is None:
        return None
    seen = {"": -1}
    return [seen.setdefault(c, len(seen)) for c in clusters]


def made(tasks, **more):
    return Snapshot(name="made", run_id="made", tasks=tasks, **more)


def task(scores, ids=None, **more):
    scores = np.asarray(scores, dtype=np.float64)
    ids = tuple(sorted(ids or map(str, range(len(scores)))))
    return Measured(fingerprint="f", value=0.5, stderr=0.1, n=len(scores), ids=ids, scores=scores, **more)


def kept(snapshot, folder, name="made"):
    """Write a snapshot that no run stands behind, and read it."""
    (folder / name).mkdir(parents=True)
    for file, content in encoded(Baseline(snapshot=snapshot, by="a", reason="b", when=WHEN)).items():
        (folder / name / file).write_bytes(content)
    return baselines.read(folder, name)
