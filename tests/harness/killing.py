"""Kill runs with SIGKILL at random moments, resume them, compare with an undisturbed run. Also a script:

python tests/harness/killing.py 200
"""

import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from assay.harness import store
from assay.tasks.datasets import git_blob

ASSAY = Path(sys.executable).with_name("assay")
ROWS = 1200
MODEL = "random:5"


def write_specs(folder):
    """Four tasks, one a kind, of our own rows."""
    folder.mkdir(parents=True)
    rows = {
        "language_modeling": [{"context": f"{i} and", "continuation": f"{i + 1}"} for i in range(ROWS)],
        "multiple_choice": [{"query": f"{i}?", "choices": ["a", "b", "c"], "gold": i % 3} for i in range(ROWS)],
        "schema": [
            {"context_options": [f"x {i}", f"y {i}"], "continuation": "it is.", "gold": i % 2} for i in range(ROWS)
        ],
        "generation": [{"context": f"{i} + 1 =", "answer": str(i + 1)} for i in range(ROWS)],
    }
    tasks = []
    for kind, found in rows.items():
        content = "".join(json.dumps(r) + "\n" for r in found).encode()
        (folder / f"{kind}.jsonl").write_bytes(content)
        data = {"path": f"{kind}.jsonl", "git_blob": git_blob(content), "rows": ROWS}
        baseline = {"v1": 0, "v2": 0, "reason": "made up"}
        tasks.append(
            {"name": f"kill_{kind}", "kind": kind, "skill": "test", "shots": 3, "baseline": baseline, "data": data}
            | {"licence": "ours"}
        )
    (folder / "kill.yaml").write_text(json.dumps({"tasks": tasks}))


def start(folder, name):
    """The run's process."""
    command = [ASSAY, "run", "kill_*", "--model", MODEL, "--tasks-dir", folder / "specs", "--store", folder / "runs"]
    command += ["--offline", "--name", name]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(folder, name):
    """Let the run end by itself; its records without times."""
    process = start(folder, name)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors.decode()
    run = store.read_run(folder / "runs" / name)
    assert run.complete
    tables = {}
    for path in sorted((run.path / "samples").iterdir()):
        table = pq.read_table(path).drop_columns(["wall_s"])
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
        tables[path.name] = sink.getvalue().to_pybytes()
    results = json.loads((run.path / "results.json").read_text())
    del results["sha256"]  # it covers the times too
    for task in results["tasks"].values():
        del task["wall_s"], task["samples_sha256"]
    return tables, json.dumps(results, sort_keys=True)


def kill_and_compare(folder, times, seed):
    """Returns how many kills met a live run, and how many runs they needed."""
    rng = random.Random(seed)
    write_specs(folder / "specs")
    begun = time.monotonic()
    wanted = finish(folder, "undisturbed")
    whole = time.monotonic() - begun
    kills, runs = 0, 0
    while kills < times:
        name, runs = f"killed-{runs}", runs + 1
        for _ in range(rng.randint(1, 4)):
            process = start(folder, name)
            try:
                process.communicate(timeout=rng.uniform(0.3, 1.0) * whole)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
                kills += 1
        assert finish(folder, name) == wanted, f"run {name} differs after a kill (seed {seed})"
    return kills, runs


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        done, needed = kill_and_compare(Path(scratch), int(sys.argv[1]), seed=1)
        sys.stdout.write(f"{done} kills in {needed} runs: every resumed run equals the undisturbed one\n")
