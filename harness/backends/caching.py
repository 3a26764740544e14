"""A batch's keys and values: what prompts share is computed once, and rows that are done leave."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

Prompt: TypeAlias = tuple[int, ...]


def inner(model: Any) -> Any:
    """What peft has wrapped, or the model itself."""
    return model.get_base_model() if hasattr(model, "peft_config") else model


def keeps_keys_alone(model: Any) -> bool:
    """Whether keys and values are all that a model keeps of a text, so that a prefix of them stands for it.

    Not so for state-space models, linear attention, layers that reuse others' keys, and peft's learned prompts.
    """
    own = inner(model)
    learned = own is not model and getattr(model.active_peft_config, "is_prompt_learning", False)
    takes = inspect.signature(own.forward).parameters
    if learned or getattr(own, "_is_stateful", False) or not {"past_key_values", "logits_to_keep"} <= takes.keys():
        return False
    return all(type(x) in (DynamicLayer, DynamicSlidingWindowLayer) for x in DynamicCache(config=own.config).layers)


def common(prompts: Sequence[Prompt]) -> int:
    """Length of the longest common prefix."""
    first, last = min(prompts), max(prompts)
    return next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))


def moved(cache: Any, tokens: int, pads: Sequence[int]) -> Any:
    """The first `tokens` of a one-row cache, as rows, each moved right by its padding; what falls off is left out.

    So a row has no gap: a sliding window, which counts columns, sees what it would see without padding. It is a mask
    alone here: the cache keeps every column, also in layers with a window.
    """
    at = torch.arange(tokens)[None] - torch.tensor(pads)[:, None]
    at = at.clamp_min(0)
    return DynamicCache(
        [
            (keys[0][:, at.to(keys.device)].transpose(0, 1), values[0][:, at.to(values.device)].transpose(0, 1))
            for keys, values, *_ in cache
        ]
    )


def select(rows: list[int], cache: Any, *tensors: Any) -> tuple[Any, ...]:
    """These rows alone, of the cache in place and of each tensor."""
    if rows == list(range(len(tensors[0]))):
        return tensors
    at = torch.tensor(rows, device=tensors[0].device)
    cache.batch_select_indices(at)
    return tuple(t[at] for t in tensors)
