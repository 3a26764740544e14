"""The About page: its counts, licences and versions are the board's own, its claims about others are checked."""

import json

import pytest

from assay.harness import __version__
from assay.harness.cli import main
from assay.harness.cli_exchange import EXPORTS
from assay.leaderboard.loads import about
from assay.leaderboard.views import about as page
from tests.leaderboard import scenes


def view():
    from assay.leaderboard.views import about

    about.view()


@pytest.fixture(scope="module")
def store(tmp_path_factory, registry):
    return scenes.board(tmp_path_factory.mktemp("about") / "runs", registry)


def test_counts_are_those_of_the_index(store):
    counts = about.counts(scenes.source(store))
    runs = about.queries.runs(scenes.source(store))
    assert counts["runs"] == len(runs)
    results = about.queries.results(scenes.source(store))
    assert counts["results"] == results["value"].notna().sum()
    assert counts["tasks with results"] == results.dropna(subset="value")["task"].nunique()


def test_every_evidence_level_of_a_run_is_explained(store):
    found = about.evidence(scenes.source(store))
    runs = about.queries.runs(scenes.source(store))
    assert found["runs"].sum() == len(runs)
    assert found.set_index("evidence").at["measured", "runs"] == len(scenes.STEPS)


def test_every_task_of_the_registry_stands_under_its_licence(store, registry):
    found = about.licences(scenes.source(store))
    assert found["tasks"].sum() == len(registry.tasks)
    assert {n for names in found["names"] for n in names.split(", ")} == set(registry.tasks)
    assert not (found["licence"] == "").any()


def test_baselines_that_changed_are_exactly_those_that_differ(store, registry):
    found = about.changed_baselines(scenes.source(store))
    differ = {s.name for s in registry.tasks.values() if s.baseline and s.baseline.v1 != s.baseline.v2}
    assert set(found["task"]) == differ
    assert found["reason"].str.len().min() > 0


def test_versions_name_what_runs_and_when_the_index_was_built(store):
    found = about.versions(scenes.source(store)).set_index("what")["version"]
    assert found["assay"] == __version__
    assert found["index built"].startswith("20")
    assert found["index schema"].endswith("sqlite")
    assert (found != "not installed").all()


def test_the_published_number_that_contradicts_itself_is_what_dclms_json_says(reference):
    path = reference / "dclm" / "exp_data" / "evals" / "evaluation_mistral_7b_v0.3_heavy.json"
    said = json.loads(path.read_text())
    assert said["model"].endswith(about.DISPUTED)
    assert round(100 * said["Extended_v2"], 1) == page.RECOMPUTED
    assert round(100 * said["Core_v1"], 1) == page.CORE_V1


def test_the_disputed_model_is_shown_with_this_boards_number(tmp_path, registry, reference, monkeypatch):
    from assay.harness.interchange import import_dclm, imported

    file = reference / "dclm" / "exp_data" / "evals" / "evaluation_mistral_7b_v0.3_heavy.json"
    for run in import_dclm.read_all(file):
        imported.save(run, tmp_path / "runs")
    store = scenes.indexed(tmp_path / "runs", registry)
    assert about.disputed(scenes.source(store)) == pytest.approx(0.4399, abs=1e-4)
    assert "and shows 44.0" in scenes.said(scenes.show(view, store, monkeypatch))


def test_the_page_explains_its_methods_evidence_limits_and_access(store, monkeypatch):
    at = scenes.show(view, store, monkeypatch)
    headings = {h.value for h in at.header}
    assert {"Methods", "Evidence", "Data and licences", "Accessibility", "Known limits", "Versions"} <= headings
    assert len(at.latex) == len(page.METHODS)
    assert "This board goes by the JSON." in scenes.said(at)


def test_every_export_that_is_named_exists():
    lines = page.EXPORTS.splitlines()
    named = [line.split()[3] for line in lines]
    assert set(named) <= set(EXPORTS)
    for line in lines:
        main.commands["export"].make_context("export", line.partition("#")[0].split()[2:])


def test_a_strangers_text_is_shown_as_text(store, monkeypatch):
    at = scenes.show(view, store, monkeypatch)
    assert "<script>" not in scenes.said(at)
    assert "<script>" not in "".join(str(t.value) for t in at.table)


def test_an_empty_board_still_explains_itself(tmp_path, registry, monkeypatch):
    at = scenes.show(view, scenes.indexed(tmp_path / "runs", registry), monkeypatch)
    assert [m.value for m in at.metric] == ["0"] * 5
