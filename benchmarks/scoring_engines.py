"""The engines that benchmarks/scoring.py compares, each asked the same token ids of the same model in memory."""

from __future__ import annotations

import importlib.metadata
import logging
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import psutil
import torch
from lm_eval.models.huggingface import HFLM
from scoring_requests import Doc, flat, forwarded, unique

from assay.harness.backends import prefix_tree
from assay.harness.backends.radix import Plans

logging.getLogger("lm_eval").setLevel(logging.ERROR)  # advice on arguments that are meant

Answers: TypeAlias = list[tuple[float, bool]]
Ask: TypeAlias = Callable[[Sequence[Doc]], Answers]

BATCHES = (1, 4, 8, 16)
"""lm-eval is given the fastest of these."""
MAX_LENGTH = 2048
PADDED_BATCH = 2
"""DCLM's `device_eval_batch_size`."""
SHAPES = {
    "50k": {"vocab_size": 50_432, "hidden_size": 256, "intermediate_size": 688},
    "8k": {"vocab_size": 8_192, "hidden_size": 512, "intermediate_size": 1_376},
}
"""Randomly initialised Llamas of 32 and 34 million parameters; 50,432 is the vocabulary of DCLM's models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Two engines on the same requests; seconds and tokens of a rival that was asked some documents are of those.

    Attributes:
        asked: tokens of all requests, each read in full. unique: nodes of their radix tree.
        rival_requests: how many of them the rival was asked.
        rival_tokens, tokens: what went through the embedding, padding included.
        rival_s, seconds: of each round.
        batch: the rival's batch size, 0 where it is not one of `BATCHES`.
        difference: largest, of a log-probability, in nats.
        predictions, flags: documents with another best mean log-probability, requests with another greedy flag.
        gap: between the best two choices of a document that is predicted otherwise, the widest; nats a token.
        way: in which this engine scored. start_s, start_tokens: of its self-check, with the longest document once.
    """

    key: str
    docs: int
    requests: int
    asked: int
    unique: int
    rival_requests: int = 0
    rival_tokens: int = 0
    tokens: int = 0
    rival_s: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    batch: int = 0
    difference: float = 0.0
    predictions: int = 0
    flags: int = 0
    gap: float = 0.0
    way: str = ""
    start_s: float = 0.0
    start_tokens: int = 0


def ratio(rows: Sequence[Measured], *, start: bool = False) -> float:
    """Median over rounds of how many times faster a request is answered; of several rows, of their sums.

    Args:
        rows: of the same number of rounds.
        start: count this engine's self-check in every round.
    """
    share = [r.requests / max(1, r.rival_requests) for r in rows]
    rounds = zip(*(r.rival_s for r in rows)), zip(*(r.seconds for r in rows))
    before = sum(r.start_s for r in rows) if start else 0.0
    return statistics.median(sum(map(math.prod, zip(a, share))) / (before + sum(b)) for a, b in zip(*rounds))


def llama(shape: dict[str, Any], dtype: torch.dtype = torch.float32) -> Any:
    """A randomly initialised Llama, the same every time: 8 layers of 8 heads unless the shape says otherwise."""
    import transformers

    torch.manual_seed(0)
    default = {"num_hidden_layers": 8, "num_attention_heads": 8, "num_key_value_heads": 8, "bos_token_id": 0}
    config = transformers.LlamaConfig(**default | shape, eos_token_id=0, max_position_embeddings=MAX_LENGTH)
    return transformers.LlamaForCausalLM(config).to(dtype).eval()


def load(folder: Path) -> Any:
    """A checkpoint in float32."""
    import transformers

    return transformers.AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32).eval()


def lm_eval(model: Any, tokenizer: Any, batch: int) -> Ask:
    """lm-eval's own Hugging Face backend."""
    return _asking(HFLM(batch_size=batch, **_given(model, tokenizer)))


def ours(model: Any, tokenizer: Any, docs: Sequence[Doc]) -> tuple[Ask, dict[str, Any]]:
    """This engine, which knows no plan of earlier requests, and what starting it took (see `Measured`).

    It has checked itself against plain forward passes, as it does whenever a request is longer than all before.
    """
    lm = prefix_tree.PrefixTreeLM(batch_size="auto", **_given(model, tokenizer))
    score = _asking(lm)

    def ask(docs: Sequence[Doc]) -> Answers:
        prefix_tree.PLANS = Plans(capacity=0)
        return score(docs)

    longest = max(docs, key=lambda doc: max(len(c) + len(a) for c, a in doc))
    took, shapes, _ = timed(model, ask, [longest])
    return ask, {"way": lm.scoring, "start_s": took, "start_tokens": sum(map(math.prod, shapes))}


def _given(model: Any, tokenizer: Any) -> dict[str, Any]:
    return {"pretrained": model, "tokenizer": tokenizer, "backend": "causal", "max_length": MAX_LENGTH}


def _asking(lm: Any) -> Ask:
    return lambda docs: lm._loglikelihood_tokens([(("", ""), *p) for p in flat(docs)], disable_tqdm=True)


