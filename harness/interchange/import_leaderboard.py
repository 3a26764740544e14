"""evalplus's published leaderboard as runs of ours: one model a run, aggregates without samples."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from assay.harness import __version__, fingerprint
from assay.harness.interchange import imported, published
from assay.harness.interchange.imported import ForeignFile, Imported, count, plain
from assay.harness.records import Checkpoint, Plan, TaskResult
from assay.tasks.registry import Registry, open_registry

FORM = "evalplus-leaderboard"
MARK = f"{FORM} import"
TASKS: Mapping[str, str] = {"humaneval": "humaneval", "humaneval_plus": "humaneval+", "mbpp_plus": "mbpp+"}
"""Tasks, and what the leaderboard calls them."""
BASE: Mapping[str, str] = {"humaneval_plus": "humaneval", "mbpp_plus": "mbpp"}
"""What the same programs score on the base tests alone."""
PRECISION = 0.000501
"""Percent are rounded to one digit."""
HUB = "https://huggingface.co/"


def read_all(path: Path) -> list[Imported]:
    """Every model of the leaderboard's `results.json` that has a number.

    Raises:
        ForeignFile: the file is damaged or another; names file and remedy.
    """
    text = imported.content(path) if path.is_file() else b""
    if not text:
        raise ForeignFile(f"{path}: no such file, or empty: pass the results.json of evalplus.github.io")
    data = imported.demand(path, imported.parse(path, text), FORM, "no leaderboard of evalplus's")
    registry, sha256 = open_registry(), hashlib.sha256(text).hexdigest()
    found = [_imported(path, model, entry, sha256, registry) for model, entry in data.items()]
    return [run for run in found if run.results]


def _imported(path: Path, model: str, entry: Any, sha256: str, registry: Registry) -> Imported:
    scores = entry.get("pass@1") if isinstance(entry, Mapping) else None
    if not isinstance(scores, Mapping):
        raise ForeignFile(f"{path}: '{model}' has no 'pass@1': the file was changed: copy it again")
    shares = dict(_shares(path, model, scores))
    results = [_result(registry, task, shares) for task, theirs in TASKS.items() if theirs in shares]
    label, link = plain(model), plain(entry.get("link") or "", 200)
    opened = "open weights" if link.startswith(HUB) else ""
    size = imported.number(entry.get("size"))
    plan = Plan(
        run_id=imported.run_id(label, "evalplus-board", fingerprint.digest(json.dumps([model, entry]))),
        created="",
        assay_version=__version__,
        identity={"model": f"{MARK}: {label}", "engine": "evalplus"},
        checkpoint=Checkpoint(label=label, parameters=None if size is None else count(size * 1e9)),
        tasks={r.task: r.fingerprint for r in results},
        docs=(0, None, None),
        options={"model": label},
        environment={
            "imported": {"tool": FORM, "file": plain(path.name), "sha256": sha256},
            "facts": {
                "openness": "open data" if entry.get("open-data") == "Full" else opened,
                "links": [link] if link.startswith(("https://", "http://")) else [],
                "notes": ["from evalplus's leaderboard, which rounds to a tenth of a percent"],
            },
        },
    )
    return Imported(plan=plan, results=results)


def _shares(path: Path, model: str, scores: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name in dict.fromkeys((*TASKS.values(), *BASE.values())):
        percent = scores.get(name)
        if percent is None:
            continue
        if isinstance(percent, bool) or not isinstance(percent, int | float) or not 0 <= percent <= 100:
            raise ForeignFile(f"{path}: '{model}', {name}: {plain(percent, 40)} is no percentage: the file was changed")
        yield name, round(percent / 100, 9)


def _result(registry: Registry, task: str, shares: Mapping[str, float]) -> TaskResult:
    spec = registry.tasks[task]
    mark = f"{MARK} {fingerprint.digest({'task': task})}"
    found = published.result(spec, shares[TASKS[task]], PRECISION, mark)
    base = shares.get(BASE.get(task, ""))
    metrics = {"pass@1": shares[TASKS[task]]} | ({} if base is None else {"base pass@1": base})
    return dataclasses.replace(found, metrics=metrics)
