"""The heatmap: what fits, what is coloured, which differences bear a claim and which must not."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from assay.harness import multiplicity
from assay.leaderboard import queries
from assay.leaderboard.charts import heatmap as charts
from assay.leaderboard.loads import compare, heatmap
from assay.tasks.selection import DocRange
from tests.leaderboard import pairs, scenes
from tests.leaderboard.stores import measured

DEMO = ("demo_capitals", "demo_animals", "demo_trades", "demo_sums")


def view():
    from assay.leaderboard.views import heatmap

    heatmap.view()


@pytest.fixture(scope="module")
def store(tmp_path_factory, registry):
    return scenes.board(tmp_path_factory.mktemp("heatmap") / "runs", registry)


def states(found, run_id):
    return found.cells[found.cells["run_id"] == run_id].set_index("task")["state"].to_dict()


def test_rows_stand_by_skill_and_perplexities_are_left_out(store):
    found = heatmap.tasks(scenes.source(store), ("theirs", "arc_easy", *DEMO, "boolq"))
    assert found["task"].tolist() == [*sorted(DEMO), "boolq", "arc_easy"]
    assert found["skill"].tolist()[-2:] == ["reading comprehension", "world knowledge"]


def test_columns_are_runs_with_a_score_by_series_and_step(store):
    found = heatmap.columns(scenes.source(store), DEMO)
    assert found[found["series"] == "mine"]["step"].tolist() == list(scenes.STEPS)
    assert "begun" not in set(found["run_id"])
    assert "evil" not in set(found["run_id"])


def test_of_too_many_columns_the_fullest_and_best_fit_in_their_order():
    n = heatmap.LIMIT + 20
    shown = pd.DataFrame({"run_id": range(n), "measured": [1] * 10 + [2] * (n - 10), "mean": np.arange(n) % 7})
    fits = heatmap.fitting(shown)
    assert len(fits) == heatmap.LIMIT
    assert fits["run_id"].is_monotonic_increasing
    assert fits["run_id"].min() == 10
    assert heatmap.fitting(fits).equals(fits)


def test_two_columns_are_never_called_alike():
    shown = pd.DataFrame(
        {
            "run_id": ["a-00000001", "b-00000002", "c-00000003", "d"],
            "label": ["step-1", "step-1", "step-2", "x" * 99],
            "series": ["one", "two", "two", "two"],
        }
    )
    assert heatmap.named(shown).tolist()[:3] == ["one · step-1", "two · step-1", "two · step-2"]
    assert heatmap.named(shown.iloc[2:]).tolist()[0] == "step-2"
    assert max(map(len, heatmap.named(shown))) <= 36
    alike = shown.assign(label="same", series="same")
    assert heatmap.named(alike).tolist()[:2] == ["same · 00000001", "same · 00000002"]
    assert heatmap.named(alike).is_unique


def test_a_difference_is_that_of_the_scores_and_is_tested_on_the_same_items(store):
    source = scenes.source(store)
    found = heatmap.deltas(source, DEMO, ["ck-200", "ck-600"], "ck-100")
    values = queries.results(source, run_ids=["ck-100", "ck-600"]).set_index(["run_id", "task"])["value"]
    cell = found.cells.set_index(["run_id", "task"])
    expected = values["ck-600", "demo_sums"] - values["ck-100", "demo_sums"]
    assert cell.at[("ck-600", "demo_sums"), "delta"] == pytest.approx(expected)
    assert cell.at[("ck-600", "demo_sums"), "state"] == heatmap.BETTER
    assert found.pairs == 8
    backwards = heatmap.deltas(source, DEMO, ["ck-100"], "ck-600")
    assert states(backwards, "ck-100")["demo_sums"] == heatmap.WORSE


def test_p_values_are_adjusted_over_all_cells_together(store):
    source = scenes.source(store)
    runs = ["ck-200", "ck-300", "ck-600"]
    raw = {}
    for run in runs:
        for task in DEMO:
            raw[f"{run}/{task}"] = compare.load(source, "ck-100", run).differences[task].p
    wanted = multiplicity.benjamini_hochberg(raw)
    found = heatmap.deltas(source, DEMO, runs, "ck-100").cells
    assert {f"{r.run_id}/{r.task}": r.p for r in found.itertuples()} == pytest.approx(wanted)


def test_a_run_against_its_twin_shows_no_difference(tmp_path, registry):
    for name in ("one", "two"):
        measured(tmp_path / "runs", registry, name, model="corrupted:0.5")
    store = scenes.indexed(tmp_path / "runs", registry)
    found = heatmap.deltas(scenes.source(store), DEMO, ["two"], "one")
    assert set(found.cells["state"]) == {heatmap.SAME}
    assert (found.cells["delta"] == 0).all()


def test_published_numbers_are_shown_and_never_tested(store):
    found = heatmap.deltas(scenes.source(store), DEMO, ["small"], "ck-100")
    assert states(found, "small") == {"demo_animals": heatmap.AGGREGATES, "demo_sums": heatmap.AGGREGATES}
    assert found.cells["p"].isna().all()
    assert found.pairs == 0


def test_runs_that_asked_other_rows_are_not_tested_against_each_other(tmp_path, registry):
    measured(tmp_path / "runs", registry, "whole", model="corrupted:0.9")
    measured(tmp_path / "runs", registry, "part", model="oracle", docs=DocRange(stop=12))
    store = scenes.indexed(tmp_path / "runs", registry)
    found = heatmap.deltas(scenes.source(store), DEMO, ["part"], "whole")
    assert set(found.cells["state"]) == {heatmap.OTHER}


SCORES = [float(i % 2) for i in range(200)]


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ([None, None, None, *SCORES[3:]], {}),
        (SCORES, {"value": 0.123}),
        ([50.0, *SCORES[1:]], {}),
    ],
)
def test_what_compare_refuses_is_not_tested_here_and_is_said(tmp_path, registry, monkeypatch, scores, said):
    pairs.run(tmp_path / "runs", "a", {"theirs": pairs.rows(SCORES)})
    pairs.run(tmp_path / "runs", "b", {"theirs": pairs.rows(scores)}, **said)
    store = scenes.indexed(tmp_path / "runs", registry)
    source = scenes.source(store)
    assert compare.load(source, "a", "b").tested.empty
    found = heatmap.deltas(source, ["theirs"], ["b"], "a")
    assert found.cells["state"].tolist() == [heatmap.REFUSED]
    assert found.cells["p"].isna().all()
    at = scenes.show(view, store, monkeypatch, suite="tasks of no suite", value="delta", base="a")
    assert f"1 cells bear no claim, {heatmap.REFUSED}" in scenes.said(at)


def test_two_runs_without_a_fingerprint_are_not_tested(tmp_path, registry):
    for name in "ab":
        pairs.run(tmp_path / "runs", name, {"theirs": pairs.rows(SCORES)}, fingerprint="")
    source = scenes.source(scenes.indexed(tmp_path / "runs", registry))
    assert heatmap.deltas(source, ["theirs"], ["b"], "a").cells["state"].tolist() == [heatmap.OTHER]


@pytest.mark.parametrize(("gone", "cells"), [("ck-600", 1), ("ck-100", 5)])
def test_samples_that_are_gone_leave_the_other_cells_tested(store, tmp_path, monkeypatch, gone, cells):
    shutil.copytree(store, tmp_path / "runs")
    (tmp_path / "runs" / gone / "samples" / "demo_sums.parquet").unlink()
    at = scenes.show(view, tmp_path / "runs", monkeypatch, suite="demo_centred", value="delta", base="ck-100")
    said = scenes.said(at)
    assert f"{cells} cells bear no claim, {heatmap.LOST}" in said
    assert f"Of {20 - cells} paired tests" in said


def test_more_pairs_than_a_page_may_test_are_said_to_be_untested(store, monkeypatch):
    monkeypatch.setattr(heatmap, "TESTED", 3)
    found = heatmap.deltas(scenes.source(store), DEMO, ["ck-600"], "ck-100")
    assert set(found.cells["state"]) == {heatmap.MANY}
    assert found.pairs == 4


def test_similar_rows_stand_together_and_none_is_lost():
    wide = pd.DataFrame([[0, 0, 0], [1, 1, 1], [0.1, 0, np.nan], [0.9, 1, 1]], index=["low", "high", "lower", "higher"])
    order = heatmap.similar(wide)
    assert sorted(order) == sorted(wide.index)
    assert {frozenset(order[:2]), frozenset(order[2:])} == {frozenset({"low", "lower"}), frozenset({"high", "higher"})}


def cells(n):
    return pd.DataFrame(
        {
            "task": [f"t{i}" for i in range(n)],
            "column": "a",
            "amount": np.linspace(-0.2, 0.4, n),
            "mark": ["▼", *[""] * (n - 2), "▲"],
            "state": "",
            "p": 0.01,
        }
    )


def test_differences_are_coloured_about_zero_and_marked_by_shape_as_well():
    drawn = charts.matrix(cells(4), ["§ one", "t0", "t1", "§ two", "t2", "t3"], ["a"], delta=True)
    spec = drawn.to_dict()
    scale = spec["layer"][0]["encoding"]["color"]["scale"]
    assert scale["domainMid"] == 0
    assert scale["domain"] == [-0.4, 0.4]
    assert [row["text"] for row in scenes.drawn(drawn)] == ["-0.20 ▼", "+0.00", "+0.20", "+0.40 ▲"]
    assert spec["layer"][0]["encoding"]["y"]["scale"]["domain"][0] == "§ one"
    assert {"rect", "text"} == scenes.marks(drawn)


def test_many_columns_bear_marks_and_no_numbers():
    many = pd.concat([cells(4).assign(column=f"c{i}") for i in range(charts.WRITTEN + 1)])
    names = list(many["column"].unique())
    drawn = charts.matrix(many, ["t0", "t1", "t2", "t3"], names, delta=True)
    assert {row["text"] for row in scenes.drawn(drawn)} == {"▲", "▼", ""}


def test_scores_have_one_sequence_of_colours_up_to_perfect():
    drawn = charts.matrix(cells(4).assign(mark=""), ["t0", "t1", "t2", "t3"], ["a"], delta=False)
    scale = drawn.to_dict()["layer"][0]["encoding"]["color"]["scale"]
    assert scale["domain"] == [pytest.approx(-0.2), 1.0]
    assert "domainMid" not in scale


def test_the_page_says_what_is_highest_and_what_is_empty(store, monkeypatch):
    said = scenes.said(scenes.show(view, store, monkeypatch, suite="demo_centred"))
    assert "4 tasks by" in said
    assert "Highest:" in said
    assert "cells are empty" in said


def test_the_page_counts_differences_and_what_bears_none(store, monkeypatch):
    at = scenes.show(view, store, monkeypatch, suite="demo_centred", value="delta", base="ck-100")
    said = scenes.said(at)
    assert "minus that of" in said
    assert "better (▲)" in said
    assert "cells bear no claim, not tested: a run has no samples of it" in said
    (spec,) = [json.loads(c.proto.spec) for c in at.get("vega_lite_chart")]
    assert "ck-100" not in spec["layer"][0]["encoding"]["x"]["scale"]["domain"]


def test_the_order_by_similarity_has_no_headings(store, monkeypatch):
    at = scenes.show(view, store, monkeypatch, suite="demo_centred", order="similarity")
    (spec,) = [json.loads(c.proto.spec) for c in at.get("vega_lite_chart")]
    assert not any(name.startswith(charts.HEADING) for name in spec["layer"][0]["encoding"]["y"]["scale"]["domain"])


def test_a_search_that_finds_nobody_says_so(store, monkeypatch):
    said = scenes.said(scenes.show(view, store, monkeypatch, suite="demo_centred", q="nobody"))
    assert "checkpoints is called so" in said


def test_one_checkpoint_has_no_difference(store, monkeypatch):
    at = scenes.show(view, store, monkeypatch, suite="demo_centred", cols="ck-100", value="delta")
    assert "A difference needs two checkpoints" in scenes.said(at)


def test_an_index_without_results_says_how_to_get_some(tmp_path, registry, monkeypatch):
    said = scenes.said(scenes.show(view, scenes.indexed(tmp_path / "runs", registry), monkeypatch))
    assert "assay run quick --model" in said


def test_an_address_that_asks_for_nothing_known_is_answered_with_the_default(store, monkeypatch):
    at = scenes.show(view, store, monkeypatch, suite="<b>", value=scenes.EVIL, order="x", rows="y", cols="z", base="w")
    assert len(at.warning) >= 5
    assert "<script>" not in scenes.said(at)


def test_a_strangers_task_and_name_are_shown_as_text(store, monkeypatch):
    at = scenes.show(view, store, monkeypatch, suite="tasks of no suite")
    assert "<script>" not in scenes.said(at)
    assert "](javascript" not in scenes.said(at)


def test_dclms_published_models_fill_a_page_and_the_rest_is_asked_to_be_filtered(
    tmp_path, registry, reference, monkeypatch
):
    from assay.harness.interchange import import_dclm, imported

    for run in import_dclm.read_all(reference / "dclm"):
        imported.save(run, tmp_path / "runs")
    store = scenes.indexed(tmp_path / "runs", registry)
    at = scenes.show(view, store, monkeypatch, suite="extended_v2", value="delta")
    said = scenes.said(at)
    assert "156 checkpoints are too many for one page" in said
    assert "None of these differences can be tested" in said
    (chart,) = at.get("vega_lite_chart")
    spec = json.loads(chart.proto.spec)
    assert len(spec["layer"][0]["encoding"]["x"]["scale"]["domain"]) == heatmap.LIMIT - 1
