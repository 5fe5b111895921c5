"""Parquet: one table; the schema's metadata has the notes, each field's metadata its description."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, BinaryIO

from tidesync.sessions.export.fields import FIELDS, NOTES, TEXT_FIELDS, Tracks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyarrow import RecordBatch, Schema

    from topside_agent.estimator import Row

_ROWS = 50_000
"""In a row group."""
_AT_ONCE = 2000
"""Rows as objects, which take ten times the memory of a row group's columns."""


def write_parquet(tracks: Tracks, stream: BinaryIO) -> None:
    """Write every row."""
    import pyarrow as pa  # noqa: PLC0415 - only this format needs it
    from pyarrow import parquet  # noqa: PLC0415

    fields = [
        pa.field(
            name,
            pa.string() if name in TEXT_FIELDS else pa.int64(),
            nullable=name == "u95_ns",
            metadata={"description": note},
        )
        for name, note in FIELDS.items()
    ]
    schema = pa.schema(fields, metadata=dict(NOTES))
    rows = _every(tracks)
    with parquet.ParquetWriter(stream, schema) as writer:
        while group := list(_batches(islice(rows, _ROWS), schema)):
            writer.write_table(pa.Table.from_batches(group, schema=schema).combine_chunks())


def _every(tracks: Tracks) -> Iterator[Row]:
    for _, rows in tracks:
        yield from rows
        del rows


def _batches(rows: Iterator[Row], schema: Schema) -> Iterator[RecordBatch]:
    import pyarrow as pa  # noqa: PLC0415 - only this format needs it

    while some := list(islice(rows, _AT_ONCE)):
        columns = zip(*some, strict=True)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)
