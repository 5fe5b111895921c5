"""Without a clock history: what a wall clock may have done between two readings of its realtime − RAW.

Each exchange reads realtime − RAW of both sides. Between two readings g seconds apart, which differ by Δ:

- Explained: Δ is r·g, where r (at most 500 ppm, the most that a kernel's frequency can be set to) is the mean
  rate over the time before or after, as long as the gap and at most 10 s, and over the interval beside the
  gap alone: across more than a second two intervals at least have to show that the rate is steady. What the
  readings cannot tell apart may still hide between them: T = both resolutions + 1 ppm·g + the error of r·g.
  Where r of one side says otherwise, |Δ − r·g| = d > T: the clock may have run on at r and have been set by d
  in the gap, as a step that equals what the slew would have moved shows none. Then d + T may hide.
- Else, across at most one second: the clock was slewed at up to 10.05 % (Linux's limits of tick and frequency
  together), so it is off the chord by at most 2·0.1005·a·b/g; or it was set by less than a step that is
  detected, and is off by |Δ| times the larger share. The greater one counts, and T.
- Else nobody knows when it happened.

Assumption: between two readings that are explained nothing moved and came back. A clock that was slewed there
and back within one gap breaks it; only a clock history can show that.
"""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from topside_agent.estimator.blocks import Floats, Integers

Flags = NDArray[np.bool_]

FASTEST_SLEW = 0.1005
"""Linux slews a clock no faster: 10 % by tick and 500 ppm by frequency."""
LONGEST_KNOWN_S = 1.0
"""Across a longer gap an unexplained change is ambiguous."""
FREE_RATE = 501e-6
"""A kernel sets a clock's frequency off by no more than 500 ppm."""
JUMP_NS = 10_000_000
"""A realtime that moved by less against RAW was not set, nor did its machine sleep; slewing counts as set."""
_FREE_RUNNING = 1e-6
"""The rate of a wall clock against RAW that nobody steers changes far less."""
_WINDOW_S = 10.0
SETTLED_S = 60.0
"""A slew by the kernel's PLL (an eighth of the rest each second) is over by this time."""


class Reading(NamedTuple):
    """realtime − RAW of both sides as one exchange carries them, ns; its error is at most the resolution."""

    pi_ns: int | None
    """None where the exchange does not carry it."""
    topside_ns: int
    resolution_ns: int
    transmit_ns: int | None = None
    """The Pi's realtime when it read its own; None: not known."""
    moved: bool = False
    """`pi_ns` is None, and the readings before and after show that the Pi's clock was moved meanwhile."""
    pi_boot: str | None = None
    topside_boot: str | None = None
    """In which boots; None: not known."""


class Movement(NamedTuple):
    """What the wall clocks may have done in each interval between two knots, shape (n − 1,)."""

    moved_ns: Floats
    """The sum of both sides' |Δ|."""
    hidden_ns: Floats
    """T: how far the clocks may have moved without its being seen."""
    sides: Floats
    """How many of the two clocks changed unexplained."""
    unexplained_ns: Floats
    """The sum of their |Δ|."""
    known: Flags
    """Whether both ends have a reading of both sides."""
    undecided: Flags
    """Unexplained, across more than a second, or at a time that no reading narrows."""

    def settled_s(self, gap_s: Floats, *, at_end: bool) -> float:
        """How long before the end (or after the beginning) nothing has been unexplained; inf: never."""
        gaps, sides = (gap_s[::-1], self.sides[::-1]) if at_end else (gap_s, self.sides)
        away_s = np.cumsum(gaps) - gaps
        return float(away_s[sides > 0].min(initial=np.inf))


def movement(at_s: Floats, readings: Sequence[Reading | None]) -> Movement:
    """The movement between knots at the instants `at_s` (s, rising strictly); None: nothing was read."""
    intervals = max(at_s.size - 1, 0)
    moved, hidden, sides, unexplained = (np.zeros(intervals) for _ in range(4))
    known = np.ones(intervals, dtype=bool)
    for side in (0, 1):
        read = np.array([each is not None and each[side] is not None for each in readings], dtype=bool)
        index, both = np.flatnonzero(read), read[:-1] & read[1:]
        known &= both
        of_side = [(each[side], each.resolution_ns) for each in compress(readings, read) if each is not None]
        columns = np.array(of_side, dtype=np.int64).reshape(-1, 2)
        relative = (columns[:, 0] - columns[:1, 0]).astype(np.float64)
        change, unseen, free = changes(at_s[index], relative, columns[:, 1].astype(np.float64))
        of = np.flatnonzero(both)
        rank = np.searchsorted(index, of)
        moved[of] += np.abs(change[rank])
        hidden[of] += unseen[rank]
        sides[of] += ~free[rank]
        unexplained[of] += np.where(free[rank], 0.0, np.abs(change[rank]))
    at_moved = np.array([each is not None and each.moved for each in readings], dtype=bool)
    whenever = at_moved[:-1] | at_moved[1:]
    sides += whenever
    undecided = (sides > 0) & (np.diff(at_s) > LONGEST_KNOWN_S) | whenever
    return Movement(moved, hidden, sides, unexplained, known, undecided)


