"""What the index and the store say, as frames. No streamlit here: every function can be tested and used by itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from scipy import stats

from assay.harness import index, ranking, records
from assay.harness import index_tables as t
from assay.tasks.types import UserError

ALL_ROWS = "all rows"
Z = float(stats.norm.ppf(0.975))
"""Half a 95 % interval, in standard errors."""
SMALL = tuple(c for c in t.runs.c if c.name not in ("identity", "options", "environment"))
"""Columns of a run that tables and filters need; the rest is read for one run at a time."""


class SamplesUnreadable(UserError):
    """Samples of a run can't be read; the message names the file and the fault."""


@dataclass(frozen=True, slots=True)
class Source:
    """An index, the store it is of, and a stamp that changes whenever the index does."""

    engine: sa.Engine
    store: Path
    stamp: str

    def frame(self, statement: sa.Select[Any]) -> pd.DataFrame:
        """A query's rows; a column of numbers is one also where each of them is missing.

        Raises:
            IndexMissing: the index went away since it was opened.
        """
        with index.reading(self.engine) as db:
            rows = db.execute(statement)
            found = pd.DataFrame(list(map(tuple, rows)), columns=list(rows.keys()))
        numbers = [c.name for c in statement.selected_columns if isinstance(c.type, (sa.Float, sa.Integer))]
        return found.astype({name: float for name in numbers if found[name].dtype == object})

    def first(self, statement: sa.Select[Any]) -> dict[str, Any]:
        """A query's first row; {} where there is none. Raises as `frame` does."""
        with index.reading(self.engine) as db:
            return dict(db.execute(statement).mappings().first() or {})


def open_source(store: Path, url: str | None = None) -> Source:
    """The index of a store, opened read-only.

    Raises:
        IndexMissing: there is none, or one of another version; the message has the command that makes it.
    """
    engine = index.connect(store, url)
    return Source(engine, store, index.stamp(engine))


def runs(source: Source) -> pd.DataFrame:
    """One row a run, newest last."""
    return source.frame(sa.select(*SMALL).order_by(t.runs.c.created, t.runs.c.run_id))


def run(source: Source, run_id: str) -> dict[str, Any]:
    """Everything the index has of one run; {} where it has none."""
    return source.first(sa.select(t.runs).where(t.runs.c.run_id == run_id))


def results(
    source: Source, *, tasks: Iterable[str] | None = None, run_ids: Iterable[str] | None = None
) -> pd.DataFrame:
    """One row a run and task: value, interval, centred scores, n, status; of these tasks and runs, or of all."""
    c = t.results.c
    wanted = sa.select(
        *(c.run_id, c.task, c.status, c.fingerprint, c.version, c.value, c.stderr, c.low, c.high, c.method, c.n),
        *(c.centred_v1, c.centred_v2, c.truncated, c.sampled, c.higher_is_better, c.message, c.counts),
    )
    if tasks is not None:
        wanted = wanted.where(c.task.in_(list(tasks)))
    if run_ids is not None:
        wanted = wanted.where(c.run_id.in_(list(run_ids)))
    return source.frame(wanted.order_by(c.run_id, c.task))


def result(source: Source, run_id: str, task: str) -> dict[str, Any]:
    """Everything the index has of one task of one run; {} where it has none."""
    return source.first(sa.select(t.results).where(t.results.c.run_id == run_id, t.results.c.task == task))


def measured_tasks(source: Source) -> list[str]:
    """Tasks of which any run has a result, by name."""
    return list(source.frame(sa.select(t.results.c.task).distinct().order_by(t.results.c.task))["task"])


def tasks(source: Source) -> pd.DataFrame:
    """The registry's tasks, one row each."""
    return source.frame(sa.select(t.tasks).order_by(t.tasks.c.task))


def suites(source: Source) -> pd.DataFrame:
    """One row a suite and task, in the suite's order."""
    return source.frame(sa.select(t.suites).order_by(t.suites.c.suite, t.suites.c.position))


def composite_definitions(source: Source) -> pd.DataFrame:
    """name, suite and version of the baselines of each composite."""
    return source.frame(sa.select(t.suite_composites))


