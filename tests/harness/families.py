"""Tiny random models of the families people evaluate, requests that part in every way, and lm-eval's own answers."""

import logging
import random
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
import transformers
from lm_eval.models.huggingface import HFLM
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from assay.harness.backends.prefix_tree import PrefixTreeLM

VOCABULARY = 256
LONGEST = 40
"""Tokens that the models are said to take, so that requests are cut from the left."""
WINDOW = 10
NATS = 1e-4
"""A token, by which scores may differ."""
SPREAD = 0.3
"""Of random weights: at the usual 0.02 attention is nearly even, and whoever sees the wrong token scores the same."""
SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": SPREAD,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
}
HEADS = {"head_dim": 8}
EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 32}
MIXED = {"sliding_window": WINDOW, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}
SOFT = {"attn_logit_softcapping": 5.0, "final_logit_softcapping": 8.0, "query_pre_attn_scalar": 8}
OLDER = {"vocab_size": VOCABULARY, "n_layer": 3, "n_head": 4, "n_embd": 32, "n_positions": 64, "bos_token_id": 0}
OPT = {"ffn_dim": 64, "init_std": SPREAD, "word_embed_proj_dim": 32, "pad_token_id": 1}
LINEAR = {"linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 8, "linear_value_head_dim": 8}


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A model's configuration and how it is to be asked; `reason`: what says why it is not packed."""

    config: str
    scoring: str = "packed"
    reason: str = ""
    keys: dict = field(default_factory=dict)
    shape: dict = field(default_factory=lambda: SHAPE)


def older(config, scoring="packed", reason="", **keys):
    return Family(config=config, scoring=scoring, reason=reason, shape=OLDER | {"initializer_range": SPREAD}, keys=keys)


def family(config, scoring="packed", reason="", **keys):
    return Family(config=config, scoring=scoring, reason=reason, keys=keys)


FAMILIES = {
    "llama": family("LlamaConfig"),
    "llama-tied": family("LlamaConfig", tie_word_embeddings=True),
    "mistral": family("MistralConfig", sliding_window=WINDOW),
    "qwen2": family("Qwen2Config", sliding_window=WINDOW),
    "qwen2-window": family("Qwen2Config", use_sliding_window=True, sliding_window=WINDOW, max_window_layers=1),
    "qwen3": family("Qwen3Config", **HEADS),
    "gemma": family("GemmaConfig", **HEADS),
    "gemma2": family("Gemma2Config", **HEADS, **MIXED, **SOFT),
    "gemma3": family("Gemma3TextConfig", **HEADS, **MIXED, **SOFT),
    "gpt-neox": family("GPTNeoXConfig"),
    "gpt-neo": older(
        "GPTNeoConfig",
        "branched",
        "differs from a plain forward pass",
        hidden_size=32,
        num_layers=2,
        num_heads=4,
        attention_types=[[["global", "local"], 1]],
        window_size=WINDOW,
        max_position_embeddings=512,
    ),
    "gpt2": older("GPT2Config"),
    "gpt-j": older("GPTJConfig", rotary_dim=4),
    "opt": family("OPTConfig", **OPT),
    "phi": family("PhiConfig"),
    "phi3": family("Phi3Config", sliding_window=WINDOW),
    "olmo2": family("Olmo2Config"),
    "olmo3": family("Olmo3Config", **MIXED),
    "falcon": family("FalconConfig", alibi=False),
    "falcon-alibi": family("FalconConfig", "branched", "ALiBi", alibi=True),
    "bloom": older("BloomConfig", "branched", "takes no position_ids", hidden_size=32),
    "mpt": older("MptConfig", "branched", "takes no position_ids", d_model=32, n_layers=3, n_heads=4, max_seq_len=64),
    "mamba": family("MambaConfig", "plain", "takes no position_ids", state_size=8),
    "qwen3-next": family(
        "Qwen3NextConfig",
        "branched",
        "layers of linear_attention",
        **HEADS | EXPERTS | LINEAR | {"num_experts": 4, "num_hidden_layers": 4, "shared_expert_intermediate_size": 32},
    ),
    "mixtral": family("MixtralConfig", num_local_experts=4, num_experts_per_tok=2),
    "qwen3-moe": family("Qwen3MoeConfig", **HEADS, **EXPERTS, num_experts=4),
    "gpt-oss": family("GptOssConfig", **HEADS, **MIXED, num_local_experts=4, num_experts_per_tok=2),
    "cohere": family("CohereConfig", logit_scale=0.25),
    "cohere2": family("Cohere2Config", **MIXED, logit_scale=0.25),
    "granite": family("GraniteConfig", logits_scaling=4.0, residual_multiplier=0.5, attention_multiplier=0.3),
}
WINDOWED = ("mistral", "qwen2-window", "gemma2", "gemma3", "phi3", "olmo3", "gpt-oss", "cohere2")


def config_of(name, **changed):
    found = FAMILIES[name]
    return getattr(transformers, found.config)(**found.shape | found.keys | changed)


def build(name, kind=transformers.AutoModelForCausalLM, **changed):
    """A model of this family, always with the same weights; `kind`: a class of its own instead of the family's."""
    torch.manual_seed(0)
    config = config_of(name, **changed)
    model = kind.from_config(config) if hasattr(kind, "from_config") else kind(config)
    return model.eval()


def tokenizer():
    first = "<pad>"
    words = {first: 0} | {f"w{i}": i for i in range(1, VOCABULARY)}
    core = Tokenizer(WordLevel(words, unk_token=first))
    core.pre_tokenizer = Whitespace()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=core, pad_token=first, eos_token=first)


