"""One task of a submitted run: which rules apply to it, what they find, and that nothing it holds can stop the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from assay.harness import fingerprint, runner, session
from assay.harness.submission import documents, opening, recomputing, vetting
from assay.harness.submission.claims import CHANGED, Claim
from assay.harness.submission.documents import Document
from assay.harness.submission.findings import Finding
from assay.harness.submission.recomputing import differences
from assay.harness.submission.vetting import Fault
from assay.tasks import aggregate, datasets
from assay.tasks.aggregate import CompositeScore
from assay.tasks.datasets import Loaded
from assay.tasks.registry import Registry
from assay.tasks.selection import DocRange
from assay.tasks.spec import TaskSpec
from assay.tasks.types import UserError

MOST_ROWS, MOST_DRAWS = 5_000_000, 1_000
MOST_FAULTS = 10
"""That are said of one task: whoever has mended them sees the rest."""
EQUAL = "recomputed from its samples and equal: items, verdicts, number, interval, groups"
MEANS = "its number, interval and groups are the means of its samples"
AGGREGATES = "aggregates only: no claim about samples"
NO_DATA = "its pinned data are not here: targets are taken as recorded"
AS_RECORDED = "verdicts on what was written are taken as recorded"
FETCH = "put them under $ASSAY_DATA, or run 'assay data fetch', and validate again"


@dataclass(frozen=True, slots=True)
class Basis:
    """What a claim can be held against.

    Attributes:
        spec: whose rules apply; None where the task is not known here, or is another version.
        known: the documents that it asks, where its pinned data are here.
        categories: of the task, where its data are here.
        doubts: what keeps it from more.
    """

    spec: TaskSpec | None = None
    known: Mapping[str, Document] | None = None
    categories: Sequence[str] = ()
    doubts: Sequence[Finding] = ()


def examine(claim: Claim, registry: Registry) -> Iterator[Finding]:
    """Everything to be said of a claim. Nothing in its files makes this raise."""
    try:
        yield from _task(claim, registry) if claim.task else _composites(claim, registry)
    except ImportError as error:
        yield claim.says("warn", f"not recomputed: {error.name} is not installed", "install it and validate again")
    except Exception as error:  # files of strangers: whatever they make of a rule, of lm-eval or of Arrow
        yield claim.says("fail", f"could not be checked: {type(error).__name__}: {error}", CHANGED)


def _task(claim: Claim, registry: Registry) -> Iterator[Finding]:
    result = claim.result
    if result.value is None:
        yield claim.says("warn", f"has no score ({result.status}): it counts as missing")
    elif result.fingerprint != fingerprint.graded(claim.run.plan.tasks[claim.task], result.checker):
        yield claim.says("fail", "its fingerprint is not that of its plan and its checker", CHANGED)
    elif not result.fingerprint:
        yield claim.says("fail", "it has a number, and the plan had no data for it", CHANGED)
    yield from _uncentred(claim, registry)
    if not result.samples_sha256:
        if result.value is not None:
            yield claim.says("warn", AGGREGATES, "send the samples too, and they are recomputed")
        return
    basis = _basis(claim, registry)
    yield from basis.doubts
    try:
        t = opening.read(claim.run.path / "samples" / f"{claim.task}.parquet", _most_rows(basis.spec))
    except UserError as error:
        yield _at(claim, Fault(str(error)))
        return
    found = [_at(claim, f) for f in _faults(claim, registry, basis, t)]
    found = found or [
        claim.says("fail", f.what, CHANGED) if f.row is None else _at(claim, f) for f in _unequal(claim, basis, t)
    ]
    yield from found[:MOST_FAULTS]
    if not found:
        yield from _passed(claim, basis)


def _uncentred(claim: Claim, registry: Registry) -> Iterator[Finding]:
    """A centred score is its number and the table's baseline; a number that is no mean of samples may have none."""
    spec, value = registry.tasks.get(claim.task), claim.result.value
    if spec and spec.baseline and value is not None:
        for name, percent in (("centred_v1", spec.baseline.v1), ("centred_v2", spec.baseline.v2)):
            claimed = getattr(claim.result, name)
            if claimed is None and spec.lm_eval:
                continue
            for text in differences(claimed, aggregate.centre(value, percent), name):
                yield claim.says("fail", text.replace("its samples", "its value and the baseline"), CHANGED)


def _at(claim: Claim, fault: Fault) -> Finding:
    row = "" if fault.row is None else f":{fault.row}"
    file = f"{claim.name}/samples/{claim.task}.parquet{row}"
    return Finding(level="fail", where=file, what=fault.what, remedy=CHANGED)


def _most_rows(spec: TaskSpec | None) -> int:
    if spec is None:
        return MOST_ROWS
    return min(MOST_ROWS, spec.rows * MOST_DRAWS) if spec.code or spec.lm_eval else spec.rows


