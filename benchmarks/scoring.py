"""How much faster log-likelihoods are when every shared token is computed once, and that they are the same.

    python benchmarks/scoring.py scoring.json [--model 50k|8k|FOLDER] [--only choice,mmlu] [--into docs/scoring.md]

Needs $ASSAY_DATA and $ASSAY_REFERENCE (its tokenizer); 40 minutes on two cores. Each row is one task, asked of
both engines in turn with the same model in memory and the same token ids; of lm-eval with the batch size that is
fastest on a sample. Seconds are from ids to answers, medians over rounds; a ratio is the median of the rounds' own.

choice    DCLM's multiple choice with 10 shots          mmlu      four subjects, 5-shot as lm-eval asks them
lambada   nothing is shared                             core      DCLM's CORE, the first documents of each task
padded    against llm-foundry's shape, 2,048 ids a row  growth    with choices, shots and documents, made-up ids

The JSON file keeps every row; the same command again measures those that are missing and prints all. With --into, the
tables go between the page's two marks `<!-- scoring MODEL -->`, and the picture into its folder of images.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pages
import scoring_growth
import scoring_tables
import torch
from scoring_engines import SHAPES, Measured, compare, llama, load, machine, padded
from scoring_requests import of_task

from assay.harness.backends.tokenizer import HFTokenizer
from assay.tasks.datasets import NoData
from assay.tasks.registry import Registry, open_registry

TOKENIZER = "parity/checkpoints/series-a/step-001602"
SUBJECTS = ("conceptual_physics", "moral_disputes", "high_school_computer_science", "security_studies")
"""Whose examples take 289, 487, 932 and 1,269 of the tokenizer's ids."""
PADDED = (
    *("hellaswag_zeroshot", "jeopardy", "arc_easy", "copa", "commonsense_qa", "piqa", "lambada_openai", "winograd"),
    *("bigbench_dyck_languages", "boolq"),
)
PADDED_DOCS = 4
"""Documents of a task that llm-foundry's shape is asked; its seconds and tokens are scaled to all requests."""
PLOTTED = {"choices": "choices", "shots": "shots", "documents": "documents (tiny model)"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Rows under one heading.

    Attributes:
        tasks: or a task's categories, where `category_of` names that task.
        docs: the first so many of each.
    """

    title: str
    tasks: Sequence[str]
    docs: int
    rounds: int = 3
    category_of: str = ""


def sections(registry: Registry) -> dict[str, Section]:
    """All but growth."""
    core = [spec.name for spec in registry.select(["dclm-core"])]
    choice = ("arc_easy", "piqa", "commonsense_qa", "boolq")
    return {
        "choice": Section(title="Multiple choice, 10 shots", tasks=choice, docs=40),
        "mmlu": Section(title="MMLU, 5 shots", tasks=SUBJECTS, docs=100, category_of="mmlu"),
        "lambada": Section(title="LAMBADA", tasks=("lambada_openai",), docs=200),
        "core": Section(title="CORE", tasks=core, docs=100, rounds=1),
        "padded": Section(title="Against rows padded to 2,048", tasks=PADDED, docs=100, rounds=1),
    }


class Bench:
    """A model, and the rows that are wanted of it."""

    def __init__(self, model: Any, tokenizer: HFTokenizer, options: argparse.Namespace) -> None:
        self.model, self.tokenizer, self._options = model, tokenizer, options
        self.registry = open_registry([])
        self.sections = sections(self.registry)

    def wanted(self) -> Iterator[str]:
        """Of the rows that are wanted: those of `--only`, named in full or by section."""
        rows = [f"{name}/{task}" for name, section in self.sections.items() for task in section.tasks]
        only = self._options.only
        for key in (*rows, *scoring_growth.keys()):
            if not only or any(f"{key}/".startswith(f"{asked}/") for asked in only):
                yield key

    def measure(self, key: str) -> Measured:
        """One row.

        Raises:
            NoData: the task's file is not on this machine.
        """
        if key.startswith("growth/"):
            return scoring_growth.measure(key, self.model, self.tokenizer.hf)
        name, _, task = key.partition("/")
        section = self.sections[name]
        number, rounds = self._options.docs or section.docs, self._options.rounds or section.rounds
        of, only = (section.category_of, (task,)) if section.category_of else (task, ())
        docs = of_task(self.registry, of, self.tokenizer, number, only)
        against = {"rival": padded(self.model), "first": PADDED_DOCS} if name == "padded" else {}
        return compare(key, self.model, self.tokenizer.hf, docs, rounds=rounds, **against)


def opened(options: argparse.Namespace) -> Bench:
    """The model that is asked for; with a folder's own tokenizer, else with the reference's."""
    torch.set_num_threads(options.threads)
    folder = Path(options.model)
    if options.model not in SHAPES:
        return Bench(load(folder), HFTokenizer(folder, options.model), options)
    own = Path(os.environ["ASSAY_REFERENCE"]) / TOKENIZER
    return Bench(llama(SHAPES[options.model]), HFTokenizer(own, str(own)), options)


def kept(path: Path, setup: Mapping[str, Any]) -> dict[str, Any]:
    """What the file holds already, of this very set-up."""
    if not path.exists():
        return {"setup": setup, "date": date.today().isoformat(), "no_data": [], "rows": {}}
    found: dict[str, Any] = json.loads(path.read_text())
    if found["setup"] != setup:
        changed = [k for k in setup if found["setup"].get(k) != setup[k]]
        raise SystemExit(f"{path} was measured with another {', '.join(changed)}: name another file")
    return found


def tables(found: Mapping[str, Any], bench: Bench) -> str:
    """Markdown of all that was measured."""
    setup, rows = found["setup"], [Measured(**row) for row in found["rows"].values()]
    versions = ", ".join(f"{name} {version}" for name, version in setup["versions"].items())
    text = [
        f"Model {setup['model']}: {setup['parameters'] / 1e6:.1f} M parameters, a vocabulary of "
        f"{setup['vocabulary']:,}, {setup['dtype']}. {setup['processor']}, "
        f"{setup['threads']} threads, {setup['memory_gib']} GiB; {versions}; {found['date']}."
    ]
    for name, section in bench.sections.items():
        if mine := [r for r in rows if r.key.startswith(f"{name}/")]:
            text += ["", f"### {section.title}", "", _caption(name, mine, found), ""]
            text += scoring_tables.tasks(mine, "padded" if name == "padded" else "lm-eval")
    for name, curve in scoring_growth.CURVES.items():
        if mine := [r for r in rows if r.key.startswith(f"growth/{name}/")]:
            text += ["", f"### {curve.title}", "", *scoring_tables.growth(mine)]
    return "\n".join(text)


def _caption(name: str, rows: Sequence[Measured], found: Mapping[str, Any]) -> str:
    said = f"Up to {max(r.docs for r in rows)} documents a task, rounds: {len(rows[0].seconds)}."
    if name == "padded":
        said += f" Padded rows: {PADDED_DOCS} of them, scaled to all requests."
    else:
        said += " lm-eval's batches: " + ", ".join(sorted({str(r.batch) for r in rows}, key=int)) + "."
    ways, took, tokens = {r.way for r in rows}, sum(r.start_s for r in rows), sum(r.start_tokens for r in rows)
    said += (
        f" Scored {' or '.join(sorted(ways))}; the self-checks before, {took:.1f} s and {tokens:,} tokens, are apart."
    )
    missing = [key.partition("/")[2] for key in found["no_data"] if key.startswith(f"{name}/")]
    return said + (f" No data: {', '.join(missing)}." if missing else "")


def main() -> None:
    """Measure what is missing, keep each row as it comes, and show all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("json", type=Path)
    parser.add_argument("--model", default="50k", help="50k, 8k or a checkpoint's folder")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--docs", type=int, help="of each task, instead of the section's own number")
    parser.add_argument("--rounds", type=int, help="instead of the section's own number")
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], help="sections, or section/task")
    parser.add_argument("--into", type=Path, help="a page with two marks of this model")
    options = parser.parse_args()
    bench = opened(options)
    limits = {"docs": options.docs, "rounds": options.rounds}
    name = options.model if options.model in SHAPES else "/".join(Path(options.model).parts[-2:])
    setup = machine(bench.model, name) | limits
    found = kept(options.json, setup)
    for key in bench.wanted():
        if key in found["rows"] or key in found["no_data"]:
            continue
        try:
            row = bench.measure(key)
        except NoData:
            found["no_data"].append(key)
        else:
            found["rows"][key] = asdict(row)
            print(key, [round(s, 2) for s in row.rival_s], [round(s, 2) for s in row.seconds], flush=True)
        options.json.write_text(json.dumps(found, indent=1))
    pages.show(tables(found, bench), options.into, f"<!-- scoring {name} -->")
    grown = {t: [Measured(**r) for k, r in found["rows"].items() if k.split("/")[1] == c] for c, t in PLOTTED.items()}
    if options.into and all(grown.values()):
        scoring_tables.picture(grown, PLOTTED["documents"], options.into.parent / "images/scoring-cost.svg")


if __name__ == "__main__":
    main()
