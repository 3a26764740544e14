"""Sample files of strangers, opened within limits: what is not exactly one of ours is refused before it is decoded."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assay.harness.records import SAMPLES
from assay.harness.submission.findings import SubmissionError

LARGEST = 500_000_000
"""Bytes of a file of samples; 58,000 samples of three options take 2 million."""
FOOTER, CONTAINER = 16_000_000, 100_000
"""Bytes of a footer; items of any list in it."""
CELL, DECODED = 4_000_000, 2_000_000_000
"""Bytes of one text, and of a whole file in memory."""
BATCH = 16_384
MAGIC = b"PAR1"
METADATA = {b"ARROW:schema", b"PARQUET:field_id"}
UNREADABLE = (pa.ArrowException, OSError, ValueError, TypeError, KeyError, OverflowError, MemoryError)
"""What pyarrow raises of files that are not what they should be."""


def read(path: Path, most_rows: int) -> pa.Table:
    """A file of samples whose schema is exactly ours; sizes are held against limits before and while it is read.

    Raises:
        SubmissionError: it isn't, or it is beyond a limit.
    """
    size = path.stat().st_size
    if size > LARGEST:
        raise SubmissionError(f"has {size:,} bytes, {LARGEST:,} are taken")
    _demand_footer(path, size)
    try:
        with pq.ParquetFile(path, thrift_string_size_limit=FOOTER, thrift_container_size_limit=CONTAINER) as file:
            _demand_described(file, most_rows)
            batches, decoded = [], 0
            for batch in file.iter_batches(BATCH, use_threads=False):
                decoded += batch.nbytes
                if decoded > DECODED:
                    raise SubmissionError(f"decodes to more than {DECODED:,} bytes")
                _demand_sound(batch)
                batches.append(batch)
            table = pa.Table.from_batches(batches, SAMPLES)
            if table.num_rows != file.metadata.num_rows:
                raise SubmissionError(f"has {table.num_rows:,} rows, its footer says {file.metadata.num_rows:,}")
    except UNREADABLE as error:
        raise SubmissionError(f"is no Parquet that can be read: {type(error).__name__}: {error}") from None
    return table.combine_chunks()


def _demand_footer(path: Path, size: int) -> None:
    """Looked at before any parser is let near: the footer is all that Parquet reads unasked."""
    with path.open("rb") as f:
        begins = f.read(4)
        f.seek(max(0, size - 8))
        ends = f.read(8)
    length = int.from_bytes(ends[:4], "little")
    if size < 12 or begins != MAGIC or ends[4:] != MAGIC:
        raise SubmissionError("is no Parquet: it does not begin and end as one")
    if length > min(FOOTER, size - 12):
        raise SubmissionError(f"is damaged: its footer says that it has {length:,} bytes")


def _demand_described(file: pq.ParquetFile, most_rows: int) -> None:
    """What the footer says, before a row is read."""
    said, schema = file.metadata, file.schema_arrow
    if not schema.equals(SAMPLES):
        ours = {f.name: f.type for f in SAMPLES}
        odd = [f"{f.name} {f.type}" for f in schema if ours.pop(f.name, None) != f.type] + [f"no {n}" for n in ours]
        raise SubmissionError(f"has other columns than a record of samples: {', '.join(odd) or 'in another order'}")
    extra = [k for holder in (schema, *schema) for k in (holder.metadata or {})] + list(said.metadata or {})
    if strange := [k for k in extra if k not in METADATA]:
        raise SubmissionError(f"carries metadata that assay does not write: {strange[0]!r}")
    if said.num_rows > most_rows:
        raise SubmissionError(f"says that it has {said.num_rows:,} rows, the task can have {most_rows:,}")
    groups = [said.row_group(i) for i in range(min(said.num_row_groups, CONTAINER))]
    if sum(g.total_byte_size for g in groups) > DECODED or any(g.total_byte_size < 0 for g in groups):
        raise SubmissionError(f"says that it unpacks to more than {DECODED:,} bytes")


def _demand_sound(batch: pa.RecordBatch) -> None:
    batch.validate(full=True)  # text is UTF-8, offsets are in bounds
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if pa.types.is_string(column.type):
            longest = pc.max(pc.binary_length(column)).as_py() or 0
            if longest > CELL:
                raise SubmissionError(f"column '{name}' holds a text of {longest:,} bytes, {CELL:,} are taken")
