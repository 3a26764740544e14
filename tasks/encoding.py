"""Texts to token ids: asked of the tokenizer in batches, and cut where lm-eval 0.4.13 cuts them."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

from assay.tasks.types import Ids, Tokenizer


class Encoded:
    """Texts and their ids; asks the tokenizer once for all that were added since the last look."""

    def __init__(self, tokenizer: Tokenizer, *, special: bool) -> None:
        self._tokenizer, self._special = tokenizer, special
        self._ids: dict[str, array[int] | None] = {}

    def add(self, *texts: str) -> None:
        """Texts that will be looked up."""
        for text in texts:
            self._ids.setdefault(text)

    def __getitem__(self, text: str) -> array[int]:
        if self._ids[text] is None:
            fresh = [t for t, ids in self._ids.items() if ids is None]
            encoded = self._tokenizer.encode(fresh, special=self._special)
            self._ids.update((t, array("i", ids)) for t, ids in zip(fresh, encoded, strict=True))
        ids = self._ids[text]
        if ids is None:
            raise KeyError(text)
        return ids


def without_eos(ids: array[int], tokenizer: Tokenizer) -> array[int]:
    """A tokenizer that ends every text with EOS must not end ours (`_fix_eos_on_preamble`); a lone id stays."""
    return ids[:-1] if len(ids) > 1 and ids[-1] == tokenizer.eos_id else ids


def joint_texts(contexts: Sequence[str], continuations: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(whole text, its beginning up to the answer): trailing whitespace of a question goes to its answer."""
    for i, context in enumerate(contexts):
        start = context.rstrip() if continuations else context
        yield (context + continuations[i] if continuations else context), start


def joint(
    contexts: Sequence[str], continuations: Sequence[str], tokenizer: Tokenizer, heads: Encoded, tails: Encoded
) -> Iterator[tuple[Ids, Ids]]:
    """The question's own ids, and what follows that many in the ids of question and answer as one text.

    Where a token spans the seam the two don't add up to the whole; kept as lm-eval 0.4.13 has it (`_encode_pair`).
    Without a question the answer stands after the tokenizer's prefix id (`TemplateLM.loglikelihood`).
    """
    prefix = array("i", () if tokenizer.prefix_id is None else (tokenizer.prefix_id,))
    for whole, start in joint_texts(contexts, continuations):
        if continuations and not start:
            yield prefix, tails[whole]
            continue
        context = without_eos(heads[start], tokenizer)
        yield context, without_eos(heads[whole], tokenizer)[len(context) :]


def rolling(ids: array[int], prefix_id: int | None, longest: int) -> Iterator[tuple[Ids, Ids]]:
    """Windows of at most `longest` ids that predict every id of a text once (`get_rolling_token_windows`).

    The first stands after the tokenizer's prefix id, each other after as much of the text as fits beside one more
    window of answers, which is one id: lm-eval's `context_len=1`.
    """
    if not len(ids):
        return
    yield array("i", () if prefix_id is None else (prefix_id,)), ids[:longest]
    done = min(longest, len(ids))
    while done < len(ids):
        end = min(done + longest, len(ids))
        yield ids[max(0, end - longest - 1) : done], ids[done:end]
        done = end
