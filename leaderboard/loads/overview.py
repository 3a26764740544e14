"""The overview's table without its page: what it shows, of whom, in which order, filtered by what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import pandas as pd

from assay.leaderboard import queries
from assay.leaderboard.queries import ALL_ROWS, Source
from assay.leaderboard.text import address, amount

ELSEWHERE = "tasks of no suite"
HEADLINES = (
    *("mmlu_fewshot", "mmlu", "gsm8k", "humaneval_plus", "bigcodebench_complete", "arc_challenge", "hellaswag"),
    *("lambada_openai", "squad", "jeopardy", "boolq", "winogrande", "gsm8k_cot"),
)
"""Tasks whose columns are shown first, where the suite has them."""
SHOWN = 8
SELDOM = ("without", "step", "marks", "notes")
"""Columns that are left out where no row has anything in them."""
LIMIT = 2_000
"""Rows sent at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A table to show: a suite, and the composite over it where there is one."""

    name: str
    suite: str
    composite: str
    baseline: str


def boards(source: Source) -> list[Board]:
    """What has results: composites first, then suites, then tasks that belong to none."""
    suites, definitions = queries.suites(source), queries.composite_definitions(source)
    have = set(queries.measured_tasks(source))
    made = [
        Board(name=r.name, suite=r.suite, composite=r.name, baseline=r.baseline)
        for r in definitions.itertuples()
        if have & set(suites[suites["suite"] == r.suite]["task"])
    ]
    made.sort(key=lambda b: (b.name != "core_v2", b.name != "extended_v2", b.name))
    taken = {b.suite for b in made}
    for suite, rows in suites.groupby("suite"):
        if suite not in taken and have & set(rows["task"]):
            made.append(Board(name=str(suite), suite=str(suite), composite="", baseline="v2"))
    if have - set(suites["task"]):
        made.append(Board(name=ELSEWHERE, suite="", composite="", baseline="v2"))
    return made


def load(source: Source, board: Board, score: str) -> dict[str, pd.DataFrame]:
    """The frames of the page: `table`, one row a run that has any of the board's tasks; `tasks`, a column's worth each.

    Args:
        source: of the index.
        board: one of `boards`.
        score: `centred` or `raw`, of the tasks' columns.
    """
    runs = queries.runs(source)
    names = [name for name in tasks_of(source, board) if name not in runs]
    found = queries.results(source, tasks=names)
    column = f"centred_{board.baseline}" if score == "centred" else "value"
    wide = found.pivot(index="run_id", columns="task", values=column).reindex(columns=names)
    table = runs.drop(columns=["infra", "failed"]).merge(wide, left_on="run_id", right_index=True)
    found["infra"] = [c.get("infra_error", 0) for c in found["counts"]]
    found["failed"] = [sum(n for s, n in c.items() if s not in ("ok", "infra_error")) for c in found["counts"]]
    sums = found.groupby("run_id").agg(items=("n", "sum"), infra=("infra", "sum"), failed=("failed", "sum"))
    table = table.merge(sums, left_on="run_id", right_index=True, how="left")
    for name in filter(None, (board.composite, beside(board.composite))):
        one = queries.composites(source, name).drop(columns=["name", "paired"]).set_index("run_id")
        table = table.join(one.add_prefix(f"{name} "), on="run_id")
    noted = _marks(source, names)
    table["marks"] = [noted.get(run_id, "") for run_id in table["run_id"]]
    versions = found[found["value"].notna()].groupby("task")["version"].agg(lambda v: sorted(set(v)))
    mixed = versions[versions.map(len) > 1].rename("versions").reset_index()
    table = _with_ranks(source, table.reset_index(drop=True), board)
    return {"table": table, "tasks": pd.DataFrame({"task": names}), "mixed": mixed}


def _marks(source: Source, tasks: Sequence[str]) -> dict[str, str]:
    """Contamination of the board's tasks, by run."""
    found: dict[str, str] = {}
    marked = queries.marks(source)
    for mark in marked[marked["kind"] == "contamination"].itertuples():
        if any(fnmatchcase(task, mark.task) for task in tasks):
            said = f"{mark.task}: {mark.text}"
            found[mark.run_id] = f"{found[mark.run_id]}; {said}" if mark.run_id in found else said
    return found


def _with_ranks(source: Source, table: pd.DataFrame, board: Board) -> pd.DataFrame:
    """The table with rank intervals among the runs that asked the same rows, best first; then those without a rank."""
    if not board.composite:
        return table.assign(rank="", tied=False, leads=False, resolution=None)
    groups = table["rows_asked"].unique().tolist()
    ranked_rows = ALL_ROWS if ALL_ROWS in groups or not groups else groups[0]
    among = table[table["rows_asked"] == ranked_rows]["run_id"].tolist()
    ranks = queries.ranks(source, board.composite, among).set_index("run_id")
    leader = ranks.index[0] if len(ranks) else ""
    table = table.join(ranks, on="run_id")
    pairs = zip(table["rank_low"], table["rank_high"], strict=True)
    table["rank"] = ["" if pd.isna(a) else f"{a:.0f}" if a == b else f"{a:.0f}–{b:.0f}" for a, b in pairs]
    table["tied"] = table["tied"].eq(True)
    table["leads"] = table["run_id"] == leader
    table["unranked"] = table["rank"] == ""
    order = ["unranked", f"{board.composite} value"]
    return table.sort_values(order, ascending=[True, False], na_position="last", kind="stable")


