"""The compare page: what is paired, what is refused and why, and that its words follow its numbers."""

import json

import numpy as np
import pandas as pd
import pytest

from assay.harness import multiplicity, store
from assay.leaderboard import queries
from assay.leaderboard.charts import compare as charts
from assay.leaderboard.loads import compare, compare_runs, compare_verdict
from assay.tasks.selection import DocRange
from tests.leaderboard import pairs, scenes
from tests.leaderboard.stores import measured

DEMO = {"demo_animals", "demo_capitals", "demo_sums", "demo_trades"}


def view():
    from assay.leaderboard.views import compare

    compare.view()


@pytest.fixture(scope="module")
def board(tmp_path_factory, registry):
    return scenes.board(tmp_path_factory.mktemp("compare") / "runs", registry)


@pytest.fixture
def source(board):
    return scenes.source(board)


@pytest.fixture
def written(tmp_path, registry):
    """Write runs by hand, then load the comparison of the first two."""

    def write(*runs):
        folder = tmp_path / "runs"
        for name, samples, said in runs:
            pairs.run(folder, name, samples, **said)
        found = scenes.source(scenes.indexed(folder, registry))
        return found, compare.load(found, runs[0][0], runs[1][0])

    return write


def judged(source, a, b, alpha=0.05):
    return compare.judged(compare.load(source, a, b).tested, alpha)


def test_a_task_is_compared_item_by_item_on_what_both_were_asked(source, board):
    tested = compare.load(source, "ck-600", "ck-100").tested.set_index("task")
    assert set(tested.index) == DEMO
    for task, row in tested.iterrows():
        scores = [
            store.read_run(board / run).samples(task).to_pandas().set_index("doc_id")["score"]
            for run in ("ck-600", "ck-100")
        ]
        change = scores[1] - scores[0]
        assert row["lost"] == (change < 0).sum()
        assert row["gained"] == (change > 0).sum()
        assert row["delta"] == pytest.approx(row["value_b"] - row["value_a"])
        assert row["low"] < row["delta"] < row["high"]


def test_swapping_the_runs_changes_the_sign_and_nothing_else(source):
    one, other = (compare.load(source, *pair).tested for pair in (("ck-600", "ck-100"), ("ck-100", "ck-600")))
    assert one["delta"].to_numpy() == pytest.approx(-other["delta"].to_numpy())
    assert one["low"].to_numpy() == pytest.approx(-other["high"].to_numpy())
    assert one["lost"].tolist() == other["gained"].tolist()
    assert one["p"].to_numpy() == pytest.approx(other["p"].to_numpy())


def test_other_rows_are_not_comparable_and_the_reason_names_them(tmp_path, registry):
    measured(tmp_path / "runs", registry, "whole", model="random:1")
    measured(tmp_path / "runs", registry, "part", model="random:2", docs=DocRange(stop=8))
    source = scenes.source(scenes.indexed(tmp_path / "runs", registry))
    found = compare.load(source, "whole", "part")
    assert found.tested.empty
    assert set(found.refused["fault"]) == {"different"}
    assert set(found.refused["reason"]) == {"A asked all rows, B rows 0 to 7"}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"version": 2, "fingerprint": "other"}, "versions 1 and 2"),
        ({"checker": {"image": "sha256:2"}, "fingerprint": "other"}, "judged otherwise: image"),
        ({"fingerprint": "other"}, "asked otherwise"),
        ({"fingerprint": ""}, "asked otherwise"),
        ({"higher_is_better": False}, "lower is better"),
        ({"value": 0.123}, "not the mean of its samples' scores"),
    ],
)
def test_what_was_asked_or_counted_otherwise_is_refused_with_its_reason(written, said, reason):
    samples = {"theirs": pairs.rows([1.0, 0.0] * 10)}
    _, found = written(("a", samples, {}), ("b", samples, said))
    assert found.tested.empty
    assert found.refused["fault"].tolist() == ["different"]
    assert reason in found.refused["reason"].iloc[0]


