"""What is done to a model's logits while it writes (watched for NaN, turned into draws), and to its text after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assay.tasks.types import Sampled


class Draw:
    """Turns one answer's argmax into a draw: adds Gumbel noise after temperature and top-p (Gumbel-max)."""

    def __init__(self, request: Sampled) -> None:
        import torch

        self._request = request
        self._generator = torch.Generator().manual_seed(request.seed)

    def __call__(self, logits: Any) -> Any:
        """Perturb one step's logits, float32 [vocabulary]."""
        import torch

        logits = _top_p(logits / self._request.temperature, self._request.top_p)
        uniform = torch.rand(logits.shape, generator=self._generator).clamp_min(1e-20).to(logits.device)
        return logits - (-uniform.log()).log()


def _top_p(logits: Any, top_p: float) -> Any:
    """The smallest set of tokens whose probabilities reach `top_p`; -inf elsewhere (Holtzman et al., 2020)."""
    ordered, index = logits.sort(descending=True)
    before = ordered.softmax(-1).cumsum(-1) - ordered.softmax(-1)
    return logits.masked_fill((before >= top_p).scatter(-1, index, before >= top_p), float("-inf"))


def after_reasoning(text: str, mark: str) -> str:
    """What follows the last `mark`, its leading blanks gone; all of it where there is no mark.

    lm-eval 0.4.13, `postprocess_generated_text` with `think_end_token`: before any stop string is looked for.
    """
    return text.rpartition(mark)[2].lstrip() if mark else text


def first_stop(text: str, stop: Sequence[str]) -> int | None:
    """Where the first stop string begins, whichever it is; None where there is none."""
    return min((at for at in map(text.find, filter(None, stop)) if at >= 0), default=None)
