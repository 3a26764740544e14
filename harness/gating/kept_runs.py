"""Which run of a store measured a checkpoint, by content: what its folder is called does not count."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from assay.harness import fingerprint, store
from assay.harness.files import json_bytes, write
from assay.harness.gating.wholeness import Look
from assay.harness.records import Plan
from assay.harness.store import Run
from assay.tasks.types import UserError


@dataclass(slots=True)
class KeptRuns:
    """A store's runs, each read again only when it has changed.

    Attributes:
        store: where they lie.
        memo: file that remembers which run measured a folder that looks like this, so that a restart need not hash
            every checkpoint; all it says is checked against the store, and it may be removed.
        asked: what is measured, and how; remembered for this alone.
    """

    store: Path
    memo: Path
    asked: str
    _read: dict[Path, tuple[tuple[int, ...], Run]] = field(default_factory=dict)

    def finished(self, plan: Plan) -> Run | None:
        """The finished run of a plan; a task whose data has come since makes it unfinished."""
        run = self.begun(plan)
        return (
            run
            if run and run.complete and not any(f and not run.plan.tasks[t] for t, f in plan.tasks.items())
            else None
        )

    def begun(self, plan: Plan) -> Run | None:
        """A run of these weights, asked alike: one that is finished before one that is not."""
        found = [run for path in store.list_runs(self.store) if (run := self._peek(path)) and _alike(run.plan, plan)]
        return max(found, key=lambda r: r.complete, default=None)

    def remembered(self, folder: Path, look: Look) -> Run | None:
        """The finished run that measured a folder when it looked like this."""
        name = self._memory().get(self._key(folder, look), "")
        run = self._peek(self.store / name) if name and (self.store / name / "plan.json").is_file() else None
        return run if run and run.complete else None

    def remember(self, folder: Path, look: Look, run: Run) -> None:
        """Keep it for the next start."""
        write(self.memo, json_bytes(self._memory() | {self._key(folder, look): run.path.name}))

    def _memory(self) -> dict[str, str]:
        try:
            return dict(json.loads(self.memo.read_bytes()))
        except (OSError, ValueError, TypeError):
            return {}

    def _key(self, folder: Path, look: Look) -> str:
        return fingerprint.digest([self.asked, str(folder.resolve()), look])

    def _peek(self, path: Path) -> Run | None:
        files = (path / name for name in ("plan.json", "results.json", "manifest.json"))
        stamp = tuple(f.stat().st_mtime_ns if f.exists() else 0 for f in files)
        if self._read.get(path, ((), None))[0] != stamp:
            try:
                self._read[path] = stamp, store.peek_run(path)
            except UserError:  # torn or foreign; `assay runs` names it
                self._read.pop(path, None)
        return self._read[path][1] if path in self._read else None


def _alike(kept: Plan, now: Plan) -> bool:
    """By weights, tokenizer, dtype, rows and tasks, not by label or engine version.

    A task whose data is not here has no fingerprint, and differs from none.
    """
    weights = [{k: v for k, v in p.identity.items() if k != "engine"} for p in (kept, now)]
    same = weights[0] == weights[1] and kept.docs == now.docs and kept.tasks.keys() == now.tasks.keys()
    return same and all(not a or not b or a == b for a, b in ((kept.tasks[t], now.tasks[t]) for t in now.tasks))


def being_written(run: Path) -> bool:
    """Another process has the run's lock."""
    lock = FileLock(run / store.LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False