def test_two_runs_without_a_fingerprint_are_not_taken_to_be_alike(written):
    samples = {"theirs": pairs.rows([1.0, 0.0] * 10)}
    _, found = written(("a", samples, {"fingerprint": ""}), ("b", samples, {"fingerprint": ""}))
    assert found.tested.empty


def test_published_numbers_get_no_paired_claim(source):
    found = compare.load(source, "ck-600", "given")
    assert found.tested.empty
    assert not found.differences
    reasons = found.refused.set_index("task")
    assert reasons.loc["demo_animals", "fault"] == "aggregates"
    assert reasons.loc["demo_animals", "reason"] == "no samples of B, only the published number"
    assert reasons.loc["demo_trades", "reason"] == "only A has it"
    assert reasons.loc["demo_animals", "value_b"] == 0.9


def test_a_task_without_data_says_what_the_run_said_of_it(source):
    reasons = compare.load(source, "evil", "evil").refused.set_index("task")["reason"]
    assert reasons["absent"].startswith("neither run has it: <script>")


def test_what_the_machine_lost_is_left_out_and_counted(written):
    scores = [float(i % 2) for i in range(200)]
    lost = [None, *scores[1:]]
    _, found = written(("a", {"theirs": pairs.rows(scores)}, {}), ("b", {"theirs": pairs.rows(lost)}, {}))
    row = found.tested.iloc[0]
    assert (row["n"], row["left_out"], row["lost"], row["gained"]) == (199, 1, 0, 0)


def test_more_than_a_hundredth_missing_on_one_side_is_not_comparable(written):
    scores = [float(i % 2) for i in range(200)]
    lost = [None, None, None, *scores[3:]]
    _, found = written(("a", {"theirs": pairs.rows(scores)}, {}), ("b", {"theirs": pairs.rows(lost)}, {}))
    assert found.tested.empty
    assert found.refused["reason"].iloc[0] == "B has no score for 3 of 200 items"


def test_documents_that_only_one_side_has_count_as_missing(written):
    scores = [float(i % 2) for i in range(100)]
    short = pairs.rows(scores[:90])
    _, found = written(("a", {"theirs": pairs.rows(scores)}, {}), ("b", {"theirs": short}, {"value": 0.5}))
    assert found.refused["reason"].iloc[0] == "B has no score for 10 of 100 items"


def test_the_order_of_items_decides_nothing(written):
    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 2, 60).astype(float), rng.integers(0, 2, 60).astype(float)
    shuffled = [pairs.rows(second)[i] for i in rng.permutation(60)]
    _, found = written(("a", {"theirs": pairs.rows(first)}, {}), ("b", {"theirs": shuffled}, {}))
    row = found.tested.iloc[0]
    assert row["lost"] == ((first == 1) & (second == 0)).sum()
    assert row["gained"] == ((first == 0) & (second == 1)).sum()


