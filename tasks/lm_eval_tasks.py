"""lm-eval's own tasks, as ours: its prompts, draws, filters, metrics and aggregation; our requests and records.

Semantics are lm-eval 0.4.13's `simple_evaluate` in one process over the whole task, whichever rows are asked: examples
are drawn in the order of the documents from one generator (seed 1234), so rows that are left out are drawn for too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from assay.tasks.datasets import Part
from assay.tasks.lm_eval_opening import LmEvalError, opened, saying, settings
from assay.tasks.render import Prompt
from assay.tasks.spec import Draws, TaskSpec
from assay.tasks.types import Row, Sample, Tokenizer

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


def prompts(spec: TaskSpec, part: Part, wanted: Sequence[int], tokenizer: Tokenizer | None) -> Iterator[Prompt]:
    """Text of the wanted rows; a chat is written by the tokenizer's template."""
    task = opened(spec, part.group)
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
            prompt = _prompt(sample(spec, part, i), made if isinstance(made, list) else [made])
        cap = settings(spec).max_tokens if prompt.max_tokens else 0
        yield replace(prompt, max_tokens=cap or prompt.max_tokens)


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


def sample(spec: TaskSpec, part: Part, i: int) -> Sample:
    """The sample of one document of a part."""
    task, doc = opened(spec, part.group), part.rows[i]
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
