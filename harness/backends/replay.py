"""Answers from a file: what `assay samples RUN TASK --json` printed, or lines of task, doc_id and response."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Gt, Le
from pydantic import TypeAdapter, ValidationError

from assay.harness.backends.base import BackendError
from assay.harness.backends.fake import Words
from assay.harness.records import Checkpoint
from assay.tasks.types import Generation, Greedy, Likelihood, LogLikelihood, Tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class _Option:
    tokens: Annotated[int, Gt(0)]
    bytes: Annotated[int, Ge(0)]
    greedy: bool
    logprob: Annotated[float, Le(0)] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    task: str
    doc_id: str
    options: list[_Option] = field(default_factory=list)
    response: str | None = None
    response_tokens: int | None = None
    stopped: bool | None = None


_ROW = TypeAdapter(_Row)


class Replay:
    """Scores what a model said elsewhere; the file's sha256 is its identity."""

    def __init__(self, argument: str) -> None:
        self.ref = f"replay:{argument}"
        path = Path(argument)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise BackendError(f"--model {self.ref}: cannot read the file: {error}") from error
        self._rows = _read(path, content)
        sha = hashlib.sha256(content).hexdigest()
        self.identity = {
            "model": f"replay {sha}",
            "engine": "assay replay 1",
            "tokenizer": Words.identity,
        }
        self.checkpoint = Checkpoint(label=path.stem)
        self.tokenizer: Tokenizer = Words()

    def load(self) -> None:
        """Nothing more to load."""

    def likelihoods(self, requests: Sequence[LogLikelihood]) -> list[Likelihood]:
        """The recorded options of each document.

        Raises:
            BackendError: a document or option is not in the file.
        """
        answers = []
        for r in requests:
            key, _, number = r.key.rpartition("#")
            options = self._row(key).options
            if int(number) >= len(options):
                raise BackendError(f"{self.ref}: {key} has {len(options)} options, option {number} was asked")
            o = options[int(number)]
            logprob = float("nan") if o.logprob is None else o.logprob
            answers.append(Likelihood(logprob=logprob, tokens=o.tokens, nbytes=o.bytes, greedy=o.greedy))
        return answers

    def generate(self, requests: Sequence[Greedy]) -> list[Generation]:
        """The recorded text of each document.

        Raises:
            BackendError: a document is not in the file, or has no text.
        """
        answers = []
        for r in requests:
            row = self._row(r.key)
            if row.response is None:
                raise BackendError(f"{self.ref}: {r.key} has no 'response' text")
            tokens = row.response_tokens if row.response_tokens is not None else len(row.response.split())
            answers.append(Generation(text=row.response, stopped=row.stopped is not False, tokens=tokens))
        return answers

    def _row(self, key: str) -> _Row:
        if key not in self._rows:
            raise BackendError(
                f"{self.ref}: no answer for {key}; ask only what the file covers, with --limit or --docs"
            )
        return self._rows[key]


def _read(path: Path, content: bytes) -> dict[str, _Row]:
    rows: dict[str, _Row] = {}
    for number, line in enumerate(content.rstrip(b"\n").split(b"\n"), 1):
        try:
            row = _ROW.validate_json(line)
        except ValidationError as error:
            fault = error.errors()[0]
            key = ".".join(map(str, fault["loc"])) or "the line"
            raise BackendError(
                f"{path}:{number}: no sample: {key}: {fault['msg']}; lines need task, doc_id, and options or response"
            ) from None
        key = f"{row.task}/{row.doc_id}"
        if key in rows:
            raise BackendError(f"{path}:{number}: {key} stands twice in this file")
        rows[key] = row
    return rows
