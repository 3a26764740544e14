"""The registry holds DCLM's table as the originals have it."""

import csv
import json

import pytest
import yaml

from assay.tasks import registry as registries
from assay.tasks.registry import UnknownTask

KINDS = {"generation_task_with_answers": "generation"}
HEAVY_KEYS = {
    "label",
    "dataset_uri",
    "num_fewshot",
    "icl_task_type",
    "continuation_delimiter",
    "question_prelimiter",
    "cot_delimiter",
    "early_stopping_criteria",
    "has_categories",
}


def original(reference, name):
    return yaml.safe_load((reference / f"dclm/eval/{name}.yaml").read_text())["icl_tasks"]


def test_every_key_of_heavy_yaml_is_expressed(registry, reference):
    rows = original(reference, "heavy")
    assert len(rows) == 53
    for row in rows:
        assert set(row) <= HEAVY_KEYS
        task = registry.tasks[row["label"]]
        assert task.kind == KINDS.get(row["icl_task_type"], row["icl_task_type"])
        assert [task.shots] == row["num_fewshot"]
        assert task.continuation_delimiter == row.get("continuation_delimiter", " ")
        assert task.prelimiter == row.get("question_prelimiter", "")
        assert task.cot_delimiter == row.get("cot_delimiter", "")
        assert list(task.stop) == row.get("early_stopping_criteria", [])
        assert task.categories == row.get("has_categories", False)
        assert (task.seed, task.example_delimiter, task.max_length) == (1234, "\n", 2048)


@pytest.mark.parametrize(
    ("suite", "file", "size"),
    [
        ("dclm-extended", "heavy", 53),
        ("dclm-light", "light", 2),
        ("dclm-medium", "medium", 12),
        ("dclm-mmlu-and-lowvar", "mmlu_and_lowvar", 23),
    ],
)
def test_suites_are_the_original_files(registry, reference, suite, file, size):
    tasks = registry.suites[suite].tasks
    assert list(tasks) == [row["label"] for row in original(reference, file)]
    assert len(tasks) == size


def test_core_is_the_low_variance_list(registry, reference):
    lists = json.loads((reference / "dclm/eval/additional_aggregation.json").read_text())
    assert list(registry.suites["dclm-core"].tasks) == lists["low_variance_datasets"]
    assert len(registry.suites["dclm-core"].tasks) == 22


def test_baselines_skills_and_pins_are_the_originals(registry, reference):
    with (reference / "dclm/eval/eval_meta_data.csv").open() as f:
        for row in csv.DictReader(f):
            task = registry.tasks[row["Eval Task"]]
            assert task.baseline.v2 == float(row["Random baseline"])
            assert task.skill == row["Task Category"].strip()
            assert task.baseline.reason
            assert task.licence
    blobs = json.loads((reference / "dclm/llm-foundry-blobs.json").read_text())["files"]
    for name in registry.suites["dclm-extended"].tasks:
        data = registry.tasks[name].data
        if not data.member:
            assert data.git_blob == blobs[data.path.removeprefix("dclm/")]


def test_selection_expands_suites_and_globs_and_keeps_order(registry):
    names = [t.name for t in registry.select(["copa", "winog*", "dclm-light", "copa"])]
    assert names[0] == "copa"
    assert set(names[1:5]) == {"winograd", "winogrande", "winogender_mc_female", "winogender_mc_male"}
    assert names[5:] == ["hellaswag_zeroshot", "mmlu_zeroshot"]


@pytest.mark.parametrize(("typo", "meant"), [("arc_eazy", "arc_easy"), ("dclm_core", "dclm-core")])
def test_a_misspelt_name_suggests_the_right_one(registry, typo, meant):
    with pytest.raises(UnknownTask, match=f"did you mean .*{meant}"):
        registry.select([typo])


def test_installed_packages_add_tasks(write_task, monkeypatch, tmp_path):
    """A package on the path with an entry point `assay.tasks`, as pip would leave it."""
    package = tmp_path / "site" / "plug"
    write_task([{"query": "q", "choices": ["a", "b"], "gold": 0}], folder=package / "specs", name="plugged")
    (package / "__init__.py").write_text("")
    info = tmp_path / "site" / "plug-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plug\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[assay.tasks]\nplug = plug:specs\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert "plugged" in registries.open_registry().tasks
