"""llm-foundry's metrics at their edges."""

import dataclasses
import math

import pytest

from assay.tasks import scorers
from assay.tasks.types import Answer, Generation, Likelihood, Sample


def options(*pairs):
    return [Likelihood(logprob=lp, tokens=n, nbytes=1, greedy=False) for lp, n in pairs]


def test_the_mean_per_token_decides_not_the_sum():
    assert scorers.lowest_perplexity(options((-3.0, 1), (-4.0, 2)), 1).value == 1.0


def test_ties_go_to_the_first_option():
    assert scorers.lowest_perplexity(options((-2.0, 2), (-1.0, 1)), 0).extracted == 0


def test_perplexities_that_overflow_float32_tie():
    score = scorers.lowest_perplexity(options((-90.0, 1), (-89.0, 1)), 1)
    assert score.extracted == 0
    assert score.tied


def test_an_empty_continuation_is_a_bug_not_a_score():
    with pytest.raises(ValueError, match="empty continuation"):
        scorers.mean_nats(Likelihood(logprob=0.0, tokens=0, nbytes=0, greedy=True))


def test_a_nan_is_an_infra_error_never_a_score(registry):
    spec = registry.tasks["demo_animals"]
    sample = Sample(task=spec.name, doc_id="0", fields={}, target=0)
    answer = Answer(doc_id="0", request_sha256="", responses=tuple(options((math.nan, 1), (-1.0, 1))))
    score = scorers.score(spec, sample, answer)
    assert (score.value, score.status) == (None, "infra_error")
    assert "not a number" in score.note


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("The Eiffel_Tower!", "eiffel tower"),
        ("  a  man, an ox  ", "man ox"),
        ("it’s ‘so’ ´` ok", "it s so ok"),
        ("-5", "5"),
        ("1.5", "1 5"),
        ("(a", ""),
        ("theatre anna", "theatre anna"),
    ],
)
def test_normalisation(text, clean):
    assert scorers.normalise(text) == clean


def judged(registry, text, labels, stopped=True, **keys):
    spec = dataclasses.replace(registry.tasks["gsm8k_cot"], **keys)
    return scorers.prefix_match(spec, Generation(text=text, stopped=stopped, tokens=1), labels)


def test_a_label_is_matched_as_a_prefix_as_upstream_does(registry):
    assert judged(registry, "so #### 12", ["1"]).value == 1.0


def test_a_label_that_cleans_to_nothing_accepts_anything(registry):
    assert judged(registry, "nonsense", ["(a"]).value == 1.0


def test_text_after_the_last_delimiter_counts(registry):
    assert judged(registry, "3 #### 4 #### 5", ["5"]).extracted == "5"
    assert judged(registry, "no delimiter", ["no delimiter"]).value == 1.0


def test_stop_strings_cut_and_are_regular_expressions(registry):
    assert judged(registry, "7Q: what", ["7"]).extracted == "7"
    assert judged(registry, "7xxQ", ["7"], stop=("x+Q",)).extracted == "7"


def test_why_a_generation_is_wrong_is_recorded(registry):
    assert judged(registry, " ... ", ["5"]).status == "no_answer"
    assert judged(registry, "on and on", ["5"], stopped=False).status == "truncated"
    assert judged(registry, "6", ["5"]).status == "ok"