def test_several_draws_are_one_item_with_their_mean(written):
    ids = [str(i // 4) for i in range(80)]
    drawn = [i % 4 for i in range(80)]
    a = pairs.rows([float(i % 4 < 2) for i in range(80)], doc_id=ids, draw=drawn)
    b = pairs.rows([float(i % 4 < 3) for i in range(80)], doc_id=ids, draw=drawn)
    _, found = written(("a", {"theirs": a}, {}), ("b", {"theirs": b}, {}))
    row = found.tested.iloc[0]
    assert (row["n"], row["gained"], row["delta"]) == (20, 20, pytest.approx(0.25))


@pytest.mark.parametrize(("task", "delta"), [("jeopardy", -0.25), ("mmlu", -0.1)])
def test_categories_weigh_alike_only_where_the_task_says_so(written, registry, task, delta):
    assert registry.tasks[task].mean == ("macro" if task == "jeopardy" else "micro")
    groups = ["many"] * 16 + ["few"] * 4
    a, b = [1.0] * 20, [1.0] * 16 + [0.0, 0.0, 1.0, 1.0]
    values = [{}, {"value": 0.75} if task == "jeopardy" else {}]
    samples = [{task: pairs.rows(scores, group=groups)} for scores in (a, b)]
    _, found = written(("a", samples[0], values[0]), ("b", samples[1], values[1]))
    assert found.differences[task].delta == pytest.approx(delta)


def test_items_that_share_a_passage_are_tested_together(written):
    a, b = [0.0] * 30, [1.0] * 30
    clusters = [f"passage {i // 3}" for i in range(30)]
    samples = [{"theirs": pairs.rows(scores, cluster=clusters)} for scores in (a, b)]
    _, found = written(("a", samples[0], {}), ("b", samples[1], {}))
    assert found.tested["test"].iloc[0].startswith("cluster")
    assert found.differences["theirs"].p == pytest.approx(2 * 0.5**10)


def test_what_survives_is_what_holm_says_over_the_tests_shown(source):
    found = judged(source, "ck-600", "ck-300")
    holm = multiplicity.holm(dict(zip(found["task"], found["p"], strict=True)))
    assert found.set_index("task")["holm"].to_dict() == pytest.approx(holm)
    for row in found.to_dict("records"):
        told = row["holm"] <= 0.05
        assert row["state"] == (("better" if row["delta"] > 0 else "worse") if told else "not told apart")
    assert found["delta"].is_monotonic_decreasing
    few = compare.judged(compare.load(source, "ck-600", "ck-300").tested.query("task == 'demo_sums'"), 0.05)
    assert few["holm"].iloc[0] == few["p"].iloc[0]


def test_a_stricter_level_tells_fewer_apart(source):
    counts = [(judged(source, "ck-600", "ck-200", alpha)["state"] != "not told apart").sum() for alpha in (0.05, 1e-15)]
    assert counts[0] > counts[1] == 0


def test_a_difference_below_what_the_items_can_show_is_called_underpowered(source):
    found = judged(source, "ck-300", "ck-400").set_index("task")
    small = found[(found["state"] == "not told apart") & (found["note"] == "") & (found["delta"].abs() < found["mde"])]
    assert len(small)
    assert small["said"].str.startswith("underpowered below").all()


@pytest.mark.parametrize(
    ("a", "b", "alpha", "state", "words"),
    [
        ("ck-600", "ck-100", 0.05, "worse", "**ck\\-100 is worse than ck\\-600** on {told} of 4 tasks"),
        ("ck-100", "ck-600", 0.05, "better", "**ck\\-600 is better than ck\\-100** on {told} of 4 tasks"),
        ("ck-600", "ck-600", 0.05, "identical", "**Identical scores**"),
        ("ck-600", "ck-100", 1e-15, "not told apart", "**Not told apart**: on 4 tasks nothing differs"),
    ],
)
def test_the_verdict_says_what_the_tests_say(source, a, b, alpha, state, words):
    found = judged(source, a, b, alpha)
    told = int((found["holm"] <= alpha).sum())
    assert bool(told) == (state in ("better", "worse"))
    got, said = compare_verdict.verdict(found, alpha, a, b)
    assert got == state
    assert words.format(told=told) in said


def test_a_verdict_over_gains_and_losses_is_mixed(written):
    better, worse = [0.0] * 30 + [1.0] * 30, [1.0] * 30 + [0.0] * 10 + [1.0] * 20
    samples = [
        {"one": pairs.rows(better), "two": pairs.rows([1.0] * 60)},
        {"one": pairs.rows([1.0] * 60), "two": pairs.rows(worse)},
    ]
    _, found = written(("a", samples[0], {}), ("b", samples[1], {}))
    state, said = compare_verdict.verdict(compare.judged(found.tested, 0.05), 0.05, "a", "b")
    assert state == "mixed"
    assert "better than a on 1 and worse on 1 of 2 tasks" in said


def clusters(scores, of):
    """Items of which `of` share a cluster."""
    return pairs.rows(scores, cluster=[f"c{i // of}" for i in range(len(scores))])


@pytest.mark.parametrize(
    ("a", "b", "why"),
    [
        (pairs.rows([0.0] * 9), pairs.rows([1.0] * 9), "fewer than 10 items: not tested"),
        (clusters([0.0] * 20, 20), clusters([1.0] * 20, 20), "all items are of one cluster: not tested"),
        (pairs.rows([0.0] * 20), pairs.rows([1.0] * 4 + [0.0] * 16), "fewer than 5 answers changed: too few"),
        (clusters([0.0] * 40, 5), clusters([1.0] * 20 + [0.0] * 20, 5), "changed in fewer than 5 clusters: too few"),
    ],
)
def test_where_nothing_could_be_tested_the_verdict_says_why_and_claims_nothing(written, a, b, why):
    _, found = written(("a", {"theirs": a}, {}), ("b", {"theirs": b}, {}))
    state, said = compare_verdict.verdict(compare.judged(found.tested, 0.05), 0.05, "a", "b")
    assert state == "not tested"
    assert said.startswith("**Not tested**")
    assert f"On theirs, {why}" in said.replace("answers changed in", "changed in")
    assert "nothing differs" not in said


def test_a_task_that_could_not_be_tested_is_not_among_those_that_do_not_differ(written):
    few, many = pairs.rows([0.0] * 9), pairs.rows([0.0] * 10 + [1.0] * 10)
    other, turned = pairs.rows([1.0] * 9), pairs.rows([float(i % 2) for i in range(20)])
    _, found = written(("a", {"few": few, "many": many}, {}), ("b", {"few": other, "many": turned}, {}))
    state, said = compare_verdict.verdict(compare.judged(found.tested, 0.05), 0.05, "a", "b")
    assert state == "not told apart"
    assert "on 1 of 2 tasks nothing differs" in said
    assert "On few, fewer than 10 items: not tested." in said


def test_names_in_a_verdict_are_no_markup(source):
    _, said = compare_verdict.verdict(judged(source, "ck-600", "ck-100"), 0.05, scenes.EVIL, scenes.EVIL)
    assert "<script>" not in said
    assert "](javascript" not in said


def test_a_composite_is_compared_where_each_of_its_tasks_is(source):
    compared = compare.load(source, "ck-600", "ck-100")
    (row,) = compare.composites(source, compared, "ck-600", "ck-100")
    assert row["name"] == "demo_centred"
    assert row["missing"] == []
    assert row["found"].delta == pytest.approx(row["value_b"] - row["value_a"])
    assert sum(row["found"].shares.values()) == pytest.approx(1)
    assert set(row["found"].shares) == DEMO


def test_a_composite_without_one_pair_has_no_difference_and_names_it(source):
    compared = compare.load(source, "ck-600", "ck-100")
    parts = {k: v for k, v in compared.differences.items() if k != "demo_sums"}
    lacking = compare.Compared(differences=parts, tested=compared.tested, refused=compared.refused)
    (row,) = compare.composites(source, lacking, "ck-600", "ck-100")
    assert row["found"] is None
    assert row["missing"] == ["demo_sums"]


def test_a_suite_keeps_its_own_tasks(source):
    compared = compare.load(source, "ck-600", "ck-100")
    assert "demo" in compare.suites_of(source, compared)
    assert set(compare.only(source, compared, "demo").differences) == DEMO
    assert compare.only(source, compared, "dclm-core").tested.empty


def test_only_what_differs_between_the_runs_is_listed(source):
    found = compare_runs.settings(source, "ck-600", "ck-100").set_index("setting")
    assert found.loc["identity model"].tolist() == ["corrupted:0.1", "corrupted:0.9"]
    assert found.loc["step"].tolist() == ["600", "100"]
    assert (found["A"] != found["B"]).all()
    assert not [s for s in found.index if "packages" in s]
    assert compare_runs.settings(source, "ck-600", "ck-600").empty


def test_the_noise_floor_is_what_the_same_weights_change(written):
    a, b, again = ([float(i >= k) for i in range(100)] for k in (50, 40, 47))
    source, _ = written(
        ("a", {"theirs": pairs.rows(a)}, {"model": "same"}),
        ("b", {"theirs": pairs.rows(b)}, {}),
        ("again", {"theirs": pairs.rows(again)}, {"model": "same"}),
        ("elsewhere", {"theirs": pairs.rows(again)}, {"model": "same", "fingerprint": "other"}),
    )
    found = compare_runs.floor(source, "b", "a", ("theirs",))
    assert (found.run, found.twin, found.flips, found.items) == ("a", "again", 3, 100)
    assert found.rate == 0.03
    assert compare_runs.floor(source, "b", "b", ("theirs",)) is None
    assert compare_runs.same_weights(source, "a", "again")
    assert not compare_runs.same_weights(source, "a", "b")


def test_a_twin_whose_samples_are_damaged_is_passed_over(tmp_path, registry, monkeypatch):
    folder = tmp_path / "runs"
    for name, wrong, model in (("a", 50, "same"), ("b", 40, ""), ("again", 47, "same"), ("torn", 45, "same")):
        pairs.run(folder, name, {"theirs": pairs.rows([float(i >= wrong) for i in range(100)])}, model=model)
    store = scenes.indexed(folder, registry)
    for torn, twin in (("torn", "again"), ("again", None)):
        (folder / torn / "samples" / "theirs.parquet").write_bytes(b"PAR1 is not enough")
        found = compare_runs.floor(scenes.source(store), "a", "b", ("theirs",))
        assert (found.twin if found else None) == twin
    assert "measure one of these checkpoints again" in scenes.said(scenes.show(view, store, monkeypatch, a="a", b="b"))


def test_a_fake_measured_twice_changes_nothing(tmp_path, registry):
    for name, model in (("one", "corrupted:0.3"), ("two", "corrupted:0.3"), ("other", "oracle")):
        measured(tmp_path / "runs", registry, name, model=model)
    source = scenes.source(scenes.indexed(tmp_path / "runs", registry))
    found = compare_runs.floor(source, "one", "other", tuple(DEMO))
    assert (found.twin, found.rate, found.tasks) == ("two", 0, 4)


def test_without_an_address_the_newest_is_compared_with_the_one_before_of_its_series():
    runs = pd.DataFrame({"series": ["s", "s", "t"]}, index=["s1", "s2", "t1"])
    assert compare_runs.neighbours(runs) == ("s2", "t1")
    assert compare_runs.neighbours(runs.iloc[:2]) == ("s1", "s2")
    assert compare_runs.neighbours(runs.iloc[:1]) == ("s1", "s1")
    more = pd.concat([runs, pd.DataFrame({"series": ["s"]}, index=["s3"])])
    assert compare_runs.neighbours(more) == ("s2", "s3")


def test_the_forest_has_intervals_a_zero_line_and_a_shape_for_each_state(source):
    found = judged(source, "ck-600", "ck-200")
    spec = charts.forest(found).to_dict()
    assert [layer["mark"]["type"] for layer in spec["layer"]] == ["rule", "rule", "point"]
    zero, whiskers, points = spec["layer"]
    assert spec["datasets"][zero["data"]["name"]] == [{"none": 0.0}]
    assert {whiskers["encoding"][c]["field"] for c in ("x", "x2")} == {"low", "high"}
    assert points["encoding"]["shape"]["field"] == points["encoding"]["fill"]["field"] == "state"
    assert points["encoding"]["y"]["sort"] == found["task"].tolist()
    assert "NaN" not in json.dumps(spec["layer"])
    for row in scenes.drawn(charts.forest(found)):
        assert not any(isinstance(v, float) and np.isnan(v) for v in row.values())


def test_a_margin_is_drawn_on_both_sides_of_no_difference(source):
    found = judged(source, "ck-600", "ck-500")
    spec = charts.forest(found, 2.0).to_dict()
    assert [layer["mark"]["type"] for layer in spec["layer"]] == ["rule", "rule", "rule", "point"]
    assert spec["datasets"][spec["layer"][1]["data"]["name"]] == [{"margin": -2.0}, {"margin": 2.0}]


def test_the_page_says_how_many_tasks_are_shown_to_hold_the_margin(board, monkeypatch):
    found = judged(scenes.source(board), "ck-100", "ck-600")
    held = {margin: int((100 * found["low"] > -margin).sum()) for margin in (0.5, 5)}
    for margin, count in held.items():
        words = scenes.said(scenes.show(view, board, monkeypatch, a="ck-100", b="ck-600", margin=f"{margin:g}"))
        assert f"{margin:g} points either way; {count} of 4 tasks are shown to hold that margin" in words
    words = scenes.said(scenes.show(view, board, monkeypatch, a="ck-600", b="ck-100", margin="5"))
    assert "0 of 4 tasks are shown to hold that margin" in words
    assert "hold that margin" not in scenes.said(scenes.show(view, board, monkeypatch, a="ck-100", b="ck-600"))


def test_lost_bars_go_left_and_gained_bars_right(source):
    found = judged(source, "ck-600", "ck-200")
    for row in scenes.drawn(charts.flips(found)):
        assert row["share"] <= 0 if row["way"] == charts.SIDES[0] else row["share"] >= 0
        assert abs(row["share"]) == pytest.approx(100 * row["items"] / row["n"])


def test_shares_are_written_at_their_bars():
    found = charts.shares(pd.DataFrame({"task": ["copa", "piqa"], "share": [0.34, 0.66]}))
    assert [row["said"] for row in scenes.drawn(found)] == ["34 %", "66 %"]
    assert {"bar", "text"} == scenes.marks(found)


def test_the_page_says_verdict_composite_tasks_and_floor(board, monkeypatch):
    at = scenes.show(view, board, monkeypatch, a="ck-600", b="ck-100")
    assert "is worse than" in at.error[0].value
    told = judged(scenes.source(board), "ck-600", "ck-100")["state"].value_counts()
    assert [int(m.value) for m in at.metric[:3]] == [told.get(s, 0) for s in charts.STATES]
    assert "variance" in scenes.said(at)
    assert "survive" in scenes.said(at)
    assert "measure one of these checkpoints again" in scenes.said(at)
    tasks = next(d.value for d in at.dataframe if "samples" in d.value)
    assert set(tasks["task"]) == DEMO
    assert tasks["samples"].str.startswith("samples?a=ck-600&b=ck-100&task=demo_").all()


def test_swapping_on_the_page_swaps_the_runs(board, monkeypatch):
    at = scenes.show(view, board, monkeypatch, a="ck-600", b="ck-100")
    at.button(key="swap").click().run()
    assert not at.exception
    assert "is better than" in at.success[0].value
    assert (at.selectbox(key="a").value, at.selectbox(key="b").value) == ("ck-100", "ck-600")


def test_each_run_that_the_address_leaves_open_is_written_into_it(board, monkeypatch):
    newest = compare_runs.neighbours(queries.runs(scenes.source(board)).set_index("run_id"))
    for asked in ({}, {"a": "ck-300"}, {"b": "ck-300"}):
        at = scenes.show(view, board, monkeypatch, **asked)
        for key, default in zip("ab", newest, strict=True):
            assert at.query_params[key] in (asked.get(key, default), [asked.get(key, default)])


def test_a_plain_table_keeps_small_numbers_and_is_text_throughout(board, monkeypatch):
    at = scenes.show(view, board, monkeypatch, a="ck-600", b="ck-100")
    at.toggle(key="tasks_shown").set_value(True).run()
    assert not at.exception
    shown = at.table[0].value.rename(columns=lambda name: name.replace("\\", ""))
    assert all(isinstance(cell, str) for cell in shown.to_numpy().ravel())
    small = judged(scenes.source(board), "ck-600", "ck-100")
    small = small[small["p"].between(0, 1e-5, inclusive="neither")]
    assert len(small)
    for row in small.itertuples():
        cells = shown[shown["task"] == row.task.replace("_", "\\_")].iloc[0].str.replace("\\", "")
        assert float(cells["p"]) == pytest.approx(row.p, rel=1e-3)
        assert cells["items"] == str(row.n)


def test_a_run_beside_itself_has_identical_scores(board, monkeypatch):
    at = scenes.show(view, board, monkeypatch, a="ck-600", b="ck-600")
    words = scenes.said(at)
    assert "the same run" in words
    assert "Identical scores" in words
    assert "differs: model, options, packages and machine are the same" in words


def test_published_numbers_stand_side_by_side_and_nothing_is_claimed(board, monkeypatch):
    at = scenes.show(view, board, monkeypatch, a="small", b="given")
    words = scenes.said(at)
    assert "No paired claim can be made" in words
    assert "Task by task" not in words
    assert not at.metric
    shown = next(d.value for d in at.dataframe if "why" in d.value).set_index("task")
    assert shown.loc["demo_animals", ["A", "B"]].tolist() == [0.3, 0.9]


def test_runs_with_nothing_in_common_are_listed_with_what_each_has(board, monkeypatch):
    at = scenes.show(view, board, monkeypatch, a="ck-600", b="evil")
    assert "nothing to pair" in scenes.said(at)
    shown = next(d.value for d in at.dataframe if "why" in d.value).set_index("task")["why"]
    assert shown["demo_trades"] == "only A has it"
    assert shown["theirs"] == "only B has it"


def test_tasks_asked_otherwise_are_said_to_be_not_comparable(tmp_path, registry, monkeypatch):
    measured(tmp_path / "runs", registry, "whole", model="random:1")
    measured(tmp_path / "runs", registry, "part", model="random:2", docs=DocRange(stop=8))
    store = scenes.indexed(tmp_path / "runs", registry)
    at = scenes.show(view, store, monkeypatch, a="whole", b="part")
    assert "Not comparable** on 4 tasks" in at.error[0].value


@pytest.mark.parametrize(
    "asked", [{"a": "nope"}, {"b": scenes.EVIL}, {"alpha": "7"}, {"margin": "7"}, {"suite": "../etc"}]
)
def test_what_the_address_can_not_have_is_said_and_the_default_shown(board, monkeypatch, asked):
    at = scenes.show(view, board, monkeypatch, **({"a": "ck-600", "b": "ck-100"} | asked))
    assert "There is no" in at.warning[0].value
    assert "<script>" not in at.warning[0].value
    assert at.title[0].value == "Compare"


def test_strangers_names_are_never_markup(tmp_path, registry, monkeypatch):
    samples = [{scenes.EVIL.replace("/", ""): pairs.rows(scores)} for scores in ([1.0] * 30, [0.0] * 30)]
    for name, found in zip(("one", "two"), samples, strict=True):
        pairs.run(tmp_path / "runs", name, found, label=scenes.EVIL)
    store = scenes.indexed(tmp_path / "runs", registry)
    at = scenes.show(view, store, monkeypatch, a="one", b="two")
    shown = [str(e.value) for kind in (at.markdown, at.caption, at.error, at.info, at.warning) for e in kind]
    assert "is worse than" in " ".join(shown)
    assert not [s for s in shown if "<script>" in s or "](javascript" in s or ":red[" in s]


def test_an_index_without_runs_says_what_to_do(tmp_path, registry, monkeypatch):
    at = scenes.show(view, scenes.indexed(tmp_path / "runs", registry), monkeypatch)
    assert "no runs yet" in at.info[0].value
    assert "assay run" in at.code[0].value


@pytest.mark.parametrize("content", [None, b"PAR1 is not enough", b""])
def test_samples_that_are_gone_or_damaged_are_said_not_raised(tmp_path, registry, monkeypatch, content):
    for name, model in (("one", "random:1"), ("two", "random:2")):
        measured(tmp_path / "runs", registry, name, model=model)
    store = scenes.indexed(tmp_path / "runs", registry)
    path = store / "one" / "samples" / "demo_sums.parquet"
    path.unlink() if content is None else path.write_bytes(content)
    at = scenes.show(view, store, monkeypatch, a="one", b="two")
    assert "assay reindex" in at.error[0].value.replace("\\", "")
    with pytest.raises(queries.SamplesUnreadable, match="demo_sums"):
        compare.load(scenes.source(store), "one", "two")
