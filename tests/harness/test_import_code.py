"""Other tools' verdicts on programs in a store: every sample, their numbers by the estimator, or one clear error."""

import gzip
import json
from math import comb
from pathlib import Path

import pytest

from assay.harness import indexing, store
from assay.harness.interchange import code_problems, import_code, import_leaderboard, imported
from assay.harness.interchange.imported import ForeignFile
from assay.tasks.registry import open_registry

SAMPLES = "samples/qwen2.5-coder-1.5b-base"
HUMANEVAL = [f"HumanEval/{i}" for i in range(164)]
BIGCODEBENCH = [f"BigCodeBench/{i}" for i in range(1140)]


@pytest.fixture(scope="session")
def theirs(reference):
    """A real result file, and what is in it."""
    folder = reference / SAMPLES
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there: this test needs published samples")

    def read(name):
        path = folder / f"{name}_eval_results.json.gz"
        return path, json.loads(gzip.decompress(path.read_bytes()))

    return read


@pytest.fixture
def written(tmp_path):
    """Write a result file; a folder names the model."""

    def write(name, data):
        path = tmp_path / "some-model" / name
        path.parent.mkdir(exist_ok=True)
        lines = data if isinstance(data, list) else None
        path.write_text("".join(json.dumps(x) + "\n" for x in lines) if lines is not None else json.dumps(data))
        return path

    return write


def evalplus(problems=HUMANEVAL, draws=1, right=lambda i, draw: i % 2 == 0, **keys):
    """A result file's content; the plus tests catch every fourth program that base passes."""
    found = {}
    for i, problem in enumerate(problems):
        found[problem] = [
            {
                "task_id": problem,
                "solution": f"def f(): return {i}, {draw}",
                "base_status": "pass" if right(i, draw) else "fail",
                "plus_status": "pass" if right(i, draw) and i % 4 else "fail",
                "base_fail_tests": [],
                "plus_fail_tests": [[i]],
            }
            for draw in range(draws)
        ]
    return {"date": "2025-03-04 05:06", "hash": "fe585eb4df8c88d844eeb463ea4d0302", "eval": found} | keys


def bigcodebench(problems=BIGCODEBENCH, status="pass"):
    sample = {"solution": "def task_func(): pass", "status": status, "details": {"test_1": "Traceback\nboom"}}
    return {"date": "2025-03-04 05:06", "eval": {p: [{"task_id": p, **sample}] for p in problems}}


def human_eval(problems=HUMANEVAL, result="passed"):
    return [
        {"task_id": p, "completion": "  return 1", "result": result, "passed": result == "passed"} for p in problems
    ]


def only(tool, path):
    (found,) = import_code.read_all(tool, path)
    (result,) = found.results
    return found, result


def test_humaneval_plus_gives_the_published_numbers_and_every_verdict(assay, theirs, tmp_path):
    path, data = theirs("humaneval_plus")
    run_id = assay("import", "evalplus", path, check=0).stdout.strip()
    run = store.read_run(tmp_path / "runs" / run_id)
    result = run.results["humaneval_plus"]
    assert (f"{result.value:.1%}", f"{result.metrics['base pass@1']:.1%}") == ("36.6%", "43.9%")
    assert (result.n, result.method, result.status) == (164, "wilson", "ok")
    assert result.low < result.value < result.high
    assert run.plan.checkpoint.label == "qwen2.5-coder-1.5b-base"
    assert indexing.evidence(run) == "imported with samples"
    assert result.message == "judged on v0.1.9, the task is of v0.1.10"
    rows = run.samples("humaneval_plus").to_pylist()
    assert [r["doc_id"] for r in rows] == HUMANEVAL
    for row in rows:
        (sample,) = data["eval"][row["doc_id"]]
        parts = {name: float(sample[f"{name}_status"] == "pass") for name in ("base", "plus")}
        assert (row["program"], row["response"], dict(row["parts"])) == (sample["solution"],) * 2 + (parts,)
        assert row["correct"] == (parts == {"base": 1.0, "plus": 1.0})
        assert row["score"] == row["correct"]
    assert "humaneval_plus" in assay("samples", run_id, "humaneval_plus", "--wrong", check=0).stdout


