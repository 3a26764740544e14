"""Tokenizers for engines that tokenise themselves: an "id" is a code point, so requests give their text back."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cached_property

from assay.tasks.types import Ids, Tokenizer, Turn


class Verbatim:
    """Text as its own code points; nothing is added to it, and no token of the engine's is known.

    Args:
        identity: of the tokenizer whose chat template is used, or "".
        opened: loads that tokenizer when a template is first asked for; None where there is none.
    """

    kind = "text-1"
    eos_id: int | None = None
    prefix_id: int | None = None
    prefix_space = True

    def __init__(self, identity: str = "", opened: Callable[[], Tokenizer] | None = None) -> None:
        self.identity = f"{self.kind} {identity}" if identity else self.kind
        self._opened = opened

    @cached_property
    def _templated(self) -> Tokenizer | None:
        return self._opened() if self._opened else None

    def encode(self, texts: Sequence[str], *, special: bool) -> list[list[int]]:
        """Code points of each text, whatever `special` says."""
        return [[ord(c) for c in text] for text in texts]

    def decode(self, ids: Ids) -> str:
        """Exactly the text that was encoded."""
        return "".join(map(chr, ids))

    def chat(self, user: str, prefill: str, closing: str) -> str | None:
        """As the model's own tokenizer has it; None without one."""
        return self._templated.chat(user, prefill, closing) if self._templated else None

    def template(self, turns: Sequence[Turn], *, answer: bool) -> str | None:
        """As the model's own tokenizer has it; None without one."""
        return self._templated.template(turns, answer=answer) if self._templated else None


class Turns(Verbatim):
    """For engines that take a chat as messages and apply the template themselves: the text is the messages' JSON."""

    kind = "turns-1"

    def chat(self, user: str, prefill: str, closing: str) -> str | None:
        """The user's turn alone: what begins an answer can't be put into an engine's mouth."""
        return self.template([{"role": "user", "content": user}], answer=True)

    def template(self, turns: Sequence[Turn], *, answer: bool) -> str | None:
        """The turns; whether a last turn of the model's is gone on with is the engine's to decide."""
        return json.dumps([dict(turn) for turn in turns], ensure_ascii=False)


def messages(text: str) -> list[dict[str, str]]:
    """The turns that a text of `Turns` stands for; any other text is one user's turn."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if isinstance(found, list) and found and all(map(_is_turn, found)):
        return found
    return [{"role": "user", "content": text}]


def _is_turn(found: object) -> bool:
    return isinstance(found, dict) and all(isinstance(found.get(key), str) for key in ("role", "content"))
