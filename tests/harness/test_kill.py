"""SIGKILL at any moment loses nothing."""

from tests.harness import killing


def test_twenty_kills_at_random_moments_leave_the_records_of_an_undisturbed_run(tmp_path):
    kills, _ = killing.kill_and_compare(tmp_path, times=20, seed=20)
    assert kills >= 20
