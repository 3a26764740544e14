"""What a score owes to how it was computed: recorded with a run, measured by `doctor --numerics`, or shut out."""

import dataclasses
import json
import math
import shutil

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from assay.harness import numerics
from assay.harness.backends.base import BackendError, ModelOptions, open_backend
from assay.harness.numerics import Passes, Taken
from assay.tasks.types import Greedy, LogLikelihood

CPU = ModelOptions(device="cpu", offline=True)
FIXED = dataclasses.replace(CPU, deterministic=True)


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
def alibi(copy):
    """A model that takes distances from places in the row, so that it can't be given a pack."""
    import transformers

    torch.manual_seed(0)
    config = transformers.FalconConfig(
        vocab_size=8192,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        alibi=True,
        bos_token_id=0,
        eos_token_id=0,
        new_decoder_architecture=False,
    )
    (copy / "model.safetensors").unlink()
    transformers.FalconForCausalLM(config).save_pretrained(copy)
    return copy


@pytest.fixture
def long_task(write_task):
    """More documents than one shard holds."""
    rows = [
        {"query": f"Which number follows {i}?", "choices": [str(i + 1), str(i + 2), "none of these"], "gold": 0}
        for i in range(140)
    ]
    return write_task(rows)


def result(tmp_path, task):
    (path,) = (tmp_path / "runs").glob("*/results.json")
    return json.loads(path.read_text())["tasks"][task]


def measured(found):
    return {(x["dtype"], x["way"]): x for x in found}


# Records


def test_a_run_records_what_its_log_likelihoods_took_and_shows_what_sharing_saved(assay, folder, tmp_path):
    done = assay("run", "demo_animals", "demo_sums", "--model", f"hf:{folder}", "--device", "cpu", check=0)
    took = result(tmp_path, "demo_animals")["usage"]
    assert took["tokens_asked"] > 2 * took["tokens_forwarded"], "four choices after one context"
    assert took["tokens_forwarded"] >= took["tokens_unique"] > 0
    saved = f"{took['tokens_asked'] / took['tokens_forwarded']:.1f} times fewer"
    assert f"{took['tokens_asked']:,.0f} tokens scored, {took['tokens_unique']:,.0f} of them unique" in done.stdout
    assert saved in done.stdout
    assert saved in assay("show", "latest", check=0).stdout
    assert not {"tokens_asked", "tokens_forwarded"} & result(tmp_path, "demo_sums")["usage"].keys(), "texts are written"
    assert "scored" not in result(tmp_path, "demo_animals")["message"], "packed is nothing to remark on"


def test_a_model_that_cannot_be_packed_says_so_with_the_reason(assay, alibi, tmp_path):
    done = assay("run", "demo_animals", "--model", f"hf:{alibi}", "--device", "cpu", check=0)
    found = result(tmp_path, "demo_animals")
    assert found["message"].startswith("scored branched: not packed: ALiBi")
    assert found["message"] in done.stdout
    assert found["usage"]["tokens_asked"] > found["usage"]["tokens_forwarded"] > 0


def test_a_model_whose_texts_need_transformers_own_loop_says_so(assay, folder, tmp_path):
    config = transformers.MambaConfig(
        vocab_size=8192, hidden_size=32, num_hidden_layers=2, state_size=4, bos_token_id=0, eos_token_id=0
    )
    mamba = tmp_path / "mamba"
    transformers.MambaForCausalLM(config).save_pretrained(mamba)
    for path in folder.glob("*token*"):
        shutil.copy(path, mamba)
    assay("run", "demo_sums", "--model", f"hf:{mamba}", "--device", "cpu", "--limit", "4", check=0)
    assert "written by transformers' own loop: the model keeps" in result(tmp_path, "demo_sums")["message"]


def test_fakes_and_tasks_that_write_record_no_scoring(assay, tmp_path):
    done = assay("run", "demo_animals", "--model", "oracle", check=0)
    assert "tokens_asked" not in result(tmp_path, "demo_animals")["usage"]
    assert "tokens scored" not in done.stdout


