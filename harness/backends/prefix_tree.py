"""`PrefixTreeLM`: lm-eval's HFLM, whose log-likelihoods forward every shared token once.

    python -m assay.harness.backends.prefix_tree run --model assay-hf --model_args pretrained=FOLDER --tasks arc_easy

is lm-eval's own command line with it: importing this module registers it there as `assay-hf`.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from lm_eval.api.registry import register_model
from lm_eval.models.huggingface import HFLM
from tqdm import tqdm

from assay.harness.backends import alone, branched, packed, probes
from assay.harness.backends.base import BackendError
from assay.harness.backends.radix import Asked, Limits, Plans, unique

TOKENS_CPU = 512
"""In one pack on a CPU, where more only waits for memory and attends to more."""
TOKENS_GPU = 4_096
LOGITS_MIB_CPU = 128
"""Memory for one pack's logits and their softmax on a CPU; on a GPU a quarter of what is free."""
BATCH_TOKENS = 16_384
"""Most tokens in a plain batch, padding included."""
LEAST_TOKENS = 16
"""A pack that does not fit the memory is halved down to this."""
PLANS = Plans(capacity=2_000_000)
"""Shared by all models of a process; about 100 bytes an id with its targets, 200 MB."""
Way = Literal["packed", "branched", "plain"]
Request = tuple[tuple[str, str], list[int], list[int]]
Answer = tuple[float, bool]
Tick = Callable[[int], Any]


def _silent(_: int) -> None:
    """No progress to show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Tokens so far: asked one request at a time, without any that are shared, and forwarded indeed."""

    asked: int = 0
    unique: int = 0
    forwarded: int = 0

    def __add__(self, other: Work) -> Work:
        return Work(
            asked=self.asked + other.asked,
            unique=self.unique + other.unique,
            forwarded=self.forwarded + other.forwarded,
        )


