"""One model asked the same in several ways, for `assay doctor --numerics`."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Sequence
from typing import Any

from lm_eval.models.huggingface import HFLM

from assay.harness import numerics
from assay.harness.backends import alone, probes, radix
from assay.harness.backends.base import NEVER_CUT, BackendError, ModelOptions, open_backend
from assay.harness.backends.lm_eval import HuggingFace
from assay.harness.backends.prefix_tree import PrefixTreeLM
from assay.harness.numerics import Passes, Taken
from assay.tasks.types import LogLikelihood

ALONE, FIXED = "alone", "deterministic"


def passes(ref: str, options: ModelOptions) -> Passes:
    """The built-in requests, asked in every way.

    Raises:
        BackendError: the model can't be loaded, or is not of `hf:`.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when it is first used
    backend = open_backend(ref, options)
    if not isinstance(backend, HuggingFace):
        raise BackendError(f"--numerics {ref}: only weights on this machine can be asked in several ways: hf:FOLDER")
    backend.load()
    model = backend._lm.model
    asked = numerics.requests(backend.tokenizer, backend.max_length)
    tree = [radix.Asked(context=r.context_ids, continuation=r.continuation_ids) for r in asked]
    return Passes(
        dtype=str(model.dtype).removeprefix("torch."),
        limit=probes.limit(model.dtype, alone.score(model, tree[0]).largest),
        requests=asked,
        asked=sum(a.tokens for a in tree),
        unique=sum(len(n.ids) for n in radix.tree(tree)),
        taken=(*_varied(backend, asked), *_fixed(backend, asked)),
    )


def _varied(backend: HuggingFace, asked: Sequence[LogLikelihood]) -> list[Taken]:
    """lm-eval's own class with one request at a time, and ours with packs of several sizes."""
    plain = _over(HFLM, backend, batch_size=1)
    large, small = (_over(PrefixTreeLM, backend, batch_size=size) for size in ("auto", 1))
    _ask(plain, asked[:1])
    for lm in (large, small):  # chooses its way, and warms up
        _ask(lm, asked)
    everything = range(len(asked))
    return [
        _take(ALONE, plain, asked, [[i] for i in everything]),
        _take("together", large, asked, [everything]),
        _take("small packs", small, asked, [everything[::-1]]),
        _take("two halves", large, asked, [everything[::2], everything[1::2]]),
    ]


def _fixed(backend: HuggingFace, asked: Sequence[LogLikelihood]) -> list[Taken]:
    """Deterministic: together, and alone, which has to be the same."""
    lm = _over(PrefixTreeLM, backend, deterministic=True, batch_size=1)
    _ask(lm, asked)
    return [
        _take(FIXED, lm, asked, [range(len(asked))]),
        _take("deterministic, alone", lm, asked, [[i] for i in reversed(range(len(asked)))], FIXED),
    ]


def _over(kind: type[HFLM], backend: HuggingFace, **arguments: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind(
            pretrained=backend._lm.model,
            tokenizer=backend.tokenizer.hf,
            backend="causal",
            softmax_dtype="float32",
            max_length=NEVER_CUT,
            **arguments,
        )


def _take(
    way: str, lm: Any, asked: Sequence[LogLikelihood], calls: Sequence[Sequence[int]], against: str = ALONE
) -> Taken:
    """Time these calls, each of the requests with these indices."""
    ours = isinstance(lm, PrefixTreeLM)
    before = lm.work.forwarded if ours else 0
    found: dict[int, tuple[float, bool]] = {}
    begun = time.perf_counter()
    for call in calls:
        found.update(zip(call, _ask(lm, [asked[i] for i in call]), strict=True))
    return Taken(
        way=way,
        against=against,
        scored=lm.scoring if ours else "plain",
        reason=lm.reason if ours else "",
        logprobs=tuple(found[i][0] for i in range(len(asked))),
        greedy=tuple(bool(found[i][1]) for i in range(len(asked))),
        forwarded=(
            lm.work.forwarded - before if ours else sum(len(r.context_ids) + len(r.continuation_ids) - 1 for r in asked)
        ),
        seconds=time.perf_counter() - begun,
    )


def _ask(lm: Any, asked: Sequence[LogLikelihood]) -> list[tuple[float, bool]]:
    answers: list[tuple[float, bool]] = lm._loglikelihood_tokens(
        [(("", ""), list(r.context_ids), list(r.continuation_ids)) for r in asked], disable_tqdm=True
    )
    return answers
