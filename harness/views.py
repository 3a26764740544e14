"""Records as text for a terminal. Values in, lines out; nothing is printed here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from assay.tasks.registry import Registry

if TYPE_CHECKING:  # pyarrow takes longer to import than `assay list` may take
    from assay.harness.records import TaskResult
    from assay.harness.store import Run


def columns(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """An aligned table: text to the left, numbers to the right."""
    body = [[_cell(c) for c in row] for row in rows]
    widths = [max(len(r[i]) for r in [list(head), *body]) for i in range(len(head))]
    right = [all(_numeric(r[i]) for r in body) for i in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = (c.rjust(w) if to_right else c.ljust(w) for c, w, to_right in zip(cells, widths, right, strict=True))
        return "  ".join(padded).rstrip()

    return "\n".join([line(head), line(["-" * w for w in widths]), *map(line, body)])


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _numeric(text: str) -> bool:
    return text in ("-", "N/A") or text.replace(",", "").replace(".", "").lstrip("+-").isdigit()


def tasks(registry: Registry) -> str:
    """Every task of the registry."""
    return columns(
        ("task", "kind", "shots", "rows", "skill", "baseline v1", "v2"),
        (
            (
                t.name,
                t.kind,
                t.shots,
                t.rows,
                t.skill,
                f"{t.baseline.v1:g}" if t.baseline else "-",
                f"{t.baseline.v2:g}" if t.baseline else "-",
            )
            for t in registry.tasks.values()
        ),
    )


def suites(registry: Registry) -> str:
    """Every suite of the registry."""
    return columns(
        ("suite", "tasks", "what"),
        ((s.name, len(s.tasks), s.description) for s in registry.suites.values()),
    )


def run(r: Run) -> str:
    """One run: every task with its interval, then the composites, then what is missing and why."""
    state = "complete" if r.complete else "INCOMPLETE: run the same command again to go on"
    head = f"run {r.plan.run_id}: {r.plan.checkpoint.label}, {_rows(r)}, {state}"
    table = columns(
        ("task", "n", "value", "95 % interval", "centred v2", "note"),
        ((t, x.n or None, x.value, interval(x), x.centred_v2, note(x)) for t, x in r.results.items()),
    )
    parts = [head, "", table]
    if r.composites:
        parts += [
            "",
            columns(("composite", "value", "stderr", "missing"), map(_composite, r.composites)),
        ]
    measured = [[t, *_metric(name), value] for t, x in r.results.items() for name, value in x.metrics.items()]
    if measured:
        parts += ["", columns(("task", "tests", "metric", "value"), measured)]
    parts += [f"{t}: {_judged(x)}" for t, x in r.results.items() if x.checker]
    parts += ["", account(r.results.values())] if any(x.usage for x in r.results.values()) else []
    faults = [f"{t}: {x.message}" for t, x in r.results.items() if x.message]
    return "\n".join(parts + (["", *faults] if faults else []))


def account(results: Iterable[TaskResult]) -> str:
    """What it all took, in one line."""
    known = list(results)
    total = {k: sum(x.usage.get(k, 0.0) for x in known) for k in ("tokens_in", "tokens_out", "sandbox_s", "cost_usd")}
    spent = {k: sum(x.wall_s.get(k, 0.0) for x in known) for k in ("load", "render", "model", "grading", "other")}
    ours = spent["render"] + spent["grading"] + spent["other"]
    parts = [f"{total['tokens_in']:,.0f} tokens in, {total['tokens_out']:,.0f} out", f"model {spent['model']:.1f} s"]
    parts += [f"loading {spent['load']:.1f} s", f"assay {ours:.1f} s"]
    parts += [f"programs {total['sandbox_s']:.1f} s in the sandbox"] if total["sandbox_s"] else []
    parts += _shared(known)
    return "; ".join(parts + ([f"about ${total['cost_usd']:.4f}"] if total["cost_usd"] else []))


def _shared(results: Sequence[TaskResult]) -> list[str]:
    """What sharing prefixes saved, of tasks whose log-likelihoods were counted."""
    total = {k: sum(x.usage.get(f"tokens_{k}", 0.0) for x in results) for k in ("asked", "unique", "forwarded")}
    if not total["forwarded"]:
        return []
    unique = f", {total['unique']:,.0f} of them unique" if total["unique"] else ""
    saved = total["asked"] / total["forwarded"]
    return [
        f"{total['asked']:,.0f} tokens scored{unique}, by forwarding {total['forwarded']:,.0f}: {saved:.1f} times fewer"
    ]


def _metric(name: str) -> tuple[str, str]:
    """`base pass@1` as the tests it is of, and the metric."""
    of, _, metric = name.rpartition(" ")
    return of or "all", metric


def _judged(x: TaskResult) -> str:
    return f"{x.checker['dataset']}, {x.checker['checker']}, image {x.checker['image'][:19]}"


def series(runs: Sequence[Run]) -> str:
    """Tasks by checkpoints: values side by side, composites below."""
    order = sorted(runs, key=lambda r: (r.plan.checkpoint.step is None, r.plan.checkpoint.step or 0))
    labels = [r.plan.checkpoint.label for r in order]
    if len(set(labels)) < len(labels):
        labels = [r.plan.run_id for r in order]
    names = list(dict.fromkeys(t for r in order for t in r.results))
    rows: list[list[Any]] = [[t, *(r.results[t].value if t in r.results else None for r in order)] for t in names]
    for name in dict.fromkeys(c["name"] for r in order for c in r.composites):
        found = [{c["name"]: c for c in r.composites}.get(name) for r in order]
        rows.append([name, *(_composite(c)[1] if c else None for c in found)])
    table = columns(["task", *labels], rows)
    notes = {t: x.message for r in order for t, x in r.results.items() if x.message}
    lines = [f"{t}: {m}" for t, m in notes.items()]
    return "\n".join([f"{_rows(order[0])}", table, *([""] if lines else []), *lines])


def interval(x: TaskResult) -> str | None:
    """[low, high], or None."""
    return None if x.low is None or x.high is None else f"[{x.low:.4f}, {x.high:.4f}]"


def note(x: TaskResult) -> str:
    """What a reader must know beside the number."""
    said = [] if x.status == "ok" else [x.status.replace("_", " ").upper()]
    said += [f"{n} {s}" for s, n in x.counts.items() if s != "ok"]
    if x.truncated:
        said.append(f"{x.truncated} cut to fit")
    if x.status == "ok" and x.message.startswith("data:"):
        said.append("rebuilt data")
    return ", ".join(said)


def runs(found: Iterable[Run]) -> str:
    """A store's runs."""
    return columns(
        ("run", "checkpoint", "step", "tokens", "tasks", "done", "state", "begun"),
        (
            (
                r.plan.run_id,
                r.plan.checkpoint.label,
                r.plan.checkpoint.step,
                r.plan.checkpoint.tokens,
                len(r.plan.tasks),
                sum(x.value is not None for x in r.results.values()),
                "complete" if r.complete else "incomplete",
                r.plan.created,
            )
            for r in found
        ),
    )


def _rows(r: Run) -> str:
    start, stop, limit = r.plan.docs
    if limit is not None:
        return f"a sample of {limit} rows (of each category)"
    if (start, stop) == (0, None):
        return "all rows"
    return f"rows {start} to {'the last' if stop is None else stop - 1} (of each category)"


def _composite(c: Mapping[str, Any]) -> tuple[Any, ...]:
    missing = ", ".join(c["missing"])
    return c["name"], "N/A" if c["value"] is None else c["value"], c["stderr"], missing
