"""Parquet tables: the columns as they are, four more after them, row group by row group."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from tidesync.sessions.correction.parquet_column import ParquetColumn
from tidesync.sessions.correction.parquet_int96 import BATCH, IN_PARTS, int96_checked, source_of
from tidesync.sessions.correction.parquet_output import parquet_output
from tidesync.sessions.correction.restarts import RestartCheck
from tidesync.sessions.correction.table import Batch, Job, Malformed
from tidesync.sessions.errors import NoTimestampError, UnusableFileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from tidesync.sessions.correction.table import Measured, Write


@contextmanager
def open_parquet(job: Job, measured: Measured) -> Iterator[ParquetTable]:
    """Open a Parquet file whose column holds timestamps, numbers or text."""
    import pyarrow as pa  # noqa: PLC0415 - only Parquet needs it
    from pyarrow import parquet  # noqa: PLC0415

    try:
        with (
            source_of(job.path) as source,
            parquet.ParquetFile(source, page_checksum_verification=True, **IN_PARTS) as file,
        ):
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
        twice = [name for name, number in Counter(self.columns).items() if number > 1]
        if twice:
            reason = f"several columns are named {twice[0]!r}: give each a name of its own"
            raise UnusableFileError(job.path, reason)
        self._column = ParquetColumn(job, measured, file)
        self.form = self._column.form
        self._row_bytes = job.path.stat().st_size / max(file.metadata.num_rows, 1)

    def scan(self) -> Iterator[Batch]:
        """All rows, of which the one column alone is read."""
        return self._batches(self._file.iter_batches(BATCH, columns=list(self._job.columns)))

    def read(self) -> Iterator[Batch]:
        """All rows, in batches that keep the file's row groups."""
        return self._batches(int96_checked(self._job.path, self._file, _grouped(self._file)))

    def _batches(self, batches: Iterable[Any]) -> Iterator[Batch]:
        count, restarts = 0, RestartCheck(self._job)
        for batch in batches:
            found = self._column.stamps(batch)
            restarts.note(found.unix_ns[found.readable])
            malformed = [
                Malformed(count + row + 1, self._column.text(batch, row))
                for row in np.flatnonzero(~found.readable).tolist()
            ]
            size = round(batch.num_rows * self._row_bytes)
            yield Batch(
                batch, found.unix_ns, found.readable, malformed, size, found.repeated, found.resolution_ns
            )
            count += batch.num_rows

    def texts(self, rows: Any, wanted: Sequence[int]) -> list[list[bytes]]:
        """The values of the rows that are `wanted`, by column."""
        return [_texts(column.take(list(wanted))) for column in rows.columns]

    def output(self, stream: BinaryIO) -> AbstractContextManager[Write]:
        """Parquet like the table's own."""
        return parquet_output(self._job.path, self._file, stream)


def _grouped(file: Any) -> Iterator[Any]:
    for group in range(file.num_row_groups):
        yield from file.iter_batches(BATCH, row_groups=[group])


def _texts(values: Any) -> list[bytes]:
    """Values as text that reads back as the same; absent is empty."""
    import pyarrow as pa  # noqa: PLC0415

    try:
        found = values.cast(pa.string()).to_pylist()
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):  # nested, or bytes that are no text
        found = [None if value is None else str(value) for value in values.to_pylist()]
    return [b"" if text is None else text.encode("utf-8", "backslashreplace") for text in found]
