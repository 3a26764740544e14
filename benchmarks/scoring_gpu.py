"""Scoring on a GPU against what its memory and arithmetic allow: assay, lm-eval, and vLLM where it is installed.

    python benchmarks/scoring_gpu.py scoring-gpu.json [--rounds 3] [--into docs/scoring.md]
    python benchmarks/scoring_gpu.py scoring-gpu.json --tiny --device cpu        that it works, on any machine

Needs no data: a randomly initialised Llama of Llama-3.2-1B's shape in bfloat16, and seeded ids. The roofline is
measured on the spot: a large matrix product and a large copy. A token costs 2 FLOPs a parameter it meets, and
4 * layers * width for each token that it sees; the head counts where logits are made: everywhere with lm-eval, where
they are needed with assay. The least time is the longer of FLOPs at the measured peak and weights read once a pass at
the measured bandwidth. Exits 2 without the device.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pages
import torch
from scoring_engines import Answers, Ask, best_batch, differences, llama, lm_eval, machine, ours, timed
from scoring_requests import Doc, flat, forwarded, made_up, unique
from scoring_tables import rule

MARK = "<!-- scoring-gpu -->"
BILLION = {
    "vocab_size": 128_256,
    "hidden_size": 2_048,
    "intermediate_size": 8_192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "tie_word_embeddings": True,
}
TINY = {"vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
LENGTHS = {
    "choice, 10 shots": {"choices": 4, "header": 440, "question": 50, "answer": 10, "shared": False},
    "MMLU, 5 shots": {"choices": 4, "header": 500, "question": 90, "answer": 1, "shared": True},
    "continuation": {"choices": 1, "header": 0, "question": 90, "answer": 2, "shared": False},
    "long context": {"choices": 2, "header": 1_700, "question": 170, "answer": 1, "shared": False},
}
"""Ids, about those of arc_easy, MMLU, LAMBADA and boolq."""
DOCS, TINY_DOCS = 400, 4
BATCHES = (8, 16, 32, 64, 128)
"""lm-eval is given the fastest of these that fit."""
SIDE, TINY_SIDE = 8_192, 256
"""Of the square matrices that are multiplied; the copy moves as many float32 squared."""
TRIES = 10
VLLM_MEMORY = 0.4
"""Share of the GPU's memory that vLLM takes: the same weights are there already."""
HEAD = (
    "| requests | engine | asked | forwarded | passes | seconds | asked tokens/s | forwarded tokens/s | MFU | roofline "
    "| largest Δ, nats | other predictions |"
)


def best(action: Callable[[], Any], device: torch.device) -> float:
    """Seconds of the fastest of a few."""
    found = []
    for _ in range(TRIES):
        synchronize(device)
        begun = time.perf_counter()
        action()
        synchronize(device)
        found.append(time.perf_counter() - begun)
    return min(found)


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was asked."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def roofline(device: torch.device, dtype: torch.dtype, side: int) -> dict[str, float]:
    """Peak FLOPs a second of a product of square matrices, and bytes a second read and written by a copy."""
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in "ab")
    flops = 2 * side**3 / best(lambda: a @ b, device)
    source = torch.empty(side * side, device=device, dtype=torch.float32)
    target = torch.empty_like(source)
    return {"flops_s": flops, "bytes_s": 2 * source.nbytes / best(lambda: target.copy_(source), device)}


def tokenizer(vocabulary: int) -> Any:
    """What lm-eval wants of one: no text is ever tokenised here."""
    import tokenizers
    import transformers

    words = {str(i): i for i in range(vocabulary)}
    model = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="0"))  # noqa: S106 - not a secret
    return transformers.PreTrainedTokenizerFast(tokenizer_object=model, eos_token="0", pad_token="0")  # noqa: S106


def vllm(model: Any, hf_tokenizer: Any, folder: Path) -> Ask | None:
    """lm-eval's vLLM backend on the same weights; None where vLLM is not installed."""
    if importlib.util.find_spec("vllm") is None:
        return None
    from lm_eval.models.vllm_causallms import VLLM

    model.save_pretrained(folder)
    hf_tokenizer.save_pretrained(folder)
    lm = VLLM(
        pretrained=str(folder), dtype="bfloat16", batch_size="auto", gpu_memory_utilization=VLLM_MEMORY, max_length=2048
    )
    return lambda docs: lm._loglikelihood_tokens([(("", ""), *p) for p in flat(docs)], disable_tqdm=True)


def flops(model: Any, tokens: int, depths: int, heads: int) -> float:
    """Of forward passes.

    Args:
        model: a Llama.
        tokens: that went through its layers.
        depths: tokens seen, summed over those.
        heads: positions whose logits were made.
    """
    c = model.config
    head = c.vocab_size * c.hidden_size
    body = sum(p.numel() for p in model.model.layers.parameters())
    return 2.0 * body * tokens + 4.0 * c.num_hidden_layers * c.hidden_size * depths + 2.0 * head * heads


