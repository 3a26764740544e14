"""Stores that a browser looks at, made by the command line as a user makes them; once for all workers of a test run."""

import os
import subprocess
from pathlib import Path

from filelock import FileLock

from tests.conftest import ASSAY
from tests.leaderboard import gated

TASKS = ("arc_easy", "copa", "lambada_openai", "jeopardy")
"""What the checkpoints of series-a are asked, rows 0 to 11 of each."""
GEMMA = "google--gemma-7b-dclm-77dd7951"
"""One of DCLM's published evaluations: numbers without samples."""
FACTS = """
models:
  - {match: "step-*", facts: {family: series-a, openness: open data, dataset: "text of these tasks"}}
marks:
  - {model: "google--gemma-7b", task: "gsm8k*", kind: contamination, text: "somebody says it saw the rows",
     link: "https://example.org/report", date: 2026-01-31}
"""


def once(tmp_path_factory, name, make):
    """The folder that `make` filled, made by whichever worker comes first."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if os.environ.get("PYTEST_XDIST_WORKER") else root
    folder, done = root / f"assay-{name}", root / f"assay-{name}.done"
    with FileLock(root / f"assay-{name}.lock", timeout=600):
        if not done.exists():
            folder.mkdir(exist_ok=True)
            make(folder)
            done.touch()
    return folder


def run(folder, *arguments):
    """The command line, without the user's caches and without a network."""
    own = {
        "ASSAY_CACHE": str(folder.parent / "assay-cache"),
        "HF_HOME": str(folder.parent / "hf"),
        "ASSAY_OFFLINE": "1",
    }
    command = [ASSAY, *map(str, arguments), "--store", folder]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **own}, timeout=600)
    assert done.returncode == 0, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def published(folder, reference):
    """DCLM's 156 evaluations."""
    run(folder, "import", "dclm", reference / "dclm")
    assert (folder / GEMMA).is_dir()


def checkpoints(folder, reference):
    """Four checkpoints of a training run, measured with samples."""
    series = reference / "parity/checkpoints/series-a"
    run(folder, "run", *TASKS, "--model", f"hf:{series}/step-*", "--docs", "0:12")


def programs(folder):
    """Two runs of model-written code, one of them with faults; needs the sandbox."""
    for name, model in (("code-right", "oracle"), ("code-faulty", "corrupted:0.4")):
        run(folder, "run", "humaneval_plus", "--model", model, "--docs", "0:8", "--name", name)


def everything(folder, reference, *, code):
    """Published results, checkpoints, verdicts on two of them, and where there is a sandbox programs."""
    published(folder, reference)
    checkpoints(folder, reference)
    if code:
        programs(folder)
    (folder / "board.yaml").write_text(FACTS)
    run(folder, "reindex")
    a, b = steps(folder)[-2:]
    gated.fill(folder, gated.report("regressed", run=a), gated.report("pass", run=b, at=60))


def steps(folder):
    """The checkpoints' run ids, by step."""
    return sorted(p.name for p in Path(folder).glob("step-*") if p.is_dir())