def test_mbpp_of_an_older_release_is_imported_without_what_the_task_dropped(theirs):
    path, data = theirs("mbpp_plus")
    found, result = only("evalplus", path)
    right = {p: s["base_status"] == s["plus_status"] == "pass" for p, (s,) in data["eval"].items()}
    kept = {row["doc_id"] for row in found.samples["mbpp_plus"]}
    assert (len(right), len(kept), result.n) == (399, 378, 378)
    assert result.value == pytest.approx(sum(right[p] for p in kept) / 378)
    assert result.message.startswith(
        "judged on v0.1.0, the task is of v0.2.0; 21 problems left out that v0.2.0 dropped"
    )
    assert result.message.endswith(f"pass@1 with them {sum(right.values()) / 399:.4f}")


def test_the_dropped_problems_are_those_that_the_pinned_file_lacks(mirror, theirs):
    from assay.tasks import datasets

    _, data = theirs("mbpp_plus")
    rows = datasets.load(open_registry().tasks["mbpp_plus"]).rows
    dropped = data["eval"].keys() - {r["task_id"] for r in rows}
    assert {f"Mbpp/{n}" for n in code_problems.DROPPED["mbpp_plus"]} == dropped


@pytest.mark.parametrize(
    ("name", "task", "n"),
    [
        ("bigcodebench_full_complete", "bigcodebench_complete", 1140),
        ("bigcodebench_hard_complete", "bigcodebench_hard_complete", 148),
    ],
)
def test_bigcodebench_is_told_whole_from_hard_and_keeps_its_timeouts(theirs, name, task, n):
    path, data = theirs(name)
    found, result = only("bigcodebench", path)
    statuses = [s["status"] for (s,) in data["eval"].values()]
    assert (result.task, result.n, result.value) == (task, n, pytest.approx(statuses.count("pass") / n))
    assert result.counts["timeout"] == statuses.count("timeout")
    notes = [r["note"] for r in found.samples[task] if not r["correct"] and r["status"] == "ok"]
    assert sum(": " in note for note in notes) > 0.9 * len(notes), "the first failing test and why"
    assert found.plan.created.startswith("2024-09-24T20:")


def test_pass_at_k_is_the_unbiased_estimate_over_all_draws(written):
    found, result = only("evalplus", written("eval_results.json", evalplus(draws=12, right=lambda i, d: d < i % 5)))
    right = [i % 5 if i % 4 else 0 for i in range(164)]
    for k in (1, 10):
        wanted = sum(1 - comb(12 - c, k) / comb(12, k) for c in right) / 164
        assert result.metrics[f"pass@{k}"] == pytest.approx(wanted)
    assert result.value == pytest.approx(result.metrics["pass@1"])
    assert "pass@100" not in result.metrics
    assert result.metrics["base pass@1"] > result.value
    assert (result.n, len(found.samples["humaneval_plus"]), result.method) == (164, 164 * 12, "t")
    assert {r["draw"] for r in found.samples["humaneval_plus"]} == set(range(12))


def test_base_tests_alone_are_another_task(written):
    data = evalplus()
    for (sample,) in data["eval"].values():
        sample["plus_status"] = None
    _, result = only("evalplus", written("eval_results.json", data))
    assert (result.task, result.value, list(result.metrics)) == ("humaneval", 0.5, ["pass@1"])
    assert result.message == ""


def test_human_evals_lines_are_samples_of_humaneval(written):
    lines = human_eval(HUMANEVAL[:100]) + human_eval(HUMANEVAL[100:150], "failed: AssertionError")
    found, result = only(
        "human-eval", written("samples.jsonl_results.jsonl", lines + human_eval(HUMANEVAL[150:], "timed out"))
    )
    assert (result.task, result.n, result.value) == ("humaneval", 164, 100 / 164)
    assert result.counts == {"ok": 150, "timeout": 14}
    assert result.message == "judged on human-eval's own tests, the task is of v0.1.10"
    assert [r["note"] for r in found.samples["humaneval"]][99:101] == ["", "failed: AssertionError"]
    first = found.samples["humaneval"][0]
    assert (first["response"], first["form"], first.get("program")) == ("  return 1", "completion", None)


