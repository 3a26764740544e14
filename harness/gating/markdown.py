"""A gate's report as GitHub's Markdown: a step's summary, and the comment on a pull request that is edited in place."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote, urlsplit

from assay.harness.gating import wording
from assay.harness.gating.types import Finding, Report
from assay.harness.gating.wording import line

MARGIN = 1024
"""Bytes left to whoever adds a line of his own."""
STEP_SUMMARY = 1024 * 1024 - MARGIN
"""GitHub drops a step's summary above 1 MiB, all of it."""
COMMENT = 64 * 1024 - MARGIN
"""GitHub refuses a comment above 65,536 characters."""
LEAST = 16 * 1024
"""What any report's verdict and headings fit into."""
ANCHORS, LINK = 3, 2000
"""Anchors that the heading names, and characters of an address that is a link."""

SPECIAL = re.compile(r"([\\`*_{}\[\]<>#!~$&@])")
PUNCTUATION = re.compile(r"[!-/:-@\[-`{-~]")
FIRST = re.compile(r"^(\d*)([-+=.)])")
"""What begins a list, a rule or a heading."""
LINKED = re.compile(r"(?=://)|(?<=www)(?=\.)|(?<=[@#])", re.IGNORECASE)
"""Where GitHub makes a link, a mention or a reference of plain text, escaped or not: a word joiner, unseen, ends it."""


def prose(text: str, most: int = wording.SENTENCE) -> str:
    """A sentence of anybody's as Markdown that shows it as it is, in a table too: no markup, link or mention."""
    said = LINKED.sub("\u2060", SPECIAL.sub(r"\\\1", line(text, most)))
    return FIRST.sub(r"\1\\\2", said).replace("|", "&#124;")


def code(text: object) -> str:
    """A name of anybody's in the typeface of code, in a table too; GitHub looks for no links or mentions in there."""
    said = wording.name(text)
    if not re.search(r"[`|\\]", said):
        return f"`{said}`"
    return f"<code>{PUNCTUATION.sub(lambda found: f'&#{ord(found[0])};', said)}</code>"


def marker(gate: str) -> str:
    """The hidden first line, by which a comment is found again; a hash follows a name that had to be changed."""
    safe = re.sub(r"[^A-Za-z0-9_.]+", "-", gate).strip("-")[: wording.NAME]
    again = "" if safe == gate else "-" + hashlib.sha256(gate.encode(errors="backslashreplace")).hexdigest()[:8]
    return f"<!-- assay-gate:{safe}{again} -->"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A part of the page; where rows of it were left out it says how many, and that they are in gate.json."""

    head: str
    rows: Sequence[str] = ()
    tail: str = ""
    what: str = ""

    def text(self, kept: int) -> str:
        """With its first rows alone."""
        some = [self.head, *self.rows[:kept]] if kept or not self.rows else []
        left = len(self.rows) - kept
        more = f"\n_{left:,} more {self.what} in gate.json_" if left else ""
        return "\n".join(s for s in (*some, more, self.tail if some else "") if s).strip("\n")


def markdown(report: Report, *, limit: int, link: str = "") -> str:
    """The verdict, what blocks, what flipped and where a composite's difference comes from; the others folded away.

    Args:
        report: what the gate said; no text of it becomes markup.
        limit: bytes of UTF-8 that are never exceeded, at least `LEAST`: rows are left out from the end, first of
            those folded away, and the page says how many.
        link: address of the Compare page for these runs; any that does not lead to the web is left out.

    Raises:
        ValueError: the limit is below `LEAST`.
    """
    if limit < LEAST:
        raise ValueError(f"a limit of {limit} bytes: the least is {LEAST}")
    parts = _parts(report, link)
    kept = [len(p.rows) for p in parts]
    for at in reversed(range(len(parts))):
        if _size(parts, kept) <= limit:
            break
        fits = bisect_right(range(kept[at]), limit, key=partial(_size_with, parts, kept, at))
        kept[at] = max(fits - 1, 0)
    return _page(parts, kept)


def _page(parts: Sequence[_Part], kept: Sequence[int]) -> str:
    texts = (part.text(k) for part, k in zip(parts, kept, strict=True))
    return "\n\n".join(t for t in texts if t)


def _size(parts: Sequence[_Part], kept: Sequence[int]) -> int:
    return len(_page(parts, kept).encode())


def _size_with(parts: Sequence[_Part], kept: Sequence[int], at: int, rows: int) -> int:
    """The page's size with so many rows of one part."""
    return _size(parts, [*kept[:at], rows, *kept[at + 1 :]])


