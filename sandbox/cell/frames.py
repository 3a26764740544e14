"""What the supervisor and the host say to each other: one letter, four bytes of length, content."""

from __future__ import annotations

import os
import struct

CHUNK = 1 << 20


class Gone(Exception):
    """The host has hung up."""


def send(kind: bytes, content: bytes) -> None:
    """To the host."""
    write_all(1, kind + struct.pack("!I", len(content)) + content)


def read() -> tuple[bytes, bytes]:
    """The host's next frame: its letter and its content.

    Raises:
        Gone: there will be none.
    """
    head = _exactly(5)
    return head[:1], _exactly(struct.unpack("!I", head[1:])[0])


def write_all(fd: int, data: bytes) -> None:
    """All of it, however little the descriptor takes at once."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _exactly(size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        more = os.read(0, min(CHUNK, size - len(data)))
        if not more:
            raise Gone
        data += more
    return bytes(data)
