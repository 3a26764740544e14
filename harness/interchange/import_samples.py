"""Sample lines of lm-eval's as records: one row a document, the values of all its filters together."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.harness.interchange.export_lm_eval import HASHES
from assay.harness.interchange.imported import EMPTY, ForeignFile
from assay.harness.records import utf8

OPTIONS = ("multiple_choice", "loglikelihood")
ROLLING = "loglikelihood_rolling"


@dataclass(frozen=True, slots=True)
class Samples:
    """The samples of one task.

    Attributes:
        rows: records, documents in the file's order.
        hash: over the hashes of every line, as lm-eval's `task_hashes`; None where a line has none.
    """

    rows: Sequence[Mapping[str, Any]]
    hash: str | None

    def demand_whole(self, path: Path, documents: int, wanted: str | None) -> None:
        """Refuse samples that are not those of the results.

        Raises:
            ForeignFile: documents are missing, or differ from those that were scored.
        """
        remedy = "copy it again from where lm-eval wrote it, or move it away to import the results without samples"
        if len(self.rows) < documents:
            raise ForeignFile(
                f"{path}: {len(self.rows)} documents, the results are of {documents}: cut short; {remedy}"
            )
        if wanted and self.hash and wanted != self.hash:
            raise ForeignFile(f"{path}: its hash is {self.hash}, the results name {wanted}: it was changed; {remedy}")


def read_samples(path: Path, names: Sequence[str], kind: str) -> Samples:
    """A file of samples.

    Args:
        path: JSON Lines, one a document and filter.
        names: of the task's metrics, as `metric,filter`, the main one first.
        kind: lm-eval's output type.

    Raises:
        ForeignFile: a line is no sample; names file and line.
    """
    rows: dict[str, dict[str, Any]] = {}
    whole, known = hashlib.sha256(), True
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                sample = json.loads(line)
                _add(rows, sample, names, kind)
                known = known and all(isinstance(sample.get(h), str) for h in HASHES)
                whole.update("".join(sample[h] for h in HASHES).encode() if known else b"")
            except json.JSONDecodeError as error:
                raise ForeignFile(
                    f"{path}:{number}: not JSON ({error}): the file is cut short or damaged: copy it again, or move it "
                    "away to import the results without samples"
                ) from None
            except (
                AttributeError,
                IndexError,
                KeyError,
                OverflowError,
                RecursionError,
                TypeError,
                ValueError,
            ) as error:
                raise ForeignFile(
                    f"{path}:{number}: no sample of lm-eval's ({type(error).__name__}: {error}); a line has doc_id, "
                    "target, resps and filtered_resps"
                ) from None
    return Samples(list(rows.values()), whole.hexdigest() if known and rows else None)


def _add(rows: dict[str, dict[str, Any]], sample: Mapping[str, Any], names: Sequence[str], kind: str) -> None:
    """Begin a document's row, or add what another filter makes of its answer."""
    doc_id, chosen = str(sample["doc_id"]), str(sample.get("filter", "none"))
    row = rows.setdefault(doc_id, {})
    if not row:
        row.update(EMPTY, doc_id=doc_id, **_answer(sample, kind), target=_target(sample["target"], kind), parts=[])
        row["request_sha256"] = f"prompt {sample['prompt_hash']}" if sample.get("prompt_hash") else ""
    found = {n: sample.get(n.partition(",")[0]) for n in names if n.partition(",")[2] == chosen}
    values = {n: float(v) for n, v in found.items() if isinstance(v, (int, float)) and math.isfinite(v)}
    row["parts"] += values.items()
    if names and names[0] in found:
        score = values.get(names[0])
        row.update(score=score, correct=None if score is None else score == 1.0)
        row["extracted"] = None if kind in (*OPTIONS, ROLLING) else _text(sample["filtered_resps"])
        if score is None:
            row["note"] = f"{names[0]}: lm-eval keeps no number of a sample"


def _answer(sample: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Options with their likelihoods, or the text; lm-eval keeps neither tokens nor bytes."""
    answers = sample["resps"]
    if kind == ROLLING:
        return {"options": [_option((a[0], None)) for a in answers], "response": None}
    if kind in OPTIONS:
        return {"options": [_option(a[0] if isinstance(a[0], list) else a) for a in answers], "response": None}
    several = f"the first of {len(answers[0])} answers, which share one score" if len(answers[0]) > 1 else ""
    return {"options": [], "response": _text(answers[0]), "note": several}


def _option(pair: Sequence[Any]) -> dict[str, Any]:
    logprob, greedy = pair
    value = float(logprob)
    known = {"True": True, "False": False}.get(str(greedy))
    return {"logprob": value if math.isfinite(value) else None, "tokens": None, "bytes": None, "greedy": known}


def _text(answers: Any) -> str | None:
    """The text; the first of several, which share one score."""
    while isinstance(answers, list):
        answers = answers[0] if answers else None
    return None if answers is None else utf8(str(answers))


def _target(target: Any, kind: str) -> str:
    """As in our records: JSON, an option's index as a number."""
    if kind == "multiple_choice" and str(target).isdecimal():
        return str(int(target))
    return utf8(json.dumps(str(target), ensure_ascii=False))
