"""Rows afterwards while both realtimes run evenly: narrowed to what the kernel's stamps bound as they are.

The live estimator's stretches (`even`), long ones bounded from both sides. A row counts where the stretch had
begun by the row before it and went on beyond the row after it (docs/mathematics.md §10).
"""

from __future__ import annotations

from array import array
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from topside_agent.estimator.between import bounds_between
from topside_agent.estimator.blocks import Bounds
from topside_agent.estimator.constraints import estimation_ns
from topside_agent.estimator.even import BLOCK_S, DISTRUSTED_NS, STEEPEST

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from topside_agent.estimator.blocks import Floats, Integers
    from topside_agent.estimator.constraints import Constraint
    from topside_agent.estimator.even import EvenBound, Stretch
    from topside_agent.estimator.exchanges import Exchanges
    from topside_agent.estimator.rows import Rows

_NUMBERS = 8
_LONG = 64
"""A stretch of fewer exchanges, of which there may be thousands, is bounded from before alone."""
_NEVER_NS = 2**62
_FAR_NS = 2**61


class EvenStretches:
    """What the forward pass notes of the exchanges of stretches, and the rows that it narrows."""

    def __init__(self, even: EvenBound) -> None:
        self._even = even
        self._stretches: list[Stretch] = []
        self._begins = array("q")
        self._places, self._numbers = array("I"), array("d")

    def add(self, place: int, constraint: Constraint) -> None:
        """Note what is known at an accepted exchange, the one at `place` of these."""
        even = self._even
        known = even.at_destination(constraint)
        if known is None or even.stretch is None:
            return
        if not self._stretches or self._stretches[-1] is not even.stretch:
            self._stretches.append(even.stretch)
            self._begins.append(len(self._places))
        self._places.append(place)
        bounds, low, high, slowest, fastest = known
        self._numbers.extend((*bounds, low, high, slowest, fastest))

    def narrow(self, rows: Rows, places: Integers, exchanges: Exchanges) -> None:
        """Narrow the `rows`, which are those of the accepted `exchanges` at these `places`.

        Where a stretch contradicts itself or a row it counts for none, nor does what follows for a while.
        """
        if not self._stretches:
            return
        row_of = np.empty(places.size, dtype=np.int64)
        row_of[places] = np.arange(places.size)
        noted = np.frombuffer(self._places, dtype=np.uint32)
        numbers, of = row_of[noted], exchanges.at(noted)
        begins = np.frombuffer(self._begins, dtype=np.int64)
        stretch = np.repeat(np.arange(begins.size), np.diff(begins, append=noted.size))
        within_ns = of.column("even_within_ns")
        low, high, is_slow = self._bounds()
        counts = is_slow & rows.are("ok", numbers) & self._sound[stretch]
        counts &= _after_ns(rows, places, exchanges)[numbers] <= _ended_ns(of, begins)[stretch]
        base_ns = self._offsets_ns[stretch]

        def of_those() -> tuple[Integers, Integers, Integers, Integers]:
            least, greatest = np.floor(low - within_ns)[counts], np.ceil(high + within_ns)[counts]
            return numbers[counts], base_ns[counts], least.astype(np.int64), greatest.astype(np.int64)

        wrong = stretch[counts][rows.contradict(*of_those())]
        if wrong.size:
            counts &= ~_distrusted(np.unique(wrong), begins, rows.column("segment")[numbers], of)[stretch]
        rows.narrow(*of_those())

    @property
    def _sound(self) -> NDArray[np.bool_]:
        """Which of the stretches contradict nothing, at offsets that are not near the 64 bits."""
        return np.array([not each.contradicted and abs(each.offset_ns) < _FAR_NS for each in self._stretches])

    @property
    def _offsets_ns(self) -> Integers:
        """Those of the stretches, by which their bounds are relative."""
        return np.array(
            [each.offset_ns if abs(each.offset_ns) < _FAR_NS else 0 for each in self._stretches],
            dtype=np.int64,
        )

    def _bounds(self) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """The least and the greatest offset (ns) at each one's end, and whether the rate is so small there.

        So small that the instants of their stamps on RAW are known well enough.
        """
        columns = np.frombuffer(self._numbers, dtype=np.float64).reshape(-1, _NUMBERS).T
        low, high = columns[4].copy(), columns[5].copy()
        is_slow = np.abs(columns[6:]).max(axis=0) * 1e-9 <= STEEPEST
        for begin, end in pairwise([*self._begins, low.size]):
            part = slice(begin, end)
            slow = is_slow[part]
            if end - begin < _LONG or not slow.any():
                continue
            bounds = Bounds(*columns[:4, part])
            number = np.floor(bounds.lower_at / BLOCK_S).astype(np.int64)
            slope = np.full(number.size, np.median(columns[6:, part][:, slow]))
            least, greatest = bounds_between(bounds, number, slope, self._even.limits, BLOCK_S)
            low[part], high[part] = np.maximum(low[part], least), np.minimum(high[part], greatest)
        return low, high, is_slow


def _after_ns(rows: Rows, places: Integers, exchanges: Exchanges) -> Integers:
    """When (topside's RAW) the row after each in its segment stands."""
    segment, at_ns = rows.column("segment"), estimation_ns(exchanges.at(places))
    order = np.lexsort((at_ns, segment))
    after_ns = np.full(at_ns.size, _NEVER_NS)
    after_ns[order[:-1]] = np.where(np.diff(segment[order]) == 0, at_ns[order[1:]], _NEVER_NS)
    return after_ns


def _ended_ns(of: Exchanges, begins: Integers) -> Integers:
    """When (topside's RAW) the last request of each stretch left, at the earliest.

    Then both realtimes ran evenly still; what they did later nobody has read. Of the first exchange of a
    stretch the rate is not known, so that the row before any that counts is not before the stretch.
    """
    origin_ns = of.column("origin_ns") - of.column("topside_realtime_minus_raw_ns")
    ended_ns: Integers = np.maximum.reduceat(origin_ns, begins)
    ended_ns -= 2 * np.maximum.reduceat(of.column("resolution_ns"), begins)
    return ended_ns


def _distrusted(wrong: Integers, begins: Integers, segment: Integers, of: Exchanges) -> NDArray[np.bool_]:
    """The stretches that are `wrong`, and those that begin a while after their end in the same segment."""
    at_ns = estimation_ns(of)
    ends_ns = at_ns[np.append(begins[1:], at_ns.size) - 1]
    found = np.zeros(begins.size, dtype=bool)
    for each in wrong:
        since_ns = at_ns[begins] - ends_ns[each]
        soon = (segment[begins] == segment[begins[each]]) & (since_ns > 0) & (since_ns < DISTRUSTED_NS)
        found |= soon
        found[each] = True
    return found
