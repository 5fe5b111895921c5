"""Samples of a machine's clock in, pieces of its clock history out: straight lines of a stated half-width.

What the half-widths rest on is stated in `runtime.clock_samples`. Successive intervals are merged while one
line fits them within a limit, and cut where the clock was set and where the machine slept: between the last
sample before and the first one after, nothing is claimed.
"""

from __future__ import annotations

from bisect import bisect_right
from struct import Struct
from typing import TYPE_CHECKING

from runtime.clock_samples import SHARP_NS, Interval, bend_ns
from schemas.clock_history import ClockPiece

if TYPE_CHECKING:
    from runtime.clock_samples import Sample
    from schemas.clock_history import Begins

FIT_NS = 10_000
"""Intervals are merged while one line is this close to them, the readings' own error not counted."""
CAPACITY = 200_000
"""Pieces kept, of some 100 bytes each: 24 hours of the kernel's loop, which takes two a second."""
_BEGINS: tuple[Begins | None, ...] = (None, "start", "step", "suspend")


class _Hull:
    """The points of which one is highest above some line through the origin: a convex hull from above.

    Points are added in the order of x, which is positive. A line rises so little from one call to the next
    that the highest point is mostly the one before, or beside it.
    """

    __slots__ = ("_highest", "_points")

    def __init__(self) -> None:
        self._points: list[tuple[int, int]] = []
        self._highest = 0

    def add(self, x: int, y: int) -> None:
        points = self._points
        while len(points) > 1:
            (ax, ay), (bx, by) = points[-2:]
            if (bx - ax) * (y - ay) < (by - ay) * (x - ax):
                break
            points.pop()
        points.append((x, y))

    def height(self, x: int, y: int) -> int:
        """How far the highest point is above the line from the origin to (x, y), times x.

        Negative if all are below. Along the hull the heights rise to the highest one and then fall.
        """
        points = self._points
        at = min(self._highest, len(points) - 1)
        highest = points[at][1] * x - y * points[at][0]
        for step in (1, -1):
            while 0 <= at + step < len(points):
                px, py = points[at + step]
                height = py * x - y * px
                if height <= highest:
                    break
                at, highest = at + step, height
        self._highest = at
        return highest


