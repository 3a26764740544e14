"""Two runs for people: is B better than A, where the difference comes from, and what can't be compared."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from assay.harness import facts, indexing, multiplicity, pairwise
from assay.harness import store as runs
from assay.harness.comparing import Difference
from assay.harness.composing import CompositeDifference, composite_difference
from assay.harness.gating import snapshots, wording
from assay.harness.gating.types import Mean, Measured
from assay.harness.pairwise import Asked, Judged
from assay.harness.store import Run
from assay.harness.views import columns
from assay.tasks.registry import Registry

PARTS = 3
"""Tasks of a composite that are named: those that move it most."""
KINDS = {
    "different": "not asked alike",
    "aggregates": "known only by a published number",
    "one": "without a result on one side",
}
"""Why a task is not compared, by `pairwise.unlike`'s kind."""
NOTHING = "Not tested: on no task can the items of A and B be paired."


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A composite of both runs.

    Attributes:
        contributions: what each task adds to the difference; they sum to it.
    """

    name: str
    a: float
    b: float
    found: CompositeDifference
    contributions: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A task or composite that is not compared, with both numbers; `kind` is one of `KINDS`, or `composite`."""

    name: str
    a: float | None
    b: float | None
    kind: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two runs; every difference is b minus a.

    Attributes:
        a, b: run ids.
        names: how a and b are spoken of.
        state, sentence: `pairwise.Verdict.state`, and the verdict in words.
        tasks: largest gain first.
        values: both numbers of each of them.
        settings: what differs: setting, of a, of b.
    """

    a: str
    b: str
    names: tuple[str, str]
    alpha: float
    state: str
    sentence: str
    tasks: tuple[Judged, ...]
    values: Mapping[str, tuple[float | None, float | None]]
    composites: tuple[Whole, ...]
    refused: tuple[Refused, ...]
    settings: tuple[tuple[str, str, str], ...]


def compare(store: Path, a: str, b: str, alpha: float, registry: Registry) -> Comparison:
    """Compare two runs, named as `assay show` takes them, item by item, on all that both were asked alike.

    Raises:
        UserError: a run is not there, or was changed since it was written.
    """
    known = facts.read(store)
    base, other = (runs.read_run(runs.find_run(store, name)) for name in (a, b))
    found, refused = _paired(base, other, registry)
    tasks = _judged(found, alpha)
    wholes, torn = _wholes(base, other, found, registry)
    labels = [run.plan.checkpoint.label for run in (base, other)]
    ids = [run.plan.run_id for run in (base, other)]
    first, second = (wording.name(n) for n in (labels if len(set(labels)) == 2 and all(labels) else ids))
    said = pairwise.verdict(tasks, first, second, wording.name) if tasks else None
    return Comparison(
        a=ids[0],
        b=ids[1],
        names=(first, second),
        alpha=alpha,
        state=said.state if said else "not tested",
        sentence=" ".join(filter(None, [f"{said.head}{said.rest}" if said else NOTHING, _left_out(refused)])),
        tasks=tuple(tasks),
        values={t: (base.results[t].value, other.results[t].value) for t in found},
        composites=tuple(wholes),
        refused=(*torn, *refused),
        settings=tuple(pairwise.settings(*(_about(run, facts.of(run.plan, known)) for run in (base, other)))),
    )


def _paired(base: Run, other: Run, registry: Registry) -> tuple[dict[str, Difference], list[Refused]]:
    """The difference on each task that can be paired, and what can't be, with the reason."""
    found: dict[str, Difference] = {}
    refused = []
    for task in sorted({*base.results, *other.results}):
        kind, reason = pairwise.unlike(_asked(base, task), _asked(other, task))
        if not kind:
            pair, _ = pairwise.paired(*(_measured(run, task, registry) for run in (base, other)))
            if isinstance(pair, Difference):
                found[task] = pair
                continue
            kind, reason = "different", pair
        values = (run.results[task].value if task in run.results else None for run in (base, other))
        refused.append(Refused(name=task, a=next(values), b=next(values), kind=kind, reason=reason))
    return found, refused


def _left_out(refused: Sequence[Refused]) -> str:
    counts = Counter(r.kind for r in refused)
    parts = [f"{counts[kind]} {words}" for kind, words in KINDS.items() if counts[kind]]
    return f"Tasks not compared: {', '.join(parts)}." if parts else ""


def _measured(run: Run, task: str, registry: Registry) -> Measured:
    """A task's items, with their categories only where its number is the mean of theirs.

    Scores have all their digits, unlike a gate's: of means over draws, float32 tells apart what is equal.
    """
    r, spec = run.results[task], registry.tasks.get(task)
    items = indexing.item_scores(run, task, scored_only=False)
    groups, clusters = (tuple(name or "" for name in items[k]) for k in ("group", "cluster"))
    return Measured(
        fingerprint=r.fingerprint,
        value=r.value,
        stderr=r.stderr,
        n=r.n,
        ids=tuple(items["doc_id"]),
        scores=items["score"],
        groups=groups if spec and spec.mean == "macro" and any(groups) else None,
        clusters=clusters if any(clusters) else None,
    )


def _asked(run: Run, task: str) -> Asked:
    r = run.results.get(task)
    if r is None:
        return Asked()
    return Asked(
        known=bool(r.samples_sha256) or r.value is not None,
        sampled=bool(r.samples_sha256),
        higher_is_better=r.higher_is_better,
        fingerprint=r.fingerprint,
        version=r.version,
        rows=indexing.rows_asked(run.plan),
        checker=r.checker,
        message=r.message,
    )