def test_a_timeout_is_told_from_a_wrong_answer(written):
    data = evalplus()
    data["eval"]["HumanEval/2"][0]["plus_status"] = "timeout"
    data["eval"]["HumanEval/1"][0]["base_status"] = "timeout"
    found, result = only("evalplus", written("eval_results.json", data))
    assert result.counts == {"ok": 162, "timeout": 2}
    slow = [(r["doc_id"], r["correct"]) for r in found.samples["humaneval_plus"] if r["status"] == "timeout"]
    assert slow == [("HumanEval/1", False), ("HumanEval/2", False)]


def test_importing_again_gives_the_same_bytes(written, tmp_path):
    path = written("eval_results.json", evalplus())
    contents = []
    for _ in range(2):
        run = imported.save(only("evalplus", path)[0], tmp_path / "runs")
        contents.append({p: p.read_bytes() for p in run.path.rglob("*") if p.is_file()})
    assert contents[0] == contents[1]
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_imports_of_one_release_compare_and_never_with_a_measured_task(written):
    _, one = only("evalplus", written("a_eval_results.json", evalplus()))
    _, two = only("evalplus", written("b_eval_results.json", evalplus(right=lambda i, d: True)))
    _, old = only("evalplus", written("c_eval_results.json", evalplus(hash="84f4b93a1270b492e4c54d5212da7a5b")))
    assert one.fingerprint == two.fingerprint != old.fingerprint
    assert one.fingerprint.startswith("evalplus import ")


def test_an_import_is_not_graded_again_under_its_own_name(assay, written):
    run = assay("import", "evalplus", written("eval_results.json", evalplus()), check=0).stdout.strip()
    done = assay("grade", run, env={"DOCKER_HOST": "unix:///nonexistent"}, check=2)
    assert "is imported: its verdicts are another tool's" in done.stderr


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("evalplus_results/humaneval/Qwen--Qwen2_7B_vllm_temp_0.0_eval_results.json", "Qwen--Qwen2_7B"),
        ("x/org--m-sanitized_eval_results.json.gz", "org--m"),
        ("r/org--m--main--bigcodebench-hard-instruct--vllm-0-1-sanitized_calibrated_eval_results.json", "org--m"),
        ("model-1/eval_results.json", "model-1"),
        ("model-1/humaneval/samples.jsonl_results.jsonl", "model-1"),
        ("plusplusplusplusplus!/mbpp_plus_eval_results.json", "plusplusplusplusplus!"),
    ],
)
def test_the_model_is_named_by_the_file_or_its_folder(path, model):
    assert code_problems.model_of(Path(path)) == model


def without(data, problem):
    return data | {"eval": {p: s for p, s in data["eval"].items() if p != problem}}


def changed(data, **keys):
    data["eval"]["HumanEval/7"][0].update(keys)
    return data


