"""benchmarks/scoring.py and scoring_gpu.py, end to end on little: what they claim is in their files and tables."""

import json
import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT

torch = pytest.importorskip("torch")
pytest.importorskip("lm_eval")

MARK = "<!-- scoring series-a/step-001602 -->"


def bench(script, *arguments):
    command = [sys.executable, ROOT / f"benchmarks/{script}.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def measured(reference, mirror, tmp_path_factory):
    """Three documents of one task on a small real checkpoint: the arguments, the file and the page."""
    folder = tmp_path_factory.mktemp("scoring")
    (folder / "page.md").write_text(f"# A page\n\n{MARK}\n{MARK}\nafter\n")
    model = reference / "parity/checkpoints/series-a/step-001602"
    arguments = [folder / "scoring.json", "--model", model, "--docs", 3, "--rounds", 2, "--threads", 1]
    arguments += ["--only", "choice/arc_easy", "--into", folder / "page.md"]
    done = bench("scoring", *arguments)
    assert done.returncode == 0, done.stderr
    return arguments, json.loads((folder / "scoring.json").read_text()), (folder / "page.md").read_text()


def test_predictions_and_greedy_flags_are_lm_evals(measured):
    row = measured[1]["rows"]["choice/arc_easy"]
    assert (row["predictions"], row["flags"]) == (0, 0)
    assert 0 <= row["difference"] < 1e-3


def test_tokens_are_counted_where_they_enter_the_model(measured):
    row = measured[1]["rows"]["choice/arc_easy"]
    assert row["docs"] == 3
    assert row["requests"] == row["rival_requests"] >= 6
    assert row["unique"] <= row["tokens"] <= 1.1 * row["unique"]
    assert row["unique"] < row["rival_tokens"]
    assert row["way"] == "packed"
    assert row["start_tokens"] > 0
    assert len(row["seconds"]) == len(row["rival_s"]) == 2


def test_the_page_holds_the_same_figures(measured):
    _, found, page = measured
    row = found["rows"]["choice/arc_easy"]
    cells = [c.strip() for c in re.search(r"^\| arc_easy (\|.*)\|$", page, re.MULTILINE)[1].split("|")[1:]]
    assert cells[:5] == [f"{row[name]:,}" for name in ("requests", "asked", "rival_tokens", "tokens", "unique")]
    assert cells[-1] == "0, 0"
    assert page.startswith("# A page")
    assert page.endswith(f"{MARK}\nafter\n")


def test_rows_that_are_there_are_not_measured_again_and_others_are_not_mixed_in(measured):
    arguments, found, _ = measured
    again = bench("scoring", *arguments)
    assert again.returncode == 0, again.stderr
    assert json.loads(arguments[0].read_text()) == found
    other = bench("scoring", *arguments, "--docs", 2)
    assert other.returncode == 1
    assert "measured with another docs" in other.stderr


def test_differing_predictions_are_counted(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import scoring_engines

    docs = [[([1], [2]), ([1], [3, 4])], [([1], [2]), ([1], [3])]]
    theirs = [(-2.0, True), (-3.0, False), (-1.0, True), (-1.5, False)]
    mine = [(-2.0, True), (-4.5, False), (-1.0, False), (-1.5, False)]
    found = scoring_engines.differences(docs, theirs, mine)
    assert found == {"difference": 1.5, "predictions": 1, "flags": 1, "gap": 0.5}


def test_unique_tokens_are_the_nodes_of_the_radix_tree(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import scoring_requests

    pairs = [([1, 2], [3, 9]), ([1, 2], [3, 8]), ([1, 2], [4, 8]), ([5], [6])]  # read: 1 2 3, 1 2 3, 1 2 4, 5
    assert scoring_requests.unique(pairs) == (5, 1 + 2 + 3 + 3 + 1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: the benchmark would run")
def test_without_a_gpu_its_benchmark_says_that_it_did_not_run(tmp_path):
    done = bench("scoring_gpu", tmp_path / "gpu.json")
    assert done.returncode == 2
    assert "did not run" in done.stderr
    assert not (tmp_path / "gpu.json").exists()


def test_the_gpus_benchmark_works_in_small_on_a_cpu(tmp_path):
    done = bench("scoring_gpu", tmp_path / "gpu.json", "--tiny", "--device", "cpu", "--rounds", 1)
    assert done.returncode == 0, done.stderr
    for rows in json.loads((tmp_path / "gpu.json").read_text())["rows"].values():
        theirs, mine = rows
        assert (theirs["engine"], mine["engine"]) == ("lm-eval", "assay")
        assert mine["tokens"] <= theirs["tokens"]
        assert mine["mfu"] > 0
        assert mine["heads"] < theirs["heads"]
