"""lm-eval's files both ways, and answers to train on: nothing lost unsaid, nothing made up, no test data let out."""

import json
import os
import shutil
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from assay.harness import fingerprint, store
from assay.harness.backends.fake import Words
from assay.harness.interchange import asked
from assay.tasks import datasets
from assay.tasks.types import Document, Greedy
from tests.conftest import ASSAY, choice_rows

NO_ENGINE = {"DOCKER_HOST": "unix:///nonexistent"}
MEASURE = """
import sys, lm_eval
from lm_eval.loggers import EvaluationTracker
from lm_eval.tasks import TaskManager
model, arguments, out = sys.argv[1:]
tracker = EvaluationTracker(output_path=out)
results = lm_eval.simple_evaluate(
    model=model, model_args=arguments, tasks=["tiny", "tiny_sum", "tiny_text"], evaluation_tracker=tracker,
    task_manager=TaskManager(include_path=".", include_defaults=False), limit=3, bootstrap_iters=100, device="cpu",
)
samples = results.pop("samples")
tracker.save_results_aggregated(results=results, samples=samples)
for task, lines in samples.items():
    tracker.save_results_samples(task_name=task, samples=lines)
"""
CHOICE = {
    "task": "tiny_choice",
    "output_type": "multiple_choice",
    "doc_to_text": "{{q}}",
    "doc_to_choice": "{{options}}",
    "doc_to_target": "{{gold}}",
    "metric_list": [{"metric": m, "aggregation": "mean", "higher_is_better": True} for m in ("acc", "acc_norm")],
    "metadata": {"version": 2.0},
}
SUM = {
    "task": "tiny_sum",
    "output_type": "generate_until",
    "doc_to_text": "{{q}}",
    "doc_to_target": "{{gold}}",
    "generation_kwargs": {"until": ["\n"], "max_gen_toks": 4, "do_sample": False},
    "filter_list": [
        {"name": name, "filter": [{"function": "regex", "regex_pattern": pattern}, {"function": "take_first"}]}
        for name, pattern in (("strict", "#### ([0-9]+)"), ("loose", "([a-z0-9]+)"))
    ],
    "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    "metadata": {"version": 1.0},
}
TEXT = {
    "task": "tiny_text",
    "output_type": "loglikelihood_rolling",
    "doc_to_text": "",
    "doc_to_target": "{{q}}",
    "metric_list": [{"metric": "word_perplexity"}, {"metric": "bits_per_byte"}],
}
GROUP = {
    "group": "tiny",
    "task": ["tiny_choice"],
    "aggregate_metric_list": [{"metric": "acc", "weight_by_size": True}],
}


