"""Runs over tasks in lm-eval's form: what one of them does wrong is its own affair, and nothing is lost."""

import json
import math

import pyarrow.parquet as pq
import pytest

ROWS = 6
BASE = """task: NAME
dataset_path: json
dataset_kwargs: {data_files: {test: FOLDER/rows.jsonl}}
test_split: test
"""
CHOICE = """output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: "{{options}}"
doc_to_target: gold
"""
WRITTEN = """output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{options[gold]}}"
metric_list: [{metric: exact_match}]
"""
TASKS = {
    "good": CHOICE + "metric_list: [{metric: acc}]\n",
    "wants_shots": CHOICE + "num_fewshot: 9\nfewshot_split: test\nmetric_list: [{metric: acc}]\n",
    "raises": CHOICE + "process_results: !function own.raises\nmetric_list: [{metric: acc, aggregation: mean}]\n",
    "gaps": CHOICE + "process_results: !function own.gaps\nmetric_list: [{metric: acc, aggregation: nanmean}]\n",
    "thrice": WRITTEN + "repeats: 3\ngeneration_kwargs: {until: [x], do_sample: true, temperature: 0.7}\n",
    "beams": WRITTEN + "generation_kwargs: {until: [x], num_beams: 10}\n",
}
OWN = """import math


def raises(doc, results):
    raise KeyError("answer")


def gaps(doc, results):
    return {"acc": math.nan if doc["gold"] else 1.0}
"""


@pytest.fixture
def folder(tmp_path):
    rows = [{"question": f"q{i}", "options": ["no", "yes"], "gold": i % 2} for i in range(ROWS)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    (tmp_path / "own.py").write_text(OWN)
    for name, body in TASKS.items():
        (tmp_path / f"{name}.yaml").write_text(BASE.replace("NAME", name).replace("FOLDER", str(tmp_path)) + body)
    return tmp_path


@pytest.fixture
def measure(assay, folder, tmp_path):
    def run(*names, check, model="oracle"):
        done = assay("run", *(f"lm_eval:{n}" for n in names), "--model", model, "--tasks-dir", folder, check=check)
        results = json.loads(next((tmp_path / "runs").glob("*/results.json")).read_text())["tasks"]
        return {t.removeprefix("lm_eval:"): r for t, r in results.items()}, done

    return run


def test_a_task_whose_own_code_fails_says_so_and_the_others_are_measured(measure):
    results, done = measure("wants_shots", "raises", "beams", "good", check=5)
    assert results["good"]["value"] == 1.0
    assert results["wants_shots"]["status"] == results["raises"]["status"] == results["beams"]["status"] == "incomplete"
    assert "lm-eval's code says" in results["wants_shots"]["message"]
    assert "KeyError: 'answer'" in results["raises"]["message"]
    assert "decodes with num_beams: 10, which is not supported" in results["beams"]["message"]
    assert "Traceback" not in done.stderr


def test_a_number_is_lm_evals_aggregation_also_where_samples_have_none(measure, assay, tmp_path):
    results, _ = measure("gaps", check=0)
    assert results["gaps"]["value"] == results["gaps"]["metrics"]["acc,none"] == 1.0
    assert results["gaps"]["low"] is None
    lines = assay("samples", "latest", "lm_eval:gaps", check=0).stdout.splitlines()
    assert [json.loads(line)["score"] for line in lines] == [1.0, None] * (ROWS // 2)
    assert "NaN" not in "".join(lines)


def test_every_draw_of_an_answer_is_kept(measure, tmp_path):
    results, _ = measure("thrice", check=0, model="random:1")
    assert results["thrice"]["n"] == ROWS
    (table,) = (tmp_path / "runs").glob("*/samples/*.parquet")
    rows = pq.read_table(table, columns=["doc_id", "draw"]).to_pylist()
    assert [(r["doc_id"], r["draw"]) for r in rows] == [(str(i), d) for i in range(ROWS) for d in range(3)]


def test_a_task_of_lm_evals_can_be_previewed(assay, folder):
    shown = assay("preview", "lm_eval:good", "--doc", "1", "--tasks-dir", folder, check=0).stdout
    assert "q1" in shown
    assert "option 1: ' yes'" in shown


def test_draws_are_not_promised_where_a_task_draws_by_itself(assay, folder):
    command = ("run", "lm_eval:good", "--model", "oracle", "--tasks-dir", folder, "--n", 2, "--temperature", 0.7)
    assert "only code is asked so" in assay(*command, check=2).stderr


def test_two_files_of_answers_to_different_problems_are_each_scored(assay, tmp_path, registry, mirror, core_pool):
    for name, row in (("a", 0), ("b", 5)):
        line = {"task_id": f"HumanEval/{row}", "completion": "    return None\n"}
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(line) + "\n")
    assay("run", "humaneval", "--model", "replay:a.jsonl", "--model", "replay:b.jsonl", check=0)
    scored = [pq.read_table(p).column("doc_id").to_pylist() for p in (tmp_path / "runs").glob("*/samples/*.parquet")]
    assert sorted(scored) == [["HumanEval/0"], ["HumanEval/5"]]


def test_a_replayed_text_has_all_its_windows(assay, tmp_path):
    (tmp_path / "c.txt").write_text("fourteen bytes")
    windows = [{"logprob": x, "tokens": 3, "bytes": n, "greedy": False} for x, n in ((-10.0, 14), (-90.0, 0))]
    line = {"task": "text:c.txt", "doc_id": "0", "options": windows}
    (tmp_path / "said.jsonl").write_text(json.dumps(line) + "\n")
    assay("run", "text:c.txt", "--model", "replay:said.jsonl", check=0)
    results = json.loads(next((tmp_path / "runs").glob("*/results.json")).read_text())["tasks"]
    assert results["text:c.txt"]["value"] == pytest.approx(100 / math.log(2) / 14)
