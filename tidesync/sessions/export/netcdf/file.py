"""Writes variables over one dimension as netCDF 4 by blocks, in the types that netCDF has always had."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from runtime.files import replacing
from tidesync.sessions.correction.table import EXPORTED
from tidesync.sessions.netcdf_stream import netcdf_on

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Block = NDArray[Any]

Attributes = Mapping[str, Any]
Kind = Literal["f8", "i4", "i1", "text"]
BLOCK = 16_384
"""Rows in a chunk."""
FILLS: Mapping[Kind, Any] = {"f8": np.float64(9.969209968386869e36), "i4": np.int32(-2147483647)}
"""What stands for an absent value: netCDF's own fill values."""
LONGEST_TEXT = 1000
"""Longer texts are variable-length strings, which CF has since 1.8; others are arrays of characters."""


class Variable(NamedTuple):
    """A variable over the rows."""

    name: str
    kind: Kind
    attributes: Attributes
    values: Callable[[int, int], Block]
    """The values of the rows from the first to before the second; `text`: UTF-8 as objects of bytes."""
    width: int = 0
    """Of `text`: the greatest length."""
    may_be_absent: bool = False
    """Whether the kind's fill value stands for an absent value."""


class Scalar(NamedTuple):
    """A variable without the rows' dimension; of a text its characters have one."""

    name: str
    value: Any
    """A number of NumPy's, a float or a text."""
    attributes: Attributes
    of_station: bool = False
    """Whether it has the dimensions before that of the rows."""


@dataclass
class Content:
    """What a file has; `dimensions` are those of its rows, the last one is theirs, any other has size 1."""

    rows: int
    dimensions: Sequence[str]
    attributes: Attributes
    variables: Sequence[Variable]
    scalars: Sequence[Scalar] = ()


def write(path: Path, content: Content) -> None:
    """Write the whole file or none; OSError."""
    with replacing(path) as stream, netcdf_on(stream, path.parent) as (file, check):
        file.dimensions = dict.fromkeys(content.dimensions, 1) | {content.dimensions[-1]: content.rows}
        _add_attributes(file, content.attributes)
        for scalar in content.scalars:
            _add_scalar(file, scalar, content.dimensions[:-1] if scalar.of_station else ())
        places = [(variable, _create(file, variable, content)) for variable in content.variables]
        for begin in range(0, content.rows, BLOCK):
            end = min(begin + BLOCK, content.rows)
            for variable, place in places:
                _write_block(variable, place, slice(begin, end), len(content.dimensions) > 1)
            check()


def _add_attributes(target: Any, attributes: Attributes) -> None:
    """Texts as characters, numbers as they are."""
    for name, value in attributes.items():
        target.attrs[name] = np.bytes_(value.encode()) if isinstance(value, str) else value


def _add_scalar(file: Any, scalar: Scalar, dimensions: Sequence[str]) -> None:
    if isinstance(scalar.value, str):
        text = np.array([scalar.value.encode()])
        letters = _letters(file, text.dtype.itemsize)
        variable = file.create_variable(scalar.name, (*dimensions, letters), "S1")
        variable[...] = text.view("S1").reshape((1,) * len(dimensions) + (-1,))
        variable.attrs["_Encoding"] = np.bytes_("utf-8")
    else:
        variable = file.create_variable(scalar.name, tuple(dimensions), np.asarray(scalar.value).dtype)
        variable[...] = scalar.value
    _add_attributes(variable, scalar.attributes)


def _letters(file: Any, width: int) -> str:
    """The dimension of texts of this many bytes."""
    name = f"string{width}"
    if name not in file.dimensions:
        file.dimensions[name] = width
    return name


def _create(file: Any, variable: Variable, content: Content) -> Any:
    import h5py  # noqa: PLC0415 - only this format needs it

    lead, rows = (1,) * (len(content.dimensions) - 1), max(min(content.rows, BLOCK), 1)
    how: dict[str, Any] = {"compression": "gzip", "compression_opts": 2, "shuffle": True, "fletcher32": True}
    dimensions, chunks, kind = tuple(content.dimensions), (*lead, rows), variable.kind
    if kind != "text":
        fill = FILLS[kind] if variable.may_be_absent else None
        made = file.create_variable(variable.name, dimensions, kind, chunks=chunks, fillvalue=fill, **how)
    elif variable.width > LONGEST_TEXT:
        made = file.create_variable(variable.name, dimensions, h5py.string_dtype(), chunks=chunks)
    else:
        letters = _letters(file, max(variable.width, 1))
        chunks = (*chunks, max(variable.width, 1))
        made = file.create_variable(variable.name, (*dimensions, letters), "S1", chunks=chunks, **how)
        made.attrs["_Encoding"] = np.bytes_("utf-8")
    _add_attributes(made, variable.attributes)
    return made


def _write_block(variable: Variable, place: Any, rows: slice, within: bool) -> None:
    values = variable.values(rows.start, rows.stop)
    if variable.kind == "text" and variable.width <= LONGEST_TEXT:
        values = values.astype(f"S{max(variable.width, 1)}").view("S1").reshape(values.size, -1)
    if within:
        place[0, rows] = values
    else:
        place[rows] = values


def is_ours(path: Path) -> bool:
    """Whether the file at `path` was written by an export."""
    import h5py  # noqa: PLC0415 - only this format needs it

    try:
        with h5py.File(path, "r") as file:
            return EXPORTED in file.attrs
    except OSError:
        return False
