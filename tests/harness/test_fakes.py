"""Every registered task under the fakes: perfect, corrupted, guessing, and constant, which must be caught."""

import math

import pytest

from assay.harness import fingerprint, marking, runner
from assay.harness.backends.base import BackendError, ModelOptions, open_backend
from assay.tasks import datasets, render, scorers
from assay.tasks import registry as registries
from assay.tasks.aggregate import by_group, task_mean
from assay.tasks.selection import DocRange
from tests.conftest import choice_rows

TASKS = [t for t, s in registries.open_registry().tasks.items() if s.kind != "code"]
"""Code is run in a sandbox: test_code_runs.py has its tasks."""
MOST = 600
"""Rows of each file (of each category: 60): enough for 4 standard errors to mean something."""


def made_rows(spec):
    """Rows of the schema of the two files that no mirror holds."""
    if spec.kind == "language_modeling":
        return [{"context": f"Passage {i}.\nQ: {i}?\nA:", "continuation": f"word {i}"} for i in range(300)]
    return choice_rows(300, options=5)


def rows_of(spec):
    try:
        return datasets.load(spec).rows
    except datasets.NoData:
        if spec.name in ("coqa", "bigbench_elementary_math_qa"):
            return made_rows(spec)
        pytest.skip(f"no data for {spec.name}: set ASSAY_DATA")


@pytest.fixture
def run_with(registry):
    def run(name, model):
        spec = registry.tasks[name]
        backend = open_backend(model, ModelOptions())
        docs = DocRange(0, 60 if spec.categories else MOST)
        scored = []
        for part in datasets.parts(spec, rows_of(spec)):
            prompts = list(render.prompts(spec, part, docs))
            limit = render.max_new_tokens(spec, part, backend.tokenizer)
            found = list(render.tokenise(spec, prompts, backend.tokenizer, limit))
            backend.study(spec, [d.sample for d in found])
            scored += [
                (d.sample, a, scorers.score(spec, d.sample, a))
                for d, r in zip(found, runner.ask(spec, backend, found), strict=True)
                for a in [runner.Answer(doc_id=d.sample.doc_id, responses=r, request_sha256="", fault=d.fault)]
            ]
        return marking.summarise(spec, scored, sorted({s.group for s, _, _ in scored})), scored

    return run


PHRASED = ("gsm8k_cot_8shot", "math_cot")
"""lm-eval's filters look for a phrase around the answer, which its targets lack; the oracle knows targets only."""
KNOWN = [t for t in TASKS if t not in PHRASED]


@pytest.mark.parametrize("task", KNOWN)
def test_perfect_answers_score_exactly_one(task, run_with):
    result, _ = run_with(task, "oracle")
    assert result.value == 1.0
    assert result.centred_v1 == result.centred_v2 == 1.0


@pytest.mark.parametrize("task", KNOWN)
def test_half_corrupted_answers_score_less(task, run_with):
    result, _ = run_with(task, "corrupted:0.5")
    assert 0 < result.value < 1
    assert abs(result.value - 0.5) <= 4 * 0.5 / math.sqrt(result.n)


@pytest.mark.parametrize("task", TASKS)
def test_guessing_is_chance_within_four_standard_errors(task, run_with):
    """Chance of a document: 1/options; nothing for the other kinds, but for labels that accept anything (D 5)."""
    result, scored = run_with(task, "random:3")
    chances = [(s.group, chance(s)) for s, _, _ in scored]
    wanted = task_mean(by_group(chances))
    groups = by_group(chances)
    variance = sum(sum(c * (1 - c) for c in v) / len(v) ** 2 for v in groups.values()) / len(groups) ** 2
    assert abs(result.value - wanted) <= 4 * math.sqrt(variance) + 1e-12


def chance(sample):
    if isinstance(sample.target, int):
        return 1 / len(sample.fields.get("choices") or sample.fields["context_options"])
    if isinstance(sample.target, tuple):
        return float(any(not scorers.normalise(label) for label in sample.target))
    return 0.0


@pytest.mark.parametrize(
    "task", [t for t, s in registries.open_registry().tasks.items() if s.kind in ("multiple_choice", "schema")]
)
def test_a_constant_scorer_is_caught_by_name(task, run_with):
    """On novel_concepts and strange_stories, whose answer is always the first, it would score 1.0 (PARITY D 6)."""
    result, scored = run_with(task, "constant")
    assert result.status == "constant_scorer"
    assert result.value is None
    assert "constant scorer" in result.message
    if task in ("bigbench_novel_concepts", "bigbench_strange_stories"):
        assert all(score.value == 1.0 for _, _, score in scored)


def test_the_same_seed_guesses_the_same_and_another_does_not(run_with):
    once, again, other = (run_with("demo_trades", f"random:{s}")[0].value for s in (1, 1, 2))
    assert once == again
    assert once != other


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        ("orcale", "did you mean 'oracle'"),
        ("corrupted:2", "a number from 0 to 1"),
        ("corrupted", "a number from 0 to 1"),
        ("replay:/no/such/file", "cannot read the file"),
        ("/some/folder", "a local folder is hf:FOLDER"),
        ("hf:", "needs a folder or a Hub name"),
        ("oracle:3", "takes nothing after it"),
        ("constant:7", "takes nothing after it"),
        ("random:x", "must be a whole number"),
    ],
)
def test_a_wrong_model_reference_says_what_would_be_right(ref, said):
    with pytest.raises(BackendError, match=said):
        open_backend(ref, ModelOptions())


def test_requests_hash_alike_only_when_they_are_alike(registry):
    spec = registry.tasks["demo_animals"]
    (part,) = datasets.parts(spec, datasets.load(spec).rows)
    tokenizer = open_backend("oracle", ModelOptions()).tokenizer
    found = list(render.tokenise(spec, list(render.prompts(spec, part, DocRange())), tokenizer, 0))
    assert len({fingerprint.request(d) for d in found}) == len(found)
