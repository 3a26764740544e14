"""The scaling page: what is on the front, what is an estimate, what is missing."""

import numpy as np
import pandas as pd
import pytest

from assay.leaderboard import queries
from assay.leaderboard.charts import scaling as charts
from assay.leaderboard.loads import scaling
from assay.leaderboard.loads.scaling import AXES, ESTIMATE, GIVEN, OTHER, SHAPES
from tests.leaderboard import scenes


def view():
    from assay.leaderboard.views import scaling

    scaling.view()


@pytest.fixture(scope="module")
def store(tmp_path_factory, registry):
    return scenes.board(tmp_path_factory.mktemp("scaling") / "runs", registry)


@pytest.fixture
def found(store):
    return scaling.load(scenes.source(store), "demo_animals")


def frame(costs, scores, **columns):
    ids = [f"r{i}" for i in range(len(costs))]
    plain = {"label": ids, "family": "f", "low": np.nan, "high": np.nan, "flops_from": "", "evidence": "measured"}
    fixed = {"run_id": ids, "flops": costs, "value": scores, "higher_is_better": True}
    return pd.DataFrame(plain | fixed | columns)


def test_the_front_is_every_run_that_no_other_equals_for_as_little():
    rng = np.random.default_rng(1)
    costs, scores = pd.Series(rng.integers(1, 40, 200).astype(float)), pd.Series(rng.integers(0, 40, 200) / 40)
    on_front = scaling.front(costs, scores)
    for i in range(200):
        others = [j for j in range(200) if (costs[j], -scores[j], j) < (costs[i], -scores[i], i)]
        beaten = any(scores[j] >= scores[i] for j in others)
        assert on_front[i] == (not beaten)


def test_dominance_names_the_best_of_those_beaten_and_by_how_much():
    drawn = scaling.points(frame([1.0, 2.0, 4.0, 8.0], [0.5, 0.4, 0.3, 0.9]), AXES["flops"])
    first, last = scaling.dominance(drawn).to_dict("records")
    assert (first["label"], first["beats"], first["next_best"], first["cheaper"]) == ("r0", 2, "r1", 2.0)
    assert first["lead"] == pytest.approx(0.1)
    assert (last["label"], last["beats"], last["next_best"]) == ("r3", 0, "")


def test_where_lower_is_better_the_front_goes_down():
    drawn = scaling.points(frame([1.0, 2.0, 3.0], [9.0, 12.0, 5.0], higher_is_better=False), AXES["flops"])
    assert drawn[drawn["place"].notna()]["label"].tolist() == ["r0", "r2"]


def test_flops_that_nobody_gives_are_said_to_be_an_estimate(found):
    by_id = found.set_index("run_id")
    assert by_id.loc["small", "flops"] == 6 * 1e8 * 1e9
    assert by_id.loc["small", "flops_from"] == ESTIMATE
    assert (by_id.loc["given", "flops"], by_id.loc["given", "flops_from"]) == (1e20, GIVEN)
    assert by_id.loc["first", "flops_from"] == ""


def test_seconds_are_of_the_scores_own_tasks_without_loading(store):
    source = scenes.source(store)
    suites = queries.suites(source)
    demo = suites[suites["suite"] == "demo"]["task"].tolist()
    spent = {
        name: sum(s for phase, s in queries.result(source, "ck-100", name)["wall"].items() if phase != "load")
        for name in demo
    }
    one, whole = (scaling.load(source, n).set_index("run_id")["wall_s"] for n in ("demo_sums", "demo_centred"))
    assert one["ck-100"] == pytest.approx(spent["demo_sums"])
    centred = queries.composite_definitions(source).set_index("name").loc["demo_centred", "suite"]
    own = suites[suites["suite"] == centred]["task"]
    assert whole["ck-100"] == pytest.approx(sum(spent[n] for n in own))
    assert one["ck-100"] < whole["ck-100"]
    assert np.isnan(one["small"])


def test_what_is_missing_is_counted_by_field(found):
    assert scaling.missing(found, AXES["flops"]) == {"parameters": 1, "tokens": 1}
    assert scaling.missing(found, AXES["tokens"]) == {"tokens": 2}
    assert scaling.missing(found[found["run_id"] == "small"], AXES["flops"]) == {}