def _parts(report: Report, link: str) -> list[_Part]:
    """The page from its top; what is least missed is last."""
    shown, others = wording.split(report)
    several = len(report.anchors) > 1
    why = [f"- {code(f.name)}: {prose(wording.why(f))}" for f in shown if f.effect in ("fail", "warn")]
    waivers = [f"- {prose(wording.waiver(w))}" for w in report.waivers]
    notes = [f"- {prose(n)}" for n in report.notes]
    parts = [_Part(head=_head(report, link)), _blocking(report, shown)]
    parts += [_Part(head="**Why**\n", rows=why, what="reasons")] if why else []
    parts += [_Part(head="**Waivers in force**\n", rows=waivers, what="waivers")] if waivers else []
    parts += [_Part(head="**Notes**\n", rows=notes, what="notes")] if notes else []
    sources = [_source(f, report) for f in wording.worst_first(report.findings) if f.shares and wording.known(f.delta)]
    if sources:
        head = "**Where a composite's difference comes from**: share of its variance by task, and the task's own δ\n"
        parts.append(_Part(head=head, rows=sources, what="composites"))
    if others:
        fold = f"<details><summary>{len(others):,} others: {wording.tally(others)}</summary>\n\n{_heads(several)}"
        rows = [_row(f, several) for f in others]
        parts.append(_Part(head=fold, rows=rows, tail="\n</details>", what="others"))
    return parts


def _head(report: Report, link: str) -> str:
    anchors = [wording.side(a, code) for a in report.anchors[:ANCHORS]]
    more = len(report.anchors) - len(anchors)
    against = " and ".join(anchors + ([f"{more:,} more"] if more else [])) or "no baseline"
    facts = [
        f"{wording.side(report.candidate, code)} against {against}",
        wording.level(report),
        f"exit code {report.exit_code}",
        *([f"[open\u00a0in\u00a0Compare]({address})"] if (address := _web(link)) else []),
    ]
    mark, word = wording.VERDICTS[report.verdict]
    title = f"### {mark} Gate {code(report.gate)}: {word}"
    worth = ["Worth promoting to baseline: it passes, and something improved."] if report.promote else []
    return "\n\n".join([f"{marker(report.gate)}\n{title}", prose(report.sentence), " · ".join(facts), *worth])


def _web(link: str) -> str:
    """The address as a link's target, "" unless it leads to the web."""
    try:
        parts = urlsplit(link)
    except ValueError:
        return ""
    target = quote(link, safe="/:?#@!$&'*+,;=%~", errors="replace").replace("&", "&amp;")
    return target if parts.scheme in ("http", "https") and parts.netloc and len(target) <= LINK else ""


def _blocking(report: Report, shown: Sequence[Finding]) -> _Part:
    if not shown:
        return _Part(head="Nothing that blocks was compared.")
    several = len(report.anchors) > 1
    first = report.anchors[0].name if report.anchors else ""
    tasks = [f for f in shown if f.tier == "block" and f.kind == "task" and f.anchor == first]
    lost, gained, n = (sum(getattr(f, of) for f in tasks) for of in ("lost", "gained", "n"))
    flipped = f"\n\n**Flipped items** against {code(first)}: {lost:,} lost, {gained:,} gained of {n:,}." if n else ""
    units = "<sub>δ, interval and MDE in percentage points. MDE: the least true drop that is found 4 times of 5.</sub>"
    rows = [_row(f, several) for f in shown]
    return _Part(head=_heads(several), rows=rows, tail=f"\n{units}{flipped}", what="rows of this table")


def _heads(several: bool) -> str:
    words = ["task", *(["against"] if several else []), wording.HEADS[0]]
    names = [*words, *wording.HEADS[1:]]
    rule = [":--"] * len(words) + ["--:"] * (len(names) - len(words))
    return f"| {' | '.join(names)} |\n|{'|'.join(rule)}|"


def _row(f: Finding, several: bool) -> str:
    state, *numbers = (cell.replace(" ", "\u00a0") for cell in wording.cells(f))  # no cell is broken across lines
    said = f"**{state}**" if f.effect == "fail" else state
    return f"| {' | '.join([code(f.name), *([code(f.anchor)] if several else []), said, *numbers])} |"


def _source(f: Finding, report: Report) -> str:
    """A composite's tasks that move it most."""
    deltas = {g.name: g.delta for g in report.findings if g.kind == "task" and g.anchor == f.anchor}
    parts = [
        f"{code(task)} {100 * share:.0f}\u00a0%"
        + (f" (δ\u00a0{wording.points(deltas[task])})" if task in deltas else "")
        for task, share in f.shares.items()
    ]
    whose = f" against {code(f.anchor)}" if len(report.anchors) > 1 else ""
    return f"- {code(f.name)}{whose}, δ {wording.points(f.delta)}: {', '.join(parts)}"
