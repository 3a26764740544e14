"""Untrusted text made safe for where it is shown. Model names, notes and answers are all untrusted."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import pandas as pd

from assay.harness.interchange.tables import csv_safe

SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&=\"'/@^])")
LINKED = re.compile(r"(?<=http)(?=s?\\:)|(?<=www)(?=\\\.)|(?=\\@)", re.IGNORECASE)
"""Where GitHub's Markdown begins a link by itself, escapes or not: a word joiner there, which nobody sees, ends it."""
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn"}
"""Unicode categories that are escaped: controls, bidirectional marks, halves of pairs, what is not assigned."""


def visible(text: object) -> str:
    """Every character that can't be seen, or turns others around, written as an escape; line ends and tabs stay."""
    said = str(text)
    return "".join(c if c in "\n\t" or unicodedata.category(c) not in HIDDEN else ascii(c)[1:-1] for c in said)


def plain(text: object) -> str:
    """Text that Markdown shows as it is: no link, picture, colour, formula or HTML comes of it."""
    return LINKED.sub("\u2060", SPECIAL.sub(r"\\\1", " ".join(visible(text).split())))


def plain_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame whose headings and text cells `plain` made safe, for tables that read Markdown."""
    safe = frame.map(lambda cell: plain(cell) if isinstance(cell, str) else cell)
    return safe.rename(columns=plain)


def spoken(sentence: str) -> str:
    """Markdown of ours, with names in it that `plain` made safe, as it is read aloud."""
    return re.sub(r"\\(.)", r"\1", sentence.replace("**", ""))


def grid_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame for grids, which copy and save their cells as they are: no text of it is a formula, or turns around."""

    def safe(cell: Any) -> Any:
        return csv_safe(cell) if isinstance(cell, str) else cell

    texts = frame.select_dtypes(["object", "str"])
    return frame.assign(**{name: texts[name].map(safe) for name in texts}).rename(columns=safe)


def web_link(url: str) -> str:
    """The address if it leads to the web, else "": no other scheme is ever made a link."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return url if parts.scheme in ("http", "https") and parts.netloc and not _hidden(url) else ""


def _hidden(text: str) -> bool:
    """Whether a text has a character that can't be seen, or a blank."""
    return any(c.isspace() or unicodedata.category(c) in HIDDEN for c in text)


def address(page: str, parameters: Mapping[str, Any]) -> str:
    """A page of the site with its parameters, those that are None or "" left out."""
    known = {k: v for k, v in parameters.items() if v not in (None, "", [], ())}
    return page + ("?" + urlencode(known, doseq=True) if known else "")


def number(value: float | None, digits: int = 4) -> str:
    """A score as text; a dash where there is none."""
    return "–" if value is None or pd.isna(value) else f"{value:.{digits}f}"


def interval(low: float | None, high: float | None) -> str:
    """[low, high] as text; "" where there is none."""
    return "" if low is None or high is None or pd.isna(low) or pd.isna(high) else f"[{low:.3f}, {high:.3f}]"


def amount(value: float | None) -> str:
    """A number of parameters, tokens or FLOPs in few letters: 6.9B, 2.6T, 1.1e+22."""
    if value is None or pd.isna(value):
        return "–"
    for size, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if size <= value < 1e15:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def short(label: str, most: int = 48) -> str:
    """A long name with its middle left out: names of one family differ at their ends."""
    if len(label) <= most:
        return label
    kept = most - 1
    return f"{label[: kept - kept // 2]}…{label[-(kept // 2) :]}"
