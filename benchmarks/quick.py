"""What the suite `quick` tells of CORE, EXTENDED and MMLU, and why it has its tasks: every figure of docs/quick.md.

    python benchmarks/quick.py [--into docs/quick.md]

Needs DCLM's published results in $ASSAY_REFERENCE. How it predicts and chooses: quick_choice.py. Prints Markdown, or
puts it between the page's two MARKs.
"""

from __future__ import annotations

import argparse
import itertools
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pages
import quick_choice
from quick_choice import COST, LETTERS, TARGETS, Array, Results, columns, cost, held_out, loss, one_mean, two_means
from scipy import stats

from assay.tasks.aggregate import baseline_of
from assay.tasks.registry import Registry, open_registry

Features: TypeAlias = Callable[[Results, Sequence[str]], Array]

SUITE, MARK = "quick", "<!-- quick -->"
DRAWS = 1000
ALONE = ("hellaswag_zeroshot", "hellaswag", "mmlu_zeroshot", "mmlu_fewshot")
SUITES = ("dclm-light", "dclm-medium", "dclm-core")
STEPS = (0.0, 0.01, 0.02, 0.03, 0.5)
ALL_ROWS, LIMITS = 10**9, (1000, 300)
ODD = (
    ("triviaqa_sm_sub", 0.0015, "jeopardy", 0.0),
    ("svamp_cot", 0.06, "gsm8k_cot", 0.4),
    ("gsm8k_cot", 0.03, "svamp_cot", 0.5),
)
"""Scores so low, beside another so high, that the answers can't have been read; all of baseline 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How predictions of one target compare with what was published; errors are absolute."""

    n: int
    spearman: float
    kendall: float
    mean_error: float
    error_90: float
    max_error: float


def figures(predicted: Array, target: Array) -> Figures:
    """Of the models that have a target."""
    of = ~np.isnan(target)
    errors = np.abs(predicted - target)[of]
    return Figures(
        n=len(errors),
        spearman=float(stats.spearmanr(predicted[of], target[of])[0]),
        kendall=float(stats.kendalltau(predicted[of], target[of])[0]),
        mean_error=float(errors.mean()),
        error_90=float(np.quantile(errors, 0.9)),
        max_error=float(errors.max()),
    )