def ids_of(rng, count):
    return [rng.randrange(1, VOCABULARY) for _ in range(count)]


def requests(seed=0):
    """Shared contexts, branches; nested, identical, shortest, long and over-long ones: texts, context, continuation."""
    rng = random.Random(seed)
    shared, story, letters, over = (ids_of(rng, n) for n in (18, 6, 24, 55))
    found = []
    for _ in range(4):
        context = shared + ids_of(rng, rng.randrange(1, 9))
        found += [(context, ids_of(rng, rng.randrange(1, 4))) for _ in range(3)]
    found += found[:2]
    found += [(shared[:n], shared[n : n + 2]) for n in (1, 3, 7)]
    found += [([5], ids_of(rng, 1)), ([5], ids_of(rng, 3)), ([9], ids_of(rng, 22))]
    found += [(story, letters), (story, letters[:10]), (story + letters[:4], letters[4:20])]
    found += [(ids_of(rng, 60), ids_of(rng, 3)) for _ in range(3)]
    found += [(over, ids_of(rng, n)) for n in (1, 2, 5)]
    found += [(ids_of(rng, rng.randrange(1, 14)), ids_of(rng, rng.randrange(1, 5))) for _ in range(8)]
    return [(("", ""), context, continuation) for context, continuation in found]


def short(asked, most=WINDOW - 3):
    """Those that no window binds, the self-check's longer continuations of them included."""
    return [r for r in asked if len(r[1]) + len(r[2]) - 1 <= most]


def open_lm(model, kind=PrefixTreeLM, **keys):
    """`kind` with this model, quietly."""
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    keys = {"batch_size": "auto", "max_length": LONGEST, **keys}
    return kind(pretrained=model, tokenizer=tokenizer(), backend="causal", **keys)


def answers(lm, asked):
    return lm._loglikelihood_tokens(asked, disable_tqdm=True)


def alone(model, asked, **keys):
    """What lm-eval's HFLM answers, one request at a time."""
    return answers(open_lm(model, HFLM, batch_size=1, **keys), asked)


def assert_same(found, wanted, asked):
    """Scores within 1e-4 nats a token, and the same greedy flags."""
    worst = max(abs(f[0] - w[0]) / len(r[2]) for f, w, r in zip(found, wanted, asked, strict=True))
    assert worst <= NATS
    assert [f[1] for f in found] == [w[1] for w in wanted]


@contextmanager
def watched(model, most=1 << 30):
    """Tokens of each forward pass, in order; as if more than `most` did not fit the memory."""
    seen = []

    def look(_, positional, named):
        ids = named["input_ids"] if "input_ids" in named else positional[0]
        seen.append(ids.numel())
        if ids.numel() > most:
            raise torch.cuda.OutOfMemoryError(f"as if {ids.numel()} tokens did not fit")

    hook = model.register_forward_pre_hook(look, with_kwargs=True)
    try:
        yield seen
    finally:
        hook.remove()


@contextmanager
def head_rows(model):
    """Rows of logits that come out of the head at each pass."""
    seen = []
    hook = model.get_output_embeddings().register_forward_hook(lambda _, __, out: seen.append(out[..., 0].numel()))
    try:
        yield seen
    finally:
        hook.remove()
