"""`assay sandbox check`: every program of the hostile corpus, judged as answers are, and a witness after each.

An attack is held when it is not judged right, ends as its table allows, does nothing that its table forbids, and the
witness, a program run next on the same cell, finds no trace of it.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from assay.harness import judging
from assay.harness.judging import Judges
from assay.harness.truth import CANARIES
from assay.harness.verdicts import Phase, Want, read_tests
from assay.sandbox import hostile, hostile_calls, hostile_machine, hostile_tests
from assay.sandbox.cell import values
from assay.sandbox.hostile import Attack
from assay.sandbox.pool import Pool
from assay.sandbox.types import Calls, Job, Outcome, SandboxUnavailable, Tests

WALL_S, CALL_S = 4.0, 1.5
MACHINE_S = 30.0


@dataclass(frozen=True, slots=True)
class Held:
    """How one attack went.

    Attributes:
        fault: why it was not held, or "".
        ended: how the program ended.
    """

    kind: str
    name: str
    claim: str
    ended: str
    fault: str


def corpus() -> Sequence[Attack]:
    """Every attack that must be held."""
    return (*hostile_calls.ATTACKS, *hostile_tests.ATTACKS, *hostile_machine.ATTACKS)


def check(pools: Sequence[Pool], attacks: Sequence[Attack]) -> Iterator[Held]:
    """Run the attacks, spread over the pools; each pool must have one cell, so that the witness meets the same one."""
    judges = Judges()
    shares = [attacks[i :: len(pools)] for i in range(len(pools))]
    try:
        with ThreadPoolExecutor(len(pools)) as threads:
            streams = [
                threads.submit(lambda p=p, s=s: [hold(p, a, judges) for a in s])  # type: ignore[misc]
                for p, s in zip(pools, shares, strict=True)
            ]
            for stream in as_completed(streams):
                yield from stream.result()
    finally:
        judges.close()


def controls(pool: Pool) -> Iterator[Held]:
    """Honest programs, right and wrong, that a judge must tell apart; and the attacks known to defeat ours, shown."""
    judges = Judges()
    for want, calls, tests in ((True, hostile.RIGHT_CALLS, hostile.RIGHT_TESTS), (False, *_WRONG)):
        name, claim = ("right", "a right program passes") if want else ("wrong", "a wrong program does not pass")
        for decisive in (True, False):
            passed, outcome = calls_verdict(pool, calls, decisive, judges)
            yield Held("control", f"calls-{name}", claim, outcome.ended, "" if passed is want else "misjudged")
        passed, outcome = tests_verdict(pool, tests)
        yield Held("control", f"tests-{name}", claim, outcome.ended, "" if passed is want else "misjudged")
    for attack in hostile_tests.KNOWN_LIMITS:
        passed, outcome = tests_verdict(pool, attack.code)
        verdict = "known limit: judged right" if passed else "known limit, yet not judged right"
        yield Held(verdict, attack.name, attack.claim, outcome.ended, "")
    judges.close()


_WRONG = (hostile.WRONG_CALLS, hostile.WRONG_TESTS)


def hold(pool: Pool, attack: Attack, judges: Judges) -> Held:
    """Run one attack, then the witness."""
    run = {"calls": _calls, "tests": _tests, "machine": _machine}[attack.kind]
    try:
        outcome, fault = run(pool, attack, judges)
        ended: str = outcome.ended
        if not fault and ended not in attack.ended:
            fault = f"ended '{ended}' ({outcome.note}), which its table does not allow"
        _, seen = _machine(pool, hostile_machine.WITNESS, judges)
        fault = fault or (seen and f"the next program saw: {seen}")
    except SandboxUnavailable as error:
        ended, fault = "broken", f"it broke the cell three times: {error}"
    return Held(attack.kind, attack.name, attack.claim, ended, fault)


def _calls(pool: Pool, attack: Attack, judges: Judges) -> tuple[Outcome, str]:
    """Judged as HumanEval+ is: once with large outputs as digests, once with everything decoded and compared."""
    fault = ""
    for decisive in (True, False):
        passed, outcome = calls_verdict(pool, attack.code, decisive, judges)
        fault = fault or ("judged right" if passed else "")
    return outcome, fault


def calls_verdict(pool: Pool, code: str, decisive: bool, judges: Judges) -> tuple[bool, Outcome]:
    """Whether a program is judged right about `median3`."""
    inputs = [values.encode(list(i)) for i in hostile.INPUTS]
    wants = [Want(f"={values.encode(e)}", decisive, decisive, 0.0, 1) for e in hostile.EXPECTED]
    phase = Phase("humaneval", hostile.ENTRY_POINT, inputs, wants, judges)
    job = phase.job("calls", code, 0.0)
    assert isinstance(job.program, Calls)  # noqa: S101 - phases are of calls
    program = dataclasses.replace(job.program, call_s=(CALL_S,) * len(inputs))
    outcome = pool.submit(dataclasses.replace(job, program=program, wall_s=WALL_S)).result()
    return phase.verdict("calls", outcome).passed, outcome


def _tests(pool: Pool, attack: Attack, _: Judges) -> tuple[Outcome, str]:
    passed, outcome = tests_verdict(pool, attack.code)
    return outcome, "judged right" if passed else ""


def tests_verdict(pool: Pool, code: str) -> tuple[bool, Outcome]:
    """Whether a program is judged right about `task_func`."""
    canaries = tuple(f"test_{secrets.token_hex(8)}" for _ in range(CANARIES))
    program = Tests(code=code, test=hostile.TESTS, canaries=canaries)
    outcome = pool.submit(Job(key="tests", image="core", program=program, wall_s=WALL_S)).result()
    return read_tests(hostile.TEST_NAMES, canaries, outcome).passed, outcome


def _machine(pool: Pool, attack: Attack, _: Judges) -> tuple[Outcome, str]:
    """Run `entry()`; what it managed to do and must not."""
    entry = hostile_machine.MACHINE_ENTRY_POINT
    program = Calls(code=attack.code, entry_point=entry, inputs=("[]",), call_s=(MACHINE_S,), digest=(False,))
    outcome = pool.submit(Job(key=attack.name, image="core", program=program, wall_s=MACHINE_S)).result()
    texts = [line.partition(b" ")[2].decode("ascii", "replace") for line in outcome.lines if line[:1] == b"="]
    if not texts:
        return outcome, "" if attack is not hostile_machine.WITNESS else f"nothing, for it ended '{outcome.ended}'"
    report = judging.decode(texts[0])
    if not isinstance(report, dict):
        return outcome, "" if attack is not hostile_machine.WITNESS else "no report"
    breaches = attack.breaches({str(k): v for k, v in report.items()})
    return outcome, ", ".join(breaches)
