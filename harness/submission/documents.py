"""What the pinned data say that a task asks, and whether records of strangers are of just that."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from assay.harness.submission.vetting import Fault, faults, mask, options
from assay.tasks import datasets, render
from assay.tasks.selection import DocRange
from assay.tasks.spec import Draws, TaskSpec
from assay.tasks.types import Sample


@dataclass(frozen=True, slots=True)
class Document:
    """What the pinned data say of one document; `sizes` are the UTF-8 bytes of each option, None where not known."""

    sample: Sample
    sizes: tuple[int, ...] | None


@lru_cache(maxsize=1)
def documents(spec: TaskSpec, docs: DocRange) -> Mapping[str, Document]:
    """Every document that a run over these rows asks, by `doc_id`.

    Raises:
        UserError: the rows are not here, or not the pinned ones.
    """
    bare = replace(spec, shots=0, draws=Draws())  # examples and templates change neither sample nor options
    found: dict[str, Document] = {}
    for part in datasets.parts(bare, datasets.load(bare).rows):
        if bare.lm_eval:
            from assay.tasks import lm_eval_tasks

            samples = (lm_eval_tasks.sample(bare, part, i) for i in docs.rows(len(part.rows), part.group))
            found |= {s.doc_id: Document(s, None) for s in samples}
        else:
            for prompt in render.prompts(bare, part, docs):
                sizes = tuple(len(c.encode()) for c in prompt.continuations)
                found[prompt.sample.doc_id] = Document(prompt.sample, sizes)
    return found


def as_in_data(t: pa.Table, known: Mapping[str, Document], *, whole: bool) -> Iterator[Fault]:
    """Whether the records are of the documents that were to be asked, with their targets, and of all when `whole`."""
    ids = t["doc_id"].to_pylist()
    found = [known.get(d) for d in ids]
    if whole and (missing := known.keys() - set(ids)):
        yield Fault(f"{len(missing):,} of {len(known):,} documents that were to be asked are not there")
    if None in found:
        yield from faults([("its document is not among those to be asked", np.array([d is None for d in found]))])
        return
    have = [d for d in found if d is not None]
    for name, wanted in (
        ("target", [json.dumps(d.sample.target, ensure_ascii=False) for d in have]),
        ("group", [d.sample.group for d in have]),
        ("cluster", [d.sample.cluster for d in have]),
    ):
        yield from faults([(f"its {name} is not the data's", pc.not_equal(t[name], pa.array(wanted, pa.string())))])
    if have and have[0].sizes is not None:
        yield from _as_long(t, [d.sizes or () for d in have])


def _as_long(t: pa.Table, wanted: Sequence[tuple[int, ...]]) -> Iterator[Fault]:
    """Whether the options are as many, and as many bytes, as the data's."""
    asked = mask(pc.not_equal(t["status"], "infra_error"))
    counts = options(t)[0]
    as_many = counts == np.array([len(w) for w in wanted])
    yield from faults([("it has more or fewer options than the data", asked & ~as_many)])
    sizes = pc.struct_field(pc.list_flatten(t["options"].combine_chunks()), "bytes").to_numpy(zero_copy_only=False)
    inside, row = np.repeat(as_many, counts), np.repeat(np.arange(len(t)), counts)
    expected = np.fromiter(chain.from_iterable(w for w, fits in zip(wanted, as_many, strict=True) if fits), float)
    odd = np.zeros(len(t), dtype=bool)
    odd[row[inside][sizes[inside] != expected]] = True
    yield from faults([("its options are of other lengths than the data's", asked & odd)])


def as_many(t: pa.Table, spec: TaskSpec, docs: DocRange, *, whole: bool) -> Iterator[Fault]:
    """The same without the data, as far as the table of tasks tells: how many documents, and which rows."""
    ids = list(dict.fromkeys(t["doc_id"].to_pylist()))
    if not (spec.categories or spec.code or spec.lm_eval):
        if ids != list(map(str, docs.rows(spec.rows))):
            yield Fault(f"its documents are not the {len(docs.rows(spec.rows)):,} that were to be asked")
        return
    if spec.categories:
        groups = np.array([d.rpartition("/")[0] if d else None for d in t["doc_id"].to_pylist()], dtype=object)
        yield from faults([("its group is not its document's", groups != np.array(t["group"].to_pylist(), object))])
    if spec.lm_eval or (spec.categories and docs != DocRange()):
        return  # lm-eval leaves documents out; and how large each category is only the data tell
    wanted = len(docs.rows(spec.rows))
    if len(ids) > wanted or (whole and len(ids) < wanted):
        yield Fault(f"it has {len(ids):,} documents, {wanted:,} were to be asked")