@register_model("assay-hf")
class PrefixTreeLM(HFLM):  # type: ignore[misc]  # lm-eval has no types
    """HFLM of lm-eval 0.4.13, same requests, same answers: every task of lm-eval's own can use it.

    How a model is asked is chosen on its first requests, and again when longer ones come, since a window may bind only
    there: packed, if that gives the scores of one plain forward pass a request; else branched, if that does; else plain
    batches.

    Attributes:
        work: tokens so far.
        scoring: the way that was chosen, "" before the first request.
        reason: why it is not packed, or "".
    """

    def __init__(self, *args: Any, deterministic: bool = False, **kwargs: Any) -> None:
        """As HFLM.

        Args:
            args: HFLM's.
            deterministic: no score depends on what else is asked: never packed, and plain batches hold one request.
            kwargs: HFLM's; `batch_size` bounds a pack to so many of its longest request.
        """
        super().__init__(*args, **{"softmax_dtype": "float32", **kwargs})
        self.work = Work()
        self.scoring: Way | Literal[""] = ""
        self.reason = ""
        self._deterministic = deterministic
        self._seen = 0
        self._masks = packed.Masks(window=None, by_type=False)
        self._reach = packed.reach(self.config)
        self._largest = 0.0
        self._halved = TOKENS_GPU
        self._batch = BATCH_TOKENS

    def _loglikelihood_tokens(
        self, requests: list[Request], disable_tqdm: bool = False, override_bs: int | None = None
    ) -> list[Answer]:
        if self.backend != "causal" or not requests:
            return list(super()._loglikelihood_tokens(requests, disable_tqdm, override_bs))
        asked = [self._fitted(context, continuation) for _, context, continuation in requests]
        bar = tqdm(total=len(requests), disable=disable_tqdm or self.rank != 0, desc="Scoring requests")
        try:
            with bar, alone.deterministic() if self._deterministic else contextlib.nullcontext():
                self._choose(asked)
                answers = self._answers(asked, bar.update)
        except torch.cuda.OutOfMemoryError as error:
            raise BackendError(
                f"one sequence of at most {max(a.tokens for a in asked)} tokens does not fit the device's memory; use "
                "a smaller --dtype or another --device"
            ) from error
        self.work += Work(asked=sum(a.tokens for a in asked), unique=unique(asked))
        for (texts, _, _), answer in zip(requests, answers, strict=True):
            if texts is not None:
                self.cache_hook.add_partial("loglikelihood", texts, answer)
        return answers

    def _answers(self, asked: Sequence[Asked], tick: Tick) -> list[Answer]:
        """Those asked alone that the length of their neighbours would change, then the others together."""
        far = {i: self._alone(a) for i, a in enumerate(asked) if a.tokens > self._reach}
        near = [a for a in asked if a.tokens <= self._reach]
        tick(len(far))
        together = iter(self._ways[self.scoring or "plain"](near, tick))
        return [far[i] if i in far else next(together) for i in range(len(asked))]

    @property
    def _ways(self) -> dict[Way, Callable[..., list[Answer]]]:
        return {"packed": self._packed, "branched": self._branched, "plain": self._plain}

    def _model_call(self, inps: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """HFLM's own batches, counted."""
        self.work += Work(forwarded=inps.numel())
        logits: torch.Tensor = super()._model_call(inps, *args, **kwargs)
        return logits

    def _fitted(self, context: Sequence[int], continuation: Sequence[int]) -> Asked:
        """Cut from the left to what the model takes; the last id is only predicted (HFLM)."""
        if not len(context) or not len(continuation):
            raise BackendError("a request without context or continuation: a model goes on from one token at least")
        if len(continuation) > self.max_length:
            raise BackendError(
                f"a continuation of {len(continuation)} tokens is longer than the {self.max_length} that the model "
                "takes: shorten it, or set max_length"
            )
        dropped = max(0, len(context) + len(continuation) - (self.max_length + 1))
        return Asked(context=context[dropped:], continuation=continuation)

    def _choose(self, asked: Sequence[Asked]) -> None:
        """The best way that scores as plain forward passes do; seen on a few requests, and on any longer one to come.

        What binds at a length only shows there: windows, also those that no configuration names.
        """
        if self._deterministic:
            asked = probes.fixed(self._vocabulary)
        longest = max(asked, key=lambda a: a.tokens)
        if self.scoring == "plain" or longest.tokens <= self._seen:
            return
        first, work, refused = not self._seen, self.work, [self.reason] if self.reason else []
        if first:
            try:
                self._masks = packed.masks(self.model)
            except packed.NoPacks as error:
                refused.append(f"not packed: {error}")
        tried: list[Way] = ["branched"] if refused or self._deterministic else ["packed", "branched"]
        probe = [*(probes.of(asked) if first else []), *probes.at_length(longest)]
        wanted = [self._alone(a) for a in probe[:-2]]
        with contextlib.suppress(torch.cuda.OutOfMemoryError):  # packs part what does not fit in one pass
            wanted.append(self._alone(probe[-2]))
        limit = probes.limit(self.model.dtype, self._largest)
        filling = probes.filling(longest, self._limits(probe).tokens, self._vocabulary)
        self.scoring = "plain"
        for way in tried:
            asks = [(self._ways[way], [*probe, *filling] if way == "packed" else probe)]
            asks += [(self._cached, probe)] if way == "packed" and first else []
            faults = filter(None, (probes.fault(ask, given, wanted, limit) for ask, given in asks))
            if not (fault := next(faults, "")):
                self.scoring = way
                break
            refused.append(f"not {way}: {fault}")
        self.reason, self.work, self._seen = "; ".join(refused), work, longest.tokens

    def _cached(self, asked: Sequence[Asked]) -> list[Answer]:
        """In packs so small that what requests share is cached."""
        return self._packed(asked, limits=dataclasses.replace(self._limits(asked), tokens=probes.CACHED))

    def _packed(self, asked: Sequence[Asked], tick: Tick = _silent, limits: Limits | None = None) -> list[Answer]:
        """In packs, halved when the device runs out of memory; what gave NaN is asked again alone.

        A NaN that one request's tokens cause would spread to all of its pack.
        """
        answers: list[Answer | None] = [None] * len(asked)
        limits = limits or self._limits(asked)
        while todo := [i for i, a in enumerate(answers) if a is None]:
            try:
                for i, answer in self._packs([asked[i] for i in todo], limits):
                    answers[todo[i]] = answer
                    tick(1)
            except torch.cuda.OutOfMemoryError as error:
                torch.cuda.empty_cache()
                half = limits.tokens // 2
                if half < LEAST_TOKENS:
                    raise BackendError(
                        f"a pack of {limits.tokens} tokens does not fit the device's memory; use a smaller --dtype or "
                        "another --device"
                    ) from error
                self._halved = half
                limits = Limits(tokens=half, rows=max(1, limits.rows // 2), node=half)
        found = [a for a in answers if a is not None]
        return [self._alone(a) if f[0] != f[0] else f for a, f in zip(asked, found, strict=True)]

    def _packs(self, asked: Sequence[Asked], limits: Limits) -> Iterator[tuple[int, Answer]]:
        """Index and answer of each request, as soon as its last token is scored."""
        plan = PLANS.get(asked, limits)
        owner = [i for i, a in enumerate(asked) for _ in a.continuation]
        firsts = [0]
        for a in asked:
            firsts.append(firsts[-1] + len(a.continuation))
        logprobs = torch.full((len(owner),), torch.nan, dtype=torch.float64)
        greedy = torch.zeros(len(owner), dtype=torch.bool)
        due = [len(a.continuation) for a in asked]
        for scored in packed.forward(self.model, plan, self._masks):
            self.work += Work(forwarded=scored.tokens)
            logprobs[scored.at] = scored.logprobs.double()
            greedy[scored.at] = scored.greedy
            for i in (owner[at] for at in scored.at):
                due[i] -= 1
                if not due[i]:
                    mine = slice(firsts[i], firsts[i + 1])
                    yield i, (float(logprobs[mine].sum()), bool(greedy[mine].all()))

    @property
    def _vocabulary(self) -> int:
        return int(self.model.get_input_embeddings().weight.shape[0])

    @property
    def _rows(self) -> int:
        """Rows of logits, and of their softmax, that memory has room for."""
        free = LOGITS_MIB_CPU * 2**20
        if self.device.type == "cuda":
            cached = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
            free = (torch.cuda.mem_get_info(self.device)[0] + cached) // 4
        return max(1, free // (self._vocabulary * 8))

    def _limits(self, asked: Sequence[Asked]) -> Limits:
        """A pack's size: what memory has room for, and no more than a plain batch of the same batch size."""
        tokens = TOKENS_GPU if self.device.type == "cuda" else TOKENS_CPU
        if self.batch_size != "auto":
            tokens = min(tokens, max(LEAST_TOKENS, int(self.batch_size) * max(a.tokens for a in asked)))
        tokens = min(tokens, self._halved)
        return Limits(tokens=tokens, rows=min(tokens, self._rows))

    def _branched(self, asked: Sequence[Asked], tick: Tick = _silent) -> list[Answer]:
        found: dict[int, Answer] = {}
        for i, logprob, greedy, tokens in branched.forward(self.model, asked):
            found[i] = (logprob, greedy)
            self.work += Work(forwarded=tokens)
            tick(1)
        return [found[i] for i in range(len(asked))]

    def _alone(self, asked: Asked) -> Answer:
        """One plain forward pass."""
        found = alone.score(self.model, asked)
        self.work += Work(forwarded=asked.tokens)
        self._largest = max(self._largest, found.largest)
        return found.logprob, found.greedy

    def _plain(self, asked: Sequence[Asked], tick: Tick = _silent) -> list[Answer]:
        """HFLM's own batches, longest first, halved when the device runs out of memory."""
        ordered = sorted(range(len(asked)), key=lambda i: (-asked[i].tokens, list(asked[i].context)))
        found: dict[int, Answer] = {}
        while ordered:
            longest = asked[ordered[0]].tokens
            size = 1 if self._deterministic else max(1, min(self._batch, self._rows) // longest)
            if self.batch_size != "auto":
                size = min(size, int(self.batch_size))
            batch = ordered[:size]
            try:
                answers = super()._loglikelihood_tokens(
                    [_request(asked[i]) for i in batch], disable_tqdm=True, override_bs=size
                )
            except torch.cuda.OutOfMemoryError:
                if len(batch) == 1:
                    raise
                torch.cuda.empty_cache()
                self._batch = len(batch) // 2 * longest
                continue
            found.update(zip(batch, answers, strict=True))
            tick(len(batch))
            ordered = ordered[size:]
        return [found[i] for i in range(len(asked))]


def _request(asked: Asked) -> Request:
    return (None, list(asked.context), list(asked.continuation))  # type: ignore[return-value]  # None: HFLM keeps it out of lm-eval's cache


if __name__ == "__main__":
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()
