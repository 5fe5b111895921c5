"""netCDF 4, as tools for ADCPs write it: a copy with four variables more beside those of the time.

Nothing that is there changes. The times stay as they were recorded, as other variables (bounds, intervals)
count by them; topside's are in variables of their own, on the same dimension.

Assumption: other variables of time (of GPS, of another beam's dimension) are not asked for; `--column` names
the one that is.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import h5netcdf
import h5py
import numpy as np

from tidesync.sessions.correction.netcdf_output import variables_of
from tidesync.sessions.correction.netcdf_time import (
    NetcdfTimes,
    TimeVariables,
    counts_from_an_instant,
    is_epic,
)
from tidesync.sessions.correction.restarts import RestartCheck
from tidesync.sessions.correction.table import COLUMNS, EXPORTED, Batch, Malformed
from tidesync.sessions.errors import NoTimestampError, SessionError, UnusableFileError
from tidesync.sessions.netcdf_stream import checked_on

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tidesync.sessions.correction.table import Job, Measured, Write
    from tidesync.sessions.correction.timeline import Corrections
    from tidesync.sessions.netcdf_stream import CheckedFile

_BATCH = 65_536
_HDF5, _CLASSIC = b"\x89HDF", b"CDF"
_DEFAULT, _TIME, _OF_DAY = "timestamp", "time", "time2"
_T = TypeVar("_T")


@contextmanager
def open_netcdf(job: Job, measured: Measured) -> Iterator[NetcdfTable]:
    """Open a netCDF 4 file with a variable of times."""
    _check_kind(job.path)
    with _opened(job.path, job.path, "r") as file:
        yield _contained(job.path, lambda: NetcdfTable(job, measured, file))


class _File(h5netcdf.File):  # type: ignore[misc]
    """Closes in silence where it was not opened whole."""

    _writable = False


@contextmanager
def _opened(original: Path, path: Path | CheckedFile, mode: str) -> Iterator[Any]:
    """The file at `path`, or on a file of its own; UnusableFileError, which names the original."""
    with (
        _contained(original, lambda: h5py.File(path, mode)) as stored,
        _contained(original, lambda: _File(stored, mode)) as file,
    ):
        yield file


def _check_kind(path: Path) -> None:
    """UnusableFileError unless it is netCDF 4."""
    with path.open("rb") as stream:
        begin = stream.read(len(_HDF5))
    if begin.startswith(_CLASSIC):
        reason = "it is netCDF of the classic format: nccopy -k nc4 IN OUT makes netCDF 4 of it"
        raise UnusableFileError(path, reason)
    if begin != _HDF5:
        received = f"it begins with {begin!r}" if begin else "it is empty"
        raise UnusableFileError(path, f"it is no netCDF 4 file: {received}")


def _contained(path: Path, read: Callable[[], _T]) -> _T:
    """What `read` returns; UnusableFileError for whatever the library raises on a damaged file."""
    try:
        return read()
    except SessionError:
        raise
    except Exception as error:
        raise UnusableFileError(path, f"it cannot be read: {str(error) or type(error).__name__}") from error


class NetcdfTable:
    """An open file; see `correction.table.Table`. Its columns are the variables of the time's dimension."""

    place = "row"
    step_ns = 1_000

    def __init__(self, job: Job, measured: Measured, file: Any) -> None:
        self._path, self._job = job.path, job
        if EXPORTED in file.attrs:
            raise NoTimestampError(job.path, "it is an export of Tidesync's: its times are topside's already")
        self.name, variables = _times_of(job, file)
        group, _, own = self.name.rpartition("/")
        self._group = file[group] if group else file
        self._dimension = variables.time.dimensions[0]
        self._rows = variables.rows
        self._times = NetcdfTimes(replace(job, column=self.name), measured, variables)
        others = [
            name
            for name, each in self._group.variables.items()
            if each.dimensions == variables.time.dimensions
        ]
        self._columns = [own, *(name for name in others if name not in {own, *COLUMNS})]
        self.columns = [*self._columns, *(name for name in COLUMNS if name in self._group.variables)]
        self.form = self._times.form
        note = _left(self._group, own, self._columns)
        self.form = replace(self.form, described=(*self.form.described, note)) if note else self.form
        self._row_bytes = job.path.stat().st_size / max(self._rows, 1)

    def scan(self) -> Iterator[Batch]:
        """All rows' times."""
        return self.read()

    def read(self) -> Iterator[Batch]:
        """All rows' times; `Batch.rows` is the first one and the one after the last."""
        restarts = RestartCheck(self._job)
        for begin in range(0, self._rows, _BATCH):
            end = min(begin + _BATCH, self._rows)
            found = _contained(self._path, lambda ends=(begin, end): self._times.stamps(*ends))  # type: ignore[misc]
            restarts.note(found.unix_ns[found.readable])
            malformed = [
                Malformed(begin + row + 1, self._times.text(begin + row))
                for row in np.flatnonzero(~found.readable).tolist()
            ]
            size = round((end - begin) * self._row_bytes)
            yield Batch(
                (begin, end),
                found.unix_ns,
                found.readable,
                malformed,
                size,
                found.repeated,
                found.resolution_ns,
            )

    def texts(self, rows: Any, wanted: Sequence[int]) -> list[list[bytes]]:
        """The values of the rows that are `wanted`, by column."""
        begin, end = rows
        return [
            [
                _text(value)
                for value in np.asarray(self._group.variables[name][begin:end])[list(wanted)].tolist()
            ]
            for name in self._columns
        ]

    @contextmanager
    def output(self, stream: BinaryIO) -> Iterator[Write]:
        """A copy with our variables."""
        with (
            checked_on(stream, original=self._path) as made,
            _opened(self._path, made, "r+") as file,
        ):
            parent, _, _ = self.name.rpartition("/")
            group = file[parent] if parent else file
            written = _contained(self._path, lambda: variables_of(group, self._dimension, self.name))

            def write(rows: Any, found: Corrections) -> None:
                written.write(rows[0], rows[1], found)
                made.check()

            yield write


