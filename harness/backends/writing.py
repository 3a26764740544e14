"""One answer while a model on this machine writes it: when it is done, and what it then says."""

from __future__ import annotations

import bisect
from collections.abc import Sequence

from assay.harness.backends.decoding import Draw, after_reasoning, first_stop
from assay.harness.backends.tokenizer import HFTokenizer
from assay.tasks.types import Generation, Greedy, Sampled


class Writing:
    """One answer, token by token.

    Attributes:
        draw: perturbs a step's logits, float32 [vocabulary]; None leaves them to argmax.
        done: nothing is to follow.
    """

    def __init__(self, request: Greedy, tokenizer: HFTokenizer, strip_reasoning: str) -> None:
        """Nothing is written yet.

        Args:
            request: what is asked.
            tokenizer: of the model that answers.
            strip_reasoning: the mark up to which the text is dropped; stop strings before it end nothing. "": none.
        """
        self.request = request
        self.draw = Draw(request) if isinstance(request, Sampled) else None
        self.done = False
        self._ids: list[int] = []
        self._broken = False
        self._tokenizer = tokenizer
        self._strip = strip_reasoning
        self._stop = () if strip_reasoning else tuple(filter(None, request.stop))
        self._tail = 2 * max((len(s.encode()) for s in self._stop), default=0) + 16

    def add(self, token: int, *, broken: bool) -> None:
        """Take the next token; `broken`: a logit was not a number, and what would follow means nothing."""
        self._ids.append(token)
        self._broken |= broken
        self.done = (
            self._broken
            or token == self._tokenizer.eos_id
            or len(self._ids) >= self.request.max_tokens
            or self._stops()
        )

    def answer(self) -> Generation:
        """End at end-of-sequence, then before the first stop string; the same whatever else was in the batch."""
        ids, eos = self._ids[: self.request.max_tokens], self._tokenizer.eos_id
        ended = eos in ids
        ids = ids[: ids.index(eos)] if eos is not None and ended else ids
        text = after_reasoning(self._decode(ids), self._strip)
        at = first_stop(text, self.request.stop)
        tokens = len(ids)
        if at is not None and not self._strip:  # else no stop string ended it: they may stand in the reasoning
            tokens = bisect.bisect_left(range(tokens), True, key=lambda n: self._has_stop(ids[:n]))
        return Generation(text=text[:at], stopped=ended or at is not None, tokens=tokens, broken=self._broken)

    def _stops(self) -> bool:
        """Look at the last tokens, which hold any new stop string, and at all where they seem to.

        A token is a byte at least, or a blank or a mark that decoding drops: hence twice the bytes, and 16.
        """
        if not self._stop or not self._has_stop(self._ids[-self._tail :]):
            return False
        return len(self._ids) <= self._tail or self._has_stop(self._ids)

    def _has_stop(self, ids: Sequence[int]) -> bool:
        return first_stop(self._decode(ids), self.request.stop) is not None

    def _decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(ids, blank=self.request.blank)
