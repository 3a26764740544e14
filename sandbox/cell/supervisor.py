"""The cell's other user. Takes jobs from standard input, watches the child, kills it, cleans up, reports.

Frames, both ways (`frames`). In: `J` JSON [header, body text], `C` stop the program. Out: `R` ready, `D` bytes of the
program's report, `E` JSON how it ended. The other side is the host; nothing that a program can open leads here.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import sys
import time
from typing import Any

from . import frames, zygote
from .frames import CHUNK, Gone

FOLDERS = ("/work", "/tmp", "/dev/shm")
TAIL = 2000
UIDS = 10_000
"""Ids that a cell may use up, and those below that it never uses."""
STDERR_MAX = 64 * 1024 * 1024
MEMORY = (
    ("/sys/fs/cgroup/memory.stat", ("anon", "shmem")),
    ("/sys/fs/cgroup/memory/memory.stat", ("total_rss", "total_shmem")),
)
MEMORY_SLACK = 128 * 1024 * 1024
"""Bytes that a cell may hold beyond what it held at its start before it is thrown away."""


class Broken(Exception):
    """The zygote is dead: this cell can run nothing more."""


def main(options: dict[str, Any]) -> None:
    """Serve jobs until the host hangs up."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    if os.fork() == 0:
        ours.close()
        for fd in (0, 1):
            os.dup2(os.open("/dev/null", os.O_RDWR), fd)
        try:
            zygote.main(theirs, options)
        finally:
            os._exit(1)
    theirs.close()
    cell = None
    try:
        if ours.recv(1) != b"R":
            raise Broken
        cell = Cell(ours, options["first_uid"])  # after the imports: what is held now is what a clean cell holds
        frames.send(b"R", json.dumps({"python": sys.version.split()[0]}).encode())
        while True:
            kind, content = frames.read()
            if kind == b"J":
                frames.send(b"E", json.dumps(cell.run(*json.loads(content))).encode())
    except Gone:
        os._exit(0)
    except Broken:
        oom = cell is not None and cell.ooms() > cell.seen_ooms
        frames.send(b"E", json.dumps({"ended": "broken", "left": "a dead zygote", "oom": oom}).encode())
        os._exit(1)


