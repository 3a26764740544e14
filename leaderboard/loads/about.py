"""What the About page says of this board: counts, licences, versions, baselines that changed."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import pandas as pd
import sqlalchemy as sa

from assay.harness import __version__
from assay.harness import index_tables as t
from assay.leaderboard import queries
from assay.leaderboard.queries import Source

PACKAGES = ("streamlit", "altair", "pandas", "scipy", "statsmodels", "sqlalchemy")
DISPUTED = "Mistral-7B-v0.3"
"""Its EXTENDED v2 is 57.0 in DCLM's table and 44.0 by DCLM's own numbers."""
LEVELS = {
    "measured": "assay asked the model and has every sample: each number can be recomputed from them",
    "imported with samples": "another tool asked the model; its samples are here and its numbers were recomputed",
    "aggregates only": "published numbers without samples: never a flip, a paired test or an item here",
    "no samples": "a run that has finished no task yet",
}
"""What each evidence level means."""


def counts(source: Source) -> dict[str, int]:
    """How much this board holds."""
    runs = queries.runs(source)
    c = t.results.c
    wanted = sa.select(c.task, sa.func.count(c.value).label("results")).where(c.value.is_not(None)).group_by(c.task)
    found = source.frame(wanted)
    return {
        "runs": len(runs),
        "training runs": int(runs["series"].nunique()),
        "tasks with results": len(found),
        "results": int(found["results"].sum()),
        "items answered": int(runs["n"].sum()),
    }


def evidence(source: Source) -> pd.DataFrame:
    """Runs of each evidence level, and what it means."""
    have = queries.runs(source)["evidence"].value_counts()
    return pd.DataFrame([(level, int(have.get(level, 0)), said) for level, said in LEVELS.items()], columns=_EVIDENCE)


_EVIDENCE = ["evidence", "runs", "means"]


def licences(source: Source) -> pd.DataFrame:
    """Licences of the benchmark data, with the tasks that are under each."""
    tasks = queries.tasks(source)
    found = tasks.groupby("licence")["task"].agg(tasks="size", names=", ".join).reset_index()
    return found.sort_values(["tasks", "licence"], ascending=[False, True], ignore_index=True)


def changed_baselines(source: Source) -> pd.DataFrame:
    """Tasks whose guess is another in the two versions of the baselines, and why."""
    tasks = queries.tasks(source)
    moved = tasks[tasks["baseline_v1"].astype(float) != tasks["baseline_v2"].astype(float)].dropna(subset="baseline_v2")
    kept = moved[["task", "baseline_v1", "baseline_v2", "baseline_reason"]]
    return kept.rename(columns={"baseline_v1": "v1", "baseline_v2": "v2", "baseline_reason": "reason"})


def versions(source: Source) -> pd.DataFrame:
    """What made this page, and when its index was built."""
    meta = source.frame(sa.select(t.meta.c.key, t.meta.c.value)).set_index("key")["value"]
    rows = [
        ("assay", __version__),
        ("index built", meta.get("built", "")),
        ("index built by assay", meta.get("assay", "")),
        ("index schema", f"{meta.get('schema', '')}, {source.engine.dialect.name}"),
        ("runs measured with assay", ", ".join(sorted(set(queries.runs(source)["assay_version"])))),
        ("Python", platform.python_version()),
        *((name, _version(name)) for name in PACKAGES),
    ]
    return pd.DataFrame(rows, columns=["what", "version"])


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def disputed(source: Source) -> float | None:
    """EXTENDED v2 of the model whose published number contradicts itself, if it was imported here."""
    r, c = t.runs.c, t.composites.c
    wanted = sa.select(c.value).join(t.runs, r.run_id == c.run_id).where(c.name == "extended_v2", c.value.is_not(None))
    found = source.frame(wanted.where(r.label.contains(DISPUTED, autoescape=True), r.evidence == "aggregates only"))
    return float(found["value"].iloc[0]) if len(found) else None
