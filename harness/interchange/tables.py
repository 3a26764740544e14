"""Rows of plain values as CSV that no spreadsheet takes for formulas, and as Parquet."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

NEVER = r"\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff"
"""Controls (C0, C1), line and paragraph ends, marks that turn the direction of writing or show nothing, half pairs."""
UNSEEN = re.compile(rf"[{NEVER}]")
BEGINS = r"[=+\-@\uff1d\uff0b\uff0d\uff20]"
"""Formulas, in full width too."""
FORMULA = re.compile(rf"(^|;)(?=[\t\r]|[\s\"'`{NEVER}]*{BEGINS})")
"""Where a spreadsheet would read a formula: at a cell's start, and after the separator of half of Europe."""
SEPARATED = re.compile(rf"([,;]\s*)(?=['`]*{BEGINS})")


def csv_safe(text: str) -> str:
    r"""A text that is shown as itself by spreadsheets and terminals.

    What begins as a formula (`=`, `+`, `-`, `@`, tab, return; behind quotes and blanks too) gets a `'` in front;
    controls, invisible marks and halves of pairs are written as escapes (`\x1b`).
    """
    return UNSEEN.sub(_escape, FORMULA.sub(r"\1'", text))


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def csv_bytes(rows: Sequence[Mapping[str, Any]], comments: Sequence[str] = ()) -> bytes:
    """Rows as CSV in UTF-8: a head, one line a row, each ended by a line feed. Equal rows give equal bytes.

    Args:
        rows: their keys are the columns, in order of first appearance; a column that a row lacks is empty in it, as is
            None and NaN. Numbers stay numbers; lists and mappings are written as JSON.
        comments: lines before the head, each after `# `.
    """
    names = _columns(rows)
    out = io.StringIO()
    for comment in comments:
        out.write(f"# {_one_cell(comment)}\n")
    if names:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([csv_safe(n) for n in names])
        writer.writerows([[_cell(row.get(n)) for n in names] for row in rows])
    return out.getvalue().encode()


def _one_cell(comment: str) -> str:
    """A comment that neither opens a quoted cell nor has a formula in one of those that its commas make."""
    return UNSEEN.sub(_escape, SEPARATED.sub(r"\1'", comment.replace('"', "'")))


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _cell(value: Any) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Integral):
        return repr(int(value))
    if isinstance(value, Real) and math.isfinite(value):
        return repr(float(value))
    if isinstance(value, (Mapping, list, tuple)):
        return csv_safe(json.dumps(value, ensure_ascii=False, default=str))
    return csv_safe(str(value))


def parquet_bytes(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Rows as Parquet; columns as in `csv_bytes`, texts as they are. Equal rows give equal bytes.

    Raises:
        pyarrow.ArrowInvalid: a column mixes texts and numbers.
    """
    columns = {name: pa.array(list(_values(rows, name))) for name in _columns(rows)}
    out = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), out, compression="zstd")
    return bytes(out.getvalue().to_pybytes())


def _values(rows: Sequence[Mapping[str, Any]], name: str) -> Iterator[Any]:
    """A column; halves of surrogate pairs, which UTF-8 lacks, as escapes."""
    for row in rows:
        value = row.get(name)
        yield value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
