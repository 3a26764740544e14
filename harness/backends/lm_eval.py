"""Hugging Face checkpoints through lm-eval's HFLM, on token ids that we rendered."""

from __future__ import annotations

import bisect
import dataclasses
import logging
import os
import warnings
from array import array
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from assay.harness.backends import loading
from assay.harness.backends.base import NEVER_CUT, BackendError, ModelOptions, Reference
from assay.harness.backends.checkpoint import describe, max_positions, read_json
from assay.harness.backends.decoding import Drawing, NanWatch, after_reasoning, first_stop
from assay.harness.backends.tokenizer import HFTokenizer, demand_own
from assay.tasks.types import Generation, Greedy, Likelihood, LogLikelihood, Sampled

LOGITS_MIB_CPU = 128
"""Memory for one batch's logits on a CPU, where more only waits for memory; on a GPU a quarter of what is free."""
BUDGET_TOKENS = 16_384
"""Most tokens in one likelihood pass, padding included."""
GENERATED_TOKENS = 32_768
"""Most tokens, prompts and answers, that one batch of generations holds in its cache."""
T = TypeVar("T")


class HuggingFace:
    """`hf:FOLDER` or `hf:OWNER/NAME[@REVISION]`. Weights are loaded when the first question is asked."""

    def __init__(self, reference: Reference, options: ModelOptions) -> None:
        self.ref = reference.text
        self._options = options
        self._parts = parts = loading.find(reference, options)
        self._config = {} if parts.gguf else read_json(parts.folder / "config.json")
        self.checkpoint = describe(parts.folder, parts.label)
        self.max_length = max_positions(self._config)
        self.identity = loading.identity(parts, options)
        self._tokenizer: HFTokenizer | None = None
        self._lm: Any = None
        self._budgets = {"likelihood": 0, "generation": GENERATED_TOKENS}

    @property
    def tokenizer(self) -> HFTokenizer:
        """The checkpoint's own, or the one that was given; loaded on first use."""
        if self._tokenizer is None:
            parts = self._parts
            gguf = parts.gguf if parts.tokenizer == parts.folder else ""
            self._tokenizer = HFTokenizer(parts.tokenizer, self.identity["tokenizer"], gguf)
        return self._tokenizer

    def likelihoods(self, requests: Sequence[LogLikelihood]) -> list[Likelihood]:
        """Sums in float32 nats, longest first in batches that fit the token budget.

        Options that differ in their last token only share one forward pass (HFLM's logits cache).
        """
        self.load()
        lm = self._lm
        rows: dict[bytes, list[int]] = {}
        for i, r in enumerate(requests):
            shared = array("i", r.context_ids) + array("i", r.continuation_ids)[:-1]
            rows.setdefault(shared.tobytes(), []).append(i)
        ordered = sorted(rows.items(), key=lambda item: (-len(item[0]), item[0]))
        found: dict[int, tuple[float, bool]] = {}

        def ask(batch: Sequence[tuple[bytes, list[int]]]) -> None:
            indices = [i for _, ids in batch for i in ids]
            asked = [(("", ""), list(requests[i].context_ids), list(requests[i].continuation_ids)) for i in indices]
            answers = lm._loglikelihood_tokens(asked, disable_tqdm=True, override_bs=len(batch))
            found.update(zip(indices, answers, strict=True))

        self._in_batches("likelihood", ordered, lambda row: len(row[0]) // 4 + 1, ask)
        return [
            Likelihood(
                logprob=found[i][0],
                tokens=len(r.continuation_ids),
                nbytes=len(r.text.encode()),
                greedy=found[i][1],
            )
            for i, r in enumerate(requests)
        ]

    def generate(self, requests: Sequence[Greedy]) -> list[Generation]:
        """Plain argmax decoding, whatever the checkpoint's generation_config says (PARITY D 9); draws for `Sampled`.

        Each draw has a random generator of its own, so it does not depend on what else is in the batch.
        """
        self.load()
        ordered = sorted(range(len(requests)), key=lambda i: (-len(requests[i].prompt_ids), i))
        found: dict[int, Generation] = {}

        def ask(batch: Sequence[int]) -> None:
            found.update(zip(batch, self._continue([requests[i] for i in batch]), strict=True))

        self._in_batches("generation", ordered, lambda i: len(requests[i].prompt_ids) + requests[i].max_tokens, ask)
        return [found[i] for i in range(len(requests))]

    def _continue(self, batch: Sequence[Greedy]) -> list[Generation]:
        import torch
        import transformers

        longest = max(len(r.prompt_ids) for r in batch)
        pad = self._lm.tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (longest - len(r.prompt_ids)) + list(r.prompt_ids) for r in batch])
        mask = torch.tensor([[0] * (longest - len(r.prompt_ids)) + [1] * len(r.prompt_ids) for r in batch])
        new_tokens = max(r.max_tokens for r in batch)
        watch = NanWatch()
        drawing = [Drawing(batch)] if any(isinstance(r, Sampled) for r in batch) else []
        stop = [] if self._options.strip_reasoning else sorted({s for r in batch for s in r.stop})
        with torch.no_grad():
            out = self._lm._model_generate(
                context=ids.to(self._lm.device),
                attention_mask=mask.to(self._lm.device),
                max_length=longest + new_tokens,
                stop=stop,
                logits_processor=transformers.LogitsProcessorList([watch, *drawing]),
            )
        answers = [row[longest : longest + r.max_tokens] for r, row in zip(batch, out.tolist(), strict=True)]
        return [
            dataclasses.replace(self._cut(r, ids), broken=broken)
            for r, ids, broken in zip(batch, answers, watch.rows.tolist(), strict=True)
        ]

    def _cut(self, request: Greedy, ids: list[int]) -> Generation:
        """End at end-of-sequence, then before the first stop string; the same whatever else was in the batch."""
        eos = self.tokenizer.eos_id
        ended = eos in ids
        ids = ids[: ids.index(eos)] if eos is not None and ended else ids
        text = after_reasoning(self.tokenizer.decode(ids, blank=request.blank), self._options.strip_reasoning)
        at = first_stop(text, request.stop)
        if at is None or self._options.strip_reasoning:  # then no stop string ended it: they may stand in the reasoning
            return Generation(text=text[:at], stopped=ended or at is not None, tokens=len(ids))

        def has_stop(n: int) -> bool:
            return first_stop(self.tokenizer.decode(ids[:n], blank=request.blank), request.stop) is not None

        tokens = bisect.bisect_left(range(len(ids)), True, key=has_stop)
        return Generation(text=text[:at], stopped=True, tokens=tokens)

    def _in_batches(
        self, kind: str, items: Sequence[T], cost: Callable[[T], int], ask: Callable[[Sequence[T]], None]
    ) -> None:
        """Ask in batches that fit the kind's budget; when the device runs out of memory, halve it and go on."""
        import torch

        todo = list(items)
        while todo:
            batch = _next_batch(todo, cost, self._budgets[kind], self._options.batch_size)
            try:
                ask(batch)
            except torch.cuda.OutOfMemoryError as error:
                if len(batch) == 1:
                    raise BackendError(
                        f"{self.ref}: one sequence of {cost(batch[0])} tokens does not fit the device's memory; use a "
                        "smaller --dtype or another --device"
                    ) from error
                torch.cuda.empty_cache()
                self._budgets[kind] = max(1, len(batch) // 2 * cost(batch[0]))
                if self._options.batch_size:
                    self._options = dataclasses.replace(self._options, batch_size=len(batch) // 2)
                continue
            todo = todo[len(batch) :]

    def load(self) -> None:
        """Tokenizer and weights, checked against each other; once."""
        if self._lm is None:
            self._lm = self._open()
            vocabulary = self._lm.model.get_input_embeddings().weight.shape[0]
            free = _free_bytes(self._lm.device, LOGITS_MIB_CPU)
            self._budgets["likelihood"] = max(256, min(BUDGET_TOKENS, free // (vocabulary * 8)))

    def _open(self) -> Any:
        import transformers

        os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
        model = loading.load(self._parts, self._options)
        if not self._config:  # GGUF: it lies within the file
            self._config = model.config.to_dict()
            self.max_length = max_positions(self._config)
        demand_own(self.ref, self._config, model.get_input_embeddings().weight.shape[0], self.tokenizer)
        model.generation_config = transformers.GenerationConfig(
            do_sample=False, eos_token_id=self.tokenizer.eos_id, pad_token_id=self.tokenizer.eos_id
        )
        logging.getLogger("lm_eval").setLevel(logging.ERROR)  # HFLM's advice on arguments that we set ourselves
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from lm_eval.models.huggingface import HFLM

            return HFLM(
                pretrained=model,
                tokenizer=self.tokenizer.hf,
                backend="causal",
                batch_size="auto",
                softmax_dtype="float32",
                max_length=NEVER_CUT,
            )


def _next_batch(items: Sequence[T], cost: Callable[[T], int], budget: int, fixed: int | None) -> Sequence[T]:
    """The first items, longest first, whose padded size fits the budget; `fixed` of them when given."""
    longest = max(1, cost(items[0]))
    return items[: fixed or max(1, budget // longest)]


def describe_device() -> str:
    """What `--device auto` would use."""
    import torch

    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        return f"{torch.cuda.get_device_name()}, {free / 2**30:.0f} of {total / 2**30:.0f} GiB free"
    return f"CPU, {torch.get_num_threads()} threads: small models only"


def _free_bytes(device: Any, cpu_mib: int) -> int:
    import torch

    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0]) // 4
    return cpu_mib * 2**20
