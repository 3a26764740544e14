"""What people know of a model beside its numbers: the store's `board.yaml`, and what an import brought along."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import yaml
from annotated_types import Ge, Le
from pydantic import ConfigDict, TypeAdapter, ValidationError

from assay.harness.records import Plan
from assay.tasks.types import UserError

FILE = "board.yaml"
DAMAGED = "what the run says of its model is damaged, and left out"
Count = Annotated[int, Ge(0), Le(2**63 - 1)]
"""What a database holds."""
Amount = Annotated[float, Ge(0), Le(1e40)]
GENERIC = {
    "checkpoint",
    "checkpoints",
    "ckpt",
    "ckpts",
    "hf",
    "model",
    "models",
    "output",
    "outputs",
    "runs",
    "weights",
}
"""Folder names that say nothing of the training run below which they lie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Of one model or series; "" and None where nobody says.

    Attributes:
        flops: of training, as given; never estimated here.
        notes: shown beside every number of the run.
        links: http(s) addresses.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    series: str = ""
    family: str = ""
    dataset: str = ""
    openness: str = ""
    licence: str = ""
    parameters: Count | None = None
    active_parameters: Count | None = None
    tokens: Count | None = None
    flops: Amount | None = None
    notes: tuple[str, ...] = field(default=())
    links: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Facts of every run whose label, series or id matches a glob."""

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    match: str
    facts: Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What somebody says of a model's result on tasks: both are globs. `contamination` needs a link to its evidence."""

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    model: str
    task: str = "*"
    kind: Literal["contamination", "note"]
    text: str
    link: str = ""
    date: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A store's `board.yaml`."""

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    models: tuple[About, ...] = ()
    marks: tuple[Mark, ...] = ()


def read(store: Path) -> Known:
    """The store's `board.yaml`; nothing where there is none.

    Raises:
        UserError: it is no YAML, or says something that is not known here; names the place.
    """
    path = store / FILE
    if not path.is_file():
        return Known()
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        known = TypeAdapter(Known).validate_json(json.dumps(found, default=str, allow_nan=False))  # a date is a text
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(f"{path}: {where}: {first['msg']}; see docs/board.md") from None
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise UserError(f"{path}: not YAML: {error}") from None
    unproved = [m.model for m in known.marks if m.kind == "contamination" and not m.link]
    if unproved:
        raise UserError(f"{path}: contamination of '{unproved[0]}' needs a link to its evidence")
    return known


def of(plan: Plan, known: Known) -> Facts:
    """All that is known of a run: `board.yaml` first, then its import, then its plan."""
    said = asdict(brought(plan))
    said["series"] = said["series"] or series(plan)
    said |= {k: said[k] or count(getattr(plan.checkpoint, k)) for k in ("parameters", "tokens")}
    for about in known.models:
        if any(fnmatchcase(name, about.match) for name in (plan.checkpoint.label, plan.run_id, said["series"])):
            said |= {n: v for n, v in asdict(about.facts).items() if v not in ("", None, ())}
    return Facts(**said)


def brought(plan: Plan) -> Facts:
    """What an import says of its model; a note instead where that can't be read, for a run is anybody's file."""
    found = plan.environment.get("facts") or {}
    names = {f.name for f in dataclasses.fields(Facts)}
    try:
        said = {k: v for k, v in dict(found).items() if k in names}
        return TypeAdapter(Facts).validate_json(json.dumps(said))
    except (TypeError, ValueError, RecursionError):
        return Facts(notes=(DAMAGED,))


def count(value: object) -> int | None:
    """A number that a database holds; None of anything else."""
    return value if isinstance(value, int) and 0 <= value < 2**63 else None


def series(plan: Plan) -> str:
    """The training run of a checkpoint: its parent folder or Hub name, where it has a step; else its own label."""
    if plan.checkpoint.step is None:
        return plan.checkpoint.label
    _, _, place = str(plan.options.get("model", "")).partition(":")
    name, _, revision = place.partition("@")
    if revision:
        return name
    above = [part for part in PurePosixPath(place).parent.parts if part not in ("/", ".", "..")]
    shown = above[-2:] if above and above[-1].lower() in GENERIC else above[-1:]
    return "/".join(shown) or plan.checkpoint.label
