"""Real checkpoints: what is wrong with one is said, never scored."""

import dataclasses
import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from assay.harness.backends.base import BackendError, ModelOptions, open_backend
from assay.harness.backends.checkpoint import describe
from assay.tasks import datasets, render
from assay.tasks.selection import DocRange
from assay.tasks.types import Greedy, LogLikelihood

CPU = ModelOptions(device="cpu", offline=True)


@pytest.fixture
def checkpoint(reference, tmp_path):
    """A copy of a small real checkpoint that a test may damage."""
    folder = tmp_path / "step-000400"
    shutil.copytree(reference / "parity/checkpoints/series-a/step-000400", folder)
    for path in folder.iterdir():
        path.chmod(0o644)
    return folder


def requests(ids=((5, 6, 7), (8, 9))):
    context, continuation = ids
    return [LogLikelihood(key="t/0#0", context_ids=context, continuation_ids=continuation, text="xy")]


def test_likelihoods_equal_a_float64_loop_written_by_hand(checkpoint):
    backend = open_backend(f"hf:{checkpoint}", CPU)
    asked = [
        LogLikelihood(key=f"t/{i}#0", context_ids=[5 + i, 6, 7 * i], continuation_ids=list(range(9, 11 + i)), text="é")
        for i in range(40)
    ]
    found = backend.likelihoods(asked)
    model = backend._lm.model.double()
    for request, answer in zip(asked, found, strict=True):
        ids = [*request.context_ids, *request.continuation_ids]
        with torch.no_grad():
            rows = torch.log_softmax(model(torch.tensor([ids])).logits[0], -1)
        at = range(len(request.context_ids) - 1, len(ids) - 1)
        total = sum(rows[i, ids[i + 1]].item() for i in at)
        assert answer.logprob == pytest.approx(total, abs=1e-4)
        assert answer.greedy == all(rows[i].argmax().item() == ids[i + 1] for i in at)
        assert (answer.tokens, answer.nbytes) == (len(request.continuation_ids), 2)


def test_the_answer_does_not_depend_on_batch_size_or_order(checkpoint):
    asked = [
        LogLikelihood(key=f"t/{i}#0", context_ids=list(range(5, 25 + i % 7)), continuation_ids=[30 + i, 40], text="a")
        for i in range(30)
    ]
    one = open_backend(f"hf:{checkpoint}", ModelOptions(device="cpu", batch_size=1)).likelihoods(asked)
    many = open_backend(f"hf:{checkpoint}", ModelOptions(device="cpu", batch_size=16)).likelihoods(asked[::-1])[::-1]
    assert [a.logprob for a in one] == pytest.approx([a.logprob for a in many], abs=1e-4)


def test_generation_ends_before_its_stop_whatever_the_neighbours_do(checkpoint):
    backend = open_backend(f"hf:{checkpoint}", CPU)
    prompts = backend.tokenizer.encode(["The answer is", "Question: what is a cat?\nAnswer:"], special=True)
    asked = [Greedy(key=f"t/{i}", prompt_ids=p, stop=("\n", " the"), max_tokens=20) for i, p in enumerate(prompts)]
    together = backend.generate(asked)
    assert together == [backend.generate([a])[0] for a in asked]
    for answer in together:
        assert "\n" not in answer.text
        assert answer.tokens <= 20


def test_a_generation_config_that_samples_is_not_obeyed(checkpoint):
    prompt = [Greedy(key="t/0", prompt_ids=[50, 60, 70], stop=(), max_tokens=12)]
    plain = open_backend(f"hf:{checkpoint}", CPU).generate(prompt)
    sampling = {"do_sample": True, "temperature": 3.0, "repetition_penalty": 9.0, "eos_token_id": 0}
    (checkpoint / "generation_config.json").write_text(json.dumps(sampling))
    assert open_backend(f"hf:{checkpoint}", CPU).generate(prompt) == plain