def _basis(claim: Claim, registry: Registry) -> Basis:
    """Whether the registry's spec, and the data here, are those that the run was planned with."""
    plan = claim.run.plan
    if claim.foreign:
        return Basis(doubts=[claim.says("warn", "imported: the rules of the tool that measured it are not applied")])
    if claim.task not in registry.tasks:
        remedy = "pass the --tasks-dir that has its spec"
        return Basis(doubts=[claim.says("warn", "no task of this registry: its rules are not applied", remedy)])
    spec, docs = registry.tasks[claim.task], DocRange(*plan.docs)
    if spec.code or spec.lm_eval:
        spec = replace(spec, draws=session.parse_draws(plan.options))
    loaded, absent = _loaded(spec, claim)
    pins = {loaded.git_blob} if loaded else set()
    if not datasets.beside(spec):  # where there are, only the data tell what they hash to together
        pins |= {spec.data.git_blob} | ({spec.data.rebuilt.git_blob} if spec.data.rebuilt else set())
    planned = [b for b in pins if fingerprint.task(spec, b, docs) == plan.tasks[claim.task]]
    if pins and not planned:
        what = "another version of the task, its data or its rules than this assay has: they are not applied"
        return Basis(doubts=[claim.says("warn", what, "measure with the assay that validates, or say why not")])
    if loaded is None or loaded.git_blob not in planned:
        doubts = absent or [claim.says("warn", NO_DATA, FETCH)]
        return Basis(spec=spec if planned and not spec.lm_eval else None, doubts=doubts)
    categories = [p.group for p in datasets.by_category(spec, loaded.rows)]
    return Basis(spec=spec, known=documents.documents(spec, docs), categories=categories)


def _loaded(spec: TaskSpec, claim: Claim) -> tuple[Loaded | None, list[Finding]]:
    try:
        return datasets.load(spec), []
    except datasets.NoData:
        return None, []
    except UserError as error:  # this machine's copy, not the submission
        return None, [claim.says("warn", f"its data here can't be used: {error}", FETCH)]


def _faults(claim: Claim, registry: Registry, basis: Basis, t: pa.Table) -> Iterator[Fault]:
    """What is wrong with the records; what every record must be comes first, and alone."""
    spec, result, docs = basis.spec, claim.result, DocRange(*claim.run.plan.docs)
    of_lm_eval = spec.lm_eval is not None if spec else bool(result.metrics and not recomputing.of_programs(result))
    odd = list(vetting.faults(vetting.consistent(t, imported=claim.foreign, fractions=not of_lm_eval)))
    if claim.task in registry.tasks and registry.tasks[claim.task].data.protected:
        odd += vetting.faults(vetting.without_text(t))
    if odd or spec is None:
        yield from odd
        return
    whole = result.value is not None and not (result.status == "partial" and spec.code)
    if basis.known is None:
        yield from documents.as_many(t, spec, docs, whole=whole)
    else:
        yield from documents.as_in_data(t, basis.known, whole=whole)
    if spec.code:
        yield from vetting.faults(vetting.programs(t, spec.code.part))
    elif not spec.lm_eval:
        yield from vetting.faults([("a second answer, and the task takes one", pc.not_equal(t["draw"], 0))])
        yield from vetting.judged_again(spec, t)


def _unequal(claim: Claim, basis: Basis, t: pa.Table) -> Iterator[Fault]:
    """What is claimed and not given by the records; of a task without a score nothing is claimed."""
    spec, result = basis.spec, claim.result
    if result.value is None:
        return
    if spec is None:
        yield from map(Fault, recomputing.by_means(t, result))
    elif spec.lm_eval and basis.known is not None:
        samples = {d: known.sample for d, known in basis.known.items()}
        yield from recomputing.by_lm_eval(spec, t, result, samples, basis.categories)
    else:
        categories = basis.categories or sorted(set(t["group"].to_pylist()))
        yield from map(Fault, recomputing.by_rule(spec, t, result, categories))


def _passed(claim: Claim, basis: Basis) -> Iterator[Finding]:
    """What was checked, and what can't be."""
    spec, result = basis.spec, claim.result
    if result.value is None:
        return
    programs = recomputing.of_programs(result)
    odd = [] if spec or programs else [m for m in result.metrics if not recomputing.is_mean(m)]
    if odd:
        yield claim.says("warn", f"taken as claimed, being no means of samples: {', '.join(odd)}")
    if programs or (spec and spec.lm_eval and not recomputing.judged_again(spec, basis.categories)):
        yield claim.says("warn", AS_RECORDED, "'assay grade RUN' runs programs again" if programs else "")
    if spec:
        yield claim.says("pass", EQUAL)
    elif not any(recomputing.same(result.value, result.metrics[m]) for m in odd):
        yield claim.says("pass", MEANS)


def _composites(claim: Claim, registry: Registry) -> Iterator[Finding]:
    """Composites from the tasks' numbers."""
    run = claim.run
    found = {c.name: c for c in runner.composites(registry, list(run.plan.tasks), run.results)}
    claimed = {str(c["name"]): CompositeScore(**c) for c in run.composites}
    known = [name for name in claimed if name in found]
    unequal = [text for name in known for text in differences(_values(claimed[name]), _values(found[name]), name)]
    unequal += [f"composite {name} is left out" for name in found if name not in claimed]
    yield from (claim.says("fail", t.replace("its samples", "its tasks"), CHANGED) for t in unequal[:MOST_FAULTS])
    if others := [name for name in claimed if name not in found]:
        yield claim.says("warn", f"composites of groups that are not known here, taken as claimed: {', '.join(others)}")
    if known and not unequal:
        yield claim.says("pass", f"composites recomputed from its tasks and equal: {', '.join(known)}")


def _values(composite: CompositeScore) -> dict[str, object]:
    return {"value": composite.value, "stderr": composite.stderr, "missing": list(composite.missing)}
