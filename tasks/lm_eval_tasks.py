"""lm-eval's own tasks, as ours: its prompts, draws, filters, metrics and aggregation; our requests and records.

Semantics are lm-eval 0.4.13's `simple_evaluate` in one process over the whole task, whichever rows are asked: examples
are drawn in the order of the documents from one generator (seed 1234), so rows that are left out are drawn for too.
Only this module imports lm_eval on the tasks' side.
"""

from __future__ import annotations

import importlib.metadata
import json
import logging
import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from assay.tasks import datasets, lm_eval_index
from assay.tasks.datasets import Loaded, Part
from assay.tasks.lm_eval_index import demand_safe, manager
from assay.tasks.render import Prompt
from assay.tasks.spec import Draws, LmEval, TaskSpec
from assay.tasks.types import Row, Sample, Tokenizer, UserError

MAX_GEN_TOKS = 256
"""lm-eval's cap where a task names none (`defaults.py`)."""


NAMES = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
DECODING = (*NAMES, "until", "do_sample", "temperature", "top_p")
WHEN_SAMPLING = ("top_k", "min_p", "seed", "typical_p")
NEUTRAL = {
    "num_beams": 1,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "use_cache": True,
}
"""What of lm-eval's `generation_kwargs` is obeyed; what matters only to draws; and what changes nothing."""
HUB_S = 10
"""Seconds that a hub may take to answer before this machine counts as one without a network."""


class LmEvalError(UserError):
    """lm-eval can't open or render a task; the message has its reason."""


def version() -> str:
    """The installed lm-eval."""
    return importlib.metadata.version("lm-eval")


def load(spec: TaskSpec) -> Loaded:
    """The rows of a task whose data lm-eval fetches itself; their hash is over documents, examples, config and Python.

    Raises:
        NoData: it could not be had.
    """
    rows, given = _docs(spec, ""), _given(spec)
    sampler = getattr(_opened(spec, ""), "sampler", None)
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
    return list(_opened(spec, group).eval_docs)


@lru_cache(maxsize=64)
def _opened(spec: TaskSpec, group: str) -> Any:
    """lm-eval's Task object, over our pinned files where the spec has them."""
    import datasets as hub_datasets

    given = _given(spec)
    name = given.task.format(category=group)
    demand_safe(name, given.include)
    overrides: dict[str, Any] = {**json.loads(given.overrides or "{}"), "task": name}
    if given.text:
        overrides["custom_dataset"] = _one_text(Path(given.text))
    elif spec.data.path:
        overrides["custom_dataset"] = _splits(spec, given, group)
    else:
        _settle_network()
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    hub_datasets.disable_progress_bars()
    hub_datasets.disable_caching()  # documents that are drawn must be drawn anew, from the same seed
    _seed()
    try:
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
def _settle_network() -> None:
    """Without a network the hub's libraries must look at their caches alone: they would try for minutes a task."""
    import datasets as hub_datasets
    import huggingface_hub
    import requests

    offline = os.environ.get("ASSAY_OFFLINE", "").lower() not in ("", "0", "false", "no")
    if not offline:
        try:
            requests.head(huggingface_hub.constants.ENDPOINT, timeout=HUB_S)
        except requests.RequestException:
            offline = True
    if offline:
        huggingface_hub.constants.HF_HUB_OFFLINE = True
        hub_datasets.config.HF_HUB_OFFLINE = True


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
    wanted = _given(spec).metric
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


def prompts(spec: TaskSpec, part: Part, wanted: Sequence[int], tokenizer: Tokenizer | None) -> Iterator[Prompt]:
    """Text of the wanted rows; a chat is written by the tokenizer's template."""
    task = _opened(spec, part.group)
    task.set_fewshot_seed(seed=spec.seed)
    chat = _chat(spec, tokenizer) if spec.draws.chat else {}
    asked = iter((*wanted, -1))
    row = next(asked)
    for i, doc in enumerate(part.rows):
        if row < 0:
            return
        if i != row:
            with saying(spec, f"document {i}"):
                _draw(task, spec.shots, doc)
            continue
        row = next(asked)
        with saying(spec, f"document {i}"):
            context = task.fewshot_context(doc, num_fewshot=spec.shots, gen_prefix=task.doc_to_prefix(doc), **chat)
            made = task.construct_requests(
                doc=doc,
                ctx=context,
                metadata=(spec.name, i, task.config.repeats),
                apply_chat_template=spec.draws.chat,
                chat_template=chat.get("chat_template"),
            )
            prompt = _prompt(_sample(spec, task, part, i), made if isinstance(made, list) else [made])
        cap = _given(spec).max_tokens if prompt.max_tokens else 0
        yield replace(prompt, max_tokens=cap or prompt.max_tokens)


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


