"""Documents to requests: llm-foundry 0.9.0's four kinds, with its exact text, seams and truncation; and code."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from assay.tasks import datasets, fewshot, sampling
from assay.tasks.code import render as code_render
from assay.tasks.datasets import Part
from assay.tasks.encoding import Encoded, joint, joint_texts, rolling, without_eos
from assay.tasks.selection import DocRange
from assay.tasks.spec import Draws, TaskSpec
from assay.tasks.types import Document, Form, Greedy, Ids, LogLikelihood, Request, Row, Sample, Tokenizer

GREEDY = Draws()
COT_MARGIN = 10
"""Tokens that llm-foundry grants beyond the longest answer when a task has a chain-of-thought delimiter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One document as text, before tokenisation.

    Attributes:
        preamble: the examples; tokenised with the tokenizer's special tokens.
        contexts, continuations: one pair an option; a generation has one context and no continuation.
        rolling: the continuation is a text that every token of is predicted, in windows.
        stop, max_tokens, draws: how to generate, where the document says it and not the task.
    """

    sample: Sample
    preamble: str
    contexts: tuple[str, ...]
    continuations: tuple[str, ...] = ()
    rolling: bool = False
    stop: tuple[str, ...] = ()
    max_tokens: int = 0
    draws: Draws = GREEDY


def prompts(spec: TaskSpec, part: Part, docs: DocRange, tokenizer: Tokenizer | None = None) -> Iterator[Prompt]:
    """Text of the wanted rows of one part; shots drawn as a run over the whole file draws them.

    Args:
        spec: the task.
        part: its rows, or those of one category.
        docs: which of them.
        tokenizer: needed where the text is a chat.
    """
    wanted = docs.rows(len(part.rows), part.group)
    if spec.lm_eval:
        from assay.tasks import lm_eval_tasks

        yield from lm_eval_tasks.prompts(spec, part, wanted, tokenizer)
        return
    draws = _of(wanted, fewshot.draw(len(part.rows), spec.shots, spec.seed))
    for row, shots in zip(wanted, draws, strict=True):
        sample = datasets.sample(spec, part, row)
        yield compose(spec, sample, [datasets.checked(spec, part, i) for i in shots])


def _of(wanted: Sequence[int], draws: Iterator[tuple[int, ...]]) -> Iterator[tuple[int, ...]]:
    """The draws of the wanted rows, ascending; those between are made and dropped, for each depends on all before."""
    at = 0
    for row in wanted:
        yield next(islice(draws, row - at, None))
        at = row + 1


def compose(spec: TaskSpec, sample: Sample, shots: Sequence[Row]) -> Prompt:
    """Text of one document after its examples (llm-foundry `construct_context`).

    The example delimiter stands before everything but the first thing; the question's right end is stripped,
    which takes the delimiter's blank with it. Schema contexts are not stripped and, without examples, get no
    continuation delimiter; with examples the prelimiter precedes the example delimiter, unlike the other kinds.
    """
    if spec.kind == "code":
        return Prompt(sample=sample, preamble="", contexts=(code_render.prompt(spec, sample.fields),))
    preamble = ""
    for shot in shots:
        preamble += _shot(spec, shot, first=not preamble)
    if spec.kind == "schema":
        before = spec.prelimiter + (spec.example_delimiter if preamble else "")
        after = spec.continuation_delimiter.rstrip() if preamble else ""
        if spec.seam == "joint":  # nothing else would part context and continuation
            after = spec.continuation_delimiter
        contexts = tuple(f"{before}{c}{after}" for c in sample.fields["context_options"])
        return Prompt(
            sample=sample,
            preamble=preamble,
            contexts=contexts,
            continuations=(sample.fields["continuation"],) * len(contexts),
        )
    asked = f"{spec.prelimiter}{_question(spec, sample.fields)}{spec.continuation_delimiter}"
    context = (spec.example_delimiter + asked) if preamble else asked
    answers: tuple[str, ...] = ()
    if spec.kind == "multiple_choice":
        answers = tuple(sample.fields["choices"])
    elif spec.kind == "language_modeling":
        answers = (sample.fields["continuation"],)
    return Prompt(
        sample=sample,
        preamble=preamble,
        contexts=(context,) * max(1, len(answers)),
        continuations=answers,
    )


def _question(spec: TaskSpec, row: Row) -> str:
    return str(row["query" if spec.kind == "multiple_choice" else "context"])


def _shot(spec: TaskSpec, row: Row, *, first: bool) -> str:
    glue = "" if first else spec.example_delimiter
    if spec.kind == "schema":
        context = row["context_options"][row["gold"]]
        return f"{spec.prelimiter}{glue}{context}{spec.continuation_delimiter}{row['continuation']}"
    question = f"{glue}{spec.prelimiter}{_question(spec, row)}{spec.continuation_delimiter}"
    if spec.kind == "multiple_choice":
        return question + str(row["choices"][row["gold"]])
    if spec.kind == "language_modeling":
        return question + str(row["continuation"])
    return question + _reasoned(spec, row, row["answer"])


def _reasoned(spec: TaskSpec, row: Row, answer: str) -> str:
    if "chain_of_thought" in row:
        return f"{row['chain_of_thought']}{spec.cot_delimiter}{answer}"
    return answer


def max_new_tokens(spec: TaskSpec, part: Part, tokenizer: Tokenizer) -> int:
    """Longest answer of the whole part in tokens, special tokens included (`_get_max_answer_length`).

    Counted on the rows as published, before stripping, plus a margin for chain-of-thought tasks. 0 for the other
    kinds, which generate nothing.
    """
    if spec.code:
        return code_render.max_new_tokens(spec.code)
    if spec.kind != "generation":
        return 0
    answers = [
        _reasoned(spec, row, answer)
        for row in part.rows
        for answer in dict.fromkeys([row["answer"], *row.get("aliases", [])])
    ]
    longest = max(map(len, tokenizer.encode(answers, special=True)), default=0)
    return max(1, longest + (COT_MARGIN if spec.cot_delimiter else 0))


def tokenise(spec: TaskSpec, chunk: Sequence[Prompt], tokenizer: Tokenizer, max_tokens: int) -> Iterator[Document]:
    """Requests of a few prompts; every distinct text is tokenised once.

    Args:
        spec: the task.
        chunk: prompts, tens to hundreds.
        tokenizer: the model's.
        max_tokens: `max_new_tokens` of the part, for generation.
    """
    if spec.code:
        yield from (code_render.document(spec, p.sample, p.contexts[0], tokenizer, max_tokens) for p in chunk)
        return
    heads = Encoded(tokenizer, special=True)
    tails = Encoded(tokenizer, special=False)
    for prompt in chunk:
        if spec.seam == "segments":
            heads.add(prompt.preamble)
            tails.add(*(_strip_end(spec, c) for c in prompt.contexts))
            tails.add(*(_lead(tokenizer, c) for c in prompt.continuations))
        else:
            for whole, start in joint_texts(_contexts(prompt), prompt.continuations):
                heads.add(whole, start)
                if not start:
                    tails.add(whole)
    for prompt in chunk:
        if spec.seam == "segments":
            pairs = list(_segments(spec, prompt, tokenizer, heads, tails))
        elif prompt.rolling:
            pairs = list(rolling(heads[prompt.continuations[0]], tokenizer.prefix_id, spec.max_length))
        else:
            pairs = list(joint(_contexts(prompt), prompt.continuations, tokenizer, heads, tails))
        yield _document(spec, prompt, pairs, max_tokens)


def _contexts(prompt: Prompt) -> list[str]:
    return [prompt.preamble + c for c in prompt.contexts]


def _strip_end(spec: TaskSpec, context: str) -> str:
    return context if spec.kind == "schema" else context.rstrip()


def _lead(tokenizer: Tokenizer, answer: str) -> str:
    return f" {answer}" if tokenizer.prefix_space and not answer.startswith(" ") else answer


def _segments(
    spec: TaskSpec, prompt: Prompt, tokenizer: Tokenizer, heads: Encoded, tails: Encoded
) -> Iterator[tuple[Ids, Ids]]:
    """Examples, question and answer tokenised apart and concatenated: no merge crosses a seam."""
    head = without_eos(heads[prompt.preamble], tokenizer)
    for i, context in enumerate(prompt.contexts):
        answer = tails[_lead(tokenizer, prompt.continuations[i])] if prompt.continuations else array("i")
        yield head + tails[_strip_end(spec, context)], answer


def _document(spec: TaskSpec, prompt: Prompt, pairs: Sequence[tuple[Ids, Ids]], max_tokens: int) -> Document:
    """Requests of one prompt, cut to fit; a document that can't be asked says why instead."""
    sample = prompt.sample
    key = f"{sample.task}/{sample.doc_id}"
    max_tokens = prompt.max_tokens or max_tokens
    if fault := _fault(spec, prompt, pairs, max_tokens):
        return Document(sample=sample, fault=fault)
    form: Form = "chat" if spec.draws.chat and spec.lm_eval else "completion"
    if not prompt.continuations:
        ids, dropped = _fit(pairs[0][0], spec.max_length - max_tokens)
        asked = Greedy(
            key=key,
            prompt_ids=ids,
            stop=prompt.stop or spec.stop,
            max_tokens=max_tokens,
            dropped=dropped,
            blank=spec.lm_eval is None,
        )
        return Document(sample=sample, requests=sampling.draws(asked, prompt.draws), form=form)
    beyond = 1 if spec.lm_eval else 0  # lm-eval does not count the last id, which is never put in
    requests: list[Request] = []
    for i, (context, answer) in enumerate(pairs):
        ids, dropped = _fit(context, spec.max_length + beyond - len(answer))
        text = prompt.continuations[i] if i < len(prompt.continuations) else ""
        requests.append(
            LogLikelihood(
                key=f"{key}#{i}",
                context_ids=ids,
                continuation_ids=answer,
                text=text,
                dropped=dropped,
            )
        )
    return Document(sample=sample, requests=tuple(requests))


def _fault(spec: TaskSpec, prompt: Prompt, pairs: Sequence[tuple[Ids, Ids]], max_tokens: int) -> str:
    if not pairs:
        return "an empty text: there is nothing to ask"
    for i, (context, answer) in enumerate(pairs):
        if not len(context) and not prompt.rolling:
            return f"option {i}: empty context, and the tokenizer adds no BOS: nothing to condition on"
        if prompt.continuations and not len(answer):
            return f"option {i} is empty after tokenisation: check the task's delimiters and data"
        if max(len(answer), max_tokens) >= spec.max_length and not prompt.rolling:
            return f"option {i}: the answer alone fills max_length {spec.max_length}"
    return ""


def _fit(context: Ids, room: int) -> tuple[Ids, int]:
    """Keep the right end of a context; a BOS at its left end goes with the rest (`trim_context`)."""
    dropped = max(0, len(context) - room)
    return context[dropped:], dropped