class _OpenPiece:
    """Intervals merged so far, from the sample `first`; the extreme samples are kept as convex hulls."""

    def __init__(self, first: Sample, begins: Begins | None) -> None:
        self.first, self.begins = first, begins
        self.end = first
        self.bend_ns = 0
        self.blur_ns = first.half_ns
        self.half_ns = first.half_ns
        """The largest bend and half-width of the samples together."""
        self.deviation_ns = 0
        self._above, self._below = _Hull(), _Hull()

    def fits(self, interval: Interval, bend: int, deviation: int, fit_ns: int) -> bool:
        """Whether a line from the first sample to the interval's end is within `fit_ns` of all between.

        `deviation` is that of the samples (`deviation_at`), `bend` that of realtime in the interval. A
        blurred sample would widen the whole piece, so it has one of its own.
        """
        if self.end is self.first:
            return True
        blur, of_piece = interval.blur_ns, self.blur_ns
        if (blur > SHARP_NS or of_piece > SHARP_NS) and not of_piece <= 2 * blur <= 4 * of_piece:
            return False
        return deviation + max(bend, self.bend_ns) <= fit_ns

    def append(self, interval: Interval, bend: int, deviation: int) -> None:
        self.deviation_ns = deviation
        self.end, self.bend_ns = interval.end, max(self.bend_ns, bend)
        self.blur_ns = max(self.blur_ns, interval.blur_ns)
        self.half_ns = max(self.half_ns, bend + interval.blur_ns)
        x = self.end.raw_ns - self.first.raw_ns
        y = self.end.realtime_minus_raw_ns - self.first.realtime_minus_raw_ns
        self._above.add(x, y)
        self._below.add(x, -y)

    def piece(self) -> ClockPiece:
        """What is known so far."""
        first, end = self.first, self.end
        return ClockPiece(
            from_raw_ns=first.raw_ns,
            from_realtime_ns=first.raw_ns + first.realtime_minus_raw_ns,
            to_raw_ns=end.raw_ns,
            to_realtime_ns=end.raw_ns + end.realtime_minus_raw_ns,
            half_width_ns=self.half_ns + self.deviation_ns,
            begins=self.begins,
        )

    def deviation_at(self, end: Sample) -> int:
        """The samples' largest distance (ns) from the line between the first one and `end`."""
        span_ns = end.raw_ns - self.first.raw_ns
        moved_ns = end.realtime_minus_raw_ns - self.first.realtime_minus_raw_ns
        if self.end is self.first:
            return 0
        apart = max(self._above.height(span_ns, moved_ns), self._below.height(span_ns, -moved_ns))
        return -(-apart // span_ns)


class PieceBuilder:
    """Makes numbered pieces of samples; the sample after an interval settles it, as it shows the rate."""

    def __init__(self, fit_ns: int = FIT_NS, capacity: int = CAPACITY) -> None:
        self._fit_ns = fit_ns
        self._store = PieceStore(capacity)
        self._open: _OpenPiece | None = None
        self._number = -1
        self._before: Interval | None = None
        self._pending: Interval | None = None
        self._last: Sample | None = None

    def add(self, sample: Sample, begins: Begins | None) -> None:
        """Take a sample later than the one before; `begins` says why it does not continue that one."""
        last = self._last
        if begins is None and last is not None:
            self.extend(Interval(last, sample))
            return
        self._last = sample
        self._settle(None)
        self._start(sample, begins or "start")
        self._before = self._pending = None

    def extend(self, interval: Interval) -> None:
        """Take the interval that follows the last sample; without one it begins a piece."""
        if self._last is None:
            self.add(interval.end, None)
            return
        self._last = interval.end
        self._settle(interval)
        self._pending = interval

    @property
    def number(self) -> int:
        """The number of the open piece; −1 before the first sample."""
        return self._number

    def pieces(self, first: int, last: int) -> list[tuple[int, ClockPiece]]:
        """The pieces that hold the numbers `first` to `last`, both included; the last may be the open one."""
        found = self._store.pieces(first, last)
        if self._open is not None and first <= self._number <= last:
            found.append((self._number, self._open.piece()))
        return found

    @property
    def dropped(self) -> int:
        """Pieces that were lost for want of room: between steps, none can be merged."""
        return self._store.dropped

    def close(self) -> None:
        """Settle the last interval, at the end of the process; further samples start a piece again."""
        self._settle(None)
        self._before = self._pending = self._last = None

    def _settle(self, after: Interval | None) -> None:
        interval = self._pending
        if interval is None or self._open is None:
            return
        bend = bend_ns(interval, self._before, after)
        deviation = self._open.deviation_at(interval.end)
        if not self._open.fits(interval, bend, deviation, self._fit_ns):
            self._start(interval.start, None)
            deviation = 0
        self._open.append(interval, bend, deviation)
        self._before = interval

    def _start(self, sample: Sample, begins: Begins | None) -> None:
        if self._open is not None:
            self._store.append(self._number, self._open.piece())
        self._number += 1
        self._open = _OpenPiece(sample, begins)


class PieceStore:
    """Closed pieces, the newest `capacity`: when it is full, the older half is merged in pairs."""

    _PACKED = Struct("<qqqqqqB")

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._numbers: list[int] = []
        self._packed: list[bytes] = []
        self.dropped = 0

    def append(self, number: int, piece: ClockPiece) -> None:
        """Keep a piece whose number is above all others."""
        self._numbers.append(number)
        self._packed.append(self._pack(number, piece))
        if len(self._numbers) > self._capacity:
            self._merge_oldest()

    def pieces(self, first: int, last: int) -> list[tuple[int, ClockPiece]]:
        """Those that hold the numbers `first` to `last`."""
        begin = max(0, bisect_right(self._numbers, first) - 1)
        found = []
        for index in range(begin, bisect_right(self._numbers, last)):
            piece = self._unpack(index)
            if (piece.last if piece.last is not None else self._numbers[index]) >= first:
                found.append((self._numbers[index], piece))
        return found

    def _merge_oldest(self) -> None:
        half = self._capacity // 2
        merged: list[tuple[int, ClockPiece]] = []
        paired = False
        for index in range(half):
            piece = self._unpack(index)
            number = self._numbers[index]
            if merged and not paired and piece.begins is None:
                merged[-1] = (merged[-1][0], joined(merged[-1][1], number, piece))
                paired = True
            else:
                merged.append((number, piece))
                paired = False
        if len(merged) == half:  # a step at each: nothing can be merged
            del merged[0]
            self.dropped += 1
        self._numbers[:half] = [number for number, _ in merged]
        self._packed[:half] = [self._pack(number, piece) for number, piece in merged]

    def _pack(self, number: int, piece: ClockPiece) -> bytes:
        ends = (piece.from_raw_ns, piece.from_realtime_ns, piece.to_raw_ns, piece.to_realtime_ns)
        last = number if piece.last is None else piece.last
        return self._PACKED.pack(*ends, piece.half_width_ns, last, _BEGINS.index(piece.begins))

    def _unpack(self, index: int) -> ClockPiece:
        *ends, half_width_ns, last, begins = self._PACKED.unpack(self._packed[index])
        return ClockPiece(
            from_raw_ns=ends[0],
            from_realtime_ns=ends[1],
            to_raw_ns=ends[2],
            to_realtime_ns=ends[3],
            half_width_ns=half_width_ns,
            begins=_BEGINS[begins],
            last=None if last == self._numbers[index] else last,
        )


def joined(piece: ClockPiece, number: int, following: ClockPiece) -> ClockPiece:
    """Two pieces as one line, wider by the distance of their joint from it; `number` is the second's."""
    span_ns = following.to_raw_ns - piece.from_raw_ns
    moved_ns = following.to_realtime_ns - piece.from_realtime_ns
    until_ns, joint_ns = piece.to_raw_ns - piece.from_raw_ns, piece.to_realtime_ns - piece.from_realtime_ns
    apart_ns = -(-abs(joint_ns * span_ns - moved_ns * until_ns) // span_ns) if span_ns else abs(joint_ns)
    return piece.model_copy(
        update={
            "to_raw_ns": following.to_raw_ns,
            "to_realtime_ns": following.to_realtime_ns,
            "half_width_ns": max(piece.half_width_ns, following.half_width_ns) + apart_ns,
            "last": number if following.last is None else following.last,
        }
    )
