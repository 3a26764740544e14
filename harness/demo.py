"""`assay demo`: train a toy series, measure it, show that later checkpoints are better."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from assay.harness import commands, store, views
from assay.harness.backends import toy
from assay.harness.cli_models import defaults
from assay.harness.grading import Grading
from assay.sandbox.types import SandboxUnavailable
from assay.tasks import datasets
from assay.tasks.registry import SPECS, open_registry


def main(folder: Path, published: Path | None = None) -> None:
    """Train, measure, print the table and what to type next.

    Args:
        folder: where checkpoints and runs go.
        published: DCLM's published results, to stand beside them on the board.
    """
    bar = commands.Bar("training")
    click.echo(
        f"training three toy checkpoints in {folder} (half a minute on two cores; kept for the next time)", err=True
    )
    paths = toy.train(folder / "checkpoints", lambda done, total: bar("3 checkpoints", done, total))
    bar.close()
    models = f"hf:{folder}/checkpoints/step-*"
    options: dict[str, Any] = defaults() | {
        "docs": None,
        "limit": None,
        "tasks_dirs": (),
        "name": None,
        "device": "cpu",
        "offline": True,
        "store": folder / "runs",
        "fresh": False,
        "yes": False,
        "cells": 0,
        "runtime": "",
    }
    commands.run(["demo"], [models], options)
    _code(options)
    if published is not None:
        _beside(published, options["store"])
    where = f"--store {folder}/runs"
    click.echo(
        f"""
Later checkpoints score better. Next:
  assay show latest {where}                            one checkpoint's numbers, with intervals
  assay samples latest demo_sums --wrong {where}       what the last one still gets wrong
  assay preview demo_sums --model hf:{paths[-1]}  the exact prompt and token ids
  assay board {where}                                  all of it in a browser: intervals, flips, samples
  assay run dclm-core --model hf:YOUR_CHECKPOINT --limit 64     your own
(assay lives in .venv/bin: run 'source .venv/bin/activate' first)"""
    )


def _beside(published: Path, runs: Path) -> None:
    """Import DCLM's published results into the demo's store."""
    from assay.harness.index import Index
    from assay.harness.interchange import import_dclm, imported

    found = import_dclm.read_all(published)
    for one in found:
        imported.save(one, runs)
    Index(runs, open_registry()).sync()
    click.echo(f"\n{len(found)} published results of DCLM's stand beside them on the board, without samples.")


def _code(options: dict[str, Any]) -> None:
    """Run good, wrong, slow and hostile programs in the sandbox, and say what became of each."""
    spec = open_registry().tasks["demo_code"]
    click.echo("\nModel-written code is run in the sandbox. Fourteen programs for three problems of our own:")
    try:
        with Grading() as grading:
            grading.open(spec, datasets.load(spec))
    except SandboxUnavailable as error:
        click.echo(f"  left out: {error}")
        return
    samples = SPECS / "demo" / "code_samples.jsonl"
    commands.run(["demo_code"], [f"replay:{samples}"], options | {"name": "demo-code", "fresh": True, "yes": True})
    rows = store.read_run(options["store"] / "demo-code").samples("demo_code").to_pylist()
    intents: dict[str, list[str]] = {}
    for line in samples.read_text(encoding="utf-8").splitlines():
        sample = json.loads(line)
        intents.setdefault(sample["task_id"], []).append(sample["intent"])
    shown = (
        (
            intents[r["doc_id"]][r["draw"]],
            r["doc_id"],
            "right" if r["correct"] else "wrong",
            r["status"],
            r["note"][:70],
        )
        for r in rows
    )
    click.echo("\n" + views.columns(("program", "problem", "verdict", "status", "why"), sorted(shown)))
