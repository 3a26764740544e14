"""Checkpoints of training runs as curves: where each stands, how sure it is, and which of them one line may join."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
import sqlalchemy as sa

from assay.harness import index_tables as t
from assay.harness import ranking
from assay.leaderboard import queries
from assay.leaderboard.queries import Source, Z
from assay.leaderboard.text import amount, number, plain

AXES: Mapping[str, str] = {"tokens": "training tokens", "step": "training step", "flops": "training FLOPs"}
FIRST = ("core_v2", "extended_v2", "core_v1", "extended_v1")
PANELS = 12
SERIES = 20
STEPS = 500
POINTS = 24_000
"""Of all panels together: what a page may weigh."""
SHOWN = 3
"""Panels where nobody chose."""
TRAILING = 3


def series(source: Source) -> pd.DataFrame:
    """Training runs of which a checkpoint's place is known: series, checkpoints; those with most first."""
    placed = _placed(queries.runs(source))
    counted = placed.groupby("series")["place"].nunique().rename("checkpoints").reset_index()
    return counted.sort_values(["checkpoints", "series"], ascending=[False, True], ignore_index=True)


def _placed(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs that say how far their training was.

    FLOPs are those given where each checkpoint has its own, else 6·N·D, N being the parameters that are active.
    """
    numbers = runs[["step", "tokens", "parameters", "active_parameters", "flops"]].astype(float)
    placed = runs.assign(**numbers, place=numbers["step"].fillna(numbers["tokens"])).dropna(subset="place")
    each = placed.groupby("series")[["flops", "place"]].transform("nunique")
    own = (each["flops"] == each["place"]) & placed["flops"].notna()
    estimate = 6 * placed["active_parameters"].fillna(placed["parameters"]) * placed["tokens"]
    return placed.assign(flops=placed["flops"].where(own, estimate), estimated=~own)


def scores(source: Source, chosen: Sequence[str]) -> list[str]:
    """Composites, then tasks, of which a checkpoint of these series has a number."""
    runs = queries.runs(source)
    ids = runs[runs["series"].isin(chosen)]["run_id"].tolist()
    c, r = t.composites.c, t.results.c
    named = source.frame(sa.select(c.name).distinct().where(c.run_id.in_(ids), c.value.is_not(None)))["name"]
    tasks = source.frame(sa.select(r.task).distinct().where(r.run_id.in_(ids), r.value.is_not(None)))["task"]
    return [n for n in FIRST if n in set(named)] + sorted(set(named) - set(FIRST)) + sorted(tasks)


def load(source: Source, chosen: Sequence[str], names: Sequence[str], axis: str) -> dict[str, pd.DataFrame]:
    """The frames of the page.

    Args:
        source: of the index.
        chosen: series.
        names: composites and tasks.
        axis: of `AXES`.

    Returns:
        `points`: one row a score and checkpoint, by score, line and place: score, series, run_id, label, step, x,
        value, low, high, rows_asked, line (what one line joins: same series, rows and questions), smooth (mean of
        the last three), noise_low and noise_high (95 %, with checkpoint noise).
        `lines`: one row a score and line: checkpoints, sd (checkpoint noise; null when unknown), left_out (older
        measurements at a place that has a newer one).
        `checkpoints`: one row a run of these series, by series and place.
    """
    runs = _placed(queries.runs(source))
    runs = runs[runs["series"].isin(chosen)].sort_values(["series", "place", "created"])
    runs = runs.assign(x=runs[axis].astype(float))[[*OF_RUN, "estimated"]]
    found = pd.concat([_of_tasks(source, runs["run_id"], names), _of_composites(source, runs["run_id"], names)])
    every = found.merge(runs[OF_RUN].dropna(subset="x"), on="run_id")
    every = every.assign(line=_lines(every), order=every["score"].map({name: i for i, name in enumerate(names)}))
    every = every.sort_values(["order", "line", "x", "created"], ignore_index=True)
    points = every.drop_duplicates(["score", "line", "x"], keep="last")
    by_line = points.groupby(["score", "line", "series"], sort=False)
    lines = pd.DataFrame([(*key, len(g), _noise(g)) for key, g in by_line], columns=LINE)
    points = points.merge(lines[["score", "line", "sd"]], on=["score", "line"])
    smooth = points.groupby(["score", "line"], sort=False)["value"].rolling(TRAILING).mean()
    half = Z * np.hypot(points["stderr"], points["sd"])
    share = points["share"].astype(bool)
    for side, end in (("noise_low", points["value"] - half), ("noise_high", points["value"] + half)):
        points[side] = end.where(~share, end.clip(0, 1))
    return {
        "points": points.assign(smooth=smooth.to_numpy()).drop(columns=["key", "created", "order", "share"]),
        "lines": lines.assign(left_out=len(every) - len(points)),
        "checkpoints": runs,
    }


OF_RUN = ["run_id", "series", "label", "step", "x", "rows_asked", "created"]
LINE = ["score", "line", "series", "checkpoints", "sd"]


def _noise(group: pd.DataFrame) -> float:
    noise = ranking.checkpoint_noise(group["x"], group["value"])
    return noise.sd if noise else np.nan


def _lines(points: pd.DataFrame) -> pd.Series:
    """Names of lines: numbered within a score's series where its checkpoints were asked different questions."""
    alike = ["score", "series", "rows_asked", "key"]
    distinct = points[alike].drop_duplicates()
    distinct = distinct.assign(number=distinct.groupby(["score", "series"]).cumcount())
    number = points[alike].merge(distinct, on=alike, how="left")["number"].to_numpy()
    suffix = pd.Series([f" · {n + 1}" if n else "" for n in number], index=points.index, dtype="str")
    return points["series"].astype("str") + suffix


def _of_tasks(source: Source, ids: Iterable[str], names: Sequence[str]) -> pd.DataFrame:
    c = t.results.c
    wanted = sa.select(
        *(c.run_id, c.task.label("score"), c.value, c.stderr, c.low, c.high),
        *(c.fingerprint.label("key"), c.higher_is_better.label("share")),
    )
    wanted = wanted.where(c.run_id.in_(list(ids)), c.task.in_(list(names)), c.value.is_not(None))
    return _numbers(source.frame(wanted))


def _of_composites(source: Source, ids: Iterable[str], names: Sequence[str]) -> pd.DataFrame:
    found = queries.composites(source, run_ids=ids)
    found = found[found["name"].isin(names) & found["value"].notna()].rename(columns={"name": "score"})
    suites = queries.suites(source).groupby("suite")["task"].agg(set)
    members = {r.name: suites.get(r.suite) for r in queries.composite_definitions(source).itertuples()}
    parts = []
    for name, rows in found.groupby("score"):
        asked = _asked(source, rows["run_id"].tolist(), members.get(str(name)))
        parts.append(rows.assign(key=rows["run_id"].map(asked).fillna(""), share=False))
    kept = ["run_id", "score", "value", "stderr", "low", "high", "key", "share"]
    return _numbers(pd.concat(parts)[kept] if parts else pd.DataFrame(columns=kept))


def _asked(source: Source, ids: Sequence[str], tasks: Collection[str] | None) -> pd.Series:
    """Each run's fingerprints of these tasks, or of all, as one text."""
    c = t.results.c
    wanted = sa.select(c.run_id, c.fingerprint).where(c.run_id.in_(ids)).order_by(c.run_id, c.task)
    wanted = wanted if tasks is None else wanted.where(c.task.in_(list(tasks)))
    return source.frame(wanted).groupby("run_id")["fingerprint"].agg(" ".join)


def _numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Scores as floats, also where a database knows only nulls."""
    return frame.astype(dict.fromkeys(("value", "stderr", "low", "high"), float))


def usual(offered: Sequence[str]) -> list[str]:
    """The scores that are shown where nobody chose: the first, without older versions of the same mean."""
    return [name for name in offered if not name.endswith("_v1")][:SHOWN] or list(offered[:SHOWN])


def thinned(points: pd.DataFrame, most: int) -> tuple[pd.DataFrame, int]:
    """Every k-th point of each line and its last, so that no line has more than about `most`; and k."""
    lines = points.groupby(["score", "line"])
    at, size = lines.cumcount(), lines["x"].transform("size")
    k = max(1, int(np.ceil(size.max() / most))) if len(points) else 1
    return points[(at % k == 0) | (at == size - 1)], k


def most_points(lines: int) -> int:
    """How many points of a line may be drawn, where there are so many lines."""
    return max(50, min(STEPS, POINTS // max(1, lines)))


def baselines(source: Source, names: Sequence[str]) -> dict[str, tuple[float, str]]:
    """What guessing scores, and why, of each score that has a baseline."""
    rows = queries.tasks(source).set_index("task")
    known = {
        n: (float(rows.at[n, "baseline_v2"]), str(rows.at[n, "baseline_reason"])) for n in names if n in rows.index
    }
    means = {*queries.composite_definitions(source)["name"], *(n for n in names if n.endswith(SKILL))}
    centred = dict.fromkeys(means & set(names), (0.0, CENTRED))
    return {n: b for n, b in known.items() if pd.notna(b[0])} | centred


SKILL = " (v2)"
"""Ends the name of a mean over a skill's tasks, centred as well."""
CENTRED = "a mean of centred scores is 0 where every task is guessed"


def said_of_points(points: pd.DataFrame, axis: str) -> str:
    """What the panels show, in words, for Markdown: of the first score where each line begins and ends."""
    first = points[points["score"] == points["score"].iloc[0]]
    ways = [_way(str(name), g) for name, g in first.sort_values("x").groupby("line", sort=False)]
    more = f"; and {len(ways) - NAMED} more" if len(ways) > NAMED else ""
    checkpoints = _counted(points["run_id"].nunique(), "checkpoint")
    runs = _counted(points["series"].nunique(), "training run")
    said = f"{checkpoints} of {runs} against {plain(axis)}."
    return f"{said} On {plain(points['score'].iloc[0])}, {'; '.join(ways[:NAMED])}{more}."


def _way(name: str, points: pd.DataFrame) -> str:
    begin, *_, end = [f"{number(p.value, 3)} at {amount(p.x)}" for p in points.iloc[[0, -1]].itertuples()]
    return f"{plain(name)} goes from {begin} to {end}" if len(points) > 1 else f"{plain(name)} stands at {end}"


NAMED = 3


def said_of_lines(lines: pd.DataFrame, k: int, at_zero: int) -> list[str]:
    """What of the checkpoints is not drawn, or not joined, and why."""
    said = []
    apart = lines.groupby(["score", "series"])["line"].nunique().gt(1).any()
    if apart:
        said.append(
            "Checkpoints that were asked other rows or questions than their neighbours are not joined by a line."
        )
    if k > 1:
        said.append(f"One checkpoint in {k} is drawn, and the last; the table and the downloads have all.")
    if len(lines) and lines["left_out"].iloc[0]:
        said.append("Of a checkpoint that was measured twice on the same rows, the newer measurement is shown.")
    if at_zero:
        said.append(f"{_counted(at_zero, 'point')} at 0 can't be on a log axis and are left out.")
    return said


def said_of_guessing(known: tuple[float, str] | None) -> str:
    """What guessing scores and why, for Markdown."""
    return f"Guessing (dotted) {known[0]:.3f}: {plain(known[1])}." if known else "No baseline is known."


def said_of_noise(lines: pd.DataFrame) -> str:
    """The noise between checkpoints of each line of one score, in words, for Markdown."""
    if lines["sd"].isna().all():
        return f"Checkpoint noise unknown below {ranking.FEW_POINTS} points."
    known = lines.dropna(subset="sd")
    sds = [f"{r.sd:.4f}" + (f" ({plain(r.line)})" if len(lines) > 1 else "") for r in known.itertuples()]
    more = f" and {len(sds) - NAMED} more" if len(sds) > NAMED else ""
    return f"Checkpoint noise (SD about the trend) {', '.join(sds[:NAMED])}{more}."


def numbers(points: pd.DataFrame, axis: str) -> pd.DataFrame:
    """The points as people and spreadsheets read them."""
    kept = ["series", "label", "run_id", "x", "score", "value", "low", "high", "noise_low", "noise_high", "smooth"]
    names = {"label": "checkpoint", "x": axis, "smooth": f"mean of {TRAILING}", "rows_asked": "rows"}
    return points[[*kept, "rows_asked"]].rename(columns=names)


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}" + ("" if n == 1 else "s")
