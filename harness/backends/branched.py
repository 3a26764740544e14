"""A context's keys and values, computed once for all its continuations; for models that can't be given a pack.

Each context and each continuation is a forward pass of its own, so a score depends on nothing but its request: that is
also what `--deterministic` means.
"""

from __future__ import annotations

import copy
from array import array
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from assay.harness.backends.radix import Asked


def forward(model: Any, asked: Sequence[Asked]) -> Iterator[tuple[int, float, bool, int]]:
    """Each request's index, log-probability (nats), whether it is greedy, and the tokens forwarded for it."""
    contexts: dict[bytes, list[int]] = {}
    for i, a in enumerate(asked):
        contexts.setdefault(array("i", a.context).tobytes(), []).append(i)
    for members in contexts.values():
        ids = torch.tensor([list(asked[members[0]].context)], device=model.device)
        with torch.inference_mode():
            context = model(input_ids=ids, use_cache=True, logits_to_keep=1)
        spent = ids.shape[1]
        for i in members:
            yield i, *_continued(model, context, list(asked[i].continuation)), spent + len(asked[i].continuation) - 1
            spent = 0


def _continued(model: Any, context: Any, continuation: list[int]) -> tuple[float, bool]:
    ids = torch.tensor([continuation], device=model.device)
    with torch.inference_mode():
        rows = context.logits[0, -1:]
        if len(continuation) > 1:
            cache = copy.deepcopy(context.past_key_values)
            more = model(input_ids=ids[:, :-1], past_key_values=cache, use_cache=True).logits[0]
            rows = torch.cat([rows, more])
        logprobs = rows.float().log_softmax(-1)
        picked = logprobs.gather(-1, ids[0, :, None]).double().sum()
        return float(picked), bool((logprobs.argmax(-1) == ids[0]).all())
