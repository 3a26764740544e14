"""What DCLM says of the models that were evaluated: in its models JSON, its database and its README."""

from __future__ import annotations

import contextlib
import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assay.harness.interchange.imported import MOST_COUNT, ForeignFile, content, count, parse, plain

FAMILIES: Mapping[str, tuple[str, str]] = {
    "Qwen": ("Qwen", "open weights"),
    "deepseek-ai": ("DeepSeek", "open weights"),
    "google": ("Gemma", "open weights"),
    "huggyllama": ("Llama", "open weights"),
    "meta-llama": ("Llama", "open weights"),
    "microsoft": ("Phi", "open weights"),
    "mistralai": ("Mistral", "open weights"),
    "mosaicml": ("MPT", "open weights"),
    "LLM360": ("LLM360", "open data"),
    "allenai": ("OLMo", "open data"),
    "m-a-p": ("MAP-Neo", "open data"),
    "tiiuae": ("Falcon", "open data"),
    "togethercomputer": ("RedPajama-INCITE", "open data"),
}
"""Of public models, by owner: family, and what is open."""
CORPORA: Mapping[str, str] = {
    "c4_original": "C4",
    "dolma": "Dolma",
    "fineweb_edu": "FineWeb-Edu",
    "rpj": "RedPajama",
    "rw_original": "RefinedWeb",
    "RW_orig": "RefinedWeb",
}
"""Families of DCLM's own models, by how the name of their data begins; all others are trained on data of DCLM's own."""
OWN = "DCLM"
README: Mapping[str, tuple[float, float | None]] = {
    "Qwen/Qwen2-7B": (7, None),
    "allenai/OLMo-1.7-7B-hf": (7, 2_100),
    "deepseek-ai/deepseek-llm-7b-base": (7, 2_000),
    "google/gemma-7b": (8, 6_000),
    "m-a-p/neo_7b": (7, 4_500),
    "meta-llama/Llama-2-7b-hf": (7, 2_000),
    "meta-llama/Meta-Llama-3-8B": (8, 15_000),
    "mistralai/Mistral-7B-v0.3": (7, None),
    "open_lm_dclm_7b_8k": (7, 2_600),
    "tiiuae/falcon-7b": (7, 1_000),
}
"""Parameters and tokens, in billions, of models that have no file of their own (README of mlfoundations/dclm)."""
ROUNDED = "parameters and tokens as DCLM's README rounds them"
CONTRADICTIONS: Mapping[str, str] = {
    "mistralai/Mistral-7B-v0.3": "DCLM's README (361714b) shows EXTENDED v2 as 57.0; its own file gives "
    "{Extended_v2:.1f}, and {aggregated_results:.1f} as the mean of the accuracies, not centred",
    "microsoft/Phi-3-medium-128k-instruct": "DCLM's README lists these numbers under 'Phi-3', 7B. The file is of "
    "Phi-3-medium, which has 14B",
}
"""Where DCLM's own pages disagree with its files, in percent of the file's numbers."""
NAMED = re.compile(r"^(?P<data>.+?)-(?:open_lm_|d=\d)")
"""A model of DCLM's, as its scripts name it: data, architecture, settings."""
TOKENS = re.compile(r"-tokens=(\d+)")
DULL = re.compile(r"-(?:warm|bs|seed|tokens)=\d+|-cd=[\d.]+(?:e-\d+)?")
"""Settings in such a name that a label can do without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One model."""

    dataset: str = ""
    parameters: int | None = None
    tokens: int | None = None
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """All that were read, by uuid and by name of a file."""

    by_uuid: Mapping[str, Record] = field(default_factory=dict)
    by_name: Mapping[str, Record] = field(default_factory=dict)

    def find(self, uuid: Any, *names: str) -> Record | None:
        """By uuid, else by the first name that is known."""
        found = self.by_uuid.get(uuid) if isinstance(uuid, str) else None
        return found or next((self.by_name[n] for n in names if n in self.by_name), None)


def read(folder: Path | None, database: Path | None) -> Models:
    """The models JSON of a folder, and the rows of the database for models that have none.

    Raises:
        ForeignFile: one of them is no such file.
    """
    by_uuid: dict[str, Record] = {}
    by_name: dict[str, Record] = {}
    for uuid, name, record in _rows(database) if database else ():
        by_name[name] = record
        if uuid:
            by_uuid[uuid] = record
    if folder and not folder.is_dir():
        raise ForeignFile(f"{folder}: no such folder: pass DCLM's exp_data/models")
    for path in sorted(folder.glob("*.json")) if folder else ():
        uuid, record = _model(path)
        by_uuid[uuid] = by_name[stem(path.name)] = record
    return Models(by_uuid=by_uuid, by_name=by_name)


