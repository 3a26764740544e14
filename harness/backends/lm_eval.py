"""Hugging Face checkpoints through lm-eval's HFLM, on token ids that we rendered."""

from __future__ import annotations

import dataclasses
import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from assay.harness.backends import loading, reading
from assay.harness.backends.base import NEVER_CUT, ModelOptions, Reference
from assay.harness.backends.checkpoint import describe, max_positions, read_json
from assay.harness.backends.tokenizer import HFTokenizer, demand_own
from assay.tasks.types import Generation, Greedy, Likelihood, LogLikelihood

GENERATED_TOKENS = 32_768
"""Most tokens, prompts and answers, that one batch of generations holds in its cache."""


class HuggingFace:
    """`hf:FOLDER` or `hf:OWNER/NAME[@REVISION]`. Weights are loaded when the first question is asked."""

    def __init__(self, reference: Reference, options: ModelOptions) -> None:
        self.ref = reference.text
        self._options = dataclasses.replace(options, batch_size=1) if options.deterministic else options
        self._parts = parts = loading.find(reference, options)
        self._config = {} if parts.gguf else read_json(parts.folder / "config.json")
        self.checkpoint = describe(parts.folder, parts.label)
        self.max_length = max_positions(self._config)
        self.identity = loading.identity(parts, options)
        self._tokenizer: HFTokenizer | None = None
        self._begun: Future[Any] | None = None
        self._lm: Any = None
        self._generator: Any = None

    @property
    def tokenizer(self) -> HFTokenizer:
        """The checkpoint's own, or the one that was given; loaded on first use."""
        if self._tokenizer is None:
            parts = self._parts
            gguf = parts.gguf if parts.tokenizer == parts.folder else ""
            self._tokenizer = HFTokenizer(parts.tokenizer, self.identity["tokenizer"], gguf)
        return self._tokenizer

    @property
    def work(self) -> Mapping[str, int]:
        """Tokens of log-likelihoods so far, as `TaskResult.usage` names them (`PrefixTreeLM.work`)."""
        return {f"tokens_{k}": n for k, n in dataclasses.asdict(self._lm.work).items()} if self._lm else {}

    @property
    def fallback(self) -> str:
        """How log-likelihoods are scored, and why, where they can't be packed; or ""."""
        return f"scored {self._lm.scoring}: {self._lm.reason}" if self._lm and self._lm.reason else ""

    @property
    def writing(self) -> str:
        """Why texts are written by transformers' own loop, where they are; or ""."""
        reason = self._generator.reason if self._generator else ""
        return f"written by transformers' own loop: {reason}" if reason else ""

    def likelihoods(self, requests: Sequence[LogLikelihood]) -> list[Likelihood]:
        """Sums in nats of float32 log-probabilities; what requests share is forwarded once (`PrefixTreeLM`)."""
        self.load()
        self._generator.forget()
        asked = [(None, r.context_ids, r.continuation_ids) for r in requests]
        answers = self._lm._loglikelihood_tokens(asked, disable_tqdm=True)
        return [
            Likelihood(logprob=logprob, tokens=len(r.continuation_ids), nbytes=len(r.text.encode()), greedy=greedy)
            for r, (logprob, greedy) in zip(requests, answers, strict=True)
        ]

    def generate(self, requests: Sequence[Greedy]) -> list[Generation]:
        """Plain argmax decoding, whatever the checkpoint's generation_config says (PARITY D 9); draws for `Sampled`."""
        self.load()
        found: list[Generation] = self._generator.generate(requests)
        return found

    def prepare(self, available: int) -> None:
        """Begin to read the weights, where so many bytes of host memory leave room; once."""
        if self._lm is None and self._begun is None and reading.has_room(self._parts, self._options, available):
            self._begun = reading.begin(self._parts, self._options)

    def load(self) -> None:
        """Tokenizer and weights, checked against each other; once."""
        if self._lm is None:
            self._lm = self._open()
            from assay.harness.backends.generating import Generator

            self._generator = Generator(
                self._lm.model,
                self.tokenizer,
                batch_size=self._options.batch_size,
                budget_tokens=GENERATED_TOKENS,
                strip_reasoning=self._options.strip_reasoning,
                ref=self.ref,
            )

    def _open(self) -> Any:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
        begun, self._begun = self._begun, None
        model = loading.load(self._parts, self._options, begun)
        if not self._config:  # GGUF: it lies within the file
            self._config = model.config.to_dict()
            self.max_length = max_positions(self._config)
        demand_own(self.ref, self._config, model.get_input_embeddings().weight.shape[0], self.tokenizer)
        logging.getLogger("lm_eval").setLevel(logging.ERROR)  # HFLM's advice on arguments that we set ourselves
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from assay.harness.backends.prefix_tree import PrefixTreeLM

            return PrefixTreeLM(
                pretrained=model,
                tokenizer=self.tokenizer.hf,
                backend="causal",
                batch_size=self._options.batch_size or "auto",
                softmax_dtype="float32",
                max_length=NEVER_CUT,
                deterministic=self._options.deterministic,
            )


def describe_device() -> str:
    """What `--device auto` would use."""
    import torch

    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        return f"{torch.cuda.get_device_name()}, {free / 2**30:.0f} of {total / 2**30:.0f} GiB free"
    return f"CPU, {torch.get_num_threads()} threads: small models only"
