"""Inside bigcodebench's image: its own checker over rows, with its own defaults; run by benchmarks/sandbox.py."""

import json
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, "/their")
from bigcodebench.eval import untrusted_check

GIB = 1024


def check(row):
    """The status that `check_correctness` would give: limits as `evaluate` sets them."""
    return untrusted_check(row["program"], row["test"], row["entry_point"], 30 * GIB, 30 * GIB, 10, 1, 20)[0]


if __name__ == "__main__":
    rows = json.loads(Path("/their/rows.json").read_text())
    with ProcessPoolExecutor(int(sys.argv[1])) as pool:
        statuses = list(pool.map(check, rows))
    print(
        json.dumps(
            {"passed": statuses.count("pass"), "failed": [r["task_id"] for r, s in zip(rows, statuses) if s != "pass"]}
        )
    )
