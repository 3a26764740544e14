"""The overview: who leads, who can't be told apart, and who has no rank."""

import json

import pandas as pd
import pytest

from assay.leaderboard.charts import overview as charts
from assay.leaderboard.loads import overview as loads
from tests.leaderboard import scenes
from tests.leaderboard.stores import measured


def page():
    from assay.leaderboard.views import overview

    overview.view()


@pytest.fixture(scope="module")
def store(tmp_path_factory, registry):
    folder = tmp_path_factory.mktemp("overview") / "runs"
    scenes.series(folder, registry, {100: 0.9, 200: 0.5, 300: 0.1})
    measured(folder, registry, "again", model="corrupted:0.1", label="again")
    scenes.hostile(folder)
    return scenes.indexed(folder, registry)


def table(store, name="demo_centred", score="centred"):
    source = scenes.source(store)
    (board,) = (b for b in loads.boards(source) if b.name == name)
    return loads.load(source, board, score)["table"], board


def test_ranks_are_intervals_and_equal_answers_share_theirs(store):
    found = table(store)[0].set_index("label")
    assert found.loc["ck-300", "rank"] == found.loc["again", "rank"]
    assert found.loc["ck-300", "tied"]
    assert found.loc["again", "tied"]
    assert found.loc["ck-100", "rank_low"] > found.loc["ck-300", "rank_high"]
    assert found["leads"].sum() == 1


def test_a_leader_that_is_filtered_out_still_leads(store, monkeypatch):
    found = table(store)[0]
    leader = found[found["leads"]]["label"].iloc[0]
    other = "again" if leader != "again" else "ck-300"
    at = scenes.show(page, store, monkeypatch, suite="demo_centred", q=other)
    assert "It is not among those shown" in scenes.said(at)
    assert other + " leads" not in scenes.said(at).replace("\\", "")


def test_runs_without_a_rank_come_last_and_are_not_drawn(store):
    found, board = table(store)
    assert found["unranked"].tolist() == sorted(found["unranked"])
    ranked = found[~found["unranked"]].rename(columns={"label": "model"})
    for part in ("value", "low", "high"):
        ranked[part] = ranked[f"{board.composite} {part}"]
    drawn = json.dumps(charts.standing(ranked, board.composite).to_dict())
    assert "NaN" not in drawn
    assert {"rule", "point", "rect"} <= scenes.marks(charts.standing(ranked, board.composite))


def test_a_mark_shows_on_boards_of_its_tasks_alone(tmp_path, registry):
    folder = tmp_path / "runs"
    measured(folder, registry, "ck-600", model="oracle", label="ck-600")
    text = scenes.FACTS.replace("demo_s*", "gsm8k*")
    scenes.indexed(folder, registry, text)
    assert not table(folder)[0]["marks"].any()
    scenes.indexed(folder, registry)
    assert table(folder)[0]["marks"].str.startswith("demo_s*: ").all()


def test_no_filter_keeps_what_no_search_finds_and_the_worst_filter_is_named(store, monkeypatch):
    at = scenes.show(page, store, monkeypatch, suite="demo_centred", q="nothing like it")
    assert "removed the most" in scenes.said(at)
    assert loads.searched(pd.DataFrame(columns=["label", "series", "family", "dataset"]), "x").empty


@pytest.mark.parametrize("asked", [{"suite": "nope"}, {"cols": "../../etc"}, {"params": "NaN"}, {"score": "<script>"}])
def test_a_bad_address_is_said_not_raised(store, monkeypatch, asked):
    scenes.show(page, store, monkeypatch, **asked)


def test_a_hostile_name_is_shown_as_it_is(store, monkeypatch):
    at = scenes.show(page, store, monkeypatch, suite=loads.ELSEWHERE)
    assert "](javascript" not in scenes.said(at)


def test_an_empty_store_says_what_to_do(tmp_path, registry, monkeypatch):
    at = scenes.show(page, scenes.indexed(tmp_path / "runs", registry), monkeypatch)
    assert "assay run quick" in scenes.said(at)