@pytest.fixture(scope="session")
def lm_eval_wrote(tmp_path_factory):
    """A folder that lm-eval's own evaluator and tracker wrote for a model; each model is run once."""
    folder = tmp_path_factory.mktemp("lm-eval")
    rows = [{"q": f"Is {i} even?", "options": ["no", "yes"], "gold": 1 - i % 2} for i in range(4)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    data = {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": "rows.jsonl"}}, "test_split": "test"}
    for config in (CHOICE | data, SUM | data, TEXT | data, GROUP):
        (folder / f"{config.get('task') if 'group' not in config else 'group'}.yaml").write_text(json.dumps(config))

    def measure(model, arguments=""):
        out = folder / f"out-{model}"
        if not out.exists():
            env = {**os.environ, "HF_HOME": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
            command = [sys.executable, "-c", MEASURE, model, arguments, out]
            done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
        return out

    return measure


@pytest.fixture(scope="session")
def _half(tmp_path_factory):
    folder = tmp_path_factory.mktemp("half")
    command = [ASSAY, "run", "demo", "--model", "corrupted:0.5", "--name", "half"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "runs"


@pytest.fixture
def half(_half, tmp_path):
    """A finished run of the demo suite, half of it wrong."""
    shutil.copytree(_half, tmp_path / "runs")
    return "half"


@pytest.fixture
def imported(assay, tmp_path):
    """Import a path; the run."""

    def read(path):
        return store.read_run(tmp_path / "runs" / assay("import", "lm-eval", path, check=0).stdout.strip())

    return read


def only(folder, pattern):
    (found,) = folder.rglob(pattern)
    return found


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def feedback(assay, *arguments):
    return [json.loads(line) for line in assay("export", *arguments, check=0).stdout.splitlines()]


def generation_task(write_task, words=0, **keys):
    """Sums that somebody means to train on, unless told otherwise."""
    rows = [{"context": f"Add {i} and {i}: {'please ' * words}", "answer": f"{2 * i}"} for i in range(4)]
    return write_task(rows, kind="generation", **{"split": "train", "stop": ["\n"], "seam": "joint", **keys})


def test_an_export_lies_where_lm_eval_puts_it_and_has_its_keys(assay, half, tmp_path, lm_eval_wrote):
    folder = tmp_path / assay("export", half, "lm-eval", check=0).stdout.strip()
    assert folder == tmp_path / "lm-eval" / "corrupted__0.5"
    theirs = lm_eval_wrote("dummy")
    real, ours = (json.loads(only(f, "results_*.json").read_text()) for f in (theirs, folder))
    environment = {"pretty_env_info", "upper_git_hash"}
    assert set(real) - environment - {"groups"} <= set(ours)
    assert set(real["config"]) - {"batch_sizes"} <= set(ours["config"])
    assert ours["results"]["demo_animals"].keys() == {"name", "alias", "sample_len", "acc,none", "acc_stderr,none"}
    assert "exact_match,none" in ours["results"]["demo_sums"]
    assert ours["n-samples"]["demo_sums"] == {"original": 48, "effective": 48}
    assert ours["lm_eval_version"] is None, "lm-eval did not evaluate this"
    for there, here in (("choice", "animals"), ("sum", "sums")):
        line = lines(only(theirs, f"samples_tiny_{there}_*.jsonl"))[0]
        own = lines(only(folder, f"samples_demo_{here}_*.jsonl"))[0]
        assert set(line) - {"acc_norm"} <= set(own)
        assert [type(line[k]) for k in ("doc_id", "target", "resps", "filtered_resps")] == [
            type(own[k]) for k in ("doc_id", "target", "resps", "filtered_resps")
        ]


def test_lm_evals_own_readers_take_an_export(assay, half, tmp_path):
    from lm_eval.utils import get_file_datetime, get_file_task_name, get_sample_results_filenames, make_table

    folder = tmp_path / assay("export", half, "lm-eval", check=0).stdout.strip()
    table = make_table(json.loads(only(folder, "results_*.json").read_text()))
    assert "|demo_sums    |      1|none  |     2|exact_match|↑  |0.4167|±  |0.0712|" in table
    names = get_sample_results_filenames([str(p) for p in folder.iterdir()])
    assert sorted(map(get_file_task_name, (n.rpartition("/")[2] for n in names))) == [
        "demo_animals",
        "demo_capitals",
        "demo_sums",
        "demo_trades",
    ]
    assert len({get_file_datetime(n) for n in names}) == 1


def test_exported_and_imported_numbers_and_samples_are_equal(assay, half, imported, tmp_path):
    before = store.read_run(tmp_path / "runs" / half)
    after = imported(assay("export", half, "lm-eval", check=0).stdout.strip())
    assert after.complete
    assert len(after.results) == 4
    for task, was in before.results.items():
        now = after.results[f"imported:{task}"]
        assert (now.value, now.n, now.status) == (was.value, was.n, "ok")
        assert (now.stderr, now.low, now.high, now.method) == (was.stderr, was.low, was.high, was.method)
        pairs = zip(before.samples(task).to_pylist(), after.samples(f"imported:{task}").to_pylist(), strict=True)
        for a, b in pairs:
            assert [a[k] for k in ("doc_id", "score", "correct", "response", "status")] == [
                b[k] for k in ("doc_id", "score", "correct", "response", "status")
            ]
            assert [(o["logprob"], o["greedy"]) for o in a["options"]] == [
                (o["logprob"], o["greedy"]) for o in b["options"]
            ]


def test_the_same_run_is_exported_to_the_same_bytes(assay, half, tmp_path):
    contents = []
    for out in ("a", "b"):
        folder = tmp_path / assay("export", half, "lm-eval", "--out", out, check=0).stdout.strip()
        contents.append({p.name: p.read_bytes() for p in folder.iterdir()})
    assert contents[0] == contents[1]


def test_a_task_without_a_number_is_left_out_and_said(assay, write_task, tmp_path):
    folder = write_task([*choice_rows(3), {"query": "q", "choices": ["a", ""], "gold": 0}])
    assay("run", "mine", "demo_animals", "--tasks-dir", folder, "--model", "oracle", "--name", "x", check=5)
    done = assay("export", "x", "lm-eval", "--tasks-dir", folder, check=0)
    assert "mine: left out, it has no number: 1 of 4 samples could not be scored" in done.stderr
    found = json.loads(only(tmp_path / "lm-eval", "results_*.json").read_text())
    assert list(found["results"]) == ["demo_animals"]
    assert "nothing to export" in assay("export", "x", "lm-eval", "--task", "mine", check=2).stderr


@pytest.mark.parametrize("fault", ["no spec", "other spec", "no data"])
def test_what_was_asked_is_null_where_it_can_not_be_vouched_for(assay, write_task, tmp_path, fault):
    folder = write_task(choice_rows(3))
    assay("run", "mine", "--tasks-dir", folder, "--model", "oracle", "--name", "x", check=0)
    tasks_dir = () if fault == "no spec" else ("--tasks-dir", folder)
    if fault == "other spec":
        write_task(choice_rows(3), shots=1)
    if fault == "no data":
        (folder / "mine.jsonl").unlink()
    done = assay("export", "x", "lm-eval", *tasks_dir, check=0)
    assert "mine: documents and prompts are null" in done.stderr
    line = lines(only(tmp_path, "samples_mine_*.jsonl"))[0]
    assert [line[k] for k in ("doc", "arguments", "doc_hash", "prompt_hash")] == [None] * 4
    assert line["acc"] == 1.0
    data = json.loads(only(tmp_path / "lm-eval", "results_*.json").read_text())
    assert (data["n-shot"], data["task_hashes"], data["n-samples"]["mine"]["original"]) == ({}, {}, None)


def test_protected_rows_are_in_no_export(assay, mirror, registry, tmp_path):
    assay("run", "gpqa_main", "--model", "random:1", "--docs", "0:4", "--name", "g", check=0)
    folder = tmp_path / assay("export", "g", "lm-eval", check=0).stdout.strip()
    written = b"".join(p.read_bytes() for p in folder.iterdir())
    rows = datasets.load(registry.tasks["gpqa_main"]).rows[:4]
    assert not any(r["query"][:40].encode() in written for r in rows)
    assert lines(only(folder, "samples_*.jsonl"))[0]["doc"] is None
    refused = assay("export", "g", "feedback", "--task", "gpqa_main", "--i-know", check=2)
    assert "'gpqa_main' is protected" in refused.stderr


def test_a_measured_task_of_lm_evals_is_exported_as_lm_eval_logs_it(assay, mirror, reference, tmp_path):
    """Prompts, answers and metrics against those that lm-eval 0.4.13 itself recorded of the same checkpoint."""
    import gzip

    checkpoint = reference / "parity/checkpoints/g"
    assay("run", "gsm8k", "--model", f"hf:{checkpoint}", "--docs", "0:1", "--device", "cpu", "--name", "g", check=0)
    folder = tmp_path / assay("export", "g", "lm-eval", check=0).stdout.strip()
    with gzip.open(reference / "parity/lm_eval/g/gsm8k_5shot.jsonl.gz", "rt") as f:
        wanted = {(r["doc_id"], r["filter"]): r for r in map(json.loads, f) if "header" not in r}
    found = lines(only(folder, "samples_gsm8k_*.jsonl"))
    assert len(found) == 2, "one document, two filters"
    for line in found:
        theirs = wanted[line["doc_id"], line["filter"]]
        assert line["prompt_hash"] == theirs["prompt_sha256"]
        assert line["resps"] == [[theirs["generation"]]]
        assert line["exact_match"] == theirs["metrics"]["exact_match"]
        assert line["filtered_resps"] in ([theirs["filtered"]], None)
    config = json.loads(only(folder, "results_*.json").read_text())["config"]
    assert (config["model"], config["model_args"]) == ("hf", f"pretrained={checkpoint},dtype=float32")


@pytest.mark.parametrize("model", ["dummy", "hf"])
def test_what_lm_eval_wrote_is_imported_number_for_number(lm_eval_wrote, imported, request, model):
    arguments = ""
    if model == "hf":
        arguments = f"pretrained={request.getfixturevalue('reference')}/parity/checkpoints/b,dtype=float32"
    folder = lm_eval_wrote(model, arguments)
    wrote = json.loads(only(folder, "results_*.json").read_text())
    run = imported(folder)
    assert run.plan.identity["engine"] == f"lm-eval {wrote['lm_eval_version']}"
    assert run.plan.identity["model"] == f"lm-eval import: {model} {arguments}".strip()
    assert run.plan.checkpoint.label == ("b" if model == "hf" else "dummy")
    assert set(run.results) == {"imported:tiny_choice", "imported:tiny_sum", "imported:tiny_text"}
    for task, result in run.results.items():
        numbers = wrote["results"][task.removeprefix("imported:")]
        value, stderr, *_ = (v for k, v in numbers.items() if "," in k)
        assert result.metrics == {k: v for k, v in numbers.items() if "," in k and v != "N/A"}
        assert (result.value, result.stderr) == (value, None if stderr == "N/A" else stderr)
        assert (result.n, result.status) == (3, "partial"), "3 of 4 documents: lm-eval's --limit"
        assert f"3 of 4 documents; the number is of these alone; imported: lm-eval {wrote['lm_eval_version']}" in (
            result.message
        )
    assert not run.results["imported:tiny_text"].higher_is_better
    (group,) = run.composites
    assert group["name"] == "imported:tiny acc,none"
    assert group["value"] == wrote["results"]["tiny"]["acc,none"]


def test_imported_samples_join_their_filters(lm_eval_wrote, imported):
    folder = lm_eval_wrote("dummy")
    run = imported(folder)
    rows = run.samples("imported:tiny_sum").to_pylist()
    assert [dict(r["parts"]) for r in rows] == [{"exact_match,strict": 0.0, "exact_match,loose": 0.0}] * 3
    assert {(r["response"], r["extracted"], r["score"]) for r in rows} == {("lol", "[invalid]", 0.0)}
    wrote = lines(only(folder, "samples_tiny_choice_*.jsonl"))
    rows = run.samples("imported:tiny_choice").to_pylist()
    assert [r["score"] for r in rows] == [w["acc"] for w in wrote]
    assert [[str(o["logprob"]) for o in r["options"]] for r in rows] == [[p[0][0] for p in w["resps"]] for w in wrote]
    assert [json.loads(r["target"]) for r in rows] == [1, 0, 1]
    for row in run.samples("imported:tiny_text").to_pylist():
        assert (row["score"], row["note"]) == (None, "word_perplexity,none: lm-eval keeps no number of a sample")


def test_an_import_never_has_the_name_or_the_fingerprint_of_a_measured_task(assay, half, imported, tmp_path):
    measured = store.read_run(tmp_path / "runs" / half)
    run = imported(assay("export", half, "lm-eval", check=0).stdout.strip())
    assert not set(run.results) & set(measured.results)
    assert all(r.fingerprint.startswith("lm-eval import ") for r in run.results.values())
    assert run.plan.identity["model"].startswith("lm-eval import: ")
    assert run.plan.tasks == {t: r.fingerprint for t, r in run.results.items()}


def test_one_task_of_two_models_is_imported_under_one_fingerprint(lm_eval_wrote, imported, reference):
    arguments = f"pretrained={reference}/parity/checkpoints/b,dtype=float32"
    dummy, real = imported(lm_eval_wrote("dummy")), imported(lm_eval_wrote("hf", arguments))
    assert dummy.plan.run_id != real.plan.run_id
    assert dummy.plan.tasks == real.plan.tasks


def test_importing_twice_gives_one_run_and_show_and_samples_read_it(assay, half):
    folder = assay("export", half, "lm-eval", check=0).stdout.strip()
    first, second = (assay("import", "lm-eval", folder, check=0).stdout for _ in range(2))
    assert first == second
    assert len(json.loads(assay("runs", "--json", check=0).stdout)) == 2
    assert "imported:demo_sums" in assay("show", "latest", check=0).stdout
    wrong = assay("samples", first.strip(), "imported:demo_sums", "--wrong", check=0).stdout.splitlines()
    assert len(wrong) == 28


def test_an_imported_run_is_exported_under_lm_evals_names_again(assay, lm_eval_wrote, tmp_path):
    folder = lm_eval_wrote("dummy")
    run = assay("import", "lm-eval", folder, check=0).stdout.strip()
    again = tmp_path / assay("export", run, "lm-eval", check=0).stdout.strip()
    was, now = (json.loads(only(f, "results_*.json").read_text())["results"] for f in (folder, again))
    assert now == {t: was[t] for t in ("tiny_choice", "tiny_sum", "tiny_text")}


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda r, s: r.write_text(r.read_text()[:500]), r"results_.*json: not JSON .* cut short or damaged"),
        (lambda r, s: r.write_text("[]"), r"no tasks under 'results' \(but list\)"),
        (lambda r, s: r.write_text('{"scores": {}}'), r"no tasks under 'results' \(but scores\); pass the results_"),
        (lambda r, s: r.write_text('{"results": {"a": 1}}'), r"is not what lm-eval writes there"),
        (lambda r, s: r.write_text('{"results": {"../a": {}}}'), r"task '../a' can't name a file"),
        (lambda r, s: s.write_bytes(s.read_bytes()[:-30]), r"samples_demo_sums_.*jsonl:48: not JSON .* cut short"),
        (lambda r, s: s.write_text('{"id": 1}\n'), r"jsonl:1: no sample of lm-eval's .*a line has doc_id"),
        (lambda r, s: s.write_text("\n".join(s.read_text().splitlines()[:40])), r"40 documents, the results are of 48"),
        (lambda r, s: s.write_text(s.read_text().replace('"doc_hash": "', '"doc_hash": "0')), r"it was changed"),
        (lambda r, s: r.unlink(), r"no results\*.json here or below: pass what lm-eval wrote"),
    ],
)
def test_a_damaged_or_foreign_file_is_named_with_the_remedy(assay, half, tmp_path, damage, said):
    import re

    folder = tmp_path / assay("export", half, "lm-eval", check=0).stdout.strip()
    damage(only(folder, "results_*.json"), only(folder, "samples_demo_sums_*.jsonl"))
    done = assay("import", "lm-eval", folder, "--store", tmp_path / "other", check=2)
    assert re.search(said, done.stderr)
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "other").exists()


