"""System calls that no benchmark needs, refused to every program beside what the engine's own profile refuses.

Old engines' profiles let a container open vsock sockets, which reach the machine's hypervisor past any network setting,
and io_uring, which passes by the other filters. Also refused: every call of another architecture than
the machine's own, where numbers and arguments mean something else.
"""

from __future__ import annotations

import ctypes
import platform
import struct
from typing import Any

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, FILTER = 38, 22, 2
ALLOW, ERRNO_EPERM = 0x7FFF0000, 0x00050001
LOAD, EQUAL, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
NUMBER_AT, ARCHITECTURE_AT, FIRST_ARGUMENT_AT = 0, 4, 16
FAMILIES = (1, 2, 10, 16)
"""Of sockets that may be made: unix, IPv4, IPv6, netlink (which lists the interfaces)."""
MACHINES = {
    "x86_64": {"architecture": 0xC000003E, "socket": 41, "refused": (240, 425, 426, 427, 428, 442)},
    "aarch64": {"architecture": 0xC00000B7, "socket": 198, "refused": (180, 425, 426, 427, 428, 442)},
}
"""Refused: mq_open, the three of io_uring, open_tree, mount_setattr."""
X32 = 0x40000000


def _program(machine: dict[str, Any]) -> bytes:
    """Classic BPF, one instruction a row: operation, jump if true, jump if false, operand."""
    refused, families = machine["refused"], FAMILIES
    rows = [(LOAD, 0, 0, ARCHITECTURE_AT), (EQUAL, 1, 0, machine["architecture"]), (RETURN, 0, 0, ERRNO_EPERM)]
    rows += [(LOAD, 0, 0, NUMBER_AT), (AT_LEAST, 0, 1, X32), (RETURN, 0, 0, ERRNO_EPERM)]
    for number in refused:
        rows += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ERRNO_EPERM)]
    rows += [(EQUAL, 1, 0, machine["socket"]), (RETURN, 0, 0, ALLOW), (LOAD, 0, 0, FIRST_ARGUMENT_AT)]
    for family in families:
        rows += [(EQUAL, 0, 1, family), (RETURN, 0, 0, ALLOW)]
    rows += [(RETURN, 0, 0, ERRNO_EPERM)]
    return b"".join(struct.pack("HBBI", *row) for row in rows)


PROGRAMS = {name: _program(machine) for name, machine in MACHINES.items()}


def forbid(libc: Any) -> None:
    """Install the filter in this process and all it will start; on a machine we don't know the engine's must do.

    Raises:
        OSError: the kernel refuses it.
    """
    program = PROGRAMS.get(platform.machine())
    if program is None:
        return
    held = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(held))
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.prctl(PR_SET_SECCOMP, FILTER, header, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no seccomp filter")