def _draw(task: Any, shots: int, doc: Row) -> None:
    """Take a document's examples from the generator without showing them, as if it were asked."""
    if shots and hasattr(task, "sampler"):
        same_split = task.fewshot_cfg.split == task.config.test_split
        task.sampler.sample(n=shots, eval_doc=doc if same_split else None)


def _chat(spec: TaskSpec, tokenizer: Tokenizer | None) -> dict[str, Any]:
    if tokenizer is None or tokenizer.template([{"role": "user", "content": "?"}], answer=True) is None:
        raise LmEvalError("--chat-template: this model's tokenizer has no chat template; leave the option out")

    def chat_template(turns: Sequence[Mapping[str, str]], add_generation_prompt: bool = True) -> str:
        return tokenizer.template(turns, answer=add_generation_prompt) or ""

    return {
        "system_instruction": spec.draws.system or None,
        "apply_chat_template": True,
        "fewshot_as_multiturn": spec.draws.turns,
        "chat_template": chat_template,
    }


def _prompt(sample: Sample, instances: Sequence[Any]) -> Prompt:
    """lm-eval's Instances of one document as text, in its order."""
    kinds = {x.request_type for x in instances}
    if kinds == {"loglikelihood_rolling"}:
        text = instances[0].args[0]
        return Prompt(sample=sample, preamble="", contexts=("",), continuations=(text,), rolling=True)
    if kinds == {"loglikelihood"}:
        contexts, continuations = zip(*(x.args[:2] for x in instances), strict=True)
        return Prompt(sample=sample, preamble="", contexts=contexts, continuations=continuations)
    if kinds != {"generate_until"} or len(instances) != 1:
        raise LmEvalError(f"task '{sample.task}' mixes kinds of requests in one document, which is not supported")
    (context, options), repeats = instances[0].args[:2], instances[0].repeats or 1
    until = options.get("until") or []
    temperature = float(options.get("temperature") or 0.0) if options.get("do_sample", True) else 0.0
    for key, value in options.items():
        if key not in DECODING and value != NEUTRAL.get(key) and (temperature > 0 or key not in WHEN_SAMPLING):
            raise LmEvalError(f"task '{sample.task}' decodes with {key}: {value!r}, which is not supported here")
    return Prompt(
        sample=sample,
        preamble="",
        contexts=(context,),
        stop=tuple(s for s in ([until] if isinstance(until, str) else until) if s),
        max_tokens=next((int(options[n]) for n in NAMES if options.get(n)), MAX_GEN_TOKS),
        draws=Draws(n=repeats, temperature=temperature, top_p=float(options.get("top_p") or 1.0)),
    )


def _sample(spec: TaskSpec, task: Any, part: Part, i: int) -> Sample:
    doc = part.rows[i]
    return Sample(
        task=spec.name,
        doc_id=f"{part.group}/{i}" if part.group else str(i),
        fields=doc,
        target=_target(task, doc),
        group=part.group,
    )


def _target(task: Any, doc: Row) -> int | str | tuple[str, ...]:
    """The right option's index, the continuation, or the accepted answers, for the record."""
    kind = task.OUTPUT_TYPE
    if kind == "loglikelihood_rolling":
        return ""
    gold = task.doc_to_text(doc) if getattr(task, "multiple_input", 0) else task.doc_to_target(doc)
    if kind == "loglikelihood":
        return str(gold)
    if kind == "multiple_choice" and not isinstance(gold, list):
        choices = task.doc_to_choice(doc)
        return gold if isinstance(gold, int) else choices.index(gold) if gold in choices else -1
    return tuple(map(str, gold)) if isinstance(gold, list) else (str(gold),)


def task_of(spec: TaskSpec, group: str) -> Any:
    """lm-eval's Task object that scores a category's answers."""
    return _opened(spec, group)


def tags(spec: TaskSpec, groups: Sequence[str]) -> dict[str, list[str]]:
    """Which categories lm-eval tags alike, by the tag's name less the task's own."""
    given = _given(spec)
    index = manager(given.include).task_index
    stem = given.task.partition("_{category}")[0]
    found: dict[str, list[str]] = {}
    for group in groups:
        for tag in sorted(index[given.task.format(category=group)].tags):
            found.setdefault(tag.removeprefix(f"{stem}_").removesuffix("_tasks"), []).append(group)
    return {name: found[name] for name in sorted(found) if len(found[name]) < len(groups)}


def forget() -> None:
    """Open everything anew: a task's file may have changed under a process that lives long."""
    _opened.cache_clear()
    _docs.cache_clear()


def _given(spec: TaskSpec) -> LmEval:
    if spec.lm_eval is None:
        raise ValueError(f"task '{spec.name}' is not of kind lm_eval")
    return spec.lm_eval
