"""Engines that tokenise themselves: our requests as text, their answers as ours."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from assay.harness.backends.base import NEVER_CUT, BackendError, ModelOptions, Reference, Usage
from assay.harness.backends.decoding import after_reasoning, first_stop
from assay.harness.backends.verbatim import Verbatim
from assay.harness.records import Checkpoint, utf8
from assay.tasks.types import Generation, Greedy, Likelihood, LogLikelihood, Sampled

TOKENISATION = "the engine's own, question and answer as one text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A text to go on from.

    Attributes:
        stop: what may end the answer; none where reasoning comes before it.
        temperature: 0 is greedy; then `top_p` and `seed` mean nothing.
    """

    text: str
    stop: tuple[str, ...]
    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A continuation's log-probability, nats, and its tokens as the engine counts them; 0 where the seam ate them."""

    logprob: float
    greedy: bool
    tokens: int
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What an engine wrote.

    Attributes:
        ended: by itself or at a stop string, and not by its token limit.
        tokens: 0 where the engine does not say and nothing can count them.
    """

    text: str
    ended: bool
    tokens: int
    usage: Usage


def demand_batching(reference: Reference, options: ModelOptions) -> None:
    """Refuse `--deterministic`: how an engine batches is its own affair.

    Raises:
        BackendError: it was asked for.
    """
    if options.deterministic:
        raise BackendError(
            f"--model {reference.text}: --deterministic: this engine batches requests as it likes, and its last digits "
            "depend on that; leave the option out, or use hf:"
        )


class TextModel(Protocol):
    """An opened engine. Order in is order out."""

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[Scored]:
        """Of (context, continuation); without a context, of the whole text in windows.

        Raises:
            Refused: the engine has no log-probabilities of a given text.
            BackendError: it failed.
        """
        ...

    def write(self, prompts: Sequence[Prompt]) -> list[Written]:
        """Texts that go on from the prompts.

        Raises:
            BackendError: the engine failed, or can't draw with a seed.
        """
        ...


class Engine:
    """A backend over any `TextModel`. The engine cuts what does not fit it; no length of ours is a number of tokens."""

    max_length = NEVER_CUT

    def __init__(
        self,
        ref: str,
        label: str,
        identity: dict[str, str],
        tokenizer: Verbatim,
        strip_reasoning: str,
        opened: Callable[[], TextModel],
    ) -> None:
        self.ref = ref
        self.checkpoint = Checkpoint(label=label)
        self.tokenizer = tokenizer
        self.identity = identity | {"tokenizer": tokenizer.identity, "tokenisation": TOKENISATION}
        if strip_reasoning:
            self.identity["reasoning"] = f"stripped up to {strip_reasoning!r}"
        self.usage = Usage()
        self._strip = strip_reasoning
        self._opened = opened
        self._model: TextModel | None = None

    def load(self) -> None:
        """Open the engine; once."""
        self._ready()

    def _ready(self) -> TextModel:
        if self._model is None:
            self._model = self._opened()
        return self._model

    def likelihoods(self, requests: Sequence[LogLikelihood]) -> list[Likelihood]:
        """As the engine scores the texts; NaN, which is no score, where the question's last token ate the answer.

        Of a text without context `greedy` is always False: it is scored in windows.
        """
        decode = self.tokenizer.decode
        found = self._ready().score([(decode(r.context_ids), decode(r.continuation_ids)) for r in requests])
        self._meter(s.usage for s in found)
        return [
            Likelihood(
                logprob=s.logprob if s.tokens else math.nan,
                tokens=max(1, s.tokens),
                nbytes=len(r.text.encode()),
                greedy=s.greedy,
            )
            for r, s in zip(requests, found, strict=True)
        ]

    def generate(self, requests: Sequence[Greedy]) -> list[Generation]:
        """What the engine writes, cut before its first stop string here, whatever the engine made of them."""
        found = self._ready().write([self._prompt(r) for r in requests])
        self._meter(w.usage for w in found)
        answers = []
        for request, written in zip(requests, found, strict=True):
            text = utf8(after_reasoning(written.text, self._strip))  # JSON may hold halves of a surrogate pair
            at = first_stop(text, request.stop)
            stopped = written.ended or at is not None
            answers.append(Generation(text=text[:at], stopped=stopped, tokens=written.tokens))
        return answers

    def _prompt(self, request: Greedy) -> Prompt:
        text = self.tokenizer.decode(request.prompt_ids)
        stop = () if self._strip else request.stop
        if not isinstance(request, Sampled):
            return Prompt(text=text, stop=stop, max_tokens=request.max_tokens)
        return Prompt(
            text=text,
            stop=stop,
            max_tokens=request.max_tokens,
            temperature=request.temperature,
            top_p=request.top_p,
            seed=request.seed & 0x7FFFFFFF,  # what every engine takes
        )

    def _meter(self, spent: Iterable[Usage]) -> None:
        self.usage = sum(spent, self.usage)
