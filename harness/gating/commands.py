"""What the commands of `assay gate` do."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import click

import assay.harness.gating.annotations as github
from assay.harness import facts
from assay.harness import store as runs
from assay.harness.files import write
from assay.harness.gating import (
    baselines,
    checking,
    config,
    history,
    junit,
    markdown,
    planning,
    records,
    reports,
    snapshots,
)
from assay.harness.gating.series import Series
from assay.harness.gating.types import Config, Report
from assay.harness.views import columns
from assay.tasks.registry import Registry
from assay.tasks.types import UserError

ALL_ROWS = (0, None, None)


def init(suite: str, use: str, path: Path, store: Path, registry: Registry) -> str:
    """Write a gate.yaml; what was done, and what to do next.

    Raises:
        UserError: the file is there, no such suite, or a task of it whose number of items nobody knows.
    """
    if path.exists():
        raise UserError(f"{path} is there already: edit it, or write another with --gate FILE")
    names = [spec.name for spec in registry.select(suite.split())]
    composites = [c.name for c in registry.composites.values() if set(registry.suites[c.suite].tasks) <= set(names)]
    newest = [name for name in composites if name.removesuffix("_v1") + "_v2" not in composites or name.endswith("_v2")]
    means = snapshots.means(registry, newest)
    write(
        path, planning.first(suite, _sizes(names, store, registry), means, _flips(store, names, registry), use).encode()
    )
    said = f"{path}: {len(names)} tasks and {len(newest)} composites block"
    return f"{said}. Look at it, then: assay gate plan --gate {path}"


def plan(rules: Config, store: Path, registry: Registry) -> tuple[str, list[str]]:
    """What a gate can see, as a table; and the names whose margin is below that."""
    tasks = checking.tasks_of(rules, registry)
    means = checking.means_of(rules, registry, tasks)
    found = planning.plan(
        rules, _sizes(tasks, store, registry), means, _flips(store, tasks, registry), 1 + len(rules.also)
    )
    head = ("", "tier", "mode", "items", "flips", "margin", "least", "MDE", "")
    table = columns(
        head,
        (
            (
                p.name,
                p.tier,
                p.mode,
                f"{p.n:,}",
                f"{100 * p.flips:.1f} %{'*' if p.assumed else ''}",
                f"{100 * p.margin:.1f}",
                f"{100 * p.least:.1f}",
                f"{100 * p.mde:.1f}",
                "underpowered" if p.underpowered else "",
            )
            for p in found
        ),
    )
    blocks = sum(p.tier == "block" for p in found)
    foot = (
        f"{blocks} of {len(found)} block. In points: margin is the gate's, least the smallest that the items resolve, "
        f"MDE the true drop found 4 times of 5 (alpha {rules.alpha:g}, Holm's first step)."
    )
    foot += " * no two checkpoints tell yet: 10 % assumed." if any(p.assumed for p in found) else ""
    return f"{table}\n{foot}", [p.name for p in found if p.underpowered]


def check(name: str, registry: Registry, today: date, options: Mapping[str, Any]) -> int:
    """Judge a run, keep the verdict, print it; the exit code."""
    store, folder, rules = options["store"], options["folder"], config.load(options["gate_file"])
    path = runs.find_run(store, name)
    report = checking.check(rules, store, path, folder, registry, today)
    history.record(store, report)
    shapes: Mapping[str, Callable[[], str]] = {
        "json": lambda: json.dumps(records.to_json(report), indent=1, ensure_ascii=False),
        "md": lambda: markdown.markdown(report, limit=markdown.STEP_SUMMARY, link=options["link"]),
        "junit": lambda: junit.junit(report, strict=options["strict"]),
        "text": lambda: reports.text(report),
        "github": lambda: github.annotations(report),
    }
    if options["out"]:
        _write_all(options["out"], shapes, report, options["link"])
    if options["form"] == "github":
        _summarised(shapes["md"]())
    click.echo(shapes[options["form"]]())
    pinned = folder / rules.use.removeprefix("pinned/")
    if rules.on_missing == "create" and rules.use.startswith("pinned/") and not pinned.exists():
        try:
            _create(path, store, folder, rules, registry)
        except UserError as error:
            click.echo(f"assay: no baseline was written: {error}", err=True)
    return report.exit_code


def _write_all(folder: Path, shapes: Mapping[str, Callable[[], str]], report: Report, link: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = {"json": "gate.json", "md": "gate.md", "junit": "junit.xml", "text": "gate.txt"}
    for form, name in names.items():
        write(folder / name, (shapes[form]() + "\n").encode())
    write(folder / "comment.md", (markdown.markdown(report, limit=markdown.COMMENT, link=link) + "\n").encode())


def _summarised(said: str) -> None:
    """Append to the job's summary, where a GitHub runner has one."""
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as out:
            out.write(said + "\n")


def _create(path: Path, store: Path, folder: Path, rules: Config, registry: Registry) -> None:
    """The first run of a gate writes its baseline, and fails once: a person has to look at it and commit it."""
    name = rules.use.removeprefix("pinned/")
    run = runs.read_run(path)
    written = baselines.promote(
        run,
        snapshots.of_run(run, facts.read(store), registry),
        folder,
        name,
        reason="the gate's first run",
        by="assay gate check",
    )
    click.echo(f"assay: wrote {written}: look at it and commit it; from then on this gate compares with it", err=True)


def _sizes(names: Sequence[str], store: Path, registry: Registry) -> dict[str, int]:
    """Items of each task: as measured last, best by a run of all rows, else as its owners publish it."""
    parts: dict[str, int] = {}
    wholes: dict[str, int] = {}
    for path in runs.list_runs(store) if store.is_dir() else []:
        try:
            run = runs.peek_run(path)
        except UserError:
            continue
        known = wholes if run.plan.docs == ALL_ROWS else parts
        known |= {t: r.n for t, r in run.results.items() if r.n}
    measured = parts | wholes
    found = {t: measured.get(t) or registry.tasks[t].rows or 0 for t in names}
    unknown = [t for t, n in found.items() if not n]
    if unknown:
        raise UserError(f"nobody knows how many items {unknown[0]} has: measure it once, in --store {store}")
    return found


def _flips(store: Path, names: Sequence[str], registry: Registry) -> dict[str, float]:
    """How much the last two checkpoints of the series that was measured last differ, where there are two."""
    for path in reversed(runs.list_runs(store) if store.is_dir() else []):
        try:
            plan = runs.peek_run(path).plan
            series = None if plan.checkpoint.step is None else Series.before(store, plan, registry, names, itself=True)
        except UserError:
            continue
        if series and len(series.earlier) > 1:
            return series.flips(names)
    return {}


def told(store: Path) -> str:
    """The history of a store's gates, and how many of its blocks chance alone would bring."""
    found = history.read(store)
    judged = [r for r in found.reports if r.verdict != "not_measured"]
    expected, any_of_them = history.false_blocks(r.alpha for r in judged)
    blocked = sum(r.verdict == "regressed" for r in judged)
    return (
        f"{reports.history(found)}\n\n{blocked} of {len(judged)} verdicts blocked; were no checkpoint worse, chance "
        f"would block {expected:.2f} of them at most (P of at least one: {any_of_them:.1%})"
    )
