"""Whether a checkpoint folder is all there, from its files alone: nothing is loaded, nothing is changed."""

from __future__ import annotations

import json
import re
import stat
import zipfile
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeAlias

from assay.harness.backends.checkpoint import describe, read_json

Look: TypeAlias = tuple[tuple[str, int, int, int], ...]
"""Every file of a folder: name, size in bytes, mtime in ns, inode. Two equal looks: nothing was written between."""
TEMPORARY = ("*.tmp", "*[-._]tmp[-._]*", "tmp[-._]*", "*.partial", "*.part", "*.incomplete", ".*.*")
"""Names that writers give what is not done yet; `.*.*` is rsync's (`.model.safetensors.Xy12z9`)."""
VOCABULARY = ("tokenizer.json", "*.model", "vocab.*")
SINGLE = ("model.safetensors", "pytorch_model.bin")
SHARD = re.compile(r"(?:model|pytorch_model)-\d+-of-\d+\.(?:safetensors|bin)")
LONGEST_HEADER = 100_000_000
"""Bytes, as the safetensors library has it."""


def checkpoints(folder: Path) -> list[Path]:
    """Sub-folders with a config.json under a final name. A link to a neighbour (`latest`) is none: the neighbour is.

    Raises:
        OSError: the folder can't be read.
    """
    found = [p for p in folder.iterdir() if not p.name.startswith(".") and not _temporary(p.name)]
    found = [p for p in found if not (p.is_symlink() and p.resolve().parent == folder.resolve())]
    return sorted(p for p in found if (p / "config.json").is_file())


def place(folder: Path) -> tuple[bool, int, str]:
    """Sorts by training step, from a state file or the name; those without one last."""
    step = describe(folder, folder.name).step
    return step is None, step or 0, folder.name


def _temporary(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in TEMPORARY)


def look(folder: Path) -> Look:
    """Its files as they are now; () while they come and go."""
    try:
        found = [(str(p.relative_to(folder)), p.stat()) for p in folder.rglob("*")]
    except OSError:
        return ()
    return tuple(sorted((n, s.st_size, s.st_mtime_ns, s.st_ino) for n, s in found if stat.S_ISREG(s.st_mode)))


def fault(folder: Path, *, own_tokenizer: bool = True) -> str:
    """What is not whole yet, or "".

    Args:
        folder: of a checkpoint, as `assay run --model hf:FOLDER` takes it.
        own_tokenizer: it must have one.
    """
    try:
        unfinished = sorted(p.name for p in folder.rglob("*") if _temporary(p.name) and p.is_file())
        if unfinished:
            return f"{unfinished[0]} is a temporary file"
        return _fault_of_json(folder) or _fault_of_weights(folder) or (_no_vocabulary(folder) if own_tokenizer else "")
    except OSError as error:
        return f"not readable: {error.strerror or error}"


def _fault_of_json(folder: Path) -> str:
    """The first JSON file that does not parse, or ""."""
    for path in sorted(folder.glob("*.json")):
        try:
            json.loads(path.read_bytes())
        except (OSError, ValueError):
            return f"{path.name} is not whole"
    return ""


def _fault_of_weights(folder: Path) -> str:
    named: set[str] = set()
    for index in sorted(folder.glob("*.index.json")):
        weight_map = read_json(index).get("weight_map")
        if not isinstance(weight_map, dict):
            return f"{index.name} names no weights"
        named |= set(map(str, weight_map.values()))
    files = {p.name for p in folder.iterdir() if p.is_file()}
    if missing := sorted(named - files):
        return f"{missing[0]} is missing"
    if strays := sorted(n for n in files - named if SHARD.fullmatch(n)):
        return f"{strays[0]} is a shard that no index names"
    if not named and files.isdisjoint(SINGLE):
        return "no weights"
    torn = (_torn(folder / n) for n in sorted(files))
    return next((said for said in torn if said), "")


def _torn(path: Path) -> str:
    if path.suffix == ".safetensors":
        return _torn_safetensors(path)
    if fnmatchcase(path.name, "pytorch_model*.bin") and not _opens_as_zip(path):
        return f"{path.name} is no whole PyTorch file"
    return ""


def _torn_safetensors(path: Path) -> str:
    """The header says where the last tensor ends, and that is the file's end (the format's own rule)."""
    size = path.stat().st_size
    with path.open("rb") as f:
        length = int.from_bytes(f.read(8), "little")
        header = f.read(length) if length <= min(size, LONGEST_HEADER) else b""
    try:
        tensors = [entry for name, entry in json.loads(header).items() if name != "__metadata__"]
        whole = 8 + length + max((entry["data_offsets"][1] for entry in tensors), default=0)
    except (ValueError, TypeError, LookupError, AttributeError):
        return f"{path.name} has no whole header"
    return "" if size == whole else f"{path.name} has {size:,} of {whole:,} bytes"


def _opens_as_zip(path: Path) -> bool:
    """Its central directory, which stands at the end, is readable."""
    try:
        with zipfile.ZipFile(path) as found:
            return bool(found.infolist())
    except zipfile.BadZipFile:
        return False


def _no_vocabulary(folder: Path) -> str:
    return "" if any(True for pattern in VOCABULARY for _ in folder.glob(pattern)) else "no tokenizer"