FAULTS = [
    ("evalplus", without(evalplus(), "HumanEval/7"), r"1 are missing \(HumanEval/7\)"),
    ("evalplus", evalplus([*HUMANEVAL, "HumanEval/164"]), r"1 are none of it \(HumanEval/164\)"),
    ("evalplus", evalplus([*HUMANEVAL[:-1], "../../x"]), r"'\.\./\.\./x' is no problem of evalplus's"),
    ("evalplus", evalplus([*HUMANEVAL, "Mbpp/2"]), "problems of HumanEval and Mbpp"),
    ("evalplus", evalplus([*HUMANEVAL[:-1], "HumanEval/0163"]), "is no problem of evalplus's"),
    ("evalplus", evalplus(["Mbpp/2", "Mbpp/3"]), "not the problems of mbpp_plus"),
    ("evalplus", changed(evalplus(), base_status="yes"), "'HumanEval/7' is none of evalplus's .*a verdict is pass or"),
    ("evalplus", changed(evalplus(), base_status=["pass"]), "'HumanEval/7' is none of evalplus's"),
    ("evalplus", changed(evalplus(), solution=3), "'solution' must be text"),
    ("evalplus", changed(evalplus(), plus_status=None), "only some samples were run on the plus tests"),
    ("evalplus", changed(evalplus(), task_id="HumanEval/8"), "'HumanEval/7' holds a sample of 'HumanEval/8'"),
    ("evalplus", evalplus() | {"eval": {**evalplus()["eval"], "HumanEval/3": []}}, "'HumanEval/3' has no list"),
    ("evalplus", evalplus() | {"eval": {**evalplus()["eval"], "HumanEval/3": [7]}}, "'HumanEval/3' has no list"),
    ("evalplus", {"eval": {}}, "no file of evalplus's; copy it again"),
    ("evalplus", bigcodebench(), "looks like a file for: assay import bigcodebench"),
    ("evalplus", {"eval_metrics": {"icl": {}}}, "looks like a file for: assay import dclm"),
    ("bigcodebench", evalplus(), "looks like a file for: assay import evalplus"),
    ("bigcodebench", bigcodebench(BIGCODEBENCH[:-1]), r"1 are missing \(BigCodeBench/1139\)"),
    ("bigcodebench", bigcodebench(status="error"), "a verdict is pass or fail or timeout, not error"),
    ("human-eval", human_eval(HUMANEVAL[1:]), r"1 are missing \(HumanEval/0\)"),
    ("human-eval", [evalplus()], "looks like a file for: assay import evalplus"),
    ("human-eval", [{"task_id": "HumanEval/0", "passed": 1, "completion": ""}], "passed must be true or false"),
    ("human-eval", [], "no line in it"),
]


@pytest.mark.parametrize(("tool", "data", "said"), FAULTS)
def test_what_is_not_the_whole_of_a_benchmark_is_one_error(written, tool, data, said):
    path = written("complete_results.jsonl" if tool == "human-eval" else "complete_eval_results.json", data)
    with pytest.raises(ForeignFile, match=said) as error:
        import_code.read_all(tool, path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"eval": ' + b"[" * 100_000, "not JSON"),
        (b"\x1f\x8b\x08broken", "not JSON"),
        (
            json.dumps(evalplus()).replace('"HumanEval/1":', '"HumanEval/0":').encode(),
            "'HumanEval/0' stands there twice",
        ),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, content, said):
    (tmp_path / "eval_results.json").write_bytes(content)
    with pytest.raises(ForeignFile, match=said):
        import_code.read_all("evalplus", tmp_path)


def test_a_gzip_that_is_cut_or_swells_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "eval_results.json.gz"
    packed = gzip.compress(json.dumps(evalplus()).encode())
    path.write_bytes(packed[:-100])
    with pytest.raises(ForeignFile, match="not gzip"):
        import_code.read_all("evalplus", path)
    monkeypatch.setattr(imported, "MOST_BYTES", 1000)
    path.write_bytes(packed)
    with pytest.raises(ForeignFile, match="more than"):
        import_code.read_all("evalplus", path)


def test_an_older_mbpp_file_needs_no_data_to_be_told(theirs, monkeypatch):
    monkeypatch.delenv("ASSAY_DATA", raising=False)
    assert only("evalplus", theirs("mbpp_plus")[0])[1].n == 378


def test_one_bad_file_of_a_folder_keeps_all_of_it_out(assay, written, tmp_path):
    written("a_eval_results.json", evalplus())
    folder = written("b_eval_results.json", evalplus(HUMANEVAL[:3])).parent
    done = assay("import", "evalplus", folder, check=2)
    assert "b_eval_results.json: not the problems of humaneval_plus: 161 are missing" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_bigcodebenchs_prompt_must_be_told_by_the_files_name(written):
    with pytest.raises(ForeignFile, match="says neither 'complete' nor 'instruct'"):
        import_code.read_all("bigcodebench", written("eval_results.json", bigcodebench()))
    _, result = only("bigcodebench", written("m--main--bigcodebench-instruct--vllm_eval_results.json", bigcodebench()))
    assert result.task == "bigcodebench_instruct"