def marks(source: Source) -> pd.DataFrame:
    """What people say of results: run_id, task (a glob), kind, text, link, date."""
    return source.frame(sa.select(t.marks).order_by(t.marks.c.number))


def composites(source: Source, name: str | None = None, run_ids: Iterable[str] | None = None) -> pd.DataFrame:
    """Composites of runs: value, stderr, 95 % interval, the tasks that are missing; not their draws."""
    c = t.composites.c
    wanted = sa.select(c.run_id, c.name, c.value, c.stderr, c.missing, c.paired)
    wanted = wanted.where(c.name == name) if name else wanted
    wanted = wanted.where(c.run_id.in_(list(run_ids))) if run_ids is not None else wanted
    found = source.frame(wanted)
    found["low"] = found["value"] - Z * found["stderr"]
    found["high"] = found["value"] + Z * found["stderr"]
    return found


def composite_names(source: Source) -> list[str]:
    """Composites of which any run has a number, by name."""
    c = t.composites.c
    return list(source.frame(sa.select(c.name).where(c.value.is_not(None)).distinct().order_by(c.name))["name"])


def ranks(source: Source, composite: str, run_ids: Sequence[str]) -> pd.DataFrame:
    """Rank intervals of a composite among these runs, best first.

    Returns:
        run_id, rank_low, rank_high, tied (with the leader), resolution (towards the next run below), paired. Runs
        without the composite or without its error are not in it.
    """
    c = t.composites.c
    wanted = sa.select(c.run_id, c.value, c.draws, c.paired).where(c.name == composite, c.draws.is_not(None))
    found = source.frame(wanted.where(c.value.is_not(None)))
    found = found[found["run_id"].isin(run_ids)].sort_values(["value", "run_id"], ascending=[False, True])
    if found.empty:
        return pd.DataFrame(columns=["run_id", "rank_low", "rank_high", "tied", "resolution", "paired"])
    draws = np.stack([np.frombuffer(d, dtype="<f4") for d in found["draws"]])
    ranked = ranking.ranks(found["value"].to_numpy(dtype=float), draws)
    return pd.DataFrame(
        {
            "run_id": found["run_id"].to_numpy(),
            "rank_low": [r.low for r in ranked],
            "rank_high": [r.high for r in ranked],
            "tied": [r.tied for r in ranked],
            "resolution": [r.resolution for r in ranked],
            "paired": found["paired"].to_numpy(),
        }
    )


def samples(source: Source, run_id: str, task: str, columns: Sequence[str]) -> pd.DataFrame:
    """These columns of a task's samples, rows in the run's order; empty where the run has none.

    Raises:
        SamplesUnreadable: the index knows of samples that the store has no longer, or damaged.
    """
    found: pd.DataFrame = sample_table(source, run_id, task, columns).to_pandas()
    return found


def sample_table(source: Source, run_id: str, task: str, columns: Sequence[str], doc_id: str | None = None) -> pa.Table:
    """As `samples`, in Arrow; of one document, where it is given. Columns that the file lacks are null.

    `run_id` and `task` are looked up in the index first, so neither can name a file outside the store.
    """
    schema = pa.schema([records.SAMPLES.field(c) for c in columns])
    if not result(source, run_id, task).get("sampled"):
        return schema.empty_table()
    path = source.store / run_id / "samples" / f"{task}.parquet"
    only = None if doc_id is None else [("doc_id", "=", doc_id)]
    try:
        have = pq.read_schema(path).names
        found = pq.read_table(path, columns=[c for c in columns if c in have], filters=only, partitioning=None)
        for field in (f for f in schema if f.name not in have):
            found = found.append_column(field, pa.nulls(len(found), field.type))
        return found.select(list(columns)).cast(schema)
    except (OSError, pa.ArrowException) as error:
        why = str(error).splitlines()[0]
        raise SamplesUnreadable(f"{path}: {why}: put it back, then: assay reindex --store {source.store}") from None


def items(source: Source, run_id: str, task: str) -> pd.DataFrame:
    """Each scored document by its id: score (the mean over its draws), group, cluster."""
    found = samples(source, run_id, task, ("doc_id", "score", "group", "cluster")).dropna(subset="score")
    return found.groupby("doc_id").agg(score=("score", "mean"), group=("group", "first"), cluster=("cluster", "first"))