def test_a_resumed_task_counts_the_session_that_finished_it(assay, folder, tmp_path, long_task):
    command = ("run", "mine", "--tasks-dir", long_task, "--model", f"hf:{folder}", "--device", "cpu")
    stopped = assay(*command, "--price", "1000:1000", "--budget", "0.01", check=5)
    assert "is spent" in stopped.stderr, "after the first shard of two"
    assay(*command, check=0)
    rest = result(tmp_path, "mine")
    shutil.rmtree(tmp_path / "runs")
    assay(*command, check=0)
    whole = result(tmp_path, "mine")
    assert 0 < rest["usage"]["tokens_asked"] < whole["usage"]["tokens_asked"] / 5
    assert rest["value"] == whole["value"]


# --deterministic


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_deterministic_scores_do_not_depend_on_what_else_is_asked(folder, dtype):
    backend = open_backend(f"hf:{folder}", dataclasses.replace(FIXED, dtype=dtype))
    asked = [
        LogLikelihood(key=f"t/{i}#0", context_ids=list(range(5, 25 + i % 7)), continuation_ids=[30 + i, 40], text="a")
        for i in range(12)
    ]
    together = backend.likelihoods(asked)
    assert together == [backend.likelihoods([a])[0] for a in reversed(asked)][::-1]
    assert (
        together == open_backend(f"hf:{folder}", dataclasses.replace(FIXED, dtype=dtype)).likelihoods(asked[::-1])[::-1]
    )


def test_deterministic_texts_do_not_depend_on_what_else_is_asked(folder):
    backend = open_backend(f"hf:{folder}", dataclasses.replace(FIXED, dtype="bfloat16"))
    prompts = backend.tokenizer.encode(["The answer is", "Question: what is a cat?\nAnswer:", "One"], special=True)
    asked = [Greedy(key=f"t/{i}", prompt_ids=p, stop=("\n",), max_tokens=20) for i, p in enumerate(prompts)]
    assert backend.generate(asked) == [backend.generate([a])[0] for a in asked]


def test_deterministic_is_another_identity_and_another_run(assay, folder, tmp_path):
    plain, fixed = (open_backend(f"hf:{folder}", o).identity for o in (CPU, FIXED))
    assert fixed == plain | {"scoring": "deterministic"}
    command = ("run", "demo_animals", "--limit", "4", "--model", f"hf:{folder}", "--device", "cpu")
    assay(*command, check=0)
    assay(*command, "--deterministic", check=0)
    plans = [json.loads(p.read_text()) for p in (tmp_path / "runs").glob("*/plan.json")]
    assert sorted(p["identity"].get("scoring", "") for p in plans) == ["", "deterministic"]
    assert len({p["run_id"] for p in plans}) == 2


@pytest.mark.parametrize(
    "ref", ["vllm:{}", "sglang:{}", "lm_eval:hf?pretrained={}", "openai-completions:http://127.0.0.1:9/v1#m"]
)
def test_engines_that_batch_as_they_like_refuse_it(folder, ref):
    with pytest.raises(BackendError, match=r"--deterministic.*leave the option out, or use hf:"):
        open_backend(ref.format(folder), FIXED)


def test_fakes_are_deterministic_and_take_it(assay):
    assay("run", "demo_animals", "--model", "oracle", "--deterministic", check=0)


# assay doctor --numerics


def test_numerics_measures_the_noise_of_packing_in_two_dtypes(assay, folder):
    found = json.loads(assay("doctor", "--numerics", f"hf:{folder}", "--device", "cpu", "--json", check=0).stdout)
    assert all(x["ok"] for x in found)
    rows = measured(found)
    packings = ("together", "small packs", "two halves")
    for way in packings:
        assert rows["float32", way]["scored"] == "packed"
        assert rows["float32", way]["largest_per_token"] < 1e-4
        assert (rows["float32", way]["greedy"], rows["float32", way]["choices"]) == (0, 0)
        assert rows["bfloat16", way]["largest"] > rows["float32", way]["largest"] > 0
        assert 0 < rows["bfloat16", way]["rms"] <= rows["bfloat16", way]["largest"]
    for dtype in numerics.DTYPES:
        alone, together = rows[dtype, "alone"], rows[dtype, "together"]
        assert alone["tokens_forwarded"] == alone["tokens_asked"] == together["tokens_asked"]
        assert together["tokens_asked"] > together["tokens_forwarded"] >= together["tokens_unique"]
        assert rows[dtype, "deterministic"]["largest_per_token"] <= rows[dtype, "deterministic"]["limit_per_token"]
        assert rows[dtype, "deterministic, alone"]["largest"] == 0.0
        assert rows[dtype, "deterministic, alone"]["limit_per_token"] == 0.0


