"""The command line's `assay watch`: parses, calls, prints; no logic."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from assay.harness.cli_baseline import baselines_option
from assay.harness.cli_models import checkpoint_options
from assay.tasks.registry import open_registry
from assay.tasks.types import UserError

if TYPE_CHECKING:
    from assay.harness.gating.watching import Watch
    from assay.harness.records import Plan

Option = Callable[[Callable[..., Any]], Callable[..., Any]]
OWN = ("watched", "suites", "gate", "folder", "command", "webhook", "poll", "settle", "once")
"""Parameters of a watch; all others are `assay run`'s."""


def add_to(main: click.Group, friendly: Option, store_option: Option, tasks_dir: Option, *run_options: Option) -> None:
    """Add the command to the program, with the options that it shares with `assay run`."""

    def shared(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(run_options):
            command = option(command)
        return command

    @main.command()
    @click.argument("watched", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
    @click.option(
        "--suite", "suites", multiple=True, help="Task or suite to measure; may be given again. Default: the gate's."
    )
    @click.option("--gate", type=click.Path(dir_okay=False, path_type=Path), help="gate.yaml that judges each run.")
    @baselines_option
    @click.option(
        "--on-verdict",
        "command",
        default="",
        metavar="CMD",
        help="Run this on each verdict, without a shell; $ASSAY_GATE_VERDICT, $ASSAY_GATE_EXIT_CODE, $ASSAY_RUN, "
        "$ASSAY_CHECKPOINT and $ASSAY_GATE_JSON say which.",
    )
    @click.option("--webhook", default="", metavar="URL", help="POST a JSON summary of each verdict there.")
    @click.option(
        "--poll",
        default=30.0,
        show_default=True,
        type=click.FloatRange(0, min_open=True),
        help="Seconds between looks.",
    )
    @click.option(
        "--settle",
        default=10.0,
        show_default=True,
        type=click.FloatRange(0),
        help="Seconds that a checkpoint must lie unchanged before it is measured.",
    )
    @click.option(
        "--once", is_flag=True, help="Look once, do what there is to do, end with the worst exit code of all."
    )
    @store_option
    @click.option("--limit", type=click.IntRange(min=1), help="A sample of N rows of each task (of each category).")
    @checkpoint_options
    @shared
    @tasks_dir
    @friendly
    def watch(**options: Any) -> None:
        """Measure and judge the checkpoints of a training run as it writes them: each sub-folder of DIR, once.

        A checkpoint is measured when it is whole and lies still. Ctrl-C or SIGTERM ends the watch; the same command
        goes on. A checkpoint that fails is tried twice, reported, and left until it changes or the watch begins anew.
        """
        from assay.harness.gating import watching

        # Ctrl-C's way, for SIGTERM too: the evaluation that runs is ended, and resumes with the same command
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        given = _words(click.get_current_context(), options)
        with watching.opened(_watch(options, given)) as watcher:
            while True:
                code = watcher.once()
                if options["once"]:
                    sys.exit(code)
                time.sleep(options["poll"])


def _watch(options: dict[str, Any], given: dict[str, tuple[str, ...]]) -> Watch:
    from assay.harness import fingerprint, session
    from assay.harness.backends.base import ModelOptions, open_backend
    from assay.harness.gating import config, hooks, saying, watching

    judged = config.load(options["gate"]) if options["gate"] else None
    names = options["suites"] or (judged.suite.split() if judged else ())
    if not names:
        raise UserError("say what to measure: --suite NAME (see: assay list suites), or --gate FILE, which names one")
    specs = session.with_draws(open_registry(options["tasks_dirs"]).select(names), session.parse_draws(options))
    docs = session.parse_docs(None, options["limit"])
    decides = ("dtype", "offline", "tokenizer", "strip_reasoning", "deterministic")
    how = ModelOptions(**{name: options[name] for name in decides})

    def plan(folder: Path) -> Plan:
        return session.make_plan(specs, docs, open_backend(f"hf:{folder}", how), None, {})

    tasks = session.make_plan(specs, docs, open_backend("constant", how), None, {}).tasks
    arguments = (*names, *_flat(given.values()))
    gate = None
    if judged:
        own = (("--gate", str(options["gate"])), ("--baselines", str(options["folder"])))
        gate = watching.Gate(
            name=judged.name,
            rules=saying.rules(judged),
            baselines=options["folder"],
            arguments=_flat((*own, given["store"], given["tasks_dirs"])),
        )
    folder = options["watched"]
    return watching.Watch(
        folder=folder if folder.name not in ("", "..") else folder.resolve(),  # its name becomes the series'
        store=options["store"],
        arguments=arguments,
        plan=plan,
        asked=fingerprint.digest([tasks, arguments]),
        own_tokenizer=not options["tokenizer"],
        gate=gate,
        hooks=hooks.parse(options["command"], options["webhook"]),
        settle_s=options["settle"],
        say=_say,
    )


def _words(context: click.Context, options: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """What was asked of `assay run`, as it takes it: words by parameter."""
    found = {}
    for parameter in context.command.params:
        name, value = str(parameter.name), options[str(parameter.name)]
        if name in OWN:
            continue
        values = value if parameter.multiple else () if value is None or value is False else (value,)
        flag = value is True
        found[name] = _flat((parameter.opts[0],) if flag else (parameter.opts[0], str(v)) for v in values)
    return found


def _flat(words: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(word for some in words for word in some)


def _say(line: str) -> None:
    from assay.harness.interchange.imported import plain

    click.echo(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {plain(line, 1_000)}", err=True)
