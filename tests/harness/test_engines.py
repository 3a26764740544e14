"""lm-eval's other engines by text, and what an `hf:` model may be put together of: each part checked and hashed."""

import ast
import importlib.util
import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from assay.harness.backends import engines, loading
from assay.harness.backends.base import BackendError, ModelOptions, Refused, Usage, open_backend, parse_reference
from assay.harness.backends.engine import Engine, Scored
from assay.harness.backends.verbatim import Turns, Verbatim, messages
from assay.tasks.types import Greedy, LogLikelihood, Sampled
from tests.harness import gguf_file

CPU = ModelOptions(device="cpu", offline=True)
TEXTS = ["Question: what is a cat?\nAnswer:", "The answer is", "2 + 2 ="]
TEMPLATE = (
    "{% for m in messages %}<{{ m['role'] }}> {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


@pytest.fixture(scope="module")
def folder(reference):
    return reference / "parity/checkpoints/series-a/step-000400"


@pytest.fixture
def copy(folder, tmp_path):
    """A checkpoint that a test may change."""
    made = tmp_path / "step-000400"
    shutil.copytree(folder, made, copy_function=shutil.copyfile)
    return made


@pytest.fixture
def adapter(folder, tmp_path):
    """A LoRA adapter whose weights are not nought."""
    import peft
    import transformers

    torch.manual_seed(1)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    config = peft.LoraConfig(r=4, target_modules=["q_proj", "up_proj"], task_type="CAUSAL_LM", init_lora_weights=False)
    peft.get_peft_model(model, config).save_pretrained(tmp_path / "lora")
    return tmp_path / "lora"


def asked(backend, context="two and", answer=" two"):
    (before,), (whole,) = (backend.tokenizer.encode([t], special=True) for t in (context, context + answer))
    return LogLikelihood(key="t/0#0", context_ids=before, continuation_ids=whole[len(before) :], text=answer)


def greedy(backend, texts=TEXTS, stop=("\n",), max_tokens=16):
    ids = backend.tokenizer.encode(texts, special=True)
    return [Greedy(key=f"t/{i}", prompt_ids=p, stop=stop, max_tokens=max_tokens) for i, p in enumerate(ids)]


# lm-eval's model types


@pytest.mark.parametrize("name", ["series-a/step-000400", "b"])
def test_any_type_of_lm_evals_agrees_with_our_own_path(reference, name):
    folder = reference / "parity/checkpoints" / name
    ours = open_backend(f"hf:{folder}", CPU)
    theirs = open_backend(f"lm_eval:hf?pretrained={folder}&dtype=float32", CPU)
    pairs = [(t, a) for t in TEXTS for a in (" a small animal.", " 4", "\nQuestion")]
    found = theirs.likelihoods([asked(theirs, *p) for p in pairs])
    wanted = ours.likelihoods([asked(ours, *p) for p in pairs])
    assert [f.logprob for f in found] == pytest.approx([w.logprob for w in wanted], abs=1e-3)
    assert [(f.tokens, f.nbytes, f.greedy) for f in found] == [(w.tokens, w.nbytes, w.greedy) for w in wanted]
    texts = [[g.text.strip() for g in b.generate(greedy(b))] for b in (theirs, ours)]
    assert texts[0] == texts[1]
    assert theirs.usage.tokens_in > sum(len(r.prompt_ids) for r in greedy(ours))


def test_a_text_without_context_is_rolled(folder):
    ours, theirs = open_backend(f"hf:{folder}", CPU), open_backend(f"lm_eval:hf?pretrained={folder}&dtype=float32", CPU)
    text = " ".join(TEXTS)
    (ids,) = ours.tokenizer.encode([text], special=True)
    whole = LogLikelihood(key="t/0#0", context_ids=[ours.tokenizer.prefix_id], continuation_ids=ids, text=text)
    (wanted,) = ours.likelihoods([whole])
    (found,) = theirs.likelihoods([asked(theirs, "", text)])
    assert found.logprob == pytest.approx(wanted.logprob, abs=1e-3)
    assert (found.tokens, found.greedy) == (len(ids), False)


def test_an_engine_that_cannot_count_tokens_says_so_until_a_tokenizer_is_named(folder, monkeypatch):
    nothing = open_backend("lm_eval:gguf?base_url=http://127.0.0.1:9", CPU)
    with pytest.raises(Refused, match=r"can't count an answer's tokens.*--tokenizer"):
        nothing.likelihoods([asked(nothing)])
    with pytest.raises(Refused, match="sends no token limit"):
        nothing.generate(greedy(nothing))
    counted = open_backend("lm_eval:gguf?base_url=http://127.0.0.1:9", ModelOptions(tokenizer=str(folder)))
    monkeypatch.setattr("lm_eval.models.gguf.time.sleep", lambda _: None)
    with pytest.raises(BackendError, match="the engine failed: RuntimeError: Failed to get a valid response"):
        counted.likelihoods([asked(counted)])


def test_what_an_engine_cannot_do_is_refused_with_its_reason(folder):
    drawing = open_backend(f"lm_eval:hf?pretrained={folder}", CPU)
    draw = Sampled(key="t/0", prompt_ids=[97], stop=(), max_tokens=4, temperature=1.0, top_p=1.0, seed=1)
    with pytest.raises(Refused, match="takes no seed for a draw"):
        drawing.generate([draw])
    chat = open_backend("lm_eval:local-chat-completions?base_url=http://127.0.0.1:9&model=m", CPU)
    with pytest.raises(Refused, match="an engine for chats gives no log-probabilities"):
        chat.likelihoods([asked(chat)])


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        ("lm_eval:hff?pretrained=x", "no model for this name found"),
        ("lm_eval:hf?pretrained=/no/such/folder", "the engine failed"),
        ("lm_eval:local-completions?api_key=sk-1", "api_key would be recorded with the run: set .OPENAI_API_KEY"),
        ("openai-chat:http://h/v1#m?api_key=sk-1", "api_key would be recorded with the run: set .OPENAI_API_KEY"),
        ("vllm:{folder}", "this model needs vllm, which is not installed"),
        ("sglang:{folder}", "this model needs sglang, which is not installed"),
        ("hf:{folder}?pefft=x", "unknown argument 'pefft'; did you mean 'peft'?"),
        ("hf:{folder}?peft=/no/such", "adapter /no/such: no such folder"),
        ("hf:{folder}?peft={folder}", "no adapter_config.json: not a PEFT adapter folder"),
        ("hf:{folder}?gguf=none.gguf", "no none.gguf: not a GGUF model folder"),
        ("hf:{folder}?load_in_8bit=perhaps", "load_in_8bit is true or false"),
        ("hf:{folder}?load_in_8bit=true&quantization=hqq", "quantised two ways at once: bitsandbytes_8bit, hqq"),
        ("hf:{folder}?quantization=tiny", "unknown quantization 'tiny'; transformers knows: .*bitsandbytes_8bit"),
        ("hf:{folder}?load_in_8bit=true", "bitsandbytes"),
    ],
)
def test_what_cannot_be_opened_says_why(folder, ref, said):
    if importlib.util.find_spec("bitsandbytes") and ref.endswith("8bit=true"):
        pytest.skip("bitsandbytes is installed")
    with pytest.raises(BackendError, match=said) as raised:
        open_backend(ref.format(folder=folder), CPU).load()
    assert "sk-1" not in str(raised.value)


