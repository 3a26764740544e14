"""The whole of it in one word, end to end, on a small real checkpoint."""

import json

import pytest

NO_DATA_HERE = {"coqa", "bigbench_elementary_math_qa"}


@pytest.mark.slow
@pytest.mark.docker
def test_standard_runs_from_one_command(assay, registry, mirror, reference, bigcodebench_pool, core_pool, tmp_path):
    checkpoint = reference / "parity/checkpoints/g"
    model = ("--model", f"hf:{checkpoint}", "--device", "cpu", "--offline")
    done = assay("run", "standard", "--limit", "16", *model, check=5)
    results = json.loads(next((tmp_path / "runs").glob("*/results.json")).read_text())["tasks"]
    assert set(results) == set(registry.suites["standard"].tasks)
    assert {t for t, r in results.items() if r["status"] == "no_data"} == NO_DATA_HERE
    assert {t for t, r in results.items() if r["value"] is None} == NO_DATA_HERE, done.stdout
    for name, result in results.items():
        if name not in NO_DATA_HERE:
            parts = max(1, len(result["groups"]))
            assert 0 < result["n"] <= 16 * parts
            assert result["usage"]["tokens_in"] > 0
    assert results["mmlu"]["n"] == 57 * 16
    assert {"acc,none", "macro acc,none", "stem acc,none"} <= results["mmlu"]["metrics"].keys()
    assert {"pass@1", "base pass@1"} <= results["humaneval_plus"]["metrics"].keys()
    assert results["bigcodebench_complete"]["checker"]["image"]
