"""How long the sandbox takes, against the owners' own checkers without one. Ratios within one run, alternating.

    python benchmarks/sandbox.py OUT.json humaneval [--rounds 3]     evalplus's checking on the host
    python benchmarks/sandbox.py OUT.json bigcodebench [--problems N] its own checker in the same image, as many workers
    python benchmarks/sandbox.py OUT.json growth                      cost against samples and cells

Needs $ASSAY_DATA, $ASSAY_REFERENCE for real samples, a Docker engine with the images, and for bigcodebench its wheel,
which is fetched with pip and never installed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from assay.harness.grading import Grading
from assay.sandbox import build, docker
from assay.sandbox.pool import default_cells, open_pool
from assay.sandbox.types import Calls, Job
from assay.tasks import datasets
from assay.tasks.registry import open_registry
from assay.tasks.types import Generation

CELLS = {"humaneval": default_cells("core"), "bigcodebench": default_cells("bigcodebench")}
WORKERS = {"humaneval": os.cpu_count(), "bigcodebench": CELLS["bigcodebench"]}
"""Theirs: evalplus gets one a core (its own default is half of that), bigcodebench as many as we."""
SAMPLES = "samples/qwen2.5-coder-1.5b-base/humaneval_plus_generated.jsonl.gz"


def alternating(rounds: int, ours: Callable[[], float], theirs: Callable[[], float]) -> dict[str, Any]:
    """Medians of both, and their ratio."""
    times: dict[str, list[float]] = {"ours_s": [], "theirs_s": []}
    for n in range(rounds):
        pairs = [("ours_s", ours), ("theirs_s", theirs)]
        for name, action in pairs if n % 2 else pairs[::-1]:
            times[name].append(action())
            print(f"  round {n}: {name} {times[name][-1]:.1f}", flush=True)
    ratio = statistics.median(times["ours_s"]) / statistics.median(times["theirs_s"])
    return {**times, "ratio_of_medians": round(ratio, 3)}


def humaneval(rounds: int) -> dict[str, Any]:
    """Checking alone, from the start of workers or cells to the last verdict; ground truth known, limits the same."""
    spec = open_registry().tasks["humaneval_plus"]
    loaded = datasets.load(spec)
    part = datasets.parts(spec, loaded.rows)[0]
    problems = {s.doc_id: s for s in datasets.samples(spec, part, 0, len(part.rows))}
    canonical = {d: s.fields["prompt"] + s.fields["canonical_solution"] for d, s in problems.items()}
    published = gzip.decompress((Path(os.environ["ASSAY_REFERENCE"]) / SAMPLES).read_bytes()).decode().splitlines()
    real = {s["task_id"]: problems[s["task_id"]].fields["prompt"] + s["completion"] for s in map(json.loads, published)}
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "data.jsonl").write_text("".join(json.dumps(dict(r)) + "\n" for r in loaded.rows))
        env = {**os.environ, "HUMANEVAL_OVERRIDE_PATH": str(folder / "data.jsonl"), "XDG_CACHE_HOME": scratch}
        for name, programs in (("canonical", canonical), ("real", real)):
            samples = folder / f"{name}.jsonl"
            lines = [json.dumps({"task_id": d, "solution": p}) + "\n" for d, p in programs.items()]
            samples.write_text("".join(lines))
            passed: dict[str, int] = {}

            def ours(programs: dict[str, str] = programs, passed: dict[str, int] = passed) -> float:
                begun = time.perf_counter()
                with Grading(cells=CELLS["humaneval"]) as grading:
                    grader = grading.open(spec, loaded)
                    grader.learn(list(programs))
                    answers = [
                        grader.submit(problems[d], Generation(text=p, stopped=True, tokens=0, form="program"))
                        for d, p in programs.items()
                    ]
                    passed["ours"] = sum(f.result().value == 1.0 for f in answers)
                    took = time.perf_counter() - begun
                    grader.close()
                return took

            def theirs(samples: Path = samples, passed: dict[str, int] = passed) -> float:
                local = Path(__file__).parent / "rivals/evalplus_local.py"
                said = json.loads(run([sys.executable, local, samples, WORKERS["humaneval"]], env).splitlines()[-1])
                passed["theirs"] = said["passed"]
                return float(said["checking_s"])

            ours(), theirs()  # ground truth
            found[name] = {**alternating(rounds, ours, theirs), "passed": passed}
    return found


def run(command: list[Any], env: dict[str, str]) -> str:
    """What a command that must succeed prints."""
    done = subprocess.run([str(c) for c in command], env=env, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def bigcodebench(problems: int, rounds: int) -> dict[str, Any]:
    """Canonical solutions, calibrated: ours in cells, theirs by its own `untrusted_check` in the same image."""
    spec = open_registry().tasks["bigcodebench_complete"]
    loaded = datasets.load(spec)
    part = datasets.parts(spec, loaded.rows)[0]
    chosen = list(datasets.samples(spec, part, 0, len(part.rows)))[:: max(1, len(part.rows) // problems)]
    answers = [(s, Generation(text=s.target[0], stopped=True, tokens=0, form="program")) for s in chosen]
    passed: dict[str, int] = {}

    def ours() -> float:
        begun = time.perf_counter()
        with Grading(cells=CELLS["bigcodebench"]) as grading:
            grader = grading.open(spec, loaded)
            grader.learn([s.doc_id for s in chosen])
            scores = [f.result() for f in [grader.submit(s, a) for s, a in answers]]
            took = time.perf_counter() - begun
            grader.close()
        passed["ours"] = sum(s.value == 1.0 for s in scores)
        return took

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        wheel = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", folder, "bigcodebench==0.2.5"]
        run(wheel, dict(os.environ))
        zipfile.ZipFile(next(folder.glob("*.whl"))).extractall(folder)
        here = Path(__file__).parent / "rivals/bigcodebench_local.py"
        (folder / "local.py").write_text(here.read_text())
        rows = [{**s.fields, "program": f"{s.fields['code_prompt']}\n    pass\n{s.target[0]}"} for s in chosen]
        (folder / "rows.json").write_text(json.dumps(rows))
        image = build.find(docker.connect(), "bigcodebench").digest
        command = ["docker", "run", "--rm", "--network", "none", "-v", f"{folder}:/their:ro", "--shm-size", "1g"]
        command += ["-e", "MPLCONFIGDIR=/tmp", image, "python3", "/their/local.py", str(WORKERS["bigcodebench"])]

        def theirs() -> float:
            begun = time.perf_counter()
            passed["theirs"] = json.loads(run(command, dict(os.environ)).splitlines()[-1])["passed"]
            return time.perf_counter() - begun

        with Grading(cells=CELLS["bigcodebench"]) as grading:  # ground truth, which theirs is spared as well
            grader = grading.open(spec, loaded)
            grader.learn([s.doc_id for s in chosen])
            grader.failing()
            grader.close()
        found = alternating(rounds, ours, theirs)
    return {**found, "problems": len(chosen), "passed": passed}


def growth() -> dict[str, Any]:
    """Milliseconds a trivial program, against how many there are and how many cells run them."""

    def job(i: int) -> Job:
        calls = Calls(code="def f(x): return x", entry_point="f", inputs=("[1]",), call_s=(4.0,), digest=(False,))
        return Job(key=str(i), image="core", program=calls, wall_s=5)

    rows = []
    for cells, programs in ((1, 100), (1, 1000), (1, 10_000), (2, 1000), (2, 10_000), (4, 1000), (4, 10_000)):
        with open_pool("core", cells=cells) as pool:
            list(pool.run(map(job, range(20))))
            begun = time.perf_counter()
            list(pool.run(map(job, range(programs))))
            took = time.perf_counter() - begun
        rows.append({"cells": cells, "programs": programs, "ms_each": round(took / programs * 1000, 2)})
        print(rows[-1], flush=True)
    return {"trivial": rows}


def main() -> None:
    """Measure one thing and add it to the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("what", choices=["humaneval", "bigcodebench", "growth"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--problems", type=int, default=1140)
    options = parser.parse_args()
    if options.what == "humaneval":
        found = humaneval(options.rounds)
    else:
        found = bigcodebench(options.problems, options.rounds) if options.what == "bigcodebench" else growth()
    measured = json.loads(options.out.read_text()) if options.out.is_file() else {}
    about = {"date": time.strftime("%Y-%m-%d"), "cores": os.cpu_count(), "cells": CELLS, "their_workers": WORKERS}
    measured[options.what] = about | found
    options.out.write_text(json.dumps(measured, indent=1) + "\n")
    print(json.dumps(measured[options.what], indent=1))


if __name__ == "__main__":
    main()