def changes(at_s: Floats, difference_ns: Floats, resolution_ns: Floats) -> tuple[Floats, Floats, Flags]:
    """Between consecutive readings: the change (ns), what may hide (ns), and whether a rate explains it."""
    gap, change = np.diff(at_s), np.diff(difference_ns)
    here, newest = np.arange(gap.size), max(at_s.size - 1, 0)
    reach = np.minimum(gap, _WINDOW_S)
    before = np.searchsorted(at_s, at_s[:-1] - reach + 1e-9, side="right") - 1
    after = np.searchsorted(at_s, at_s[1:] + reach - 1e-9, side="left")
    unseen = resolution_ns[:-1] + resolution_ns[1:] + _FREE_RUNNING * gap * 1e9
    free = np.abs(change) <= unseen
    allowed = np.where(free, unseen, 0.0)

    def rest(first: Integers, last: Integers) -> tuple[Floats, Floats, Floats]:
        """What the mean rate between two readings leaves of the change, within what, and that rate."""
        span = np.where(last > first, at_s[last] - at_s[first], 1.0)
        rate = (difference_ns[last] - difference_ns[first]) / span
        tolerance = unseen + (resolution_ns[first] + resolution_ns[last]) * gap / span
        return np.abs(change - rate * gap), tolerance, rate

    def explains(first: Integers, last: Integers) -> tuple[Flags, Floats]:
        """Whether the mean rate between two readings does, and within what."""
        left, tolerance, rate = rest(first, last)
        return (left <= tolerance) & (np.abs(rate) <= FREE_RATE * 1e9) & (last > first), tolerance

    earliest = np.maximum(np.minimum(before, here - 2), 0)
    latest = np.minimum(np.maximum(after, here + 3), newest)
    for first, last, beside in (
        (earliest, here, (np.maximum(here - 1, 0), here)),
        (here + 1, latest, (here + 1, np.minimum(here + 2, newest))),
    ):
        whole, tolerance = explains(first, last)
        steady = whole & explains(*beside)[0] & ((last - first > 1) | (gap <= LONGEST_KNOWN_S))
        allowed = np.where(steady & ~free, tolerance, allowed)
        free = free | steady
    since, until = _explained_about(free)
    for first, last in ((np.maximum(earliest, since), here), (here + 1, np.minimum(latest, until))):
        left, tolerance, _ = rest(first, last)
        against = free & (last > first) & (left > tolerance)
        allowed = np.where(against, np.maximum(allowed, left + tolerance), allowed)
    return change, np.where(free, allowed, unseen), free


def _explained_about(free: Flags) -> tuple[Integers, Integers]:
    """From which reading before each interval, and to which after it, all intervals are explained."""
    here = np.arange(free.size)
    since = np.maximum.accumulate(np.concatenate([[0], np.where(free, 0, here + 1)]))[:-1]
    until = np.minimum.accumulate(np.concatenate([[free.size], np.where(free, free.size, here)[::-1]]))
    return since, until[::-1][1:]


def may_be_slewed(before: Reading | None, after: Reading | None, elapsed_ns: int) -> bool:
    """Whether a change that counted as a step may have been a slew, as far as the readings show."""
    if before is None or after is None or before.pi_ns is None or after.pi_ns is None:
        return False
    most = FASTEST_SLEW * elapsed_ns + before.resolution_ns + after.resolution_ns
    moved = (abs(after.pi_ns - before.pi_ns), abs(after.topside_ns - before.topside_ns))
    return max(moved) <= most


def off_chord_ns(movement_: Movement, at: Integers, since_s: Floats, until_s: Floats) -> Floats:
    """How far (ns) both clocks may be off the chord, `since_s` and `until_s` from the interval's two ends."""
    gap = np.maximum(since_s + until_s, 1e-9)
    slewed = 2 * FASTEST_SLEW * movement_.sides[at] * since_s * until_s / gap * 1e9
    stepped = movement_.unexplained_ns[at] * np.maximum(since_s, until_s) / gap
    return movement_.hidden_ns[at] + np.maximum(slewed, stepped)
