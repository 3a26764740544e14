"""The model page: where each task stands, where the uncertainty comes from, how a run is made again and cited."""

import shlex

import numpy as np
import pandas as pd
import pytest

from assay.harness import cli
from assay.leaderboard import queries
from assay.leaderboard.charts import model as charts
from assay.leaderboard.loads import model, reproduce
from assay.leaderboard.loads.model import ABOVE, BELOW, INSIDE, SHARED, UNKNOWN, UNSURE
from assay.leaderboard.text import plain
from assay.tasks import aggregate
from tests.leaderboard import pairs, scenes
from tests.leaderboard.stores import measured

NAN = float("nan")


def view():
    from assay.leaderboard.views import model

    model.view()


def view_curves():
    from assay.leaderboard.views import curves

    curves.view()


@pytest.fixture(scope="module")
def store(tmp_path_factory, registry):
    return scenes.board(tmp_path_factory.mktemp("model") / "runs", registry)


@pytest.fixture
def of(store):
    """The frames of a run."""
    return lambda run_id: model.load(scenes.source(store), run_id)


@pytest.mark.parametrize(
    ("value", "low", "high", "guessing", "stands"),
    [
        (0.5, 0.3, 0.7, 0.25, ABOVE),
        (0.5, 0.2, 0.7, 0.25, INSIDE),
        (0.1, 0.0, 0.2, 0.25, BELOW),
        (0.0, 1e-18, 0.1, 0.0, INSIDE),
        (0.5, NAN, NAN, 0.25, UNSURE),
        (0.5, 0.3, 0.7, NAN, UNKNOWN),
        (NAN, NAN, NAN, 0.25, ""),
    ],
)
def test_a_task_stands_where_its_interval_lies_to_guessing(value, low, high, guessing, stands):
    assert model.standing(value, low, high, guessing) == stands


def test_centring_moves_value_and_interval_alike(of):
    tasks = of("ck-600")["tasks"]
    centred = model.centred(tasks)
    assert centred["value"].to_numpy() == pytest.approx(centred["centred_v2"].to_numpy())
    row, raw = centred.iloc[0], tasks.iloc[0]
    assert row["low"] == aggregate.centre(raw["low"], 100 * raw["guessing"])
    assert (centred["guessing"] == 0).all()


def test_only_samples_without_an_answer_are_counted_as_failures(of):
    counts = of("evil")["counts"]
    assert set(counts["task"]) == {"demo_code"}
    assert dict(zip(counts["status"], counts["samples"], strict=True)) == {"timeout": 4, "crash": 2, "infra_error": 1}
    assert counts["share"].sum() == pytest.approx(0.5)
    assert of("ck-600")["counts"].empty


def test_the_step_picker_offers_the_checkpoints_of_the_series_in_order(of):
    assert of("ck-300")["siblings"]["step"].tolist() == list(scenes.STEPS)
    assert of("small")["siblings"].empty


def test_marks_reach_the_runs_that_they_speak_of(of):
    assert of("ck-600")["marks"]["text"].tolist() == ["<b>rows</b> were in the mix"]
    assert of("ck-500")["marks"].empty


def test_shares_of_the_variance_add_up_and_need_every_error(of, store):
    tasks = of("ck-600")["tasks"][list(SHARED)]
    shares = model.shares(scenes.source(store), tasks, "demo_centred")
    assert shares["share"].sum() == pytest.approx(1)
    assert shares["share"].is_monotonic_decreasing
    assert set(shares["task"]) == set(tasks["task"])
    torn = tasks.assign(stderr=tasks["stderr"].where(tasks["task"] != "demo_sums"))
    assert model.shares(scenes.source(store), torn, "demo_centred").empty
    assert model.shares(scenes.source(store), tasks[tasks["task"] != "demo_sums"], "demo_centred").empty


def test_the_five_nearest_names_come_best_first():
    known = {f"run-{i}": f"step-{i:04d}" for i in range(20)} | {"other": "llama"}
    found = model.nearest(known, "step-0007")
    assert found[0] == "run-7"
    assert len(found) == 5
    assert model.nearest(known, "lama")[0] == "other"
    assert model.nearest({}, "x") == []


def test_the_nearest_of_thousands_of_long_names_is_the_one_with_a_slip_in_it():
    known = {f"{i:05d}-{'checkpoint-of-a-long-training-run-' * 2}{i:05d}": "x" * 100_000 for i in range(5000)}
    meant = list(known)[1234]
    assert model.nearest(known, meant.replace("training", "trainnig"))[0] == meant
    assert model.nearest(known, meant[:-1])[0] == meant