def test_the_smallest_families_share_a_shape():
    families = [f"f{i // 2}" for i in range(40)] + ["common"] * 3
    drawn = scaling.points(frame(np.arange(1.0, 44), np.linspace(0, 1, 43), family=families), AXES["flops"])
    assert drawn["shape"].nunique() == SHAPES
    assert {"common", OTHER} <= set(drawn["shape"])
    few = scaling.points(frame([1.0, 2.0], [0.1, 0.2], family=["a", ""]), AXES["flops"])
    assert OTHER not in set(few["shape"])


def test_the_chart_has_intervals_a_step_line_and_no_mark_without_a_place(found):
    drawn = scaling.points(found[found["rows_asked"] == "all rows"], AXES["flops"])
    chart = charts.scatter(drawn, "training FLOPs", "demo_animals", front=True)
    assert {"rule", "line", "point", "text"} <= scenes.marks(chart)
    spec = chart.to_dict()["layer"]
    assert spec[0]["encoding"]["x"]["scale"]["type"] == "log"
    assert {"y2", "y"} <= set(spec[0]["encoding"])
    assert all(row[name] is not None for row in scenes.drawn(chart) for name in ("cost", "value"))
    assert "line" not in scenes.marks(charts.scatter(drawn, "x", "y", front=False))


def test_the_page_says_what_it_shows_and_that_flops_are_estimated(store, monkeypatch):
    said = scenes.said(scenes.show(view, store, monkeypatch, y="demo_animals"))
    assert "training FLOPs on a log axis" in said
    assert "are an estimate, 6·N·D" in said
    assert "The front" in said
    assert "(filled, numbered)" in said


def test_without_the_front_drawn_no_mark_is_said_to_be_filled_or_numbered(store, monkeypatch):
    said = scenes.said(scenes.show(view, store, monkeypatch, y="demo_animals", front="false"))
    assert "on the front: no other run" in said
    assert "numbered" not in said


@pytest.mark.parametrize("x", ["flops", "parameters", "tokens", "seconds"])
def test_every_cost_can_be_shown(store, monkeypatch, x):
    at = scenes.show(view, store, monkeypatch, y="demo_sums", x=x)
    assert not at.warning


def test_a_cost_that_no_run_has_names_the_fields_and_the_remedy(tmp_path, registry, monkeypatch):
    scenes.numbers(tmp_path / "runs", registry, "bare", 0.5)
    store = scenes.indexed(tmp_path / "runs", registry)
    said = scenes.said(scenes.show(view, store, monkeypatch))
    assert "`parameters` (1 of 1 runs), `tokens` (1 of 1 runs)" in said
    assert "board.yaml" in said
    assert "assay reindex" in said
    assert "`wall_s`" in scenes.said(scenes.show(view, store, monkeypatch, x="seconds"))


def test_an_index_without_results_says_how_to_get_some(tmp_path, registry, monkeypatch):
    said = scenes.said(scenes.show(view, scenes.indexed(tmp_path / "runs", registry), monkeypatch))
    assert "assay run quick --model" in said


def test_an_address_that_asks_for_nothing_known_is_answered_with_the_default(store, monkeypatch):
    at = scenes.show(view, store, monkeypatch, x="<b>", y=scenes.EVIL, front="perhaps", rows="none")
    assert len(at.warning) >= 2
    assert "<script>" not in scenes.said(at)


def test_a_strangers_name_is_shown_as_text(store, monkeypatch):
    said = scenes.said(scenes.show(view, store, monkeypatch, y="theirs"))
    assert "theirs" in said
    assert "<script>" not in said
    assert "](javascript" not in said


def test_dclms_published_models_make_a_front_of_several_families(dclm, monkeypatch):
    drawn = scaling.points(scaling.load(scenes.source(dclm), "core_v2"), AXES["flops"])
    front = drawn[drawn["place"].notna()]
    assert len(front) >= 5
    assert front["family"].nunique() >= 2
    assert drawn["shape"].nunique() == SHAPES
    assert front["value"].is_monotonic_increasing
    assert "core\\_v2" in scenes.said(scenes.show(view, dclm, monkeypatch))
