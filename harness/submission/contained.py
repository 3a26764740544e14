"""Files of strangers are decoded in a process of their own: what runs out of memory or time, or crashes, ends alone."""

from __future__ import annotations

import json
import os
import pickle
import resource
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from assay.harness.submission.claims import CHANGED, Claim
from assay.harness.submission.findings import Finding, from_json
from assay.tasks.registry import Registry

MEMORY = 4 << 30
"""Bytes that the process may have beside its code. A real run of 57 tasks takes a quarter of it."""
SECONDS = 300
"""Of processor time for one task."""


def examined(claims: Sequence[Claim], registry: Registry) -> list[Finding]:
    """What is found of each claim, in order. A claim that ends its process is a fault, and the rest goes on without it.

    Raises:
        RuntimeError: the process does not even begin; has its last words.
    """
    found: list[Finding] = []
    while claims:
        done = subprocess.run(
            # -P: never a module of a stranger's, from the folder we stand in
            [sys.executable, "-P", "-m", "assay.harness.submission.contained"],
            input=pickle.dumps((list(claims), registry)),
            capture_output=True,
            env={**os.environ, "ASSAY_OFFLINE": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"},
            check=False,
        )
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.endswith(b"}")]
        begun = sum("begun" in line for line in lines)
        found += [from_json(line) for line in lines if "begun" not in line]
        if done.returncode == 0:
            return found
        if not begun:
            raise RuntimeError(f"validation does not start: {done.stderr.decode(errors='replace')[-500:]}")
        what = f"reading it takes more than {MEMORY >> 30} GiB or {SECONDS} s, or crashes the reader"
        found.append(claims[begun - 1].says("fail", what, CHANGED))
        claims = claims[begun:]
    return found


def main() -> None:
    """In the process: claims from standard input, a line of JSON a finding to standard output."""
    from assay.harness.submission.examining import examine  # SciPy and Arrow, which the caller need not wait for

    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no finding
    claims, registry = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own parent
    _limit(resource.RLIMIT_DATA, MEMORY)
    for claim in claims:
        spent = resource.getrusage(resource.RUSAGE_SELF)
        _limit(resource.RLIMIT_CPU, int(spent.ru_utime + spent.ru_stime) + SECONDS)
        _say(out, {"begun": claim.where})
        for finding in examine(claim, registry):
            _say(out, asdict(finding))


def _limit(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _say(out: Any, value: object) -> None:
    out.write(json.dumps(value) + "\n")


if __name__ == "__main__":
    main()
