"""What a user of the library passes as times, as integer counts; what cannot hold nanoseconds is refused.

Accepted: integers (Unix nanoseconds), datetime and datetime64, pandas' Series, Index and Timestamp, polars'
Series, lists of these, and single ones. Those without a zone are UTC. NaT, None, null and masked values are
missing.
"""

from __future__ import annotations

import math
from collections.abc import Sized
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from schemas.compat import UTC
from tidesync.sessions.correction.stamp_array import StampArray
from tidesync.sessions.errors import UsageError

if TYPE_CHECKING:
    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator.blocks import Integers

_ACCEPTED = "integers (Unix nanoseconds), datetimes, or a column of these"
_FLOATS = (
    "float64 does not hold nanoseconds (it resolves 0.24 µs of Unix seconds, 256 ns of Unix nanoseconds)."
    " Convert exactly, from integers or text, to datetime64[ns] or int64; a column with missing values to"
    ' pandas\' "Int64"'
)
_UNITS = ("s", "ms", "us", "ns")
_IN_SECONDS = {"m": 60, "h": 3_600, "D": 86_400, "W": 604_800}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LEAST, _MOST = -(2**63) + 1, 2**63 - 1
_NAT = -(2**63)
_COARSEST = 10**15
"""ns: a resolution of more than a week is none."""


class Times(NamedTuple):
    """Counts of `unit` since 1970 in UTC, in one dimension; the counts of those not `known` are void."""

    counts: Integers
    known: Flags
    unit: str
    shape: tuple[int, ...]
    """Of what was passed."""

    def stamps(self, resolution_ns: int | None) -> StampArray:
        """For the correction."""
        if resolution_ns is None:
            return StampArray(self.counts, self.known, self.unit)
        if not _is_integer(resolution_ns) or not 0 <= resolution_ns <= _COARSEST:
            raise UsageError(
                f"resolution_ns: expected an integer from 0 to {_COARSEST}, received {resolution_ns!r}"
            )
        return StampArray(self.counts, self.known, self.unit, int(resolution_ns))


def read_times(times: object) -> Times:
    """The times that were passed; UsageError, which names the value and what is accepted."""
    module = type(times).__module__.partition(".")[0]
    if module == "polars" and isinstance(times, Sized) and hasattr(times, "dtype"):
        return _of_polars(times)
    if module == "pandas" and hasattr(times, "dtype"):
        return _of_pandas(times)
    if isinstance(times, np.ma.MaskedArray):
        found = _of_array(times.data)
        return found._replace(known=found.known & ~np.ma.getmaskarray(times).ravel())
    return _of_array(_array(times))


def _array(times: object) -> Any:
    if isinstance(times, np.ndarray | np.generic):
        return np.asarray(times)
    if hasattr(times, "__array__") and not isinstance(times, list | tuple):
        return np.asarray(times)
    try:
        return np.asarray(times, dtype=object)  # as they are: NumPy makes floats of integers beside None
    except ValueError as error:
        raise UsageError(f"times: expected {_ACCEPTED}, received {_short(times)}") from error


def _of_array(array: Any) -> Times:
    kind, flat = array.dtype.kind, array.ravel()
    if kind == "M":
        counts, unit = _of_datetimes(flat)
        return Times(counts, counts != _NAT, unit, array.shape)
    if kind in "iu":
        return Times(_integers(flat), np.ones(flat.size, dtype=bool), "ns", array.shape)
    if kind == "O":
        return _of_objects(flat.tolist(), array.shape)
    if not flat.size and kind == "f":  # what NumPy makes of nothing
        return Times(flat.astype(np.int64), np.zeros(0, dtype=bool), "ns", array.shape)
    raise _refused(f"an array of {array.dtype}", floats=kind == "f")


