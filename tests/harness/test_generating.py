"""Generation on this machine: batching, leaving rows and shared prefixes never change a text."""

import dataclasses
import random

import pytest
import tokenizers
import torch
import transformers
from transformers import AutoModelForCausalLM

from assay.harness.backends.base import BackendError
from assay.harness.backends.generating import Generator
from assay.harness.backends.tokenizer import HFTokenizer
from assay.harness.backends.writing import Writing
from assay.tasks.types import Greedy, Sampled

SIZE = {"vocab_size": 257, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
WIDE = {**SIZE, "intermediate_size": 64, "num_key_value_heads": 2}
GEMMA = {**WIDE, "head_dim": 8, "sliding_window": 12, "layer_types": ["sliding_attention"] * 2 + ["full_attention"]}
IDS = {"bos_token_id": 256, "eos_token_id": 256, "pad_token_id": None}
FAMILIES = {
    "llama": transformers.LlamaConfig(**WIDE, **IDS),
    "gpt2": transformers.GPT2Config(vocab_size=257, n_embd=32, n_layer=3, n_head=4, n_positions=256, **IDS),
    "opt": transformers.OPTConfig(**SIZE, ffn_dim=64, word_embed_proj_dim=32, **{**IDS, "pad_token_id": 1}),
    "mistral": transformers.MistralConfig(**WIDE, sliding_window=12, **IDS),
    "gemma2": transformers.Gemma2Config(**GEMMA, **IDS),
    "gemma3": transformers.Gemma3TextConfig(**GEMMA, **IDS),
    "falcon": transformers.FalconConfig(**SIZE, alibi=True, **IDS),
    "bloom": transformers.BloomConfig(vocab_size=257, hidden_size=32, n_layer=3, n_head=4, **IDS),
    "mixtral": transformers.MixtralConfig(**WIDE, num_local_experts=4, **IDS),
    "mamba": transformers.MambaConfig(vocab_size=257, hidden_size=32, num_hidden_layers=3, state_size=4, **IDS),
}
HEADER = list(b"Question: how many? Answer: seven. ")
HEADED = [[*HEADER, *text] for text in (b"Question: why?", b"Q", b"Question: where does the river end, " * 2, b"A, B")]
MIXED = [HEADED[0], list(b"A prompt that shares nothing with the others"), list(b"So"), HEADED[1]]


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory):
    """A token a byte: id 65 is "A", 256 ends."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in shown]
    letters = {chr(b): b for b in shown} | {chr(256 + n): b for n, b in enumerate(hidden)}
    rust = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=letters, merges=[]))
    rust.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    rust.decoder = tokenizers.decoders.ByteLevel()
    folder = tmp_path_factory.mktemp("bytes")
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=rust, eos_token="<end>")  # noqa: S106
    fast.save_pretrained(folder)
    return HFTokenizer(folder, "bytes")


def model_of(family="llama", seed=0):
    """Weights large enough that it does not repeat itself."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(FAMILIES[family]).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 2 and "embed" not in name:
                weight.mul_(4)
    return model


def writer(model, tokenizer, batch_size=8, budget=10_000, strip=""):
    return Generator(
        model, tokenizer, batch_size=batch_size, budget_tokens=budget, strip_reasoning=strip, ref="hf:tiny"
    )


def asked(prompts=MIXED, stop=(), max_tokens=30):
    return [
        Greedy(key=f"t/{i}", prompt_ids=p, stop=stop, max_tokens=max_tokens - 3 * (i % 4))
        for i, p in enumerate(prompts)
    ]


def drawn(prompt, n, max_tokens=20, seed=5):
    return [
        Sampled(
            key=f"t/0#{i}", prompt_ids=prompt, stop=(), max_tokens=max_tokens, temperature=1.0, top_p=0.9, seed=seed + i
        )
        for i in range(n)
    ]


def transformers_own(model, tokenizer, request):
    """Its greedy text of one prompt, cut after the fact."""
    model.generation_config = transformers.GenerationConfig(do_sample=False, eos_token_id=256, pad_token_id=256)
    ids = torch.tensor([request.prompt_ids])
    with torch.no_grad():
        out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=request.max_tokens)
    row = Writing(request, tokenizer, "")
    for token in out[0, len(request.prompt_ids) :].tolist():
        if not row.done:
            row.add(token, broken=False)
    return row.answer()


class Counted:
    """Shapes of the ids a model is given."""

    def __init__(self, model):
        self.shapes = []
        model.get_input_embeddings().register_forward_hook(lambda _, ids, __: self.shapes.append(tuple(ids[0].shape)))

    @property
    def tokens(self):
        return sum(rows * columns for rows, columns in self.shapes)