def test_numerics_says_why_a_model_is_not_packed(assay, alibi):
    done = assay("doctor", "--numerics", f"hf:{alibi}", "--device", "cpu", "--dtype", "bfloat16", check=0)
    assert "float32, together: not packed: ALiBi" in done.stdout
    assert "branched" in done.stdout
    assert "packed  " not in done.stdout


def test_numbers_that_are_none_are_a_no(assay, copy):
    weights = load_file(copy / "model.safetensors")
    weights["lm_head.weight"] = weights["lm_head.weight"] * float("nan")
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    done = assay("doctor", "--numerics", f"hf:{copy}", "--device", "cpu", check=1)
    assert "float32, together: nan nats a token from 'alone'" in done.stdout


@pytest.mark.parametrize(
    ("ref", "said"),
    [("hf:nowhere", "nowhere"), ("nothing", "unknown scheme"), ("oracle", "only weights on this machine")],
)
def test_a_model_that_numerics_cannot_ask_is_said(assay, ref, said):
    done = assay("doctor", "--numerics", ref, check=2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def made(*logprobs, way="together", against="alone"):
    return Taken(
        way=way,
        against=against,
        scored="packed",
        reason="",
        logprobs=logprobs,
        greedy=tuple(x > -1 for x in logprobs),
        forwarded=3,
        seconds=0.5,
    )


def compared(*taken, limit=0.1):
    """Two questions of two choices, of two tokens each."""
    requests = [
        LogLikelihood(key=f"{i}#{j}", context_ids=[1], continuation_ids=[2, 3], text="x")
        for i in (0, 1)
        for j in (0, 1)
    ]
    passes = Passes(dtype="float32", limit=limit, requests=requests, asked=8, unique=3, taken=taken)
    return {x.way: x for x in numerics.compare(passes)}


ALONE = made(-2.0, -1.5, -0.5, -3.0, way="alone")


def test_differences_flags_and_choices_are_counted():
    found = compared(ALONE, made(-2.0, -2.1, -1.1, -3.0))["together"]
    assert found.largest == pytest.approx(0.6)
    assert found.rms == pytest.approx(math.sqrt((0.6**2 + 0.6**2) / 4))
    assert found.largest_per_token == pytest.approx(0.3)
    assert (found.greedy, found.choices, found.ok) == (1, 1, False)


def test_a_difference_is_judged_by_the_token():
    assert compared(ALONE, made(-2.15, -1.5, -0.5, -3.0))["together"].ok
    assert not compared(ALONE, made(-2.25, -1.5, -0.5, -3.0))["together"].ok


def test_what_must_be_the_same_may_not_differ_at_all():
    fixed = made(-2.0, -1.5, -0.5, -3.0, way="deterministic")
    found = compared(ALONE, fixed, made(-2.0, -1.5, -0.5, -3.0 + 1e-12, way="again", against="deterministic"))
    assert found["deterministic"].ok
    assert not found["again"].ok


def test_the_questions_share_a_header_and_are_cut_to_the_model(folder):
    tokenizer = open_backend(f"hf:{folder}", CPU).tokenizer
    whole, short = (numerics.requests(tokenizer, longest) for longest in (None, 20))
    assert len({tuple(r.context_ids[:40]) for r in whole}) == 1
    assert max(len(r.context_ids) + len(r.continuation_ids) for r in short) == 21
    assert len({r.key for r in whole}) == len(whole) == 32
