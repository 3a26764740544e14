"""How to cite a measurement: BibTeX and CITATION.cff, from plain values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import yaml

from assay.harness import fingerprint
from assay.harness.interchange.chosen import named
from assay.harness.store import Run

FEW = 6
"""As many tasks are named in a title; of more, their number."""
LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\textbraceleft{}",
    "}": r"\textbraceright{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    **{c: f"\\{c}" for c in "$&#%_"},
}
"""Braces by name: BibTeX counts them even behind a backslash."""
UNSEEN = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+")
"""Blanks, controls and marks that show nothing: one blank stands for any of them."""
ADDRESS = ":/?#@!$&'()*+,;=%~-._"
"""What may stand in a URL beside letters and digits."""


def citation(
    *,
    label: str,
    run_id: str,
    created: str,
    assay_version: str,
    measured: str,
    numbers: Mapping[str, float] | None = None,
    digest: str = "",
    url: str = "",
) -> str:
    """A BibTeX entry, an empty line, and a CITATION.cff. Equal facts give equal text; none of them can break out of it.

    Args:
        label: of the model.
        run_id: of the run.
        created: when it began, ISO 8601.
        assay_version: that measured, or imported.
        measured: a suite, or tasks.
        numbers: value by name.
        digest: sha256 of the fingerprints: what exactly was asked.
        url: http(s) address where the run is shown; anything else is left out.
    """
    title = f"{label} on {measured}"
    said = [f"Run {run_id}, begun {created}, kept by assay {assay_version}."]
    said += [f"{', '.join(f'{name} {value:.4f}' for name, value in numbers.items())}."] if numbers else []
    said += [f"Fingerprints: sha256 {digest}."] if digest else []
    facts = {"title": _plain(title), "note": _plain(" ".join(said)), "run_id": _plain(run_id), "date": _date(created)}
    place = _address(url)
    return f"{_bibtex(facts, place)}\n{_cff(facts, place, _plain(assay_version))}"


def of(run: Run, names: Sequence[str]) -> str:
    """The citation of a run.

    Args:
        run: measured or imported.
        names: of tasks; when none is named, every task, and of the numbers the composites where there are some.

    Raises:
        StoreError: the run has no such task.
    """
    tasks = named(run, names)
    values = {t: run.results[t].value for t in tasks}
    means = {c["name"]: c["value"] for c in run.composites if c["value"] is not None and not names}
    return citation(
        label=run.plan.checkpoint.label,
        run_id=run.plan.run_id,
        created=run.plan.created,
        assay_version=run.plan.assay_version,
        measured=", ".join(tasks) if len(tasks) <= FEW else f"{len(tasks)} tasks",
        numbers=means or {t: v for t, v in values.items() if v is not None},
        digest=fingerprint.digest({t: run.results[t].fingerprint for t in tasks}),
    )


def _bibtex(facts: Mapping[str, str], url: str) -> str:
    key = re.sub(r"[^A-Za-z0-9._-]+", "-", facts["run_id"])
    year, _, rest = facts["date"].partition("-")
    fields = {
        "title": "{" + _latex(facts["title"]) + "}",  # the second pair of braces keeps capitals
        "year": year,
        "month": rest.partition("-")[0],
        "note": _latex(facts["note"]),
        "url": url,
    }
    lines = "".join(f"  {name} = {{{text}}},\n" for name, text in fields.items() if text)
    return f"@misc{{assay-{key},\n{lines}}}\n"


def _cff(facts: Mapping[str, str], url: str, version: str) -> str:
    data: dict[str, Any] = {
        "cff-version": "1.2.0",
        "message": "If you use these numbers, please cite the run that they are of.",
        "type": "dataset",
        "title": facts["title"],
        "authors": [{"name": "unknown"}],
        "abstract": facts["note"],
        "identifiers": [{"type": "other", "value": facts["run_id"], "description": f"run of assay {version}"}],
    }
    data |= {"date-released": facts["date"]} if facts["date"] else {}
    data |= {"url": url} if url else {}
    return str(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=10**6))


def _plain(text: str) -> str:
    return UNSEEN.sub(" ", text).strip()


def _latex(text: str) -> str:
    return "".join(LATEX.get(c, c) for c in text)


def _date(created: str) -> str:
    found = re.match(r"\d{4}-\d{2}-\d{2}(?!\d)", created)
    return found[0] if found else ""


def _address(url: str) -> str:
    """The address with all that LaTeX or a reader could trip over percent-encoded; "" for any but http(s)."""
    return quote(url, safe=ADDRESS, errors="replace") if re.match(r"https?://[^/]", url) else ""
