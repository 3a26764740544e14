"""The curves page: what one line joins, how noisy it is, what is left out, and that it says so."""

import json
import shutil

import altair as alt
import numpy as np
import pandas as pd
import pytest

from assay.harness import ranking
from assay.harness.gating.types import Side
from assay.leaderboard.charts import curves as charts
from assay.leaderboard.loads import curve_gates, curves, gates
from assay.tasks.selection import DocRange
from tests.leaderboard import gated, scenes
from tests.leaderboard.stores import measured

TASKS = ("demo_centred", "demo_animals", "demo_sums")


def view():
    from assay.leaderboard.views import curves

    curves.view()


@pytest.fixture(scope="module")
def store(tmp_path_factory, registry):
    return scenes.board(tmp_path_factory.mktemp("curves") / "runs", registry)


@pytest.fixture
def frames(store):
    return curves.load(scenes.source(store), ("mine",), TASKS, "tokens")


def look(**said):
    return charts.Look(**({"axis": "tokens", "log": False, "band": True, "smooth": False, "series": ("mine",)} | said))


def panel(frames, score="demo_sums", baseline=0.0, **said):
    points = frames["points"]
    return charts.panel(points[points["score"] == score], score, look(**said), baseline)


def marks(spec):
    return {layer["mark"]["type"] for layer in spec["layer"]}


def drawn_rows(spec):
    return spec["data"]["values"].to_dict("records")


def test_series_with_most_checkpoints_come_first_and_runs_without_a_place_are_not_offered(store):
    found = curves.series(scenes.source(store)).set_index("series")["checkpoints"]
    assert found.index[0] == "mine"
    assert found["mine"] == len(scenes.STEPS)
    assert found["small"] == 1
    assert "given" not in found


def test_composites_are_offered_before_tasks(store):
    offered = curves.scores(scenes.source(store), ("mine",))
    assert offered[0] == "demo_centred"
    assert offered[1:] == sorted(offered[1:])


def test_a_point_is_the_score_of_its_checkpoint_at_its_place(frames, store):
    points = frames["points"]
    assert points["score"].drop_duplicates().tolist() == list(TASKS)
    sums = points[points["score"] == "demo_sums"]
    assert sums["x"].tolist() == [step * 10**6 for step in scenes.STEPS]
    assert sums["value"].iloc[-1] > sums["value"].iloc[0]
    assert (sums["low"] <= sums["value"]).all()
    assert sums["line"].nunique() == 1


def test_the_noise_band_adds_the_scatter_of_checkpoints_to_the_error_of_items(frames):
    sums = frames["points"].query("score == 'demo_sums'")
    sd = ranking.checkpoint_noise(sums["x"], sums["value"]).sd
    assert frames["lines"].set_index("score").at["demo_sums", "sd"] == pytest.approx(sd)
    row = sums.iloc[2]
    half = 1.959964 * np.hypot(row["stderr"], sd)
    assert row["noise_high"] == pytest.approx(min(1, row["value"] + half), abs=1e-6)
    assert row["noise_low"] == pytest.approx(max(0, row["value"] - half), abs=1e-6)


def test_noise_is_unknown_below_five_points(tmp_path, registry):
    scenes.series(tmp_path / "runs", registry, {100: 0.9, 200: 0.5, 300: 0.2, 400: 0.1})
    store = scenes.indexed(tmp_path / "runs", registry)
    frames = curves.load(scenes.source(store), ("mine",), ("demo_sums",), "step")
    assert frames["lines"]["sd"].isna().all()
    assert frames["points"]["noise_low"].isna().all()
    assert "unknown below 5 points" in curves.said_of_noise(frames["lines"])


def test_checkpoints_that_asked_other_rows_are_not_joined(tmp_path, registry):
    scenes.series(tmp_path / "runs", registry, {100: 0.9, 200: 0.5, 300: 0.2})
    measured(tmp_path / "runs", registry, "ck-250", label="ck-250", step=250, tokens=25 * 10**7, docs=DocRange(stop=8))
    store = scenes.indexed(tmp_path / "runs", registry)
    frames = curves.load(scenes.source(store), ("mine",), ("demo_centred", "demo_sums"), "step")
    for score in ("demo_centred", "demo_sums"):
        lines = frames["points"][frames["points"]["score"] == score].groupby("line")["step"].agg(list)
        assert sorted(lines, key=len) == [[250], [100, 200, 300]]
    assert any("not joined" in said for said in curves.said_of_lines(frames["lines"], 1, 0))
    points = frames["points"]
    centred = points[points["score"] == "demo_centred"]
    said = curves.said_of_points(points, "step")
    for line, g in centred.groupby("line"):
        way = f"stands at {g['value'].iloc[0]:.3f}" if len(g) == 1 else f"goes from {g['value'].iloc[0]:.3f}"
        assert f"{line} {way}" in said


