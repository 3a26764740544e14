"""One protocol for everything that can be asked, and the table of schemes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable
from urllib.parse import unquote

from assay.harness.records import Checkpoint
from assay.tasks.spec import TaskSpec
from assay.tasks.types import (
    Document,
    Generation,
    Greedy,
    Likelihood,
    LogLikelihood,
    Response,
    Sample,
    Tokenizer,
    UserError,
)

SECRET = ("api_key", "auth_token", "header", "token")


class BackendError(UserError):
    """A model can't be opened or asked; the message names the fault and the remedy."""


NEVER_CUT = 1 << 30
"""`max_length` of a backend whose engine cuts by itself; and HFLM's own, which gets prompts already cut."""


class Refused(BackendError):
    """An engine can't answer this kind of request at all; the message says why, and what can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """What a user may say of how a model is run; one declaration for the CLI and every backend.

    Attributes:
        batch_size: sequences in one forward pass, or None to fit a token budget to memory.
        device: as torch names it, or "auto".
        dtype: of the weights in memory; float32 is what the published numbers were made with.
        offline: never touch the network.
        tokenizer: folder or Hub name of the tokenizer to use instead of the checkpoint's; "" is its own.
        strip_reasoning: what ends a model's reasoning: the answer begins after its last occurrence; "" keeps all.
        deterministic: no answer depends, even in its last digits, on what else is asked.
        concurrency: requests an endpoint works on at a time.
        timeout_s: most seconds that one request to an endpoint may take, answer included.
        retries: how often a request that failed for a passing reason is sent again.
    """

    batch_size: int | None = None
    device: str = "auto"
    dtype: str = "float32"
    offline: bool = False
    tokenizer: str = ""
    strip_reasoning: str = ""
    deterministic: bool = False
    concurrency: int = 8
    timeout_s: float = 300.0
    retries: int = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens that went into a model and came out of it so far."""

    tokens_in: int = 0
    tokens_out: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(tokens_in=self.tokens_in + other.tokens_in, tokens_out=self.tokens_out + other.tokens_out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What stands after --model: `SCHEME:TARGET?key=value&key=value`.

    Attributes:
        text: all of it, as typed.
        rest: what follows the first colon, which is all that the fakes look at.
        target: a folder, a Hub name, `URL#MODEL`, an engine's name.
        arguments: by key; values are percent-decoded. They begin at the first `?key=` after the last `#`: a glob's `?`,
            and a URL's query before its `#MODEL`, are part of the target.
    """

    text: str
    scheme: str
    rest: str
    target: str
    arguments: Mapping[str, str]

    def demand_no_secret(self) -> None:
        """Refuse arguments that would put a key into the records: a run keeps its reference as it was typed.

        Raises:
            BackendError: which does not repeat the value.
        """
        for key in SECRET:
            if key in self.arguments:
                raise BackendError(f"--model: {key} would be recorded with the run: set $OPENAI_API_KEY instead")

    def demand(self, known: Collection[str]) -> None:
        """Refuse arguments that the scheme does not know.

        Raises:
            BackendError: naming the first, and what is near or known.
        """
        for key in self.arguments:
            if key not in known:
                raise BackendError(f"--model {self.text}: unknown argument '{key}'; {_near(key, known)}")


def parse_reference(text: str) -> Reference:
    """A model reference taken apart; says nothing of whether its scheme exists.

    Raises:
        BackendError: an argument without a value, or given twice.
    """
    scheme, _, rest = text.partition(":")
    before, mark, after = rest.rpartition("#")
    found = re.fullmatch(r"(.*?)\?(\w+=.*)", after, re.DOTALL)
    pairs = [p.partition("=") for p in found[2].split("&")] if found else []
    arguments = {key: unquote(value) for key, equals, value in pairs if equals}
    if len(arguments) != len(pairs):
        raise BackendError(f"--model {text}: arguments are key=value, parted by '&', each key once; '&' itself is %26")
    target = before + mark + (found[1] if found else after)
    return Reference(text=text, scheme=scheme, rest=rest, target=target, arguments=arguments)


class Backend(Protocol):
    """A model that can be asked. Order in is order out; asking twice gives the same answer.

    Attributes:
        ref: what the user typed after --model.
        identity: what decides its answers: scheme, weights by hash, engine and version, dtype, tokenizer.
    """

    ref: str
    identity: dict[str, str]
    checkpoint: Checkpoint

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's own tokenizer."""
        ...

    def load(self) -> None:
        """Load tokenizer and weights now; asking does it otherwise.

        Raises:
            BackendError: they can't be loaded, or don't belong together.
        """
        ...

    def likelihoods(self, requests: Sequence[LogLikelihood]) -> list[Likelihood]:
        """Log-probabilities of continuations.

        Raises:
            BackendError: the model can't be loaded or asked.
        """
        ...

    def generate(self, requests: Sequence[Greedy]) -> list[Generation]:
        """Greedy text.

        Raises:
            BackendError: the model can't be loaded or asked.
        """
        ...


@runtime_checkable
class Preparable(Protocol):
    """A backend that can be made ready while another is asked: `hf:`, whose weights are read into host memory."""

    def prepare(self, available: int) -> None:
        """Begin, if so many bytes of host memory leave room; return at once. `load` waits, and raises what failed."""
        ...


@runtime_checkable
class Studious(Protocol):
    """A backend that is shown the samples before it is asked: the fakes, which know the answers."""

    def study(self, spec: TaskSpec, samples: Sequence[Sample]) -> None:
        """Learn (or forget) the answers of these samples."""
        ...


@runtime_checkable
class Recorded(Protocol):
    """A backend whose answers lie ready, any number to a document: `replay:FILE`."""

    def covers(self, spec: TaskSpec) -> frozenset[str] | None:
        """Documents of a code task that have answers; None when every document must have one.

        Raises:
            BackendError: not one document has.
        """
        ...

    def recorded(self, spec: TaskSpec, document: Document) -> tuple[Response, ...]:
        """All answers to a document.

        Raises:
            BackendError: there is none.
        """
        ...


def open_backend(ref: str, options: ModelOptions) -> Backend:
    """The backend a reference names. Nothing heavy is loaded before it is asked.

    Args:
        ref: `SCHEME:TARGET?key=value&key=value`; docs/backends.md has a table.
        options: how to run it.

    Raises:
        BackendError: unknown scheme, or a reference that its scheme can't read.
    """
    reference = parse_reference(ref)
    if reference.scheme not in SCHEMES:
        hint = f"{_near(reference.scheme, SCHEMES)} (a local folder is hf:FOLDER)"
        raise BackendError(f"--model {ref}: unknown scheme '{reference.scheme}'; {hint}")
    return SCHEMES[reference.scheme](reference, options)


def _near(word: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"did you mean '{close[0]}'?" if close else f"valid: {', '.join(known)}"


def _hf(reference: Reference, options: ModelOptions) -> Backend:
    from assay.harness.backends.lm_eval import HuggingFace

    return HuggingFace(reference, options)


def _engine(reference: Reference, options: ModelOptions) -> Backend:
    from assay.harness.backends.engines import open_engine

    return open_engine(reference, options)


def _endpoint(reference: Reference, options: ModelOptions) -> Backend:
    from assay.harness.backends.endpoint import open_endpoint

    return open_endpoint(reference, options)


def _oracle(reference: Reference, _: ModelOptions) -> Backend:
    from assay.harness.backends.fake import Oracle

    return Oracle(reference.rest)


def _corrupted(reference: Reference, _: ModelOptions) -> Backend:
    from assay.harness.backends.fake import Corrupted

    return Corrupted(reference.rest)


def _random(reference: Reference, _: ModelOptions) -> Backend:
    from assay.harness.backends.fake import Random

    return Random(reference.rest)


def _constant(reference: Reference, _: ModelOptions) -> Backend:
    from assay.harness.backends.fake import Constant

    return Constant(reference.rest)


def _replay(reference: Reference, _: ModelOptions) -> Backend:
    from assay.harness.backends.replay import Replay

    return Replay(reference.rest)


SCHEMES: dict[str, Callable[[Reference, ModelOptions], Backend]] = {
    "hf": _hf,
    "vllm": _engine,
    "sglang": _engine,
    "openai-completions": _endpoint,
    "openai-chat": _endpoint,
    "lm_eval": _engine,
    "oracle": _oracle,
    "corrupted": _corrupted,
    "random": _random,
    "constant": _constant,
    "replay": _replay,
}
