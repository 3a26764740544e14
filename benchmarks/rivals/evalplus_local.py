"""evalplus's own checking of a sample file, as `evaluate` does it; prints the seconds. Run by benchmarks/sandbox.py.

`evaluate` itself can't be timed: it always waits for a thread of its own that sleeps in steps of 20 seconds.
"""

import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from evalplus.data import get_human_eval_plus, get_human_eval_plus_hash
from evalplus.evaluate import check_correctness, get_groundtruth

LIMIT_S = 4.0


def main(samples: str, workers: str) -> None:
    """Check every sample; the ground truth is read from its cache, outside of the clock."""
    problems = get_human_eval_plus()
    expected = get_groundtruth(problems, get_human_eval_plus_hash(), [])
    rows = [json.loads(line) for line in Path(samples).read_text().splitlines()]
    begun = time.perf_counter()
    with ProcessPoolExecutor(max_workers=int(workers)) as pool:
        futures = [
            pool.submit(
                check_correctness,
                "humaneval",
                0,
                problems[r["task_id"]],
                r["solution"],
                expected[r["task_id"]],
                False,
                True,
                r["task_id"],
                LIMIT_S,
            )
            for r in rows
        ]
        found = [f.result() for f in futures]
    took = time.perf_counter() - begun
    passed = sum(f["base"][0] == "pass" and f["plus"][0] == "pass" for f in found)
    print(json.dumps({"checking_s": took, "passed": passed}))


if __name__ == "__main__":
    main(*sys.argv[1:])