def test_of_a_checkpoint_measured_twice_the_newer_is_shown(tmp_path, registry):
    scenes.series(tmp_path / "runs", registry, {100: 0.9, 200: 0.2})
    measured(tmp_path / "runs", registry, "ck-200-again", model="oracle", label="ck-200", step=200, tokens=2 * 10**8)
    store = scenes.indexed(tmp_path / "runs", registry)
    runs = curves.queries.runs(scenes.source(store)).set_index("run_id")
    newest = runs.loc[["ck-200", "ck-200-again"], "created"].sort_values(kind="stable").index[-1]
    frames = curves.load(scenes.source(store), ("mine",), ("demo_sums",), "step")
    assert frames["points"]["run_id"].tolist() == ["ck-100", newest]
    assert any("measured twice" in said for said in curves.said_of_lines(frames["lines"], 1, 0))


def test_flops_are_an_estimate_unless_each_checkpoint_has_its_own(store):
    frames = curves.load(scenes.source(store), ("mine",), ("demo_sums",), "flops")
    assert frames["points"]["x"].tolist() == [6 * 10**7 * step * 10**6 for step in scenes.STEPS]
    assert frames["checkpoints"]["estimated"].all()


def test_flops_are_of_the_parameters_that_are_active():
    dense = {"run_id": "a", "series": "s", "step": 1, "tokens": 100, "parameters": 50, "flops": None}
    runs = pd.DataFrame([dense | {"active_parameters": None}, dense | {"active_parameters": 7, "step": 2}])
    assert curves._placed(runs)["flops"].tolist() == [6 * 50 * 100, 6 * 7 * 100]


def test_thinning_keeps_the_last_of_each_line_and_says_how_many_are_left():
    points = pd.DataFrame({"score": "s", "line": ["a"] * 1001 + ["b"] * 3, "x": [*range(1001), *range(3)]})
    drawn, k = curves.thinned(points, 500)
    assert k == 3
    assert drawn.groupby("line")["x"].max().to_dict() == {"a": 1000, "b": 2}
    assert len(drawn) < 500
    assert curves.thinned(points, 2000)[1] == 1
    assert any(
        "One checkpoint in 3" in said
        for said in curves.said_of_lines(pd.DataFrame(columns=[*curves.LINE, "left_out"]), 3, 0)
    )


def test_a_page_of_the_most_that_may_be_chosen_stays_small():
    assert curves.most_points(1) == curves.STEPS
    assert curves.most_points(curves.PANELS * curves.SERIES) * curves.PANELS * curves.SERIES <= curves.POINTS


def test_a_panel_has_a_band_dashes_a_rule_and_no_mark_without_a_place(frames):
    drawn = panel(frames)
    assert {"area", "line", "point", "rule"} <= marks(drawn)
    layers = drawn["layer"]
    assert sum(layer["mark"].get("strokeDash") == [5, 4] for layer in layers) == 2
    (guess,) = [layer for layer in layers if layer["mark"].get("strokeDash") == [1, 3]]
    assert guess["encoding"]["y"]["field"] == "guessing"
    assert layers[0]["encoding"]["y2"]["field"] == "high"
    assert all(np.isfinite(row["x"]) and np.isfinite(row["value"]) for row in drawn_rows(drawn))
    point = next(layer for layer in layers if layer["mark"]["type"] == "point")
    assert {"shape", "color", "detail"} <= set(point["encoding"])


def test_smoothing_keeps_the_raw_points_in_sight_and_is_the_trailing_mean(frames):
    plain, smooth = panel(frames), panel(frames, smooth=True)
    lines = [layer for layer in smooth["layer"] if layer["mark"]["type"] == "line"]
    assert [layer["encoding"]["y"]["field"] for layer in lines][-1] == "smooth"
    assert len(smooth["layer"]) == len(plain["layer"]) + 1
    assert "point" in marks(smooth)
    sums = frames["points"].query("score == 'demo_sums'")
    assert sums["smooth"].isna().tolist() == [True, True, False, False, False, False]
    assert sums["smooth"].iloc[2] == pytest.approx(sums["value"].iloc[:3].mean())


