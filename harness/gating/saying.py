"""A verdict in words, and the hashes of what it rests on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import date

from assay.harness import fingerprint
from assay.harness.gating.types import Config, Finding, Snapshot, Verdict, Waiver
from assay.harness.pairwise import UNDECIDED

LISTED = 5
WHY = UNDECIDED | {"identical answers": "identical answers on every item"}


def listed(names: Sequence[str]) -> str:
    """Some names, and how many more."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def points(value: float) -> str:
    """A difference of scores in percentage points."""
    return f"{100 * value:+.1f} points".replace("-", "−")


def reason(f: Finding, note: str, alpha: float) -> str:
    """Why the state is what it is."""
    delta, p = points(f.delta or 0.0), f.p_adjusted if f.p_adjusted is not None else 1.0
    worst = points(f.lower or 0.0)
    said = {
        "regressed": f"{delta}: Holm p {p:.2g} ≤ {alpha:g}, and at least {_size(f)}",
        "improved": f"{delta}, by more than chance and at least {_size(f)}",
        "minor": f"{delta}: more than chance, less than what blocks",
        "held": f"{delta}: at worst {worst}, within −{100 * f.margin:.1f}",
        "no_change_seen": f"{delta}: within chance",
        "inconclusive": f"{delta}: at worst {worst}; a drop of {100 * f.margin:.1f} points can't be ruled out",
    }[f.state]
    return f"{said}; {WHY[note]}" if note in WHY else said


def _size(f: Finding) -> str:
    """The second key, and where it comes from."""
    if f.noise is not None and f.margin < f.noise <= abs(f.delta or 0.0):
        return f"the {100 * f.noise:.1f} points that checkpoints scatter by"
    return f"{100 * f.margin:.1f} points"


def sentence(verdict: Verdict, findings: Sequence[Finding], candidate: Snapshot, anchors: Sequence[Snapshot]) -> str:
    """The verdict for people."""
    if not anchors:
        return f"Not measured: {candidate.name} could be compared with nothing."
    against = f"{candidate.name} against {' and '.join(a.name for a in anchors)}"
    block = [f for f in findings if f.tier == "block"]
    failing = list(dict.fromkeys(f.name for f in block if f.effect == "fail" and _same(f, verdict)))
    if verdict == "regressed":
        worst = min((f for f in block if f.effect == "fail" and f.state == "regressed"), key=lambda f: f.p or 0.0)
        return f"Regressed: {against} is worse on {listed(failing)}; clearest on {worst.name}, {worst.reason}."
    if verdict == "inconclusive":
        return f"Inconclusive: {against} can't be shown to hold {listed(failing)}."
    if verdict == "not_measured":
        what = f": {listed(failing)} could not be compared" if failing else ": nothing that blocks was compared"
        return f"Not measured: {against}{what}."
    better, waived = (
        list(dict.fromkeys(f.name for f in block if f.state == state and bool(f.waived) == (state == "regressed")))
        for state in ("improved", "regressed")
    )
    said = f"improved on {listed(better)}" if better else "no regression shown"
    said = f"regressed on {listed(waived)}, which is waived" if waived else said
    return f"Pass: {against}: {said} ({len(block)} checks that block)."


def _same(f: Finding, verdict: Verdict) -> bool:
    return f.state == verdict if verdict in ("regressed", "inconclusive") else f.state != "inconclusive"


def notes(
    config: Config, anchors: Sequence[Snapshot], candidate: Snapshot, findings: Sequence[Finding], today: date
) -> Iterator[str]:
    """What a reader must know beside the findings."""
    for anchor in anchors:
        a, b = anchor.settings, candidate.settings
        for name in config.warn_if_differs:
            if name in a and a.get(name) != b.get(name):
                yield f"{anchor.name} was measured with {name} {a.get(name)!r}, {candidate.name} with {b.get(name)!r}"
        if a.get("model") and a.get("model") == b.get("model"):
            yield f"{anchor.name} and {candidate.name} are the same weights"
    for w in config.waivers:
        if today > w.until:
            yield f"the waiver of {w.task} by {w.by} ended on {w.until}: it has no effect"
        elif not any(w.covers(f.name, today) for f in findings):
            yield f"the waiver of {w.task} by {w.by} covers nothing here"
    unknown = {f.name for f in findings if f.tier == "block" and f.delta is not None and f.noise is None}
    if unknown:
        yield (
            f"noise between checkpoints is unknown for {len(unknown)} of what blocks: fewer than {config.min_points} "
            "earlier checkpoints of this series are in the store; min_effect alone is the second key"
        )


def waiver(w: Waiver, today: date) -> Mapping[str, str]:
    """A waiver in force, for the report."""
    return {
        "task": w.task,
        "until": str(w.until),
        "days_left": str((w.until - today).days),
        "reason": w.reason,
        "by": w.by,
    }


def waived(w: Waiver) -> str:
    """A waiver in one sentence."""
    return f"waived by {w.by} until {w.until}: {w.reason}"


def rules(config: Config) -> str:
    """sha256 of the rules."""
    plain = asdict(config)
    plain["waivers"] = [dict(w) | {"until": str(w["until"])} for w in plain["waivers"]]
    return fingerprint.digest(plain)


def inputs(config: Config, anchors: Sequence[Snapshot], candidate: Snapshot) -> Mapping[str, str]:
    """sha256 of the rules and of every side's items."""
    sides = {f"anchor {i}: {a.run_id}": _digest(a) for i, a in enumerate(anchors)}
    return {"config": rules(config), **sides, f"candidate: {candidate.run_id}": _digest(candidate)}


def _digest(of: Snapshot) -> str:
    whole = hashlib.sha256()
    for name, task in sorted(of.tasks.items()):
        whole.update(f"{name}\0{task.fingerprint}\0".encode() + "\1".join(task.ids).encode() + task.scores.tobytes())
    return whole.hexdigest()
