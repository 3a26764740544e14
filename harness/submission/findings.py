"""What is said of a submission: its text is a stranger's, and is made harmless here, once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from assay.tasks.types import UserError

Level = Literal["pass", "warn", "fail"]
LONGEST = 400
"""Characters of a text that are shown."""
NAMED = 8
"""Tasks that are named before the rest are counted."""


class SubmissionError(UserError):
    """An archive or a folder that can't be taken as a submission; the message names the entry and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was checked or is wrong. Control characters in it are written as escapes.

    Attributes:
        where: run, run/task, or run/file, with `:row` from 0 where one row is meant.
        what: the fault, or what was checked.
        remedy: what to do about it, when there is something.
    """

    level: Level
    where: str
    what: str
    remedy: str = ""

    def __post_init__(self) -> None:
        for name in ("where", "what", "remedy"):
            object.__setattr__(self, name, plain(getattr(self, name)))


def plain(text: object) -> str:
    """A stranger's text for a terminal: what is not printable as escapes, and no more than `LONGEST` characters."""
    whole = str(text)
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in whole[:LONGEST])
    return shown if len(whole) <= LONGEST else f"{shown}..."


def folded(found: Iterable[Finding]) -> list[Finding]:
    """Findings with what is said alike of several tasks of a run said once; the order is that of the first."""
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for i, finding in enumerate(found):
        run, _, task = finding.where.partition("/")
        alone = (str(i),) if finding.level == "fail" or not task else ()
        groups.setdefault((run, finding.level, finding.what, finding.remedy, *alone), []).append(finding)
    return [alike[0] if len(alike) == 1 else _one(run, alike) for (run, *_), alike in groups.items()]


def _one(run: str, alike: list[Finding]) -> Finding:
    tasks = [f.where.removeprefix(f"{run}/") for f in alike]
    names = ", ".join(tasks[:NAMED]) + (f" and {len(tasks) - NAMED} more" if len(tasks) > NAMED else "")
    first = alike[0]
    what = f"{first.what} ({len(tasks)}: {names})"
    return Finding(level=first.level, where=run, what=what, remedy=first.remedy)


def from_json(data: Mapping[str, str]) -> Finding:
    """A finding that another process wrote."""
    level: Level = "pass" if data["level"] == "pass" else "warn" if data["level"] == "warn" else "fail"
    return Finding(level=level, where=data["where"], what=data["what"], remedy=data["remedy"])
