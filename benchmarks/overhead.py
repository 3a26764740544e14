"""What a sample costs besides the model, from the records of a finished series of runs.

    assay run dclm-core --model 'hf:CHECKPOINTS/step-*' --limit 64 --store /tmp/cost
    python benchmarks/overhead.py /tmp/cost

Every task's record splits its wall time: rendering (prompt, token ids, request hash), the model, and everything else
(data, few-shot draws, journal with fsync, scoring, intervals). Process start, and loading tokenizer and weights, are
not a sample's cost; the records keep the latter apart. Prints milliseconds a sample.
"""

import sys
from pathlib import Path

from assay.harness import store


def main() -> None:
    """Read the records, print the table."""
    print(f"{'checkpoint':24} {'samples':>8} {'render':>8} {'other':>8} {'model':>9}   ms a sample")
    spent_in_all, samples_in_all = 0.0, 0
    for path in store.list_runs(Path(sys.argv[1])):
        run = store.read_run(path)
        results = [r for r in run.results.values() if r.value is not None]
        n = sum(r.n for r in results)
        if not n:
            sys.exit(f"{path}: no task has a score: set ASSAY_DATA, or assay data fetch dclm-core")
        spent = {part: sum(r.wall_s[part] for r in results) for part in ("render", "other", "model")}
        spent_in_all += spent["render"] + spent["other"]
        samples_in_all += n
        cells = " ".join(f"{spent[part] / n * 1e3:8.3f}" for part in ("render", "other"))
        print(f"{run.plan.checkpoint.label:24} {n:8} {cells} {spent['model'] / n * 1e3:9.3f}")
    print(f"besides the model, over all checkpoints: {spent_in_all / samples_in_all * 1e3:.3f} ms a sample")


if __name__ == "__main__":
    main()