def _of_datetimes(flat: Any) -> tuple[Integers, str]:
    unit, step = np.datetime_data(flat.dtype)
    if unit == "generic":  # NaT alone
        return np.full(flat.size, _NAT), "ns"
    counts = flat.astype(f"datetime64[{unit}]").astype(np.int64) if step != 1 else flat.astype(np.int64)
    if unit in _UNITS:
        return counts, unit
    if unit not in _IN_SECONDS:
        raise _refused(f"an array of {flat.dtype}; convert it to datetime64[ns]")
    seconds = _IN_SECONDS[unit]
    within = np.clip(counts, _LEAST // seconds + 1, _MOST // seconds)  # none wraps round into our time
    return np.where(counts == _NAT, _NAT, within * seconds), "s"


def _integers(flat: Any) -> Integers:
    if flat.dtype.kind == "u" and flat.size and int(flat.max()) > _MOST:
        raise UsageError(f"times: expected Unix nanoseconds of at most {_MOST}, received {flat.max()}")
    found: Integers = flat.astype(np.int64)
    return found


def _of_objects(values: list[Any], shape: tuple[int, ...]) -> Times:
    """Of Python objects, one by one."""
    found = [_ns_of(value) for value in values]
    known = np.array([each is not None for each in found], dtype=bool)
    return Times(np.array([each or 0 for each in found], dtype=np.int64), known, "ns", shape)


def _ns_of(value: Any) -> int | None:
    """Unix ns of one time; None for a missing one."""
    if value is None or type(value).__name__ in {"NaTType", "NAType"}:
        return None
    if _is_integer(value):
        found = int(value)
    elif isinstance(value, np.datetime64) or hasattr(value, "to_datetime64"):  # pandas has ns besides
        plain = value if isinstance(value, np.datetime64) else value.to_datetime64()
        of_one = _of_array(plain.reshape(1))
        found = int(of_one.counts[0]) * 1000 ** (3 - _UNITS.index(of_one.unit))
        if not of_one.known[0]:
            return None
    elif isinstance(value, datetime):
        found = ns_of_datetime(value)
    elif isinstance(value, float | np.floating) and math.isnan(value):
        return None  # pandas' missing value in a column of objects
    else:
        raise _refused(_short(value), floats=isinstance(value, float | np.floating))
    if not _LEAST <= found <= _MOST:
        raise UsageError(f"times: expected Unix nanoseconds within 64 bits, received {_short(value)}")
    return found


def _is_integer(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def ns_of_datetime(value: Any) -> int:
    """Unix ns of a datetime; without a zone it is UTC."""
    aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    return int((aware - _EPOCH) // timedelta(microseconds=1)) * 1000


def _of_pandas(times: Any) -> Times:
    """Of a Series, an Index or an array of pandas."""
    dtype, shape = times.dtype, (len(times),)
    kind = getattr(dtype, "kind", "O")
    if kind == "M":
        zoned = getattr(dtype, "tz", None) is not None
        if not zoned and isinstance(dtype, np.dtype):
            return _of_array(times.to_numpy())
        if zoned and hasattr(dtype, "unit"):
            whole = times.dt if hasattr(times, "dt") else times
            return _of_array(_plain(whole.tz_convert("UTC")).to_numpy())
        return _of_objects(list(times), shape)  # pyarrow's types
    if kind in "iu":
        known = ~np.asarray(times.isna(), dtype=bool)
        values = times.fillna(0) if not known.all() else times
        counts = _integers(np.asarray(values.to_numpy()))
        return Times(counts, known, "ns", shape)
    if kind == "O" and isinstance(dtype, np.dtype):
        return _of_objects(list(times), shape)
    if not len(times):
        return _of_array(np.zeros(0))
    raise _refused(f"a column of {dtype}", floats=kind == "f")


def _plain(aware: Any) -> Any:
    """A Series or index in UTC without its zone."""
    return aware.dt.tz_localize(None) if hasattr(aware, "dt") else aware.tz_localize(None)


def _of_polars(times: Any) -> Times:
    """Of a Series of polars; its times with a zone are UTC inside."""
    dtype, size = times.dtype, (len(times),)
    if str(dtype) == "Null":
        return Times(np.zeros(size, dtype=np.int64), np.zeros(size, dtype=bool), "ns", size)
    unit = getattr(dtype, "time_unit", None) if str(dtype).startswith("Datetime") else "ns"
    if not (dtype.is_integer() or str(dtype).startswith("Datetime")) or str(dtype).endswith("Int128"):
        raise _refused(f"a column of {dtype}", floats=dtype.is_float())
    known = ~times.is_null().to_numpy()
    counts = _integers(times.to_physical().fill_null(0).to_numpy())
    return Times(counts, known, unit or "us", size)


def _refused(received: str, *, floats: bool = False) -> UsageError:
    reason = f": {_FLOATS}" if floats else ""
    return UsageError(f"times: expected {_ACCEPTED}, received {received}{reason}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"  # noqa: PLR2004 - a sentence
