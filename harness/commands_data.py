"""What `assay data` does."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import click
from tqdm import tqdm

from assay.harness import exits, views
from assay.tasks import datasets, download
from assay.tasks.spec import TaskSpec


def status(specs: Sequence[TaskSpec], as_json: bool) -> int:
    """Print each task's data; the exit code says whether all is there."""
    rows = [_data_row(s) for s in specs]
    if as_json:
        click.echo(json.dumps(rows, indent=1, ensure_ascii=False))
    else:
        click.echo(
            views.columns(
                ("task", "state", "rows", "where", "licence"),
                ([r["task"], r["state"], r["rows"], r["where"], r["licence"]] for r in rows),
            )
        )
        for r in rows:
            if r["remedy"]:
                click.echo(f"{r['task']}: {r['remedy']}")
    return 0 if all(r["state"] in ("present", "rebuilt") for r in rows) else exits.PARTIAL


def _data_row(spec: TaskSpec) -> dict[str, Any]:
    row = {
        "task": spec.name,
        "rows": spec.rows,
        "licence": spec.licence,
        "where": "-",
        "remedy": "",
    }
    try:
        loaded = datasets.load(spec)
    except datasets.NoData:
        return row | {
            "state": "missing",
            "remedy": f"assay data fetch {spec.name} (from {spec.data.url})"
            if spec.data.url
            else f"put {spec.data.path} into a folder of $ASSAY_DATA; no url is known (docs/code.md)",
        }
    except datasets.DataMismatch as error:
        return row | {"state": "damaged", "remedy": str(error)}
    where = str(loaded.where)
    return row | {
        "state": "rebuilt" if loaded.note else "present",
        "where": where,
        "remedy": loaded.note,
    }


def fetch(specs: Sequence[TaskSpec]) -> int:
    """Download what is not here, a line a task; the exit code says whether all is there."""
    failed = 0
    for spec in specs:
        try:
            found = datasets.find(spec)
            if found is not None and not found.is_relative_to(datasets.cache_folder()):
                datasets.load(spec)
                click.echo(f"{spec.name}: here already: {found}")
                continue
            with tqdm(desc=spec.name, unit="B", unit_scale=True, file=sys.stderr, disable=None) as bar:
                path = download.fetch(spec, bar.update)
            click.echo(f"{spec.name}: fetched: {path}")
        except (datasets.NoData, datasets.DataMismatch) as error:
            failed += 1
            click.echo(f"{spec.name}: {error}", err=True)
    return exits.PARTIAL if failed else 0
