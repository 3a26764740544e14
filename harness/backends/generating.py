"""Texts from a model on this machine: a row leaves its batch when it is done, and what prompts share is computed once.

Transformers' continuous batching (5.23, `generate_batch`) is not used. It knows neither stop strings nor a draw's own
random generator; cancelled requests could stand for the former, but when a thread gets to that decides who shares a
batch; and its pages take most of the device's memory from the start.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import torch
import transformers
from transformers import DynamicCache

from assay.harness.backends import caching, packed
from assay.harness.backends.base import BackendError
from assay.harness.backends.caching import Prompt
from assay.harness.backends.tokenizer import HFTokenizer
from assay.harness.backends.writing import Writing
from assay.tasks.types import Generation, Greedy

SHARED = 16
"""Tokens that prompts must share, at least, to be computed apart."""
CROWD = 8
"""Different prompts that begin alike, at least, to be asked one after another."""
TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-2}
"""Part of the largest centred logit by which two ways may differ: what the dtype's rounding explains."""
COARSE = 5e-2
"""The same for other dtypes."""


class Generator:
    """Writes for one model: plain argmax whatever its generation_config says (PARITY D 9), or draws for `Sampled`.

    A draw has a random generator of its own. No text depends on what else is asked.

    Attributes:
        reason: why transformers' own loop writes instead of this one, or "": known after the first request.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: HFTokenizer,
        *,
        batch_size: int | None,
        budget_tokens: int,
        strip_reasoning: str,
        ref: str,
    ) -> None:
        """Nothing is computed yet.

        Args:
            model: a causal language model of transformers, or peft's around one.
            tokenizer: its own.
            batch_size: rows in a batch; None: as many as the budget takes. 1 shares nothing: then not even rounding
                depends on what else is asked.
            budget_tokens: most tokens, prompts and answers, that one batch holds in its cache.
            strip_reasoning: the mark that ends reasoning, which is cut off; "" keeps all.
            ref: the model, for messages.
        """
        self.reason: str | None = None
        self._model = model
        self._tokenizer = tokenizer
        self._batch_size = batch_size
        self._budget = budget_tokens
        self._strip = strip_reasoning
        self._ref = ref
        self._takes = inspect.signature(caching.inner(model).forward).parameters
        self._takes_padding = True
        self._reach = packed.reach(caching.inner(model).config)
        self._header: tuple[Prompt, Any] = ((), None)

    def forget(self) -> None:
        """Let go of the kept header's memory."""
        self._header = ((), None)

    def generate(self, requests: Sequence[Greedy]) -> list[Generation]:
        """Texts in the order of the requests; memory that runs out halves the batch.

        Raises:
            BackendError: one sequence alone does not fit the device's memory, or a prompt is empty.
        """
        if not all(len(r.prompt_ids) for r in requests):
            raise BackendError(f"{self._ref}: an empty prompt: a model goes on from one token at least, its BOS, say")
        todo = _ordered(requests)
        found: dict[int, Generation] = {}
        while todo:
            members = self._fitting(requests, todo)
            batch = [Writing(requests[i], self._tokenizer, self._strip) for i in members]
            if not self._fits(batch):
                self._halve(batch)
            found |= {i: row.answer() for i, row in zip(members, batch, strict=True) if row.done}
            todo = [i for i in todo if i not in found]
        return [found[i] for i in range(len(requests))]

    def _fitting(self, requests: Sequence[Greedy], todo: Sequence[int]) -> Sequence[int]:
        """The first requests, one at least, whose padded cache fits; alone what others' length would change."""
        longest = 0
        for rows, i in enumerate(todo, 1):
            longest = max(longest, _cost(requests[i]))
            full = rows > self._batch_size if self._batch_size else rows * longest > self._budget
            if rows > 1 and (full or longest > self._reach):
                return todo[: rows - 1]
        return todo

    def _fits(self, batch: Sequence[Writing]) -> bool:
        """Write; False when memory ran out before all were done. By then what filled it is let go."""
        try:
            with torch.no_grad():
                if self.reason is None:
                    self.reason = self._fault(max((tuple(row.request.prompt_ids) for row in batch), key=len))
                (self._by_transformers if self.reason else self._step_by_step)(batch)
        except torch.cuda.OutOfMemoryError as error:
            if len(batch) == 1 and not self._header[0]:
                raise BackendError(
                    f"{self._ref}: one sequence of {_cost(batch[0].request)} tokens does not fit the device's memory; "
                    "use a smaller --dtype or another --device"
                ) from error
            return False
        return True

    def _halve(self, batch: Sequence[Writing]) -> None:
        self.forget()
        torch.cuda.empty_cache()
        rows = max(1, len(batch) // 2)
        self._budget = rows * max(_cost(row.request) for row in batch)
        self._batch_size = self._batch_size and rows

    def _fault(self, prompt: Prompt) -> str:
        """Why this loop is not to be used, or "": a prompt's first tokens are asked alone, and as this loop asks."""
        prompt = prompt if len(prompt) > 2 else 3 * prompt  # the second of the pair is padded
        first = min(len(prompt), 2 * SHARED)
        pair = [prompt[:first], prompt[: max(1, first - 2)]]
        try:
            reason = self._difference(pair)
        except torch.cuda.OutOfMemoryError:
            raise
        except Exception as error:  # a model's own code may refuse what it does not know in any way
            reason = f"{type(error).__name__}: {error}"[:300]
        self.forget()
        if reason:
            ids, mask, _ = _padded(pair, 0, self._model.device)
            logits = self._model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, -1]
            self._takes_padding = _alike(logits, self._alone(pair))
        return reason

    def _difference(self, pair: Sequence[Prompt]) -> str:
        if not caching.keeps_keys_alone(self._model):
            return "the model keeps more than keys and values"
        logits, mask, cache = self._read(pair, rows=len(pair))
        after = logits.argmax(-1, keepdim=True)
        logits = torch.cat([logits, self._forward(after, _longer(mask), cache)])
        longer = [(*p, i) for p, i in zip(pair, after[:, 0].tolist(), strict=True)]
        return "" if _alike(logits, self._alone([*pair, *longer])) else "padding or a cache changes what the model says"

    def _alone(self, prompts: Sequence[Prompt]) -> Any:
        """Logits after each prompt, [prompts, vocabulary], from a forward pass of its own."""
        ids = [torch.tensor([prompt], device=self._model.device) for prompt in prompts]
        return torch.cat([self._model(input_ids=i, use_cache=False).logits[:, -1] for i in ids])

    def _step_by_step(self, batch: Sequence[Writing]) -> None:
        asked = [tuple(row.request.prompt_ids) for row in batch]
        at = {prompt: i for i, prompt in enumerate(dict.fromkeys(asked))}
        logits, mask, cache = self._read(list(at), rows=len(batch))
        logits, mask = caching.select([at[prompt] for prompt in asked], cache, logits, mask)
        rows = list(batch)
        while True:
            broken = logits.isnan().any(-1)
            tokens = _drawn(rows, logits).argmax(-1)
            for row, token, bad in zip(rows, tokens.tolist(), broken.tolist(), strict=True):
                row.add(token, broken=bad)
            staying = [i for i, row in enumerate(rows) if not row.done]
            if not staying:
                return
            rows = [rows[i] for i in staying]
            tokens, mask = caching.select(staying, cache, tokens, mask)
            mask = _longer(mask)
            logits = self._forward(tokens[:, None], mask, cache)

    def _read(self, prompts: Sequence[Prompt], *, rows: int) -> tuple[Any, Any, Any]:
        """Logits after each of different prompts, their mask, [prompts, longest], left-padded, and the cache."""
        shared = self._share(prompts, rows)
        ids, mask, pads = _padded(prompts, 0, self._model.device)
        cache = caching.moved(self._header[1], shared, pads) if shared else DynamicCache()
        return self._forward(ids[:, shared:], mask, cache), mask, cache

    def _share(self, prompts: Sequence[Prompt], rows: int) -> int:
        """How many first tokens of all prompts the kept header holds, made to hold more where that pays."""
        if max(map(len, prompts)) > self._reach:
            return 0
        common = caching.common([*prompts, *(p[:-1] for p in prompts)])
        ids, cache = self._header
        known = caching.common([prompts[0][:common], ids])
        if rows > 1 and common - known >= SHARED:
            cache = caching.moved(cache, known, [0]) if known else DynamicCache()
            more = torch.tensor([prompts[0][known:common]], device=self._model.device)
            self._forward(more, more.new_ones(1, common), cache)
            self._header = (prompts[0][:common], cache)
            return common
        return known if known >= SHARED else 0

    def _forward(self, ids: Any, mask: Any, cache: Any) -> Any:
        """Logits of the last column, [rows, vocabulary]; `ids` are the last columns of the mask, `cache` the others."""
        positions = (mask.cumsum(-1) - 1).clamp_min(0)[:, -ids.shape[1] :]
        given = {"position_ids": positions} if "position_ids" in self._takes else {}
        out = self._model(
            input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, logits_to_keep=1, **given
        )
        return out.logits[:, -1]

    def _by_transformers(self, batch: Sequence[Writing]) -> None:
        """Transformers' own loop, which goes on until the last row is done; the same texts."""
        eos = self._tokenizer.eos_id
        pad = 0 if eos is None else eos
        # replaced, since what a call leaves open is filled in from the model's own
        self._model.generation_config = transformers.GenerationConfig(
            do_sample=False, eos_token_id=eos, pad_token_id=pad, use_cache=True
        )
        lengths = groupby(batch, lambda row: 0 if self._takes_padding else len(row.request.prompt_ids))
        for rows in (list(rows) for _, rows in lengths):
            ids, mask, _ = _padded([tuple(row.request.prompt_ids) for row in rows], pad, self._model.device)
            seen = _Seen(rows)
            self._model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=max(1, *(row.request.max_tokens for row in rows)),
                logits_processor=[seen.logits],
                stopping_criteria=[seen.tokens],
            )


