"""Verdicts on one run of an answer: outputs against what they must be, and reports of unit tests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assay.harness.judging import Judges, Tripped
from assay.sandbox.types import Calls, Job, Outcome
from assay.tasks.code import judge
from assay.tasks.types import Status

STATUS: Mapping[str, Status] = {
    "timeout": "timeout",
    "memory": "memory",
    "crash": "crash",
    "output_limit": "output_limit",
}
"""How a program's end reads in the records; any other end is an answer, right or wrong."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one run of an answer came to."""

    passed: bool
    status: Status = "ok"
    note: str = ""


@dataclass(frozen=True, slots=True)
class Want:
    """What one call must return.

    Attributes:
        text: the canonical output as it would come back: `=TEXT`, or `#SHA256` where only that can be right.
        decisive: nothing but equality makes an output right, so that a digest may stand for it.
        alone: equal text proves it right, without asking the benchmark's rule.
        atol: tolerance at this input. micros: what the canonical solution took.
    """

    text: str
    decisive: bool
    alone: bool
    atol: float
    micros: int


class Phase:
    """One program against the inputs of one phase: judged line by line as the outputs come, stopped at the first wrong.

    Args:
        inputs: encoded arguments of each call.
        wants: what each must return.
    """

    def __init__(
        self, dataset: judge.Dataset, entry_point: str, inputs: Sequence[str], wants: Sequence[Want], judges: Judges
    ) -> None:
        self._dataset, self._entry_point, self._inputs = dataset, entry_point, inputs
        self._wants, self._judges = wants, judges
        self._reset()

    def _reset(self) -> None:
        self._done, self._wrong = 0, ""

    @property
    def calls(self) -> int:
        """How many there are; MBPP/793 has no plus inputs."""
        return len(self._wants)

    @property
    def expect_s(self) -> float:
        """What the canonical solution took."""
        return sum(w.micros for w in self._wants) / 1e6

    def job(self, key: str, program: str, expect_s: float) -> Job:
        """The sandbox's part of it (limits as evalplus's `untrusted_check` has them)."""
        limits = judge.call_limits([w.micros / 1e6 for w in self._wants])
        calls = Calls(
            code=program,
            entry_point=self._entry_point,
            inputs=tuple(self._inputs),
            call_s=tuple(limits),
            digest=tuple(w.decisive for w in self._wants),
        )
        wall_s = judge.task_limit(limits)
        return Job(
            key=key,
            image="core",
            program=calls,
            wall_s=wall_s,
            expect_s=expect_s,
            watch=self.take,
            begin=self._reset,
        )

    def take(self, line: bytes) -> bool:
        """Judge one line of the report; False when the program need not go on."""
        if line[:1] not in (b"=", b"#"):
            return True
        if self._done >= len(self._wants):
            self._wrong = "returned more often than it was called"
            return False
        at, self._done = self._done, self._done + 1
        want = self._wants[at]
        got = line[:1].decode() + line.partition(b" ")[2].decode("ascii", "replace")
        got = got[:65] if got[0] == "#" else got
        if got == want.text and want.alone:
            return True
        if want.text[0] == "#" or got[0] == "#":
            self._wrong = f"input {at}: another large value than expected"
        else:
            self._wrong = self._ask(at, got[1:], want)
        return not self._wrong

    def _ask(self, at: int, got: str, want: Want) -> str:
        try:
            question = (self._dataset, self._entry_point, self._inputs[at], got, want.text[1:], want.atol)
            right, note = self._judges.ask("compare", *question)
        except Tripped as error:
            right, note = False, f"its output was {error}"
        return "" if right else f"input {at}: {note}"

    def verdict(self, name: str, outcome: Outcome) -> Verdict:
        """What it came to, once the program has ended."""
        if self._wrong:
            return Verdict(False, "ok", f"{name} {self._wrong}")
        if outcome.ended == "ok" and self._done == len(self._wants):
            return Verdict(True)
        return Verdict(False, STATUS.get(outcome.ended, "ok"), f"{name} input {self._done}: {outcome.note}")


def starved(outcome: Outcome) -> bool:
    """Its time ran out, yet it had a processor for less than half of it: a busy machine, or a sleeping program."""
    return outcome.ended == "timeout" and outcome.cpu_s < 0.5 * outcome.wall_s


def read_tests(names: Sequence[str], canaries: Sequence[str], outcome: Outcome) -> Verdict:
    """Whether every test of `names` ran and succeeded, in a process whose `unittest` was sound.

    Upstream passes what has no failure and no error; here a test that was skipped or did not report fails too (PARITY
    D 31), and a canary that did not fail, or machinery that was touched, is `tampered`.
    """
    if outcome.ended in STATUS:
        return Verdict(False, STATUS[outcome.ended], outcome.note)
    started, passed, bad, touched, end = _events(outcome.lines)
    broken = [c for c in canaries if c in passed or (c in started and bad.get(c, ("", ""))[0] != "failure")]
    if outcome.ended == "exception" and not touched and not broken:
        return Verdict(False, "ok", outcome.note)
    if touched or broken:
        what = touched or "a canary passed: assertions do not assert"
        return Verdict(False, "tampered", f"the test machinery was changed: {what}"[:500])
    if end != set(canaries) or not started.issuperset(canaries):
        return Verdict(False, "tampered", "the report does not end as our runner ends it")
    for name, (how, trace) in bad.items():
        if name not in canaries:
            return Verdict(False, "ok", f"{name}: {how}: {trace}"[:500])
    silent = [n for n in names if n not in passed]
    if silent:
        return Verdict(False, "tampered", f"{silent[0]} did not report success")
    return Verdict(True)


def _events(
    lines: Sequence[bytes],
) -> tuple[set[str], set[str], dict[str, tuple[str, str]], str, set[str]]:
    """The report of `cell.suite`: started, succeeded, failed and how, what was touched, the canaries at its end."""
    started: set[str] = set()
    passed: set[str] = set()
    bad: dict[str, tuple[str, str]] = {}
    touched, end = "", set()
    for line in lines:
        mark, text = line[:1], line[1:].decode("ascii", "replace")
        if mark == b">":
            started.add(text)
        elif mark == b"+":
            passed.add(text)
        elif mark == b".":
            end = set(text.split())
        elif mark in (b"-", b"~"):
            try:
                told = json.loads(text)
            except (ValueError, RecursionError):
                told = None
            if mark == b"~":
                touched = touched or str(told)[:200]
            elif isinstance(told, list) and len(told) == 3:
                bad.setdefault(str(told[0]), (str(told[1]), str(told[2])))
    return started, passed, bad, touched, end
