"""lm-eval's Task objects, opened over our pinned rows, the user's text, or what lm-eval fetches itself."""

from __future__ import annotations

import json
import logging
import os
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any

from assay.tasks import datasets, lm_eval_index
from assay.tasks.datasets import Loaded, Part
from assay.tasks.lm_eval_index import demand_safe, manager
from assay.tasks.spec import LmEval, TaskSpec
from assay.tasks.types import Row, UserError

HUB_S = 10
"""Seconds that a hub may take to answer before this machine counts as one without a network."""


class LmEvalError(UserError):
    """lm-eval can't open or render a task; the message has its reason."""


def load(spec: TaskSpec) -> Loaded:
    """The rows of a task whose data lm-eval fetches itself; their hash is over documents, examples, config and Python.

    Raises:
        NoData: it could not be had.
    """
    rows, given = _docs(spec, ""), settings(spec)
    sampler = getattr(opened(spec, ""), "sampler", None)
    shots = list(sampler.df) if sampler is not None and spec.shots else []
    known = [json.dumps(r, sort_keys=True, ensure_ascii=False, default=str) for r in (*rows, *shots)]
    text = "\n".join([lm_eval_index.identity(given.task, given.include), *known])
    return Loaded(rows=rows, git_blob=datasets.git_blob(text.encode()), note="", where=Path("lm-eval"))


def parts(spec: TaskSpec, rows: Sequence[Row]) -> list[Part]:
    """Documents as lm-eval processes them, by category."""
    groups = [p.group for p in datasets.by_category(spec, rows)]
    return [Part(group=g, rows=_docs(spec, g)) for g in groups]


@lru_cache(maxsize=64)
def _docs(spec: TaskSpec, group: str) -> Sequence[Row]:
    return list(opened(spec, group).eval_docs)


@lru_cache(maxsize=64)
def opened(spec: TaskSpec, group: str) -> Any:
    """lm-eval's Task object, over our pinned files where the spec has them."""
    import datasets as hub_datasets

    given = settings(spec)
    name = given.task.format(category=group)
    demand_safe(name, given.include)
    overrides: dict[str, Any] = {**json.loads(given.overrides or "{}"), "task": name}
    if given.text:
        overrides["custom_dataset"] = _one_text(Path(given.text))
    elif spec.data.path:
        overrides["custom_dataset"] = _splits(spec, given, group)
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    hub_datasets.disable_progress_bars()
    hub_datasets.disable_caching()  # documents that are drawn must be drawn anew, from the same seed
    _seed()
    fetches = nullcontext() if "custom_dataset" in overrides else _hub()
    try:
        with fetches:
            found = manager(given.include).load({"group": "assay", "task": [overrides]})["tasks"]
    except UserError:
        raise
    except Exception as error:  # YAML, imports, datasets and hubs each raise their own
        what = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise datasets.NoData(
            f"lm-eval cannot open its task '{name}': {what}; its data comes from a hub, and may need a network, a "
            "token or a package"
        ) from error
    (task,) = found.values()
    if getattr(task, "MULTIMODAL", False):
        raise LmEvalError(f"lm-eval's task '{name}' shows images or sound, which no model here takes")
    _demand_metric(spec, task)
    task.set_config(key="num_fewshot", value=spec.shots)
    return task


@lru_cache(maxsize=1)
def _no_network() -> bool:
    import huggingface_hub
    import requests

    if os.environ.get("ASSAY_OFFLINE", "").lower() not in ("", "0", "false", "no"):
        return True
    try:
        requests.head(huggingface_hub.constants.ENDPOINT, timeout=HUB_S)
    except requests.RequestException:
        return True
    return False


@contextmanager
def _hub() -> Iterator[None]:
    """Without a network the hub's libraries look at their caches alone: they would try for minutes a task."""
    import datasets as hub_datasets
    import huggingface_hub

    held = huggingface_hub.constants.HF_HUB_OFFLINE, hub_datasets.config.HF_HUB_OFFLINE
    if _no_network():
        huggingface_hub.constants.HF_HUB_OFFLINE = hub_datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        huggingface_hub.constants.HF_HUB_OFFLINE, hub_datasets.config.HF_HUB_OFFLINE = held


def _one_text(path: Path) -> Callable[..., Any]:
    """A text file as one document, JSON Lines as one a row."""

    def custom_dataset(**_: Any) -> Any:
        from datasets import Dataset, DatasetDict

        try:
            content = path.read_bytes().decode()
            rows = [{"text": content}]
            if path.suffix == ".jsonl":
                rows = [{"text": str(json.loads(line)["text"])} for line in content.split("\n") if line.strip()]
        except (UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
            raise LmEvalError(f"{path}: not UTF-8 text, or JSON Lines with a 'text' each: {error}") from error
        if not rows or not all(r["text"] for r in rows):
            raise LmEvalError(f"{path}: an empty text has no perplexity")
        return DatasetDict({"test": Dataset.from_list(rows)})

    return custom_dataset


def _seed() -> None:
    """As `simple_evaluate` does before it loads tasks: some draw their documents, or shuffle options."""
    import numpy as np

    random.seed(0)
    np.random.seed(1234)


def _demand_metric(spec: TaskSpec, task: Any) -> None:
    """A metric that a task lacks is said before anything is asked."""
    wanted = settings(spec).metric
    known = [f"{m},{f.name}" for f in task._filters for m in task.aggregation()]
    if wanted and known and wanted not in known:
        raise LmEvalError(f"task '{spec.name}' has no metric '{wanted}'; it has {', '.join(known)}")


def _splits(spec: TaskSpec, given: LmEval, group: str) -> Callable[..., Any]:
    """A loader that lm-eval calls instead of its own: pinned rows of one category, by split."""

    def custom_dataset(**_: Any) -> Any:
        from datasets import Dataset, DatasetDict

        files = {given.split: spec.data}
        if given.shots_from is not None:
            files[given.shots_split] = given.shots_from
        found = {}
        for split, data in files.items():
            rows = datasets.load_data(spec, data).rows
            wanted = [r for r in rows if not spec.categories or datasets.category(spec, r) == group]
            found[split] = Dataset.from_list([{**r, **{k: t.format_map(r) for k, t in given.columns}} for r in wanted])
        return DatasetDict(found)

    return custom_dataset


@contextmanager
def saying(spec: TaskSpec, where: str) -> Iterator[None]:
    """What a task's own code raises is said as that task's fault."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # anything may be raised there
        raise LmEvalError(
            f"task '{spec.name}', {where}: lm-eval's code says {type(error).__name__}: {error}"
        ) from error


def tags(spec: TaskSpec, groups: Sequence[str]) -> dict[str, list[str]]:
    """Which categories lm-eval tags alike, by the tag's name less the task's own."""
    given = settings(spec)
    index = manager(given.include).task_index
    stem = given.task.partition("_{category}")[0]
    found: dict[str, list[str]] = {}
    for group in groups:
        for tag in sorted(index[given.task.format(category=group)].tags):
            found.setdefault(tag.removeprefix(f"{stem}_").removesuffix("_tasks"), []).append(group)
    return {name: found[name] for name in sorted(found) if len(found[name]) < len(groups)}


def forget() -> None:
    """Open everything anew: a task's file may have changed under a process that lives long."""
    opened.cache_clear()
    _docs.cache_clear()


def settings(spec: TaskSpec) -> LmEval:
    """What a spec of kind lm_eval says of lm-eval's task."""
    if spec.lm_eval is None:
        raise ValueError(f"task '{spec.name}' is not of kind lm_eval")
    return spec.lm_eval
