"""Runs are anybody's files and databases have bad days: neither hides what is good."""

import dataclasses
import json
import os
import sqlite3
import subprocess

import pytest

from assay.harness import index, store
from assay.harness.files import seal, write
from assay.harness.index import Index, IndexRefused
from assay.harness.records import to_json
from assay.leaderboard import queries
from tests.conftest import ASSAY
from tests.leaderboard.stores import measured


def with_facts(folder, name, facts):
    """A run whose environment says `facts`, sealed and complete as if assay had written it."""
    run = store.read_run(folder / name)
    plan = dataclasses.replace(run.plan, environment={**run.plan.environment, "facts": facts})
    write(folder / name / "plan.json", seal(to_json(plan)))
    manifest = json.loads((folder / name / "manifest.json").read_text())
    manifest["files"].pop("plan.json")
    (folder / name / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("facts", [[1], {"tokens": 10**30}, {"tokens": "many"}, {"notes": [["deep"]]}, "text"])
def test_damaged_facts_of_one_run_are_noted_and_hide_no_other(tmp_path, registry, facts):
    measured(tmp_path, registry, "good")
    measured(tmp_path, registry, "odd")
    with_facts(tmp_path, "odd", facts)
    done = Index(tmp_path, registry).sync()
    assert not done.left_out
    found = queries.runs(queries.open_source(tmp_path)).set_index("run_id")
    assert set(found.index) == {"good", "odd"}
    assert "damaged" in found.loc["odd", "notes"][0]
    assert not found.loc["good", "notes"]


def test_a_step_that_no_database_holds_is_left_out(tmp_path, registry):
    run = measured(tmp_path, registry, "far", step=10**19)
    Index(tmp_path, registry).record(run)
    assert queries.runs(queries.open_source(tmp_path))["step"].isna().all()


def test_numbers_that_are_none_are_null_in_the_index(tmp_path, registry):
    run = measured(tmp_path, registry, "odd")
    results = {t: dataclasses.replace(r, metrics={"m,\0": float("nan")}) for t, r in run.results.items()}
    Index(tmp_path, registry).record(dataclasses.replace(run, results=results))
    kept = queries.result(queries.open_source(tmp_path), "odd", "demo_sums")["metrics"]
    assert kept == {"m,\\x00": None}


def test_a_database_that_refuses_forgets_nothing(tmp_path, registry, monkeypatch):
    monkeypatch.setattr(index, "WAIT_S", 0.1)
    measured(tmp_path, registry, "good")
    Index(tmp_path, registry).sync()
    (tmp_path / "board.yaml").write_text("models: [{match: good, facts: {family: f}}]")
    with sqlite3.connect(tmp_path / index.FILE) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(IndexRefused, match="locked"):
            Index(tmp_path, registry).sync()
        other.rollback()
    assert queries.runs(queries.open_source(tmp_path))["run_id"].tolist() == ["good"]


def test_another_stores_index_is_not_emptied(tmp_path, registry, monkeypatch):
    monkeypatch.setenv("ASSAY_INDEX", f"sqlite:///{tmp_path / 'shared.sqlite'}")
    measured(tmp_path / "a", registry, "good")
    Index(tmp_path / "a", registry).sync()
    (tmp_path / "z").mkdir()
    with pytest.raises(IndexRefused, match="another store's"):
        Index(tmp_path / "z", registry).sync()
    assert queries.runs(queries.open_source(tmp_path / "a"))["run_id"].tolist() == ["good"]


def test_checkpoints_of_two_trainings_are_two_series(tmp_path, registry):
    for name in "AB":
        run = measured(tmp_path, registry, f"run-{name}", step=100)
        options = {**run.plan.options, "model": f"hf:/x/model{name}/checkpoints/step_100"}
        Index(tmp_path, registry).record(dataclasses.replace(run, plan=dataclasses.replace(run.plan, options=options)))
    found = queries.runs(queries.open_source(tmp_path))["series"]
    assert set(found) == {"modelA/checkpoints", "modelB/checkpoints"}


def test_a_composite_is_ranked_once_its_suite_is_known(tmp_path, registry):
    without = dataclasses.replace(registry, composites={})
    measured(tmp_path, registry, "run")
    Index(tmp_path, without).sync()
    assert queries.ranks(queries.open_source(tmp_path), "demo_centred", ["run"]).empty
    assert Index(tmp_path, registry).sync().added == ["run"]
    assert len(queries.ranks(queries.open_source(tmp_path), "demo_centred", ["run"])) == 1


@pytest.mark.parametrize("damage", ["[" * 5_000, "\xff\xfe", "models: 3"])
def test_a_run_is_kept_whatever_the_index_says(tmp_path, damage):
    folder = tmp_path / "runs"
    folder.mkdir()
    (folder / "board.yaml").write_text(damage, encoding="latin-1")
    done = subprocess.run(
        [ASSAY, "run", "demo_sums", "--model", "oracle", "--store", folder],
        capture_output=True,
        text=True,
        env={**os.environ, "ASSAY_CACHE": str(tmp_path / "cache")},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "not in the site's index" in done.stderr
    assert "Traceback" not in done.stderr
