"""One protocol for everything that can be asked, and the table of schemes."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

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


class BackendError(UserError):
    """A model can't be opened or asked; the message names the fault and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """What a user may say of how a model is run; one declaration for the CLI and every backend.

    Attributes:
        batch_size: sequences in one forward pass, or None to fit a token budget to memory.
        device: as torch names it, or "auto".
        dtype: of the weights in memory; float32 is what the published numbers were made with.
        offline: never touch the network.
    """

    batch_size: int | None = None
    device: str = "auto"
    dtype: str = "float32"
    offline: bool = False


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
        ref: `hf:PATH`, `hf:OWNER/NAME[@REVISION]`, `oracle`, `corrupted:SHARE`, `random:SEED`, `constant`,
            `replay:FILE`.
        options: how to run it.

    Raises:
        BackendError: unknown scheme, or a reference that its scheme can't read.
    """
    scheme, _, rest = ref.partition(":")
    if scheme not in SCHEMES:
        close = difflib.get_close_matches(scheme, SCHEMES, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"valid: {', '.join(SCHEMES)}"
        raise BackendError(f"--model {ref}: unknown scheme '{scheme}'; {hint} (a local folder is hf:FOLDER)")
    return SCHEMES[scheme](rest, options)


def _hf(rest: str, options: ModelOptions) -> Backend:
    from assay.harness.backends.lm_eval import HuggingFace

    return HuggingFace(rest, options)


def _oracle(rest: str, _: ModelOptions) -> Backend:
    from assay.harness.backends.fake import Oracle

    return Oracle(rest)


def _corrupted(rest: str, _: ModelOptions) -> Backend:
    from assay.harness.backends.fake import Corrupted

    return Corrupted(rest)


def _random(rest: str, _: ModelOptions) -> Backend:
    from assay.harness.backends.fake import Random

    return Random(rest)


def _constant(rest: str, _: ModelOptions) -> Backend:
    from assay.harness.backends.fake import Constant

    return Constant(rest)


def _replay(rest: str, _: ModelOptions) -> Backend:
    from assay.harness.backends.replay import Replay

    return Replay(rest)


SCHEMES: dict[str, Callable[[str, ModelOptions], Backend]] = {
    "hf": _hf,
    "oracle": _oracle,
    "corrupted": _corrupted,
    "random": _random,
    "constant": _constant,
    "replay": _replay,
}
