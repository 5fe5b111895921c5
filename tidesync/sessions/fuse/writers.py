"""Writes a fused table as CSV, Parquet or NetCDF, block by block."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from tidesync.sessions.fuse.fields import distinct
from tidesync.sessions.netcdf_stream import netcdf_on

if TYPE_CHECKING:
    from tidesync.sessions.fuse.fields import Field

_BLOCK, _ROW_GROUP = 16_384, 65_536
_SPECIAL = (b",", b'"', b"\n", b"\r")


def write_csv(fields: Sequence[Field], rows: int, stream: BinaryIO) -> None:
    """UTF-8 with commas; texts are quoted where they must be."""
    stream.write(b",".join(_quoted(field.name.encode()) for field in fields) + b"\n")
    for begin, end in _blocks(rows):
        columns = [_all_quoted(field.texts(begin, end)) for field in fields]
        stream.writelines(b",".join(row) + b"\n" for row in zip(*columns, strict=True))


def write_parquet(fields: Sequence[Field], rows: int, stream: BinaryIO) -> None:
    """A UTC timestamp in ns; numbers where all texts of a column are; each field states its meaning."""
    import pyarrow as pa  # noqa: PLC0415 - only this format needs it
    from pyarrow import parquet  # noqa: PLC0415

    kinds = {"time": pa.timestamp("ns", tz="UTC"), "integer": pa.int64(), "number": pa.float64()}
    schema = pa.schema(
        [
            pa.field(field.name, kinds.get(field.kind, pa.string()), metadata={"description": field.note})
            for field in fields
        ]
    )
    with parquet.ParquetWriter(stream, schema) as writer:
        for begin, end in _blocks(rows, _ROW_GROUP):
            found = [field.values(begin, end) for field in fields]
            arrays = [
                pa.array(each.values, mask=each.absent).cast(field.type)
                for each, field in zip(found, schema, strict=True)
            ]
            writer.write_batch(pa.record_batch(arrays, schema=schema))


def write_netcdf(fields: Sequence[Field], rows: int, stream: BinaryIO) -> None:
    """NetCDF 4 by the CF conventions: one dimension, `timestamp_topside`, whose variable is the time."""
    import h5py  # noqa: PLC0415 - only this format needs it

    with netcdf_on(stream) as (file, check):
        _fill(file, fields, rows, h5py.string_dtype())
        check()


def _fill(file: Any, fields: Sequence[Field], rows: int, text: Any) -> None:
    """Write every column as a variable; `text` is the type of texts."""
    time = fields[0].name
    file.dimensions = {time: rows}
    file.attrs["Conventions"] = "CF-1.8"
    names = distinct([field.name.replace("/", "_") for field in fields])
    for field, name in zip(fields, names, strict=True):
        whole = field.kind == "integer" and not any(
            field.values(begin, end).absent.any() for begin, end in _blocks(rows)
        )
        kind: Any = np.int64 if whole else {"time": np.int64, "text": text}.get(field.kind, np.float64)
        variable = file.create_variable(name, (time,), kind)
        variable.attrs["long_name"] = field.note
        if field.kind == "time":
            variable.attrs["units"] = "nanoseconds since 1970-01-01T00:00:00Z"
            variable.attrs["calendar"] = "proleptic_gregorian"
            variable.attrs["standard_name"] = "time"
        elif field.name.endswith("_ms"):
            variable.attrs["units"] = "ms"
        for begin, end in _blocks(rows):
            variable[begin:end] = _plain(field, begin, end)


def _plain(field: Field, begin: int, end: int) -> Any:
    """Values without a mask: absent numbers are NaN, absent texts empty."""
    found = field.values(begin, end)
    if field.kind == "integer" and found.absent.any():
        return np.where(found.absent, np.nan, found.values.astype(np.float64))
    return np.array(found.values, dtype=object) if field.kind == "text" else found.values


def _blocks(rows: int, size: int = _BLOCK) -> Iterator[tuple[int, int]]:
    return pairwise([*range(0, rows, size), rows])


def _all_quoted(texts: list[bytes]) -> list[bytes]:
    every = b"".join(texts)
    return [_quoted(text) for text in texts] if any(special in every for special in _SPECIAL) else texts


def _quoted(text: bytes) -> bytes:
    if not any(special in text for special in _SPECIAL):
        return text
    return b'"' + text.replace(b'"', b'""') + b'"'


WRITERS: Mapping[str, Callable[[Sequence[Field], int, BinaryIO], None]] = {
    ".csv": write_csv,
    ".parquet": write_parquet,
    ".nc": write_netcdf,
}
"""By the suffix of the output."""
_LIBRARIES: Mapping[str, Sequence[str]] = {".parquet": ("pyarrow",), ".nc": ("h5netcdf", "h5py")}


def require(suffix: str) -> None:
    """ModuleNotFoundError where a library that writes the format is not installed."""
    for library in _LIBRARIES.get(suffix, ()):
        importlib.import_module(library)
