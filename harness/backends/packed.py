"""One forward pass over a pack: a row whose tokens see their own ancestors only, and logits of the rows that count."""

from __future__ import annotations

import copy
import inspect
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache

from assay.harness.backends.radix import Node, Pack, Plan

FULL, SLIDING = "full_attention", "sliding_attention"
SOFTMAX_MIB = 8
"""Memory for log-probabilities at a time: what stays in a processor's cache."""


class NoPacks(Exception):
    """This model can't be given a pack; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Masks:
    """What a model wants as its mask.

    Attributes:
        window: tokens that a sliding layer sees, itself included; None where there is none.
        by_type: a mask for each type of layer, as models that mix them take it; else one for all layers.
    """

    window: int | None
    by_type: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What a pack says of its targets, in the order of `fresh` nodes' targets.

    Attributes:
        at: among all tokens of all requests. logprobs: nats, float32. greedy: the token is the argmax.
        tokens: forwarded in the pack.
    """

    at: list[int]
    logprobs: torch.Tensor
    greedy: torch.Tensor
    tokens: int


def masks(model: Any) -> Masks:
    """How this model's attention can be told what a token sees.

    Raises:
        NoPacks: it takes no positions, no choice of logits, or has layers other than (windowed) attention.
    """
    inner = model.get_base_model() if hasattr(model, "peft_config") else model
    if hasattr(model, "peft_config") and getattr(model.active_peft_config, "is_prompt_learning", False):
        raise NoPacks("the adapter puts tokens of its own before every prompt")
    takes = inspect.signature(inner.forward).parameters
    for name in ("position_ids", "logits_to_keep", "attention_mask", "past_key_values"):
        if name not in takes:
            raise NoPacks(f"{type(inner).__name__} takes no {name}")
    config = inner.config.get_text_config()
    if getattr(config, "alibi", False):
        raise NoPacks("ALiBi takes a token's distance from its place in the row")
    types = set(getattr(config, "layer_types", None) or ())
    if types - {FULL, SLIDING}:
        raise NoPacks(f"it has layers of {', '.join(sorted(types - {FULL, SLIDING}))}")
    window = getattr(config, "sliding_window", None) if not types or SLIDING in types else None
    return Masks(window=window, by_type=SLIDING in types)


def reach(config: Any) -> int:
    """Tokens up to which a position looks the same in any row: some rotary embeddings change with the longest in it."""
    config = config.get_text_config()
    found = [getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}]
    if not found[0].get("rope_type"):
        found = [rope for rope in found[0].values() if isinstance(rope, dict)]  # one for each type of layer
    changing = [rope for rope in found if rope.get("rope_type") in ("dynamic", "longrope")]
    if not changing:
        return 1 << 30
    original = getattr(config, "original_max_position_embeddings", None) or config.max_position_embeddings
    return min(int(rope.get("original_max_position_embeddings") or original) for rope in changing)


def forward(model: Any, plan: Plan, how: Masks) -> Iterator[Scored]:
    """Score all packs of a plan, one at a time; keys and values of prefixes are held as long as packs need them."""
    held: dict[tuple[int, ...], Any] = {}
    last = {pack.prefix: i for i, pack in enumerate(plan.packs)}
    for i, pack in enumerate(plan.packs):
        cache = held.get(pack.prefix)
        if last[pack.prefix] == i:
            held.pop(pack.prefix, None)
        cache = fork(cache) if pack.prefix else DynamicCache()
        rows = _rows(plan, pack)
        with torch.inference_mode():
            nodes = [plan.nodes[n] for n in pack.nodes]
            logits = _call(model, nodes, how, cache, rows, use_cache=bool(pack.prefix) or pack.kept)
            scored = _scored(logits, plan, pack, {row: n for n, row in enumerate(rows)})
        if pack.kept:
            held[*pack.prefix, *pack.nodes] = cache
        yield scored


def fork(cache: Any) -> Any:
    """A cache that goes on from another's keys and values and leaves them as they are; they are not copied."""
    other = copy.copy(cache)
    other.layers = [copy.copy(layer) for layer in cache.layers]
    return other


def _rows(plan: Plan, pack: Pack) -> list[int]:
    """Places in the pack whose logits are needed; its first where none is, since models give all for none."""
    found, begin = set(), 0
    fresh = set(pack.fresh)
    for i in pack.nodes:
        if i in fresh:
            found |= {begin + t.row for t in plan.nodes[i].targets}
        begin += len(plan.nodes[i].ids)
    return sorted(found) or [0]