def random_tasks(pool: Sequence[str], like: Sequence[str], seed: int) -> list[str]:
    """As many tasks as `like`, or fewer, drawn at random, that together cost no more than it."""
    drawn: list[str] = []
    for name in np.random.default_rng(seed).permutation(pool):
        if len(drawn) < len(like) and cost([*drawn, name]) <= cost(like):
            drawn.append(str(name))
    return drawn


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown."""
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *rows])


def accuracy(results: Results, suites: dict[str, Sequence[str]], again: Array) -> str:
    """Every figure: the line, line and choice, all of an owner held out; and of what `quick` has no part in."""
    quick, families = suites[SUITE], results.families
    features = two_means(results, quick)
    owners = np.array([f.partition(" ")[0] for f in families])
    ways = [
        ("line", "family", held_out(results, features, families)),
        ("line and choice", "family", again),
        ("line", "owner", held_out(results, features, owners)),
    ]
    found = [(t, *way, p[:, j], results.targets[:, j]) for j, t in enumerate(TARGETS) for *way, p in ways]
    for target, name in (("CORE", "dclm-core"), ("EXTENDED", "dclm-extended")):
        others = [t for t in suites[name] if t not in quick]
        rest = replace(results, targets=one_mean(results, others))
        label = f"{target}'s {len(others)} others"
        found.append((label, "line", "family", held_out(rest, features, families)[:, 0], rest.targets[:, 0]))
    rows = []
    for *labels, predicted, target in found:
        f = figures(predicted, target)
        errors = [f"{e:.4f}" for e in (f.mean_error, f.error_90, f.max_error)]
        rows.append([*labels, str(f.n), f"{f.spearman:.3f}", f"{f.kendall:.3f}", *errors])
    head = "target, made without, the model's, models, Spearman, Kendall, mean error, 90 % below, largest"
    return table(head.split(", "), rows)


def pairs(results: Results, predicted: Array, among: Array) -> Array:
    """Spearman and mean error of each target, [3, 2]."""
    found = [figures(p[among], y[among]) for p, y in zip(predicted.T, results.targets.T)]
    return np.array([[f.spearman, f.mean_error] for f in found])


def cells(found: Array) -> list[str]:
    """Of `pairs`."""
    return [f"{spearman:.3f}, {error:.4f}" for spearman, error in found]


def rivals(results: Results, suites: dict[str, Sequence[str]], pool: Sequence[str]) -> str:
    """`quick` beside other predictors and other subsets."""
    quick, core, everyone = suites[SUITE], cost(suites["dclm-core"]), np.ones(len(results.models), bool)
    ways: list[tuple[str, Sequence[str], Features]] = [
        (f"**`{SUITE}`**", quick, two_means),
        (f"`{SUITE}`, one mean of all its tasks", quick, one_mean),
        (f"`{SUITE}`, a weight for each task", quick, columns),
        *((f"`{task}` alone", [task], columns) for task in ALONE),
        *((f"suite `{suite}`", suites[suite], two_means) for suite in SUITES),
    ]
    rows = []
    for label, tasks, features in ways:
        found = pairs(results, held_out(results, features(results, tasks), results.families), everyone)
        rows.append([label, f"{cost(tasks):.1f}", f"{cost(tasks) / core:.1%}", *cells(found)])
    drawn = [random_tasks(pool, quick, seed) for seed in range(DRAWS)]
    spent = float(np.median([cost(tasks) for tasks in drawn]))
    predicted = (held_out(results, two_means(results, tasks), results.families) for tasks in drawn)
    found = np.array([pairs(results, p, everyone) for p in predicted])
    for label, share in (("median", 0.5), ("best 5 %", 0.05)):
        best = np.stack([np.quantile(found[..., 0], 1 - share, axis=0), np.quantile(found[..., 1], share, axis=0)], 1)
        rows.append([f"{DRAWS} random subsets, {label}", f"{spent:.1f}", f"{spent / core:.1%}", *cells(best)])
    return table(["tasks", "M tokens", "of CORE", *TARGETS], rows)


def within(results: Results, predicted: Array) -> str:
    """The same predictions for parts of the models: a family where it has ten, the rest, and those past chance."""
    sizes = Counter(results.families)
    large = sorted(f for f in sizes if sizes[f] >= 10)
    parts = {name: results.families == name for name in large}
    parts["all other owners"] = ~np.isin(results.families, large)
    parts["MMLU over 0.3"] = results.targets[:, -1] > 0.3
    rows = [[name, str(of.sum()), *cells(pairs(results, predicted, of))] for name, of in parts.items()]
    return table(["models", "number", *TARGETS], rows)


def choice(results: Results, quick: Sequence[str], times: Counter[str]) -> str:
    """The error that was minimised, without each task and with each other that a choice without a family has."""
    families = len(set(results.families))
    rows = [["all", f"{cost(quick):.2f}", f"{loss(results, quick, results.families):.3f}", ""]]
    others = [t for t, _ in times.most_common() if t not in quick]
    for name, tasks in [(t, [q for q in quick if q != t]) for t in quick] + [(t, [*quick, t]) for t in others]:
        said = f"{loss(results, tasks, results.families):.3f} {'without' if name in quick else 'with'} it"
        rows.append([f"`{name}`", f"{COST[name]:.2f}", said, f"{times[name]} of {families}"])
    return table(["task", "M tokens", "error of the choice", "chosen without a family"], rows)


def line(results: Results, quick: Sequence[str], target: Array) -> Array:
    """The least-squares line through all models, for use: constant, weight of words, weight of letters."""
    x = np.column_stack([np.ones(len(target)), two_means(results, quick)])[~np.isnan(target)]
    return np.linalg.lstsq(x, target[~np.isnan(target)], rcond=None)[0]


def lines(results: Results, quick: Sequence[str]) -> str:
    """Of every target."""
    found = [(target, line(results, quick, y)) for target, y in zip(TARGETS, results.targets.T)]
    rows = [[target, *(f"{weight:.3f}" for weight in weights)] for target, weights in found]
    return table(["target", "constant", "times mean of words", "times mean of letters"], rows)


def worst(results: Results, predicted: Array) -> str:
    """The models that each target is predicted worst for."""
    rows = []
    for target, p, y in zip(TARGETS, predicted.T, results.targets.T):
        for i in np.argsort(-np.nan_to_num(np.abs(p - y)))[:4]:
            rows.append([target, f"`{results.models[i]}`", f"{y[i]:.3f}", f"{p[i]:.3f}"])
    return table(["target", "model", "published", "predicted"], rows)


def ordered(results: Results, predicted: Array) -> str:
    """How often the better of two models of one family is also predicted better, by how much better it is."""
    first, second = np.triu_indices(len(results.models), 1)
    same = results.families[first] == results.families[second]
    truth, said = ((x[first] - x[second])[same] for x in (results.targets[:, 0], predicted[:, 0]))
    rows = []
    for least, most in itertools.pairwise(STEPS):
        of = (abs(truth) > least) & (abs(truth) <= most)
        rows.append([f"{least:.2f} to {most:.2f}", str(of.sum()), f"{np.mean(truth[of] * said[of] > 0):.1%}"])
    return table(["difference in CORE", "pairs", "in the right order"], rows)


def sampling(results: Results, registry: Registry) -> str:
    """Standard errors from the number of rows alone, median over models; tasks with categories are counted whole."""

    def spread(weights: dict[str, float], limit: int) -> list[str]:
        variances, spent = [], 0.0
        for name, weight in weights.items():
            spec = registry.tasks[name]
            rows = spec.rows if spec.categories else min(spec.rows, limit)
            chance = baseline_of(spec.baseline, "v2") / 100
            right = results.scores[name] * (1 - chance) + chance
            variances.append(right * (1 - right) / rows * (weight / (1 - chance)) ** 2)
            spent += COST.get(name, 0.0) * rows / spec.rows
        return [f"{spent:.1f}", f"{np.median(np.sum(variances, 0) ** 0.5):.4f}"]

    core, quick = registry.suites["dclm-core"].tasks, registry.suites[SUITE].tasks
    _, words, letters = line(results, quick, results.targets[:, 0])
    sizes = Counter(t in LETTERS for t in quick)
    shares = {t: letters / sizes[True] if t in LETTERS else words / sizes[False] for t in quick}
    rows = [["CORE itself", *spread({t: 1 / len(core) for t in core}, ALL_ROWS)]]
    rows.append([f"CORE from `{SUITE}`", *spread(shares, ALL_ROWS)])
    rows += [[f"CORE from `{SUITE} --limit {limit}`", *spread(shares, limit)] for limit in LIMITS]
    return table(["number", "M tokens", "standard error from its rows"], rows)


def odd(results: Results) -> str:
    """Published scores that contradict others of the same file."""
    rows = []
    for task, most, other, least in ODD:
        beside = results.scores[other][(results.scores[task] <= most) & (results.scores[other] >= least)]
        rows.append(
            [f"`{task}` at most {most}", str(len(beside)), f"`{other}` {beside.min():.3f} to {beside.max():.3f}"]
        )
    return table(["published", "files", "although"], rows)


def page(reference: Path) -> str:
    """All tables of docs/quick.md.

    Raises:
        SystemExit: the suite has other tasks than the choice gives.
    """
    registry = open_registry()
    suites = {name: suite.tasks for name, suite in registry.suites.items()}
    results, pool = quick_choice.read(reference, registry), quick_choice.candidates(registry)
    quick = suites[SUITE]
    if set(chosen := quick_choice.choose(results, pool, results.families)) != set(quick):
        raise SystemExit(f"the choice is {', '.join(chosen)}: tasks/specs/suites.yaml has others")
    predicted = held_out(results, two_means(results, quick), results.families)
    again, times = quick_choice.nested(results, pool)
    parts = {
        "What it predicts, and how well": accuracy(results, suites, again),
        "Beside other predictors and other subsets": rivals(results, suites, pool),
        "Within parts of the models": within(results, predicted),
        "Which of two models of a family is better": ordered(results, predicted),
        "The choice": choice(results, quick, times),
        "The lines": lines(results, quick),
        "Where it is most wrong": worst(results, predicted),
        "What the rows alone leave uncertain": sampling(results, registry),
        "Published scores that can't be right": odd(results),
    }
    return "\n\n".join(f"### {title}\n\n{text}" for title, text in parts.items())


def main() -> None:
    """Print the tables, or put them into a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path)
    options = parser.parse_args()
    text = page(Path(os.environ["ASSAY_REFERENCE"]))
    pages.show(f"\n{text}\n", options.into, MARK)


if __name__ == "__main__":
    main()
