"""What a gate says of real checkpoints: how many answers flip, of neighbours and of the same weights, and of damage.

    python benchmarks/gate_reality.py FOLDER [--into docs/gate.md]

Needs $ASSAY_DATA and $ASSAY_REFERENCE; some minutes on two cores, and less the second time: FOLDER keeps what was
measured. Two series: the toy one of `assay demo`, and series-a of the reference, 3 million parameters, on rows 0 to 63
of CORE's tasks, on which it was trained. Each is judged by the gate that `assay gate init` writes without a history.
The same weights are measured again with one sequence in a batch; and series-a's last checkpoint with Gaussian noise on
each tensor, of a growing share of the tensor's own standard deviation, until the gate blocks it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import pages
import torch
from gate import table
from safetensors.torch import load_file, save_file

from assay.harness import facts, gate
from assay.harness import store as stores
from assay.harness.gating import config as configs
from assay.harness.gating import planning, snapshots
from assay.harness.gating.series import flip_rates
from assay.harness.gating.types import REGRESSED, Report, Snapshot
from assay.tasks.registry import open_registry

MARK = "<!-- reality -->"
ASSAY = Path(sys.executable).with_name("assay")
ROWS = ("--docs", "0:64")
TOLD = ("arc_easy", "arc_challenge", "openbook_qa", "hellaswag", "copa", "piqa", "winogrande", "commonsense_qa")
"""Tasks on which series-a's last checkpoint is far above guessing."""
NOISE = (0.02, 0.1, 0.2, 0.3, 0.5, 1.0)


def run(model: str, store: Path, *asked: str) -> list[Snapshot]:
    """Measure, or find measured, every checkpoint of a pattern, by step."""
    command = [str(ASSAY), "run", *asked, "--model", f"hf:{model}", "--store", str(store), "--offline"]
    # a task without data is reported and the rest runs
    subprocess.run([*command, "--device", "cpu"], check=False, stdout=subprocess.DEVNULL)
    registry, known = open_registry(), facts.read(store)
    read = [stores.read_run(path) for path in stores.list_runs(store)]
    if not read or not all(r.complete for r in read):
        raise SystemExit(f"{store} has no complete runs: {' '.join(command)}")
    found = [snapshots.of_run(r, known, registry) for r in read]
    return sorted(found, key=lambda s: s.step or 0)


def judged(anchor: Snapshot, candidate: Snapshot, tasks: Sequence[str]) -> Report:
    """By the gate of these tasks that `assay gate init` writes before any history."""
    suite = [t for t in tasks if anchor.tasks[t].n]
    registry = open_registry()
    names = [c.name for c in registry.composites.values() if set(registry.suites[c.suite].tasks) == set(suite)]
    means = snapshots.means(registry, names)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gate.yaml"
        path.write_text(planning.first(" ".join(suite), {t: anchor.tasks[t].n for t in suite}, means, {}, "previous"))
        config = configs.load(path)
    return gate.decide(
        config,
        [anchor],
        candidate,
        tasks=suite,
        means=means,
        history={},
        today=date(2026, 1, 1),
        created="",
    )