def test_a_nan_weight_gives_nan_likelihoods_and_no_score(checkpoint, assay):
    weights = load_file(checkpoint / "model.safetensors")
    weights["lm_head.weight"] = weights["lm_head.weight"] * float("nan")
    save_file(weights, checkpoint / "model.safetensors", metadata={"format": "pt"})
    done = assay("run", "demo", "--model", f"hf:{checkpoint}", "--device", "cpu", "--limit", "3", check=5)
    assert done.stdout.count("3 of 3 samples could not be scored") == 4, "one a kind, generation among them"
    assert "not a number" in done.stdout
    for result in json.loads(assay("show", "latest", "--json", check=0).stdout)["tasks"].values():
        assert (result["value"], result["counts"]) == (None, {"infra_error": 3})
    line = json.loads(assay("samples", "latest", "demo_animals", check=0).stdout.splitlines()[0])
    assert line["options"][0]["logprob"] is None, "JSON has no NaN"


def test_torn_weights_are_an_error_that_names_the_checkpoint(checkpoint):
    content = (checkpoint / "model.safetensors").read_bytes()
    (checkpoint / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(BackendError, match="step-000400: cannot load the model"):
        open_backend(f"hf:{checkpoint}", CPU).likelihoods(requests())


def test_missing_weights_are_never_made_up(checkpoint):
    weights = load_file(checkpoint / "model.safetensors")
    del weights["model.layers.3.mlp.up_proj.weight"]
    save_file(weights, checkpoint / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BackendError, match=r"not whole: 1 weights are missing .*up_proj"):
        open_backend(f"hf:{checkpoint}", CPU).likelihoods(requests())


def test_weights_of_another_shape_are_refused(checkpoint):
    weights = load_file(checkpoint / "model.safetensors")
    weights["model.norm.weight"] = weights["model.norm.weight"][:64].clone()
    save_file(weights, checkpoint / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BackendError, match="step-000400"):
        open_backend(f"hf:{checkpoint}", CPU).likelihoods(requests())


def test_torn_config_is_an_error(checkpoint):
    (checkpoint / "config.json").write_text('{"architectures": [')
    with pytest.raises(BackendError, match=r"config.json: not readable as JSON .*damaged"):
        open_backend(f"hf:{checkpoint}", CPU)


def test_another_models_tokenizer_of_the_same_size_is_refused(checkpoint, reference):
    """Tokenizer B has as many tokens as A, so every id is valid: only the special ids betray it."""
    for path in (reference / "parity/checkpoints/b").glob("*token*"):
        shutil.copy(path, checkpoint / path.name)
    with pytest.raises(BackendError, match=r"tokenizer is another model's: no special id agrees"):
        open_backend(f"hf:{checkpoint}", CPU).likelihoods(requests())


def test_a_larger_tokenizer_is_refused(checkpoint):
    tokenizer = json.loads((checkpoint / "tokenizer.json").read_text())
    tokenizer["added_tokens"].append({**tokenizer["added_tokens"][0], "id": 8192, "content": "<|extra|>"})
    (checkpoint / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(BackendError, match="the tokenizer has 8193 tokens, the model embeds 8192"):
        open_backend(f"hf:{checkpoint}", CPU).likelihoods(requests())


def test_a_missing_tokenizer_says_what_to_put_where(checkpoint):
    for path in checkpoint.glob("*token*"):
        path.unlink()
    with pytest.raises(BackendError, match="cannot load the tokenizer"):
        open_backend(f"hf:{checkpoint}", CPU).likelihoods(requests())


def test_a_folder_without_a_checkpoint_says_so(tmp_path):
    with pytest.raises(BackendError, match=r"no config.json"):
        open_backend(f"hf:{tmp_path}", CPU)


def test_a_path_that_is_nothing_says_so():
    with pytest.raises(BackendError, match="no such folder, and not a Hub name"):
        open_backend("hf:/no/such/place", CPU)


def test_offline_does_not_reach_for_the_hub():
    with pytest.raises(BackendError, match="--offline was given"):
        open_backend("hf:someone/some-model", CPU)


def test_identity_follows_the_weights_not_the_name(checkpoint, tmp_path):
    first = open_backend(f"hf:{checkpoint}", CPU).identity
    checkpoint.rename(tmp_path / "moved")
    assert open_backend(f"hf:{tmp_path / 'moved'}", CPU).identity == first
    weights = load_file(tmp_path / "moved" / "model.safetensors")
    weights["model.norm.weight"][0] += 1
    save_file(weights, tmp_path / "moved" / "model.safetensors", metadata={"format": "pt"})
    assert open_backend(f"hf:{tmp_path / 'moved'}", CPU).identity["model"] != first["model"]


@pytest.mark.parametrize(
    ("name", "state", "step", "tokens"),
    [
        ("step-000400", {}, 400, None),
        ("checkpoint-1500", {}, 1500, None),
        ("OLMo-1B@step20000-tokens84B", {}, 20000, 84 * 10**9),
        ("final", {"global_step": 7, "num_input_tokens_seen": 99}, 7, 99),
        ("step-5", {"step": 6, "tokens_seen": 10}, 6, 10),
        ("mymodel", {}, None, None),
    ],
)
def test_step_and_tokens_come_from_the_state_file_or_the_name(tmp_path, name, state, step, tokens):
    if state:
        (tmp_path / "trainer_state.json").write_text(json.dumps(state))
    found = describe(tmp_path, name)
    assert (found.step, found.tokens) == (step, tokens)


def test_a_model_with_a_shorter_context_says_its_score_is_not_comparable(checkpoint, assay):
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 32}))
    done = assay("run", "demo_animals", "--model", f"hf:{checkpoint}", "--device", "cpu", "--limit", "3", check=0)
    assert "3 cut to fit" in done.stdout
    assert "the model takes 32 tokens, the task was made for 2048: not comparable" in done.stdout


