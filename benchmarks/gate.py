"""How often a gate blocks what is not worse, and how often it misses what is: by simulation, with the rule that ships.

    python benchmarks/gate.py [--draws 2000] [--power 300] [--seed 0] [--into docs/gate.md]

Needs $ASSAY_DATA, for categories and passages. The gate is the one that `assay gate init --suite standard` writes: 57
tasks and their composites, before any checkpoint tells how many answers flip. A draw is a baseline and a candidate: of
n items Bin(n, (ψ + δ)/2) are lost and Bin(n, (ψ − δ)/2) gained, ψ being the share that flips and δ the true drop. Every
rule judges the same draws. Exits 1 if equal checkpoints are blocked more often than alpha and three standard errors.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import math
import multiprocessing
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pages
from gate_rules import GATE, KEY, RULES, nemo_objections, objections

from assay.harness import gate
from assay.harness.gating import config as configs
from assay.harness.gating import planning, snapshots
from assay.harness.gating.types import REGRESSED, UNMEASURED, Config, History, Mean, Measured, Snapshot
from assay.tasks import datasets
from assay.tasks.registry import Registry, open_registry
from assay.tasks.spec import TaskSpec

MARK = "<!-- calibration -->"
SUITE, COMPOSITES = "standard", ("core_v2", "extended_v2")
FLIPS, TYPICAL = (0.05, 0.10, 0.20), 0.10
DROPS = (0.005, 0.01, 0.02, 0.05)
SINGLE = ("mmlu", "gsm8k", "humaneval_plus", "copa")
"""Tasks that drop alone: 14,042, 1,319, 164 and 100 items."""
SCATTER = (0.005, 0.01)
"""Standard deviations of checkpoints about their trend."""
EARLIER = 10
"""Checkpoints in the history, where there is one."""
TODAY, BATCH, WORKERS = date(2026, 1, 1), 25, 2
BENCH: list[Bench] = []
"""What the worker processes judge: they inherit it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What is judged: a gate, its tasks without their scores, and the number of each item's category, if any."""

    config: Config
    means: Sequence[Mean]
    tasks: Mapping[str, Measured]
    categories: Mapping[str, np.ndarray | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One kind of candidate.

    Attributes:
        flips: share of items that change.
        drop: true, of `tasks`, or of all where that is "".
        scatter: standard deviation of each checkpoint's true score about the series' trend.
        known: the series' earlier checkpoints are in the store.
    """

    flips: float
    drop: float = 0.0
    task: str = ""
    scatter: float = 0.0
    known: bool = False


def opened(registry: Registry) -> Bench:
    """The suite's gate as `assay gate init` writes it, and its tasks' sizes."""
    specs = [registry.tasks[name] for name in registry.suites[SUITE].tasks]
    means = snapshots.means(registry, COMPOSITES)
    text = planning.first(SUITE, {s.name: s.rows or 0 for s in specs}, means, {}, "pinned/main")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gate.yaml"
        path.write_text(text)
        config = configs.load(path)
    tasks, categories, ids = {}, {}, tuple(f"{i:06}" for i in range(max(s.rows or 0 for s in specs)))
    for spec in specs:
        groups, clusters = shape(spec)
        tasks[spec.name] = Measured(
            fingerprint=spec.name,
            value=None,
            stderr=None,
            n=len(groups),
            ids=ids[: len(groups)],
            scores=np.arange(len(groups), dtype=float) % 2,
            groups=groups if spec.mean == "macro" and any(groups) else None,
            clusters=clusters if any(clusters) else None,
        )
        categories[spec.name] = np.unique(groups, return_inverse=True)[1] if any(groups) else None
    return Bench(config=config, means=means, tasks=tasks, categories=categories)


def shape(spec: TaskSpec) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Category and cluster of every item; nothing of either where the data is not here."""
    try:
        rows = datasets.load(spec).rows
    except datasets.NoData:
        return ("",) * (spec.rows or 0), ("",) * (spec.rows or 0)
    parts = datasets.by_category(spec, rows)
    groups = tuple(part.group for part in parts for _ in part.rows)
    if not spec.cluster:
        return groups, ("",) * len(groups)
    return groups, tuple(s.cluster for part in parts for s in datasets.samples(spec, part, 0, len(part.rows)))


def drawn(bench: Bench, cell: Cell, rng: np.random.Generator) -> tuple[Snapshot, Snapshot, History]:
    """Baseline, candidate, and what earlier checkpoints scored."""
    sides: tuple[dict[str, Measured], dict[str, Measured]] = ({}, {})
    earlier: dict[str, np.ndarray] = {}
    for name, task in bench.tasks.items():
        drop = cell.drop if cell.task in ("", name) else 0.0
        if cell.scatter:  # either checkpoint is off the trend
            drop = float(np.clip(rng.normal(0, cell.scatter * math.sqrt(2)), -cell.flips, cell.flips))
        if cell.known:
            scatter = math.hypot(cell.scatter, math.sqrt(cell.flips / (2 * task.n)))
            earlier[name] = 0.5 + rng.normal(0, scatter, EARLIER)
        where = rng.random(task.n, dtype=np.float32)
        lost, gained = where < (cell.flips + drop) / 2, where > 1 - (cell.flips - drop) / 2
        base = np.where(lost, 1.0, np.where(gained, 0.0, task.scores))
        other = np.where(lost | gained, 1 - base, base)
        for side, scores in zip(sides, (base, other)):
            side[name] = replace(task, scores=scores)
    for mean in bench.means if earlier else ():
        centred = [(earlier[t] - b) / (1 - b) for t, b in mean.baselines.items()]
        earlier[mean.name] = np.mean(centred, axis=0)
    base_side, candidate = (Snapshot(name=n, run_id=n, tasks=side) for n, side in zip(("base", "candidate"), sides))
    return base_side, candidate, {name: list(enumerate(values)) for name, values in earlier.items()}


def judged(bench: Bench, cell: Cell, rng: np.random.Generator) -> dict[str, frozenset[str]]:
    """What each rule holds against one draw's candidate: names of tasks and composites."""
    base, candidate, earlier = drawn(bench, cell, rng)
    report = gate.decide(
        bench.config,
        [base],
        candidate,
        tasks=list(bench.tasks),
        means=bench.means,
        history=earlier,
        today=TODAY,
        created="",
    )
    if report.exit_code not in (0, REGRESSED) or any(f.state in UNMEASURED for f in report.findings):
        raise SystemExit(f"the simulation is broken: {report.sentence}")
    found = objections(report) | nemo_objections(base, candidate, bench.categories)
    return {rule: frozenset(names) for rule, names in found.items()}


@dataclass(frozen=True, slots=True)
class Counted:
    """Of a cell's draws: blocked by a rule, and with the task that dropped among the reasons."""

    draws: int
    blocked: Mapping[str, int]
    named: Mapping[str, int]


def batch(job: tuple[Cell, int, int, int]) -> tuple[Cell, Counter[str], Counter[str]]:
    """Some draws of a cell."""
    cell, seed, start, stop = job
    blocked: Counter[str] = Counter()
    named: Counter[str] = Counter()
    for i in range(start, stop):
        found = judged(BENCH[0], cell, np.random.default_rng([seed, i, *map(ord, repr(cell))]))
        blocked.update(rule for rule, names in found.items() if names)
        named.update(rule for rule, names in found.items() if cell.task in names)
    return cell, blocked, named


def simulated(bench: Bench, draws: Mapping[Cell, int], seed: int) -> dict[Cell, Counted]:
    """Every cell, on two processes."""
    BENCH[:] = [bench]
    gc.collect()
    gc.freeze()  # multipletests collects garbage at each call: not through the tasks' ids
    jobs = [(c, seed, i, min(n, i + BATCH)) for c, n in draws.items() for i in range(0, n, BATCH)]
    blocked: dict[Cell, Counter[str]] = {c: Counter() for c in draws}
    named: dict[Cell, Counter[str]] = {c: Counter() for c in draws}
    with multiprocessing.get_context("fork").Pool(WORKERS) as pool:
        for done, (cell, b, n) in enumerate(pool.imap_unordered(batch, jobs), 1):
            blocked[cell] += b
            named[cell] += n
            print(f"\r{done} of {len(jobs)} batches", end="", file=sys.stderr)
    return {c: Counted(n, blocked[c], named[c]) for c, n in draws.items()}


def cells(draws: int, power: int) -> dict[Cell, int]:
    """All that is simulated, with the number of draws."""
    single = {Cell(flips=TYPICAL, drop=d, task=t): power for t in SINGLE for d in DROPS}
    scattered = {Cell(flips=TYPICAL, scatter=s, known=k): power for s in SCATTER for k in (False, True)}
    everywhere = {Cell(flips=TYPICAL, drop=d): power for d in DROPS}
    return {Cell(flips=f): draws for f in FLIPS} | everywhere | single | scattered


def tables(found: Mapping[Cell, Counted], alpha: float) -> str:
    """All of them, as Markdown."""
    flips, drops = [f"ψ {100 * f:g} %" for f in FLIPS], [f"{100 * d:g}" for d in DROPS]
    bound = {f: alpha + 3 * error(alpha, found[Cell(flips=f)].draws) for f in FLIPS}
    null = [[r, *(f"{share(found[Cell(flips=f)], r):.2%}" for f in FLIPS)] for r in RULES]
    null.insert(0, ["allowed: alpha and 3 standard errors", *(f"{bound[f]:.2%}" for f in FLIPS)])
    everywhere = [[r, *(f"{share(found[Cell(flips=TYPICAL, drop=d)], r):.0%}" for d in DROPS)] for r in RULES]
    single = []
    for task, rule in itertools.product(SINGLE, RULES):
        of = [found[Cell(flips=TYPICAL, drop=d, task=task)] for d in DROPS]
        single.append([f"`{task}`", rule, *(f"{c.named[rule] / c.draws:.0%}" for c in of)])
    scattered = [
        [f"{100 * s:g}", *(f"{share(found[Cell(flips=TYPICAL, scatter=s, known=k)], GATE):.0%}" for k in (False, True))]
        for s in SCATTER
    ]
    draws, power = found[Cell(flips=TYPICAL)].draws, found[Cell(flips=TYPICAL, drop=DROPS[0])].draws
    parts = {
        f"Equal checkpoints: how often each rule objects ({draws:,} draws)": table(["rule", *flips], null),
        f"Every task drops, ψ {100 * TYPICAL:g} %: how often each rule objects ({power} draws)": table(
            ["rule", *drops], everywhere
        ),
        f"One task drops, ψ {100 * TYPICAL:g} %: how often it is named ({power} draws)": table(
            ["task", "rule", *drops], single
        ),
        f"Checkpoints scatter about their trend: how often this gate blocks ({power} draws)": table(
            ["σ of every task, points", "no history", f"{EARLIER} earlier checkpoints in the store"], scattered
        ),
    }
    return "\n\n".join(f"### {title}\n\n{text}" for title, text in parts.items())


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown."""
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *rows])


def share(counted: Counted, rule: str) -> float:
    """Of the draws that a rule objects to."""
    return counted.blocked[rule] / counted.draws


def error(p: float, n: int) -> float:
    """Standard error of a share."""
    return math.sqrt(p * (1 - p) / n)


def main() -> None:
    """Simulate, print the tables or put them into a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=2000, help="of equal checkpoints, at each flip rate")
    parser.add_argument("--power", type=int, default=300, help="of every other case")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--into", type=Path)
    options = parser.parse_args()
    bench = opened(open_registry())
    found = simulated(bench, cells(options.draws, options.power), options.seed)
    alpha = bench.config.alpha
    pages.show(f"\n{tables(found, alpha)}\n", options.into, MARK)
    for flips in FLIPS:
        for rule in (GATE, KEY):
            rate = share(of := found[Cell(flips=flips)], rule)
            if rate > alpha + 3 * error(alpha, of.draws):
                sys.exit(
                    f"at flip rate {flips}, {rule} objects to {rate:.2%} of equal checkpoints: alpha is {alpha:.2%}"
                )


if __name__ == "__main__":
    main()
