"""A gate over a store: anchors, history and baselines as they lie there; what can't be read never passes."""

from dataclasses import replace

import pytest

from assay.harness import facts, store
from assay.harness.gating import baselines, checking, snapshots
from assay.harness.gating.baseline_files import IDS, ITEMS, RECORD
from assay.harness.gating.series import Series
from assay.harness.gating.types import Rule
from tests.gate.fixtures import BLOCK, TODAY, finding, rules
from tests.leaderboard.stores import measured

TASKS = ("demo_trades", "demo_sums")
SERIES = "models: [{match: 'ck-*', facts: {series: mine}}]\n"
SUITE = rules(suite=" ".join(TASKS), defaults=replace(BLOCK, min_effect=0.1))


@pytest.fixture
def ground(tmp_path, registry):
    """A store, a folder of baselines, and a way to measure and to judge."""

    class Ground:
        store, baselines = tmp_path / "runs", tmp_path / "baselines"

        def measure(self, name, wrong=0.0, **more):
            self.store.mkdir(exist_ok=True)
            (self.store / "board.yaml").write_text(SERIES)
            given = {"model": f"corrupted:{wrong}", "tasks": TASKS, "label": name} | more
            if name.startswith("ck-"):
                given |= {"step": int(name.removeprefix("ck-"))}
            return measured(self.store, registry, name, **given)

        def promote(self, name="main", of="good"):
            run = store.read_run(self.store / of)
            snapshot = snapshots.of_run(run, facts.read(self.store), registry)
            return baselines.promote(run, snapshot, self.baselines, name, "trusted", "Ada")

        def check(self, name, config=SUITE):
            return checking.check(config, self.store, self.store / name, self.baselines, registry, TODAY)

    return Ground()


@pytest.fixture
def pinned(ground):
    ground.measure("good")
    ground.promote()
    return ground


def test_a_pinned_baseline_catches_a_planted_regression_and_passes_itself(pinned):
    pinned.measure("bad", 0.4)
    assert pinned.check("good").exit_code == 0
    report = pinned.check("bad")
    assert (report.verdict, report.exit_code) == ("regressed", 3)
    assert {f.name for f in report.findings if f.effect == "fail"} <= set(TASKS)


def test_a_task_that_the_candidate_lacks_is_not_measured(pinned):
    pinned.measure("part", tasks=TASKS[:1])
    report = pinned.check("part")
    assert (finding(report, TASKS[1]).state, report.exit_code) == ("missing", 5)


@pytest.mark.parametrize("on_missing", ["fail", "create", "warn"])
@pytest.mark.parametrize("file", [ITEMS, IDS, RECORD])
def test_a_damaged_baseline_is_never_passed_over(pinned, file, on_missing):
    path = pinned.baselines / "main" / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    report = pinned.check("good", replace(SUITE, on_missing=on_missing))
    assert (report.verdict, report.exit_code) == ("not_measured", 5)
    assert any(file in note for note in report.notes)


def test_a_damaged_second_anchor_is_not_passed_over_either(pinned):
    pinned.promote("golden")
    (pinned.baselines / "golden" / ITEMS).write_bytes(b"")
    assert pinned.check("good", replace(SUITE, also=("pinned/golden",))).exit_code == 5


@pytest.mark.parametrize(("on_missing", "code"), [("fail", 5), ("create", 5), ("warn", 0)])
@pytest.mark.parametrize("missing", ["use", "also"])
def test_a_baseline_that_is_not_there_is_what_the_config_says(pinned, missing, on_missing, code):
    said = {"use": "pinned/none"} if missing == "use" else {"also": ("pinned/none",)}
    report = pinned.check("good", replace(SUITE, on_missing=on_missing, **said))
    assert report.exit_code == code
    assert any("no baseline 'none'" in note for note in report.notes)


@pytest.mark.parametrize("use", ["previous", "mean-of-last-2", "best-so-far"])
def test_a_first_checkpoint_has_nothing_to_be_compared_with(ground, use):
    ground.measure("ck-1")
    assert ground.check("ck-1", replace(SUITE, use=use)).exit_code == 5