def test_results_without_samples_are_imported_as_numbers_alone(assay, half, imported, tmp_path):
    folder = tmp_path / assay("export", half, "lm-eval", check=0).stdout.strip()
    for path in folder.glob("samples_*"):
        path.unlink()
    run = imported(only(folder, "results_*.json"))
    result = run.results["imported:demo_sums"]
    assert (result.value, result.n, result.samples_sha256) == (20 / 48, 48, "")
    assert (result.stderr, result.low) == (pytest.approx(0.0712, abs=1e-4), None)


def test_test_data_is_refused_by_name_unless_the_user_knows(assay, half, tmp_path):
    done = assay("export", half, "feedback", "--out", "f.jsonl", check=2)
    assert "test data" in done.stderr
    assert "demo_sums" in done.stderr
    assert "demo_animals" not in done.stderr, "nothing was written there"
    assert not (tmp_path / "f.jsonl").exists()
    assert len(feedback(assay, half, "feedback", "--i-know")) == 48


def test_rows_that_their_spec_calls_training_data_need_no_word(assay, write_task):
    folder = generation_task(write_task)
    assay("run", "mine", "demo_sums", "--tasks-dir", folder, "--model", "oracle", "--name", "x", check=0)
    mixed = assay("export", "x", "feedback", "--tasks-dir", folder, check=2).stderr
    assert "demo_sums" in mixed
    assert "mine" not in mixed
    rows = feedback(assay, "x", "feedback", "--task", "mine", "--tasks-dir", folder)
    assert [(r["prompt"], r["completion"], r["reward"]) for r in rows] == [
        (f"Add {i} and {i}: ", f"{2 * i}", 1) for i in range(4)
    ]


