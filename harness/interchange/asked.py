"""What a run asked, as text: rendered again from the pinned data, where the plan's fingerprint vouches for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from assay.harness import fingerprint, session
from assay.harness.backends.base import ModelOptions, open_backend
from assay.harness.store import Run
from assay.tasks import datasets, render
from assay.tasks.code import render as code_render
from assay.tasks.datasets import Loaded
from assay.tasks.registry import Registry, UnknownTask
from assay.tasks.render import Prompt
from assay.tasks.selection import DocRange
from assay.tasks.spec import TaskSpec
from assay.tasks.types import Row, Sample, Tokenizer, UserError

STRIPPED = ("multiple_choice", "language_modeling", "generation")
"""Kinds whose question loses its trailing blanks before it is tokenised apart from its answer (`render.tokenise`)."""


class NotAsAsked(UserError):
    """The text that a run asked can't be had here; the message says why and what would help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One document as it was asked, before anything was cut to fit the model.

    Attributes:
        row: as published.
        contexts: the text before each continuation, or the one prompt of a written answer.
        continuations: as published; none where the answer was written.
        examples: what every context begins with and is not the question.
    """

    row: Row
    contexts: tuple[str, ...]
    continuations: tuple[str, ...]
    examples: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A task of a run with all its questions, by `doc_id`.

    Attributes:
        documents: that the whole task has, whichever were asked.
    """

    spec: TaskSpec
    documents: int
    questions: Mapping[str, Question]


def spec_of(run: Run, registry: Registry, task: str) -> TaskSpec:
    """The spec of a run's task, drawn as the run drew.

    Raises:
        NotAsAsked: no spec of that name is here.
    """
    try:
        (found,) = (s for s in registry.select([task]) if s.name == task)
    except (UnknownTask, ValueError):
        raise NotAsAsked(
            f"task '{task}' has no spec here, so its prompts can't be rendered: pass the --tasks-dir it was run with "
            "(an imported run's prompts are only in the files that it was imported from)"
        ) from None
    return session.with_draws([found], session.parse_draws(run.plan.options))[0]


def again(run: Run, spec: TaskSpec, forms: Sequence[str | None]) -> Asked:
    """Every question of a task.

    Args:
        run: that asked them.
        spec: of the task, from `spec_of`.
        forms: of the answers; a `chat` can only be written by the model's own tokenizer.

    Raises:
        NotAsAsked: the rows are protected, the spec, its data or the checker is another than the run's, or a chat's
            tokenizer is not here.
        NoData, DataMismatch: the rows are not here, or are not the pinned ones.
    """
    loaded, docs = _pinned(run, spec), DocRange(*run.plan.docs)
    tokenizer = _tokenizer(run, spec) if "chat" in forms or (spec.lm_eval and spec.draws.chat) else None
    parts = datasets.parts(spec, loaded.rows)
    found: dict[str, Question] = {}
    for part in parts:
        rows = docs.rows(len(part.rows), part.group)
        for at, prompt in zip(rows, render.prompts(spec, part, docs, tokenizer), strict=True):
            found[prompt.sample.doc_id] = _question(spec, part.rows[at], prompt, tokenizer)
    return Asked(spec=spec, documents=sum(len(p.rows) for p in parts), questions=found)


def one(run: Run, spec: TaskSpec, doc_id: str) -> Question:
    """One question of a task, as `again` has it, without rendering the others and without a model's chat template.

    Raises:
        NotAsAsked: as for `again`; or lm-eval asked it in a chat, or the task has no such document.
        NoData, DataMismatch: as for `again`.
    """
    loaded = _pinned(run, spec)
    if spec.lm_eval and spec.draws.chat:
        raise NotAsAsked(f"task '{spec.name}' was asked in the model's chat template, which is not opened here")
    for part in datasets.parts(spec, loaded.rows):
        for at in range(len(part.rows)) if doc_id.startswith(part.group) else ():
            if datasets.doc_id(spec, part, at) == doc_id:
                (prompt,) = render.prompts(spec, part, DocRange(at, at + 1))
                return _question(spec, part.rows[at], prompt, None)
    raise NotAsAsked(f"task '{spec.name}' has no document '{doc_id}'")


def _pinned(run: Run, spec: TaskSpec) -> Loaded:
    """The rows that a run asked, where nothing that decides their text has changed since."""
    if spec.data.protected:
        raise NotAsAsked(f"task '{spec.name}' is protected: its authors ask that rows are not published")
    loaded = datasets.load(spec)
    if run.plan.tasks.get(spec.name) != fingerprint.task(spec, loaded.git_blob, DocRange(*run.plan.docs)):
        raise NotAsAsked(
            f"task '{spec.name}': run {run.plan.run_id} asked something else than would be rendered now (its spec, its "
            "data or assay has changed since): use the spec, the data and the assay of that run, or measure again"
        )
    return loaded


def _question(spec: TaskSpec, row: Row, prompt: Prompt, tokenizer: Tokenizer | None) -> Question:
    contexts = tuple(_texts(spec, prompt, tokenizer))
    return Question(row=row, contexts=contexts, continuations=prompt.continuations, examples=prompt.preamble)


def _texts(spec: TaskSpec, prompt: Prompt, tokenizer: Tokenizer | None) -> Iterator[str]:
    for context in prompt.contexts:
        if spec.code and tokenizer is not None:
            yield _chat(spec, prompt.sample, context, tokenizer)
        elif spec.seam == "segments" and spec.kind in STRIPPED:
            yield prompt.preamble + context.rstrip()
        else:
            yield prompt.preamble + context


def _chat(spec: TaskSpec, sample: Sample, text: str, tokenizer: Tokenizer) -> str:
    """What the renderer gives to the tokenizer: the owners' chat form in the model's template."""
    heard = _Heard(tokenizer)
    code_render.document(spec, sample, text, cast("Tokenizer", heard), 0)
    return heard.text


class _Heard:
    """A tokenizer that remembers the text it was given last."""

    def __init__(self, inner: Tokenizer) -> None:
        self._inner, self.text = inner, ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def encode(self, texts: Sequence[str], *, special: bool) -> list[list[int]]:
        self.text = texts[-1]
        return self._inner.encode(texts, special=special)


def _tokenizer(run: Run, spec: TaskSpec) -> Tokenizer:
    """The tokenizer of the model that was asked, when it is still where it was."""
    ref, wanted = str(run.plan.options.get("model", "")), run.plan.identity.get("tokenizer")
    why = f"task '{spec.name}' was asked in the chat template of '{ref}'"
    try:
        other = str(run.plan.options.get("tokenizer") or "")
        backend = open_backend(ref, ModelOptions(offline=True, tokenizer=other))
    except UserError as error:
        raise NotAsAsked(f"{why}, which is needed to write it again: {error}") from error
    if backend.identity.get("tokenizer") != wanted:
        raise NotAsAsked(f"{why}, and another tokenizer lies there now: put back the checkpoint that was measured")
    return backend.tokenizer