# vLLM and SGLang: not installed here, so only what they would be given


@pytest.mark.parametrize("scheme", ["vllm", "sglang"])
def test_an_engines_arguments_are_ones_that_lm_evals_class_takes(folder, scheme):
    reference = parse_reference(f"{scheme}:{folder}")
    options = ModelOptions(dtype="bfloat16", batch_size=4, tokenizer=str(folder))
    given = engines.arguments(reference, loading.find(reference, options), {"max_model_len": "4096"}, options)
    assert (given["pretrained"], given["dtype"], given["batch_size"]) == (str(folder), "bfloat16", 4)
    assert given["max_model_len"] == 4096
    module = {"vllm": "vllm_causallms", "sglang": "sglang_causallms"}[scheme]
    assert set(given) <= taken(module)


def test_vllm_takes_an_adapter_and_sglang_says_that_it_does_not(folder, adapter):
    options = ModelOptions()
    for scheme in ("vllm", "sglang"):
        reference = parse_reference(f"{scheme}:{folder}?peft={adapter}")
        parts = loading.find(reference, options)
        if scheme == "vllm":
            assert engines.arguments(reference, parts, {}, options)["lora_local_path"] == str(adapter)
            assert "lora_local_path" in taken("vllm_causallms")
        else:
            with pytest.raises(BackendError, match="takes no adapter"):
                engines.arguments(reference, parts, {}, options)


