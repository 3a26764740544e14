"""Canonical JSON and sha256 over an allow-list of fields: equal fingerprints mean comparable numbers."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
from array import array
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from assay.tasks.selection import DocRange
from assay.tasks.spec import TaskSpec
from assay.tasks.types import Document, LogLikelihood

CHECKER = "assay-1 (llm-foundry 0.9.0 semantics)"
"""Bump with any change to rendering or scoring that can move a number."""

MEASURED = (
    "name",
    "version",
    "kind",
    "shots",
    "seed",
    "prelimiter",
    "example_delimiter",
    "continuation_delimiter",
    "cot_delimiter",
    "stop",
    "categories",
    "seam",
    "max_length",
)
"""What of a spec decides a score. Baselines, licences, skills and URLs don't."""
CODE_DRAWS = ("n", "temperature", "top_p", "seed", "plain")
CHAT_DRAWS = ("chat", "turns", "system")


def canonical(value: Any) -> str:
    """JSON with sorted keys and no blanks: one text per value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(value: Any) -> str:
    """sha256 of the canonical JSON, in hex."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """sha256 of a file's content, in hex."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def task(spec: TaskSpec, git_blob: str, docs: DocRange) -> str:
    """What a task's number depends on besides the model: its spec, its rows, which of them, and the checker."""
    fields = {name: getattr(spec, name) for name in MEASURED}
    if spec.code:
        fields |= {"code": dataclasses.asdict(spec.code), "draws": _chosen(spec, CODE_DRAWS)}
    if spec.lm_eval:
        given = dataclasses.asdict(spec.lm_eval) | {
            "include": None,
            "text": None,
        }  # what lies there is hashed, not where
        fields |= {"lm_eval": given, "mean": spec.mean, "draws": _chosen(spec, CHAT_DRAWS)}
        fields |= {"engine": f"lm-eval {importlib.metadata.version('lm-eval')}"}
    return digest({"spec": fields, "data": git_blob, "docs": docs.key, "checker": CHECKER})


def _chosen(spec: TaskSpec, names: Iterable[str]) -> dict[str, Any]:
    return {n: getattr(spec.draws, n) for n in names}


def graded(planned: str, checker: Mapping[str, str]) -> str:
    """A task's fingerprint once it is known who judged it: for code, the image and the cell count too."""
    return digest([planned, dict(checker)]) if checker else planned


def ids_sha256(ids: Iterable[int]) -> str:
    """sha256 of ids as decimal numbers joined by commas."""
    return hashlib.sha256(",".join(map(str, ids)).encode()).hexdigest()


def request(document: Document) -> str:
    """sha256 over everything asked of one document, options in order: each list of ids as int32 after its length."""
    whole = hashlib.sha256()
    for r in document.requests:
        asked = (r.context_ids, r.continuation_ids) if isinstance(r, LogLikelihood) else (r.prompt_ids, (r.max_tokens,))
        for ids in asked:
            whole.update(array("i", (len(ids),)))
            whole.update(array("i", ids))
    return whole.hexdigest()
