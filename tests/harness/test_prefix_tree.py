"""How PrefixTreeLM chooses its way, what it forwards, and what a score may depend on."""

import copy

import pytest
import torch
import transformers

from assay.harness.backends import prefix_tree
from assay.harness.backends.base import BackendError
from assay.harness.backends.prefix_tree import Work
from tests.harness.families import (
    LONGEST,
    alone,
    answers,
    assert_same,
    build,
    head_rows,
    open_lm,
    requests,
    short,
    watched,
)

ASKED = requests()


class DropsTheMask(transformers.LlamaForCausalLM):
    """As code that knows no mask but its own."""

    def forward(self, *args, attention_mask=None, position_ids=None, past_key_values=None, logits_to_keep=0, **keys):
        keys |= {"position_ids": position_ids, "past_key_values": past_key_values, "logits_to_keep": logits_to_keep}
        return super().forward(*args, **keys)


class CountsItsOwnPositions(transformers.LlamaForCausalLM):
    """As code that takes positions and forgets them."""

    def forward(self, *args, attention_mask=None, position_ids=None, past_key_values=None, logits_to_keep=0, **keys):
        keys |= {"attention_mask": attention_mask, "past_key_values": past_key_values, "logits_to_keep": logits_to_keep}
        return super().forward(*args, **keys)


class ForgetsItsCache(transformers.LlamaForCausalLM):
    """As code that takes a cache of another kind and does not look at this one."""

    def forward(self, *args, attention_mask=None, position_ids=None, past_key_values=None, logits_to_keep=0, **keys):
        if past_key_values is not None and past_key_values.get_seq_length():
            past_key_values, attention_mask = None, attention_mask[..., -args[0].shape[1] :] if args else None
        keys |= {"position_ids": position_ids, "past_key_values": past_key_values, "logits_to_keep": logits_to_keep}
        return super().forward(*args, attention_mask=attention_mask, **keys)


class GivesAllLogits(transformers.LlamaForCausalLM):
    """As code that takes a choice of logits and gives them all."""

    def forward(self, *args, attention_mask=None, position_ids=None, past_key_values=None, logits_to_keep=0, **keys):
        keys |= {"attention_mask": attention_mask, "position_ids": position_ids, "past_key_values": past_key_values}
        return super().forward(*args, **keys)


class HidesItsWindow(transformers.MistralForCausalLM):
    """Its layers have a window that its configuration does not name."""

    def __init__(self, config):
        super().__init__(config)
        told = copy.deepcopy(config)
        told.sliding_window = None
        self.config = told


@pytest.mark.parametrize(
    ("name", "kind", "scoring", "reason"),
    [
        ("llama", DropsTheMask, "branched", "not packed: it differs from a plain forward pass by"),
        ("llama", CountsItsOwnPositions, "branched", "not packed: it differs from a plain forward pass by"),
        ("llama", GivesAllLogits, "branched", "not packed: NoPacks: it gives logits of rows that were not asked for"),
        ("mistral", HidesItsWindow, "branched", "not packed: it differs from a plain forward pass by"),
    ],
)
def test_a_model_that_would_score_packs_wrongly_is_given_none(name, kind, scoring, reason):
    model = build(name, kind)
    lm = open_lm(model)
    assert_same(answers(lm, ASKED), alone(model, ASKED), ASKED)
    assert (lm.scoring, lm.reason[: len(reason)]) == (scoring, reason)


@pytest.mark.parametrize("tokens", [24, 512])
def test_a_model_that_forgets_its_cache_is_given_neither_packs_nor_branches(tokens, monkeypatch):
    monkeypatch.setattr(prefix_tree, "TOKENS_CPU", tokens)
    model = build("llama", ForgetsItsCache)
    lm = open_lm(model)
    assert_same(answers(lm, ASKED), alone(model, ASKED), ASKED)
    assert lm.scoring == "plain"
    assert "not packed" in lm.reason
    assert "not branched" in lm.reason


