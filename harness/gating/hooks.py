"""Telling others of a verdict, each of them once: a command, a web address.

A marker beside the record is written after a delivery, so a crash between the two delivers again: at least once.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import tenacity

from assay.harness.files import write
from assay.harness.gating.types import Report
from assay.tasks.types import UserError

COMMAND_S = 600.0
"""A command that takes longer is ended: a hook must not hold up the training run's next checkpoint."""
REQUEST_S = 10.0
ATTEMPTS = 5
BACKOFF = tenacity.wait_exponential(multiplier=1, max=30)
"""Seconds before each further try: 1, 2, 4, ... 30."""
PASSING = (408, 425, 429)
"""And every 5xx: worth another try."""


class HookError(UserError):
    """A hook can't be used, or did not take a verdict; never repeats the address, which may hold a secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """Who is told.

    Attributes:
        command: words of a program and its arguments, started without a shell; () tells none.
        webhook: http or https address that a summary is POSTed to as JSON; "" tells none.
    """

    command: tuple[str, ...] = ()
    webhook: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """A verdict, the file that holds it, and the folder it is of."""

    report: Report
    record: Path
    checkpoint: Path


def parse(command: str, webhook: str) -> Hooks:
    """What a user typed.

    Raises:
        HookError: a quote is not closed, or the address is not http or https.
    """
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        raise HookError(f"--on-verdict: {error}: it is split as a shell would, and started without one") from None
    parts = urlsplit(webhook)
    if webhook and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise HookError("--webhook: not an address of the form https://HOST/PATH")
    return Hooks(command=words, webhook=webhook)


def deliver(hooks: Hooks, news: News) -> Iterator[str]:
    """Tell those that have not been told; one sentence each. A failure is a sentence too, and leaves no marker.

    A hook that is not set is marked as told: one that is added later hears of new verdicts only.
    """
    channels: tuple[tuple[str, bool, Callable[[], None]], ...] = (
        ("command", bool(hooks.command), lambda: _run(hooks.command, news)),
        ("webhook", bool(hooks.webhook), lambda: _post(hooks.webhook, summary(news))),
    )
    for name, wanted, tell in channels:
        marker = news.record.with_suffix(f".{name}")
        if marker.exists():
            continue
        try:
            if wanted:
                tell()
                yield f"{name} told"
            write(
                marker, time.strftime("%Y-%m-%dT%H:%M:%SZ\n" if wanted else "not asked for\n", time.gmtime()).encode()
            )
        except (HookError, OSError) as error:
            yield f"{name} not told: {error}; again at the next start"


def summary(news: News) -> dict[str, Any]:
    """What a webhook is sent."""
    report = news.report
    return {
        "gate": report.gate,
        "verdict": report.verdict,
        "exit_code": report.exit_code,
        "sentence": report.sentence,
        "run_id": report.candidate.run_id,
        "checkpoint": news.checkpoint.name,
        "step": report.candidate.step,
        "anchors": [a.name for a in report.anchors],
        "created": report.created,
        "failed": [
            {"name": f.name, "anchor": f.anchor, "state": f.state, "reason": f.reason}
            for f in report.findings
            if f.effect == "fail"
        ],
    }


def _run(command: tuple[str, ...], news: News) -> None:
    told = {
        "ASSAY_GATE_VERDICT": news.report.verdict,
        "ASSAY_GATE_EXIT_CODE": str(news.report.exit_code),
        "ASSAY_RUN": news.report.candidate.run_id,
        "ASSAY_CHECKPOINT": str(news.checkpoint.resolve()),
        "ASSAY_GATE_JSON": str(news.record.resolve()),
    }
    try:
        done = subprocess.run(  # noqa: S603 - the user's own command
            command, env={**os.environ, **told}, stdin=subprocess.DEVNULL, stdout=2, timeout=COMMAND_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise HookError(f"{command[0]} took more than {COMMAND_S:.0f} s and was ended") from None
    if done.returncode:
        raise HookError(f"{command[0]} ended with exit code {done.returncode}")


def _post(url: str, body: dict[str, Any]) -> None:
    attempts = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(requests.RequestException),
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=BACKOFF,
        reraise=True,
    )
    host = urlsplit(url).hostname
    try:
        status = attempts(_post_once, url, body)
    except requests.RequestException as error:
        said = error.response.status_code if error.response is not None else type(error).__name__
        raise HookError(f"{host}: {said}, {ATTEMPTS} times") from None
    if not 200 <= status < 300:
        raise HookError(f"{host}: HTTP status {status}")


def _post_once(url: str, body: dict[str, Any]) -> int:
    """The status; a passing failure is raised. Redirects are not followed: they would turn a POST into a GET."""
    answer = requests.post(url, json=body, timeout=REQUEST_S, allow_redirects=False)
    if answer.status_code in PASSING or answer.status_code >= 500:
        raise requests.HTTPError(response=answer)
    return answer.status_code