def test_mbpp_without_plus_tests_is_no_task(written):
    data = evalplus(["Mbpp/2"])
    data["eval"]["Mbpp/2"][0]["plus_status"] = None
    with pytest.raises(ForeignFile, match="MBPP without plus tests is no task here"):
        import_code.read_all("evalplus", written("eval_results.json", data))


def test_hostile_text_in_a_program_is_kept_and_harms_nothing(written, tmp_path):
    text = "\x1b[2J\ud800\x00=cmd()<script>"
    found, _ = only(
        "evalplus", written("eval_results.json", changed(evalplus(hash=text), solution=text, base_fail_tests=[text]))
    )
    run = imported.save(found, tmp_path / "runs")
    row = run.samples("humaneval_plus").to_pylist()[7]
    assert row["program"] == "\x1b[2J\\ud800\x00=cmd()<script>"
    assert run.results["humaneval_plus"].message.isprintable()


@pytest.fixture(scope="session")
def leaderboard(reference):
    path = reference / "evalplus/leaderboard_results.json"
    if not path.is_file():
        pytest.skip(f"{path} is not there: this test needs evalplus's leaderboard")
    return path


def test_the_leaderboards_numbers_are_aggregates_of_one_run_a_model(leaderboard, tmp_path):
    data, names = json.loads(leaderboard.read_bytes()), {"humaneval": "humaneval", "humaneval_plus": "humaneval+"}
    found = import_leaderboard.read_all(leaderboard)
    assert len(found) == len({f.plan.run_id for f in found}) == len(data) == 125
    assert not any(f.samples for f in found)
    for run, (model, entry) in zip(found, data.items(), strict=True):
        assert run.plan.checkpoint.label == model
        assert run.plan.checkpoint.parameters == (entry["size"] and pytest.approx(entry["size"] * 1e9))
        numbers = {r.task: round(100 * r.value, 1) for r in run.results}
        wanted = {task: entry["pass@1"][theirs] for task, theirs in {**names, "mbpp_plus": "mbpp+"}.items()}
        assert numbers == {task: v for task, v in wanted.items() if v is not None}
    assert imported.save(found[0], tmp_path / "runs").results["humaneval"].n == 164


def test_a_percentage_that_no_number_of_problems_gives_has_no_interval(leaderboard):
    results = [r for run in import_leaderboard.read_all(leaderboard) for r in run.results]
    odd = [r for r in results if r.low is None]
    assert len(odd) == 8
    assert all("no share of this task's" in r.message and r.n == 0 for r in odd)
    sound = next(r for r in results if r.task == "humaneval" and r.value == 0.817)
    assert (sound.n, sound.method) == (164, "wilson (from the published mean and n)")


@pytest.mark.parametrize("value", [101, -1, "80", True, [1]])
def test_a_leaderboard_with_a_number_that_is_no_percentage_is_refused(tmp_path, value):
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"m": {"pass@1": {"humaneval": value}, "link": "javascript:alert(1)", "size": 10**300}}))
    with pytest.raises(ForeignFile, match=r"'m', humaneval: .* is no percentage"):
        import_leaderboard.read_all(path)


def test_a_leaderboards_odd_facts_are_left_out(tmp_path):
    path = tmp_path / "results.json"
    entry = {"pass@1": {"humaneval": 50.0}, "link": "javascript:alert(1)", "size": 10**300}
    path.write_text(json.dumps({"\x1b[1mm/../n\ud800": entry, "none": {"pass@1": {}}}))
    (found,) = import_leaderboard.read_all(path)
    assert found.plan.environment["facts"]["links"] == []
    assert found.plan.checkpoint.parameters is None
    assert found.plan.checkpoint.label.isprintable()
    assert "/" not in found.plan.run_id
