"""One machine's realtime as a function of its RAW clock in one boot.

A piece of its history says that realtime is within its half-width of a line. Where no piece is, the readings
of the exchanges take its place, with what unexplained.py says that the clock may have done between two;
where nobody knows, the function has a gap. Pieces without a step, a suspend or a gap between them make a
*run*, in which realtime rises. RAW and realtime are int64 ns.

Assumption: that of the pieces (runtime/clock_pieces.py). A piece that a reading contradicts is not used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tidesync.sessions.correction.clock_readings import ClockReading, Readings
from tidesync.sessions.correction.unexplained import FASTEST_SLEW, LONGEST_KNOWN_S, changes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from schemas.clock_history import ClockPiece
    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator.blocks import Floats, Integers

_STEP_MARGIN_NS = 1_000_000_000
"""A process that keeps a history reads the clock more often; a step leaves a gap up to the next reading."""
_SET = {"step", "suspend"}
"""What a piece begins with where realtime or RAW jumped before it; a process that starts shows neither."""
_NEVER = 2**61


class _Line(NamedTuple):
    """A piece; `begins`: whether realtime was set, or the machine slept, just before it."""

    from_raw: int
    to_raw: int
    from_realtime: int
    to_realtime: int
    half_width: int
    begins: bool = False

    def realtime(self, raw_ns: int) -> int:
        """The line at `raw_ns`, in integers."""
        length = max(self.to_raw - self.from_raw, 1)
        return (
            self.from_realtime + (raw_ns - self.from_raw) * (self.to_realtime - self.from_realtime) // length
        )

    def after(self, raw_ns: int) -> _Line:
        """What is left of it from `raw_ns` on, which is not before its beginning."""
        return _Line(raw_ns, self.to_raw, self.realtime(raw_ns), self.to_realtime, self.half_width + 1)


@dataclass(frozen=True, slots=True)
class Lines:
    """Consecutive lines as arrays, of one run or of all."""

    from_raw: Integers
    to_raw: Integers
    from_realtime: Integers
    to_realtime: Integers
    half_width: Integers
    run: Integers
    """The number of each line's run."""
    reached: Integers
    """The greatest realtime that the clock may have shown in its run until the end of each line."""
    left: Integers
    """The least that it may have shown in its run from the beginning of each line on."""

    @classmethod
    def of(cls, lines: Sequence[_Line], run: Integers) -> Lines:
        """The lines with these numbers of their runs."""
        columns = np.array([line[:5] for line in lines], dtype=np.int64).reshape(-1, 5)
        from_raw, to_raw, from_realtime, to_realtime, width = columns.T
        reached, left = to_realtime + width + 1, from_realtime - width - 1
        for here in np.split(np.arange(run.size), np.flatnonzero(np.diff(run)) + 1):
            reached[here] = np.maximum.accumulate(reached[here])
            left[here] = np.minimum.accumulate(left[here][::-1])[::-1]
        return cls(from_raw, to_raw, from_realtime, to_realtime, width, run, reached, left)

    def of_run(self, run: int) -> Lines:
        """The lines of one run."""
        here = self.run == run
        return Lines(*(getattr(self, name)[here] for name in self.__slots__))

    def raw_at(self, realtime_ns: Integers) -> tuple[Integers, Floats]:
        """RAW at each realtime within a run, and its greatest error, ns.

        The clock may have shown it from where the first line with its half-width reaches it until where the
        last one does: within a wide line it may have been set back, so that it showed it twice.
        """
        last = self.run.size - 1
        first_line = np.minimum(np.searchsorted(self.reached, realtime_ns), last)
        last_line = np.clip(np.searchsorted(self.left, realtime_ns, side="right") - 1, 0, last)
        earliest = self._raw_on(first_line, realtime_ns - self.half_width[first_line] - 1)
        latest = self._raw_on(last_line, realtime_ns + self.half_width[last_line] + 1)
        middle = earliest + (latest - earliest) // 2
        return middle, np.maximum(latest - middle, middle - earliest) + 1.0

    def _raw_on(self, index: Integers, realtime_ns: Integers) -> Integers:
        """RAW where each line is at a realtime, or at its nearer end."""
        length = self.to_realtime[index] - self.from_realtime[index]
        into = np.clip(realtime_ns - self.from_realtime[index], 0, np.maximum(length, 0))
        slope = (self.to_raw[index] - self.from_raw[index]) / np.maximum(length, 1)
        raw: Integers = self.from_raw[index] + np.rint(into * slope).astype(np.int64)
        return raw

    def shown(self, from_raw_ns: int, to_raw_ns: int) -> tuple[int, int]:
        """The least and the greatest realtime that a run may have shown between two of its RAW instants."""
        inside = np.flatnonzero((self.to_raw > from_raw_ns) & (self.from_raw < to_raw_ns))
        starts = self._realtime_on(inside, np.maximum(self.from_raw[inside], from_raw_ns))
        ends = self._realtime_on(inside, np.minimum(self.to_raw[inside], to_raw_ns))
        width = self.half_width[inside] + 1
        return int((starts - width).min()), int((ends + width).max())

    def show(self, realtime_ns: int, within_ns: int, from_raw_ns: int, to_raw_ns: int) -> bool:
        """Whether any line may have shown a realtime, or one so near, between two instants of RAW."""
        first = np.searchsorted(self.to_raw, from_raw_ns)
        inside = np.arange(first, np.searchsorted(self.from_raw, to_raw_ns, side="right"))
        starts = self._realtime_on(inside, np.maximum(self.from_raw[inside], from_raw_ns))
        ends = self._realtime_on(inside, np.minimum(self.to_raw[inside], to_raw_ns))
        width = self.half_width[inside] + 1 + within_ns
        return bool(((starts - width <= realtime_ns) & (realtime_ns <= ends + width)).any())

    def between(self, from_raw_ns: Integers, to_raw_ns: Integers) -> tuple[Integers, Integers, Integers]:
        """The least and the greatest realtime between instants of RAW, and the number of the run.

        The number is −1, and the others are void, where an instant is in a gap or the two are of two runs.
        """
        first, last = self._line_at(from_raw_ns), self._line_at(to_raw_ns)
        least = self._realtime_on(first, from_raw_ns) - self.half_width[first] - 1
        greatest = self._realtime_on(last, to_raw_ns) + self.half_width[last] + 1
        least = np.where(last > first, np.minimum(least, self.left[np.minimum(first + 1, last)]), least)
        greatest = np.where(
            last > first, np.maximum(greatest, self.reached[np.maximum(last - 1, first)]), greatest
        )
        inside = (from_raw_ns >= self.from_raw[first]) & (from_raw_ns <= self.to_raw[first])
        inside &= (to_raw_ns >= self.from_raw[last]) & (to_raw_ns <= self.to_raw[last])
        inside &= self.run[first] == self.run[last]
        return least, greatest, np.where(inside, self.run[first], -1)

    def _line_at(self, raw_ns: Integers) -> Integers:
        """The line that begins last before each instant of RAW."""
        after = np.searchsorted(self.from_raw, raw_ns, side="right")
        index: Integers = np.clip(after - 1, 0, self.run.size - 1)
        return index

    def realtime_at(self, raw_ns: Integers) -> tuple[Integers, Integers, Integers]:
        """Realtime at each instant of RAW, its half-width, and the number of its run; −1 in a gap."""
        index = self._line_at(raw_ns)
        inside = (raw_ns >= self.from_raw[index]) & (raw_ns <= self.to_raw[index])
        realtime = self._realtime_on(index, raw_ns)
        return realtime, self.half_width[index] + 1, np.where(inside, self.run[index], -1)

    def _realtime_on(self, index: Integers, raw_ns: Integers) -> Integers:
        """Realtime where each line is at an instant of RAW."""
        length = np.maximum(self.to_raw[index] - self.from_raw[index], 1)
        into = (raw_ns - self.from_raw[index]) / length
        moved = np.rint(into * (self.to_realtime[index] - self.from_realtime[index])).astype(np.int64)
        realtime: Integers = self.from_realtime[index] + moved
        return realtime


