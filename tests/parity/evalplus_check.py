"""evalplus's own checker on a file of samples, in processes of its own:

python tests/parity/evalplus_check.py ROWS.jsonl.gz SAMPLES.json OUT.json
"""

import gzip
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path


def check(problem, solution):
    """Statuses of base and plus, as `evalplus.evaluate` finds them with the recorded run's least limit of 4 s."""
    from evalplus.evaluate import check_correctness
    from evalplus.gen.util import trusted_exec

    expected, code = {}, problem["prompt"] + problem["canonical_solution"]
    for phase in ("base", "plus"):
        found = trusted_exec(code, problem[f"{phase}_input"], problem["entry_point"], record_time=True)
        expected[phase], expected[f"{phase}_time"] = found
    result = check_correctness("humaneval", 0, problem, solution, expected, fast_check=True, min_time_limit=4)
    return {phase: result[phase][0] == "pass" for phase in ("base", "plus")}


def main(rows, samples, out):
    """Check every sample, two at a time."""
    sys.set_int_max_str_digits(0)
    with gzip.open(rows, "rt", encoding="utf-8") as lines:
        problems = {row["task_id"]: row for row in map(json.loads, lines)}
    solutions = json.loads(Path(samples).read_text())
    with ProcessPoolExecutor(2) as workers:
        found = {d: workers.submit(check, problems[d], text) for d, text in solutions.items()}
        Path(out).write_text(json.dumps({d: f.result() for d, f in found.items()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
