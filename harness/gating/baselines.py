"""Baselines: runs that checkpoints are judged by, kept in the user's git. `promote` alone writes them.

A baseline is the folder baselines/NAME; `baseline_files` says what lies in it.
"""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from assay.harness.files import write
from assay.harness.gating import repository
from assay.harness.gating.baseline_files import RECORD, Baseline, BaselineDamaged, decoded, encoded
from assay.harness.gating.types import Measured, Snapshot
from assay.harness.interchange.imported import plain
from assay.harness.store import Run
from assay.tasks.types import UserError

__all__ = ["RECORD", "Baseline", "BaselineDamaged", "BaselineMissing", "NotPromotable", "WrongName"]
__all__ += ["at_merge_base", "demand_sound", "load", "names", "promote", "read"]
MAX_INFRA_ERROR = 0.005
"""Share of a task's samples that the machine may have lost."""
NAME = re.compile(r"(?!\.\.?$)[A-Za-z0-9._-]+")


class BaselineMissing(UserError):
    """There is no baseline of that name."""


class WrongName(UserError):
    """No baseline can be called that."""


class NotPromotable(UserError):
    """A run can't be what others are judged by."""


def names(folder: Path) -> list[str]:
    """What baselines a folder has."""
    return sorted(p.parent.name for p in folder.glob(f"*/{RECORD}") if NAME.fullmatch(p.parent.name))


def read(folder: Path, name: str) -> Snapshot:
    """A baseline as a gate sees it; raises as `load`."""
    return load(folder, name).snapshot


def load(folder: Path, name: str) -> Baseline:
    """A baseline, and who made it one.

    Raises:
        BaselineMissing, BaselineDamaged: there is none; it was changed, cut or mixed with another.
        WrongName: it is no name, but a path, say.
    """
    place = _place(folder, name)

    def fetch(file: str) -> bytes | None:
        return (place / file).read_bytes() if (place / file).is_file() else None

    found = decoded(fetch, str(place), f"baseline {name}")
    if found is None:
        have = ", ".join(names(folder)) or "none yet"
        raise BaselineMissing(
            f"no baseline '{name}' in {folder} (there: {have}); make one of a run that you trust, and commit it: "
            f'assay baseline promote RUN --as {name} --reason "…"'
        )
    return found


def at_merge_base(folder: Path, name: str) -> Snapshot:
    """A baseline as it was where HEAD left the branch that it is to be merged into.

    Raises:
        HistoryMissing: no repository, or a clone too shallow.
        BaselineMissing, BaselineDamaged: as for `load`, at that commit.
    """
    _place(folder, name)
    commit, target = repository.merge_base(folder)
    short = commit[:12]

    def fetch(file: str) -> bytes | None:
        return repository.content(folder, commit, f"{name}/{file}")

    found = decoded(fetch, f"{short}:{folder}/{name}", f"baseline {name} at {short}")
    if found is None:
        raise BaselineMissing(
            f"no baseline '{name}' in {folder} at {short}, where HEAD left {target}: "
            f"promote one and merge it into {target} first, or use pinned/{name}"
        )
    return found.snapshot


def demand_sound(run: Run, snapshot: Snapshot) -> None:
    """Refuse a run that others can't be judged by.

    Raises:
        NotPromotable: it is not finished, or a task has no number, no samples, items twice, or lost too many.
    """
    if not run.complete:
        raise NotPromotable(f"run {run.plan.run_id} is not finished: the same `assay run` again finishes it")
    faults = [fault for task in run.plan.tasks for fault in _faults(run, snapshot, task)]
    if faults or not run.plan.tasks:
        more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise NotPromotable(
            f"run {run.plan.run_id} can't be a baseline: {'; '.join(faults[:3]) or 'it has no tasks'}{more}. "
            "Mend that and run it again, or promote another run"
        )