def tasks_of(source: Source, board: Board) -> list[str]:
    """The board's tasks that any run has measured, in the suite's order."""
    have = queries.measured_tasks(source)
    suites = queries.suites(source)
    if board.suite:
        return [name for name in suites[suites["suite"] == board.suite]["task"] if name in set(have)]
    return [name for name in have if name not in set(suites["task"])]


def beside(composite: str) -> str:
    """EXTENDED stands beside CORE, and CORE beside EXTENDED, of the same version."""
    name, _, version = composite.rpartition("_")
    return {"core": f"extended_{version}", "extended": f"core_{version}"}.get(name, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """One active filter: what it is called, which rows it keeps, and how it is put back.

    Attributes:
        key: of the widget and the address.
        off: its value when it filters nothing.
    """

    key: str
    said: str
    keep: pd.Series
    off: Any


def apply(table: pd.DataFrame, filters: Sequence[Filter]) -> pd.DataFrame:
    """The rows that every filter keeps."""
    keep = pd.Series(True, index=table.index)
    for f in filters:
        keep &= f.keep
    return table[keep]


def searched(table: pd.DataFrame, text: str) -> pd.Series:
    """Rows whose model, series, family or data contain every word of the search."""
    if table.empty:
        return pd.Series(True, index=table.index)
    hay = table[["label", "series", "family", "dataset"]].fillna("").agg(" ".join, axis=1).str.lower()
    keep = pd.Series(True, index=table.index)
    for word in text.lower().split():
        keep &= hay.str.contains(word, regex=False)
    return keep


def last_of_series(table: pd.DataFrame) -> pd.Series:
    """The last checkpoint of each series, by step."""
    last = table.fillna({"step": -1}).groupby("series")["step"].transform("max")
    return table["step"].fillna(-1) == last


def ways_on(picked: Sequence[str]) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Where the selected runs can be looked at: title, page, parameters."""
    if len(picked) == 1:
        return [("Open this run", "model", {"id": picked[0]})]
    if len(picked) == 2:
        return [("Compare the two", "compare", {"a": picked[1], "b": picked[0]})]
    return []


def presented(shown: pd.DataFrame, board: Board, columns: Sequence[str]) -> pd.DataFrame:
    """The columns that people read."""
    frame = pd.DataFrame({"rank": shown["rank"]}) if board.composite else pd.DataFrame(index=shown.index)
    named = zip(shown["run_id"], shown["label"], strict=True)
    frame["model"] = [address("model", {"id": run_id}) + "#" + label for run_id, label in named]
    if board.composite:
        value, error = shown[f"{board.composite} value"], shown[f"{board.composite} stderr"]
        frame[board.composite] = value
        frame["95 % ±"] = queries.Z * error
        frame["resolution"] = shown["resolution"]
        frame["without"] = [missing(m) for m in shown[f"{board.composite} missing"]]
        other = beside(board.composite)
        if other:
            frame[other] = shown[f"{other} value"]
    frame["step"] = shown["step"].map(lambda s: "" if pd.isna(s) else f"{s:.0f}")
    frame["tokens"] = shown["tokens"].map(amount)
    frame["parameters"] = shown["parameters"].map(amount)
    for name in columns:
        frame[name] = shown[name]
    frame["items"] = shown["items"]
    frame["failed"] = shown["failed"]
    frame["lost"] = shown["infra"]
    frame["rows"] = shown["rows_asked"]
    frame["evidence"] = shown["evidence"]
    frame["marks"] = shown["marks"]
    frame["notes"] = shown["notes"].map(lambda n: "; ".join(n) if isinstance(n, list) else "")
    frame["date"] = shown["created"].str[:10]
    return frame.drop(columns=[c for c in SELDOM if c in frame and not frame[c].astype(bool).any()])


def missing(tasks: object) -> str:
    """The tasks without which a composite is N/A, in few words."""
    if not isinstance(tasks, list) or not tasks:
        return ""
    return f"N/A: {', '.join(tasks[:3])}" + (f" and {len(tasks) - 3} more" if len(tasks) > 3 else "")


def exported(shown: pd.DataFrame, board: Board, columns: Sequence[str]) -> pd.DataFrame:
    """What a download holds: the rows and columns shown, names and numbers bare."""
    frame = presented(shown, board, columns).drop(columns=["model", "95 % ±"] if board.composite else ["model"])
    frame.insert(0, "run_id", shown["run_id"])
    frame.insert(1, "label", shown["label"])
    if board.composite:
        frame["stderr"] = shown[f"{board.composite} stderr"]
        frame["low"], frame["high"] = shown[f"{board.composite} low"], shown[f"{board.composite} high"]
    return frame.assign(tokens=shown["tokens"], parameters=shown["parameters"])
