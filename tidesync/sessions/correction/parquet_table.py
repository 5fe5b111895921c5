"""Parquet tables: the columns as they are, four more after them, row group by row group."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from tidesync.sessions.correction.parquet_column import ParquetColumn
from tidesync.sessions.correction.table import COLUMNS, Batch, Job, Malformed
from tidesync.sessions.correction.timeline import NO_U95, STATES, UNREADABLE
from tidesync.sessions.errors import NoTimestampError, UnusableFileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tidesync.sessions.correction.table import Measured, Write
    from tidesync.sessions.correction.timeline import Corrections

_BATCH = 65_536
"""Rows in memory at once."""


@contextmanager
def open_parquet(job: Job, measured: Measured) -> Iterator[ParquetTable]:
    """Open a Parquet file whose column holds timestamps, numbers or text."""
    import pyarrow as pa  # noqa: PLC0415 - only Parquet needs it
    from pyarrow import parquet  # noqa: PLC0415

    try:
        with parquet.ParquetFile(job.path) as file:
            yield ParquetTable(job, measured, file)
    except pa.ArrowException as error:
        raise UnusableFileError(job.path, str(error).strip()) from error


class ParquetTable:
    """An open Parquet file; see `correction.table.Table`. A corrected instant is a UTC timestamp in ns."""

    place = "row"
    step_ns = 0

    def __init__(self, job: Job, measured: Measured, file: Any) -> None:
        self._job, self._file = job, file
        self.columns: list[str] = file.schema_arrow.names
        for name in job.columns:
            if name not in self.columns:
                raise NoTimestampError(job.path, f"there is no column {name!r} (received {self.columns})")
        self._column = ParquetColumn(job, measured, file)
        self.form = self._column.form
        self._row_bytes = job.path.stat().st_size / max(file.metadata.num_rows, 1)

    def scan(self) -> Iterator[Batch]:
        """All rows, of which the one column alone is read."""
        return self._batches(self._file.iter_batches(_BATCH, columns=list(self._job.columns)))

    def read(self) -> Iterator[Batch]:
        """All rows, in batches that keep the file's row groups."""
        groups = range(self._file.num_row_groups)
        return self._batches(
            batch for group in groups for batch in self._file.iter_batches(_BATCH, row_groups=[group])
        )

    def _batches(self, batches: Iterable[Any]) -> Iterator[Batch]:
        count = 0
        for batch in batches:
            found = self._column.stamps(batch)
            malformed = [
                Malformed(count + row + 1, self._column.text(batch, row))
                for row in np.flatnonzero(~found.readable).tolist()
            ]
            size = round(batch.num_rows * self._row_bytes)
            yield Batch(
                batch, found.unix_ns, found.readable, malformed, size, found.repeated, found.resolution_ns
            )
            count += batch.num_rows

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
