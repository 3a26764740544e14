"""Every program of the hostile corpus is held, and the honest ones are told apart."""

import pytest

from assay.harness import conformance
from assay.harness.judging import Judges
from assay.sandbox import hostile
from assay.sandbox.pool import open_pool

pytestmark = pytest.mark.docker
ATTACKS = conformance.corpus()


@pytest.fixture(scope="session")
def one_cell(engine):
    """So that the program after an attack meets the same cell."""
    with open_pool("core", cells=1) as pool:
        yield pool


@pytest.fixture(scope="session")
def judges():
    judges = Judges()
    yield judges
    judges.close()


@pytest.mark.parametrize("attack", ATTACKS, ids=[f"{a.kind}-{a.name}" for a in ATTACKS])
def test_attack_is_held(attack, one_cell, judges):
    held = conformance.hold(one_cell, attack, judges)
    assert not held.fault, held.claim


def test_names_are_unique():
    assert len({(a.kind, a.name) for a in ATTACKS}) == len(ATTACKS)


@pytest.mark.parametrize("decisive", [True, False], ids=["digests", "values"])
def test_a_right_function_is_judged_right(decisive, one_cell, judges):
    passed, outcome = conformance.calls_verdict(one_cell, hostile.RIGHT_CALLS, decisive, judges)
    assert outcome.ended == "ok"
    assert passed


@pytest.mark.parametrize("decisive", [True, False], ids=["digests", "values"])
def test_a_wrong_function_is_judged_wrong(decisive, one_cell, judges):
    assert not conformance.calls_verdict(one_cell, hostile.WRONG_CALLS, decisive, judges)[0]


def test_a_program_that_passes_its_unit_tests_is_judged_right(one_cell):
    passed, outcome = conformance.tests_verdict(one_cell, hostile.RIGHT_TESTS)
    assert outcome.ended == "ok"
    assert passed


def test_a_program_that_fails_its_unit_tests_is_judged_wrong(one_cell):
    assert not conformance.tests_verdict(one_cell, hostile.WRONG_TESTS)[0]