def test_prompts_are_token_for_token_what_was_asked_and_rewards_what_was_scored(assay, half, tmp_path):
    rows = feedback(assay, half, "feedback", "--i-know")
    samples = store.read_run(tmp_path / "runs" / half).samples("demo_sums").to_pylist()
    shown = json.loads(assay("preview", "demo_sums", "--json", check=0).stdout)["requests"][0]
    for row, sample in zip(rows, samples, strict=True):
        (ids,) = Words().encode([row["prompt"]], special=True)
        request = Greedy(key="", prompt_ids=ids, stop=(), max_tokens=shown["max_tokens"])
        assert fingerprint.request(Document(sample=None, requests=(request,))) == sample["request_sha256"]
        assert (row["doc_id"], row["completion"]) == (sample["doc_id"], sample["response"])
        assert row["reward"] == sample["score"]
    assert {r["run_id"] for r in rows} == {"half"}
    assert {r["reward"] for r in rows} == {0, 1}


def test_a_chat_is_written_again_as_it_was_asked(assay, registry, tmp_path):
    """Fakes are asked for code in chat form: the text that their tokenizer was given hashes to the recorded request."""
    assay("run", "demo_code", "--model", "oracle", "--name", "c", env=NO_ENGINE, check=5)
    run = store.read_run(tmp_path / "runs" / "c")
    questions = asked.again(run, asked.spec_of(run, registry, "demo_code"), ["chat"]).questions
    for sample in run.samples("demo_code").to_pylist():
        (ids,) = Words().encode(questions[sample["doc_id"]].contexts, special=True)
        request = Greedy(key="", prompt_ids=ids, stop=(), max_tokens=768)
        assert fingerprint.request(Document(sample=None, requests=(request,))) == sample["request_sha256"]


