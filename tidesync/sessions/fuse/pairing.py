"""Which rows of a sensor belong to each instant of a time axis, pure; instants are topside's, Unix ns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidesync.sessions.correction.timeline import AMBIGUOUS, OUTSIDE, UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidesync.sessions.correction.timeline import Corrections
    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator.blocks import Floats, Integers

Method = Literal["nearest", "linear"]
NONE = -1
"""No row."""
REASONS = ("tolerance", "malformed", "outside", "ambiguous")
"""Why an instant has no row: none is within the tolerance; or those there have no instant themselves."""


class Pairs(NamedTuple):
    """For each instant of the axis the rows that it takes its values from; NONE where it has none.

    `first` is the nearest row, or the one before; `last` is the same, or the one after; `share` is where the
    instant is between both, from 0 to 1. `nearest` is the nearer one of both.
    """

    first: Integers
    last: Integers
    nearest: Integers
    share: Floats

    @property
    def paired(self) -> Flags:
        """Which instants have a row."""
        found: Flags = self.nearest != NONE
        return found

    def used(self, rows: int) -> Flags:
        """Which of so many rows any instant takes."""
        used = np.zeros(rows + 1, dtype=bool)
        for each in (self.first, self.last, self.nearest):
            used[each] = True
        return used[:-1]  # the last is NONE


class SensorTimes(NamedTuple):
    """The times of a sensor's rows, in the order of its tables, those without an instant included."""

    topside_ns: Integers
    max_error_ns: Integers
    state: NDArray[np.int8]
    """As `Corrections.state`."""
    known: Flags
    """Which rows have an instant."""

    @classmethod
    def of(cls, corrections: Corrections) -> SensorTimes:
        """The times of corrected rows."""
        state = corrections.state.astype(np.int8)
        return cls(corrections.topside_ns, corrections.max_error_ns, state, corrections.known)

    @classmethod
    def joined(cls, parts: Sequence[SensorTimes]) -> SensorTimes:
        """All parts, one after the other."""
        if len(parts) == 1:
            return parts[0]
        none = np.zeros(0, dtype=np.int64)
        void = cls(none, none, none.astype(np.int8), none.astype(bool))
        return cls(*map(np.concatenate, zip(void, *parts, strict=True)))

    def rows_in_time(self) -> Integers:
        """The rows that have an instant, in the order of time."""
        rows = np.flatnonzero(self.known)
        at_ns = self.topside_ns[rows]
        return rows if (at_ns[1:] >= at_ns[:-1]).all() else rows[np.argsort(at_ns, kind="stable")]


def pair(times: SensorTimes, axis_ns: Integers, tolerance_ns: int, method: Method) -> Pairs:
    """The rows of each instant whose nearest row is within the tolerance.

    `linear` takes the row before and the row after; only the nearest one where it is at the very instant, or
    where there is none on its other side.
    """
    rows = times.rows_in_time()
    none = np.full(axis_ns.shape, NONE, dtype=np.int64)
    if not rows.size:
        return Pairs(none, none, none, np.zeros(axis_ns.shape))
    at = times.topside_ns[rows]
    after = np.searchsorted(at, axis_ns, side="left")
    right, left = np.minimum(after, at.size - 1), np.maximum(after - 1, 0)
    exact = at[right] == axis_ns
    left = np.where(exact, right, left)
    from_left, to_right = np.abs(axis_ns - at[left]), np.abs(at[right] - axis_ns)
    nearer = np.where(to_right < from_left, right, left)
    within = np.minimum(from_left, to_right) <= tolerance_ns
    nearest = np.where(within, rows[nearer], NONE)
    if method == "nearest":
        return Pairs(nearest, nearest, nearest, np.zeros(axis_ns.shape))
    between = within & ~exact & (after > 0) & (after < at.size)
    share = np.where(between, from_left / np.maximum(from_left + to_right, 1), 0.0)
    return Pairs(
        np.where(between, rows[left], nearest), np.where(between, rows[right], nearest), nearest, share
    )


def reasons(times: SensorTimes, axis_ns: Integers, pairs: Pairs) -> dict[str, int]:
    """How many instants have no row, by reason.

    Rows without an instant stand between two that have one in their table: they are the reason for instants
    between these two.
    """
    code = _between(times)
    rows = times.rows_in_time()
    known = np.flatnonzero(times.known)
    place = np.searchsorted(known, rows)
    before = np.concatenate([[-1], place])
    after = np.concatenate([place, [known.size]])
    adjacent = np.where(after == before + 1, code[np.minimum(after, known.size)], 0)
    missing = axis_ns[~pairs.paired]
    found = adjacent[np.searchsorted(times.topside_ns[rows], missing)]
    counts = np.bincount(found, minlength=len(REASONS)).tolist()
    return {reason: number for reason, number in zip(REASONS, counts, strict=True) if number}


def _between(times: SensorTimes) -> Integers:
    """Before, between and after the rows with an instant: the gravest of REASONS of those without."""
    known = np.flatnonzero(times.known)
    unknown = np.flatnonzero(~times.known & (times.state >= UNREADABLE))
    code = np.ones(unknown.size, dtype=np.int64)
    code[times.state[unknown] == OUTSIDE] = REASONS.index("outside")
    code[times.state[unknown] == AMBIGUOUS] = REASONS.index("ambiguous")
    found = np.zeros(known.size + 1, dtype=np.int64)
    np.maximum.at(found, np.searchsorted(known, unknown), code)
    return found
