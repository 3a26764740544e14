"""Names on a command line to specs: `lm_eval:NAME` for what lm-eval has, `text:FILE` for a text's perplexity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl

from assay.tasks import lm_eval_index
from assay.tasks.lm_eval_index import Group, Leaf
from assay.tasks.spec import Data, LmEval, TaskSpec
from assay.tasks.types import UserError

LM_EVAL, TEXT = "lm_eval:", "text:"
OPTIONS = ("num_fewshot", "metric")
OWN = Path(__file__).parent / "lm_eval_configs"
"""Tasks of ours, written as lm-eval's are."""


def named(name: str) -> bool:
    """Whether a name is one of these."""
    return name.startswith((LM_EVAL, TEXT))


def specs(name: str, include: Sequence[str]) -> tuple[list[TaskSpec], list[Group]]:
    """The tasks that a name stands for, and the groups whose means lm-eval defines over them.

    Args:
        name: `lm_eval:NAME[?num_fewshot=N&metric=METRIC,FILTER]`, NAME a task, tag or group; or `text:FILE`.
        include: the user's folders of lm-eval tasks.

    Raises:
        UserError: there is no such task or file, or an option that isn't one.
    """
    if name.startswith(TEXT):
        return [_text(name.removeprefix(TEXT))], []
    rest, _, query = name.removeprefix(LM_EVAL).partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    for key, value in options.items():
        if key not in OPTIONS:
            raise UserError(f"{name}: unknown option '{key}'; valid: {', '.join(OPTIONS)}")
        if not value:
            raise UserError(f"{name}: option '{key}' has no value")
    leaves, groups = lm_eval_index.expand(rest, include)
    suffix = f"?{query}" if query else ""
    full = {leaf.name: f"{LM_EVAL}{leaf.name}{suffix}" for leaf in leaves}
    renamed = [
        replace(g, name=f"{LM_EVAL}{g.name}{suffix}", tasks=tuple(dict.fromkeys(full[t] for t in g.tasks)))
        for g in groups
    ]
    return [_spec(full[leaf.name], leaf, options, include) for leaf in leaves], renamed


def _spec(name: str, leaf: Leaf, options: dict[str, str], include: Sequence[str]) -> TaskSpec:
    shots = options.get("num_fewshot", str(lm_eval_index.shots(leaf, include)))
    if not shots.isdecimal():
        raise UserError(f"{name}: num_fewshot must be a whole number")
    wanted = LmEval(task=leaf.name, metric=options.get("metric", ""), include=tuple(include), overrides=leaf.overrides)
    return _task(name, "lm-eval", int(shots), "see lm-eval's README of the task", wanted)


def _text(file: str) -> TaskSpec:
    path = Path(file)
    if not path.is_file():
        raise UserError(f"text:{file}: no such file")
    wanted = LmEval(task="assay_text", metric="bits_per_byte,none", include=(str(OWN),), text=str(path.absolute()))
    return _task(f"{TEXT}{path.name}", "language modelling", 0, "the user's own", wanted)


def _task(name: str, skill: str, shots: int, licence: str, wanted: LmEval) -> TaskSpec:
    """A task whose data lm-eval loads, and of which nobody says what guessing scores."""
    return TaskSpec(
        name=name,
        kind="lm_eval",
        skill=skill,
        shots=shots,
        baseline=None,
        data=Data(path="", git_blob="", rows=1),
        licence=licence,
        seam="joint",
        lm_eval=wanted,
    )