def padded(model: Any) -> Ask:
    """llm-foundry 0.9.0's shape: a row for each choice, padded to 2,048 ids, whole documents in a batch of two rows.

    A document with more choices makes a batch of its own. No mask is passed, which is faster than theirs: causal
    attention never sees padding on the right.
    """

    @torch.inference_mode()
    def ask(docs: Sequence[Doc]) -> Answers:
        found: Answers = []
        size = max(1, PADDED_BATCH // len(docs[0]))
        for start in range(0, len(docs), size):
            pairs = flat(docs[start : start + size])
            rows = [(c + a)[-MAX_LENGTH:] for c, a in pairs]
            ids = torch.tensor([row + [0] * (MAX_LENGTH - len(row)) for row in rows], device=model.device)
            logits = model(ids, use_cache=False).logits
            for row, (_, answer), each in zip(rows, pairs, logits):
                predicted = each[len(row) - len(answer) - 1 : len(row) - 1].float()
                target = torch.tensor(answer, device=model.device)
                nats = torch.nn.functional.cross_entropy(predicted, target, reduction="sum")
                found.append((-float(nats), bool((predicted.argmax(-1) == target).all())))
        return found

    return ask


def best_batch(model: Any, tokenizer: Any, docs: Sequence[Doc], sizes: Sequence[int] = BATCHES) -> int:
    """The one with which lm-eval is fastest on a sample that fills the largest once.

    Beyond the first, only those are tried whose logits take at most half of the free memory.
    """
    rows = len({tuple(ids) for ids in forwarded(flat(docs))}) / len(docs)
    sample = docs[:: max(1, len(docs) // math.ceil(max(sizes) / rows))]
    longest = max(map(len, forwarded(flat(sample))))
    logits = 2 * longest * model.config.vocab_size * model.dtype.itemsize  # and their log-softmax
    fits = [b for b in sizes if b == sizes[0] or b * logits < _free_bytes(model) / 2]
    tried = {batch: lm_eval(model, tokenizer, batch) for batch in fits}
    tried[fits[0]](sample[:1])
    return min(tried, key=lambda batch: timed(model, tried[batch], sample)[0])


def _free_bytes(model: Any) -> int:
    if model.device.type == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    return int(psutil.virtual_memory().available)


@contextmanager
def counting(model: Any) -> Iterator[list[torch.Size]]:
    """The shapes of ids that a model is run on."""
    shapes: list[torch.Size] = []
    hook = model.get_input_embeddings().register_forward_hook(lambda _, ids, out: shapes.append(ids[0].shape))
    try:
        yield shapes
    finally:
        hook.remove()


def timed(model: Any, ask: Ask, docs: Sequence[Doc]) -> tuple[float, list[torch.Size], Answers]:
    """Seconds from ids to answers, the shapes that went through the model, and the answers."""
    with counting(model) as shapes:
        begun = time.perf_counter()
        answers = ask(docs)
        return time.perf_counter() - begun, shapes, answers


def compare(
    key: str,
    model: Any,
    tokenizer: Any,
    docs: Sequence[Doc],
    *,
    rounds: int,
    rival: Ask | None = None,
    first: int | None = None,
) -> Measured:
    """Ask a rival and this engine in turn, the other one first every other round.

    Args:
        key: the row's name.
        model: whose tokens are counted.
        tokenizer: its own.
        docs: asked of this engine.
        rounds: 1 or more.
        rival: lm-eval with its best batch size unless given.
        first: the documents that the rival is asked, all unless given; 0: none.
    """
    some = docs[:first]
    batch = best_batch(model, tokenizer, some) if some and rival is None else 0
    mine, start = ours(model, tokenizer, docs)
    engines = rival or lm_eval(model, tokenizer, batch or 1), mine
    asked, seconds, tokens, said = (some, docs), ([], []), [0, 0], [Answers(), Answers()]
    for n in range(rounds):
        for i in (1, 0) if n % 2 else (0, 1):
            if asked[i]:
                took, shapes, said[i] = timed(model, engines[i], asked[i])
                seconds[i].append(took)
                tokens[i] = sum(map(math.prod, shapes))
    return Measured(
        key=key,
        docs=len(docs),
        requests=len(flat(docs)),
        asked=sum(map(len, forwarded(flat(docs)))),
        unique=unique(flat(docs))[0],
        rival_requests=len(flat(some)),
        rival_tokens=tokens[0],
        tokens=tokens[1],
        rival_s=seconds[0],
        seconds=seconds[1],
        batch=batch,
        **start,
        **differences(some, *said),
    )


def differences(docs: Sequence[Doc], theirs: Answers, mine: Answers) -> dict[str, Any]:
    """How answers to the same documents differ; see `Measured`."""
    gaps, at = [], 0
    for doc in docs:
        here = slice(at, at + len(doc))
        means = [[nats / len(p[1]) for (nats, _), p in zip(said[here], doc)] for said in (theirs, mine)]
        best, other = (max(range(len(doc)), key=each.__getitem__) for each in means)
        if best != other:
            gaps.append(means[0][best] - means[0][other])
        at += len(doc)
    pairs = list(zip(theirs, mine))
    return {
        "difference": max((abs(a[0] - b[0]) for a, b in pairs), default=0.0),
        "predictions": len(gaps),
        "flags": sum(a[1] != b[1] for a, b in pairs),
        "gap": max(gaps, default=0.0),
    }


def machine(model: Any, name: str) -> dict[str, Any]:
    """What figures depend on."""
    info = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    packages = ("torch", "transformers", "lm_eval", "assay-evals")
    return {
        "processor": torch.cuda.get_device_name()
        if model.device.type == "cuda"
        else (names or [platform.machine()])[0],
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "versions": {p: importlib.metadata.version(p) for p in packages},
        "model": name,
        "parameters": sum(p.numel() for p in model.parameters()),
        "vocabulary": model.config.vocab_size,
        "dtype": str(model.dtype).removeprefix("torch."),
    }
