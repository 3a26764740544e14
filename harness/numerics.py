"""How much a score depends on how it was computed: the same requests asked several ways, and what differs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from assay.harness import views
from assay.harness.backends.base import ModelOptions
from assay.tasks.types import LogLikelihood, Tokenizer

DTYPES = ("float32", "bfloat16")
"""Measured whatever is asked."""
EXAMPLES = (
    ("What do bees make?", " Honey"),
    ("Which tool drives a nail into a board?", " A hammer"),
    ("What falls from a cloud when it is cold enough?", " Snow, or sleet"),
    ("Where does a river end?", " In the sea, in a lake, or in another river"),
)
QUESTIONS = (
    ("What keeps a letter shut?", (" The flap of its envelope", " Ink", " A stamp", " The address on it")),
    (
        "Why does a wet road dry in the sun?",
        (" The water evaporates", " It is flat", " Roads are grey", " Of the wind"),
    ),
    ("How many sides have two triangles together?", (" Six", " Five", " Three", " Eight")),
    ("What is a loaf of bread cut with?", (" A knife", " A spoon", " A rope", " A candle that burns")),
    ("When is the moon hard to see?", (" At noon", " At midnight", " When it is full", " In winter only")),
    ("Who mends shoes?", (" A cobbler", " A baker", " A sailor on leave", " The postman")),
    ("What grows from an acorn?", (" An oak", " A rose", " Wheat", " A mushroom, after long rain")),
    ("Which of these swims?", (" A trout", " A robin", " A fox in its den", " A chair")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """All requests, asked one way.

    Attributes:
        way: its name. against: the way whose answers are the measure.
        scored: packed, branched or plain. reason: why not packed, or "".
        logprobs: nats, summed over a continuation. greedy: every token of it is the argmax.
        forwarded: tokens that went through the model.
    """

    way: str
    against: str
    scored: str
    reason: str
    logprobs: tuple[float, ...]
    greedy: tuple[bool, ...]
    forwarded: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Passes:
    """All ways of one dtype.

    Attributes:
        dtype: of the weights, as torch names it.
        limit: nats a token by which two ways may differ.
        asked: tokens of the requests, each alone. unique: those of them that differ.
    """

    dtype: str
    limit: float
    requests: Sequence[LogLikelihood]
    asked: int
    unique: int
    taken: tuple[Taken, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """What one way says otherwise than the one it is held against.

    Attributes:
        largest, rms: absolute difference of a request's log-probability, nats. The same for each of its tokens.
        limit_per_token: what `largest_per_token` may be; 0 where both must be equal.
        greedy: requests whose flag differs. choices: questions whose likeliest choice does.
        times_faster: the other way's seconds by this one's.
    """

    dtype: str
    way: str
    against: str
    scored: str
    reason: str
    largest: float
    rms: float
    largest_per_token: float
    rms_per_token: float
    limit_per_token: float
    greedy: int
    choices: int
    requests: int
    tokens_asked: int
    tokens_unique: int
    tokens_forwarded: int
    seconds: float
    times_faster: float

    @property
    def ok(self) -> bool:
        """Within the limit; a difference that is not a number never is."""
        return self.largest_per_token <= self.limit_per_token


def measure(ref: str, options: ModelOptions) -> list[Noise]:
    """Ask a model in float32, in bfloat16, and in the dtype of the options.

    Args:
        ref: a model of `hf:`.
        options: its device, dtype, and whether it may be fetched.

    Raises:
        BackendError: it can't be loaded, or is not of `hf:`.
    """
    from assay.harness.backends import noise

    dtypes = dict.fromkeys((*DTYPES, options.dtype))
    return [row for dtype in dtypes for row in compare(noise.passes(ref, replace(options, dtype=dtype)))]


def requests(tokenizer: Tokenizer, longest: int | None) -> list[LogLikelihood]:
    """Questions after the same examples, every choice of each: no benchmark's.

    Args:
        tokenizer: the model's own.
        longest: tokens that the model takes, None for any number.
    """
    header = "".join(f"Question: {question}\nAnswer:{answer}\n\n" for question, answer in EXAMPLES)
    asked = []
    for i, (question, choices) in enumerate(QUESTIONS):
        (context,) = tokenizer.encode([f"{header}Question: {question}\nAnswer:"], special=True)
        for j, (choice, ids) in enumerate(zip(choices, tokenizer.encode(choices, special=False), strict=True)):
            room = max(1, longest + 1 - len(ids)) if longest else len(context)
            asked.append(LogLikelihood(key=f"{i}#{j}", context_ids=context[-room:], continuation_ids=ids, text=choice))
    return asked


def compare(passes: Passes) -> list[Noise]:
    """Every way against the one that it names."""
    by_name = {t.way: t for t in passes.taken}
    return [_noise(passes, t, by_name[t.against]) for t in passes.taken]


def _noise(passes: Passes, taken: Taken, against: Taken) -> Noise:
    nats = [abs(a - b) for a, b in zip(taken.logprobs, against.logprobs, strict=True)]
    per_token = [d / len(r.continuation_ids) for d, r in zip(nats, passes.requests, strict=True)]
    same_must = taken.against not in (taken.way, passes.taken[0].way)
    return Noise(
        dtype=passes.dtype,
        way=taken.way,
        against=taken.against,
        scored=taken.scored,
        reason=taken.reason,
        largest=_largest(nats),
        rms=_rms(nats),
        largest_per_token=_largest(per_token),
        rms_per_token=_rms(per_token),
        limit_per_token=0.0 if same_must else passes.limit,
        greedy=sum(a != b for a, b in zip(taken.greedy, against.greedy, strict=True)),
        choices=sum(a != b for a, b in zip(_chosen(passes, taken), _chosen(passes, against), strict=True)),
        requests=len(passes.requests),
        tokens_asked=passes.asked,
        tokens_unique=passes.unique,
        tokens_forwarded=taken.forwarded,
        seconds=taken.seconds,
        times_faster=against.seconds / taken.seconds,
    )


def _largest(values: Sequence[float]) -> float:
    return math.nan if any(map(math.isnan, values)) else max(values)


def _rms(values: Sequence[float]) -> float:
    return math.sqrt(sum(v * v for v in values) / len(values))


def _chosen(passes: Passes, taken: Taken) -> list[str]:
    """The likeliest choice of each question."""
    best: dict[str, tuple[float, str]] = {}
    for request, logprob in zip(passes.requests, taken.logprobs, strict=True):
        question = request.key.partition("#")[0]
        best[question] = max(best.get(question, (-math.inf, "")), (logprob, request.key))
    return [key for _, key in best.values()]


def table(found: Sequence[Noise]) -> str:
    """What was measured, for a terminal."""
    head = ("dtype", "asked", "scored", "against", "nats", "rms", "a token", "rms", "at most", "greedy", "choices")
    rows = (
        (
            *(x.dtype, x.way, x.scored, x.against),
            *(f"{v:.1e}" for v in (x.largest, x.rms, x.largest_per_token, x.rms_per_token, x.limit_per_token)),
            *(x.greedy, x.choices, f"{x.tokens_forwarded:,}", f"{x.seconds:.2f}", f"{x.times_faster:.1f}"),
        )
        for x in found
    )
    first = found[0]
    said = [
        f"{first.requests} requests of {first.tokens_asked:,} tokens, {first.tokens_unique:,} of them unique.",
        "Differences of log-probabilities, nats: largest and root mean square, of a request and of a token;",
        "greedy flags and choices that differ; tokens forwarded.",
        "",
        views.columns((*head, "forwarded", "seconds", "times faster"), rows),
        "",
        *dict.fromkeys(f"{x.dtype}, {x.way}: {x.reason}" for x in found if x.reason),
        *(_judged(x) for x in found if not x.ok),
    ]
    return "\n".join(said).rstrip()


def _judged(x: Noise) -> str:
    return (
        f"{x.dtype}, {x.way}: {x.largest_per_token:.2g} nats a token from '{x.against}', and rounding explains "
        f"{x.limit_per_token:g}: don't rely on this model's scores, and report it"
    )