def test_a_chat_whose_tokenizer_is_gone_is_refused(registry, tmp_path, assay):
    import dataclasses

    assay("run", "demo_code", "--model", "oracle", "--name", "c", env=NO_ENGINE, check=5)
    run = store.read_run(tmp_path / "runs" / "c")
    spec = asked.spec_of(run, registry, "demo_code")
    for model, said in (("hf:/nowhere", "no such folder"), ("random:1", "another tokenizer lies there now")):
        plan = dataclasses.replace(run.plan, options={**run.plan.options, "model": model}, identity={"tokenizer": "x"})
        with pytest.raises(asked.NotAsAsked, match=said):
            asked.again(dataclasses.replace(run, plan=plan), spec, ["chat"])


@pytest.mark.docker
def test_each_draw_of_a_program_has_its_own_reward(assay, engine, registry, shared_cache, tmp_path):
    row = datasets.load(registry.tasks["demo_code"]).rows[0]
    right, wrong = row["prompt"] + row["canonical_solution"], row["prompt"] + "    return NotImplemented\n"
    drawn = "".join(json.dumps({"task_id": row["task_id"], "solution": s}) + "\n" for s in (right, wrong, right))
    (tmp_path / "samples.jsonl").write_text(drawn)
    cached = {"ASSAY_CACHE": str(shared_cache)}
    model = f"replay:{tmp_path / 'samples.jsonl'}"
    assay("run", "demo_code", "--model", model, "--name", "c", env=cached, check=0)
    rows = feedback(assay, "c", "feedback", "--i-know")
    assert [(r["draw"], r["reward"], r["form"]) for r in rows] == [
        (0, 1, "program"),
        (1, 0, "program"),
        (2, 1, "program"),
    ]
    folder = tmp_path / assay("export", "c", "lm-eval", check=0).stdout.strip()
    (line,) = lines(only(folder, "samples_demo_code_*.jsonl"))
    assert (line["resps"], line["pass@1"]) == ([[right, wrong, right]], pytest.approx(2 / 3))
    numbers = json.loads(only(folder, "results_*.json").read_text())["results"]["demo_code"]
    assert numbers["pass@1,none"] == pytest.approx(2 / 3)
    assert "base pass@1,none" in numbers


