"""10,000 programs through one pool, a third of them hostile: nothing leaks, and it is as fast at the end as at first.

    python benchmarks/endurance.py OUT.json [--programs 10000]

Needs a Docker engine with the core image. Every honest program's answer is checked.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import time
from pathlib import Path
from typing import Any

import psutil

from assay.harness import conformance
from assay.harness.judging import Judges
from assay.sandbox import docker, hostile, hostile_calls, hostile_machine
from assay.sandbox.cell import values
from assay.sandbox.pool import open_pool
from assay.sandbox.types import Calls, Job

HOSTILE_S = 1.0
SEED = 1


def honest(number: int) -> Job:
    """A program whose answer is known: its own number's square."""
    calls = Calls(
        code=f"def f(x): return [x * x + {number}] * 3",
        entry_point="f",
        inputs=tuple(values.encode([i]) for i in range(20)),
        call_s=(4.0,) * 20,
        digest=(True,) * 20,
    )
    return Job(key=f"honest {number}", image="core", program=calls, wall_s=30)


def evil(number: int, rng: random.Random) -> Job:
    """One of the corpus, with little time."""
    attack = rng.choice([*hostile_calls.ATTACKS, *hostile_machine.ATTACKS])
    machine = attack.kind == "machine"
    calls = Calls(
        code=attack.code,
        entry_point=hostile_machine.MACHINE_ENTRY_POINT if machine else hostile.ENTRY_POINT,
        inputs=("[]",) if machine else tuple(values.encode(list(i)) for i in hostile.INPUTS),
        call_s=(HOSTILE_S,) * (1 if machine else len(hostile.INPUTS)),
        digest=(False,) * (1 if machine else len(hostile.INPUTS)),
    )
    return Job(key=f"{attack.name} {number}", image="core", program=calls, wall_s=HOSTILE_S)


def held(client: Any) -> dict[str, Any]:
    """What this process and the engine hold now."""
    me = psutil.Process()
    return {
        "descriptors": me.num_fds(),
        "threads": me.num_threads(),
        "rss_mib": round(me.memory_info().rss / 2**20, 1),
        "children": len(me.children(recursive=True)),
        "cells": len([who for _, who in docker.cells(client) if who == docker.owner()]),
        "host_processes": len(psutil.pids()),
    }


def main() -> None:
    """Run them all; fail when an honest answer is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--programs", type=int, default=10_000)
    options = parser.parse_args()
    rng = random.Random(SEED)  # noqa: S311 - which attack comes next
    jobs = [evil(n, rng) if n % 3 == 0 else honest(n) for n in range(options.programs)]
    judges, client = Judges(), docker.connect()
    before, begun, took, wrong, ended = held(client), time.perf_counter(), [], [], {}
    with open_pool("core") as pool:
        during = []
        for n, outcome in enumerate(pool.run(jobs)):
            ended[outcome.ended] = ended.get(outcome.ended, 0) + 1
            if outcome.key.startswith("honest"):
                number = int(outcome.key.split()[1])
                want = [f"[{','.join([str(i * i + number)] * 3)}]" for i in range(20)]
                got = [line.partition(b" ")[2].decode() for line in outcome.lines if line[:1] == b"="]
                wrong += [outcome.key] if got != want else []
                took.append(outcome.wall_s)
            if n % (options.programs // 10) == 0:
                during.append({"programs": n, "s": round(time.perf_counter() - begun, 1), **held(client)})
                print(during[-1], flush=True)
        passes = conformance.calls_verdict(pool, hostile.RIGHT_CALLS, True, judges)[0]
    judges.close()
    tenth = len(took) // 10
    found = {
        "date": time.strftime("%Y-%m-%d"),
        "cores": os.cpu_count(),
        "programs": options.programs,
        "seconds": round(time.perf_counter() - begun, 1),
        "ended": ended,
        "honest_wrong": wrong,
        "an_honest_judge_still_passes": passes,
        "honest_ms_first_tenth": round(statistics.median(took[:tenth]) * 1000, 2),
        "honest_ms_last_tenth": round(statistics.median(took[-tenth:]) * 1000, 2),
        "before": before,
        "during": during,
        "after": held(client),
    }
    options.out.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps({k: v for k, v in found.items() if k != "during"}, indent=1))
    if wrong or not passes:
        raise SystemExit("an honest program was judged wrong")


if __name__ == "__main__":
    main()