class ClockFunction:
    """The lines of one boot, and between which instants of RAW (which stops meanwhile) the machine slept."""

    def __init__(self, pieces: Iterable[ClockPiece], readings: Sequence[ClockReading]) -> None:
        """`pieces` of any processes of that boot, in any order; `readings` in the order of RAW."""
        self.suspends: list[tuple[int, int]] = []
        readings = Readings.of(readings)
        history = self._history(pieces, readings)
        self._history_ends = np.array([line[:2] for line in history], dtype=np.int64).reshape(-1, 2)
        lines = sorted([*history, *_filled(history, readings)])
        runs, run = [], -1
        for index, line in enumerate(lines):
            run += not index or line.begins or line.from_raw != lines[index - 1].to_raw
            runs.append(run)
        self.lines = Lines.of(lines, np.array(runs, dtype=np.int64))
        set_ = np.array([line.begins for line in lines[1:]], dtype=bool)
        gaps = self.lines.from_raw[1:] - self.lines.to_raw[:-1]
        self._unknown = np.flatnonzero((gaps > 0) & ~(set_ & (gaps <= _STEP_MARGIN_NS)))

    def slept_before(self, raw_ns: Integers) -> Integers:
        """How often the machine had slept before each instant; −1 within the readings around a suspend."""
        if not self.suspends:
            return np.zeros(raw_ns.shape, dtype=np.int64)
        begins, ends = np.array(self.suspends, dtype=np.int64).T
        slept = np.searchsorted(ends, raw_ns)
        within = (slept < ends.size) & (raw_ns > begins[np.minimum(slept, ends.size - 1)])
        return np.where(within, -1, slept).astype(np.int64)

    def awake(self, slept: int) -> tuple[int, int]:
        """The RAW instants between which it was certainly awake, after having slept so often."""
        before = self.suspends[slept - 1][1] if slept else -_NEVER
        return before, self.suspends[slept][0] if slept < len(self.suspends) else _NEVER

    def continuous(self, first_raw_ns: int, last_raw_ns: int) -> tuple[int, int]:
        """From where to where RAW certainly ran on about two instants: up to a gap that may be a sleep.

        A gap that the history itself left, of a step, is none. Of an instant in a gap nothing more is known.
        """
        starts, stops = self.lines.from_raw, self.lines.to_raw
        ends = np.concatenate([[-_NEVER], stops[self._unknown], stops[-1:]])
        begins = np.concatenate([starts[:1], starts[self._unknown + 1], [_NEVER]])
        before = np.minimum(begins, first_raw_ns)[ends < first_raw_ns]
        after = np.maximum(ends, last_raw_ns)[begins > last_raw_ns]
        return int(before.max()), int(after.min())

    def history_covers(self, first_raw_ns: int, last_raw_ns: int) -> bool:
        """Whether the history alone has all instants from first to last."""
        begins, ends = self._history_ends.T
        inside = (ends >= first_raw_ns) & (begins <= last_raw_ns)
        begins, ends = begins[inside], ends[inside]
        if not begins.size or begins[0] > first_raw_ns or ends[-1] < last_raw_ns:
            return False
        return bool((begins[1:] - ends[:-1] <= _STEP_MARGIN_NS).all())

    def _history(self, pieces: Iterable[ClockPiece], readings: Readings) -> list[_Line]:
        read_at = readings.columns[:, 0]
        kept: list[_Line] = []
        known_to = -_NEVER
        for piece in sorted(pieces, key=lambda each: (each.from_raw_ns, each.to_raw_ns)):
            if piece.begins == "suspend":
                self.suspends.append((min(known_to, piece.from_raw_ns), piece.from_raw_ns))
            known_to = max(known_to, piece.to_raw_ns)
            line = _Line(
                piece.from_raw_ns,
                piece.to_raw_ns,
                piece.from_realtime_ns,
                piece.to_realtime_ns,
                piece.half_width_ns,
                piece.begins in _SET,
            )
            if kept and line.from_raw < kept[-1].to_raw:  # of another process
                line = line.after(kept[-1].to_raw)
            if line.to_raw <= line.from_raw:
                continue
            first, last = np.searchsorted(read_at, [line.from_raw, line.to_raw])
            if all(_agrees(line, readings[index]) for index in range(first, last)):
                kept.append(line)
        return kept


