"""board.yaml: what people know of a model, read strictly and shown with every run it is about."""

from dataclasses import replace

import pytest

from assay.harness import facts, store
from assay.harness.index import Index
from assay.leaderboard import queries
from assay.tasks.types import UserError


def board_yaml(folder, text):
    folder.mkdir(exist_ok=True)
    (folder / facts.FILE).write_text(text, encoding="utf-8")


def test_facts_of_the_stores_board_yaml_reach_the_runs_that_match(runs, registry, url):
    board_yaml(
        runs,
        "models:\n- match: 'random*'\n  facts: {family: dice, flops: 1.2e+21, notes: [thrown by hand]}\n"
        "marks:\n- {model: 'random*', task: demo_sums, kind: contamination, text: it saw them,\n"
        "   link: 'https://example.org', date: 2026-01-31}\n",
    )
    Index(runs, registry, url).sync()
    source = queries.open_source(runs, url)
    found = queries.runs(source).set_index("run_id")
    assert found["family"].to_dict() == {"one": "dice", "two": ""}
    assert found.loc["one", "flops"] == 1.2e21
    assert found.loc["one", "notes"] == ["thrown by hand"]
    marks = queries.marks(source)
    assert marks[["run_id", "task", "date"]].to_numpy().tolist() == [["one", "demo_sums", "2026-01-31"]]


def test_changed_facts_are_read_by_the_next_reindex(runs, registry, url):
    Index(runs, registry, url).sync()
    board_yaml(runs, "models:\n- {match: '*', facts: {family: late}}\n")
    assert len(Index(runs, registry, url).sync().added) == 2
    assert set(queries.runs(queries.open_source(runs, url))["family"]) == {"late"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: [", "not YAML"),
        ("- a list", "the file"),
        ("models: {match: x}", "models"),
        ("models:\n- {match: x, facts: {famly: y}}", "famly"),
        ("models:\n- {match: x, facts: {parameters: many}}", "parameters"),
        ("marks:\n- {model: x, kind: gossip, text: y}", "kind"),
        ("marks:\n- {model: x, kind: contamination, text: y}", "needs a link to its evidence"),
    ],
)
def test_a_board_yaml_that_says_what_is_not_known_is_refused_by_its_place(tmp_path, text, said):
    board_yaml(tmp_path / "store", text)
    with pytest.raises(UserError, match=said) as caught:
        facts.read(tmp_path / "store")
    assert "board.yaml" in str(caught.value)


def test_a_series_is_the_folder_of_its_checkpoints(runs):
    plan = store.read_run(runs / "one").plan
    stepped = replace(plan, checkpoint=replace(plan.checkpoint, step=7))
    assert facts.series(plan) == plan.checkpoint.label
    assert facts.series(replace(stepped, options={"model": "hf:/data/my-7b/step-7"})) == "my-7b"
    assert facts.series(replace(stepped, options={"model": "hf:owner/name@step-7"})) == "owner/name"
