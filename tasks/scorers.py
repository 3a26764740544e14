"""Responses to scores: pure functions with the semantics of llm-foundry 0.9.0's metrics."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Sequence

import numpy as np

from assay.tasks.spec import TaskSpec
from assay.tasks.types import Answer, Generation, Likelihood, Response, Sample, Score

PUNCTUATION = string.punctuation + "‘’´`"
NAN = "the model's logits are not a number: its weights or dtype are broken"


def score(spec: TaskSpec, sample: Sample, answer: Answer) -> Score:
    """What one answered document is worth under its task's kind."""
    if answer.fault:
        return Score(value=None, extracted=None, status="infra_error", note=answer.fault)
    if any(map(broken, answer.responses)):
        return Score(value=None, extracted=None, status="infra_error", note=NAN)
    if spec.lm_eval:
        from assay.tasks import lm_eval_scoring

        return lm_eval_scoring.score(spec, sample, answer)
    likelihoods = [r for r in answer.responses if isinstance(r, Likelihood)]
    if isinstance(sample.target, tuple):
        generation = next(r for r in answer.responses if isinstance(r, Generation))
        return prefix_match(spec, generation, sample.target)
    if isinstance(sample.target, str):
        greedy = likelihoods[0].greedy
        return Score(value=float(greedy), extracted=int(greedy))
    return lowest_perplexity(likelihoods, sample.target)


def broken(response: Response) -> bool:
    """The model's logits were not numbers: an answer that can't be scored, and is asked again on resume."""
    return math.isnan(response.logprob) if isinstance(response, Likelihood) else response.broken


def mean_nats(answer: Likelihood) -> float:
    """Average cross-entropy per continuation token, nats, >= 0.

    Raises:
        ValueError: the continuation has no tokens: a rendering bug, not a bad answer.
    """
    if answer.tokens < 1:
        raise ValueError("empty continuation after tokenisation: check the delimiters of this task")
    return -answer.logprob / answer.tokens


def lowest_perplexity(options: Sequence[Likelihood], gold: int) -> Score:
    """Choose the option of lowest per-token perplexity; the first of equals (InContextLearningMultipleChoiceAccuracy).

    Perplexity is float32 as upstream computes it, so it overflows to inf above 88.7 nats a token, and such
    options tie too.
    """
    with np.errstate(over="ignore"):
        perplexity = [float(np.exp(np.float32(mean_nats(o)))) for o in options]
    predicted = perplexity.index(min(perplexity))
    tied = len(options) > 1 and max(perplexity) == min(perplexity)
    return Score(value=float(predicted == gold), extracted=predicted, tied=tied)


def prefix_match(spec: TaskSpec, generation: Generation, labels: Sequence[str]) -> Score:
    """Right when the cleaned text starts with any cleaned label (InContextLearningGenerationExactMatchAccuracy).

    So label "1" accepts "12", and a label that cleans to nothing accepts anything (PARITY D 4, D 5); kept as
    upstream has it.
    """
    cleaned = clean_output(spec, generation.text)
    correct = any(cleaned.startswith(normalise(label)) for label in labels)
    if correct:
        return Score(value=1.0, extracted=cleaned)
    if not cleaned:
        return Score(value=0.0, extracted=None, status="no_answer", note="empty after cleaning")
    if not generation.stopped and spec.stop:
        return Score(value=0.0, extracted=cleaned, status="truncated", note="ran into max_tokens")
    return Score(value=0.0, extracted=cleaned)


def clean_output(spec: TaskSpec, text: str) -> str:
    """Cut at the first stop string (used as a regular expression, unescaped), keep what follows the last delimiter."""
    if spec.stop:
        text = re.split("|".join(spec.stop), text)[0]
    if spec.cot_delimiter:
        text = text.split(spec.cot_delimiter)[-1]
    return normalise(text)


def normalise(text: str) -> str:
    """Lower case; "_" and punctuation to blanks; articles away; blanks collapsed (SQuAD's rules, blanks for marks)."""
    text = text.replace("_", " ").lower()
    text = "".join(" " if c in PUNCTUATION else c for c in text)
    text = re.sub(r"\b(a|an|the)\b", " ", text)
    return " ".join(text.split())
