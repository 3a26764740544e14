"""Options of `assay run` that say how a model is asked; what they mean is `ModelOptions`, `Draws`, `Budget` to say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

device = click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, mps, ...")
dtype = click.option(
    "--dtype",
    default="float32",
    show_default=True,
    type=click.Choice(["float32", "bfloat16", "float16", "auto"]),
    help="Of the weights in memory. Published DCLM numbers are float32.",
)
CHECKPOINT = (
    click.option("--batch-size", default="auto", show_default=True, help="Sequences in a forward pass, or auto."),
    device,
    dtype,
    click.option("--n", default=1, show_default=True, type=click.IntRange(1), help="Code: answers to each problem."),
    click.option("--temperature", default=0.0, show_default=True, type=click.FloatRange(0), help="Code: 0 is greedy."),
    click.option("--top-p", default=0.95, show_default=True, type=click.FloatRange(0, 1, min_open=True), help="Code."),
    click.option("--seed", default=0, show_default=True, help="Code: of the draws."),
    click.option("--base-prompt", is_flag=True, help="Code: never use the chat template that a tokenizer ships."),
    click.option("--chat-template", is_flag=True, help="lm-eval's tasks: ask in the tokenizer's chat template."),
    click.option("--fewshot-as-turns", is_flag=True, help="With it: every example is a turn of its own."),
    click.option("--system-prompt", default="", metavar="TEXT", help="With it: what the system says first."),
    click.option("--tokenizer", default="", help="Folder or Hub name, instead of the checkpoint's own; checked."),
    click.option(
        "--strip-reasoning", default="", metavar="MARK", help="The answer begins after the last MARK: '</think>', say."
    ),
    click.option(
        "--deterministic", is_flag=True, help="No score depends on what else is asked; slower. hf: and fakes."
    ),
)
"""Of any model; all that decides a checkpoint's answers."""
ENDPOINT = (
    click.option("--concurrency", default=8, show_default=True, type=click.IntRange(1), help="Endpoints: at a time."),
    click.option(
        "--timeout",
        default=300.0,
        show_default=True,
        type=click.FloatRange(0, min_open=True),
        help="Endpoints: seconds for one request.",
    ),
    click.option(
        "--retries", default=6, show_default=True, type=click.IntRange(0), help="Endpoints: after a passing failure."
    ),
    click.option("--price", default="0:0", metavar="IN:OUT", help="US dollars per million tokens, for the account."),
    click.option(
        "--budget",
        type=click.FloatRange(0, min_open=True),
        metavar="USD",
        help="Stop when the estimated cost has reached this; needs --price. Answers are kept.",
    ),
)
"""Of models behind an address."""


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """All of them, in this order."""
    for option in reversed((*CHECKPOINT, *ENDPOINT)):
        command = option(command)
    return command


def checkpoint_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Those that matter to a folder of weights."""
    for option in reversed(CHECKPOINT):
        command = option(command)
    return command


def defaults() -> dict[str, Any]:
    """What each of them is when it is not given."""
    return dict(click.command()(model_options(lambda **_: None)).make_context("run", []).params)
