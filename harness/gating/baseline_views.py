"""Baselines as text for a terminal. Values in, lines out; what runs and people wrote is made plain."""

from __future__ import annotations

from collections.abc import Mapping

from assay.harness import views
from assay.harness.gating.baseline_files import Baseline
from assay.harness.gating.types import Measured, Snapshot
from assay.harness.interchange.imported import plain


def changes(old: Snapshot | None, new: Snapshot) -> str:
    """What a promotion changes: settings that differ, then task by task."""
    before = old.tasks if old else {}
    told = [f"{_run(old) if old else 'nothing'} -> {_run(new)}"]
    settings = old.settings if old else new.settings
    for key in sorted({*settings, *new.settings}):
        a, b = settings.get(key, ""), new.settings.get(key, "")
        told += [f"{plain(key)}: {plain(a) or '-'} -> {plain(b) or '-'}"] if a != b else []
    rows = [_change(task, before.get(task), new.tasks.get(task)) for task in sorted({*before, *new.tasks})]
    return "\n".join([*told, views.columns(("task", "old", "new", "change", "items", "note"), rows)])


def shown(baseline: Baseline) -> str:
    """One baseline: who made it, of which run, why, and its numbers."""
    s = baseline.snapshot
    told = [
        f"{s.name}: {_run(s)}, measured {plain(s.created)}",
        f"promoted {plain(baseline.when)} by {plain(baseline.by)}: {plain(baseline.reason)}",
        *(f"{plain(key)}: {plain(value)}" for key, value in sorted(s.settings.items()) if value),
    ]
    rows = ((plain(t), len(m.ids), m.value, m.stderr, s.self_flips.get(t)) for t, m in s.tasks.items())
    return "\n".join([*told, views.columns(("task", "items", "value", "stderr", "self flips"), rows)])


def listed(baselines: Mapping[str, Baseline]) -> str:
    """Baselines by name, a line each."""
    rows = (
        (
            name,
            plain(b.snapshot.label or b.snapshot.run_id),
            len(b.snapshot.tasks),
            b.when,
            plain(b.by),
            plain(b.reason),
        )
        for name, b in baselines.items()
    )
    return views.columns(("baseline", "run of", "tasks", "promoted", "by", "reason"), rows)


def _run(s: Snapshot) -> str:
    step = "" if s.step is None else f", step {s.step}"
    return f"{plain(s.label or s.run_id)} (run {plain(s.run_id)}{step})"


def _change(task: str, old: Measured | None, new: Measured | None) -> tuple[object, ...]:
    a, b = (m.value if m else None for m in (old, new))
    note = "added" if old is None else "removed" if new is None else ""
    if old and new and old.fingerprint != new.fingerprint:
        note = "fingerprint changed: not comparable"
    delta = f"{b - a:+.4f}" if a is not None and b is not None and not note else "-"
    return plain(task), a, b, delta, len(new.ids) if new else None, note