def _times_of(job: Job, file: Any) -> tuple[str, TimeVariables]:
    """The variable that the job names, or `time`, with its path; NoTimestampError where there is none."""
    name = _variable_name(job, file)
    time = _variable(file, name)
    if time is None:
        received = ", ".join(map(repr, file.variables))
        raise NoTimestampError(job.path, f"there is no variable {name!r} (received {received or 'none'})")
    if len(time.dimensions) != 1:
        reason = f"variable {name!r} has the dimensions {time.dimensions}: expected one"
        raise UnusableFileError(job.path, reason)
    beside = _variable(file, f"{name.rpartition(_TIME)[0]}{_OF_DAY}") if name.endswith(_TIME) else None
    if beside is not None and is_epic(time, beside):
        return name, TimeVariables(time, beside)
    return name, TimeVariables(time)


def _variable_name(job: Job, file: Any) -> str:
    if job.stamps.columns:
        raise UnusableFileError(job.path, "--columns: a netCDF file has one variable of times: --column")
    name = job.column.strip("/")
    return _TIME if name == _DEFAULT and _variable(file, name) is None else name


def _variable(file: Any, path: str) -> Any:
    """The variable at a path through groups; None where there is none."""
    *groups, name = path.split("/")
    for each in groups:
        if each not in file.groups:
            return None
        file = file.groups[each]
    return file.variables.get(name)


def _left(group: Any, own: str, columns: Sequence[str]) -> str:
    """A sentence on further variables that count from an instant; empty where there are none."""
    others = [
        name
        for name, each in group.variables.items()
        if name not in {own, *COLUMNS}
        and (counts_from_an_instant(str(each.attrs.get("units", ""))) or name == f"{own}_bnds")
    ]
    named = [name for name in others if name in columns] + [name for name in others if name not in columns]
    return f"as they were recorded: {', '.join(named)} (--column names another variable)" if named else ""


def _text(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    return b"" if value is None or value != value else str(value).encode()  # noqa: PLR0124 - NaN
