"""The command that makes a run's numbers again, and how to cite them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import pandas as pd

from assay.harness import cli_models, fingerprint
from assay.harness.interchange import citation

PLACE = frozenset({"model", "store", "name", "fresh", "yes", "offline"})
"""Options that say where to, or come first; no number depends on them."""
DEFAULTS: Mapping[str, Any] = {"limit": None, "docs": None, "cells": 0, "runtime": ""}
"""Of the options that `cli_models` does not know."""
HERE = ("localhost", "127.0.0.1", "::1", "0.0.0.0")  # noqa: S104 - compared with, never bound


def asked(tasks: Sequence[str], suites: pd.DataFrame) -> list[str]:
    """The suite that is exactly these tasks, else their names."""
    for suite, rows in suites.groupby("suite"):
        if set(rows["task"]) == set(tasks):
            return [str(suite)]
    return list(tasks)


def command(run: Mapping[str, Any], names: Sequence[str]) -> str:
    """What to type to measure this again; "" where the run was imported, or where a part of it can't be typed.

    Args:
        run: all that the index has of it.
        names: of tasks or a suite.
    """
    options = run["options"]
    if "imported" in run["environment"] or not isinstance(options.get("model"), str):
        return ""
    parts = ["assay", "run", *names, "--model", options["model"]]
    usual = {**cli_models.defaults(), **DEFAULTS}
    for name, value in options.items():
        if name in PLACE or name not in usual or value == usual[name]:
            continue
        parts += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
    return shlex.join(parts) if all(p.isprintable() for p in parts) else ""


def cited(run: Mapping[str, Any], tasks: pd.DataFrame, composites: pd.DataFrame, names: Sequence[str], url: str) -> str:
    """BibTeX and CITATION.cff of a run.

    Args:
        run: all that the index has of it.
        tasks: its results.
        composites: of it.
        names: of tasks or a suite.
        url: where its page is; left out where only this machine can open it.
    """
    means = composites.dropna(subset="value")
    means = means[~means["name"].str.endswith(" (v2)")]
    of = means if len(means) else tasks.dropna(subset="value").rename(columns={"task": "name"})
    return citation.citation(
        label=run["label"],
        run_id=run["run_id"],
        created=run["created"],
        assay_version=run["assay_version"],
        measured=", ".join(names) if len(names) <= citation.FEW else f"{len(names)} tasks",
        numbers=dict(zip(of["name"], of["value"], strict=True)),
        digest=fingerprint.digest(dict(zip(tasks["task"], tasks["fingerprint"], strict=True))),
        url="" if urlsplit(url).hostname in HERE else url,
    )