def options(**changed):
    """What `assay run` records of the options that were given."""
    arguments = ["demo", "--model", "random:1", *shlex.split(changed.pop("typed", ""))]
    given = cli.run.make_context("run", arguments).params
    return {k: v for k, v in given.items() if k not in ("names", "models", "tasks_dirs")} | {"model": "random:1"}


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "--dtype bfloat16 --device cuda:1",
        "--docs 0:64",
        "--limit 8 --n 5 --temperature 0.8",
        "--chat-template --system-prompt 'Be brief; $HOME'",
    ],
)
def test_the_command_is_what_was_typed_and_no_more(typed):
    command = reproduce.command({"options": options(typed=typed), "environment": {}}, ["demo"])
    again = cli.run.make_context("run", shlex.split(command)[2:])
    assert again.params["models"] == ("random:1",)
    assert {k: again.params[k] for k in options() if k != "model"} == {
        k: v for k, v in options(typed=typed).items() if k != "model"
    }
    assert len(shlex.split(command)) == 5 + len(shlex.split(typed))


def test_a_command_that_would_not_be_what_it_seems_is_not_shown():
    asked = {"options": options() | {"model": "hf:x\nrm -rf ~"}, "environment": {}}
    assert reproduce.command(asked, ["demo"]) == ""
    quoted = reproduce.command({"options": options() | {"model": "hf:a b; rm -rf ~"}, "environment": {}}, ["demo"])
    assert shlex.split(quoted)[-1] == "hf:a b; rm -rf ~"
    assert reproduce.command({"options": options(), "environment": {"imported": {}}}, ["demo"]) == ""


def test_a_whole_suite_is_named_and_a_part_of_it_is_listed(of, store):
    suites = queries.suites(scenes.source(store))
    assert reproduce.asked(list(of("ck-600")["tasks"]["task"]), suites) == ["demo"]
    assert reproduce.asked(["demo_sums", "demo_animals"], suites) == ["demo_sums", "demo_animals"]


def test_a_citation_names_the_run_and_no_address_that_others_cannot_open(of, store):
    frames, run = of("ck-600"), queries.run(scenes.source(store), "ck-600")
    cited = [
        reproduce.cited(run, frames["tasks"], frames["composites"], ["demo"], url)
        for url in ("http://localhost:8501/model?id=ck-600", "https://board.example/model?id=ck-600")
    ]
    assert "ck-600 on demo" in cited[0]
    assert "localhost" not in cited[0]
    assert "https://board.example/model?id=ck-600" in cited[1]
    value = frames["composites"].set_index("name").loc["demo_centred", "value"]
    assert f"{value:.4f}" in cited[0]


def test_the_dots_have_intervals_and_the_tick_of_guessing(of):
    tasks = of("ck-600")["tasks"].assign(raw=lambda f: f["value"])
    chart = charts.against_guessing(tasks, "score")
    assert {"rule", "tick", "point"} <= scenes.marks(chart)
    rule = next(layer for layer in chart.to_dict()["layer"] if layer["mark"]["type"] == "rule")
    assert (rule["encoding"]["x"]["field"], rule["encoding"]["x2"]["field"]) == ("low", "high")
    rows = scenes.drawn(chart)
    assert all(row["value"] is not None for row in rows)
    assert [row["name"] for row in rows] == sorted(
        (row["name"] for row in rows), key=lambda n: (-tasks.set_index("task").loc[n, "value"], n)
    )


def test_a_task_that_is_all_right_or_all_wrong_is_said_to_be():
    ends = pd.DataFrame({"task": ["a", "b", "c"], "value": [1.0, 0.4, 0.0], "low": 0.0, "high": 1.0, "guessing": NAN})
    chart = charts.against_guessing(ends.assign(standing=INSIDE, raw=ends["value"]), "score")
    assert [row["said"] for row in scenes.drawn(chart)] == ["all right", "", "all wrong"]
    assert [layer["mark"]["type"] for layer in chart.to_dict()["layer"]].count("text") == 2
    assert "tick" not in scenes.marks(chart)


def test_what_went_wrong_is_told_by_text_as_well_as_by_colour(of):
    chart = charts.failures(of("evil")["counts"])
    assert {"bar", "text"} == scenes.marks(chart)
    assert {"timeout 4", "crash 2", "infra_error 1"} == {row["text"] for row in scenes.drawn(chart)}


def test_a_measured_run_shows_its_evidence_its_command_and_its_marks(store, monkeypatch):
    at = scenes.show(view, store, monkeypatch, id="ck-600", fingerprint="true", again="true", cite="true")
    said = scenes.said(at)
    assert "Every number can be computed again from the samples in this store" in said
    assert "assay run demo --model corrupted:0.1" in said
    assert "demo_s*: <b>rows</b> were in the mix (2026-01-31)" in [t.value for t in at.text]
    assert "Where the uncertainty comes from" in said
    assert "got an answer that could be judged" in said
    shown = pd.concat([d.value.astype(str) for d in at.dataframe]).to_numpy().ravel()
    assert queries.run(scenes.source(store), "ck-600")["identity"]["tokenizer"] in shown


def test_the_step_slider_goes_to_the_run_of_that_step(store, monkeypatch):
    at = scenes.show(view, store, monkeypatch, id="ck-600")
    at.select_slider(key="step").set_value("ck-200").run()
    assert not at.exception
    assert at.session_state["id"] == "ck-200"
    assert "ck\\-200" in scenes.said(at)