def taken(module):
    """Names of the arguments of the one model class in a module of lm-eval's that can't be imported here."""
    models = Path(importlib.util.find_spec("lm_eval").origin).parent / "models"
    classes = [n for n in ast.parse((models / f"{module}.py").read_text()).body if isinstance(n, ast.ClassDef)]
    (made,) = [f for c in classes for f in c.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"]
    return {a.arg for a in made.args.args}


# Parts of an hf: model


def test_an_adapter_changes_answers_and_identity_as_merging_it_would(folder, adapter, tmp_path):
    import peft
    import transformers

    plain, adapted = open_backend(f"hf:{folder}", CPU), open_backend(f"hf:{folder}?peft={adapter}", CPU)
    base = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    peft.PeftModel.from_pretrained(base, adapter).merge_and_unload().save_pretrained(tmp_path / "merged")
    for path in folder.glob("*token*"):
        shutil.copyfile(path, tmp_path / "merged" / path.name)
    merged = open_backend(f"hf:{tmp_path / 'merged'}", CPU)
    numbers = [b.likelihoods([asked(b)])[0].logprob for b in (plain, adapted, merged)]
    assert numbers[1] == pytest.approx(numbers[2], abs=1e-4)
    assert numbers[0] != pytest.approx(numbers[1], abs=1e-2)
    assert adapted.generate(greedy(adapted)) == merged.generate(greedy(merged))
    assert adapted.identity["model"] == plain.identity["model"]
    assert adapted.checkpoint.label == "step-000400+lora"
    first = adapted.identity["adapter"]
    weights = load_file(adapter / "adapter_model.safetensors")
    save_file({k: v + 1 for k, v in weights.items()}, adapter / "adapter_model.safetensors")
    assert open_backend(f"hf:{folder}?peft={adapter}", CPU).identity["adapter"] != first


def test_an_adapter_that_lacks_weights_is_never_made_up(folder, adapter):
    weights = load_file(adapter / "adapter_model.safetensors")
    del weights[min(weights)]
    save_file(weights, adapter / "adapter_model.safetensors")
    with pytest.raises(BackendError, match=r"lora is not whole: Found missing adapter keys"):
        open_backend(f"hf:{folder}?peft={adapter}", CPU).load()


def test_a_gguf_file_answers_as_the_checkpoint_it_was_made_of(folder, tmp_path):
    written = gguf_file.write(folder, tmp_path / "tiny.gguf")
    ours, theirs = open_backend(f"hf:{folder}", CPU), open_backend(f"hf:{tmp_path}?gguf={written.name}", CPU)
    assert theirs.tokenizer.encode(TEXTS, special=True) == ours.tokenizer.encode(TEXTS, special=True)
    (found,), (wanted,) = (b.likelihoods([asked(b)]) for b in (theirs, ours))
    assert found.logprob == pytest.approx(wanted.logprob, abs=1e-4)
    assert theirs.generate(greedy(theirs)) == ours.generate(greedy(ours))
    assert (theirs.max_length, theirs.identity["model"] != ours.identity["model"]) == (ours.max_length, True)


def test_another_tokenizer_is_taken_checked_and_hashed(copy, folder, reference):
    for path in copy.glob("*token*"):
        path.unlink()
    named = open_backend(f"hf:{copy}?tokenizer={folder}", CPU)
    own = open_backend(f"hf:{folder}", CPU)
    assert named.likelihoods([asked(named)]) == own.likelihoods([asked(own)])
    assert named.identity == own.identity
    assert open_backend(f"hf:{copy}", ModelOptions(tokenizer=str(folder))).identity == own.identity
    with pytest.raises(BackendError, match="the tokenizer is another model's"):
        open_backend(f"hf:{copy}?tokenizer={reference / 'parity/checkpoints/b'}", CPU).load()


def test_a_chat_template_beside_the_tokenizer_is_part_of_the_identity(copy):
    before = open_backend(f"hf:{copy}", CPU).identity["tokenizer"]
    (copy / "chat_template.jinja").write_text(TEMPLATE)
    assert open_backend(f"hf:{copy}", CPU).identity["tokenizer"] != before


def test_a_template_is_applied_as_lm_eval_applies_it(copy):
    config = json.loads((copy / "tokenizer_config.json").read_text())
    (copy / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": TEMPLATE}))
    ours, theirs = open_backend(f"hf:{copy}", CPU), open_backend(f"lm_eval:hf?pretrained={copy}", CPU)
    ours.load()
    chats = [
        ([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Two?"}], True),
        ([{"role": "user", "content": "Two?"}, {"role": "assistant", "content": "It is"}], False),
    ]
    for turns, answer in chats:
        wanted = ours._lm.apply_chat_template(turns, add_generation_prompt=answer)
        assert ours.tokenizer.template(turns, answer=answer) == wanted
        assert theirs.tokenizer.template(turns, answer=answer) == wanted
    (copy / "tokenizer_config.json").write_text(
        json.dumps(config | {"chat_template": "{{ raise_exception('no system role') }}"})
    )
    with pytest.raises(BackendError, match=r"takes no such turns \(system, user\): no system role"):
        open_backend(f"hf:{copy}", CPU).tokenizer.template(chats[0][0], answer=True)
    assert open_backend("lm_eval:dummy", CPU).tokenizer.template(chats[0][0], answer=True) is None


def test_reasoning_of_a_checkpoint_is_stripped_before_stop_strings_are_looked_for(folder):
    """What the model says up to some word of its own is taken for its reasoning, stop strings in it and all."""
    plain = open_backend(f"hf:{folder}", CPU)
    (whole,) = plain.generate(greedy(plain, TEXTS[:1], stop=(), max_tokens=24))
    words = whole.text.split()
    mark = next(w for w in reversed(words[:-1]) if words.count(w) == 1 and whole.text.count(w) == 1)
    stripped = open_backend(f"hf:{folder}", ModelOptions(device="cpu", strip_reasoning=mark))
    (found,) = stripped.generate(greedy(stripped, TEXTS[:1], stop=(words[0],), max_tokens=24))
    assert found.text == whole.text.partition(mark)[2].lstrip().partition(words[0])[0]
    assert found.tokens == whole.tokens
    assert stripped.identity == plain.identity | {"reasoning": f"stripped up to {mark!r}"}


class Swallowed:
    """An engine whose tokenizer leaves nothing of an answer."""

    def score(self, pairs):
        return [Scored(logprob=0.0, greedy=True, tokens=0, usage=Usage(tokens_in=5)) for _ in pairs]


def test_an_answer_that_the_seam_swallowed_has_no_score():
    backend = Engine("ref", "label", {}, Verbatim(), "", Swallowed)
    (found,) = backend.likelihoods([asked(backend)])
    assert math.isnan(found.logprob)
    backend.likelihoods([asked(backend)])
    assert backend.usage == Usage(tokens_in=10)


# Text as ids


@pytest.mark.parametrize("text", ["", " a\n\tb ", "é, ß, 漢字, 👩‍🚀", "[1, 2]", '[{"role": 1, "content": ""}]'])
def test_a_text_comes_back_from_its_ids_exactly(text):
    for tokenizer in (Verbatim(), Turns()):
        assert [tokenizer.decode(ids) for ids in tokenizer.encode([text], special=True)] == [text]
    assert messages(text) == [{"role": "user", "content": text}]


def test_turns_come_back_from_their_text():
    turns = [{"role": "system", "content": "é\n"}, {"role": "user", "content": '"'}]
    assert messages(Turns().template(turns, answer=True)) == turns
