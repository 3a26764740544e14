"""From what a user asked to runs on disk: one plan a checkpoint, one run directory a plan."""

from __future__ import annotations

import glob
import importlib.metadata
import os
import platform
import re
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from assay.harness import __version__, fingerprint
from assay.harness.backends.base import Backend, BackendError, parse_reference
from assay.harness.records import Plan
from assay.tasks import datasets, download
from assay.tasks.selection import DocRange
from assay.tasks.spec import Draws, TaskSpec
from assay.tasks.types import UserError

PACKAGES = ("lm-eval", "evalplus", "transformers", "tokenizers", "torch", "numpy", "scipy", "pyarrow")


def expand_models(refs: Iterable[str]) -> list[str]:
    """Model references with `hf:` globs replaced by the folders they match, sorted: a checkpoint series.

    Raises:
        BackendError: a glob matches nothing.
    """
    found: list[str] = []
    for ref in refs:
        reference = parse_reference(ref)
        if reference.scheme != "hf" or not glob.has_magic(reference.target):
            found.append(ref)
            continue
        matched = sorted(glob.glob(reference.target), key=_natural)  # noqa: PTH207 - Path.glob refuses absolute patterns
        arguments = reference.rest.removeprefix(reference.target)
        folders = [p for p in matched if Path(p, "config.json").is_file()]
        if not folders:
            raise BackendError(f"--model {ref}: no checkpoint folder (with a config.json) matches")
        found += [f"hf:{p}{arguments}" for p in folders]
    return list(dict.fromkeys(found))


def _natural(path: str) -> list[tuple[bool, int, str]]:
    """Sorts step-200 before step-1000."""
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in re.split(r"([0-9]+)", path)]


def parse_docs(docs: str | None, limit: int | None) -> DocRange:
    """--docs A:B as those rows of each category, --limit N as a sample of each.

    Raises:
        ValueError: both were given, or A:B is not a range.
    """
    if docs is None:
        return DocRange(limit=limit)
    if limit is not None:
        raise ValueError("--limit and --docs exclude each other")
    given = re.fullmatch(r"([0-9]*):([0-9]*)", docs)
    begin = int(given[1] or 0) if given else 0
    end = int(given[2]) if given and given[2] else None
    if given is None or (end is not None and end <= begin):
        raise ValueError(f"--docs {docs}: not a range A:B with 0 <= A < B")
    return DocRange(begin, end)


@dataclass(frozen=True, slots=True)
class Missing:
    """A task whose data is not here, and why it could not be fetched."""

    task: str
    reason: str


def parse_draws(options: Mapping[str, Any]) -> Draws:
    """How code is asked for: --n, --temperature, --top-p, --seed, --base-prompt.

    Raises:
        UserError: several answers at temperature 0, which would all be the same.
    """
    draws = Draws(
        n=options.get("n", 1),
        temperature=options.get("temperature", 0.0),
        top_p=options.get("top_p", 0.95),
        seed=options.get("seed", 0),
        plain=options.get("base_prompt", False),
        chat=options.get("chat_template", False),
        turns=options.get("fewshot_as_turns", False),
        system=options.get("system_prompt", ""),
    )
    if (draws.turns or draws.system) and not draws.chat:
        raise UserError("--fewshot-as-turns and --system-prompt need --chat-template: only a chat has turns")
    if draws.n > 1 and draws.temperature == 0:
        raise UserError(f"--n {draws.n}: greedy decoding gives the same answer each time; add --temperature 0.8, say")
    return draws


def with_draws(specs: Sequence[TaskSpec], draws: Draws) -> list[TaskSpec]:
    """The tasks, those of code and of lm-eval's asked so.

    Raises:
        UserError: draws are asked of tasks that say themselves how they are to be drawn.
    """
    if draws.temperature > 0 and not any(s.code for s in specs):
        raise UserError(f"--temperature {draws.temperature:g}: only code is asked so, and none of these tasks is code")
    return [replace(s, draws=draws) if s.code or s.lm_eval else s for s in specs]


def fetch_missing(specs: Sequence[TaskSpec], *, offline: bool) -> list[Missing]:
    """Download what is not here. Once there is no network, the rest is not tried."""
    if offline:
        os.environ["ASSAY_OFFLINE"] = "1"  # lm-eval fetches by itself
    missing: list[Missing] = []
    no_network = "--offline" if offline else ""
    for spec in specs:
        if datasets.find(spec) is not None:
            continue
        if not no_network:
            try:
                download.fetch(spec)
                continue
            except datasets.NoData as error:
                missing.append(Missing(spec.name, str(error)))
                no_network = "no network" if "no network" in str(error) else ""
                continue
        missing.append(Missing(spec.name, no_network))
    return missing


def make_plan(
    specs: Sequence[TaskSpec],
    docs: DocRange,
    backend: Backend,
    name: str | None,
    options: Mapping[str, Any],
) -> Plan:
    """The plan of one checkpoint. Its id is the checkpoint's label and a hash of all that decides the numbers.

    Raises:
        DataMismatch: a file of a task is not what its spec pins.
    """
    tasks = {}
    for spec in specs:
        found = datasets.find(spec)
        blob = datasets.load(spec).git_blob if found else ""
        tasks[spec.name] = fingerprint.task(spec, blob, docs) if found else ""
    decides = {k: v for k, v in backend.identity.items() if k != "engine"}
    asked = [s.draws for s in specs if (s.code or s.lm_eval) and s.draws != Draws()]
    short = fingerprint.digest([decides, sorted(tasks), docs.key, *map(asdict, asked[:1])])[:8]
    safe = "".join(c if c.isalnum() or c in "._-" else "-" for c in backend.checkpoint.label)
    return Plan(
        run_id=name or f"{safe}-{short}",
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        assay_version=__version__,
        identity=backend.identity,
        checkpoint=backend.checkpoint,
        tasks=tasks,
        docs=(docs.start, docs.stop, docs.limit),
        options={**options, "model": backend.ref},
        environment=environment(),
    )


def environment() -> dict[str, Any]:
    """Host, Python, package versions, and the git commit of the working directory, when there is one."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "host": platform.node(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "packages": versions,
        "git": _git("rev-parse", "HEAD"),
        "git_dirty": bool(_git("status", "--porcelain", "--untracked-files=no")),
    }


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - our own fixed arguments
            ["git", *arguments],  # noqa: S607 - the user's git is the one that knows this checkout
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
