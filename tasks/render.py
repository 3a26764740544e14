"""Documents to requests: llm-foundry 0.9.0's four kinds, with its exact text, seams and truncation; and code."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from assay.tasks import datasets, fewshot
from assay.tasks.code import render as code_render
from assay.tasks.datasets import Part
from assay.tasks.spec import TaskSpec
from assay.tasks.types import Document, Greedy, Ids, LogLikelihood, Request, Row, Sample, Tokenizer

COT_MARGIN = 10
"""Tokens that llm-foundry grants beyond the longest answer when a task has a chain-of-thought delimiter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One document as text, before tokenisation.

    Attributes:
        preamble: the examples; tokenised with the tokenizer's special tokens.
        contexts, continuations: one pair an option; a generation has one context and no continuation.
    """

    sample: Sample
    preamble: str
    contexts: tuple[str, ...]
    continuations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DocRange:
    """Rows start to stop-1, counted within each category."""

    start: int = 0
    stop: int | None = None

    def within(self, rows: int) -> tuple[int, int]:
        """The range cut to a part of `rows` rows."""
        return min(self.start, rows), rows if self.stop is None else min(self.stop, rows)


def prompts(spec: TaskSpec, part: Part, docs: DocRange) -> Iterator[Prompt]:
    """Text of the wanted rows of one part; shots drawn as a run over the whole file draws them."""
    start, stop = docs.within(len(part.rows))
    draws = islice(fewshot.draw(len(part.rows), spec.shots, spec.seed), start, stop)
    for sample, shots in zip(datasets.samples(spec, part, start, stop), draws, strict=True):
        yield compose(spec, sample, [datasets.checked(spec, part, i) for i in shots])


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
    heads = _Encoded(tokenizer, special=True)
    tails = _Encoded(tokenizer, special=False)
    for prompt in chunk:
        heads.add(prompt.preamble)
        if spec.seam == "segments":
            tails.add(*(_strip_end(spec, c) for c in prompt.contexts))
            tails.add(*(_lead(tokenizer, c) for c in prompt.continuations))
        else:
            for whole, start in _joint_texts(prompt):
                heads.add(whole, start)
    for prompt in chunk:
        pairs = (
            _segments(spec, prompt, tokenizer, heads, tails)
            if spec.seam == "segments"
            else _joint(prompt, tokenizer, heads)
        )
        yield _document(spec, prompt, list(pairs), max_tokens)


def _strip_end(spec: TaskSpec, context: str) -> str:
    return context if spec.kind == "schema" else context.rstrip()


def _lead(tokenizer: Tokenizer, answer: str) -> str:
    return f" {answer}" if tokenizer.prefix_space and not answer.startswith(" ") else answer


def _segments(
    spec: TaskSpec, prompt: Prompt, tokenizer: Tokenizer, heads: _Encoded, tails: _Encoded
) -> Iterator[tuple[Ids, Ids]]:
    """Examples, question and answer tokenised apart and concatenated: no merge crosses a seam."""
    head = _without_eos(heads[prompt.preamble], tokenizer)
    for i, context in enumerate(prompt.contexts):
        answer = tails[_lead(tokenizer, prompt.continuations[i])] if prompt.continuations else array("i")
        yield head + tails[_strip_end(spec, context)], answer


def _without_eos(ids: array[int], tokenizer: Tokenizer) -> array[int]:
    """A tokenizer that ends every text with EOS must not end ours (`_fix_eos_on_preamble`); a lone id stays."""
    return ids[:-1] if len(ids) > 1 and ids[-1] == tokenizer.eos_id else ids


def _joint_texts(prompt: Prompt) -> Iterator[tuple[str, str]]:
    """(whole text, its beginning up to the answer): trailing blanks of the question go to the answer."""
    for i, context in enumerate(prompt.contexts):
        start = (prompt.preamble + context).rstrip(" ")
        blanks = (prompt.preamble + context)[len(start) :]
        yield (start + blanks + prompt.continuations[i] if prompt.continuations else start), start


def _joint(prompt: Prompt, tokenizer: Tokenizer, heads: _Encoded) -> Iterator[tuple[Ids, Ids]]:
    """The question's own ids, and what follows that many in the ids of question and answer as one text.

    Where a token spans the seam the two don't add up to the whole; kept as lm-eval 0.4.13 has it (`_encode_pair`).
    """
    for whole, start in _joint_texts(prompt):
        context = _without_eos(heads[start], tokenizer)
        yield context, _without_eos(heads[whole], tokenizer)[len(context) :]


def _document(spec: TaskSpec, prompt: Prompt, pairs: Sequence[tuple[Ids, Ids]], max_tokens: int) -> Document:
    """Requests of one prompt, cut to fit; a document that can't be asked says why instead."""
    sample = prompt.sample
    key = f"{sample.task}/{sample.doc_id}"
    if fault := _fault(spec, pairs, max_tokens):
        return Document(sample=sample, fault=fault)
    if spec.kind == "generation":
        ids, dropped = _fit(pairs[0][0], spec.max_length - max_tokens)
        asked = Greedy(key=key, prompt_ids=ids, stop=spec.stop, max_tokens=max_tokens, dropped=dropped)
        return Document(sample=sample, requests=(asked,))
    requests: list[Request] = []
    for i, (context, answer) in enumerate(pairs):
        ids, dropped = _fit(context, spec.max_length - len(answer))
        requests.append(
            LogLikelihood(
                key=f"{key}#{i}",
                context_ids=ids,
                continuation_ids=answer,
                text=prompt.continuations[i],
                dropped=dropped,
            )
        )
    return Document(sample=sample, requests=tuple(requests))


def _fault(spec: TaskSpec, pairs: Sequence[tuple[Ids, Ids]], max_tokens: int) -> str:
    for i, (context, answer) in enumerate(pairs):
        if not len(context):
            return f"option {i}: empty context, and the tokenizer adds no BOS: nothing to condition on"
        if spec.kind != "generation" and not len(answer):
            return f"option {i} is empty after tokenisation: check the task's delimiters and data"
        if max(len(answer), max_tokens) >= spec.max_length:
            return f"option {i}: the answer alone fills max_length {spec.max_length}"
    return ""


def _fit(context: Ids, room: int) -> tuple[Ids, int]:
    """Keep the right end of a context; a BOS at its left end goes with the rest (`trim_context`)."""
    dropped = max(0, len(context) - room)
    return context[dropped:], dropped


class _Encoded:
    """Texts and their ids; asks the tokenizer once for all that were added since the last look."""

    def __init__(self, tokenizer: Tokenizer, *, special: bool) -> None:
        self._tokenizer, self._special = tokenizer, special
        self._ids: dict[str, array[int] | None] = {}

    def add(self, *texts: str) -> None:
        for text in texts:
            self._ids.setdefault(text)

    def __getitem__(self, text: str) -> array[int]:
        if self._ids[text] is None:
            fresh = [t for t, ids in self._ids.items() if ids is None]
            encoded = self._tokenizer.encode(fresh, special=self._special)
            self._ids.update((t, array("i", ids)) for t, ids in zip(fresh, encoded, strict=True))
        ids = self._ids[text]
        if ids is None:
            raise KeyError(text)
        return ids