@pytest.mark.parametrize("name", ["series-a/step-000400", "b"])
@pytest.mark.parametrize("task", ["demo_animals", "demo_capitals", "demo_trades"])
def test_the_joint_seam_is_lm_evals_own(reference, registry, name, task):
    """Ids equal lm-eval's `_encode_pair`, with a tokenizer that adds no BOS and one that does."""
    backend = open_backend(f"hf:{reference / 'parity/checkpoints' / name}", CPU)
    backend.load()
    spec = dataclasses.replace(registry.tasks[task], seam="joint", shots=2)
    (part,) = datasets.parts(spec, datasets.load(spec).rows)
    prompts = list(render.prompts(spec, part, DocRange(0, 8)))
    for prompt, document in zip(prompts, render.tokenise(spec, prompts, backend.tokenizer, 0), strict=True):
        for i, request in enumerate(document.requests):
            pair = backend._lm._encode_pair(prompt.preamble + prompt.contexts[i], prompt.continuations[i])
            assert (list(request.context_ids), list(request.continuation_ids)) == pair


def test_one_bad_checkpoint_does_not_end_a_series(checkpoint, assay):
    for step in (1, 2, 10):
        shutil.copytree(checkpoint, checkpoint.parent / f"ser-{step}")
    (checkpoint.parent / "ser-1/config.json").write_text("{")
    content = (checkpoint.parent / "ser-2/model.safetensors").read_bytes()
    (checkpoint.parent / "ser-2/model.safetensors").write_bytes(content[:1000])
    done = assay("run", "demo_animals", "--limit", "2", "--model", f"hf:{checkpoint.parent}/ser-*", check=5)
    assert "ser-10" in done.stdout
    assert "not measured: hf:" in done.stderr
    assert "ser-1/config.json: not readable as JSON" in done.stderr
    assert "ser-2: cannot load the model" in done.stderr
