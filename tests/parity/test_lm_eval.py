"""Fidelity: what lm-eval 0.4.13 computed on small real checkpoints, reproduced; and lm-eval itself, run beside us.

Every file of reference/parity/lm_eval: prompts byte for byte, summed log-probabilities within 1e-3 nats, texts,
filtered answers and metrics exact.
"""

import dataclasses
import gzip
import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from assay.harness import runner
from assay.harness.backends.base import ModelOptions, open_backend
from assay.harness.marking import Direct
from assay.tasks import datasets, lm_eval_index, lm_eval_opening, registry, render
from assay.tasks.selection import DocRange
from assay.tasks.spec import Draws
from assay.tasks.types import Answer, Likelihood
from tests.parity.lm_eval_yaml import LIVE, write_tasks

REFERENCE = Path(os.environ.get("ASSAY_REFERENCE") or "/nonexistent") / "parity"
FILES = sorted((REFERENCE / "lm_eval").glob("*/*.jsonl.gz"))
NATS = 1e-3
CASES = [pytest.param(p, id=f"{p.parent.name}/{p.name.split('.')[0]}") for p in FILES]
ABSENT = pytest.param(None, marks=pytest.mark.skip(reason="ASSAY_REFERENCE names no folder: no golden files"))


def checkpoint(name):
    return REFERENCE / "checkpoints" / name.replace("series-a-", "series-a/")


def backend_of(name):
    return open_backend(f"hf:{checkpoint(name)}", ModelOptions(device="cpu", offline=True))


def measured(spec, group, docs, backend):
    """What was asked, answered and is worth: (prompt, document, responses, score) of each document; the result."""
    part = next(p for p in datasets.parts(spec, datasets.load(spec).rows) if p.group == group)
    prompts = list(render.prompts(spec, part, docs, backend.tokenizer))
    documents = list(render.tokenise(spec, prompts, backend.tokenizer, 0))
    marking = Direct(spec)
    for d, r in zip(documents, runner.ask(spec, backend, documents), strict=True):
        assert not d.fault
        marking.add(d.sample, Answer(doc_id=d.sample.doc_id, responses=r, request_sha256=""))
    marks = [m for m, _ in marking.done()]
    found = [(p, d, m[1].responses, m[2]) for p, d, m in zip(prompts, documents, marks, strict=True)]
    return found, marking.result([group])


@pytest.mark.parametrize("path", CASES or [ABSENT])
def test_every_golden_file_is_reproduced(path, registry, mirror):
    with gzip.open(path, "rt", encoding="utf-8") as f:
        header, *lines = [json.loads(line) for line in f]
    header, task = header["header"], header["header"]["task"]
    name, group = ("mmlu", task.removeprefix("mmlu_")) if task.startswith("mmlu_") else (task, "")
    spec = registry.tasks[{"gsm8k_cot": "gsm8k_cot_8shot"}.get(name, name)]
    spec = dataclasses.replace(spec, shots=header["num_fewshot"])
    found, result = measured(spec, group, DocRange(0, header["docs"]), backend_of(header["checkpoint"]))
    assert len(found) == header["docs"]
    for doc in lines:
        prompt, document, responses, score = found[doc["doc_id"]]
        assert hashlib.sha256(prompt.contexts[0].encode()).hexdigest() == doc["prompt_sha256"]
        assert len(prompt.contexts[0]) == doc["prompt_chars"]
        if "continuations" in doc:
            assert list(prompt.continuations) == doc["continuations"]
            assert [r.logprob for r in responses] == pytest.approx(doc["loglikelihoods"], abs=NATS)
            assert [r.greedy for r in responses] == doc["is_greedy"]
        else:
            assert list(document.requests[0].stop) == doc["gen_kwargs"]["until"]
            assert responses[0].text == doc["generation"]
        for metric, value in doc["metrics"].items():
            assert score.parts[f"{metric},{doc['filter']}"] == value
        if f",{doc['filter']}" in spec.lm_eval.metric and "generation" in doc:
            assert (score.extracted or "[invalid]") == doc["filtered"]
    for metric, value in header["metrics"].items():
        if metric != "sample_len":
            assert result.metrics[metric] == pytest.approx(value, abs=1e-12)


def test_every_golden_file_is_compared():
    if not FILES:
        pytest.skip("ASSAY_REFERENCE names no folder: this test needs it")
    assert len(FILES) == 30


@pytest.fixture(scope="module")
def beside(tmp_path_factory):
    """lm-eval's own evaluator over ten tasks of its form, on local data, with a small real checkpoint."""
    if not FILES:
        pytest.skip("ASSAY_REFERENCE names no folder: this test needs it")
    import lm_eval
    import torch
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    folder = tmp_path_factory.mktemp("tasks")
    write_tasks(folder)
    torch.manual_seed(0)
    lm = HFLM(pretrained=str(checkpoint("b")), dtype="float32", batch_size=1, device="cpu", max_length=2048)
    manager = TaskManager(include_path=str(folder))
    found = lm_eval.simple_evaluate(
        model=lm, tasks=list(LIVE), task_manager=manager, limit=12, log_samples=True, bootstrap_iters=0
    )
    return folder, found


