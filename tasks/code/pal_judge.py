"""Is a value the right answer? The rules of program-aided maths, away from the program that returned the value.

GSM8K's is PAL's (scripts/gsm_eval.py): a number within 1e-3. MATH's is math-verify's, on LaTeX. The values are hostile
and plain (`judge.is_plain`); a text of theirs is parsed and never evaluated. Memory and time are bounded by the caller.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

from assay.tasks.code.judge import brief
from assay.tasks.types import Status

Dataset = Literal["gsm8k", "math"]

TOLERANCE = Fraction(1, 1000)
"""PAL: `abs(ans - target) < 1e-3`."""
MOST_CHARACTERS = 1_000
"""Of a text that is compared; the longest of MATH's answers has 81."""
MOST_BITS = 3_300
"""Of an integer that is written out: fewer than a thousand digits."""
FLOAT_DIGITS = 6
"""Decimals that count of a complex number's parts; math-verify rounds a float likewise."""
NUMBER = re.compile(r"[+-]?(?=\.?[0-9])(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]*)(?:\.[0-9]*)?")
RATIO = re.compile(r"([+-]?[0-9]+)/0*([1-9][0-9]*)")
PYTHON = (
    (re.compile(r"sqrt\(([^()]*)\)"), r"\\sqrt{\1}"),
    (re.compile(r"\*\*\s*\(([^()]*)\)"), r"^{\1}"),
    (re.compile(r"\*\*\s*(-?[\w.]+)"), r"^{\1}"),
    (re.compile(r"(?<![A-Za-z])pi(?![A-Za-z])"), r"\\pi "),
)
"""What a printed expression has otherwise than LaTeX, of a text without a backslash."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a value came to.

    Attributes:
        said: what was compared, at most 150 characters.
        note: why it is not right, or "".
    """

    right: bool
    status: Status
    said: str
    note: str = ""


def judge(dataset: Dataset, value: object, gold: str) -> Judged:
    """Whether a value that a program returned is the answer.

    Args:
        dataset: whose rule.
        value: plain data, or `judge.Opaque`.
        gold: the answer as published: a number with or without commas, or LaTeX.

    Returns:
        `no_answer` where the value is none: None, a bool, NaN, something opaque, an empty or an endless text.
    """
    try:
        right = _near(value, gold) if dataset == "gsm8k" else _same(readings(value), gold)
    except (_NoAnswerError, RecursionError):
        return Judged(False, "no_answer", "", f"returned {brief(value)}")
    note = "" if right else f"returned {brief(value)}, expected {brief(gold)}"
    return Judged(right, "ok", brief(value), note)


class _NoAnswerError(ValueError):
    """A value that is no answer."""


def _near(value: object, gold: str) -> bool:
    wanted, found = number(gold), number(value)
    if wanted is None:
        raise ValueError(f"no number is expected: {gold[:40]!r}")
    if found is None:
        raise _NoAnswerError
    return abs(found - wanted) < TOLERANCE


def number(value: object) -> Fraction | None:
    """The number that a value is: an int, a finite float, or the text of one ("1,234.50", "3/4"); exact."""
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        return Fraction(value)
    text = value.strip() if type(value) is str and len(value) <= MOST_CHARACTERS else ""
    if NUMBER.fullmatch(text):
        return Fraction(text.replace(",", ""))
    ratio = RATIO.fullmatch(text)
    return Fraction(int(ratio[1]), int(ratio[2])) if ratio else None


def readings(value: Any) -> tuple[str, ...]:
    """The LaTeX that a value may stand for; a sequence is several values, a point, or a column or matrix.

    Raises:
        ValueError: it is no answer.
    """
    found: tuple[str, ...] = (_latex(value),)
    if type(value) in (list, tuple):
        rows = [" & ".join(map(_latex, x)) if type(x) in (list, tuple) else _latex(x) for x in value]
        matrix = r"\begin{pmatrix}" + r"\\".join(rows) + r"\end{pmatrix}"
        found = (*found, found[0][1:-1], matrix)
    if max(map(len, found)) > MOST_CHARACTERS:
        raise _NoAnswerError
    return found


def _latex(value: Any) -> str:
    kind = type(value)
    if kind is str and value.strip() and len(value) <= MOST_CHARACTERS:
        return value.strip() if "\\" in value else _from_python(value.strip())
    if kind is int and value.bit_length() <= MOST_BITS:
        return str(value)
    if kind is float and math.isfinite(value):
        return str(int(value)) if value.is_integer() else format(Decimal(repr(value)), "f")
    if kind is complex and math.isfinite(abs(value)):
        return _complex(round(value.real, FLOAT_DIGITS), round(value.imag, FLOAT_DIGITS))
    if kind in (list, tuple) and value:
        return f"({', '.join(map(_latex, value))})"
    raise _NoAnswerError


def _complex(real: float, imaginary: float) -> str:
    if not imaginary:
        return _latex(real)
    size = "" if abs(imaginary) == 1 else _latex(abs(imaginary))
    return f"{_latex(real) if real else ''} {'-' if imaginary < 0 else '+' if real else ''} {size} i"


def _from_python(text: str) -> str:
    for pattern, latex in PYTHON:
        text = pattern.sub(latex, text)
    return text


def _same(texts: Sequence[str], gold: str) -> bool:
    """Equal but for typesetting, or equal by math-verify 0.9.0."""
    wanted = cleaned(gold)
    found = [cleaned(t) for t in texts]
    return _bare(wanted) in map(_bare, found) or _verified(found, wanted)


def cleaned(text: str) -> str:
    """Without dollar and per cent signs and separators of thousands, as MATH's own rule has it; `i` stands alone.

    math-verify takes the `i` of "3 + 4 i" for another symbol than that of "3+4i".
    """
    text = re.sub(r"\\?[$%]|,?\\!", "", " ".join(text.split()))
    return re.sub(r"(?<![A-Za-z\\])i(?![A-Za-z])", " i ", text).strip()


def _bare(text: str) -> str:
    """Without blanks, the sizes of brackets, and what makes text upright."""
    text = re.sub(r"\\(?:left|right)(?![a-z])|\\[,; ]|\s", "", text)
    return re.sub(r"\\(?:text|textbf|mathrm|mbox)\{([^{}]*)\}", r"\1", text)


def _verified(texts: Sequence[str], gold: str) -> bool:
    from math_verify import LatexExtractionConfig, parse, verify

    def read(text: str) -> Any:
        return parse(f"${text}$", extraction_config=[LatexExtractionConfig()], parsing_timeout=None)

    wanted = read(gold)
    return any(verify(wanted, read(text), timeout_seconds=None) for text in texts)