def ready(model, tokenizer):
    """A generator whose self-check is over, on a prompt that begins as others do, and what it forwards from now on."""
    generator = writer(model, tokenizer)
    generator.generate(asked([HEADER], max_tokens=1))
    return generator, Counted(model)


@pytest.mark.parametrize("prompts", [MIXED, HEADED], ids=["nothing shared", "a header shared"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_text_is_the_same_alone_in_a_batch_and_from_transformers(family, prompts, tokenizer):
    model = model_of(family)
    requests = asked(prompts)
    together = writer(model, tokenizer)
    found = together.generate(requests)
    assert found == [writer(model, tokenizer, batch_size=1).generate([r])[0] for r in requests]
    assert found == [transformers_own(model, tokenizer, r) for r in requests]
    assert len({f.text for f in found}) == len(found), "the texts differ, so a mix-up would show"
    assert bool(together.reason) == (family == "mamba")


def test_a_real_checkpoint_writes_the_same_alone_and_in_a_batch(reference):
    folder = reference / "parity/checkpoints/series-a/step-000400"
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = HFTokenizer(folder, "a")
    texts = ["The answer is", "Question: what is a cat?\nAnswer:", "Once upon a time", "2 + 2 =", "def f(x):\n"]
    shots = "Question: what is a dog?\nAnswer: an animal\n\nQuestion: what is a stone?\nAnswer: a thing\n\n"
    prompts = tokenizer.encode([*texts, *(shots + text for text in texts)], special=True)
    requests = asked(prompts, stop=("\n\n", " the", "."), max_tokens=40)
    generator = writer(model, tokenizer)
    together = generator.generate(requests)
    assert together == [writer(model, tokenizer).generate([r])[0] for r in requests]
    assert generator.reason == ""
    assert any(answer.stopped for answer in together)
    for answer in together:
        assert not any(stop in answer.text for stop in ("\n\n", " the", "."))


def test_a_row_leaves_when_it_is_done(tokenizer):
    generator, counted = ready(model_of(), tokenizer)
    generator.generate(asked([list(b"abcdef"), list(b"ghijkl"), list(b"mnopqr")], max_tokens=9))  # 9, 6, 3
    assert counted.shapes[0] == (3, 6)
    assert [rows for rows, columns in counted.shapes[1:]] == [3, 3, 2, 2, 2, 1, 1, 1]


def test_a_stop_string_ends_its_own_row_alone(tokenizer):
    model = model_of()
    free = writer(model, tokenizer).generate(asked(max_tokens=40))
    stop = next(a for a in free[0].text if free[0].text.find(a) > 4 and a not in free[1].text)
    generator, counted = ready(model, tokenizer)
    requests = [dataclasses.replace(r, stop=(stop,)) for r in asked(max_tokens=40)[:2]]
    first, second = generator.generate(requests)
    assert (first.text, first.stopped) == (free[0].text[: free[0].text.index(stop)], True)
    assert (second.text, second.stopped) == (free[1].text, False)
    assert [rows for rows, _ in counted.shapes].count(2) == first.tokens


def test_a_shared_header_is_forwarded_once_also_over_batches_and_calls(tokenizer):
    model = model_of()
    generator, counted = ready(model, tokenizer)
    generator._batch_size = 2
    requests = asked([[*HEADER, 1 + i, 2 + i] for i in range(6)], max_tokens=1)
    found = generator.generate(requests[:4])
    found += generator.generate(requests[4:])
    assert counted.tokens == len(HEADER) + 6 * 2
    assert found == writer(model, tokenizer, batch_size=1).generate(requests)


def test_one_at_a_time_shares_nothing(tokenizer):
    generator, counted = ready(model_of(), tokenizer)
    generator._batch_size = 1
    generator.generate(asked(HEADED, max_tokens=1))
    assert counted.tokens == sum(map(len, HEADED))


def test_a_header_is_lengthened_and_shortened_by_what_is_asked_next(tokenizer):
    model = model_of()
    generator, counted = ready(model, tokenizer)
    longer = [*HEADER, *range(100, 120)]
    groups = [[[*h, 1], [*h, 2], [*h, 3, 4]] for h in (HEADER, longer, HEADER, list(b"It shares nothing at all!"))]
    requests = [asked(group, max_tokens=5) for group in groups]
    found = [generator.generate(r) for r in requests]
    assert [columns for _, columns in counted.shapes if columns > 2] == [len(HEADER), 20, len(groups[-1][0]) - 1]
    assert found == [writer(model, tokenizer, batch_size=1).generate(r) for r in requests]


def test_samples_of_one_prompt_forward_it_once_and_are_what_separate_draws_are(tokenizer):
    model = model_of()
    generator, counted = ready(model, tokenizer)
    requests = drawn(list(b"Write a poem about rain"), n=5, max_tokens=1)
    generator.generate(requests)
    assert counted.tokens == len(requests[0].prompt_ids)
    requests = drawn(list(b"Write a poem about snow"), n=5)
    together = generator.generate(requests)
    assert together == [writer(model, tokenizer).generate([r])[0] for r in requests]
    assert len({a.text for a in together}) == 5
    assert together == writer(model, tokenizer, batch_size=2).generate(requests)


def test_samples_and_greedy_texts_keep_apart_in_one_batch(tokenizer):
    model = model_of()
    requests = [*asked(HEADED), *drawn(HEADED[0], n=3), *drawn(HEADED[2], n=2, seed=9)]
    together = writer(model, tokenizer, batch_size=9).generate(requests)
    assert together == [writer(model, tokenizer).generate([r])[0] for r in requests]


def test_a_row_with_a_logit_that_is_no_number_is_broken_and_its_neighbours_are_not(tokenizer):
    model = model_of()
    with torch.no_grad():
        model.get_input_embeddings().weight[7] = torch.nan
    requests = asked([list(b"fine"), [*b"bad", 7], list(b"also fine")])
    found = writer(model, tokenizer).generate(requests)
    assert [a.broken for a in found] == [False, True, False]
    assert [found[0], found[2]] == [writer(model, tokenizer).generate([requests[i]])[0] for i in (0, 2)]


def test_memory_that_runs_out_halves_the_batch_and_loses_nothing(tokenizer):
    model = model_of()
    requests = [*asked(HEADED * 2), *drawn(HEADED[0], n=3)]
    wanted = writer(model, tokenizer, batch_size=1).generate(requests)
    batches = []

    def full(_, ids, out):
        batches.append(len(ids[0]))
        if len(ids[0]) > 2:
            raise torch.cuda.OutOfMemoryError("full")

    model.get_input_embeddings().register_forward_hook(full)
    for batch_size in (None, 8):
        batches.clear()
        generator = writer(model, tokenizer, batch_size=batch_size)
        assert generator.generate(requests) == wanted
        assert max(batches) > 2, "it did run out"
        assert batches[-1] <= 2


def test_one_sequence_that_does_not_fit_is_an_error_that_says_so(tokenizer):
    model = model_of()
    generator = writer(model, tokenizer)

    def full(_, ids, out):
        if ids[0].shape[1] > 40:
            raise torch.cuda.OutOfMemoryError("full")

    model.get_input_embeddings().register_forward_hook(full)
    with pytest.raises(BackendError, match="hf:tiny: one sequence of 103 tokens does not fit the device's memory"):
        generator.generate(asked([list(range(100)), list(b"short")], max_tokens=3))


def test_a_prompts_logits_are_computed_for_its_last_token_alone(tokenizer):
    model = model_of()
    generator, _ = ready(model, tokenizer)
    shapes = []
    model.get_output_embeddings().register_forward_hook(lambda _, __, out: shapes.append(out.shape[1]))
    generator.generate(asked(HEADED))
    assert set(shapes) == {1}


def test_a_batch_holds_no_more_tokens_than_its_budget(tokenizer):
    model = model_of()
    counted = Counted(model)
    writer(model, tokenizer, batch_size=None, budget=3 * 20).generate(
        asked([[i] * 10 for i in range(1, 8)], max_tokens=10)
    )
    assert max(rows for rows, _ in counted.shapes) == 3


@pytest.mark.parametrize("family", ["llama", "mamba"])
def test_a_generation_config_is_not_obeyed(family, tokenizer):
    model = model_of(family)
    plain = writer(model, tokenizer).generate(asked())
    model = model_of(family)
    model.generation_config = transformers.GenerationConfig(
        do_sample=True, temperature=3.0, repetition_penalty=9.0, eos_token_id=list(range(100))
    )
    assert writer(model, tokenizer).generate(asked()) == plain


def test_mamba_draws_stops_and_breaks_as_the_others_do(tokenizer):
    model = model_of("mamba")
    with torch.no_grad():
        model.get_input_embeddings().weight[7] = torch.nan
        model.get_output_embeddings().weight = torch.nn.Parameter(model.get_input_embeddings().weight.nan_to_num())
    requests = [*asked([list(b"fine"), [*b"bad", 7]]), *drawn(list(b"A draw"), n=3)]
    found = writer(model, tokenizer).generate(requests)
    assert [a.broken for a in found] == [False, True, False, False, False]
    assert len({a.text for a in found[2:]}) == 3
    stop = (found[0].text[5:7],)
    short = writer(model, tokenizer).generate([dataclasses.replace(r, stop=stop) for r in requests])
    assert short[0].text == found[0].text[: found[0].text.index(stop[0])]
    assert short[0].tokens < found[0].tokens


def test_a_model_that_padding_disturbs_is_asked_without(tokenizer):
    torch.manual_seed(0)
    config = transformers.RwkvConfig(vocab_size=257, hidden_size=32, num_hidden_layers=2, attention_hidden_size=32)
    model = AutoModelForCausalLM.from_config(config).eval()
    requests = asked(max_tokens=12)
    found = writer(model, tokenizer).generate(requests)
    assert found == [transformers_own(model, tokenizer, r) for r in requests]


def test_a_model_that_a_cache_disturbs_is_left_to_transformers(tokenizer):
    class Forgetful(transformers.LlamaForCausalLM):
        def forward(self, input_ids=None, past_key_values=None, logits_to_keep=0, **more):
            more["position_ids"] = torch.arange(input_ids.shape[1])[None]
            return super().forward(input_ids, past_key_values=past_key_values, logits_to_keep=logits_to_keep, **more)

    torch.manual_seed(0)
    generator = writer(Forgetful(FAMILIES["llama"]).eval(), tokenizer)
    generator.generate(asked())
    assert "changes what the model says" in generator.reason


@pytest.mark.parametrize("strip", ["", "</think>"])
def test_what_ends_an_answer_is_seen_at_once_and_cheaply(strip, tokenizer):
    """Against the whole text, decoded after every token; stop strings of several bytes to a letter among them."""
    letters = random.Random(3)
    for _ in range(60):
        written = "".join(letters.choices("ab é€x", k=300))
        stop = tuple(
            written[at : at + letters.randint(3, 60)] for at in (letters.randrange(200), letters.randrange(200))
        )
        text = written.encode()
        request = Greedy(key="t/0", prompt_ids=(1,), stop=stop, max_tokens=200)
        row = Writing(request, tokenizer, strip)
        ends = (n for n in range(1, 201) if any(s in tokenizer.decode(list(text[:n])) for s in stop))
        last = 200 if strip else next(ends, 200)
        for n, token in enumerate(text[:last], 1):
            assert not row.done
            row.add(token, broken=False)
            assert row.done == (n == last)


def test_a_long_text_is_not_decoded_again_for_every_token(tokenizer, monkeypatch):
    decoded = []
    decode = tokenizer.hf.decode
    monkeypatch.setattr(tokenizer.hf, "decode", lambda ids, **how: decoded.append(len(ids)) or decode(ids, **how))
    row = Writing(Greedy(key="t/0", prompt_ids=(1,), stop=("\n\n",), max_tokens=1000), tokenizer, "")
    for _ in range(1000):
        row.add(120, broken=False)
    assert row.done
    assert max(decoded) < 30


def test_frequencies_that_depend_on_the_longest_in_a_batch_change_no_text(tokenizer):
    rope = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [9.0] * 4, "factor": 8.0}
    rope |= {"original_max_position_embeddings": 64, "rope_theta": 100.0}
    torch.manual_seed(0)
    config = transformers.LlamaConfig(**WIDE, **IDS, rope_parameters=rope, max_position_embeddings=512)
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.mul_(6)
    few = asked([HEADED[2], [*HEADED[2], *HEADED[0]], *HEADED, list(b"So")], max_tokens=30)
    generator = writer(model, tokenizer)
    assert generator.generate(few) == [writer(model, tokenizer).generate([r])[0] for r in few]
    assert generator.generate(few) == [transformers_own(model, tokenizer, r) for r in few]
    assert generator.reason == ""
    generator._reach = 1 << 30
    assert generator.generate(few) != [transformers_own(model, tokenizer, r) for r in few]


def test_an_empty_prompt_is_refused(tokenizer):
    with pytest.raises(BackendError, match="an empty prompt"):
        writer(model_of(), tokenizer).generate(asked([[], HEADER]))


def test_a_first_prompt_of_one_token_does_not_blind_the_self_check(tokenizer):
    class Shifted(transformers.LlamaForCausalLM):
        """Looks at padding, as code that knows no mask but its own."""

        def forward(self, *args, attention_mask=None, **named):
            return super().forward(*args, **named)

    Shifted.__name__ = "LlamaForCausalLM"
    model = Shifted(FAMILIES["llama"]).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.mul_(4)
    generator = writer(model, tokenizer)
    generator.generate(asked([[65]], max_tokens=1))
    assert generator.reason != ""
