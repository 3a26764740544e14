"""HumanEval+ and MBPP+ as evalplus 0.3.1 asks them: prompts, stop strings, sanitised solutions, inputs of the calls."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from assay.tasks.types import Row

MAX_NEW_TOKENS = 768

END = ("<|endoftext|>", "<|endofmask|>", "</s>", "\nif __name__", "\ndef main(", "\nprint(")
"""Where every kind of answer ends: `EOS` of evalplus.provider.utility, and of BigCodeBench's."""

HUMANEVAL_STOP = (*END, "\ndef ", "\nclass ", "\nimport ", "\nfrom ", "\nassert ")
MBPP_STOP = (*END, '\n"""', "\nassert")
CHAT_STOP = (*END, "\n```\n")

INSTRUCTION = (
    "Please provide a self-contained Python script that solves the following problem in a markdown code block:"
)
RESPONSE = (
    "Below is a Python script with a self-contained function that solves the problem and passes corresponding tests:"
)

MOST_LINES = 400
"""Lines of an answer that are looked at: the sanitiser parses every range of lines, 400 of them take it 15 s or so.

The longest of the reference samples, prompt included, have 156 lines (evalplus) and 271 (BigCodeBench).
"""

MOST_CHARACTERS = 40_000
"""Characters of an answer that are looked at; the longest of the reference samples has 8,000."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One task of HumanEval+ or MBPP+.

    Attributes:
        doc_id: upstream's `task_id`.
        prompt: what a model is given to go on from.
        canonical: the reference solution as evalplus runs it, a whole program.
        atol: absolute tolerance for the first input, see `assay.tasks.code.judge`.
        base: one list of arguments per call of the original benchmark's tests.
        plus: likewise for the tests that evalplus adds; MBPP/793 has none.
    """

    doc_id: str
    prompt: str
    entry_point: str
    canonical: str
    atol: float
    base: tuple[list[Any], ...]
    plus: tuple[list[Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """A chat whose last turn the model goes on with.

    Attributes:
        user: what the user says.
        prefill: how the assistant's turn begins. Upstream renders it with a mark and `closing` after it and cuts the
            text at the mark: a template that trims a turn must not eat the fence's line break.
        closing: what would end the assistant's turn.
    """

    user: str
    prefill: str
    closing: str = "\n```\n"


def humaneval_plus(row: Row) -> Problem:
    """The problem in one row of HumanEvalPlus v0.1.10."""
    return _problem(row, row["base_input"], row["plus_input"])


def mbpp_plus(row: Row) -> Problem:
    """The problem in one row of MbppPlus v0.2.0, its inputs made tuples, sets and complex numbers again by evalplus."""
    from evalplus.data.mbpp import mbpp_deserialize_inputs  # type: ignore[import-untyped, unused-ignore]

    task = row["task_id"]
    return _problem(
        row, mbpp_deserialize_inputs(task, row["base_input"]), mbpp_deserialize_inputs(task, row["plus_input"])
    )


def _problem(row: Row, base: Iterable[Iterable[Any]], plus: Iterable[Iterable[Any]]) -> Problem:
    return Problem(
        doc_id=row["task_id"],
        prompt=prompt(row),
        entry_point=row["entry_point"],
        canonical=row["prompt"] + row["canonical_solution"],
        atol=float(row["atol"]),
        base=tuple(list(arguments) for arguments in base),
        plus=tuple(list(arguments) for arguments in plus),
    )


def prompt(row: Row) -> str:
    """The text a base model goes on from: evalplus's `codegen` strips it and adds one line break."""
    return str(row["prompt"]).strip() + "\n"


def chat_messages(row: Row) -> Chat:
    """The same for a chat model: evalplus's `make_raw_chat_prompt`. The prompt is not part of the solution then."""
    return Chat(user=f"{INSTRUCTION}\n```\n{prompt(row).strip()}\n```\n", prefill=f"{RESPONSE}\n```python\n")


def cut(text: str, stop: Iterable[str]) -> str:
    """The text up to the first place where any of the stop strings begins."""
    return text[: min((at for s in stop if (at := text.find(s)) >= 0), default=len(text))]


def solution(prompt: str, completion: str, stop: Iterable[str]) -> str:
    """The program a completion amounts to, before it is sanitised: cut, then each tab four spaces.

    For a chat model `prompt` is "". evalplus's HuggingFace decoder also cuts what has no stop string at 10,000
    characters, its vLLM decoder does not; nor is it done here.
    """
    return prompt + cut(completion, stop).replace("\t", "    ")


def sanitise(code: str, entry_point: str) -> str:
    """The part of an answer that counts: evalplus 0.3.1's `sanitize`, guarded by `guarded`."""

    def upstream(text: str) -> str:
        from evalplus.sanitize import sanitize  # type: ignore[import-untyped, unused-ignore]

        return str(sanitize(text, entry_point))

    return guarded(upstream, code)


def guarded(sanitiser: Callable[[str], str], code: str) -> str:
    """Sanitise an answer of any length or content.

    Upstream's sanitisers take time in the cube of the lines: whatever line ends beyond 40,000 characters or comes after
    400 others, is dropped first. They raise where Python's parser does on other than bad syntax (a null byte, half a
    surrogate pair, nesting too deep): such text comes back as it was, and simply won't run.
    """
    whole = code if len(code) <= MOST_CHARACTERS else code[:MOST_CHARACTERS].rpartition("\n")[0]
    bounded = "\n".join(whole.split("\n")[:MOST_LINES])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the parsed text's own, "\d" say
            return sanitiser(bounded)
    except (ValueError, RecursionError):
        return code
