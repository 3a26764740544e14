"""A checkpoint's own tokenizer, and whether it can be its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assay.harness.backends.base import BackendError
from assay.tasks.types import Turn


class HFTokenizer:
    """A checkpoint's own tokenizer, as `assay.tasks.types.Tokenizer` wants it."""

    def __init__(self, folder: Path, identity: str, gguf: str = "") -> None:
        import transformers

        transformers.logging.set_verbosity_error()
        within = {"gguf_file": gguf} if gguf else {}
        try:
            self.hf = transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True, **within)
        except Exception as error:  # ValueError, OSError, KeyError or a Rust panic, by kind of damage
            raise BackendError(
                f"{folder}: cannot load the tokenizer ({error}); put the files of the tokenizer the model was "
                "trained with (tokenizer.json, tokenizer_config.json) beside its weights"
            ) from error
        self.identity = identity
        self._rust = self.hf.backend_tokenizer if self.hf.is_fast else None
        if self._rust is not None:
            self._rust.no_truncation()
            self._rust.no_padding()
        self.eos_id: int | None = self.hf.eos_token_id
        self.prefix_id: int | None = self.eos_id if self.hf.bos_token_id is None else self.hf.bos_token_id
        self.prefix_space = len(self.encode([" a"], special=False)[0]) == 1

    def encode(self, texts: Sequence[str], *, special: bool) -> list[list[int]]:
        """Token ids, straight from the Rust tokenizer where there is one: no offsets, masks or warnings."""
        if not texts:
            return []
        if self._rust is not None:
            return [e.ids for e in self._rust.encode_batch_fast(list(texts), add_special_tokens=special)]
        encoded = self.hf(list(texts), add_special_tokens=special, return_attention_mask=False, verbose=False)
        return list(encoded["input_ids"])

    def chat(self, user: str, prefill: str, closing: str) -> str | None:
        """The tokenizer's own template, applied to both turns and cut after the prefill; None when it has none."""
        if not self.hf.chat_template:
            return None
        mark = "-[[assay cuts here]]-"
        turns = [{"role": "user", "content": user}, {"role": "assistant", "content": f"{prefill}{mark}{closing}"}]
        return str(self.hf.apply_chat_template(turns, tokenize=False)).split(mark)[0]

    def template(self, turns: Sequence[Turn], *, answer: bool) -> str | None:
        """The tokenizer's own template; a BOS that `encode` will put in front is left to it (`has_bos_prefix`).

        Raises:
            BackendError: the template refuses these turns: a system prompt, often, which lm-eval 0.4.13 then drops.
        """
        if not self.hf.chat_template:
            return None
        from jinja2 import TemplateError

        try:
            text = str(
                self.hf.apply_chat_template(
                    list(turns), tokenize=False, add_generation_prompt=answer, continue_final_message=not answer
                )
            )
        except TemplateError as error:
            roles = ", ".join(turn["role"] for turn in turns)
            raise BackendError(
                f"{self.hf.name_or_path}: the chat template takes no such turns ({roles}): {error}"
            ) from error
        bos = self.hf.bos_token
        return text.removeprefix(bos) if bos and self.encode([""], special=True)[0] == [self.hf.bos_token_id] else text

    def decode(self, ids: Sequence[int], *, blank: bool = True) -> str:
        """Text that continues a prompt: a sentencepiece tokenizer's first blank, which decoding drops, is put back.

        lm-eval leaves it out: `blank` False.

        Cleaning up of blanks before punctuation is what the tokenizer's config says, off where it is silent
        (composer 0.23.5 prepends the blank likewise, `huggingface.py` `eval_forward`).
        """
        text = self.hf.decode(list(ids), skip_special_tokens=True)
        return f" {text}" if blank and not self.prefix_space else str(text)


def demand_own(ref: str, config: dict[str, Any], rows: int, tokenizer: HFTokenizer) -> None:
    """Refuse a tokenizer that can't be the model's: plausible garbage is worse than none.

    Args:
        ref: the model, for the message.
        config: its config.json.
        rows: tokens it embeds.
        tokenizer: what lies beside its weights.

    Raises:
        BackendError: more tokens than the model embeds, or none of the special ids that both declare agrees.
    """
    if len(tokenizer.hf) > rows:
        raise BackendError(
            f"{ref}: the tokenizer has {len(tokenizer.hf)} tokens, the model embeds {rows}: it is another model's"
        )
    pairs = []
    for name in ("bos_token_id", "eos_token_id"):
        wanted, have = config.get(name), getattr(tokenizer.hf, name)
        if wanted is not None and have is not None:
            pairs.append((name, wanted if isinstance(wanted, list) else [wanted], have))
    if pairs and all(have not in wanted for _, wanted, have in pairs):
        said = "; ".join(f"{n}: config.json {w[0]}, tokenizer {h}" for n, w, h in pairs)
        raise BackendError(
            f"{ref}: the tokenizer is another model's: no special id agrees ({said}); put the right tokenizer "
            "beside the weights, or mend config.json"
        )
