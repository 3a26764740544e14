"""The published results, and how a subset of tasks is chosen by what it predicts; benchmarks/quick.py shows them.

A predictor is a line through two numbers: the mean centred score (baselines v2) of a subset's tasks that are answered
in words, and that of its tasks answered with a letter, which models learn later and all at once. Tasks are chosen by
its error on families of models that it was not fitted to.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from assay.tasks import aggregate
from assay.tasks.registry import Registry

Array: TypeAlias = np.ndarray

TARGETS = {"CORE": "Core_v2", "EXTENDED": "Extended_v2", "MMLU": "mmlu_fewshot"}
"""What is predicted, and its key in a result file; MMLU is the plain accuracy with 5 shots."""
OWNERS = {"huggyllama": "meta-llama"}
"""Whose a model is, where the Hub name is a copier's."""
CAP, MOST, FEWEST_ROWS, GAIN = 10.0, 8, 1000, 0.02
"""Of the choice: million tokens and tasks at most; rows that a task needs, so that its standard error is 1.6 points at
most; the share of the error that a further step must save."""
TOKENS = """
agi_eval_lsat_ar* 0.21  agi_eval_lsat_lr* 0.47  agi_eval_lsat_rc* 0.55  agi_eval_sat_en* 0.42  agi_eval_sat_math_cot
0.37  aqua_cot 0.22  arc_challenge 2.12  arc_easy 3.63  bbq 32.17  bigbench_conceptual_combinations 0.43
bigbench_conlang_translation 0.05  bigbench_cs_algorithms 0.58  bigbench_dyck_languages 0.55
bigbench_language_identification* 16.02  bigbench_logical_deduction 8.30  bigbench_misconceptions* 0.11
bigbench_novel_concepts 0.11  bigbench_operators 0.09  bigbench_qa_wikidata 3.26  bigbench_repeat_copy_logic 0.02
bigbench_strange_stories 0.39  bigbench_strategy_qa 1.14  bigbench_understanding_fables* 0.39  boolq 6.15
commonsense_qa* 0.56  copa 0.00  enterprise_pii_classification 5.84  gpqa_diamond 0.79  gpqa_main 1.66  gsm8k_cot 1.51
hellaswag 41.39  hellaswag_zeroshot 3.70  jeopardy 0.84  lambada_openai 0.48  logi_qa* 1.33  math_qa* 2.61
mmlu_fewshot* 10.29  mmlu_zeroshot* 1.68  openbook_qa 0.03  piqa 1.65  pubmed_qa_labeled 2.05
simple_arithmetic_nospaces 0.19  simple_arithmetic_withspaces 0.22  siqa* 1.10  squad 21.64  svamp_cot 0.10
triviaqa_sm_sub 0.49  winogender_mc_female 0.05  winogender_mc_male 0.05  winograd 0.01  winogrande 0.07
"""
"""Million tokens in forward passes that a task costs; `*`: every option is a single letter. From `quick_cost.py` with
the tokenizer of parity/checkpoints/b, whose 8,192 tokens make texts longer than usual: take them relative to each
other. Tasks without data there are not listed."""
COST = {name.rstrip("*"): float(cost) for name, cost in re.findall(r"(\S+)\s+(\d\S+)", TOKENS)}
LETTERS = frozenset(re.findall(r"(\S+)\*", TOKENS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """The published results.

    Attributes:
        models: shortened file names, [n].
        families: [n].
        scores: centred by baselines v2, a task's in [n]; NaN where a file has none.
        targets: in the order of TARGETS, [n, 3]; NaN where a composite is N/A.
    """

    models: tuple[str, ...]
    families: Array
    scores: dict[str, Array]
    targets: Array


def family(model: str) -> str:
    """Who trained it, by a result file's `model`; DCLM's own runs by size, since they share code, recipe and texts."""
    owner, named, _ = model.partition("/")
    if named:
        return OWNERS.get(owner, owner)
    size = re.search(r"open_lm_(\d+b)", model)
    return f"DCLM {size[1]}" if size else {"d=1024_l=24_h=8": "DCLM 400m"}[model]


def read(reference: Path, registry: Registry) -> Results:
    """Every file of exp_data/evals, in the order of names."""
    paths = sorted((reference / "dclm/exp_data/evals").glob("*.json"))
    files = [json.loads(path.read_text()) for path in paths]
    metrics = [file["eval_metrics"]["icl"] for file in files]
    scores = {}
    for name in registry.suites["dclm-extended"].tasks:
        baseline = aggregate.baseline_of(registry.tasks[name].baseline, "v2")
        scores[name] = np.array([aggregate.centre(m.get(name, np.nan), baseline) for m in metrics])
    targets = [[f.get(key, m.get(key)) for key in TARGETS.values()] for f, m in zip(files, metrics)]
    return Results(
        models=tuple(re.sub(r"^evaluation_|-warm=.*|_heavy|\.json$", "", path.name) for path in paths),
        families=np.array([family(file["model"]) for file in files]),
        scores=scores,
        targets=np.array([[np.nan if isinstance(v, str) else v for v in row] for row in targets]),
    )


def columns(results: Results, tasks: Sequence[str]) -> Array:
    """Scores of tasks, [n, tasks]."""
    return np.column_stack([results.scores[t] for t in tasks])


def one_mean(results: Results, tasks: Sequence[str]) -> Array:
    """The mean centred score, [n, 1]."""
    return columns(results, tasks).mean(1, keepdims=True)


def two_means(results: Results, tasks: Sequence[str]) -> Array:
    """That of tasks answered in words, and that of tasks answered with a letter, where there are any: [n, 1 or 2]."""
    halves = [[t for t in tasks if t not in LETTERS], [t for t in tasks if t in LETTERS]]
    return np.column_stack([columns(results, half).mean(1) for half in halves if half])


def with_constant(features: Array) -> Array:
    """A column of ones before the features."""
    return np.column_stack([np.ones(len(features)), features])


def held_out(results: Results, features: Array, groups: Array) -> Array:
    """Targets of each group from least-squares lines through all others, [n, 3]; group "" is left out, NaN."""
    names, group = np.unique(groups, return_inverse=True)
    x, found = with_constant(features), []
    for y in results.targets.T:
        of = ~np.isnan(y) & (groups != "")
        squares, products = np.zeros((2, len(names), x.shape[1], x.shape[1]))
        np.add.at(squares, group[of], x[of, :, None] * x[of, None, :])
        np.add.at(products, group[of], x[of, :, None] * y[of, None, None])
        lines = np.linalg.solve(squares.sum(0) - squares, products.sum(0) - products)[:, :, 0]
        found.append(np.where(groups == "", np.nan, (x * lines[group]).sum(1)))
    return np.column_stack(found)


def loss(results: Results, tasks: Sequence[str], groups: Array) -> float:
    """Mean absolute error held out, over models, then groups, then targets, in standard deviations of each target."""
    errors = np.abs(held_out(results, two_means(results, tasks), groups) - results.targets)
    each = [np.nanmean(errors[groups == group], 0) for group in sorted(set(groups) - {""})]
    return float(np.mean(np.mean(each, 0) / np.nanstd(results.targets[groups != ""], 0)))


def candidates(registry: Registry) -> list[str]:
    """Tasks that may be chosen: asked for log-probabilities only, with data, of enough rows, cheap, and no target."""
    tasks = [registry.tasks[name] for name in registry.suites["dclm-extended"].tasks if name in COST]
    return [
        t.name
        for t in tasks
        if t.kind != "generation" and t.rows >= FEWEST_ROWS and COST[t.name] <= CAP and t.name not in TARGETS.values()
    ]


def cost(tasks: Sequence[str]) -> float:
    """Million tokens; of a suite with a task that was not measured, without it."""
    return sum(COST.get(t, 0.0) for t in tasks)


def choose(results: Results, pool: Sequence[str], groups: Array) -> list[str]:
    """Step by step, a task added or exchanged for another, always the best step there is, while it helps enough.

    Args:
        results: all of them.
        pool: tasks to choose from.
        groups: of each model; those of group "" are not looked at.
    """
    chosen: list[str] = []
    least = np.inf
    while True:
        others = [t for t in pool if t not in chosen]
        steps = [[*chosen, new] for new in others if len(chosen) < MOST]
        steps += [[new if t == old else t for t in chosen] for old in chosen for new in others]
        best, step = min((loss(results, tasks, groups), tasks) for tasks in steps if cost(tasks) <= CAP)
        if best >= least * (1 - GAIN):
            return chosen
        least, chosen = best, step


def nested(results: Results, pool: Sequence[str]) -> tuple[Array, Counter[str]]:
    """Predictions when choice and line are both made without the family, [n, 3]; in how many choices each task is."""
    found, times = np.full(results.targets.shape, np.nan), Counter[str]()
    for group in sorted(set(results.families)):
        asked = results.families == group
        chosen = choose(results, pool, np.where(asked, "", results.families))
        times.update(chosen)
        found[asked] = held_out(results, two_means(results, chosen), results.families)[asked]
    return found, times
