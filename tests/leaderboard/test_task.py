"""The task page: how models do, which items tell them apart, what the task can resolve."""

import shutil
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from assay.harness import comparing, ranking
from assay.harness.interchange import imported
from assay.harness.interchange.imported import Imported
from assay.harness.records import Checkpoint, TaskResult
from assay.leaderboard import queries
from assay.leaderboard.charts import task as charts
from assay.leaderboard.loads import task
from assay.leaderboard.loads.task import ASSUMED, CENTRED, FEW_MODELS, SCORE, Items
from assay.tasks.selection import DocRange
from tests.leaderboard import pairs, scenes
from tests.leaderboard.stores import measured

TASK = "demo_animals"


def view():
    from assay.leaderboard.views import task

    task.view()


@pytest.fixture(scope="module")
def store(tmp_path_factory, registry):
    folder = tmp_path_factory.mktemp("task") / "runs"
    measured(folder, registry, "part", model="oracle", docs=DocRange(0, 8))
    measured(folder, registry, "knows", model="oracle")
    return scenes.board(folder, registry)


@pytest.fixture
def source(store):
    return scenes.source(store)


@pytest.fixture
def found(source):
    return task.items(source, TASK, "all rows")


def items(solved, runs):
    """Items with these shares of models that solve them."""
    table = pd.DataFrame({"item": [str(i) for i in range(len(solved))], "solved": solved})
    none = pd.DataFrame({"flip_rate": [], "mde": []})
    return Items(table=table, runs=tuple(map(str, range(runs))), left_out=0, clusters=0, neighbours=none)


def test_an_item_is_as_hard_as_the_models_found_it(source, found):
    assert set(found.runs) == {"knows", *(f"ck-{step}" for step in scenes.STEPS)}
    hardest = found.table.iloc[0]
    scores = [queries.items(source, run, TASK)["score"][hardest["item"]] for run in found.runs]
    assert hardest["solved"] == pytest.approx(np.mean(scores))
    assert len(found.table) == len(queries.items(source, "knows", TASK))


def test_only_runs_that_were_asked_alike_share_a_histogram(source):
    assert task.items(source, TASK, "rows 0 to 7").runs == ("part",)
    assert task.items(source, "theirs", "all rows").runs == ()


def test_the_histogram_counts_every_item_once(found):
    counted = task.difficulty(found)
    assert counted["items"].sum() == len(found.table)
    assert counted["solved"].tolist() == [str(k) for k in range(len(found.runs) + 1)]
    exact = task.difficulty(items([0, 0.25, 0.25, 1], 4))
    assert exact["items"].tolist() == [1, 2, 0, 0, 1]


@pytest.mark.parametrize("found", [items([0, 0.1, 0.15, 1], FEW_MODELS + 1), items([0, 0.37, 1], 2)])
def test_many_models_and_partial_scores_are_counted_in_tenths(found):
    counted = task.difficulty(found)
    assert len(counted) == 10
    assert counted["items"].sum() == len(found.table)
    assert counted["solved"].iloc[0] == "0%–10%"


def test_the_flip_rate_is_that_of_neighbouring_checkpoints(source, found):
    neighbours = found.neighbours
    steps = list(scenes.STEPS)
    assert list(zip(neighbours["step"], neighbours["next_step"], strict=True)) == list(pairwise(steps))
    a, b = (queries.items(source, run, TASK)["score"].sort_index().to_numpy() for run in ("ck-500", "ck-600"))
    expected = comparing.difference(a, b)
    last = neighbours.iloc[-1]
    assert (last["flip_rate"], last["delta"]) == (expected.flip_rate, expected.delta)
    rate, least, measured = task.detectable(found, 16)
    assert measured
    assert rate == neighbours["flip_rate"].median()
    assert least == neighbours["mde"].median()


def test_neighbours_that_answered_alike_count_in_the_flip_rate_and_not_in_the_least_drop():
    neighbours = pd.DataFrame({"flip_rate": [0.0, 0.0, 0.2], "mde": [np.nan, np.nan, 0.05]})
    assert task.detectable(replace(items([0.5], 1), neighbours=neighbours), 400) == (0.0, 0.05, True)


def test_without_neighbours_the_flip_rate_is_assumed_and_said_to_be():
    rate, least, measured = task.detectable(items([0.5], 1), 400)
    assert (rate, measured) == (ASSUMED, False)
    assert least == comparing.detectable(ASSUMED, 400)


