"""A run as DCLM keeps evaluations: `exp_data/evals/*.json` at mlfoundations/dclm 361714b.

Keys and arithmetic are those of `eval/eval_openlm_ckpt.py` and `eval/aggregated_metrics.py`, which reads the file and
writes the same keys again. What has no place there stands under the key `assay`, which that script keeps.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from assay.harness import fingerprint
from assay.harness.files import StoreError
from assay.harness.interchange.chosen import begun, hub_name, named
from assay.harness.store import Run
from assay.tasks import aggregate
from assay.tasks.registry import Registry

EXTENDED, CORE = "dclm-extended", "dclm-core"
YAMLS = {"heavy": EXTENDED, "mmlu_and_lowvar": "dclm-mmlu-and-lowvar", "medium": "dclm-medium", "light": "dclm-light"}
"""DCLM's names of its lists of tasks, which it calls an evaluation by."""
ABOVE_99 = (
    *("hellaswag_zeroshot", "jeopardy", "bigbench_qa_wikidata", "arc_easy", "arc_challenge", "copa", "commonsense_qa"),
    *("piqa", "openbook_qa", "lambada_openai", "hellaswag", "winograd", "winogrande", "bigbench_dyck_languages"),
    *("agi_eval_lsat_ar", "bigbench_cs_algorithms", "bigbench_operators", "bigbench_repeat_copy_logic"),
    *("pubmed_qa_labeled", "squad", "coqa", "boolq", "enterprise_pii_classification"),
)
MEANS = {
    "rw_small": ("hellaswag_zeroshot", "arc_easy", "arc_challenge", "copa", "winogrande", "boolq"),
    "95%_CI_above": (
        *(*ABOVE_99, "bigbench_novel_concepts", "bigbench_strategy_qa", "bigbench_conceptual_combinations"),
        *("logi_qa", "bbq"),
    ),
    "99%_CI_above": ABOVE_99,
}
"""`eval/additional_aggregation.json`, less two tasks of it (gsm8k, svamp) that are none of the 53 and never count."""


def encode(run: Run, registry: Registry, names: Sequence[str]) -> tuple[bytes, Sequence[str]]:
    """The file's content, and what is left out of it and why. The same run gives the same bytes.

    Args:
        run: measured, or imported from DCLM's own files. Dates are written as UTC.
        registry: with DCLM's 53 tasks.
        names: of tasks; every task when none is named.

    Raises:
        StoreError: the run has no such task, or no number that DCLM has a place for.
    """
    notes: list[str] = []
    icl = _icl(run, registry, names, notes)
    if not icl:
        raise StoreError(f"run {run.plan.run_id} has no whole number of DCLM's 53 tasks: {'; '.join(notes)}")
    plan, since = run.plan, begun(run)
    model = hub_name(run) or plan.checkpoint.label
    data = {
        "name": next((y for y, suite in YAMLS.items() if set(registry.suites[suite].tasks) == set(icl)), "assay"),
        "uuid": _uuid("run", plan.run_id, plan.created, dict(plan.identity), dict(plan.tasks)),
        "model": model,
        "creation_date": f"{since:%Y_%m_%d-%H_%M_%S}" if since else "",
        "eval_metrics": {"icl": icl},
        "model_name": plan.checkpoint.label,
        "model_uuid": _uuid("model", dict(plan.identity)),
        **aggregates(registry, icl),
        "assay": {
            "version": plan.assay_version,
            "run_id": plan.run_id,
            "identity": dict(plan.identity),
            "fingerprints": {t: run.results[t].fingerprint for t in icl},
            "messages": {t: run.results[t].message for t in icl if run.results[t].message},
            "left_out": notes,
        },
    }
    return (json.dumps(data, indent=4) + "\n").encode(), notes


def aggregates(registry: Registry, icl: Mapping[str, float]) -> dict[str, Any]:
    """Every key that `get_aggregated_results` adds; Core and Extended with both versions of the baselines.

    Means other than these two are over the tasks that there are, as upstream's; null where there are none. Without
    `Core_v1` their script would take `Core` for it.

    Args:
        registry: with DCLM's 53 tasks.
        icl: value by DCLM's name of the task; others than the 53 do not count.
    """
    specs = [registry.tasks[n] for n in registry.suites[EXTENDED].tasks]
    skills: dict[str, list[str]] = {}
    for s in specs:
        skills.setdefault(s.skill, []).append(s.name)
    raw = {s.name: icl[s.name] for s in specs if s.name in icl}
    centred = {
        v: {s.name: aggregate.centre(raw[s.name], aggregate.baseline_of(s.baseline, v)) for s in specs if s.name in raw}
        for v in ("v1", "v2")
    }
    every, core = [s.name for s in specs], registry.suites[CORE].tasks
    found: dict[str, Any] = {
        "missing tasks": str([n for n in every if n not in raw]),
        "aggregated_task_categories_centered": {k: _mean(centred["v2"], skills[k]) for k in sorted(skills)},
        "aggregated_centered_results": _mean(centred["v2"], every),
        "aggregated_results": _mean(raw, every),
    }
    for name, tasks in {**MEANS, "low_variance_datasets": core}.items():
        found |= {name: _mean(raw, tasks), f"{name}_centered": _mean(centred["v2"], tasks)}
    for version, values in centred.items():
        found |= {f"Core_{version}": _whole(values, core), f"Extended_{version}": _whole(values, every)}
    return found | {"eval_version": "v2", "Core": found["Core_v2"], "Extended": found["Extended_v2"]}


def _mean(values: Mapping[str, float], tasks: Iterable[str]) -> float | None:
    have = [values[t] for t in tasks if t in values]
    return fmean(have) if have else None


def _whole(values: Mapping[str, float], tasks: Sequence[str]) -> float | str | None:
    missing = [t for t in tasks if t not in values]
    return f"N/A due to missing tasks: {missing}" if missing else _mean(values, tasks)


def _icl(run: Run, registry: Registry, names: Sequence[str], notes: list[str]) -> dict[str, float]:
    """Values by DCLM's names, in its order; `notes` has what is left out. lm-eval's tasks never have DCLM's names."""
    found: dict[str, float] = {}
    every = registry.suites[EXTENDED].tasks
    for task in named(run, names):
        result = run.results[task]
        if task not in every:
            notes.append(f"{task}: left out: none of DCLM's 53 tasks")
        elif result.value is None:
            notes.append(f"{task}: left out, it has no number: {result.message or result.status}")
        elif result.status == "partial" or tuple(run.plan.docs) != (0, None, None):
            notes.append(f"{task}: left out: it is of some of its rows, which DCLM's file can't say: measure them all")
        else:
            found[task] = result.value
    return {t: found[t] for t in every if t in found}


def _uuid(*what: Any) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"assay:{fingerprint.canonical(what)}"))
