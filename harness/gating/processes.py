"""Commands of ours as processes of their own: their memory goes with them, and so do their crashes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

START = """import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from assay.harness.cli import main
main(prog_name="assay")"""
"""A script's background command, and all that it starts, ignores Ctrl-C unless told otherwise."""
ASSAY = (sys.executable, "-P", "-c", START)
STOP_S = 30.0
"""What a command has to end by itself when we are ended; a run's answers are kept either way."""


def assay(arguments: Sequence[str], log: Path) -> int:
    """Run a command to its end; its exit code. What it prints is appended to a log.

    It has a session of its own: Ctrl-C reaches it through us alone.
    """
    with log.open("ab") as out:
        child = subprocess.Popen(  # noqa: S603 - our own program
            [*ASSAY, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return child.wait()
        except BaseException:
            _end(child)
            raise


def _end(child: subprocess.Popen[bytes]) -> None:
    """As Ctrl-C would; by force if that does not help."""
    for how in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(child.pid, how)
            child.wait(STOP_S)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
        return


def last_line(log: Path) -> str:
    """The last that a command printed."""
    lines = log.read_bytes()[-4_000:].decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it printed nothing")