@pytest.mark.parametrize("name", LIVE)
def test_lm_eval_itself_asks_and_scores_the_same(beside, name):
    folder, theirs = beside
    (spec,) = registry.open_registry([folder]).select([f"lm_eval:{name}"])
    found, result = measured(spec, "", DocRange(0, 12), backend_of("b"))
    samples = theirs["samples"][name]
    for s in samples:
        prompt, document, responses, score = found[s["doc_id"]]
        compare_requests(s, prompt, document, responses)
        for metric in s["metrics"]:
            value = s[metric]
            if isinstance(value, (int, float)):
                assert score.parts[f"{metric},{s['filter']}"] == pytest.approx(value, abs=NATS)
    for key, value in theirs["results"][name].items():
        if "," in key and "stderr" not in key:
            assert result.metrics[key] == pytest.approx(value, rel=1e-4, abs=NATS), key
    assert result.value == result.metrics[next(iter(result.metrics))]
    better = theirs["higher_is_better"][name]
    assert result.higher_is_better == better[next(iter(result.metrics)).rpartition(",")[0]]


def compare_requests(theirs, prompt, document, responses):
    arguments = list(theirs["arguments"].values()) if isinstance(theirs["arguments"], dict) else theirs["arguments"]
    if not prompt.continuations:
        context, options = next(list(a.values()) if isinstance(a, dict) else a for a in arguments)
        assert prompt.contexts[0] == context
        until = options["until"]
        assert list(document.requests[0].stop) == ([until] if isinstance(until, str) else until)
        assert responses[0].text == theirs["resps"][0][0]
    elif prompt.contexts == ("",):
        assert sum(r.logprob for r in responses) == pytest.approx(
            float(theirs["resps"][0][0]), abs=NATS * len(responses)
        )
    else:
        asked = [list(a.values()) if isinstance(a, dict) else list(a) for a in arguments]
        assert [[c, x] for c, x in zip(prompt.contexts, prompt.continuations, strict=True)] == asked
        for response, ((logprob, greedy),) in zip(responses, theirs["resps"], strict=True):
            assert isinstance(response, Likelihood)
            assert response.logprob == pytest.approx(float(logprob), abs=NATS)
            assert response.greedy == (str(greedy) == "True")


def test_a_group_of_lm_evals_has_its_weighted_mean(beside, tmp_path):
    folder, _ = beside
    found = registry.open_registry([folder])
    specs = found.select(["lm_eval:live_group"])
    assert [s.name for s in specs] == ["lm_eval:live_choice", "lm_eval:live_norms"]
    (group,) = found.groups.values()
    assert group.by_size
    assert group.tasks == ("lm_eval:live_choice", "lm_eval:live_norms")


def test_examples_do_not_depend_on_which_rows_are_asked(beside):
    folder, _ = beside
    (spec,) = registry.open_registry([folder]).select(["lm_eval:live_shots"])
    (part,) = datasets.parts(spec, datasets.load(spec).rows)
    whole = {p.sample.doc_id: p.contexts for p in render.prompts(spec, part, DocRange())}
    for docs in (DocRange(7, 9), DocRange(limit=5)):
        some = list(render.prompts(spec, part, docs))
        assert some
        assert all(whole[p.sample.doc_id] == p.contexts for p in some)


def test_tasks_that_run_code_in_process_are_refused_by_name():
    for name in ("humaneval", "mbpp", "humaneval_plus"):
        with pytest.raises(lm_eval_index.RunsCode, match="executes code in this process"):
            lm_eval_index.demand_safe(name, ())


TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}{% if not loop.last or add_generation_prompt %}"
    "</{{ m.role }}>\n{% endif %}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)


@pytest.fixture(scope="module")
def chatty(tmp_path_factory):
    """A small real checkpoint whose tokenizer has a chat template, beginning with a BOS as many have."""
    if not FILES:
        pytest.skip("ASSAY_REFERENCE names no folder: this test needs it")
    folder = tmp_path_factory.mktemp("chat") / "b"
    shutil.copytree(checkpoint("b"), folder)
    config = folder / "tokenizer_config.json"
    config.chmod(0o644)
    config.write_text(json.dumps(json.loads(config.read_text()) | {"chat_template": TEMPLATE}))
    return folder


@pytest.mark.parametrize("turns", [True, False])
def test_chats_are_lm_evals(beside, chatty, turns):
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    folder, _ = beside
    names = ["live_norms", "live_shots"]
    theirs = lm_eval.simple_evaluate(
        model=HFLM(pretrained=str(chatty), dtype="float32", batch_size=1, device="cpu", max_length=2048),
        tasks=names,
        task_manager=TaskManager(include_path=str(folder)),
        limit=4,
        bootstrap_iters=0,
        apply_chat_template=True,
        fewshot_as_multiturn=turns,
        system_instruction="Be brief.",
    )
    backend = open_backend(f"hf:{chatty}", ModelOptions(device="cpu", offline=True))
    draws = Draws(chat=True, turns=turns, system="Be brief.")
    for spec in registry.open_registry([folder]).select([f"lm_eval:{n}" for n in names]):
        found, _ = measured(dataclasses.replace(spec, draws=draws), "", DocRange(0, 4), backend)
        for s in theirs["samples"][spec.name.removeprefix("lm_eval:")]:
            prompt, document, responses, _ = found[s["doc_id"]]
            whole = tuple(f"<s>{c}" if c else c for c in prompt.contexts)  # ours leaves the BOS to the tokenizer
            compare_requests(s, dataclasses.replace(prompt, contexts=whole), document, responses)


def test_a_chat_without_a_template_is_refused(beside):
    folder, _ = beside
    (spec,) = registry.open_registry([folder]).select(["lm_eval:live_norms"])
    with pytest.raises(lm_eval_opening.LmEvalError, match="has no chat template"):
        measured(dataclasses.replace(spec, draws=Draws(chat=True)), "", DocRange(0, 1), backend_of("b"))
