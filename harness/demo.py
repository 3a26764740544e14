"""`assay demo`: train a toy series, measure it, show that later checkpoints are better."""

from __future__ import annotations

from pathlib import Path

import click

from assay.harness import commands
from assay.harness.backends import toy


def main(folder: Path) -> None:
    """Train, measure, print the table and what to type next."""
    bar = commands.Bar("training")
    click.echo(
        f"training three toy checkpoints in {folder} (half a minute on two cores; kept for the next time)", err=True
    )
    paths = toy.train(folder / "checkpoints", lambda done, total: bar("3 checkpoints", done, total))
    bar.close()
    models = f"hf:{folder}/checkpoints/step-*"
    options = {
        "docs": None,
        "limit": None,
        "tasks_dirs": (),
        "name": None,
        "batch_size": "auto",
        "device": "cpu",
        "dtype": "float32",
        "offline": True,
        "store": folder / "runs",
        "fresh": False,
        "yes": False,
    }
    commands.run(["demo"], [models], options)
    store = f"--store {folder}/runs"
    click.echo(
        f"""
Later checkpoints score better. Next:
  assay show latest {store}                            one checkpoint's numbers, with intervals
  assay samples latest demo_sums --wrong {store}       what the last one still gets wrong
  assay preview demo_sums --model hf:{paths[-1]}  the exact prompt and token ids
  assay run dclm-core --model hf:YOUR_CHECKPOINT --limit 64     your own
(assay lives in .venv/bin: run 'source .venv/bin/activate' first)"""
    )
