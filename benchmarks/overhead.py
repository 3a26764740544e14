"""What a sample costs besides the model: `python benchmarks/overhead.py 'hf:CHECKPOINTS' [LIMIT]`.

Measures CORE on a checkpoint series and splits each task's wall time as the runner's clock does: rendering (prompt,
tokens, request hash), the model, and everything else (data, few-shot draws, journal with fsync, scoring, intervals,
Parquet). Process start and loading of weights are not a sample's cost. Prints milliseconds a sample.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from assay.harness import store


def main() -> None:
    """Run, read the records, print."""
    models, limit = sys.argv[1], (sys.argv[2:] or ["64"])[0]
    folder = Path(tempfile.mkdtemp(prefix="assay-overhead-"))
    assay = Path(sys.executable).with_name("assay")
    command = [str(assay), "run", "dclm-core", "--model", models, "--limit", limit, "--offline", "--store", str(folder)]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    print(f"{'checkpoint':24} {'samples':>8} {'render':>8} {'other':>8} {'model':>9}   ms a sample")
    total = [0.0, 0.0, 0]
    for path in store.list_runs(folder):
        run = store.read_run(path)
        results = [r for r in run.results.values() if r.value is not None]
        n = sum(r.n for r in results)
        if not n:
            sys.exit("no task had data: set ASSAY_DATA, or assay data fetch dclm-core")
        spent = {k: sum(r.wall_s[k] for r in results) for k in ("render", "other", "model")}
        total = [total[0] + spent["render"], total[1] + spent["other"], total[2] + n]
        cells = [f"{spent[k] / n * 1e3:8.3f}" for k in ("render", "other", "model")]
        print(f"{run.plan.checkpoint.label:24} {n:8} {cells[0]} {cells[1]} {cells[2]:>9}")
    print(f"not the model, all checkpoints: {(total[0] + total[1]) / total[2] * 1e3:.3f} ms a sample")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