class _Seen:
    """What transformers' loop shows of each step: the logits before it chooses, the tokens after."""

    def __init__(self, rows: Sequence[Writing]) -> None:
        self._rows = rows
        self._broken: list[bool] = []

    def logits(self, _: Any, scores: Any) -> Any:
        """[rows, vocabulary], as argmax is to see them."""
        self._broken = scores.isnan().any(-1).tolist()
        return _drawn(self._rows, scores)

    def tokens(self, ids: Any, _: Any) -> Any:
        """Which rows are done, [rows], after the last of `ids`."""
        for row, token, broken in zip(self._rows, ids[:, -1].tolist(), self._broken, strict=True):
            if not row.done:
                row.add(token, broken=broken)
        return torch.tensor([row.done for row in self._rows], device=ids.device)


def _cost(request: Greedy) -> int:
    return len(request.prompt_ids) + request.max_tokens


def _ordered(requests: Sequence[Greedy]) -> list[int]:
    """Prompts that begin alike together, where there are many; among them the longest first, the same side by side."""
    prompts = [tuple(r.prompt_ids) for r in requests]
    crowd = Counter(prompt[:SHARED] for prompt in set(prompts))
    begin = [p[:SHARED] if crowd[p[:SHARED]] >= CROWD else () for p in prompts]
    return sorted(range(len(prompts)), key=lambda i: (begin[i], -len(prompts[i]), prompts[i], i))