def test_a_lone_point_has_a_whisker_since_an_area_needs_two(frames):
    points = frames["points"].query("score == 'demo_sums'").head(1)
    drawn = charts.panel(points, "t", look(), None)
    (whisker,) = [layer for layer in drawn["layer"] if layer["mark"]["type"] == "rule"]
    assert whisker["encoding"]["y2"]["field"] == "high"
    assert [row["alone"] for row in drawn_rows(charts.panel(points, "t", look(), None))] == [True]


def test_without_choice_no_older_version_of_a_mean_is_shown():
    offered = ["core_v2", "extended_v2", "core_v1", "extended_v1", "safety (v2)", *"abcdef"]
    assert curves.usual(offered) == ["core_v2", "extended_v2", "safety (v2)"]
    assert curves.usual(["core_v1"]) == ["core_v1"]


def test_without_intervals_there_is_no_band(frames):
    assert "area" not in marks(panel(frames, band=False))


def test_a_log_axis_leaves_out_what_is_at_zero(frames):
    points = frames["points"].assign(x=[0.0, *frames["points"]["x"].iloc[1:]])
    drawn = charts.panel(points[points["score"] == TASKS[0]], "t", look(log=True), None)
    assert min(row["x"] for row in drawn_rows(drawn)) > 0
    assert any("1 point at 0" in said for said in curves.said_of_lines(frames["lines"], 1, 1))


def test_no_two_of_twenty_series_look_alike():
    names = [f"s{i}" for i in range(curves.SERIES)]
    drawn = look(series=names)
    colours, shapes = drawn.colour.to_dict()["scale"]["range"], drawn.shape.to_dict()["scale"]["range"]
    assert len(set(zip(colours, shapes, strict=True))) == curves.SERIES


def test_the_page_shows_the_longest_series_and_its_noise_and_baselines(store, monkeypatch):
    at = scenes.show(view, store, monkeypatch)
    said = scenes.said(at)
    assert "6 checkpoints of 1 training run against training tokens" in said
    assert "mine goes from" in said
    assert "Guessing (dotted) 0.250: 1\\/4 options" in said
    assert "Checkpoint noise (SD about the trend)" in said
    assert len(at.get("vega_lite_chart")) == curves.SHOWN


def test_smoothing_is_said_in_every_title(store, monkeypatch):
    at = scenes.show(view, store, monkeypatch, smooth="3", tasks=["demo_sums"])
    (spec,) = [c.proto.spec for c in at.get("vega_lite_chart")]
    assert json.loads(spec)["title"]["text"] == "demo_sums · mean of the last 3"


def test_a_series_of_one_checkpoint_is_a_point_and_is_said_to_be(store, monkeypatch):
    at = scenes.show(view, store, monkeypatch, run="small")
    assert "has one checkpoint, which is a point and no curve" in scenes.said(at)
    assert "1 checkpoint of 1 training run" in scenes.said(at)
    assert "small stands at 0.300" in scenes.said(at)
    assert len(at.get("vega_lite_chart")) == 2


def test_two_checkpoints_lead_to_their_comparison(store, monkeypatch):
    at = scenes.show(view, store, monkeypatch)
    (link,) = [b for b in at.get("link_button") if b.proto.label == "Compare"]
    assert link.proto.url == "compare?a=ck-100&b=ck-600"


def test_an_axis_that_nobody_knows_falls_back_and_says_so(tmp_path, registry, monkeypatch):
    for step in (1, 2):
        measured(tmp_path / "runs", registry, f"s{step}", label=f"s{step}", step=step)
    store = scenes.indexed(tmp_path / "runs", registry, 'models: [{match: "s*", facts: {series: only steps}}]')
    said = scenes.said(scenes.show(view, store, monkeypatch))
    assert "None of these checkpoints says its training tokens: the axis shows the training step" in said


def test_a_store_without_checkpoints_says_how_to_measure_some(tmp_path, registry, monkeypatch):
    scenes.numbers(tmp_path / "runs", registry, "bare", 0.5)
    store = scenes.indexed(tmp_path / "runs", registry)
    assert "assay run quick --model 'hf:checkpoints/step-*'" in scenes.said(scenes.show(view, store, monkeypatch))


def test_an_unfinished_checkpoint_has_nothing_to_draw(store, monkeypatch):
    at = scenes.show(view, store, monkeypatch, run=["mine"], tasks=["nothing"], x="never", smooth="9", band="2")
    assert len(at.warning) == 3
    assert at.get("vega_lite_chart")


