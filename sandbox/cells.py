"""One cell: a container that runs one program at a time, and the socket that speaks with its supervisor."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import socket
import struct
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from assay.sandbox import docker
from assay.sandbox.docker import CellOptions
from assay.sandbox.types import Image, Job, Outcome, SandboxUnavailable

SOURCES = Path(__file__).parent / "cell"
MODULES = ("values", "runner", "machinery", "suite", "seccomp", "zygote", "frames", "supervisor")
START_S = 120
"""Seconds until a new cell must have imported its image's preload list."""
GRACE_S = 20
"""Seconds that a supervisor may take beyond a job's limit to kill it and clean up."""
MAX_PROGRAMS = 2000
"""A cell is thrown away after so many."""

COMMON = {
    "HOME": "/work",
    "TMPDIR": "/tmp",  # noqa: S108 - inside the container
    "TZ": "UTC",
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
}
RLIMITS = {"NPROC": 200, "CORE": 0, "MSGQUEUE": 0, "MEMLOCK": 0, "NOFILE": 256}
GIB = 1 << 30
_modules = str.split
PROFILES: dict[Image, tuple[CellOptions, dict[str, Any]]] = {
    "core": (
        CellOptions(memory_mib=4608),
        {
            "environment": COMMON,
            "preload": _modules("""
                numpy typing collections heapq itertools functools string copy datetime random decimal fractions
                statistics bisect operator hashlib
            """),
            "rlimits": RLIMITS | {"AS": 4 * GIB, "DATA": 4 * GIB, "STACK": 4 * GIB},
        },
    ),
    "bigcodebench": (
        CellOptions(memory_mib=6144, pids=512),
        {
            "environment": COMMON
            | {
                "TF_CPP_MIN_LOG_LEVEL": "3",
                "TF_ENABLE_ONEDNN_OPTS": "0",
                "MPLBACKEND": "Agg",
            },
            "preload": _modules("""
                numpy pandas scipy.stats sklearn.linear_model sklearn.cluster sklearn.decomposition
                sklearn.preprocessing sklearn.model_selection sklearn.metrics sklearn.ensemble
                sklearn.feature_extraction.text matplotlib.pyplot seaborn statsmodels.api nltk requests bs4 collections
                itertools string csv sqlite3 xml.etree.ElementTree subprocess logging psutil multiprocessing.pool
            """),
            "rlimits": RLIMITS | {"STACK": 10 << 20, "NPROC": 400},
        },
    ),
}
"""What a cell of each image may use, and what its zygote is told. Memory limits of the code are evalplus's 4 GiB of
address space in `core`; in `bigcodebench` the container's, since TensorFlow maps far more than it uses."""


class Cell:
    """A started container. Not thread-safe: one job at a time.

    Raises:
        SandboxUnavailable: from any method, when the machine fails; then the cell is of no more use.
    """

    def __init__(self, client: Any, image: Image, digest: str, runtime: str = "") -> None:
        options, start = PROFILES[image]
        options = CellOptions(**(asdict(options) | {"runtime": runtime}))
        self._client, self._programs = client, 0
        boot = (SOURCES / "boot.py").read_text(encoding="utf-8")
        self.container, attached = docker.start(client, digest, options, start["environment"], boot)
        self._stream = _Stream(attached)
        try:
            self._stream.send(_program(start))
            self._stream.limit(START_S)
            kind, _ = self._stream.frame()
            if kind != b"R":
                raise SandboxUnavailable("a new cell did not get ready")
        except BaseException:
            self.close()
            raise

    def run(self, job: Job) -> tuple[Outcome, bool]:
        """Run one program; what it did, and whether the cell may run another."""
        self._programs += 1
        if job.begin is not None:
            job.begin()
        self._stream.limit(job.wall_s + GRACE_S)
        self._stream.send(_job_frame(job))
        lines = _Lines(job, self._stream)
        while True:
            kind, content = self._stream.frame()
            if kind == b"D":
                lines.add(content)
            elif kind == b"E":
                end = json.loads(bytes(content))
                break
        if end["ended"] == "broken" and not end["oom"]:
            raise SandboxUnavailable("the cell's zygote died")
        if end["ended"] == "ok" and not lines.began:
            raise SandboxUnavailable("a cell could not become its program's user: are 65,536 user ids mapped?")
        return _outcome(job, end, lines), not end["left"] and self._programs < MAX_PROGRAMS

    def close(self) -> None:
        """End the container, whatever runs in it."""
        self._stream.close()
        docker.remove(self._client, self.container)


def _program(start: dict[str, Any]) -> bytes:
    modules = [(name, (SOURCES / f"{name}.py").read_text(encoding="utf-8")) for name in MODULES]
    first_uid = random.SystemRandom().randrange(10, 200_000) * 10_000
    options = {"preload": start["preload"], "rlimits": start["rlimits"], "first_uid": first_uid}
    text = json.dumps({"modules": modules, "options": options}).encode()
    return struct.pack("!I", len(text)) + text


