"""A model's weights read into host memory on a thread, beside another model that is being asked."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

from assay.harness.backends import loading
from assay.harness.backends.base import ModelOptions
from assay.harness.backends.checkpoint import read_json
from assay.harness.backends.loading import Parts

BLOCK = 2**24
"""Bytes of a file that are read at a time."""
_LEAVING = threading.Event()
"""The process is about to end: nothing more is read ahead."""


def begin(parts: Parts, options: ModelOptions) -> Future[Any]:
    """Start reading a model on a thread of its own, beside another that is being asked.

    Returns:
        what `loading.load` takes: the model, None where only its files went into the system's cache, or the error.
    """
    found: Future[Any] = Future()
    whole = _can_be_made_aside(parts, options)

    def work() -> None:
        try:
            _read_through(_weight_files(parts))
            found.set_result(loading.read(parts, options) if whole and not _LEAVING.is_set() else None)
        except BaseException as error:
            found.set_exception(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    atexit.register(_leave, thread)
    return found


def _leave(thread: threading.Thread) -> None:
    """Ctrl-C waits for no file; for a model that is being made it must: torch aborts when Python ends its thread."""
    _LEAVING.set()
    thread.join()


def has_room(parts: Parts, options: ModelOptions, available: int) -> bool:
    """Whether what `begin` reads leaves as much again of the bytes of host memory that are available."""
    need = sum(p.stat().st_size for p in _weight_files(parts))
    if _can_be_made_aside(parts, options):
        need *= 2  # 16 bits in the files, 32 in memory
    return 2 * need <= available


def _can_be_made_aside(parts: Parts, options: ModelOptions) -> bool:
    """Whether making the model leaves alone what another thread computes.

    transformers makes a model with torch's default dtype set to the model's, for all threads: harmless where that is
    the default already. Quantised weights may go to the device at once.
    """
    import torch  # here, on the main thread: two threads that import it at the same time could meet it half made

    if parts.gguf or parts.quantization or "quantization_config" in read_json(parts.folder / "config.json"):
        return False
    return bool(getattr(torch, options.dtype, None) == torch.get_default_dtype())


def _weight_files(parts: Parts) -> list[Path]:
    """Those that transformers reads."""
    if parts.gguf:
        return [parts.folder / parts.gguf]
    return sorted(parts.folder.glob("*.safetensors")) or sorted(parts.folder.glob("pytorch_model*.bin"))


def _read_through(paths: Iterable[Path]) -> None:
    """Into the system's cache: transformers only maps the files of weights that keep their dtype."""
    block = bytearray(BLOCK)
    with suppress(OSError):  # loading the model will say it
        for path in paths:
            with path.open("rb", buffering=0) as f:
                while not _LEAVING.is_set() and f.readinto(block):
                    pass
