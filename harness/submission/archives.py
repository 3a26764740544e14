"""Zip archives of strangers, believed in what is read and not in what a header says; and archives of ours, repeatable.

Refused: more than 20 MB packed, 200 MB unpacked or 2,000 entries; names that leave the folder, or that two systems read
differently; links and other special files; two entries of one name; anything encrypted.
"""

from __future__ import annotations

import io
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from assay.harness.submission.findings import SubmissionError, plain

PACKED, UNPACKED, ENTRIES = 20_000_000, 200_000_000, 2_000
CHUNK = 1 << 16
CENTRAL = b"PK\x01\x02"
"""Begins the record of an entry: counted before records are parsed, for there could be half a million."""
NAME = re.compile(r"\w[\w .:+@=,~()\[\]?&%-]{0,199}")
DRIVE = re.compile(r"[A-Za-z]:")
HIDDEN = ".lock"
"""The one hidden file that a run directory has."""
DEEPEST = 6
BEGINNING = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can hold."""
ENCRYPTED = 0x1 | 0x40 | 0x2000
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, IndexError, OverflowError, RuntimeError)
"""What zipfile raises of archives that are not what they should be."""


def safe(name: str) -> bool:
    """Whether a name of a file or folder means one thing on every system: no path, no drive, nothing hidden."""
    return NAME.fullmatch(name) is not None and not DRIVE.match(name) and not name.endswith((" ", "."))


def unpack(archive: bytes, into: Path) -> Path:
    """Write the files of a zipped submission.

    Args:
        archive: the zip.
        into: an empty folder, or none yet. What was written there before a refusal stays: the caller throws it away.

    Returns:
        The folder that holds the runs: `into`, or the one folder that everything is wrapped in.

    Raises:
        SubmissionError: the archive is refused; names the entry.
    """
    if len(archive) > PACKED:
        raise SubmissionError(
            f"the archive has {len(archive):,} bytes, {PACKED:,} are taken: send fewer runs at a time"
        )
    if archive.count(CENTRAL) > ENTRIES:
        raise SubmissionError(f"the archive has more than {ENTRIES:,} entries: zip the run folders and nothing else")
    try:
        opened = zipfile.ZipFile(io.BytesIO(archive))
    except DAMAGED as error:
        raise SubmissionError(f"not a zip archive that can be read: {plain(error)}: zip the folder again") from None
    with opened:
        left = UNPACKED
        into.mkdir(parents=True, exist_ok=True)
        for parts, entry in _checked(opened.infolist()).items():
            left -= _extract(opened, entry, into.joinpath(*parts), left)
    return _unwrapped(into)


def _checked(entries: Sequence[zipfile.ZipInfo]) -> dict[tuple[str, ...], zipfile.ZipInfo]:
    """The files by their path, every entry looked at before the first is written."""
    found: dict[tuple[str, ...], zipfile.ZipInfo] = {}
    is_file: dict[str, bool] = {}
    for entry in entries:
        name = entry.orig_filename
        fault = _fault(entry)
        same = unicodedata.normalize("NFC", name.rstrip("/")).casefold()
        above = ["/".join(same.split("/")[:n]) for n in range(1, same.count("/") + 1)]
        taken = same in is_file and (is_file[same] or not name.endswith("/"))
        if not fault and (taken or any(map(is_file.get, above))):
            fault = "stands twice, or below a file"
        if fault:
            raise SubmissionError(f"entry '{plain(name)}' {fault}: zip the run folders, as assay wrote them, again")
        is_file |= dict.fromkeys(above, False) | {same: not name.endswith("/")}
        if is_file[same]:
            found[tuple(name.split("/"))] = entry
    return found


def _fault(entry: zipfile.ZipInfo) -> str:
    """Why an entry is refused, by its record in the archive's directory; "" when it isn't."""
    parts = entry.orig_filename.removesuffix("/").split("/")
    if len(parts) > DEEPEST or not all(safe(p) or p == HIDDEN for p in parts):
        return "leaves the folder, is hidden, or has a name that not every system can hold"
    if entry.flag_bits & ENCRYPTED:
        return "is encrypted"
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or another special file"
    return "" if entry.compress_type in METHODS else "is compressed by an unusual method"


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, left: int) -> int:
    """Write one file; its size, counted as it comes."""
    size, name = 0, plain(entry.orig_filename)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as out:
        try:
            with archive.open(entry) as source:
                while size <= left and (chunk := source.read(CHUNK)):
                    size += len(chunk)
                    out.write(chunk)
        except DAMAGED as error:
            raise SubmissionError(f"entry '{name}' can't be read: {plain(error)}: zip the folder again") from None
    if size > left:
        raise SubmissionError(
            f"entry '{name}': with it the archive unpacks to more than {UNPACKED:,} bytes: send fewer runs at a time"
        )
    return size


def _unwrapped(folder: Path) -> Path:
    """Where the runs are: here, or in the one folder that everything lies in."""
    inside = list(folder.iterdir())
    runs = [p for p in (folder, *inside) if (p / "plan.json").is_file()]
    return inside[0] if not runs and len(inside) == 1 and inside[0].is_dir() else folder


def pack(files: Mapping[str, Path]) -> bytes:
    """A zip of these files by their names in it; the same files give the same bytes."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, BEGINNING)
            entry.compress_type, entry.create_system = zipfile.ZIP_DEFLATED, 3
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, files[name].read_bytes())
    return written.getvalue()
