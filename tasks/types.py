"""The vocabulary: what is asked, what comes back, what it is worth. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

Ids: TypeAlias = Sequence[int]
"""Token ids. Renderers build `array('i')`: four bytes an id, since a suite holds tens of millions."""

Row: TypeAlias = Mapping[str, Any]
"""One record of a benchmark file, as its owners publish it."""

Status: TypeAlias = Literal[
    "ok", "no_answer", "truncated", "timeout", "memory", "crash", "output_limit", "tampered", "infra_error"
]
"""What happened to a sample. `infra_error` is the machine's or the checkpoint's fault and is never a score."""


Form: TypeAlias = Literal["completion", "chat", "program"]

Turn: TypeAlias = Mapping[str, str]
"""One message of a chat: `role` (system, user, assistant) and `content`."""


class UserError(Exception):
    """Something the user can fix; the message names the fault and the remedy.

    Attributes:
        passing: another machine's fault, which may be gone when the same command is run again.
    """

    passing = False


class Tokenizer(Protocol):
    """What rendering needs of a tokenizer.

    Attributes:
        identity: sha256 that changes whenever any text could tokenise differently.
        eos_id: end-of-sequence id, or None.
        prefix_space: True when " a" is exactly one token, as llm-foundry 0.9.0 probes it: then a continuation
            gets one leading space.
        prefix_id: what a text without context is conditioned on: BOS, else EOS (lm-eval 0.4.13, `prefix_token_id`).
    """

    identity: str
    eos_id: int | None
    prefix_id: int | None
    prefix_space: bool

    def encode(self, texts: Sequence[str], *, special: bool) -> list[list[int]]:
        """Token ids of each text; `special` adds what the tokenizer adds by default (a BOS, say)."""
        ...

    def chat(self, user: str, prefill: str, closing: str) -> str | None:
        """A user's turn and the beginning of the answer in the model's chat template; None when it has none.

        Args:
            user: what is asked.
            prefill: how the answer begins; the text ends with it.
            closing: what would end the answer: the template is applied to all of it and cut after `prefill`.
        """
        ...

    def template(self, turns: Sequence[Turn], *, answer: bool) -> str | None:
        """A chat as the model's template writes it; None when it has none.

        Args:
            turns: oldest first.
            answer: True opens the model's turn; False goes on in the last turn, which is the model's already.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One document of one task.

    Attributes:
        doc_id: row in the task's file, from 0; `category/row within it` for category tasks.
        target: index of the right option, the expected continuation, or every accepted answer.
        group: category, or "" when the task has none.
        cluster: what the sample shares with others (a passage, say), or "".
    """

    task: str
    doc_id: str
    fields: Row
    target: int | str | tuple[str, ...]
    group: str = ""
    cluster: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLikelihood:
    """Ask for the log-probability of `continuation_ids` after `context_ids`.

    Attributes:
        key: `task/doc_id#option`, unique within a task.
        text: the continuation as published, whose UTF-8 bytes are counted.
        dropped: context ids cut from the left to fit the model.
    """

    key: str
    context_ids: Ids
    continuation_ids: Ids
    text: str
    dropped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Greedy:
    """Ask for the most likely text after `prompt_ids`, up to a stop string or `max_tokens`.

    Attributes:
        blank: a sentencepiece tokenizer's first blank is put back (composer), or left out (lm-eval).
    """

    key: str
    prompt_ids: Ids
    stop: tuple[str, ...]
    max_tokens: int
    dropped: int = 0
    blank: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled(Greedy):
    """Ask for one text drawn at random; the same seed draws the same, whatever else is asked with it.

    Attributes:
        temperature: > 0. top_p: in (0, 1].
        seed: of this draw alone.
    """

    temperature: float
    top_p: float
    seed: int


Request: TypeAlias = LogLikelihood | Greedy


@dataclass(frozen=True, slots=True, kw_only=True)
class Likelihood:
    """What a model says of one continuation.

    Attributes:
        logprob: sum over the continuation, nats, <= 0. NaN when the model's logits are broken.
        tokens: length of the continuation under the model's tokenizer, >= 1.
        nbytes: length of the continuation as published, UTF-8 bytes.
        greedy: every continuation token is the argmax after its predecessors.
    """

    logprob: float
    tokens: int
    nbytes: int
    greedy: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """Text a model wrote.

    Attributes:
        text: up to, and without, the first stop string.
        stopped: a stop string or end-of-sequence ended it; False when `max_tokens` did.
        tokens: tokens the model produced for it.
        broken: a logit on the way was not a number, so the text means nothing.
        form: `completion` goes on from the prompt; `chat` stands alone; `program` is code to be judged as it is.
    """

    text: str
    stopped: bool
    tokens: int
    broken: bool = False
    form: Form = "completion"


Response: TypeAlias = Likelihood | Generation


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What a sample is worth.

    Attributes:
        value: in [0, 1], but for perplexities; None exactly when status is `infra_error`.
        extracted: what was compared with the target: an option's index, or the cleaned answer.
        note: short reason when something is worth saying.
        tied: every option scored the same, so the prediction is only the tie rule's.
        parts: named parts of the verdict, each in [0, 1]: `base` and `plus` of evalplus.
        program: the code that was judged. stderr: the end of what it said.
        run_s, memory_mib: what it took in the sandbox, seconds and peak resident set.
        raw: what the task's own aggregation takes, by metric; not recorded.
    """

    value: float | None
    extracted: int | str | None
    status: Status = "ok"
    note: str = ""
    tied: bool = False
    parts: Mapping[str, float] = field(default_factory=dict)
    program: str | None = None
    stderr: str = ""
    run_s: float | None = None
    memory_mib: float | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A sample with the requests that ask it, in option order.

    Attributes:
        fault: why it can't be asked (an answer that is empty after tokenisation, say); then no requests.
        form: of the texts that will answer it.
    """

    sample: Sample
    requests: tuple[Request, ...] = ()
    fault: str = ""
    form: Form = "completion"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back for one document: all that scoring needs, so it can be redone without a model.

    Attributes:
        request_sha256: of the token ids that were asked, options in order.
        dropped: context ids cut from the left, the most over the options.
        fault: why the document could not be asked, or "".
        wall_s: its share of the time its shard took, seconds.
        tokens_in, tokens_out: that the model read and wrote for it.
    """

    doc_id: str
    responses: tuple[Response, ...]
    request_sha256: str
    dropped: int = 0
    fault: str = ""
    wall_s: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