def promote(
    run: Run,
    snapshot: Snapshot,
    folder: Path,
    name: str,
    reason: str,
    by: str,
    again: Snapshot | None = None,
    when: str = "",
) -> Path:
    """Make a run the baseline of a name, in the place of what had it; its folder.

    Args:
        run: what is promoted.
        snapshot: of it.
        folder: of all baselines.
        name: of letters, digits, '.', '_' and '-'.
        reason: why this run.
        by: whose decision it is.
        again: a second run of the same weights: where both differ is the noise of measuring, kept as `self_flips`.
        when: UTC, ISO 8601; by default now.

    Raises:
        NotPromotable: see `demand_sound`; no reason or nobody's; `again` is no second run of the same.
        WrongName: it has other characters.
    """
    place = _place(folder, name)
    if not reason.strip() or not by.strip():
        raise NotPromotable('a baseline needs a reason and someone who answers for it: --reason "…" --by NAME')
    demand_sound(run, snapshot)
    if again:
        snapshot = replace(snapshot, self_flips=_self_flips(snapshot, again))
    when = when or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    place.mkdir(parents=True, exist_ok=True)
    made = Baseline(snapshot=snapshot, by=by.strip(), reason=reason.strip(), when=when)
    for file, content in encoded(made).items():
        write(place / file, content)
    return place


def _place(folder: Path, name: str) -> Path:
    """A baseline's folder.

    Raises:
        WrongName: it is no name, but a path, say.
    """
    if not NAME.fullmatch(name):
        raise WrongName(f"no baseline can be called '{plain(name)}': use letters, digits, '.', '_' and '-'")
    return folder / name


def _faults(run: Run, snapshot: Snapshot, task: str) -> Iterable[str]:
    result, seen = run.results.get(task), snapshot.tasks.get(task)
    if result is None or result.value is None or not math.isfinite(result.value):
        why = "it was not measured" if result is None else result.message or result.status
        yield f"'{plain(task)}' has no value ({plain(why)})"
        return
    if seen is None or not seen.ids or not result.samples_sha256:
        yield f"'{plain(task)}' has no samples, only a number"
        return
    total, lost = sum(result.counts.values()), result.counts.get("infra_error", 0)
    if lost > MAX_INFRA_ERROR * total:
        yield f"the machine lost {lost} of {total} samples of '{plain(task)}', more than {MAX_INFRA_ERROR:.1%}"
    rows = pq.read_table(run.path / "samples" / f"{task}.parquet", columns=["doc_id", "draw"])
    twice = [i for i, n in Counter(zip(*(c.to_pylist() for c in rows.columns), strict=True)).items() if n > 1]
    if twice or list(seen.ids) != sorted(set(seen.ids)):
        yield f"'{plain(task)}' has items twice" + (f" ({plain(twice[0][0])})" if twice else "")


def _self_flips(first: Snapshot, second: Snapshot) -> dict[str, float]:
    """Share of items that the same weights, measured twice, scored otherwise, by task.

    Raises:
        NotPromotable: they are one run, or of other weights, or of other tasks.
    """
    twin = plain(second.run_id)
    if (first.run_id, first.created) == (second.run_id, second.created):
        raise NotPromotable(f"--again names {twin} itself: measure the checkpoint once more, under another --name")
    ours, theirs = (s.settings.get("model", "") for s in (first, second))
    if ours != theirs or not ours:
        raise NotPromotable(
            f"--again {twin} is of other weights ({plain(theirs)}) than {plain(first.run_id)} ({plain(ours)}): what "
            "differs would not be the noise of measuring; run the same checkpoint twice"
        )
    both = sorted(first.tasks.keys() & second.tasks.keys())
    changed = [t for t in both if first.tasks[t].fingerprint != second.tasks[t].fingerprint]
    if changed or not both:
        what = f"measured {plain(', '.join(changed[:3]))} otherwise" if changed else "has none of its tasks"
        raise NotPromotable(f"--again {twin} {what} (fingerprints differ); run the same command twice")
    flips = {t: _flipped(first.tasks[t], second.tasks[t]) for t in both}
    return {t: share for t, share in flips.items() if share is not None}


def _flipped(a: Measured, b: Measured) -> float | None:
    """Share of the items that both scored which differ; None without one."""
    _, left, right = np.intersect1d(a.ids, b.ids, assume_unique=True, return_indices=True)
    pairs = np.stack([a.scores[left], b.scores[right]])
    scored = pairs[:, ~np.isnan(pairs).any(axis=0)]
    return float((scored[0] != scored[1]).mean()) if scored.size else None