def _call(
    model: Any, nodes: Sequence[Node], how: Masks, cache: Any, rows: Sequence[int], *, use_cache: bool
) -> torch.Tensor:
    """Logits of these rows, [rows, vocabulary]."""
    device = model.device
    ids = torch.tensor([i for n in nodes for i in n.ids], device=device)
    depths = torch.cat([torch.arange(n.depth, n.depth + len(n.ids)) for n in nodes]).to(device)
    keep = torch.tensor(rows, device=device)
    out = model(
        input_ids=ids[None],
        position_ids=depths[None],
        attention_mask=_mask(nodes, depths, how, model.dtype),
        logits_to_keep=keep,
        past_key_values=cache if use_cache else None,
        use_cache=use_cache,
    )
    logits: torch.Tensor = out.logits[0]
    if logits.shape[0] != len(keep):
        raise NoPacks("it gives logits of rows that were not asked for")
    return logits


def _mask(nodes: Sequence[Node], depths: torch.Tensor, how: Masks, dtype: torch.dtype) -> Any:
    """What is added to attention's scores, [1, 1, tokens, cached + tokens]: 0 for what a token sees.

    A token sees what stands before it in the pack and has it among its descendants: all of it where the pack is one
    chain, and then models make the same mask by themselves, at half the cost.
    """
    size, first = len(depths), nodes[0].depth
    chain = all(b.depth == a.depth + len(a.ids) for a, b in itertools.pairwise(nodes))
    windowed = how.window is not None and first + size > how.window
    if chain and not first and not windowed:
        return None
    device = depths.device
    place = torch.arange(size, device=device)
    until = _subtree_ends(nodes).to(device)
    seen = (place[:, None] >= place) & (place[:, None] < until)
    seen = torch.cat([torch.ones(size, first, dtype=torch.bool, device=device), seen], dim=1)
    before = torch.cat([torch.arange(first, device=device), depths])
    full = _additive(seen, dtype)
    if how.window is None:
        return full
    near = _additive(seen & (depths[:, None] - before < how.window), dtype) if windowed else full
    return {FULL: full, SLIDING: near} if how.by_type else near


def _subtree_ends(nodes: Sequence[Node]) -> torch.Tensor:
    """For each token, the place after the last token of its node's descendants within the pack."""
    begins = torch.tensor([0, *(len(n.ids) for n in nodes)]).cumsum(0)
    open_: list[int] = []
    ends = [int(begins[-1])] * len(nodes)
    for i, node in enumerate(nodes):
        while open_ and nodes[open_[-1]].depth + len(nodes[open_[-1]].ids) > node.depth:
            ends[open_.pop()] = int(begins[i])
        open_.append(i)
    return torch.tensor(ends).repeat_interleave(torch.tensor([len(n.ids) for n in nodes]))


def _additive(seen: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, torch.finfo(dtype).min)[
        None, None
    ]


def _scored(logits: torch.Tensor, plan: Plan, pack: Pack, index: dict[int, int]) -> Scored:
    """Log-softmax in float32 of the rows that are here, a few at a time."""
    starts, begin = {}, 0
    for i in pack.nodes:
        starts[i] = begin
        begin += len(plan.nodes[i].ids)
    targets = [(index[starts[i] + t.row], t) for i in pack.fresh for t in plan.nodes[i].targets]
    row = torch.tensor([r for r, _ in targets], dtype=torch.long)
    token = torch.tensor([t.token for _, t in targets], dtype=torch.long)
    logprobs, greedy = torch.empty(len(targets)), torch.empty(len(targets), dtype=torch.bool)
    size = max(1, SOFTMAX_MIB * 2**20 // (4 * logits.shape[-1]))
    for begin_row in range(0, logits.shape[0], size):
        rows = logits[begin_row : begin_row + size].float().log_softmax(-1)
        here = (row >= begin_row) & (row < begin_row + size)
        at, wanted = (row[here] - begin_row).to(rows.device), token[here].to(rows.device)
        logprobs[here] = rows[at, wanted].cpu()
        greedy[here] = (rows.argmax(-1)[at] == wanted).cpu()
    return Scored(at=[t.at for _, t in targets], logprobs=logprobs, greedy=greedy, tokens=begin)
