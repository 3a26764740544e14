"""A folder as a user's repository looks that gates: runs, a promoted baseline, a gate.yaml."""

import os
import subprocess

from tests.conftest import ASSAY

GATE = """\
version: 1
suite: demo
defaults: {tier: block, min_effect: 0.1}
composites:
  demo_centred: {tier: block, min_effect: 0.1}
"""
RUNS = {"good": "oracle", "bad": "corrupted:0.6"}


def build(folder):
    """The run `good` is the baseline `main`; `bad` gets 3 answers of 5 wrong."""
    env = {**os.environ, "ASSAY_CACHE": str(folder / "cache"), "ASSAY_OFFLINE": "1"}
    commands = [["run", "demo", "--model", model, "--name", name] for name, model in RUNS.items()]
    commands.append(["baseline", "promote", "good", "--as", "main", "--reason", "all right", "--by", "Ada", "--yes"])
    for command in commands:
        done = subprocess.run([ASSAY, *command], cwd=folder, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    (folder / "gate.yaml").write_text(GATE)
    return folder