def _judged(found: Mapping[str, Difference], alpha: float) -> list[Judged]:
    holm = multiplicity.holm({t: d.p for t, d in found.items()})
    names = ("n", "lost", "gained", "delta", "low", "high", "p", "mde", "test", "note")
    rows = [Judged(task=t, holm=holm[t], alpha=alpha, **{k: getattr(d, k) for k in names}) for t, d in found.items()]
    return sorted(rows, key=lambda r: (-r.delta, r.task))


def _wholes(
    base: Run, other: Run, found: Mapping[str, Difference], registry: Registry
) -> tuple[list[Whole], list[Refused]]:
    """Composites that both have: compared where each task is, else refused."""
    sides = [{c["name"]: c["value"] for c in run.composites} for run in (base, other)]
    names = [n for n in sides[0] if n in sides[1] and n in registry.composites]
    wholes, refused = [], []
    for mean in snapshots.means(registry, names):
        a, b = (side[mean.name] for side in sides)
        missing = [t for t in mean.baselines if t not in found]
        if missing or a is None or b is None:
            why = f"a mean over tasks that can't all be paired: {missing[0]}" if missing else "a side has no number"
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            refused.append(Refused(name=mean.name, a=a, b=b, kind="composite", reason=why + more))
        else:
            wholes.append(_whole(mean, a, b, {t: found[t] for t in mean.baselines}))
    return wholes, refused


def _whole(mean: Mean, a: float, b: float, parts: Mapping[str, Difference]) -> Whole:
    added = {t: d.delta / (1 - mean.baselines[t]) / len(parts) for t, d in parts.items()}
    found = composite_difference(parts, mean.baselines, mean.kin)
    return Whole(name=mean.name, a=a, b=b, found=found, contributions=added)


def _about(run: Run, said: facts.Facts) -> dict[str, Any]:
    """What `pairwise.settings` compares."""
    plan = run.plan
    return {
        **{part: getattr(plan, part) for part in pairwise.PARTS},
        "rows_asked": indexing.rows_asked(plan),
        "assay_version": plan.assay_version,
        "evidence": indexing.evidence(run),
        "step": plan.checkpoint.step,
        **{name: getattr(said, name) for name in ("tokens", "parameters", "series")},
    }


def to_json(c: Comparison) -> dict[str, Any]:
    """For programs: scores and differences as shares, not points; names as they are."""
    tasks = [asdict(r) | {"state": r.state, "a": c.values[r.task][0], "b": c.values[r.task][1]} for r in c.tasks]
    wholes = [asdict(w) for w in c.composites]
    settings = [dict(zip(("setting", "a", "b"), row, strict=True)) for row in c.settings]
    return {
        **{k: getattr(c, k) for k in ("a", "b", "alpha", "state", "sentence")},
        "tasks": tasks,
        "composites": wholes,
        "not_compared": [asdict(r) for r in c.refused],
        "settings": settings,
    }


def text(c: Comparison, store: Path) -> str:
    """For people, on a terminal; differences in percentage points, and where to go on reading."""
    sides = zip("AB", c.names, (c.a, c.b), strict=True)
    head = [f"{side}  {name}" + (f" ({wording.line(run)})" if name != run else "") for side, name, run in sides]
    return "\n".join([*head, "", c.sentence, *_sections(c), "", *_hints(c, store)])


def _sections(c: Comparison) -> Iterator[str]:
    figures = ("B − A", "95 % interval", "p")
    if c.tasks:
        heads = ("task", "A", "B", *figures, "Holm p", "lost", "gained", "n", "note")
        yield "\n" + columns(heads, (_row(r, *c.values[r.task]) for r in c.tasks))
    if c.composites:
        yield "\n" + columns(("composite", "A", "B", *figures, "moved most by"), map(_whole_row, c.composites))
    if c.refused:
        rows = ((wording.name(r.name), r.a, r.b, wording.line(r.reason)) for r in c.refused)
        yield "\n" + columns(("not compared", "A", "B", "why"), rows)
    if c.settings:
        yield "\n" + columns(("what differs", "A", "B"), ([_setting(x) for x in row] for row in c.settings))


def _setting(said: str) -> str:
    return wording.line(said, wording.NAME) or wording.NONE


def _row(r: Judged, a: float | None, b: float | None) -> tuple[Any, ...]:
    note = "; ".join(filter(None, ["" if r.state == "not told apart" else r.state, r.said]))
    p, holm = (wording.probability(x) for x in (r.p, r.holm))
    counts = (f"{k:,}" for k in (r.lost, r.gained, r.n))
    return wording.name(r.task), a, b, _points(r.delta), wording.interval(r.low, r.high), p, holm, *counts, note


def _whole_row(w: Whole) -> tuple[Any, ...]:
    most = sorted(w.contributions, key=lambda t: -abs(w.contributions[t]))[:PARTS]
    parts = [
        f"{wording.name(t)} {_points(w.contributions[t])} ({100 * w.found.shares[t]:.0f} % of the variance)"
        for t in most
    ]
    d = w.found
    interval, p = wording.interval(d.low, d.high), wording.probability(d.p)
    return wording.name(w.name), w.a, w.b, _points(d.delta), interval, p, ", ".join(parts)


def _points(value: float) -> str:
    """As a column of numbers has it."""
    return wording.points(value).replace("−", "-")


def _hints(c: Comparison, store: Path) -> Iterator[str]:
    if c.tasks:
        most = max(c.tasks, key=lambda r: r.lost + r.gained).task
        words = ["assay", "samples", c.b, most, "--wrong", "--store", str(store)]
        yield f"What B got wrong: {wording.line(shlex.join(words))}"
    board = f"assay board --store {shlex.quote(str(store))}, page compare?{urlencode({'a': c.a, 'b': c.b})}"
    yield f"Charts, and every answer that changed: {wording.line(board)}"
