"""lm-eval's own command line with `--model assay-hf`: what `--model hf` reports, for each sort of task."""

import json
import subprocess
import sys

import pytest

from tests.parity.lm_eval_yaml import write_tasks

TASKS = ("live_norms", "live_rolling", "live_shots")
NATS = 1e-3


@pytest.fixture(scope="module")
def reports(reference, tmp_path_factory):
    """Results and samples by model, as lm-eval writes them."""
    tasks = tmp_path_factory.mktemp("tasks")
    write_tasks(tasks)
    return {model: report(model, reference / "parity/checkpoints/b", tasks, tasks / model) for model in MODELS}


MODELS = {"hf": "lm_eval", "assay-hf": "assay.harness.backends.prefix_tree"}


def report(model, checkpoint, tasks, out):
    command = [sys.executable, "-m", MODELS[model], "run", "--model", model, "--tasks", *TASKS]
    command += ["--model_args", f"pretrained={checkpoint},dtype=float32,max_length=2048", "--device", "cpu"]
    command += ["--limit", "8", "--batch_size", "4", "--include_path", tasks, "--output_path", out, "--log_samples"]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=tasks, check=False)
    assert done.returncode == 0, done.stderr
    (results,) = out.rglob("results_*.json")
    samples = {
        t: [json.loads(s) for p in out.rglob(f"samples_{t}_*") for s in p.read_text().splitlines()] for t in TASKS
    }
    return json.loads(results.read_text()), samples


def test_lm_evals_command_line_reports_the_same_results(reports):
    theirs, ours = (reports[m][0] for m in MODELS)
    assert ours["config"]["model"] == "assay-hf"
    assert set(ours["results"]) == set(TASKS)
    for task in TASKS:
        assert ours["results"][task].keys() == theirs["results"][task].keys()
        for metric, value in theirs["results"][task].items():
            found = ours["results"][task][metric]
            assert found == (pytest.approx(value, rel=1e-4, abs=NATS) if isinstance(value, float) else value), metric


@pytest.mark.parametrize("task", TASKS)
def test_lm_evals_command_line_logs_the_same_samples(reports, task):
    theirs, ours = ({s["doc_id"]: s for s in reports[m][1][task]} for m in MODELS)
    assert len(theirs) == 8
    assert ours.keys() == theirs.keys()
    for doc_id, sample in theirs.items():
        assert ours[doc_id]["arguments"] == sample["arguments"]
        for (found,), (wanted,) in zip(ours[doc_id]["resps"], sample["resps"], strict=True):
            if task == "live_shots":
                assert found == wanted
            elif task == "live_rolling":
                assert float(found) == pytest.approx(float(wanted), rel=1e-6, abs=NATS)
            else:
                assert float(found[0]) == pytest.approx(float(wanted[0]), abs=NATS)
                assert found[1] == wanted[1]