def noisy(checkpoint: Path, share: float, into: Path) -> Path:
    """A checkpoint with noise on each tensor, of this share of the tensor's standard deviation."""
    folder = into / f"noise-{share:g}"
    if not folder.is_dir():
        shutil.copytree(checkpoint, folder, copy_function=shutil.copyfile)
        rng = torch.Generator().manual_seed(0)
        whole = load_file(folder / "model.safetensors")
        for name, tensor in sorted(whole.items()):
            values = tensor.float()
            values += share * values.std() * torch.randn(values.shape, generator=rng)
            whole[name] = values.to(tensor.dtype)
        save_file(whole, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def flipped(a: Snapshot, b: Snapshot) -> list[str]:
    """Items, share of all that flipped, and its distribution over tasks."""
    rates = flip_rates(a, b, [t for t in b.tasks if b.tasks[t].n])
    n = np.array([b.tasks[t].n for t in rates])
    values = np.array(list(rates.values()))
    return [f"{n.sum():,}", f"{n @ values / n.sum():.1%}", *(f"{q:.0%}" for q in np.quantile(values, (0, 0.5, 1)))]


def said(report: Report) -> list[str]:
    """Verdict, and what brought it, the clearest first."""
    worst = sorted((f for f in report.findings if f.state == "regressed"), key=lambda f: f.p if f.p is not None else 1)
    better = sum(f.state == "improved" for f in report.findings)
    first = [f"`{f.name}` {100 * f.delta:+.1f}".replace("-", "−") for f in worst]
    return [f"{report.verdict}, {report.exit_code}", ", ".join(first) or "-", str(better)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A series: its checkpoints' folder, what they are asked, and what was found."""

    name: str
    checkpoints: Path
    asked: Sequence[str]
    folder: Path

    def measured(self) -> list[Snapshot]:
        """Every checkpoint, by step."""
        return run(f"{self.checkpoints}/step-*", self.folder / self.name, *self.asked)

    def again(self, label: str) -> Snapshot:
        """One of them, one sequence at a time."""
        store = self.folder / f"{self.name}-again"
        return run(str(self.checkpoints / label), store, *self.asked, "--batch-size", "1")[0]


def neighbours(line: Line) -> Iterator[tuple[str, Snapshot, Snapshot]]:
    """Each checkpoint beside the one before it, and the last one beside itself."""
    found = line.measured()
    for a, b in pairwise(found):
        yield f"{line.name}: {a.label} to {b.label}", a, b
    last = found[-1]
    yield f"{line.name}: {last.label}, twice", last, line.again(last.label)


def damaged(line: Line) -> Iterator[list[str]]:
    """The last checkpoint with more and more noise, until it is blocked."""
    sound = line.measured()[-1]
    for share in NOISE:
        made = noisy(line.checkpoints / sound.label, share, line.folder / "damaged")
        bad = run(str(made), line.folder / f"damaged-{share:g}", *TOLD, *ROWS)[0]
        report = judged(sound, bad, TOLD)
        yield [f"{share:.0%}", flipped(sound, bad)[1], *said(report)[:2]]
        if report.exit_code == REGRESSED:
            return


def page(folder: Path, series: Path) -> str:
    """All tables, as Markdown."""
    subprocess.run([str(ASSAY), "demo", "--folder", str(folder / "demo")], check=True, stdout=subprocess.DEVNULL)
    toy = Line(name="toy", checkpoints=folder / "demo/checkpoints", asked=["demo"], folder=folder)
    real = Line(name="series-a", checkpoints=series, asked=["dclm-core", *ROWS], folder=folder)
    flips, verdicts = [], []
    for name, a, b in (*neighbours(toy), *neighbours(real)):
        flips.append([name, *flipped(a, b)])
        verdicts.append([name, *said(judged(a, b, [t for t in b.tasks if b.tasks[t].n]))])
    parts = {
        "Real checkpoints: answers that flip": table(
            ["checkpoints", "items", "of all", "least of a task", "median", "most"], flips
        ),
        "Real checkpoints: verdicts": table(
            ["checkpoints", "verdict, exit code", "blocked by, points, the clearest first", "improved"], verdicts
        ),
        "A damaged checkpoint": table(
            [
                "noise, of each tensor's spread",
                "answers that flip",
                "verdict, exit code",
                "blocked by, the clearest first",
            ],
            list(damaged(real)),
        ),
    }
    return "\n\n".join(f"### {title}\n\n{text}" for title, text in parts.items())


def main() -> None:
    """Measure, print the tables or put them into a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--into", type=Path)
    options = parser.parse_args()
    series = Path(os.environ["ASSAY_REFERENCE"]) / "parity/checkpoints/series-a"
    pages.show(f"\n{page(options.folder, series)}\n", options.into, MARK)


if __name__ == "__main__":
    main()
