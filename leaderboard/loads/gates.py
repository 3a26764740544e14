"""What gates have said of checkpoints: read from the history's own files, so that a new verdict is there at once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from assay.harness.files import StoreError
from assay.harness.gating import history, wording
from assay.harness.gating.types import Finding, Report, Side, Verdict
from assay.leaderboard.text import address, plain

VERDICTS: Mapping[Verdict, str] = {
    v: " ".join(wording.VERDICTS[v]) for v in ("regressed", "inconclusive", "not_measured", "pass")
}
"""A verdict as a mark and a word, the worst first."""
STATES: Mapping[str, str] = {state: " ".join(said) for state, said in wording.STATES.items()}
"""A finding's state as a mark and a word, the worst first."""
KEPT = 20_000
"""Verdicts whose summary is kept, so that a new one costs the reading of one file."""
ROW = (
    *("key", "created", "gate", "verdict", "candidate", "run_id", "series", "step", "baseline", "baseline_run"),
    *("blocking", "watched", "exit_code", "seconds", "alpha", "tests", "sentence", "failing", "waivers"),
)


@dataclass(frozen=True, slots=True)
class Past:
    """A store's gate history, and a stamp that changes whenever it does."""

    store: Path
    stamp: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """A history as rows.

    Attributes:
        table: of ROW, newest first; `failing` holds (name, difference) of what regressed and failed the build.
        left_out: why, by key, of files that can't be read.
    """

    table: pd.DataFrame
    left_out: Mapping[str, str]


def past(store: Path) -> Past:
    """The history of a store as it is now."""
    stamps = [f"{path} {_stamp(path)}" for path in history.paths(store)]
    return Past(store, hashlib.sha256("\n".join(stamps).encode(errors="replace")).hexdigest())


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:  # removed meanwhile
        return 0, 0
    return found.st_mtime_ns, found.st_size


def load(of: Past) -> Verdicts:
    """Every verdict, newest first."""
    rows: list[dict[str, Any]] = []
    left_out = {}
    for path in history.paths(of.store):
        found = _summary(path, _stamp(path))
        if isinstance(found, str):
            left_out[history.key(path)] = found
        else:
            rows.append(found)
    return Verdicts(table=pd.DataFrame(rows, columns=list(ROW)), left_out=left_out)


@lru_cache(maxsize=KEPT)
def _summary(path: Path, stamp: tuple[int, int]) -> dict[str, Any] | str:
    """One verdict as a row of the table; the fault where it can't be read. `stamp` changes when the file does."""
    try:
        said = history.read_file(path)
    except StoreError as error:
        return str(error)
    base = said.anchors[0] if said.anchors else Side(name="", run_id="")
    shown, others = wording.split(said)
    return {
        "key": history.key(path),
        "created": said.created,
        "gate": said.gate,
        "verdict": said.verdict,
        "candidate": said.candidate.label or said.candidate.name,
        "run_id": said.candidate.run_id,
        "series": said.candidate.series,
        "step": said.candidate.step,
        "baseline": base.name,
        "baseline_run": base.run_id,
        "blocking": _tally(shown),
        "watched": _tally(others),
        "exit_code": said.exit_code,
        "seconds": said.seconds,
        "alpha": said.alpha,
        "tests": said.tests,
        "sentence": said.sentence,
        "failing": tuple((f.name, f.delta) for f in said.findings if (f.effect, f.state) == ("fail", "regressed")),
        "waivers": tuple({str(k): str(v) for k, v in w.items()} for w in said.waivers),
    }


def _tally(found: Sequence[Finding]) -> str:
    """How many are in each state, the worst first, and how many people waived."""
    waived = sum(bool(f.waived) for f in found)
    return wording.tally(found) + (f" ({waived} waived)" if waived else "")


def report(of: Past, key: str) -> Report:
    """One verdict in full; `key` is one of the table's.

    Raises:
        StoreError: its file can't be read, or is gone.
    """
    path = next((p for p in history.paths(of.store) if history.key(p) == key), None)
    if path is None:
        raise StoreError(f"{key}: no such verdict in {of.store / history.FOLDER}")
    return history.read_file(path)


FINDINGS = (
    *("name", "kind", "state", "effect", "tier", "mode", "anchor", "base", "value", "delta", "low", "high", "margin"),
    *("p", "p_adjusted", "mde", "noise", "self_flips", "lost", "gained", "n", "test", "reason", "waived"),
)
NUMBERS = ("base", "value", "delta", "low", "high", "margin", "p", "p_adjusted", "mde", "noise", "self_flips")


def findings(said: Sequence[Finding]) -> pd.DataFrame:
    """A row a task or composite and anchor, as they come; `said` is the state in words."""
    rows = [[getattr(f, name) for name in FINDINGS] for f in said]
    found = pd.DataFrame(rows, columns=list(FINDINGS)).astype(dict.fromkeys(NUMBERS, float))
    return found.assign(said=[wording.state(f) for f in said], word=[STATES[f.state] for f in said])


def drawable(found: pd.DataFrame) -> pd.DataFrame:
    """The findings that have a difference, under names that differ: with the anchor, where a task has several."""
    known = found.dropna(subset="delta")
    twice = known["name"].duplicated(keep=False)
    return known.assign(name=known["name"].where(~twice, known["name"] + " · " + known["anchor"]))


