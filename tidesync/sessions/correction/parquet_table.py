"""Parquet tables: the columns as they are, four more after them, row group by row group."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from tidesync.sessions.correction.stamps import EARLIEST_NS, LATEST_NS, NS_OF_UNIT, StampReader, stamp_arrays
from tidesync.sessions.correction.table import COLUMNS, Batch, Job, Malformed
from tidesync.sessions.correction.timeline import NO_U95, STATES, UNREADABLE
from tidesync.sessions.errors import NoTimestampError, UnusableFileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tidesync.sessions.correction.table import Write
    from tidesync.sessions.correction.timeline import Corrections

_BATCH = 65_536
"""Rows in memory at once."""


@contextmanager
def open_parquet(job: Job, near_ns: int) -> Iterator[ParquetTable]:
    """Open a Parquet file whose column holds timestamps, numbers or text."""
    import pyarrow as pa  # noqa: PLC0415 - only Parquet needs it
    from pyarrow import parquet  # noqa: PLC0415

    try:
        with parquet.ParquetFile(job.path) as file:
            yield ParquetTable(job, near_ns, file)
    except pa.ArrowException as error:
        raise UnusableFileError(job.path, str(error).strip()) from error


class ParquetTable:
    """An open Parquet file; see `correction.table.Table`. A corrected instant is a UTC timestamp in ns."""

    resolution_ns = 0
    place = "row"
    step_ns = 0

    def __init__(self, job: Job, near_ns: int, file: Any) -> None:
        self._job, self._near_ns, self._file = job, near_ns, file
        self.columns: list[str] = file.schema_arrow.names
        if job.column not in self.columns:
            reason = f"there is no column {job.column!r} (received {self.columns})"
            raise NoTimestampError(job.path, reason)
        self._ns_of_count = _ns_of_count(job, file.schema_arrow.field(job.column).type)
        self._row_bytes = job.path.stat().st_size / max(file.metadata.num_rows, 1)

    def scan(self) -> Iterator[Batch]:
        """All rows, of which the one column alone is read."""
        return self._batches(self._file.iter_batches(_BATCH, columns=[self._job.column]))

    def read(self) -> Iterator[Batch]:
        """All rows, in batches that keep the file's row groups."""
        groups = range(self._file.num_row_groups)
        return self._batches(
            batch for group in groups for batch in self._file.iter_batches(_BATCH, row_groups=[group])
        )

    def _batches(self, batches: Iterable[Any]) -> Iterator[Batch]:
        reader, count = StampReader(self._job.unit, self._near_ns), 0
        for batch in batches:
            values = batch.column(self._job.column)
            unix_ns, readable = stamp_arrays(self._stamps(values, reader))
            malformed = [
                Malformed(count + row + 1, str(values[row].as_py()))
                for row in np.flatnonzero(~readable).tolist()
            ]
            yield Batch(batch, unix_ns, readable, malformed, round(batch.num_rows * self._row_bytes))
            count += batch.num_rows

    def _stamps(self, values: Any, reader: StampReader) -> list[int | None]:
        if self._ns_of_count is None:
            return [None if value is None else reader.read(str(value)) for value in values.to_pylist()]
        counts = values.cast("int64").to_pylist()
        times = (None if count is None else count * self._ns_of_count for count in counts)
        return [ns if ns is not None and EARLIEST_NS <= ns <= LATEST_NS else None for ns in times]

    def texts(self, rows: Any, wanted: Sequence[int]) -> list[list[bytes]]:
        """The values of the rows that are `wanted`, by column."""
        return [_texts(column.take(list(wanted))) for column in rows.columns]

    @contextmanager
    def output(self, stream: BinaryIO) -> Iterator[Write]:
        """Parquet with the compression of the first column, in batches as they are read."""
        import pyarrow as pa  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415

        kinds = (pa.timestamp("ns", tz="UTC"), pa.float64(), pa.float64(), pa.string())
        schema = self._file.schema_arrow
        for name, kind in zip(COLUMNS, kinds, strict=True):
            schema = schema.append(pa.field(name, kind))

        def write(rows: Any, corrections: Corrections) -> None:
            unknown = ~corrections.known
            states = [None if state == UNREADABLE else STATES[state] for state in corrections.state.tolist()]
            added = [
                pa.array(corrections.topside_ns, mask=unknown).cast(kinds[0]),
                pa.array(corrections.max_error_ns / 1e6, mask=unknown),
                pa.array(corrections.u95_ns / 1e6, mask=unknown | (corrections.u95_ns == NO_U95)),
                pa.array(states, kinds[3]),
            ]
            writer.write_batch(pa.record_batch([*rows.columns, *added], schema=schema))

        with parquet.ParquetWriter(stream, schema, compression=self._compression()) as writer:
            yield write

    def _compression(self) -> str:
        if self._file.num_row_groups and self._file.metadata.row_group(0).num_columns:
            return str(self._file.metadata.row_group(0).column(0).compression)
        return "SNAPPY"


def _ns_of_count(job: Job, kind: Any) -> int | None:
    """How many ns a count of a timestamp column has; None where its values are read as text."""
    from pyarrow import types  # noqa: PLC0415

    if types.is_timestamp(kind):
        return NS_OF_UNIT[kind.unit]
    readable = (types.is_string, types.is_large_string, types.is_integer, types.is_floating)
    if any(test(kind) for test in readable):
        return None
    reason = f"column {job.column!r} holds {kind}: expected timestamps, numbers or text"
    raise UnusableFileError(job.path, reason)


def _texts(values: Any) -> list[bytes]:
    """Values as text that reads back as the same; absent is empty."""
    import pyarrow as pa  # noqa: PLC0415

    try:
        found = values.cast(pa.string()).to_pylist()
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):  # nested, or bytes that are no text
        found = [None if value is None else str(value) for value in values.to_pylist()]
    return [b"" if text is None else text.encode("utf-8", "backslashreplace") for text in found]