def test_checkpoints_of_the_same_step_are_told_apart_by_their_run(tmp_path, registry, monkeypatch):
    for name, step in (("one", 5), ("two", 5), ("three", 6)):
        measured(tmp_path / "runs", registry, name, label=name, step=step, tasks=("demo_sums",))
    folder = scenes.indexed(tmp_path / "runs", registry, 'models: [{match: "*", facts: {series: mine}}]')
    at = scenes.show(view, folder, monkeypatch, id="two")
    assert set(at.select_slider(key="step").options) == {"5 · one", "5 · two", "6"}
    curves = scenes.show(view_curves, folder, monkeypatch)
    assert len(set(curves.selectbox(key="curves_a").options)) == 3


def test_samples_are_counted_with_those_that_the_machine_lost(tmp_path, registry, monkeypatch):
    lost = pairs.rows([None] * 12 + [1.0] * 8)
    pairs.run(tmp_path / "runs", "lost", {"theirs": lost}, n=8, counts={"ok": 8, "infra_error": 12})
    pairs.run(tmp_path / "runs", "bare", {"theirs": pairs.rows([1.0])}, status="no_data", value=None, n=0)
    folder = scenes.indexed(tmp_path / "runs", registry)
    assert "12 of 20 samples: infra\\_error 12." in scenes.said(scenes.show(view, folder, monkeypatch, id="lost"))
    said = scenes.said(scenes.show(view, folder, monkeypatch, id="bare"))
    assert "No samples are counted" in said
    assert "got an answer" not in said


@pytest.mark.parametrize("score", ["raw", "centred"])
def test_published_numbers_get_no_claim_about_samples(store, monkeypatch, score):
    said = scenes.said(scenes.show(view, store, monkeypatch, id="small", score=score, again="true"))
    assert "No samples came with them" in said
    assert "Published aggregates don't say" in said
    assert "got an answer" not in said
    assert "It was imported, not measured here" in said
    assert "FLOPs, as 6·N·D" in [m.label for m in scenes.show(view, store, monkeypatch, id="small").metric]


def test_a_strangers_text_is_shown_as_text(store, monkeypatch):
    at = scenes.show(view, store, monkeypatch, id="evil", fingerprint="true", again="true", cite="true")
    markdown = "\n".join(str(e.value) for kind in (at.markdown, at.caption, at.subheader) for e in kind)
    for trap in ("<script>", "](javascript", "![i]", "$a^2$", ":red[", "\u202e", "\x1b"):
        assert trap not in markdown
    assert plain(scenes.EVIL[:20]) in markdown
    assert "can't be typed" in markdown
    assert "timeout 4, crash 2, infra\\_error 1" in markdown
    assert not any("javascript" in button.proto.url for button in at.get("link_button"))


def test_an_unknown_run_is_answered_with_the_nearest(store, monkeypatch):
    at = scenes.show(view, store, monkeypatch, id="ck-60")
    assert "no run" in at.warning[0].value
    links = [button.proto.url for button in at.get("link_button")]
    assert len(links) == 5
    assert links[0] == "model?id=ck-600"
    assert "<script>" not in scenes.said(scenes.show(view, store, monkeypatch, id="<script>"))


def test_a_run_that_has_only_begun_says_so(store, monkeypatch):
    said = scenes.said(scenes.show(view, store, monkeypatch, id="begun"))
    assert "No task of this run is finished yet" in said


def test_without_an_address_the_newest_run_is_shown_and_named(store, monkeypatch):
    at = scenes.show(view, store, monkeypatch)
    newest = next(iter(model.run_ids(scenes.source(store))))
    assert newest in at.query_params["id"]


def test_an_index_without_runs_says_how_to_get_one(tmp_path, registry, monkeypatch):
    at = scenes.show(view, scenes.indexed(tmp_path / "runs", registry), monkeypatch)
    assert "assay run quick --model" in scenes.said(at)


def test_bad_values_in_the_address_are_said_and_left_out(store, monkeypatch):
    at = scenes.show(view, store, monkeypatch, id="ck-600", score="huge", of="nothing", fingerprint="?")
    assert len(at.warning) == 2


def test_published_composites_stand_beside_those_computed_here(dclm, monkeypatch):
    source = scenes.source(dclm)
    run_id = next(r for r in model.run_ids(source) if r.startswith("google--gemma-7b"))
    frames = model.load(source, run_id)
    published = frames["published"].set_index("composite")
    assert published.loc["core_v2", "difference"] == pytest.approx(0, abs=1e-6)
    assert np.isfinite(published["published"]).all()
    shares = model.shares(source, frames["tasks"][list(SHARED)], "safety (v2)")
    assert shares["share"].sum() == pytest.approx(1)
    said = scenes.said(scenes.show(view, dclm, monkeypatch, id=run_id))
    assert "As published" in said
    assert "53 of 53 tasks" in said