def stem(name: str) -> str:
    """What a file of an evaluation or a model is called without what DCLM's scripts put around it."""
    return name.removesuffix(".json").removeprefix("evaluation_").removesuffix("_heavy")


def _model(path: Path) -> tuple[str, Record]:
    data = parse(path, content(path))
    settings = data.get("hyperparameters") if isinstance(data, dict) else None
    if not isinstance(settings, Mapping) or not isinstance(data.get("uuid"), str):
        raise ForeignFile(f"{path}: no model of DCLM's: it has no 'uuid' and 'hyperparameters'; see exp_data/models")
    kept = {plain(k, 60): plain(v) if isinstance(v, str) else v for k, v in settings.items() if _simple(v)}
    return data["uuid"], Record(
        dataset=_text(data.get("dataset_name")),
        parameters=count(settings.get("params")),
        tokens=count(settings.get("tokens")),
        hyperparameters=dict(list(kept.items())[:60]),
        failed=data.get("failed") is True,
    )


def _simple(value: Any) -> bool:
    if isinstance(value, int):
        return abs(value) < MOST_COUNT
    return isinstance(value, str) or (isinstance(value, float) and math.isfinite(value))


def _text(value: Any) -> str:
    return plain(value) if isinstance(value, str) else ""


def _rows(path: Path) -> Iterator[tuple[str, str, Record]]:
    """Uuid, name of the file and record of each row; without the uuid where several rows share it."""
    try:
        rows = list(csv.DictReader(io.StringIO(content(path).decode())))
    except (csv.Error, UnicodeDecodeError) as error:
        raise ForeignFile(f"{path}: not CSV ({error}): pass DCLM's assets/DCLM_model_database.csv") from None
    wanted = {"Model JSON", "Dataset", "params", "tokens", "model_uuid"}
    if not rows or not wanted <= set(rows[0]):
        raise ForeignFile(f"{path}: lacks columns {', '.join(sorted(wanted))}: pass assets/DCLM_model_database.csv")
    times = Counter(r["model_uuid"] for r in rows)
    for r in rows:
        record = Record(dataset=_text(r["Dataset"]), parameters=count(r["params"]), tokens=count(r["tokens"]))
        yield r["model_uuid"] if times[r["model_uuid"]] == 1 else "", stem(str(r["Model JSON"])), record


def label(name: str) -> str:
    """A model's name for tables: a Hub name as runs of it are labelled, one of DCLM's without its dull settings."""
    return plain(DULL.sub("", name).replace("/", "--"))


def known(name: str, record: Record | None) -> Record:
    """What is known of a model, its name included."""
    if record:
        return record
    named, tokens = NAMED.match(name), TOKENS.search(name)
    said = Record(dataset=named["data"] if named else "", tokens=count(tokens[1]) if tokens else None)
    if name not in README:
        return said
    billions = [None if b is None else int(b * 1e9) for b in README[name]]
    return Record(dataset=said.dataset, parameters=billions[0], tokens=billions[1])


def facts(name: str, record: Record, numbers: Mapping[str, Any]) -> dict[str, Any]:
    """What the run's page shows of a model.

    Args:
        name: as `label` takes it.
        record: what is known of it.
        numbers: the evaluation's own, as they stand in its file.
    """
    owner, public, _ = name.partition("/")
    own = next((corpus for begin, corpus in CORPORA.items() if record.dataset.startswith(begin)), OWN)
    family, openness = FAMILIES.get(owner, (plain(owner), "")) if public else (own, "")
    percent = {k: 100 * v for k, v in numbers.items() if isinstance(v, float)}
    notes = [ROUNDED] if name in README else []
    notes += ["DCLM's file of the model is marked as failed"] if record.failed else []
    with contextlib.suppress(KeyError):  # no contradiction, or a file without the numbers to show it
        notes.append(CONTRADICTIONS[name].format_map(percent))
    return {
        "series": plain(name),
        "family": family,
        "dataset": record.dataset,
        "openness": openness,
        "hyperparameters": dict(record.hyperparameters),
        "links": [f"https://huggingface.co/{name}"] if owner in FAMILIES else [],
        "notes": notes,
    }
