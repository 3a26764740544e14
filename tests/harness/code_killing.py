"""Kill cells and runs with SIGKILL at random moments, resume, compare the verdicts with an undisturbed run's.

python tests/harness/code_killing.py 50
"""

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from docker.errors import DockerException

from assay.harness import store
from assay.sandbox import docker
from assay.tasks import datasets, registry

ASSAY = Path(sys.executable).with_name("assay")
TASK, PROBLEMS = "mbpp_plus", 60
ENDS = ("", "", "", "    return None\n", "    import os; os._exit(0)\n", "    raise ValueError\n")


def write_samples(path):
    """Right programs, and now and then one that is wrong, dies or raises."""
    rows = datasets.load(registry.open_registry().tasks[TASK]).rows[:PROBLEMS]
    lines = []
    for i, row in enumerate(rows):
        spoilt = f"\ndef {row['entry_point']}(*args):\n{ENDS[i % len(ENDS)]}" if ENDS[i % len(ENDS)] else ""
        lines.append({"task_id": row["task_id"], "solution": row["prompt"] + row["canonical_solution"] + spoilt})
    path.write_bytes(gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode()))


def start(folder, name):
    """The run's process."""
    command = [ASSAY, "run", TASK, "--model", f"replay:{folder}/samples.jsonl.gz", "--store", folder / "runs"]
    command += ["--offline", "--name", name, "--cells", "2"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(folder, name):
    """Let the run end by itself, again where a cell was killed under it too often; its verdicts."""
    for _ in range(3):
        process = start(folder, name)
        _, errors = process.communicate(timeout=300)
        if process.returncode == 0:
            break
    assert process.returncode == 0, errors.decode()
    run = store.read_run(folder / "runs" / name)
    assert run.complete
    keep = ("doc_id", "draw", "response", "program", "score", "status", "note", "parts")
    found = [{k: row[k] for k in keep} for row in run.samples(TASK).to_pylist()]
    result = run.results[TASK]
    return found, (result.value, result.n, result.status, result.metrics, result.counts, result.fingerprint)


def kill_one_cell(client, pid, rng):
    """Kill a cell of that process; whether there was one."""
    cells = [c for c, who in docker.cells(client) if who.split("/")[1] == str(pid)]
    if not cells:
        return 0
    try:
        client.api.kill(rng.choice(cells))
    except DockerException:
        return 0  # it had just ended
    return 1


def kill_and_compare(folder, times, seed):
    """Returns how many cells and how many runs were killed, and how many runs that needed."""
    rng = random.Random(seed)
    write_samples(folder / "samples.jsonl.gz")
    client = docker.connect()
    finish(folder, "warm")  # finds the ground truth
    begun = time.monotonic()
    wanted = finish(folder, "undisturbed")
    whole = time.monotonic() - begun
    cells, kills, runs = 0, 0, 0
    while cells + kills < times:
        name, runs = f"killed-{runs}", runs + 1
        for _ in range(rng.randint(1, 3)):
            process = start(folder, name)
            for pause in (rng.uniform(0.3, 0.7), rng.uniform(0.0, 0.3)):
                time.sleep(pause * whole)
                cells += kill_one_cell(client, process.pid, rng)
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                kills += 1
            process.communicate()
        assert finish(folder, name) == wanted, f"run {name} differs after a kill (seed {seed})"
    deadline = time.monotonic() + 60
    while left := [who for _, who in docker.cells(client) if not Path("/proc", who.split("/")[1]).exists()]:
        assert time.monotonic() < deadline, f"cells of dead runs are left: {left}"
        docker.sweep(client)
        time.sleep(0.1)
    client.close()
    return cells, kills, runs


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["ASSAY_CACHE"] = f"{scratch}/cache"
        killed, stopped, needed = kill_and_compare(Path(scratch), int(sys.argv[1]), seed=1)
        sys.stdout.write(
            f"{killed} cells and {stopped} runs killed in {needed} runs: every verdict equals the undisturbed one's\n"
        )
