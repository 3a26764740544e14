"""Every family of models is scored as lm-eval's HFLM scores it, one request at a time, and the way we say."""

import pytest
import torch

from assay.harness.backends import prefix_tree, radix
from assay.harness.backends.base import BackendError
from tests.harness.families import (
    FAMILIES,
    LONGEST,
    WINDOWED,
    alone,
    answers,
    assert_same,
    build,
    open_lm,
    requests,
    watched,
)

ASKED = requests()


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    """Its name, a model of it, and HFLM's answers."""
    model = build(request.param)
    return request.param, model, alone(model, ASKED)


def test_its_scores_are_hflms_and_it_is_asked_the_way_we_say(family):
    name, model, wanted = family
    lm = open_lm(model)
    assert_same(answers(lm, ASKED), wanted, ASKED)
    assert lm.scoring == FAMILIES[name].scoring
    assert (lm.reason == "") == (lm.scoring == "packed")
    assert FAMILIES[name].reason in lm.reason


def test_its_scores_are_the_same_from_packs_so_small_that_prefixes_are_cached_and_copied(family, monkeypatch):
    name, model, wanted = family
    monkeypatch.setattr(prefix_tree, "TOKENS_CPU", 24)
    monkeypatch.setattr(radix, "COPIED", 12)
    lm = open_lm(model)
    assert_same(answers(lm, ASKED), wanted, ASKED)
    assert lm.scoring == FAMILIES[name].scoring


@pytest.mark.parametrize("family", [n for n, f in FAMILIES.items() if f.scoring != "branched"], indirect=True)
def test_running_out_of_memory_loses_nothing_and_halves_what_follows(family):
    name, model, wanted = family
    most, fits = {"packed": (prefix_tree.TOKENS_CPU, 24), "plain": (len(ASKED) * LONGEST, 5 * LONGEST)}[
        FAMILIES[name].scoring
    ]
    lm = open_lm(model)
    answers(lm, ASKED)  # the self-check among it
    with watched(model, fits) as seen:
        assert_same(answers(lm, ASKED), wanted, ASKED)
    failed = [i for i, tokens in enumerate(seen) if tokens > fits]
    assert failed
    for halved, i in enumerate(failed, 1):
        assert all(tokens <= most / 2**halved for tokens in seen[i + 1 :])
    with watched(model, fits) as seen:
        assert_same(answers(lm, ASKED), wanted, ASKED)
    assert max(seen) <= fits, "what fits is remembered"


@pytest.mark.parametrize("name", ["llama", "mistral"])
def test_the_self_check_does_without_what_fits_no_plain_pass(name):
    model = build(name)
    lm, wanted = open_lm(model), alone(model, ASKED)
    with watched(model, 32):
        assert_same(answers(lm, ASKED), wanted, ASKED)
    assert lm.scoring == "packed"


@pytest.mark.parametrize("name", ["llama", "falcon-alibi", "mamba"])
def test_what_does_not_fit_the_memory_even_alone_is_an_error_that_says_so(name):
    model = build(name)
    with (
        watched(model, 8),
        pytest.raises(BackendError, match=r"does not fit the device's memory; use a smaller --dtype"),
    ):
        answers(open_lm(model), ASKED)


@pytest.mark.parametrize("name", FAMILIES)
def test_what_a_token_sees_matters_in_these_models(name):
    model = build(name)
    (first, context, continuation) = ASKED[0]
    changed = [
        (first, [context[0] + 1, *context[1:]], continuation),
        (first, context[:-4] + context[-1:], continuation),
    ]
    (wanted, _), *others = alone(model, [ASKED[0], *changed])
    assert all(abs(found - wanted) > 1e-2 for found, _ in others)


@pytest.mark.parametrize("name", WINDOWED)
def test_the_windows_bind(name):
    wide = build(name, sliding_window=1000)
    wanted, found = alone(build(name), ASKED), alone(wide, ASKED)
    assert all(torch.equal(a, b) for a, b in zip(build(name).parameters(), wide.parameters(), strict=True))
    assert max(abs(f[0] - w[0]) for f, w in zip(found, wanted, strict=True)) > 0.1


@pytest.mark.parametrize("name", ["llama", "gpt2", "falcon-alibi", "mamba"])
def test_a_text_without_a_context_follows_the_prefix_token(name):
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    def asked():
        texts = [("", "w5 w6 w7"), ("", "w5"), ("w5", " w6 w7"), ("w1 w2", " w3")]
        return [Instance(request_type="loglikelihood", doc={}, arguments=t, idx=0) for t in texts]

    model = build(name)
    wanted = open_lm(model, HFLM, batch_size=1).loglikelihood(asked(), disable_tqdm=True)
    found = open_lm(model).loglikelihood(asked(), disable_tqdm=True)
    assert [f[0] for f in found] == pytest.approx([w[0] for w in wanted], abs=1e-4)
