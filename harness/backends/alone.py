"""A request in one plain forward pass of its own: what every other way of scoring has to equal."""

from __future__ import annotations

import contextlib
import inspect
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from assay.harness.backends.radix import Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """What a plain pass says: nats, whether all tokens are the argmax, and the largest absolute logit it saw."""

    logprob: float
    greedy: bool
    largest: float


def score(model: Any, asked: Asked) -> Alone:
    """One forward pass; of its logits those of the answer, where the model can leave out the others."""
    ids = [*asked.context, *asked.continuation[:-1]]
    rows = len(asked.continuation)
    inner = model.get_base_model() if hasattr(model, "peft_config") else model
    keep = {"logits_to_keep": rows} if "logits_to_keep" in inspect.signature(inner.forward).parameters else {}
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([ids], device=model.device), **keep).logits[0, -rows:]
        logprobs = logits.float().log_softmax(-1).cpu()
    wanted = torch.tensor(list(asked.continuation))
    return Alone(
        logprob=float(logprobs.gather(-1, wanted[:, None]).double().sum()),
        greedy=bool((logprobs.argmax(-1) == wanted).all()),
        largest=float(logits.abs().max().nan_to_num()),
    )


@contextlib.contextmanager
def deterministic() -> Iterator[None]:
    """Torch's deterministic algorithms, for as long as this is open."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when it is first used
    was = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(was[0], warn_only=was[1])
