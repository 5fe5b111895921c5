"""The variables that a correction adds to a netCDF file, by the CF conventions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tidesync.sessions.correction.table import COLUMNS
from tidesync.sessions.correction.timeline import NO_U95, STATES, UNREADABLE

if TYPE_CHECKING:
    from tidesync.sessions.correction.timeline import Corrections

_ABSENT = -(2**63)
_MS = {"units": "ms"}
_NOTES = (
    "{}: the same instant on topside's clock",
    "{}: the greatest possible error of timestamp_topside",
    "{}: the error of timestamp_topside that 95 of 100 keep if both directions' smallest delays are alike",
    "{}: how timestamp_topside was found",
)


class TopsideVariables(NamedTuple):
    """The four variables, in the order of COLUMNS."""

    instant: Any
    max_error: Any
    u95: Any
    state: Any

    def write(self, begin: int, end: int, found: Corrections) -> None:
        """Write rows. Readers take an instant that may be absent for a double, which µs fit."""
        known = found.known
        self.instant[begin:end] = np.where(known, (found.topside_ns + 500) // 1_000, _ABSENT)
        self.max_error[begin:end] = np.where(known, (found.max_error_ns + 1_000) / 1e6, np.nan)
        self.u95[begin:end] = np.where(known & (found.u95_ns != NO_U95), (found.u95_ns + 1_000) / 1e6, np.nan)
        self.state[begin:end] = found.state.astype(np.int8)


def variables_of(group: Any, dimension: str, time: str) -> TopsideVariables:
    """New variables of a dimension in a group; `time`: the variable that they are of."""
    kinds: tuple[tuple[Any, Any], ...] = (
        (np.int64, _ABSENT),
        (np.float64, np.nan),
        (np.float64, np.nan),
        (np.int8, UNREADABLE),
    )
    made = []
    for name, note, (kind, absent) in zip(COLUMNS, _NOTES, kinds, strict=True):
        variable = group.create_variable(name, (dimension,), kind, fillvalue=kind(absent))
        variable.attrs["long_name"] = note.format(time)
        made.append(variable)
    instant, max_error, u95, state = made
    instant.attrs.update(
        {
            "standard_name": "time",
            "units": "microseconds since 1970-01-01T00:00:00Z",
            "calendar": "proleptic_gregorian",
            "ancillary_variables": " ".join(COLUMNS[1:]),
        }
    )
    for each in (max_error, u95):
        each.attrs.update(_MS)
    state.attrs["flag_values"] = np.arange(len(STATES), dtype=np.int8)
    state.attrs["flag_meanings"] = " ".join(STATES)
    return TopsideVariables(*made)