class Cell:
    """One program at a time, each under a uid of its own."""

    def __init__(self, zygote_socket: socket.socket, first_uid: int) -> None:
        highest = _highest_uid() - UIDS
        self._zygote = zygote_socket
        self._uid = first_uid if first_uid < highest else UIDS + first_uid % (highest - UIDS)
        self.seen_ooms = self.ooms()
        self._memory_mark = self._memory() + MEMORY_SLACK

    def run(self, header: dict[str, Any], body: str) -> dict[str, Any]:
        """Start the program, watch it to its end, leave nothing of it."""
        self._uid += 1
        begun = time.monotonic()
        result, errors = self._start(header, body)
        ended, status, stderr = self._watch(header, begun + header["wall_s"], result, errors)
        wall = time.monotonic() - begun
        self._kill_all()
        if ended == "ok":
            _drain(result)
        os.close(result)
        os.close(errors)
        code, cpu, rss_kib = zygote.STATUS.unpack(status)
        ooms, self.seen_ooms = self.ooms() - self.seen_ooms, self.ooms()
        return {
            "ended": "memory" if ooms and ended == "ok" else ended,
            "status": code,
            "wall_s": wall,
            "cpu_s": cpu,
            "memory_mib": rss_kib / 1024,
            "stderr": stderr.decode("utf-8", "replace"),
            "left": self._wipe() or ("a killing for memory" if ooms else ""),
        }

    def _start(self, header: dict[str, Any], body: str) -> tuple[int, int]:
        memory = os.memfd_create("job")
        frames.write_all(memory, body.encode("utf-8", "surrogatepass"))
        result_r, result_w = os.pipe()
        errors_r, errors_w = os.pipe()
        secret_r, secret_w = os.pipe()
        os.write(secret_w, " ".join(header["canaries"]).encode())
        os.close(secret_w)
        given = [memory, result_w, errors_w, secret_r]
        try:
            socket.send_fds(self._zygote, [str(self._uid).encode()], given)
            self._exactly(4)
        finally:
            for fd in given:
                os.close(fd)
        return result_r, errors_r

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            try:
                more = self._zygote.recv(size - len(data))
            except OSError:
                more = b""
            if not more:
                raise Broken
            data += more
        return data

    def _watch(  # noqa: C901 - one poll loop, read top to bottom
        self, header: dict[str, Any], deadline: float, result: int, errors: int
    ) -> tuple[str, bytes, bytes]:
        """Pass its report on until it ends or must end: (how, wait status, end of its standard error)."""
        poller = select.poll()
        for fd in (result, errors, self._zygote.fileno(), 0):
            poller.register(fd, select.POLLIN)
        ended, sent, heard, tail = "ok", 0, 0, b""
        while True:
            left = deadline - time.monotonic()
            if left <= 0 and ended == "ok":
                ended = "timeout"
            ready = dict(poller.poll(max(0, left) * 1000)) if ended == "ok" else {}
            if result in ready:
                data = os.read(result, CHUNK)
                sent += len(data)
                if sent > header["output_bytes"]:
                    ended = "output_limit"
                elif data:
                    frames.send(b"D", data)
                else:
                    poller.unregister(result)
            if errors in ready:
                data = os.read(errors, CHUNK)
                heard += len(data)
                tail = (tail + data)[-TAIL:]
                if heard > STDERR_MAX:
                    ended = "output_limit"
                elif not data:
                    poller.unregister(errors)
            if 0 in ready and frames.read()[0] == b"C":
                ended = "stopped"
            if ended != "ok":
                self._kill_all()
                return ended, self._exactly(zygote.STATUS.size), tail
            if self._zygote.fileno() in ready:
                return ended, self._exactly(zygote.STATUS.size), tail

    def _kill_all(self) -> None:
        """Kill everything of the program's uid, also what forks faster than we look."""
        for _ in range(50):
            if not self._processes():
                return
            self._as_program(lambda: os.kill(-1, signal.SIGKILL))
            time.sleep(0.001)

    def _processes(self) -> list[int]:
        """Living processes of the uid; /proc's owner can be faked, the Uid line can't.

        A zombie counts while it has other threads: its main thread alone has left.
        """
        found = []
        for name in os.listdir("/proc"):
            if name.isdecimal():
                try:
                    with open("/proc/" + name + "/status", "rb") as f:
                        text = f.read()
                except OSError:
                    continue
                uids = text.partition(b"\nUid:")[2].partition(b"\n")[0].split()
                dead = b"\nState:\tZ" in text and len(_names("/proc/" + name + "/task")) < 2
                if str(self._uid).encode() in uids and not dead:
                    found.append(int(name))
        return found

    def _as_program(self, action: Any) -> None:
        """Do it in a process of the program's uid, and wait."""
        pid = os.fork()
        if pid == 0:
            try:
                os.setgroups([])
                os.setresgid(self._uid, self._uid, self._uid)
                os.setresuid(self._uid, self._uid, self._uid)
                action()
            finally:
                os._exit(0)
        for _ in range(1000):
            if os.waitpid(pid, os.WNOHANG)[0]:
                return
            time.sleep(0.002 if _ else 0)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    def _wipe(self) -> str:
        """Remove every file it left; what is left all the same, or "" when the cell is as it was."""
        if any(os.listdir(folder) for folder in FOLDERS):
            self._as_program(_remove_files)
        return self._left()

    def _left(self) -> str:
        """What a program has left behind, or ""."""
        for folder in FOLDERS:
            if os.listdir(folder):
                return "files in " + folder
        if self._processes():
            return "processes"
        for kind in ("shm", "sem", "msg"):
            if _lines("/proc/sysvipc/" + kind) > 1:
                return "System V " + kind
        held = self._memory()
        return "" if held < self._memory_mark else "%d MiB of memory" % (held >> 20)

    @staticmethod
    def _memory() -> int:
        """Bytes that processes and tmpfs hold in this container (page cache, which the kernel takes back, left out)."""
        for path, wanted in MEMORY:
            try:
                with open(path) as f:
                    return sum(int(line.split()[1]) for line in f if line.split(" ", 1)[0] in wanted)
            except OSError:
                continue
        return 0

    @staticmethod
    def ooms() -> int:
        """How often the kernel has killed for memory in this container."""
        for path in ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"):
            try:
                with open(path) as f:
                    for line in f:
                        if line.startswith("oom_kill "):
                            return int(line.split()[1])
            except OSError:
                continue
        return 0


def _drain(result: int) -> None:
    """Pass on what a program had written before it died."""
    os.set_blocking(result, False)
    try:
        while True:
            data = os.read(result, CHUNK)
            if not data:
                return
            frames.send(b"D", data)
    except BlockingIOError:
        return


def _remove_files() -> None:
    for folder in FOLDERS:
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path, ignore_errors=True)
            else:
                os.unlink(path)


def _highest_uid() -> int:
    """The greatest user id that exists in this container: 65,535 or so under a rootless engine."""
    with open("/proc/self/uid_map") as f:
        return max(int(first) + int(size) for first, _, size in map(str.split, f)) - 1


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _lines(path: str) -> int:
    try:
        with open(path) as f:
            return sum(1 for _ in f)
    except OSError:
        return 0