def test_noise_is_that_of_a_series_long_enough(source):
    every = task.load(source, TASK)
    rows = task.noise(every).set_index("series")
    mine = every[every["series"] == "mine"]
    expected = ranking.checkpoint_noise(mine["step"].to_numpy(), mine["value"].to_numpy())
    assert rows.loc["mine", "sd"] == expected.sd
    assert rows.loc["mine", "signal_to_noise"] > 0
    short = task.noise(mine.head(4))
    assert short["points"].tolist() == [4]
    assert short["sd"].isna().all()


def test_metrics_are_the_score_its_centred_form_and_what_else_was_measured(source):
    every = task.load(source, "demo_code")
    assert task.metrics(every, None)[0] == SCORE
    assert {scenes.EVIL, "pass@1"} <= set(task.metrics(every, None))
    other = task.of_metric(every, "pass@1", None)
    assert other[other["run_id"] == "evil"]["value"].tolist() == [0.5]
    assert other["low"].isna().all()
    plain, centred = (task.of_metric(task.load(source, TASK), m, 0.5).set_index("run_id") for m in (SCORE, CENTRED))
    assert centred.loc["ck-600", "low"] == pytest.approx((plain.loc["ck-600", "low"] - 0.5) / 0.5)


def test_where_lower_is_better_the_lowest_comes_first():
    frame = pd.DataFrame({"run_id": ["a", "b"], "value": [9.0, 5.0], "low": np.nan, "high": np.nan})
    assert task.of_metric(frame.assign(higher_is_better=False), SCORE, None)["run_id"].tolist() == ["b", "a"]
    assert task.of_metric(frame.assign(higher_is_better=True), SCORE, None)["run_id"].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("metric", "first", "word"),
    [
        ("word_perplexity", "b", "best"),
        ("bits_per_byte,none", "b", "best"),
        ("acc", "a", "best"),
        ("x", "a", "highest"),
    ],
)
def test_another_metric_goes_its_own_way_up_or_is_called_the_highest(
    tmp_path, registry, monkeypatch, metric, first, word
):
    for name, value in (("a", 9.0), ("b", 5.0)):
        pairs.run(tmp_path / "runs", name, {"theirs": pairs.rows([1.0, 0.0])}, metrics={metric: value})
    store = scenes.indexed(tmp_path / "runs", registry)
    shown = task.of_metric(task.load(scenes.source(store), "theirs"), metric, None)
    assert shown["run_id"].iloc[0] == first
    said = scenes.said(scenes.show(view, store, monkeypatch, name="theirs", metric=metric))
    assert f"The {word} is {first}, " in said
    assert "the median is 7.0" in said


def test_families_stand_with_the_lowest_first_where_lower_is_better():
    count = charts.NAMED + 1
    rows = pd.DataFrame({"run_id": [f"r{i}" for i in range(count)], "value": np.arange(count, dtype=float)})
    rows = rows.assign(family=[f"f{i % 3}" for i in range(count)], label=rows["run_id"], series="", sampled=False)
    spec = charts.models(rows.assign(low=np.nan, high=np.nan), "perplexity", None).to_dict()
    assert spec["layer"][0]["encoding"]["y"]["sort"] == ["f0", "f1", "f2"]


def test_scores_that_are_no_shares_get_no_claims_on_items_and_no_traceback(tmp_path, registry, monkeypatch):
    samples = {"theirs": pairs.rows([50.0, 3.0] * 10)}
    for step in (1, 2):
        made = pairs.run(tmp_path / "made", f"s-{step}", samples)
        plan = replace(made.plan, checkpoint=Checkpoint(label=f"step-{step}", step=step))
        result = TaskResult(task="theirs", status="ok", value=26.5, n=20, fingerprint="one")
        imported.save(Imported(plan=plan, results=[result], samples=samples), tmp_path / "runs")
    store = scenes.indexed(tmp_path / "runs", registry)
    found = task.items(scenes.source(store), "theirs", "all rows")
    assert (found.runs, found.left_out) == ((), 2)
    said = scenes.said(scenes.show(view, store, monkeypatch, name="theirs"))
    assert "no shares between 0 and 1" in said
    assert "Solved by" not in said


def test_few_models_have_a_row_each_and_their_intervals(source):
    shown = task.of_metric(task.load(source, TASK), SCORE, 0.25)
    chart = charts.models(shown, "score", 0.25)
    assert {"rule", "tick", "point"} <= scenes.marks(chart)
    rows = scenes.drawn(chart)
    assert len(rows) == len(shown)
    assert {row["state"] for row in rows} == {charts.SAMPLED, charts.BARE}
    assert all(row["value"] is not None for row in rows)