def test_a_slow_drift_passes_the_previous_and_not_the_best(ground):
    for step in range(1, 12):
        ground.measure(f"ck-{step}", (step - 1) * 0.04)
    previous = replace(SUITE, use="previous", k=0.0)
    assert ground.check("ck-11", previous).exit_code == 0
    report = ground.check("ck-11", replace(previous, also=("best-so-far",)))
    assert report.exit_code == 3
    assert [a.run_id for a in report.anchors] == ["ck-10", "ck-1"]


def test_later_checkpoints_and_other_series_are_no_history(ground, registry):
    for name in ("ck-1", "ck-2", "ck-9", "stranger"):
        ground.measure(name)
    found = Series.before(ground.store, store.read_run(ground.store / "ck-2").plan, registry, TASKS)
    assert [run.plan.run_id for run in found.earlier] == ["ck-1"]


@pytest.mark.parametrize("unit", ["step", "tokens"])
def test_a_checkpoint_measured_again_is_not_its_own_predecessor(ground, registry, unit):
    for place in (1, 2):
        ground.measure(f"run-{place}", label=f"ck-{place}", **{unit: 10**9 * place})
    plan = store.read_run(ground.store / "run-2").plan
    again = replace(plan, run_id="again", created="2999-01-01T00:00:00Z")
    assert [run.plan.run_id for run in Series.before(ground.store, again, registry, TASKS).earlier] == ["run-1"]


def test_the_noise_is_of_what_was_asked_alike(ground, registry):
    for step in range(1, 7):
        ground.measure(f"ck-{step}", 0.05)
    last = store.read_run(ground.store / "ck-6")
    seen = snapshots.of_run(last, facts.read(ground.store), registry)
    history = Series.before(ground.store, last.plan, registry, TASKS).history([], seen)
    assert {t: len(points) for t, points in history.items()} == dict.fromkeys(TASKS, 5)
    other = replace(seen.tasks[TASKS[0]], fingerprint="another")
    changed = replace(seen, tasks=dict(seen.tasks) | {TASKS[0]: other})
    assert set(Series.before(ground.store, last.plan, registry, TASKS).history([], changed)) == {TASKS[1]}


def test_a_mean_of_checkpoints_that_were_asked_differently_is_not_measured(ground):
    ground.measure("ck-1", tasks=TASKS)
    ground.measure("ck-2", tasks=TASKS[:1])
    ground.measure("ck-3", tasks=TASKS)
    report = ground.check("ck-3", replace(SUITE, use="mean-of-last-2"))
    assert (finding(report, TASKS[1]).state, report.exit_code) == ("missing", 5)


def test_a_composite_blocks_where_its_tasks_are_only_tracked(ground):
    config = rules(
        suite="demo",
        defaults=Rule(),
        composites={"demo_centred": Rule(tier="block", mode="prove", min_effect=0.1, max_drop=0.1)},
    )
    ground.measure("good", tasks=("demo",))
    ground.measure("bad", 0.5, tasks=("demo",))
    ground.measure("part", tasks=TASKS)
    ground.promote()
    assert [ground.check(name, config).exit_code for name in ("good", "bad", "part")] == [0, 3, 5]


def test_a_second_anchor_that_is_missing_leaves_the_first_in_force(pinned):
    pinned.measure("bad", 0.4)
    config = replace(SUITE, also=("pinned/release",), on_missing="warn")
    report = pinned.check("bad", config)
    assert report.exit_code == 3
    assert any("no pinned/release" in note for note in report.notes)
    assert pinned.check("good", config).exit_code == 0


def test_a_smaller_run_of_a_checkpoint_does_not_hide_the_whole_one(ground):
    ground.measure("ck-1")
    ground.measure("small", tasks=TASKS[:1], label="ck-1", step=1)
    ground.measure("ck-2", 0.4)
    report = ground.check("ck-2", replace(SUITE, use="previous"))
    assert report.exit_code == 3
    assert report.anchors[0].run_id == "ck-1"
