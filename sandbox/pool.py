"""Cells at work: longest programs first, a warm spare, broken cells replaced, nothing queued without bound."""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace
from typing import Any

from assay.sandbox import build, docker
from assay.sandbox.cells import Cell
from assay.sandbox.types import Image, Job, Outcome, SandboxUnavailable

ATTEMPTS = 3
"""Cells that may break under one program before it is given up as the machine's fault."""
WAIT_FOR_ENGINE_S = (1, 2, 4, 8, 15, 30)
"""Pauses before another try to start a cell: a daemon that restarts is waited for, about a minute in all."""
PENDING = 4096
"""Jobs that may wait; whoever submits more is made to wait instead."""


@dataclass(order=True, slots=True)
class _Entry:
    """A job in the queue; one without a job tells a worker to stop, after all others."""

    less: float
    number: int
    job: Job | None = field(default=None, compare=False)
    future: Future[Outcome] = field(default_factory=Future, compare=False)
    attempt: int = field(default=0, compare=False)


class Pool:
    """Runs jobs on cells of one image. Give it jobs, get futures; close it, and every container is gone.

    Args:
        client: of the engine (`docker.connect`); it is the pool's from now on.
        digest: of the image.
        cells: containers that work at a time; 0 is what `default_cells` says.
        runtime: of the engine, "" for its default.
    """

    def __init__(self, client: Any, image: Image, digest: str, *, cells: int = 0, runtime: str = "") -> None:
        self.digest, self.runtime = digest, runtime
        self._cell = (client, image, digest, runtime)
        self._queue: queue.PriorityQueue[_Entry] = queue.PriorityQueue()
        self._order = itertools.count()
        self._room = threading.BoundedSemaphore(PENDING)
        self._spare: queue.SimpleQueue[Cell] = queue.SimpleQueue()
        self._down: SandboxUnavailable | None = None
        self._makers: list[threading.Thread] = []
        self._making = threading.Lock()
        self._active: set[Cell | None] = set()
        self._closing = threading.Event()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(cells or default_cells(image))]
        for thread in self._threads:
            thread.start()

    def hope(self) -> None:
        """Forget that the engine was down: whoever asks anew waits for it anew."""
        self._down = None

    def submit(self, job: Job) -> Future[Outcome]:
        """Queue a job; waits while too many are pending.

        Returns:
            its outcome to be; `SandboxUnavailable` when the machine failed it.
        """
        if self._closing.is_set():
            raise RuntimeError("this pool is closed")
        self._room.acquire()
        future: Future[Outcome] = Future()
        future.add_done_callback(lambda _: self._room.release())
        self._queue.put(_Entry(-job.expect_s, next(self._order), job, future))
        return future

    def run(self, jobs: Iterable[Job]) -> Iterator[Outcome]:
        """Outcomes of jobs as they come; the first that the machine failed raises."""
        waiting: set[Future[Outcome]] = set()
        for job in jobs:
            waiting.add(self.submit(job))
            done = {f for f in waiting if f.done()}
            waiting -= done
            yield from (f.result() for f in done)
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield from (f.result() for f in done)

    def close(self) -> None:
        """Give up what is queued and what runs, end every cell."""
        self._closing.set()
        for cell in list(self._active):
            _close(cell)  # its worker hears of it at once, however long the program might have run on
        with contextlib.suppress(queue.Empty):
            while True:
                self._queue.get_nowait().future.cancel()
        for _ in self._threads:
            self._queue.put(_Entry(float("inf"), next(self._order)))
        for thread in [*self._threads, *self._makers]:
            thread.join()
        with contextlib.suppress(queue.Empty):
            while True:
                self._spare.get_nowait().close()
        self._cell[0].close()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _work(self) -> None:
        """One worker: holds a cell, runs what comes, replaces the cell when it is spoilt."""
        cell: Cell | None = None
        first = True
        try:
            while (entry := self._queue.get()).job is not None:
                if not entry.attempt and not entry.future.set_running_or_notify_cancel():
                    continue
                try:
                    if entry.attempt:  # what broke once may have broken all that were started before
                        _close(cell)
                        cell = self._patiently()
                    cell = cell or self._new_cell(first)
                    first = False
                    self._active.add(cell)
                    outcome, again = cell.run(entry.job)
                    self._active.discard(cell)
                except BaseException as error:
                    self._active.discard(cell)
                    _close(cell)
                    cell = None
                    self._failed(entry, error)
                    continue
                entry.future.set_result(outcome)
                if not again:
                    _close(cell)
                    cell = None
        finally:
            _close(cell)

    def _failed(self, entry: _Entry, error: BaseException) -> None:
        """Try again on another cell when the machine failed; anything else is a bug that the submitter must hear of."""
        again = isinstance(error, SandboxUnavailable) and self._down is None and not self._closing.is_set()
        if again and entry.attempt + 1 < ATTEMPTS:
            self._queue.put(replace(entry, attempt=entry.attempt + 1))
        else:
            entry.future.set_exception(error)

    def _new_cell(self, first: bool) -> Cell:
        """The spare, if there is one; once a cell has been spoilt, the next spare is made meanwhile."""
        if not first:
            maker = threading.Thread(target=self._make_spare, daemon=True)
            self._makers = [*(m for m in self._makers if m.is_alive()), maker]
            maker.start()
        try:
            return self._spare.get_nowait()
        except queue.Empty:
            return self._patiently()

    def _patiently(self) -> Cell:
        if self._down is not None:
            raise self._down
        for pause in WAIT_FOR_ENGINE_S:
            try:
                return Cell(*self._cell)
            except SandboxUnavailable:
                if self._closing.wait(pause):
                    raise
        try:
            return Cell(*self._cell)
        except SandboxUnavailable as error:
            self._down = error  # waited for long enough: whatever is still queued fails at once
            raise

    def _make_spare(self) -> None:
        with contextlib.suppress(SandboxUnavailable), self._making:
            if self._spare.qsize() < 1 and not self._closing.is_set():
                self._spare.put(Cell(*self._cell))


def _close(cell: Cell | None) -> None:
    if cell is not None:
        cell.close()


def default_cells(image: Image) -> int:
    """One more than cores: while a program that hangs waits for its clock, the others have a processor.

    Three times the cores for BigCodeBench, where three quarters of the canonical programs' time is sleep and limits
    are minutes; a program of evalplus's has 4 s, which others must not take from it.
    """
    cores = os.cpu_count() or 1
    return 3 * cores if image == "bigcodebench" else cores + 1


def open_pool(image: Image, *, cells: int = 0, runtime: str = "") -> Pool:
    """A pool on the engine of this machine, after sweeping what dead runs have left.

    Raises:
        SandboxUnavailable: no engine, or the image has not been built.
    """
    client = docker.connect()
    try:
        digest = build.find(client, image).digest
        docker.sweep(client)
    except BaseException:
        client.close()
        raise
    return Pool(client, image, digest, cells=cells, runtime=runtime)
