"""INT96 timestamps, which reach farther than the 64-bit ns that they are read as."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tidesync.sessions.errors import UnusableFileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

BATCH = 65_536
"""Rows in memory at once."""
IN_PARTS: Mapping[str, Any] = {"buffer_size": 1 << 18, "pre_buffer": False}
"""How a file is opened of which row groups are not read as a whole."""


@contextmanager
def source_of(path: Path) -> Iterator[Any]:
    """What pyarrow opens: the path, or an open file where the path is no UTF-8, which it refuses."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        with path.open("rb") as stream:
            yield stream
    else:
        yield path


def int96_checked(path: Path, file: Any, batches: Iterable[Any]) -> Iterator[Any]:
    """The `batches` of the open file; UnusableFileError where an INT96 value does not fit.

    Read in µs they reach from the year 1 to 9999: where both readings differ, the one in ns wrapped around.
    """
    leaves = [file.schema.column(index) for index in range(file.metadata.num_columns)]
    names = [leaf.path for leaf in leaves if leaf.physical_type == "INT96"]
    if not names:
        yield from batches
        return
    nested = [name for name in names if name not in file.schema_arrow.names]
    if nested:
        raise UnusableFileError(path, f"column {nested[0]!r} has INT96 timestamps within another: not read")
    yield from _compared(path, names, batches)


def _compared(path: Path, names: list[str], batches: Iterable[Any]) -> Iterator[Any]:
    from pyarrow import parquet  # noqa: PLC0415 - only Parquet needs it

    with (
        source_of(path) as source,
        parquet.ParquetFile(source, coerce_int96_timestamp_unit="us", **IN_PARTS) as coarse,
    ):
        groups = range(coarse.num_row_groups)
        second = (
            each for group in groups for each in coarse.iter_batches(BATCH, row_groups=[group], columns=names)
        )
        for fine, same in zip(batches, second, strict=True):
            for name in names:
                fine_ns, coarse_us = (
                    batch.column(name).cast("int64").fill_null(0).to_numpy() for batch in (fine, same)
                )
                if (fine_ns // 1_000 != coarse_us).any():
                    raise UnusableFileError(path, f"column {name!r} has INT96 timestamps beyond 1677 to 2262")
            yield fine
