"""Models that are not models: to test a task, a pipeline or a gate without weights. Shipped, not mocked.

`oracle` knows every answer and must score exactly 1, but where lm-eval's filters want a phrase around it.
`corrupted:SHARE` is the oracle, wrong on that share of the samples. `random:SEED` guesses. `constant` finds every
option equally likely, which a sound harness must notice.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Sequence

from assay.harness.backends.base import BackendError
from assay.harness.records import Checkpoint
from assay.tasks.spec import TaskSpec
from assay.tasks.types import Form, Generation, Greedy, Likelihood, LogLikelihood, Sample, Tokenizer, Turn

RIGHT, WRONG = -0.1, -10.0
"""Nats a token that a fake gives an option it believes in, and one it doesn't."""
NONSENSE = "zzqx"


class Words:
    """A tokenizer for fakes: one id a word with the blanks before it, one BOS at the front."""

    identity = "words-1"
    eos_id: int | None = None
    prefix_id: int | None = 1
    prefix_space = False

    def encode(self, texts: Sequence[str], *, special: bool) -> list[list[int]]:
        """crc32 of each word, in 31 bits; BOS is 1."""
        return [[1] * special + [zlib.crc32(w.encode()) >> 1 for w in re.findall(r"\s*\S+|\s+$", t)] for t in texts]

    def chat(self, user: str, prefill: str, closing: str) -> str | None:
        """The two turns, one after the other."""
        return f"{user}\n{prefill}"

    def template(self, turns: Sequence[Turn], *, answer: bool) -> str | None:
        """What was said, a line a turn."""
        return "\n".join(turn["content"] for turn in turns)


class Fake:
    """What the fakes share: a name, a tokenizer, and a guess per request that `believes` decides."""

    scheme = "fake"

    def __init__(self, argument: str) -> None:
        self.ref = f"{self.scheme}:{argument}" if argument else self.scheme
        self.identity = {"model": self.ref, "engine": "assay fakes 1", "tokenizer": Words.identity}
        self.checkpoint = Checkpoint(label=self.ref)
        self.tokenizer: Tokenizer = Words()
        self._samples: dict[str, Sample] = {}
        self._form: Form = "completion"

    def load(self) -> None:
        """Nothing to load."""

    def study(self, spec: TaskSpec, samples: Sequence[Sample]) -> None:
        """Remember what is being asked; earlier samples are forgotten. Code is answered with whole programs."""
        self._form = "program" if spec.code else "completion"
        self._samples = {f"{spec.name}/{s.doc_id}": s for s in samples}

    def believes(self, key: str, sample: Sample, option: int) -> bool:
        """Whether it holds this option (of a generation or continuation: the right answer) to be right."""
        raise NotImplementedError("each fake decides for itself")

    def likelihoods(self, requests: Sequence[LogLikelihood]) -> list[Likelihood]:
        """RIGHT nats a token where it believes, WRONG elsewhere."""
        answers = []
        for r in requests:
            key, _, option = r.key.rpartition("#")
            belief = self.believes(key, self._samples[key], int(option))
            answers.append(_likelihood(r, RIGHT if belief else WRONG, belief))
        return answers

    def generate(self, requests: Sequence[Greedy]) -> list[Generation]:
        """The first accepted answer where it believes, nonsense elsewhere."""
        return [
            Generation(text=text, stopped=True, tokens=len(text.split()), form=self._form)
            for text in map(self._say, requests)
        ]

    def _say(self, request: Greedy) -> str:
        sample = self._samples[request.key.partition("#")[0]]
        if isinstance(sample.target, tuple) and self.believes(request.key, sample, 0):
            return sample.target[0]
        return NONSENSE


def _likelihood(r: LogLikelihood, nats: float, greedy: bool) -> Likelihood:
    n = len(r.continuation_ids)
    return Likelihood(logprob=nats * n, tokens=n, nbytes=len(r.text.encode()), greedy=greedy)


class Oracle(Fake):
    """Right on every sample."""

    scheme = "oracle"

    def __init__(self, argument: str) -> None:
        _demand_none(self.scheme, argument)
        super().__init__(argument)

    def believes(self, key: str, sample: Sample, option: int) -> bool:
        """The target, and nothing else."""
        return option == sample.target if isinstance(sample.target, int) else True


class Corrupted(Fake):
    """The oracle, wrong on a share of the samples that their keys' hashes pick."""

    scheme = "corrupted"

    def __init__(self, argument: str) -> None:
        super().__init__(argument)
        self._share = _number(self.ref, argument, 0.0, 1.0)

    def believes(self, key: str, sample: Sample, option: int) -> bool:
        """The target, or on a corrupted sample the option before it."""
        right = _unit(key) >= self._share
        if not isinstance(sample.target, int):
            return right
        if right:
            return option == sample.target
        return option == (sample.target - 1 if sample.target else 1)


class Random(Fake):
    """Guesses: an independent likelihood for every option, decided by the seed and the request's key."""

    scheme = "random"

    def __init__(self, argument: str) -> None:
        super().__init__(argument or "0")
        if not (argument or "0").isdecimal():
            raise BackendError(f"--model {self.ref}: the seed after the colon must be a whole number")

    def likelihoods(self, requests: Sequence[LogLikelihood]) -> list[Likelihood]:
        """Uniform in (WRONG, 0] nats a token; never greedy."""
        return [_likelihood(r, WRONG * _unit(f"{self.ref}/{r.key}"), greedy=False) for r in requests]

    def _say(self, request: Greedy) -> str:
        return NONSENSE + hashlib.sha256(f"{self.ref}/{request.key}".encode()).hexdigest()[:8]


class Constant(Fake):
    """Every continuation is equally likely, token for token."""

    scheme = "constant"

    def __init__(self, argument: str) -> None:
        _demand_none(self.scheme, argument)
        super().__init__(argument)

    def believes(self, key: str, sample: Sample, option: int) -> bool:
        """Nothing, so every option gets the same."""
        return False


def _unit(text: str) -> float:
    """A number in [0, 1) that only the text decides."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big") / 2**56


def _demand_none(scheme: str, argument: str) -> None:
    if argument:
        raise BackendError(f"--model {scheme}:{argument}: '{scheme}' takes nothing after it")


def _number(ref: str, text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise BackendError(f"--model {ref}: needs a number from {low:g} to {high:g} after the colon")
    return value
