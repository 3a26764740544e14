"""Three toy Llama checkpoints, trained on the demo's own text in half a minute of two CPU cores."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from assay.tasks import world

STEPS = (15, 60, 240)
BATCH, LENGTH = 16, 128
VOCABULARY = 448
BLOCKS = 6_000
PEAK_RATE = 4e-3
END = "<|endoftext|>"


def train(folder: Path, progress: Callable[[int, int], None]) -> list[Path]:
    """Train one series; a checkpoint that is there already is kept.

    Args:
        folder: where `step-NNNNNN` folders go.
        progress: called with steps done and steps in all.

    Returns:
        checkpoint folders, in order of steps. The same text, seeds and thread count give the same weights.
    """
    paths = [folder / f"step-{n:06d}" for n in STEPS]
    if all((p / "trainer_state.json").is_file() for p in paths):
        return paths
    import torch
    import transformers

    torch.manual_seed(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    text = list(world.corpus(seed=1, lines=BLOCKS))
    tokenizer = _tokenizer(text)
    stream = torch.tensor(tokenizer(END.join(text))["input_ids"])
    model = transformers.LlamaForCausalLM(_config())
    optimiser = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, betas=(0.9, 0.95), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, total_steps=STEPS[-1], pct_start=0.1)
    model.train()
    for step in range(1, STEPS[-1] + 1):
        starts = torch.randint(0, len(stream) - LENGTH, (BATCH,))
        batch = torch.stack([stream[s : s + LENGTH] for s in starts])
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        progress(step, STEPS[-1])
        if step in STEPS:
            _save(paths[STEPS.index(step)], model, tokenizer, step, float(loss.detach()))
    return paths


def _config() -> Any:
    import transformers

    return transformers.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=2048,
        bos_token_id=0,
        eos_token_id=0,
        tie_word_embeddings=False,
    )


def _tokenizer(text: list[str]) -> Any:
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=[END], initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(text, trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token=END, bos_token=END, clean_up_tokenization_spaces=False
    )


def _save(path: Path, model: Any, tokenizer: Any, step: int, loss: float) -> None:
    """Weights, tokenizer and training state, whole or not at all."""
    fresh = path.with_name(path.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    model.save_pretrained(fresh)
    tokenizer.save_pretrained(fresh)
    state = {"step": step, "tokens_seen": step * BATCH * LENGTH, "train_loss_nats": loss, "seed": 1}
    (fresh / "trainer_state.json").write_text(json.dumps(state, indent=1) + "\n")
    shutil.rmtree(path, ignore_errors=True)
    fresh.replace(path)