def test_many_models_become_a_strip_a_family(source):
    one = task.of_metric(task.load(source, TASK), SCORE, 0.25)
    many = pd.concat([one.assign(family=f"family {i}") for i in range(30)], ignore_index=True)
    chart = charts.models(many, "score", 0.25)
    rows = [row for row in scenes.drawn(chart) if "group" in row]
    assert len({row["group"] for row in rows}) == charts.GROUPS + 1
    assert len(rows) == len(many)
    layers = chart.to_dict()["layer"]
    assert layers[0]["encoding"]["x2"]["field"] == "high"
    assert "yOffset" in layers[1]["encoding"]


def test_the_histogram_carries_its_numbers_as_text(found):
    chart = charts.histogram(task.difficulty(found), len(found.runs))
    assert scenes.marks(chart) == {"bar", "text"}


def test_the_page_tells_models_items_and_resolution(store, source, found, monkeypatch):
    at = scenes.show(view, store, monkeypatch, name=TASK)
    said = scenes.said(at)
    nobody, everybody = int((found.table["solved"] == 0).sum()), int((found.table["solved"] == 1).sum())
    assert f"Solved by nobody: {nobody}; by everybody: {everybody}" in said
    assert "Between neighbouring checkpoints" in said
    assert "Noise between checkpoints, of 1 series" in said
    assert "guessing scores" in said
    assert not at.warning


@pytest.mark.parametrize("metric", [CENTRED, SCORE])
def test_the_rows_and_the_metric_are_in_the_address(store, monkeypatch, metric):
    at = scenes.show(view, store, monkeypatch, name=TASK, rows="rows 0 to 7", metric=metric)
    assert "1 of 1 runs" in scenes.said(at)
    assert not at.warning


def test_published_numbers_get_no_item_histogram(tmp_path, registry, monkeypatch):
    scenes.numbers(tmp_path / "runs", registry, "one", 0.5)
    said = scenes.said(scenes.show(view, scenes.indexed(tmp_path / "runs", registry), monkeypatch, name=TASK))
    assert "published aggregates say nothing of single items" in said
    assert "Solved by" not in said
    assert "are taken to change their verdict" in said
    assert "no series is here" in said


def test_a_task_that_nobody_ran_comes_with_the_command(store, monkeypatch):
    said = scenes.said(scenes.show(view, store, monkeypatch, name="humaneval_plus"))
    assert "Not run yet" in said
    assert "assay run humaneval_plus --model hf:path/to/checkpoint" in said


def test_a_protected_task_says_that_its_rows_are_never_shown(store, monkeypatch):
    said = scenes.said(scenes.show(view, store, monkeypatch, name="gpqa_main"))
    assert "Protected" in said


def test_a_rebuilt_file_is_said_to_be_one(store, registry, monkeypatch):
    name = next(s.name for s in registry.tasks.values() if s.data.rebuilt)
    assert "rebuilt copy of its file" in scenes.said(scenes.show(view, store, monkeypatch, name=name))


def test_a_task_of_no_registry_with_a_perplexity_is_shown_without_claims_on_items(store, monkeypatch):
    said = scenes.said(scenes.show(view, store, monkeypatch, name="theirs"))
    assert "Not a task of this registry" in said
    assert "Lower is better here" in said
    assert "Solved by" not in said


def test_a_task_without_any_score_says_so(store, monkeypatch):
    said = scenes.said(scenes.show(view, store, monkeypatch, name="absent"))
    assert "None of the 1 runs has score" in said


def test_a_strangers_metric_is_shown_as_text(store, monkeypatch):
    at = scenes.show(view, store, monkeypatch, name="demo_code", metric=scenes.EVIL)
    markdown = "\n".join(str(e.value) for kind in (at.markdown, at.caption, at.subheader, at.info) for e in kind)
    for trap in ("<script>", "](javascript", "![i]", "$a^2$", ":red[", "\u202e", "\x1b"):
        assert trap not in markdown


def test_an_unknown_task_is_said_and_the_first_shown(store, monkeypatch):
    at = scenes.show(view, store, monkeypatch, name="<img src=x>", metric="none", rows="?")
    assert len(at.warning) >= 2
    assert "<img src=x>" not in "".join(w.value for w in at.warning)


def test_samples_that_are_gone_are_a_sentence_and_no_traceback(store, tmp_path, monkeypatch):
    shutil.copytree(store, tmp_path / "runs")
    (tmp_path / "runs" / "ck-600" / "samples" / f"{TASK}.parquet").unlink()
    at = scenes.show(view, tmp_path / "runs", monkeypatch, name=TASK)
    assert any("assay reindex" in w.value.replace("\\", "") for w in at.warning)
    assert "The best is" in scenes.said(at)


def test_an_empty_index_still_knows_the_registrys_tasks(tmp_path, registry, monkeypatch):
    said = scenes.said(scenes.show(view, scenes.indexed(tmp_path / "runs", registry), monkeypatch))
    assert "Not run yet" in said
