"""A process that has imported what most programs import, and forks one child a program."""

from __future__ import annotations

import ctypes
import gc
import importlib
import os
import resource
import signal
import socket
import struct
import sys
from typing import Any

from . import runner, seccomp, suite

RESULT_FD = 3
PR_SET_DUMPABLE = 4
STATUS = struct.Struct("!idd")
"""Exit status as `os.wait4` gives it, CPU seconds, peak resident set in KiB."""


def main(sock: socket.socket, options: dict[str, Any]) -> None:
    """Import, say so, then fork a child for every uid that arrives with its four descriptors."""
    for name in options["preload"]:
        importlib.import_module(name)
    suite.prepare()
    libc = ctypes.CDLL(None, use_errno=True)
    gc.collect()
    gc.freeze()
    sock.sendall(b"R")
    while True:
        message, fds, _, _ = socket.recv_fds(sock, 64, 4)
        if not message:
            os._exit(0)
        pid = os.fork()
        if pid == 0:
            _child(int(message), fds, options, libc, sock.fileno())
        for fd in fds:
            os.close(fd)
        sock.sendall(struct.pack("!i", pid))
        _, status, usage = os.wait4(pid, 0)
        sock.sendall(STATUS.pack(status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss))


def _child(uid: int, fds: list[int], options: dict[str, Any], libc: Any, sock: int) -> None:
    """Become nobody, keep three streams and the report, run. Never returns."""
    try:
        os.close(sock)
        os.setsid()
        body, result, errors, secret = fds
        null = os.open("/dev/null", os.O_RDWR)
        spare = [os.dup(fd) for fd in (null, null, errors, result, secret, body)]
        for want, fd in enumerate(spare):
            os.dup2(fd, want + 64)
        for want in range(5):
            os.dup2(want + 64, want)
        job = _read_all(69)
        os.closerange(5, 1024)
        for name, limit in options["rlimits"].items():
            resource.setrlimit(getattr(resource, "RLIMIT_" + name), (limit, limit))
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
        seccomp.forbid(libc)
        os.chdir("/work")
        os.umask(0o022)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        sys.stdin = open(os.devnull, "w")
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False, errors="backslashreplace")
        if "numpy.random" in sys.modules:
            sys.modules["numpy.random"].seed()
        os.write(RESULT_FD, b"r\n")
        runner.main(job, RESULT_FD)
    finally:
        os._exit(3)


def _read_all(fd: int) -> bytes:
    size = os.fstat(fd).st_size
    data = b""
    while len(data) < size:
        data += os.pread(fd, size - len(data), len(data))
    return data