def _job_frame(job: Job) -> bytes:
    program = {f.name: getattr(job.program, f.name) for f in fields(job.program)}
    canaries, inputs = program.pop("canaries", ()), program.pop("inputs", ())
    body = json.dumps(program | {"kind": type(job.program).__name__.lower()})
    body = f'{body[:-1]},"inputs":[{",".join(inputs)}]}}'  # they are JSON already
    header = {"wall_s": job.wall_s, "output_bytes": job.output_mib << 20, "canaries": canaries}
    text = json.dumps([header, body]).encode()
    return b"J" + struct.pack("!I", len(text)) + text


def _outcome(job: Job, end: dict[str, Any], lines: _Lines) -> Outcome:
    ended, note = end["ended"], ""
    if ended == "broken":
        return Outcome(key=job.key, ended="memory", note="out of memory: the whole cell was killed")
    status = end["status"]
    if ended == "ok" and status:
        ended = "crash"
        code = status & 0x7F
        note = f"killed by {_signal(code)}" if code else f"left with status {status >> 8} without a report"
    elif ended == "ok" and lines.failed:
        ended, note = lines.failed
    elif ended == "ok" and not lines.whole:
        ended, note = "crash", "left without a report"
    elif ended == "memory":
        note = "killed for memory"
    elif ended == "timeout":
        note = f"killed after {job.wall_s:g} s"
    elif ended == "output_limit":
        note = f"wrote more than it may ({job.output_mib} MiB of results)"
    return Outcome(
        key=job.key,
        ended=ended,
        lines=tuple(lines.kept),
        note=note[:500],
        stderr=end["stderr"],
        wall_s=end["wall_s"],
        cpu_s=end["cpu_s"],
        memory_mib=end["memory_mib"],
    )


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class _Lines:
    """The report of one program, split into lines as it comes; `watch` may end it."""

    def __init__(self, job: Job, stream: _Stream) -> None:
        self._watch, self._stream = job.watch, stream
        self._partial = b""
        self._stopped = False
        self.kept: list[bytes] = []
        self.failed: tuple[Any, str] | None = None
        self.whole = self.began = False

    def add(self, data: bytes | memoryview) -> None:
        """Take what has come."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        mark = line[:1]
        if mark == b"r" and not self.began:
            self.began = True  # written before any foreign code ran
            return
        if mark == b".":
            self.whole = True
        elif mark == b"T":
            self.failed = ("timeout", "a call overran its limit")
        elif mark == b"!" and self.failed is None:
            self.failed = ("exception", _exception(line))
        if self._watch is None:
            self.kept.append(line)
        elif not self._stopped and not self._watch(line):
            self._stopped = True
            self._stream.send(b"C" + struct.pack("!I", 0))


def _exception(line: bytes) -> str:
    """`Type: message (where)` of a reported exception; the report is hostile, so anything may stand there."""
    try:
        kind, message, where = json.loads(line[1:2000])
        return f"{kind}: {message} ({where})"[:500]
    except (ValueError, TypeError, RecursionError):
        return "an exception that can't be shown"


class _Stream:
    """Frames over a container's attached standard streams, which the engine multiplexes."""

    def __init__(self, attached: Any) -> None:
        self._attached = attached
        self._socket = getattr(attached, "_sock", attached)
        self._raw, self._data = bytearray(), bytearray()
        self._errors = b""

    def limit(self, seconds: float) -> None:
        """How long any single wait for the cell may take from now on."""
        self._socket.settimeout(seconds)

    def send(self, data: bytes) -> None:
        """Send all of it."""
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise SandboxUnavailable(f"a cell hung up: {error}") from error

    def frame(self) -> tuple[bytes, bytes]:
        """The next frame: its letter and its content."""
        head = self._take(5)
        return head[:1], self._take(struct.unpack("!I", head[1:])[0])

    def _take(self, size: int) -> bytes:
        while len(self._data) < size:
            self._receive()
        taken = bytes(self._data[:size])
        del self._data[:size]
        return taken

    def _receive(self) -> None:
        try:
            more = self._socket.recv(1 << 20)
        except OSError as error:
            raise SandboxUnavailable(f"a cell does not answer: {error}") from error
        if not more:
            said = self._errors.decode("utf-8", "replace").strip()[-300:]
            raise SandboxUnavailable(f"a cell has ended{': ' + said if said else ''}")
        self._raw += more
        at = 0
        while len(self._raw) - at >= 8:
            stream, size = self._raw[at], int.from_bytes(self._raw[at + 4 : at + 8], "big")
            if len(self._raw) - at - 8 < size:
                break
            content = self._raw[at + 8 : at + 8 + size]
            at += 8 + size
            if stream == 1:
                self._data += content
            else:
                self._errors = (self._errors + content)[-2000:]
        del self._raw[:at]

    def close(self) -> None:
        """Hang up, also on a thread that waits for an answer."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        holds: list[Any] = [self._socket, self._attached]
        holds += [getattr(self._attached, "_response", None) or self._socket]  # docker-py hangs the response there
        for held in holds:
            with contextlib.suppress(OSError, ValueError):  # whichever is second finds the file closed
                held.close()