def test_what_the_machine_failed_at_is_left_out_and_counted(assay):
    assay("run", "demo_code", "--model", "oracle", "--name", "c", env=NO_ENGINE, check=5)
    done = assay("export", "c", "feedback", "--i-know", check=0)
    assert not done.stdout
    assert "left out 3 of demo_code: infra_error" in done.stderr


def test_a_prompt_that_was_cut_to_fit_is_left_out_and_counted(assay, write_task):
    folder = generation_task(write_task, words=60, max_length=40)
    assay("run", "mine", "--tasks-dir", folder, "--model", "oracle", "--name", "x", check=0)
    done = assay("export", "x", "feedback", "--tasks-dir", folder, check=0)
    assert not done.stdout
    assert "left out 4 of mine: the prompt was cut to fit" in done.stderr


def test_prompts_of_another_spec_are_refused(assay, write_task):
    folder = generation_task(write_task)
    assay("run", "mine", "--tasks-dir", folder, "--model", "oracle", "--name", "x", check=0)
    generation_task(write_task, prelimiter="Q: ")
    done = assay("export", "x", "feedback", "--tasks-dir", folder, check=2)
    assert "asked something else than would be rendered now" in done.stderr
    assert "has no spec here" in assay("export", "x", "feedback", check=2).stderr


def test_options_that_were_scored_are_no_written_answers(assay, half):
    done = assay("export", half, "feedback", "--task", "demo_animals", "--i-know", check=2)
    assert "'demo_animals' has no written answers" in done.stderr


def test_parquet_holds_the_rows_of_the_json_lines(assay, half, tmp_path):
    for name in ("f.jsonl", "f.parquet"):
        done = assay("export", half, "feedback", "--i-know", "--out", name, check=0)
        assert "48 answers, 20 right" in done.stderr
    assert pq.read_table(tmp_path / "f.parquet").to_pylist() == lines(tmp_path / "f.jsonl")
    assert (
        "must end in .jsonl or .parquet"
        in assay("export", half, "feedback", "--i-know", "--out", "f.csv", check=2).stderr
    )
