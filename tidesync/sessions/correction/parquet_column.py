"""The timestamps of a Parquet table: of a type that says what they are, numbers, or text."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np

from tidesync.sessions.correction.stamps.column import form_of_numbers, form_of_texts
from tidesync.sessions.correction.stamps.numbers import UNIX
from tidesync.sessions.errors import UnusableFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tidesync.sessions.correction.stamps.form import StampForm, Stamps
    from tidesync.sessions.correction.stamps.numbers import Scale
    from tidesync.sessions.correction.table import Job, Measured
    from tidesync.sessions.correction.unexplained import Flags

_SURVEYED = 4_096
_GROUPS = 32
"""Of so many row groups the first rows are surveyed, and the last rows of all."""


class ParquetColumn:
    """The job's columns of an open file; UnusableFileError where they hold no timestamps."""

    def __init__(self, job: Job, measured: Measured, file: Any) -> None:
        self._job, self._file = job, file
        kinds = [file.schema_arrow.field(name).type for name in job.columns]
        self._scale = _scale(kinds[0]) if len(kinds) == 1 else None
        unit = _elapsed_unit(job, kinds[0]) if len(kinds) == 1 else None
        self._cast = self._scale is not None or unit is not None
        self._numbers = len(kinds) == 1 and (self._cast or _is_number(kinds[0]))
        for name, kind in zip(job.columns, kinds, strict=True):
            if not (self._numbers or _is_readable(kind)):
                reason = f"column {name!r} holds {kind}: expected timestamps, numbers or text"
                raise UnusableFileError(job.path, reason)
        batches = list(self._surveyed())
        if not self._numbers:
            self.form: StampForm = form_of_texts(job, measured, chain(*map(self._texts, batches)))
            return
        values, known = zip(*map(self._values, batches), strict=True) if batches else ((), ())
        all_known = np.concatenate([np.zeros(0, dtype=bool), *known])
        every = np.concatenate([np.zeros(0, dtype=values[0].dtype if values else np.int64), *values])
        stated = job if unit is None else replace(job, unit=unit)
        self.form = form_of_numbers(stated, measured, every[all_known], self._scale)

    def stamps(self, batch: Any) -> Stamps:
        """The timestamps of a batch's rows."""
        if self._numbers:
            return self.form.read_numbers(*self._values(batch))
        return self.form.read(self._texts(batch))

    def text(self, batch: Any, row: int) -> str:
        """A row's timestamp as text."""
        columns = [_as_text(batch.column(name).slice(row, 1)) for name in self._job.columns]
        return " ".join(str(column[0].as_py()) for column in columns)

    def _surveyed(self) -> Iterator[Any]:
        names, groups = list(self._job.columns), self._file.num_row_groups
        if not groups:
            return
        for group in np.unique(np.linspace(0, groups - 1, _GROUPS).astype(int)).tolist():
            yield from islice(self._file.iter_batches(_SURVEYED, row_groups=[group], columns=names), 1)
        if self._file.metadata.row_group(groups - 1).num_rows > _SURVEYED:
            yield from deque(self._file.iter_batches(_SURVEYED, row_groups=[groups - 1], columns=names), 1)

    def _values(self, batch: Any) -> tuple[NDArray[Any], Flags]:
        column = batch.column(self._job.column)
        if self._cast:
            column = column.cast("int64")
        known = column.is_valid().to_numpy(zero_copy_only=False)
        return column.fill_null(0).to_numpy(zero_copy_only=False), known

    def _texts(self, batch: Any) -> list[bytes]:
        columns = [_as_text(batch.column(name)).to_pylist() for name in self._job.columns]
        return [
            " ".join("" if value is None else str(value) for value in row).encode()
            for row in zip(*columns, strict=True)
        ]


def _scale(kind: Any) -> Scale | None:
    """What a timestamp type counts, on a local clock where it has no zone; None for other types."""
    from pyarrow import types  # noqa: PLC0415

    if not types.is_timestamp(kind):
        return None
    return replace(next(scale for scale in UNIX if scale.name == kind.unit), local=kind.tz is None)


def _elapsed_unit(job: Job, kind: Any) -> str | None:
    """What a duration counts, where times since an instant are asked for; None for other types."""
    from pyarrow import types  # noqa: PLC0415

    if job.stamps.since is None:
        return None
    if types.is_timestamp(kind):
        reason = f"--since: column {job.column!r} holds {kind}: expected times elapsed, numbers or durations"
        raise UnusableFileError(job.path, reason)
    return str(kind.unit) if types.is_duration(kind) else None


def _as_text(column: Any) -> Any:
    """Dates, times of day and timestamps as text, those with a zone in UTC; other columns as they are."""
    import pyarrow as pa  # noqa: PLC0415

    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        column = column.cast(pa.timestamp(column.type.unit, tz="UTC"))
    return column.cast(pa.string()) if pa.types.is_temporal(column.type) else column


def _is_number(kind: Any) -> bool:
    from pyarrow import types  # noqa: PLC0415

    return bool(types.is_integer(kind) or types.is_floating(kind))


def _is_readable(kind: Any) -> bool:
    from pyarrow import types  # noqa: PLC0415

    if types.is_dictionary(kind):
        return _is_readable(kind.value_type)
    tests = (
        *(types.is_string, types.is_large_string, types.is_string_view, types.is_decimal),
        *(types.is_integer, types.is_floating, types.is_date, types.is_time, types.is_timestamp),
    )
    return any(test(kind) for test in tests)
