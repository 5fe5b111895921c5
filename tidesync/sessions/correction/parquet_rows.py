"""The rows of a row group that is being written: those of a large one are kept in a temporary file.

Parquet's writer takes a row group as a whole, column by column. From the file, which is mapped, it reads as
it writes, so that in memory is about one column of the row group, encoded. The file is in the folder for
temporary files (`TMPDIR`), as large as the row group is uncompressed.
"""

from __future__ import annotations

import mmap
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import IO

MOST_BYTES = 64 << 20
"""In memory; what is larger goes to the file."""


class RowGroupRows:
    """Takes batches with one `schema`, and gives them back as a table."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema
        self._held: list[Any] = []
        self._bytes = 0
        self._file: IO[bytes] | None = None
        self._writer: Any = None

    def add(self, batch: Any) -> None:
        """Add a batch."""
        self._held.append(batch)
        self._bytes += batch.nbytes
        if self._bytes > MOST_BYTES:
            self._to_file()

    def take(self) -> Any:
        """All rows as a table; the next ones are another row group's."""
        import pyarrow as pa  # noqa: PLC0415 - only Parquet needs it

        if self._file is not None:
            self._to_file()
            self._writer.close()
            self._file.flush()
            mapped = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
            self._file.close()
            self._file = self._writer = None
            return pa.ipc.open_stream(pa.py_buffer(mapped)).read_all()
        table = pa.Table.from_batches(self._held, self._schema)
        self._held, self._bytes = [], 0
        return table

    def _to_file(self) -> None:
        import pyarrow as pa  # noqa: PLC0415

        if self._file is None:
            self._file = TemporaryFile()  # noqa: SIM115 - `take` closes it
            self._writer = pa.ipc.new_stream(self._file, self._schema)
        for batch in self._held:
            self._writer.write_batch(batch)
        self._held, self._bytes = [], 0