@pytest.mark.parametrize(
    ("name", "kind", "first", "after"),
    [
        ("mistral", transformers.AutoModelForCausalLM, "packed", "packed"),
        ("gemma3", transformers.AutoModelForCausalLM, "packed", "packed"),
        ("mistral", HidesItsWindow, "packed", "branched"),
        ("gpt-neo", transformers.AutoModelForCausalLM, "branched", "branched"),  # its window counts places in the row
    ],
)
def test_a_window_that_first_binds_later_makes_the_choice_anew(name, kind, first, after):
    model = build(name, kind)
    lm = open_lm(model)
    few = short(ASKED)
    assert_same(answers(lm, few), alone(model, few), few)
    before = lm.work
    assert lm.scoring == first
    assert_same(answers(lm, ASKED), alone(model, ASKED), ASKED)
    assert lm.scoring == after
    assert lm.work.asked == before.asked + sum(len(r[1] + r[2]) - 1 for r in cut(ASKED)), "no work is forgotten"


def cut(asked):
    """As the model takes them."""
    return [(t, c[max(0, len(c) + len(x) - LONGEST - 1) :], x) for t, c, x in asked]


@pytest.mark.parametrize("name", ["llama", "falcon-alibi", "mamba"])
def test_a_token_that_gives_nan_spoils_no_neighbour(name, monkeypatch):
    monkeypatch.setattr(prefix_tree, "TOKENS_CPU", 64)
    model = build(name, tie_word_embeddings=False)
    (bad,) = {t for _, c, x in ASKED[:1] for t in c[-1:]}
    with torch.no_grad():
        model.get_input_embeddings().weight[bad] = torch.nan
    wanted = alone(model, ASKED)
    lm = open_lm(model)
    found = answers(lm, ASKED)
    spoilt = [w != w for w, _ in wanted]
    assert any(spoilt)
    assert not all(spoilt)
    assert [f != f for f, _ in found] == spoilt
    sound = [i for i, s in enumerate(spoilt) if not s]
    assert_same([found[i] for i in sound], [wanted[i] for i in sound], [ASKED[i] for i in sound])


@pytest.mark.parametrize("name", ["llama", "gemma2", "llama-tied"])
def test_no_more_logits_are_made_than_are_needed(name, monkeypatch):
    monkeypatch.setattr(prefix_tree, "LOGITS_MIB_CPU", 1)
    monkeypatch.setattr(prefix_tree, "TOKENS_CPU", 64)
    model = build(name, vocab_size=8192)
    limit = 2**20 // (8192 * 8)
    lm = open_lm(model)
    wanted = alone(model, ASKED)
    answers(lm, ASKED)
    with head_rows(model) as rows:
        assert_same(answers(lm, ASKED), wanted, ASKED)
    needed = {(*c, *x[:j]) for _, c, x in cut(ASKED) for j in range(len(x))}
    assert max(len(x) for _, _, x in ASKED) > limit
    assert max(rows) <= limit
    assert sum(rows) <= len(needed) + sum(r == 1 for r in rows), "and one of passes whose own rows need none"


@pytest.mark.parametrize("name", ["llama", "falcon-alibi", "mamba"])
def test_what_is_counted_is_what_was_forwarded_without_the_self_check(name, monkeypatch):
    monkeypatch.setattr(prefix_tree, "TOKENS_CPU", 64)
    model = build(name)
    lm = open_lm(model)
    assert lm.work == Work()
    answers(lm, ASKED)
    first = lm.work
    with watched(model) as seen:
        answers(lm, ASKED)
    assert first.forwarded == sum(seen)
    assert first.asked == sum(len(c) + len(x) - 1 for _, c, x in cut(ASKED))
    assert lm.work == first + first


@pytest.mark.parametrize("batch_size", [1, 2, 5])
@pytest.mark.parametrize("name", ["llama", "mistral", "falcon-alibi", "mamba"])
def test_no_pass_holds_more_than_a_plain_batch_of_the_same_size(name, batch_size):
    model = build(name)
    lm = open_lm(model, batch_size=batch_size)
    answers(lm, ASKED)
    most = batch_size * max(len(c) + len(x) - 1 for _, c, x in cut(ASKED))
    with watched(model) as seen, head_rows(model) as rows:
        assert_same(answers(lm, ASKED), alone(model, ASKED), ASKED)
    assert max(seen) <= most
    assert max(rows) <= most


def test_a_continuation_longer_than_the_model_takes_is_refused():
    with pytest.raises(BackendError, match=r"41 tokens .* 40"):
        answers(open_lm(build("llama")), [(("", ""), [1, 2], list(range(1, LONGEST + 2)))])


@pytest.fixture
def deterministic():
    """Opens a deterministic PrefixTreeLM."""
    return lambda model, **keys: open_lm(model, deterministic=True, **keys)