def _padded(prompts: Sequence[Prompt], pad: int, device: Any) -> tuple[Any, Any, list[int]]:
    """Ids and mask, both [prompts, longest], and how much padding stands on the left of each."""
    longest = max(map(len, prompts))
    pads = [longest - len(p) for p in prompts]
    ids = torch.tensor([[pad] * n + list(p) for n, p in zip(pads, prompts, strict=True)], device=device)
    mask = torch.tensor([[0] * n + [1] * (longest - n) for n in pads], device=device)
    return ids, mask, pads


def _longer(mask: Any) -> Any:
    return torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)


def _drawn(rows: Sequence[Writing], logits: Any) -> Any:
    """One step's logits, float32 [rows, vocabulary], as argmax is to see them."""
    logits = logits.float()
    for i, row in enumerate(rows):
        if row.draw is not None:
            logits[i] = row.draw(logits[i])
    return logits


def _alike(found: Any, wanted: Any) -> bool:
    """Logits that differ by the dtype's rounding at most; what is added to all of a row changes nothing."""
    found, centred = (x.float() - x.float().mean(-1, keepdim=True) for x in (found, wanted))
    limit = TOLERANCE.get(wanted.dtype, COARSE) * float(centred.nan_to_num().abs().max())
    return bool(torch.allclose(found, centred, rtol=0, atol=limit, equal_nan=True))
