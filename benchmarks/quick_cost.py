"""What each task costs a model, for benchmarks/quick.py: the entries of its TOKENS.

    python benchmarks/quick_cost.py CHECKPOINT

Needs $ASSAY_DATA, and of the checkpoint only its tokenizer. A task's cost is the tokens of its forward passes, from a
seeded sample of its rows; `*` marks a task whose every option is a single letter.
"""

import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from assay.harness.backends.tokenizer import HFTokenizer
from assay.tasks import datasets, render
from assay.tasks.registry import open_registry
from assay.tasks.selection import DocRange
from assay.tasks.spec import TaskSpec
from assay.tasks.types import Document, Greedy, LogLikelihood

SAMPLED_ROWS = 200


def measure(spec: TaskSpec, tokenizer: HFTokenizer) -> tuple[float, bool]:
    """Million tokens, and whether every option is a single letter."""
    parts = datasets.parts(spec, datasets.load(spec).rows)
    limit, total, letters = -(-SAMPLED_ROWS // len(parts)), 0.0, spec.kind == "multiple_choice"
    for part in parts:
        prompts = list(render.prompts(spec, part, DocRange(limit=limit)))
        most = render.max_new_tokens(spec, part, tokenizer)
        asked = [forwarded(d) for d in render.tokenise(spec, prompts, tokenizer, most)]
        total += sum(asked) * len(part.rows) / len(prompts) / 1e6
        letters &= all(re.fullmatch("[A-Z]", c) for p in prompts for c in p.continuations)
    return total, letters


def forwarded(document: Document) -> int:
    """Tokens that a model is run on: options that differ in their last token only share a pass."""
    passes = {(*r.context_ids, *r.continuation_ids[:-1]) for r in document.requests if isinstance(r, LogLikelihood)}
    written = [len(r.prompt_ids) + r.max_tokens for r in document.requests if isinstance(r, Greedy)]
    return sum(map(len, passes)) + sum(written)


def entries(folder: Path) -> Iterator[str]:
    """Of every task of EXTENDED whose data is here."""
    registry, tokenizer = open_registry(), HFTokenizer(folder, str(folder))
    for name in sorted(registry.suites["dclm-extended"].tasks):
        try:
            tokens, letters = measure(registry.tasks[name], tokenizer)
        except datasets.NoData:
            continue
        yield f"{name}{'*' * letters} {tokens:.2f}"


if __name__ == "__main__":
    print("\n".join(textwrap.wrap("  ".join(entries(Path(sys.argv[1]))), 118)))