def work(name: str, docs: Sequence[Doc], shapes: Sequence[torch.Size]) -> dict[str, int]:
    """Tokens, tokens they see and logits that an engine computed; vLLM's, which no hook sees, are those asked."""
    pairs = flat(docs)
    if name == "assay":
        tokens, (least, depths) = sum(map(math.prod, shapes)), unique(pairs)
        targets = {(*c, *a[:n]) for c, a in pairs for n in range(len(a))}
        return {"tokens": tokens, "depths": depths * tokens // least, "heads": len(targets), "passes": len(shapes)}
    sizes = [(math.prod(s), s[-1]) for s in shapes] or [(len(ids), len(ids)) for ids in forwarded(pairs)]
    tokens = sum(n for n, _ in sizes)
    return {
        "tokens": tokens,
        "depths": sum(n * (length + 1) // 2 for n, length in sizes),
        "heads": tokens,
        "passes": len(sizes) if shapes else 0,
    }


def measure(
    model: Any, engines: Mapping[str, Ask], docs: Sequence[Doc], rounds: int, peak: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Each engine in turn, after one pass to warm up; how its answers differ from lm-eval's."""
    asked = sum(map(len, forwarded(flat(docs))))
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    shapes: dict[str, list[torch.Size]] = {}
    said: dict[str, Answers] = {}
    for n in range(rounds + 1):
        for name, ask in engines.items():
            took, shapes[name], said[name] = timed(model, ask, docs)
            seconds[name] += [took] if n else []
    found = []
    for name in engines:
        done, took = work(name, docs, shapes[name]), statistics.median(seconds[name])
        needed = flops(model, done["tokens"], done["depths"], done["heads"])
        weights = sum(p.nbytes for p in model.parameters()) * done["passes"]
        least = max(needed / peak["flops_s"], weights / peak["bytes_s"])
        found.append(
            {"engine": name, "asked": asked, "seconds": took, "rounds": seconds[name], **done}
            | {"mfu": needed / took / peak["flops_s"], "of_roofline": least / took}
            | differences(docs, said["lm-eval"], said[name])
        )
    return found


def table(found: Mapping[str, Any]) -> str:
    """Markdown."""
    setup, peak = found["setup"], found["roofline"]
    versions = ", ".join(f"{name} {version}" for name, version in setup["versions"].items())
    lines = [
        f"{setup['processor']}, {setup['parameters'] / 1e6:,.0f} M parameters, {setup['dtype']}, scored "
        f"{setup['scoring']}; measured peak {peak['flops_s'] / 1e12:.1f} TFLOP/s, {peak['bytes_s'] / 1e9:,.0f} GB/s; "
        f"{versions}; vLLM {found['vllm']}.",
        *("", HEAD, rule(HEAD).replace("---:", "---", 1)),
    ]
    for name, rows in found["rows"].items():
        for r in rows:
            cells = [
                *(name, r["engine"], f"{r['asked']:,}", f"{r['tokens']:,}", f"{r['passes']:,}", f"{r['seconds']:.2f}"),
                *(f"{r['asked'] / r['seconds']:,.0f}", f"{r['tokens'] / r['seconds']:,.0f}"),
                *(f"{r['mfu']:.1%}", f"{r['of_roofline']:.1%}", f"{r['difference']:.1e}", str(r["predictions"])),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, write the JSON file, and show the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("json", type=Path)
    parser.add_argument("--tiny", action="store_true", help="a small model and few requests")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--into", type=Path, help="a page with two MARKs")
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("did not run: no CUDA device; `--tiny --device cpu` only shows that it works", file=sys.stderr)
        raise SystemExit(2)
    model = llama(TINY if options.tiny else BILLION, torch.bfloat16).to(device)
    hf_tokenizer = tokenizer(model.config.vocab_size)
    peak = roofline(device, torch.bfloat16, TINY_SIDE if options.tiny else SIDE)
    rows: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        third = vllm(model, hf_tokenizer, Path(folder)) if device.type == "cuda" else None
        for name, lengths in LENGTHS.items():
            docs = made_up(model.config.vocab_size, docs=TINY_DOCS if options.tiny else DOCS, **lengths)
            rival = lm_eval(model, hf_tokenizer, best_batch(model, hf_tokenizer, docs, BATCHES))
            mine, start = ours(model, hf_tokenizer, docs)
            engines = {"lm-eval": rival, "assay": mine} | ({"vLLM": third} if third else {})
            rows[name] = measure(model, engines, docs, options.rounds, peak)
            print(name, [(r["engine"], round(r["seconds"], 2)) for r in rows[name]], flush=True)
    setup = machine(model, "tiny" if options.tiny else "1B") | {"scoring": start["way"]}
    found = {"setup": setup, "roofline": peak, "vllm": "asked too" if third else "is not installed", "rows": rows}
    options.json.write_text(json.dumps(found, indent=1))
    pages.show(table(found), options.into, MARK)


if __name__ == "__main__":
    main()
