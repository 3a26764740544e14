"""How often the gate that `assay gate init` writes is wrong, by simulation; benchmarks/gate.py does it at full size."""

import gc
import math

import numpy as np
import pytest

from assay.harness.gating import config as configs
from assay.harness.gating import planning
from assay.harness.gating.types import Mean
from tests.gate.fixtures import judged, measured, snapshot

SIZES = {
    "few": 32,
    "copa": 100,
    "humaneval": 164,
    "sat": 206,
    "gsm8k": 1319,
    "target": 2000,
    "fewshot": 600,
    "zeroshot": 600,
}
WHOLE = Mean(
    name="whole", baselines=dict.fromkeys(SIZES, 0.25), kin={t: "one" if t.endswith("shot") else t for t in SIZES}
)
GROUPS = {"gsm8k": tuple(f"{i * i % 20}" for i in range(SIZES["gsm8k"]))}
DRAWS, DROPS = 300, 100


@pytest.fixture(autouse=True)
def few_garbage():
    """Holm's correction, in statsmodels, collects garbage at each call: not through all that pytest holds."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def rules(tmp_path):
    """The gate's rules, through its file."""
    path = tmp_path / "gate.yaml"
    path.write_text(planning.first("some", SIZES, [WHOLE], {}, "pinned/main"))
    return configs.load(path)


def drawn(rng, flips, drops=None):
    """A baseline and a candidate of which so many items flip, with a true drop of some tasks."""
    sides = ({}, {})
    for task, n in SIZES.items():
        drop, where = (drops or {}).get(task, 0.0), rng.random(n)
        lost, gained = where < (flips + drop) / 2, where > 1 - (flips - drop) / 2
        base = np.where(lost, 1.0, np.where(gained, 0.0, np.arange(n) % 2))
        for side, scores in zip(sides, (base, np.where(lost | gained, 1 - base, base)), strict=True):
            side[task] = measured(scores, groups=GROUPS.get(task))
    return snapshot("base", sides[0]), snapshot("candidate", sides[1])


@pytest.mark.parametrize("flips", [0.05, 0.1, 0.2])
def test_equal_checkpoints_are_blocked_no_more_often_than_alpha(rules, flips):
    rng = np.random.default_rng([6, int(100 * flips)])
    reports = [judged(rules, *drawn(rng, flips), means=[WHOLE]) for _ in range(DRAWS)]
    allowed = rules.alpha + 3 * math.sqrt(rules.alpha * (1 - rules.alpha) / DRAWS)
    assert {r.exit_code for r in reports} <= {0, 3}
    assert np.mean([r.exit_code == 3 for r in reports]) <= allowed
    # nor is the first key turned more often by itself
    assert np.mean([any(f.p_adjusted <= rules.alpha for f in r.findings) for r in reports]) <= allowed


def test_a_drop_of_five_points_on_two_thousand_items_is_found_and_named(rules):
    rng = np.random.default_rng(7)
    reports = [judged(rules, *drawn(rng, 0.1, {"target": 0.05}), means=[WHOLE]) for _ in range(DROPS)]
    named = [[f.name for f in r.findings if f.effect == "fail"] for r in reports]
    assert np.mean([r.exit_code == 3 and "target" in names for r, names in zip(reports, named, strict=True)]) > 0.9
    assert np.mean([names == ["target"] for names in named]) > 0.9
