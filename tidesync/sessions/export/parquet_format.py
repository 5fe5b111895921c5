"""Parquet: one table; the schema's metadata has the notes, each field's metadata its description."""

from __future__ import annotations

from typing import BinaryIO

from tidesync.sessions.export.fields import FIELDS, NOTES, TEXT_FIELDS, Tracks, rows_of


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
    rows = [dict(zip(FIELDS, row, strict=True)) for row in rows_of(tracks)]
    parquet.write_table(pa.Table.from_pylist(rows, schema=schema), stream)
