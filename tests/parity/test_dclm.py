"""Fidelity: what llm-foundry 0.9.0 and composer 0.23.5 computed on small real checkpoints, reproduced.

Every file of reference/parity/dclm, by the tolerances of that folder's README: token ids, counts, labels and verdicts
exact; summed log-probabilities within 1e-3 nats; predictions exact unless the two best differ by less than 1e-5 nats a
token; greedy flags and texts exact unless two logits came within 1e-3 of each other on the way.
"""

import gzip
import json
import os
from functools import lru_cache
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest

from assay.harness import fingerprint, runner
from assay.harness.backends.base import ModelOptions, open_backend
from assay.tasks import datasets, render, scorers
from assay.tasks.aggregate import by_group, task_mean
from assay.tasks.selection import DocRange
from assay.tasks.types import Answer

REFERENCE = Path(os.environ.get("ASSAY_REFERENCE") or "/nonexistent") / "parity"
FILES = sorted((REFERENCE / "dclm").glob("*/*.jsonl.gz"))
NATS, TIE, GAP = 1e-3, 1e-5, 1e-3
CASES = [pytest.param(p, id=f"{p.parent.name}/{p.name.split('.')[0]}") for p in FILES]
ABSENT = pytest.param(None, marks=pytest.mark.skip(reason="ASSAY_REFERENCE names no folder: no golden files"))


@lru_cache(maxsize=1)
def backend_of(checkpoint):
    folder = REFERENCE / "checkpoints" / checkpoint.replace("series-a-", "series-a/")
    return open_backend(f"hf:{folder}", ModelOptions(device="cpu", offline=True))


def golden(path):
    with gzip.open(path, "rt", encoding="utf-8") as f:
        lines = [json.loads(line) for line in f]
    return lines[0]["header"], {(d.get("category", ""), d["row"]): d for d in lines[1:]}


def measured(spec, backend, docs, wanted):
    """(group, row) -> document, responses and score of the wanted rows."""
    found = {}
    for part in datasets.parts(spec, datasets.load(spec).rows):
        limit = render.max_new_tokens(spec, part, backend.tokenizer)
        rows = range(docs)
        prompts = [
            p
            for p, row in zip(render.prompts(spec, part, DocRange(0, docs)), rows, strict=False)
            if (part.group, row) in wanted
        ]
        documents = list(render.tokenise(spec, prompts, backend.tokenizer, limit))
        for d, r in zip(documents, runner.ask(spec, backend, documents), strict=True):
            score = scorers.score(spec, d.sample, Answer(doc_id=d.sample.doc_id, responses=r, request_sha256=""))
            found[part.group, int(d.sample.doc_id.rpartition("/")[2])] = (d, r, score)
    return found


@pytest.mark.parametrize("path", CASES or [ABSENT])
def test_every_golden_file_is_reproduced(path, registry, mirror, request):
    header, docs = golden(path)
    spec = registry.tasks[header["task"]]
    ours = measured(spec, backend_of(header["checkpoint"]), header["prepared_rows_per_file"], docs)
    assert ours.keys() == docs.keys()
    compare = check_generation if spec.kind == "generation" else check_options
    worst = max(difference(ours[key][1], doc) for key, doc in docs.items())
    request.node.user_properties.append(("worst_nats", worst))
    near = sum(compare(spec, *ours[key], doc) for key, doc in docs.items())
    groups = by_group((group, score.value) for (group, _), (_, _, score) in ours.items())
    in_float32 = {g: [float(np.float32(fmean(v)))] for g, v in groups.items()}  # as the original metric divides
    slack = near / min(map(len, groups.values()))
    assert task_mean(in_float32) == pytest.approx(header["value"], abs=slack + 1e-12)


def difference(responses, doc):
    """Largest distance of a summed log-probability from the original's, nats; 0 for generations."""
    pairs = zip(responses, doc.get("options", [doc]), strict=True)
    return max(abs(r.logprob - o["logprob_sum"]) if "logprob_sum" in o else 0.0 for r, o in pairs)


def check_options(spec, document, responses, score, doc):
    """Returns whether the document's verdict may differ for reasons of arithmetic alone."""
    options = doc.get("options", [doc])
    assert len(options) == len(responses)
    for request, response, option in zip(document.requests, responses, options, strict=True):
        context = {**doc, **option}
        assert fingerprint.ids_sha256(request.context_ids) == context["context_sha256"]
        assert len(request.context_ids) == context["context_tokens"]
        assert fingerprint.ids_sha256(request.continuation_ids) == option["continuation_sha256"]
        if "context_ids" in context:
            assert list(request.context_ids) == context["context_ids"]
        assert response.tokens == option["n_tokens"]
        assert response.logprob == pytest.approx(option["logprob_sum"], abs=NATS)
        if option.get("min_top2_gap", 1.0) > GAP:
            assert response.greedy == option["greedy_match"]
    if spec.kind == "language_modeling":
        near = doc["min_top2_gap"] <= GAP
        assert near or score.value == doc["correct"]
        return near
    best, second = sorted(o["ce_mean"] for o in options)[:2]
    near = second - best < TIE
    assert document.sample.target == doc["gold"]
    assert near or (score.extracted, score.value) == (doc["predicted"], doc["correct"])
    return near and score.value != doc["correct"]


def check_generation(spec, document, responses, score, doc):
    """Text is compared as the metric sees it: upstream's runs on past its stop, depending on the neighbour row."""
    (request,), (response,) = document.requests, responses
    assert fingerprint.ids_sha256(request.prompt_ids) == doc["context_sha256"]
    assert len(request.prompt_ids) == doc["context_tokens"]
    assert request.max_tokens == doc["max_new_tokens"]
    assert set(document.sample.target) == set(doc["labels"])
    assert {scorers.normalise(x) for x in document.sample.target} == set(doc["cleaned_labels"])
    near = doc.get("min_top2_gap", 1.0) <= GAP
    if not near:
        assert scorers.clean_output(spec, response.text) == doc["cleaned_output"]
        assert doc["generated_text"].startswith(response.text)
        assert score.value == doc["correct"]
    return near


def test_every_task_with_a_golden_file_is_compared():
    if not FILES:
        pytest.skip("ASSAY_REFERENCE names no folder: this test needs it")
    tasks = {p.name.split(".")[0] for p in FILES}
    checkpoints = {p.parent.name for p in FILES}
    assert len(tasks) == 49
    assert checkpoints == {"b", "g", *(f"series-a-step-{n:06d}" for n in (0, 100, 400, 1602))}
    assert len(FILES) == 5 * 49 + 5
