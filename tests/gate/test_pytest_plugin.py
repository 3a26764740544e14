"""The fixture `assay_gate`, in a pytest of its own."""

import os
import subprocess
import sys
import tomllib

import pytest

from tests.conftest import ROOT
from tests.gate.gated_store import build

MODULE = "assay.harness.gating.pytest_plugin"
TEST = "def test_gate(assay_gate):\n    assert assay_gate({call}).verdict == 'pass'\n"


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return build(tmp_path_factory.mktemp("repository"))


@pytest.fixture
def tested(repository, tmp_path):
    """Run pytest on one call of the fixture; the finished process."""

    def run(call, cwd=repository):
        (repository / "test_gate.py").write_text(TEST.format(call=call))
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            MODULE,
            "-p",
            "no:cacheprovider",
            "--rootdir",
            repository,
            "-rs",
        ]
        env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
        return subprocess.run([*command, repository], cwd=cwd, env=env, capture_output=True, text=True)

    return run


def test_a_run_that_holds_passes_and_its_verdict_is_kept(tested, repository):
    done = tested("'good'")
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
    assert list((repository / "runs" / "gates").glob("*/*.json"))


def test_a_regression_fails_the_test_with_the_gates_own_words(tested):
    done = tested("'bad'")
    assert done.returncode == 1
    assert "Regressed: " in done.stdout
    assert "exit code 3" in done.stdout


def test_what_was_not_measured_fails_and_skips_nothing(tested):
    done = tested("'good', baselines='nowhere'")
    assert done.returncode == 1
    assert "Not measured: " in done.stdout
    assert "skipped" not in done.stdout


@pytest.mark.parametrize("call", ["'nobody'", "'good', gate='none.yaml'", "'good', store='empty'"])
def test_what_cannot_be_read_fails_with_the_fault_and_the_remedy(tested, call):
    done = tested(call)
    assert done.returncode == 1
    assert "assay gate: no" in done.stdout
    assert "Traceback" not in done.stdout
    assert "skipped" not in done.stdout


def test_paths_are_those_of_the_rootdir_wherever_pytest_was_started(tested, tmp_path):
    assert tested("'good'", cwd=tmp_path).returncode == 0
    assert tested("'runs/bad', gate='gate.yaml'", cwd=tmp_path).returncode == 1


def test_the_entry_point_is_the_plugin():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"assay": MODULE}


def test_loading_the_plugin_loads_nothing_else():
    code = f"import sys, pytest; before = set(sys.modules); import {MODULE}; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    packages = {"assay", "assay.harness", "assay.harness.gating"}
    assert set(done.stdout.split()) - packages <= {MODULE}