def _agrees(line: _Line, reading: ClockReading) -> bool:
    apart = abs(line.realtime(reading.raw_ns) - reading.realtime_ns)
    return apart <= line.half_width + reading.error_ns + reading.slewed_ns + 1


def _filled(history: Sequence[_Line], readings: Readings) -> list[_Line]:
    """Lines between readings where there is no history."""
    set_at = {line.from_raw for line in history if line.begins}
    columns = _knots(history, readings)
    if len(columns) < 2:  # noqa: PLR2004 - a line has two ends
        return []
    at_s = (columns[:, 0] - columns[0, 0]) * 1e-9
    difference = (columns[:, 1] - columns[:, 0]) - (columns[0, 1] - columns[0, 0])
    change, unseen, free = changes(at_s, difference.astype(np.float64), columns[:, 2].astype(np.float64))
    uncovered = np.flatnonzero(~_covered(history, columns[:, 0]))
    made = []
    for index in uncovered.tolist():
        begin, end = (ClockReading(*each) for each in columns[index : index + 2].tolist())
        gap_s = float(at_s[index + 1] - at_s[index])
        width = max(begin.error_ns, end.error_ns) + float(unseen[index])
        if not free[index]:
            if gap_s > LONGEST_KNOWN_S or abs(change[index]) > FASTEST_SLEW * gap_s * 1e9:
                continue
            width += max(begin.slewed_ns, end.slewed_ns)
            width += max(FASTEST_SLEW * gap_s * 1e9 / 2, abs(float(change[index])))
        if end.raw_ns not in set_at:
            made.append(_Line(begin.raw_ns, end.raw_ns, begin.realtime_ns, end.realtime_ns, int(width) + 1))
    return made


def _knots(history: Sequence[_Line], readings: Readings) -> Integers:
    """The readings and the lines' ends by RAW: of one instant a line's beginning counts, else the reading."""
    ends = [(line.to_raw, line.to_realtime, line.half_width, 0) for line in history]
    begins = [(line.from_raw, line.from_realtime, line.half_width, 0) for line in history]
    stops, starts = (np.array(part, dtype=np.int64).reshape(-1, 4) for part in (ends, begins))
    columns = np.concatenate([stops, readings.columns, starts])
    columns = columns[np.argsort(columns[:, 0], kind="stable")]
    last: Flags = np.append(np.diff(columns[:, 0]) != 0, columns.shape[0] > 0)
    found: Integers = columns[last[: columns.shape[0]]]
    return found


def _covered(history: Sequence[_Line], raw_ns: Integers) -> Flags:
    """Which intervals between consecutive instants lie within the history."""
    covered = np.zeros(max(raw_ns.size - 1, 0), dtype=bool)
    for line in history:
        first, last = np.searchsorted(raw_ns, [line.from_raw, line.to_raw])
        covered[first:last] = True
    return covered
