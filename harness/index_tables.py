"""The index's tables. A cache of the run directories, which alone are the truth: delete it and `assay reindex`."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, Integer, LargeBinary, MetaData, String, Table, Text

SCHEMA = "1"
"""Of these tables. An index of another version is built anew."""
metadata = MetaData()


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, default="")


def _key(name: str) -> Column[str]:
    return Column(name, String(300), primary_key=True)


meta = Table("meta", metadata, _key("key"), _text("value"))
"""`schema`; `stamp`, another after every change; `built`, when; `assay`, by which version."""

runs = Table(
    "runs",
    metadata,
    _key("run_id"),
    _text("digest"),
    _text("label"),
    _text("series"),
    _text("family"),
    Column("step", BigInteger),
    Column("tokens", BigInteger),
    Column("parameters", BigInteger),
    Column("active_parameters", BigInteger),
    Column("flops", Float),
    _text("dataset"),
    _text("openness"),
    _text("licence"),
    _text("evidence"),
    _text("rows_asked"),
    Column("complete", Boolean, nullable=False),
    _text("created"),
    Column("n", BigInteger, nullable=False),
    Column("infra", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("wall_s", Float),
    Column("cost_usd", Float),
    _text("engine"),
    _text("dtype"),
    _text("assay_version"),
    Column("identity", JSON, nullable=False),
    Column("options", JSON, nullable=False),
    Column("environment", JSON, nullable=False),
    Column("notes", JSON, nullable=False),
    Column("links", JSON, nullable=False),
)
"""One row a run: `records.Plan` and what its tasks add up to.

`series` is the training run that a checkpoint belongs to. `evidence` is `measured`, `imported with samples` or
`aggregates only`. `rows_asked` is `all rows`, or which. `failed` counts samples that are neither right nor wrong by an
answer (timeouts, no answer, ...), `infra` those that the machine lost.
"""

results = Table(
    "results",
    metadata,
    _key("run_id"),
    _key("task"),
    _text("status"),
    _text("fingerprint"),
    Column("version", Integer, nullable=False),
    Column("value", Float),
    Column("stderr", Float),
    Column("low", Float),
    Column("high", Float),
    _text("method"),
    Column("n", BigInteger, nullable=False),
    Column("centred_v1", Float),
    Column("centred_v2", Float),
    Column("truncated", BigInteger, nullable=False),
    Column("sampled", Boolean, nullable=False),
    Column("higher_is_better", Boolean, nullable=False),
    _text("message"),
    Column("counts", JSON, nullable=False),
    Column("groups", JSON, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("checker", JSON, nullable=False),
    Column("usage", JSON, nullable=False),
    Column("wall", JSON, nullable=False),
)
"""One row a run and task: `records.TaskResult`. `sampled`: its samples are in the run directory."""

composites = Table(
    "composites",
    metadata,
    _key("run_id"),
    _key("name"),
    Column("value", Float),
    Column("stderr", Float),
    Column("missing", JSON, nullable=False),
    Column("paired", Boolean, nullable=False),
    Column("draws", LargeBinary),
)
"""One row a run and composite. `draws`: float32 bootstrap means of it (`ranking.resampled`), where every task has an
error; `paired` where they come from samples, not from published means."""

tasks = Table(
    "tasks",
    metadata,
    _key("task"),
    _text("kind"),
    _text("skill"),
    Column("shots", Integer, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("baseline_v1", Float),
    Column("baseline_v2", Float),
    _text("baseline_reason"),
    _text("mean"),
    _text("data"),
    _text("git_blob"),
    _text("rebuilt"),
    _text("url"),
    _text("licence"),
    Column("protected", Boolean, nullable=False),
)
"""The registry's tasks. Baselines are shares in [0, 1)."""

suites = Table(
    "suites",
    metadata,
    _key("suite"),
    Column("position", Integer, primary_key=True),
    _text("task"),
    _text("description"),
)
suite_composites = Table("suite_composites", metadata, _key("name"), _text("suite"), _text("baseline"))
marks = Table(
    "marks",
    metadata,
    Column("number", Integer, primary_key=True),
    _text("run_id"),
    _text("task"),
    _text("kind"),
    _text("text"),
    _text("link"),
    _text("date"),
)
"""What people say of a result, from the store's board.yaml: contamination with its evidence, or a note."""

OF_RUN = (results, composites)
OF_REGISTRY = (tasks, suites, suite_composites)
