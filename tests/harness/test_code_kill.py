"""SIGKILL of cells and of the run, at any moment, changes no verdict."""

import pytest

from tests.harness import code_killing


@pytest.mark.docker
def test_kills_of_cells_and_runs_at_random_moments_leave_the_verdicts_of_an_undisturbed_run(
    tmp_path, engine, mirror, shared_cache
):
    cells, runs, _ = code_killing.kill_and_compare(tmp_path, times=6, seed=6)
    assert cells + runs >= 6
    assert cells