def test_a_strangers_name_is_shown_as_text(store, monkeypatch):
    said = scenes.said(scenes.show(view, store, monkeypatch, run=scenes.EVIL))
    assert "<script>" not in said
    assert "](javascript" not in said
    assert "one checkpoint" in said


def test_more_series_than_can_be_told_apart_are_refused_in_words(tmp_path, registry, monkeypatch):
    for i in range(curves.SERIES + 1):
        measured(tmp_path / "runs", registry, f"r{i:02d}", label=f"r{i:02d}", tokens=10**6, tasks=("demo_animals",))
    store = scenes.indexed(tmp_path / "runs", registry, "models: []")
    names = [f"r{i:02d}" for i in range(curves.SERIES + 1)]
    at = scenes.show(view, store, monkeypatch, run=names)
    assert "21 training runs are too many" in scenes.said(at)


@pytest.fixture
def gated_store(tmp_path, store):
    """The store with verdicts of its own: what gates say must not reach the other tests."""
    shutil.copytree(store, tmp_path / "runs")
    gated.several(tmp_path / "runs")
    return tmp_path / "runs"


def blocks(store, frames, score="demo_sums"):
    found = curve_gates.stops(gates.blocked(gates.past(store)), frames["checkpoints"])
    points = frames["points"]
    return curve_gates.of_panel(found, points[points["score"] == score])


def crosses(spec):
    return [layer for layer in spec["layer"] if layer["mark"].get("shape") == charts.CROSS]


def test_where_a_gate_blocked_the_panel_of_the_score_to_blame_has_an_x_on_its_point(gated_store, frames):
    found = blocks(gated_store, frames)
    point = frames["points"].query("score == 'demo_sums' and run_id == 'ck-400'").iloc[0]
    assert found[["gate", "label", "x", "value", "named"]].to_numpy().tolist() == [
        ["main", "ck-400", point["x"], point["value"], True]
    ]
    drawn = panel(frames)
    marked = charts.panel(frames["points"].query("score == 'demo_sums'"), "demo_sums", look(), 0.0, found)
    assert crosses(drawn) == []
    (cross,) = crosses(marked)
    assert cross["encoding"]["y"]["field"] == "value"
    assert {"gate", "label", "created", "points"} <= {tip["field"] for tip in cross["encoding"]["tooltip"]}
    assert cross["data"]["values"][0]["points"] == pytest.approx(-12.5)


def test_the_other_panels_say_that_the_gate_blocked_there_and_blame_nothing(gated_store, frames):
    found = blocks(gated_store, frames, "demo_animals")
    assert found["named"].tolist() == [False]
    (cross,) = crosses(charts.panel(frames["points"].query("score == 'demo_animals'"), "t", look(), None, found))
    assert "value" in cross["encoding"]["y"]
    assert curve_gates.said_of_panel(found) == ""


def test_a_block_of_a_run_that_is_gone_stands_at_its_step(gated_store, frames):
    gated.fill(
        gated_store, gated.report(run="ck-500", candidate=Side(name="x", run_id="gone", series="mine", step=500))
    )
    assert "ck-500" in blocks(gated_store, frames)["label"].tolist()


def test_a_block_of_another_series_is_not_drawn(gated_store, frames):
    gated.fill(gated_store, gated.report(candidate=Side(name="x", run_id="small", series="small")))
    assert blocks(gated_store, frames)["label"].tolist() == ["ck-400"]


def test_a_log_axis_leaves_out_a_block_at_zero_too(gated_store, frames):
    found = blocks(gated_store, frames).assign(x=0.0)
    points = frames["points"].query("score == 'demo_sums'")
    assert crosses(charts.panel(points, "t", look(log=True), None, found)) == []


def test_vega_lite_takes_a_panel_with_blocks(gated_store, frames):
    for score in ("demo_sums", "demo_animals"):
        points = frames["points"].query("score == @score")
        spec = charts.panel(points, "t", look(), 0.1, blocks(gated_store, frames, score))
        alt.LayerChart.from_dict(spec | {"data": {"values": drawn_rows(spec)}})


def test_the_page_says_what_gates_blocked_and_why(gated_store, monkeypatch):
    said = scenes.said(scenes.show(view, gated_store, monkeypatch, tasks=["demo_sums", "demo_animals"]))
    assert "Gates blocked 1 time here (✕ on a dashed line): ck\\-400 by main for demo\\_sums (−12.5 points)" in said
    assert said.count("Blocked for it: ck\\-400") == 1


def test_a_store_without_gates_has_no_word_of_them(store, monkeypatch):
    assert "blocked" not in scenes.said(scenes.show(view, store, monkeypatch)).lower()
