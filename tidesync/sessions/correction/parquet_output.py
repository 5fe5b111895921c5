"""Writes a Parquet table like another one, with our columns after its own.

Row groups, the compression and dictionaries of each column, sorting columns and metadata stay as they are.
INT96 timestamps are written as such where a table has no others, as Spark does.
"""

from __future__ import annotations

import io
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from tidesync.sessions.correction.parquet_rows import RowGroupRows
from tidesync.sessions.correction.table import COLUMNS
from tidesync.sessions.correction.timeline import NO_U95, STATES, UNREADABLE
from tidesync.sessions.errors import UnusableFileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tidesync.sessions.correction.table import Write
    from tidesync.sessions.correction.timeline import Corrections

_UNIMPORTANT = re.compile(r", (is_from_converted_type|force_set_converted_type)=\w+")


@contextmanager
def parquet_output(path: Path, file: Any, stream: BinaryIO) -> Iterator[Write]:
    """Write the rows of the open `file`, in their order and with as many in each row group.

    UnusableFileError where one of its columns cannot be written as what it is.
    """
    import pyarrow as pa  # noqa: PLC0415 - only Parquet needs it
    from pyarrow import parquet  # noqa: PLC0415

    kinds = (pa.timestamp("ns", tz="UTC"), pa.float64(), pa.float64(), pa.string())
    schema = file.schema_arrow
    for name, kind in zip(COLUMNS, kinds, strict=True):
        schema = schema.append(pa.field(name, kind))
    settings = _settings(file)
    _refuse_changed_types(path, file, schema, settings)
    groups = map(file.metadata.row_group, range(file.num_row_groups))
    sizes: Iterator[int] = iter([group.num_rows for group in groups])
    held, left = RowGroupRows(schema), 0

    def next_size() -> int:
        """Of the next row group that has rows; those without are written."""
        for size in sizes:
            if size:
                return size
            writer.write_table(schema.empty_table())
        return 0

    def write(rows: Any, corrections: Corrections) -> None:
        nonlocal left
        left = (left or next_size()) - rows.num_rows
        held.add(pa.record_batch([*rows.columns, *_added(corrections)], schema=schema))
        if not left:
            table = held.take()
            writer.write_table(table, row_group_size=table.num_rows)

    with parquet.ParquetWriter(stream, schema, **settings) as writer:
        yield write
        next_size()


def _added(corrections: Corrections) -> list[Any]:
    import pyarrow as pa  # noqa: PLC0415

    unknown = ~corrections.known
    states = np.array([*STATES, ""])[corrections.state]  # UNREADABLE, -1, is the last one
    return [
        pa.array(corrections.topside_ns, mask=unknown).cast(pa.timestamp("ns", tz="UTC")),
        pa.array(corrections.max_error_ns / 1e6, mask=unknown),
        pa.array(corrections.u95_ns / 1e6, mask=unknown | (corrections.u95_ns == NO_U95)),
        pa.array(states, pa.string(), mask=corrections.state == UNREADABLE),
    ]


def _settings(file: Any) -> dict[str, Any]:
    """The writer's settings, as far as the file shows those that it was written with."""
    columns = [file.schema.column(index) for index in range(file.metadata.num_columns)]
    stored = {column.logical_type.type: column.physical_type for column in columns}
    coarse = not any(_is_timestamp(column) for column in columns)
    settings: dict[str, Any] = {
        "use_deprecated_int96_timestamps": coarse and any(each.physical_type == "INT96" for each in columns),
        "store_decimal_as_integer": stored.get("DECIMAL") in {"INT32", "INT64"},
        "write_time_adjusted_to_utc": any(
            "Time(isAdjustedToUTC=true" in str(each.logical_type) for each in columns
        ),
    }
    if not file.num_row_groups or not columns:
        return settings
    group = file.metadata.row_group(0)
    chunks = [group.column(index) for index in range(group.num_columns)]
    codecs = {chunk.path_in_schema: _codec(chunk.compression) for chunk in chunks}
    settings["compression"] = dict.fromkeys(COLUMNS, _codec(chunks[0].compression)) | codecs
    settings["use_dictionary"] = ["time_state"] + [
        chunk.path_in_schema for chunk in chunks if any("DICTIONARY" in each for each in chunk.encodings)
    ]
    orders = {file.metadata.row_group(index).sorting_columns for index in range(file.num_row_groups)}
    if len(orders) == 1:
        settings["sorting_columns"] = orders.pop() or None
    return settings


def _is_timestamp(column: Any) -> bool:
    return column.physical_type == "INT64" and str(column.logical_type).startswith("Timestamp")


def _codec(name: str) -> str:
    if name == "UNCOMPRESSED":
        return "NONE"
    return "LZ4" if name.startswith("LZ4") else name


def _refuse_changed_types(path: Path, file: Any, schema: Any, settings: dict[str, Any]) -> None:
    """UnusableFileError where a column would be stored as another type; INT96 may become INT64."""
    from pyarrow import parquet  # noqa: PLC0415

    empty = io.BytesIO()
    with parquet.ParquetWriter(empty, schema, **settings):
        pass
    written = parquet.ParquetFile(empty).schema
    for index in range(file.metadata.num_columns):
        before, after = file.schema.column(index), written.column(index)
        if before.physical_type != "INT96" and _type(before) != _type(after):
            reason = f"column {before.path!r} is {_type(before)}, which can be written as {_type(after)} only"
            raise UnusableFileError(path, reason)


def _type(column: Any) -> str:
    logical = _UNIMPORTANT.sub("", str(column.logical_type))
    length = f"({column.length})" if column.physical_type == "FIXED_LEN_BYTE_ARRAY" else ""
    return f"{column.physical_type}{length}" + (f", {logical}" if logical != "None" else "")