@pytest.mark.parametrize("name", ["llama", "gemma3", "falcon-alibi", "mamba"])
def test_deterministic_scores_are_the_same_bits_whatever_else_is_asked(name, deterministic):
    model = build(name)
    lm = deterministic(model)
    together = answers(lm, ASKED)
    assert_same(together, alone(model, ASKED), ASKED)
    assert [a for r in ASKED for a in answers(lm, [r])] == together
    assert answers(lm, ASKED[::-1]) == together[::-1]
    assert answers(deterministic(model, batch_size=3), [*ASKED[7:], *ASKED[7:]]) == together[7:] * 2
    assert lm.scoring in ("branched", "plain")


def test_how_a_deterministic_model_is_asked_and_torchs_own_switch_do_not_follow_the_requests(deterministic):
    class FailsLate(transformers.LlamaForCausalLM):
        """As code whose cache is wrong beyond a length."""

        def forward(self, *args, past_key_values=None, **keys):
            if past_key_values is not None and past_key_values.get_seq_length() > 20:
                keys["position_ids"] = torch.zeros_like(args[0] if args else keys["input_ids"])
            return super().forward(*args, past_key_values=past_key_values, **keys)

    model = build("llama", FailsLate)
    first, second = deterministic(model), deterministic(model)
    few = [r for r in ASKED if len(r[1]) < 12]
    assert answers(first, few) == answers(second, [*ASKED, *few])[len(ASKED) :]
    assert first.scoring == second.scoring
    assert not torch.are_deterministic_algorithms_enabled()


def test_places_far_from_positions_are_tried_as_a_full_pack_has_them():
    neo = {"attention_types": [[["global", "local"], 1]], "window_size": 64, "max_position_embeddings": 1024}
    model = build("gpt-neo", **neo)
    lm = open_lm(model)
    context = ASKED[0][1][:20]
    many = [(("", ""), [*context, i], [i, 7]) for i in range(1, 120)]
    assert_same(answers(lm, many), alone(model, many), many)
    assert lm.scoring == "branched"
    model = build("gpt-neo", **{**neo, "max_position_embeddings": 256})
    assert_same(answers(open_lm(model), ASKED), alone(model, ASKED), ASKED)


@pytest.mark.parametrize("request_", [([], [5, 6]), ([5, 6], [])], ids=["no context", "no continuation"])
def test_a_request_without_context_or_continuation_is_an_error(request_):
    with pytest.raises(BackendError, match="without context or continuation"):
        answers(open_lm(build("llama")), [(("", ""), *request_)])


def test_the_self_check_makes_no_logits_but_those_of_its_probes():
    model = build("llama", max_position_embeddings=512)
    lm = open_lm(model, max_length=512)
    with head_rows(model) as rows:
        answers(lm, [(("", ""), [i % 200 for i in range(300)], [5, 6])])
    assert max(rows) < 100


@pytest.mark.parametrize("name", ["llama", "falcon-alibi", "mamba"])
def test_log_softmax_is_float32_whatever_the_weights_are(name):
    model = build(name).to(torch.bfloat16)
    asked = [r for r in cut(ASKED) if len(r[2]) == 1 or name == "mamba"]
    lm = open_lm(model, batch_size=1)
    found = [a for r in asked for a in answers(lm, [r])]
    for (_, context, continuation), (logprob, _) in zip(asked, found, strict=True):
        with torch.no_grad():
            logits = model(torch.tensor([[*context, *continuation[:-1]]])).logits[0, -len(continuation) :]
        rows = logits.double().log_softmax(-1)
        wanted = rows.gather(-1, torch.tensor(continuation)[:, None]).sum()
        assert logprob == pytest.approx(float(wanted), abs=1e-3)


def test_frequencies_that_depend_on_the_longest_in_a_row_see_no_longer_neighbour(monkeypatch):
    rope = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [9.0] * 4, "factor": 4.0}
    rope |= {"original_max_position_embeddings": 12, "rope_theta": 100.0}
    model = build("llama", rope_parameters=rope, max_position_embeddings=LONGEST)
    wanted = alone(model, ASKED)
    lm = open_lm(model)
    assert_same(answers(lm, ASKED), wanted, ASKED)
    assert lm.scoring == "packed"
    monkeypatch.setattr(lm, "_reach", 1 << 30)
    with pytest.raises(AssertionError):
        assert_same(answers(lm, ASKED), wanted, ASKED)