def listed(found: pd.DataFrame, said: Report) -> pd.DataFrame:
    """Findings as people read them, differences in percentage points."""
    runs = {a.name: a.run_id for a in said.anchors}
    points = {n: 100 * found[n] for n in ("delta", "low", "high", "margin", "mde", "noise")}
    frame = found[["name", "said", "effect", "tier", "anchor", "base", "value", "lost", "gained", "n", "p_adjusted"]]
    frame = frame.assign(**points, self_flips=found["self_flips"], why=found["reason"], waived=found["waived"])
    frame["samples"] = [
        address("samples", {"a": runs.get(r.anchor), "b": said.candidate.run_id, "task": r.name, "show": _way(r)})
        if r.kind == "task" and r.lost + r.gained
        else ""
        for r in found.itertuples()
    ]
    return frame[list(LISTED)].rename(columns=dict(LISTED))


LISTED: Mapping[str, str] = {
    "name": "task",
    "said": "state",
    "effect": "does",
    "tier": "tier",
    "anchor": "against",
    "base": "baseline",
    "value": "candidate",
    "delta": "difference",
    "low": "from",
    "high": "to",
    "margin": "margin",
    "p_adjusted": "p, Holm",
    "lost": "lost",
    "gained": "gained",
    "n": "items",
    "samples": "samples",
    "mde": "MDE",
    "noise": "noise",
    "self_flips": "self-flips",
    "why": "why",
    "waived": "waived",
}


def _way(row: Any) -> str:
    return "lost" if row.lost else "gained"


def sides(said: Report) -> pd.DataFrame:
    """Who stood on which side."""
    rows = [("candidate", said.candidate), *(("baseline" if i == 0 else "also", a) for i, a in enumerate(said.anchors))]
    columns = ("name", "run_id", "label", "series", "step", "created", "averaged")
    found = [(side, *("" if getattr(s, c) is None else str(getattr(s, c)) for c in columns)) for side, s in rows]
    return pd.DataFrame(found, columns=["side", *columns])


def presented(table: pd.DataFrame) -> pd.DataFrame:
    """Verdicts as people read them, with the ways on."""
    named = zip(table["run_id"], table["candidate"], strict=True)
    pairs = zip(table["baseline_run"], table["run_id"], strict=True)
    return pd.DataFrame(
        {
            "time": table["created"].map(minute),
            "gate": table["gate"],
            "verdict": table["verdict"].map(VERDICTS),
            "candidate": [address("model", {"id": run_id}) + "#" + label for run_id, label in named],
            "baseline": table["baseline"],
            "compare": [address("compare", {"a": a, "b": b}) if a else "" for a, b in pairs],
            "blocks": table["blocking"],
            "others": table["watched"],
            "exit code": table["exit_code"],
            "seconds": table["seconds"].astype(float),
        }
    )


def bare(table: pd.DataFrame) -> pd.DataFrame:
    """Verdicts as plain tables and spreadsheets have them: names instead of ways on, and all numbers."""
    more = table[["candidate", "run_id", "baseline_run", "alpha", "tests"]]
    return presented(table).drop(columns=["compare", "candidate"]).assign(time=table["created"]).join(more)


def said_of(table: pd.DataFrame) -> str:
    """Verdicts in words, for Markdown: how many of each, and the newest."""
    counts, newest = table["verdict"].value_counts(), table.iloc[0]
    each = ", ".join(f"{counts[v]:,} {wording.VERDICTS[v][1]}" for v in VERDICTS if v in counts)
    last = f"{plain(newest['candidate'])}, {wording.VERDICTS[newest['verdict']][1]}"
    return f"{counted(len(table), 'verdict')}: {each}. The newest is of {plain(minute(newest['created']))}: {last}."


def minute(created: str) -> str:
    """A time as people read it."""
    return created[:16].replace("T", " ")


def counted(n: int, what: str) -> str:
    """One verdict, two verdicts."""
    return f"{n:,} {what}" + ("" if n == 1 else "s")


def waivers(table: pd.DataFrame, today: date) -> pd.DataFrame:
    """What each gate's newest verdict says is waived: gate, task, until, days_left (below 0 once ended), reason, by."""
    newest = table.drop_duplicates("gate")
    rows = [
        (
            r.gate,
            w.get("task", ""),
            w.get("until", ""),
            _days(w.get("until", ""), today),
            w.get("reason", ""),
            w.get("by", ""),
        )
        for r in newest.itertuples()
        for w in r.waivers
    ]
    found = pd.DataFrame(rows, columns=["gate", "task", "until", "days_left", "reason", "by"])
    return found.sort_values(["days_left", "gate", "task"], ignore_index=True)


def _days(until: str, today: date) -> int | None:
    try:
        return (date.fromisoformat(until) - today).days
    except ValueError:
        return None


def again(table: pd.DataFrame) -> int:
    """How many checkpoints one gate judged more than once."""
    return int((table.groupby(["gate", "run_id"]).size() > 1).sum())


def blocked(of: Past) -> pd.DataFrame:
    """Where gates blocked, a row a failing score: gate, created, run_id, series, step, score, delta; newest first.

    `score` is "" in one more row a verdict, which stands for the gate as a whole.
    """
    table = load(of).table
    rows = [
        (r.gate, r.created, r.run_id, r.series, r.step, score, delta)
        for r in table[table["verdict"] == "regressed"].itertuples()
        for score, delta in (("", None), *r.failing)
    ]
    found = pd.DataFrame(rows, columns=["gate", "created", "run_id", "series", "step", "score", "delta"])
    found = found.drop_duplicates(["gate", "run_id", "score"], ignore_index=True)
    return found.astype({"step": float, "delta": float})
