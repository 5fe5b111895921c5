"""What topside knows of a vehicle's clock now and in the past, pure: entries for the shared file.

About once a second an exchange makes a *knot*: topside's RAW r, the vehicle's RAW x = r + θ, and the bound
w of θ on the RAW clocks. Between two knots with g seconds between them, over which both RAW clocks ran on,
θ is off the chord by at most κ·g^1.5/2 (docs/mathematics.md). Both wall clocks are straight lines of their
RAW, with a stated error, by the machines' own clock histories. All three together make an entry (`Entry`):
the vehicle's time in, topside's out.

- `ok`: both histories hold between the knots. It rests on what the bound rests on: no message travels back
  in time, the RAW clocks keep their limits, and the histories are right.
- `conditional`: the vehicle's history does not reach so far yet, or it keeps none. Then the clock is taken
  to have moved between two readings no farther than they show, and after the last one to go on as it did.

A cut (a step, suspend or reboot; topside's step too) ends a run. What the clock may have shown between the
last knot before and the first one after is a span of doubt. Where nothing can be said of the time since the
last knot, as topside's clock was set, what the vehicle's clock may have shown since is a span too: it may be
what it had shown before. So is what its history says that it showed where it was set twice between two knots.

Assumptions: a time that is asked for was stamped since topside measures the vehicle, and before the
vehicle's clock was last read. A clock that was just set back shows what it showed before, until that is
reported: some tenths of a second.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from math import ceil, floor
from typing import TYPE_CHECKING

from schemas.clock_history import numbered
from topside_agent.shared_state.knots import FASTEST, Knot, Moved, rates
from topside_agent.shared_state.layout import (
    CONDITIONAL,
    DOUBT,
    EVER_NS,
    OK,
    PASSED,
    SPANS,
    TAIL,
    Entry,
    Span,
)
from topside_agent.shared_state.lines import Line, Pieces, Reach
from topside_agent.shared_state.runs import Runs, merged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runtime.clock import Reading
    from schemas.clock_history import ClockPiece, VehicleClock
    from schemas.exchange import Exchange
    from topside_agent.estimator import OffsetEstimator

_EVERY_NS = 900_000_000
_WAIT_NS = 15_000_000_000
"""A vehicle's history comes every ten seconds; what it does not reach by then stays conditional."""
_AHEAD_NS = 5_000_000_000
"""The newest knot is carried so far beyond now: a head is void before."""
_RATES = 1.12
"""More than any two clocks of two machines run apart."""
_UNSTEERED = 1e-6
_LEAST_NS = 1_000_000
_PENDING = TAIL - 2


class Past:
    """The entries of one vehicle; `wander`: κ of the RAW clocks, s^-1/2."""

    def __init__(self, wander: float) -> None:
        self._wander = wander
        self.boottime_ns = 0
        """When it was last looked at; whoever looks sets it."""
        self._knots: deque[Knot] = deque()
        self._read: deque[Entry | None] = deque()
        """Between each knot and the next one by the readings alone; None where the clocks were cut."""
        self._moved: tuple[Moved, Moved] | None = None
        self._pieces, self._own = Pieces(), Pieces()
        self.runs = Runs()
        self._cuts: deque[tuple[Knot, Knot]] = deque(maxlen=8)
        """Of one boot, until the vehicle's history says what its clock showed between the two."""
        self._doubtful = False
        self._unplaced = False
        """Whether an exchange read a clock that was cut since the last knot, and made none."""

    # What happens

    def exchanged(self, exchange: Exchange, estimator: OffsetEstimator) -> None:
        """An exchange was accepted, and is the newest of its timebase."""
        timebase, constraint = estimator.timebase, estimator.constraint
        if self._doubtful:
            return
        if timebase is None or constraint is None or not constraint.raw:
            self._unplaced = bool(self._knots)
            return
        readings = constraint.pi_difference_ns, constraint.topside_difference_ns
        if self._moved is None:
            self._moved = Moved(readings[0]), Moved(readings[1])
        for moved, reading in zip(self._moved, readings, strict=True):
            moved.read(reading)
        raw_ns = constraint.destination_ns
        at_s, origin = timebase.seconds(raw_ns), (timebase, estimator.segment, exchange.boot_id)
        last = self._knots[-1] if self._knots else None
        self._unplaced = last is not None and not last.reaches(*origin)
        soon = last is not None and last[:3] == origin and raw_ns - last.raw_ns < _EVERY_NS
        if soon or at_s < timebase.newest_s:
            return
        low, high = timebase.bound.at(at_s)
        if high < low:
            return
        lower_ns, upper_ns = timebase.offset_anchor_ns + floor(low), timebase.offset_anchor_ns + ceil(high)
        middle_ns = (lower_ns + upper_ns) // 2
        made = Knot(
            *origin,
            raw_ns + middle_ns,
            constraint.transmit_ns,
            raw_ns,
            upper_ns - middle_ns + 1,
            min(max(map(abs, timebase.bound.drifts(at_s))) * 1e-9, FASTEST),
            *readings,
            pi_moved_ns=self._moved[0].ns + 2 * constraint.resolution_ns,
            moved_ns=self._moved[1].ns + 2 * constraint.resolution_ns,
            boottime_ns=self.boottime_ns,
        )
        if last is not None:
            self._read.append(self._by_readings(last, made) if made.follows(last) else None)
        self._knots.append(made)
        self._unplaced = False
        self._moved = Moved(readings[0]), Moved(readings[1])

    def pieces(self, clock: VehicleClock) -> None:
        """The vehicle sent pieces of its clock history."""
        self._pieces.take((clock.boot_id, clock.instance_id), numbered(clock))

    def doubt(self, *, doubtful: bool) -> None:
        """While two vehicles answer to the name all is in doubt; afterwards nothing is known of before."""
        self._doubtful = doubtful
        if doubtful:
            self._knots.clear()
            self._read.clear()
            self.runs.clear()
            self._unplaced = False

    # What is known

    def advance(self, own: Sequence[tuple[int, ClockPiece]]) -> list[Entry]:
        """Entries that follow those before and will not change; `own` are pieces of topside's history."""
        self._own.take(None, own)
        made: list[Entry] = []
        while len(self._knots) > 1:
            before, after = self._knots[0], self._knots[1]
            found = self._between(before, after, self._read[0])
            if found is None:
                break
            if isinstance(found, Entry):
                made.append(self.runs.keep(found))
            else:
                self.runs.cut(self._margins(before, after))
                self._cuts.append((before, after))
            self._knots.popleft()
            self._read.popleft()
        if self._knots:
            self._look_back()
            oldest = self._cuts[0][0] if self._cuts else self._knots[0]
            self._pieces.forget(oldest.pi_raw_ns - 2 * oldest.width_ns)
            self._own.forget(self._knots[0].raw_ns - 2 * self._knots[0].width_ns)
        return made

    def _look_back(self) -> None:
        """Doubt what the clock showed where it was set twice and more between two knots."""
        for before, after in tuple(self._cuts):
            shown = self._pieces.runs_between(before.read_ns, after.read_ns)
            if shown is not None or not before.boot_id == after.boot_id == self._knots[-1].boot_id:
                self._cuts.remove((before, after))
                self.runs.doubt(Span(*times, DOUBT) for times in shown or ())

    def tail(self, now: Reading, *, current: bool) -> tuple[Entry, ...]:
        """What is known after the last entry; `current`: the newest exchange's offset still holds."""
        if self._doubtful:
            return ()
        found: list[Entry] = []
        run = self.runs.run
        for entry in self._read:
            if entry is None:
                run += 1
            else:
                found.append(entry._replace(run=run))
        if ahead := self._ahead(now, current=current):
            found.append(ahead._replace(run=run))
        return tuple(found[-TAIL:])

    def spans(self, now: Reading, *, current: bool, unknown: bool) -> tuple[Span, ...]:
        """Times without an entry; `unknown`: the vehicle's clock was cut, and no exchange shows how.

        `current`: see `tail`.
        """
        if unknown or self._doubtful or self._unplaced:
            return (Span(-EVER_NS, EVER_NS, DOUBT),)
        pending = [
            span
            for (before, after), entry in zip(pairwise(self._knots), self._read, strict=True)
            if entry is None
            for span in self._margins(before, after)
        ]
        if self._knots and self._ahead(now, current=current) is None:
            pending.append(self._since(self._knots[-1], now.raw_ns)._replace(kind=PASSED))
        return tuple(merged([*self.runs.spans, *pending], SPANS))

    # Between two knots

    def _between(self, before: Knot, after: Knot, read: Entry | None) -> Entry | bool | None:
        """The entry that will not change; False where the clocks were cut; None while it is not known."""
        if read is None:
            return False
        reach = before.raw_ns - before.width_ns, after.raw_ns + after.width_ns
        own = self._own.line(before.raw_ns, after.raw_ns, *reach)
        pi = self._pieces.line(before.pi_raw_ns, after.pi_raw_ns)
        if own is Reach.CUT or pi is Reach.CUT:
            return False
        if isinstance(own, Line) and isinstance(pi, Line):
            return self._entry(before, after, pi, own, OK)
        waited = self.boottime_ns - after.boottime_ns > _WAIT_NS or len(self._knots) > _PENDING
        return read if waited else None

    def _by_readings(self, before: Knot, after: Knot) -> Entry | None:
        """Both wall clocks moved no farther than the readings show; None where no slew explains these."""
        first_ns, last_ns = (knot.pi_raw_ns + knot.pi_difference_ns for knot in (before, after))
        own = Line(before.raw_ns + before.difference_ns, after.raw_ns + after.difference_ns, after.moved_ns)
        passed_ns = after.raw_ns - before.raw_ns
        moved_ns = max(after.pi_moved_ns, after.moved_ns)
        if moved_ns > FASTEST * passed_ns + _LEAST_NS:
            return None
        return self._entry(before, after, Line(first_ns, last_ns, after.pi_moved_ns), own, CONDITIONAL)

    def _entry(self, before: Knot, after: Knot, pi: Line, own: Line, kind: int) -> Entry:
        span_s = (after.raw_ns - before.raw_ns) * 1e-9
        wander_ns = self._wander * span_s**1.5 / 2 * 1e9
        rate = max(before.rate, after.rate)
        slope = (pi.last_ns - pi.first_ns) / max(after.pi_raw_ns - before.pi_raw_ns, 1)
        own_slope = (own.last_ns - own.first_ns) / max(after.raw_ns - before.raw_ns, 1)
        raw_ns = (max(before.width_ns, after.width_ns) + wander_ns) / (1 - rate)
        chord = (after.raw_ns - before.raw_ns) / max(after.pi_raw_ns - before.pi_raw_ns, 1)
        # Where wide bounds make the chord steep, its pace counts; a stamp may belong before or after it, too.
        raw_ns += pi.error_ns / slope * (max(1 + rate, chord) + 2 * abs(chord - 1))
        half_ns = ceil(raw_ns * own_slope + own.error_ns) + 3
        first_ns, last_ns = own.first_ns - pi.first_ns, own.last_ns - pi.last_ns
        return Entry(0, 0, pi.first_ns, pi.last_ns, first_ns, last_ns, half_ns, pi.error_ns + 1, kind)

    def _ahead(self, now: Reading, *, current: bool) -> Entry | None:
        """From the newest knot to some seconds from now; None where nothing can be said of that."""
        knots = self._knots
        if not knots or not current or self._unplaced:
            return None
        last, before = knots[-1], knots[-2] if len(knots) > 1 and knots[-1].follows(knots[-2]) else None
        passed_ns = now.raw_ns - last.raw_ns
        moved_ns = now.realtime_minus_raw_ns - last.difference_ns
        if abs(moved_ns) > FASTEST * passed_ns + _LEAST_NS or self._own.cut_after(last.raw_ns):
            return None
        raw_ns = last.raw_ns + max(passed_ns, 0) + _AHEAD_NS
        low, high = last.timebase.bound.at(last.timebase.seconds(raw_ns))
        middle_ns = last.timebase.offset_anchor_ns + round((low + high) / 2)
        length_ns = raw_ns - last.raw_ns
        pi_rate, own_rate = rates(before, last)
        error_ns = _UNSTEERED * length_ns + 1
        pi_ns, own_ns = round(pi_rate * length_ns), round(own_rate * length_ns)
        end = last._replace(
            pi_raw_ns=raw_ns + middle_ns,
            raw_ns=raw_ns,
            width_ns=ceil((high - low) / 2) + 2,
        )
        pi = _straight(last.pi_raw_ns, end.pi_raw_ns, last.pi_difference_ns, pi_ns)
        own = _straight(last.raw_ns, raw_ns, last.difference_ns, own_ns)
        pi_error = ceil(abs(pi_ns) + error_ns) + last.pi_moved_ns
        own_error = ceil(abs(own_ns) + error_ns + abs(moved_ns - own_rate * passed_ns)) + last.moved_ns
        made = self._entry(
            last, end, pi._replace(error_ns=pi_error), own._replace(error_ns=own_error), CONDITIONAL
        )
        further = self._wander * (length_ns * 1e-9) ** 1.5 * 1e9
        return made._replace(half_ns=made.half_ns + ceil(further))

    def _margins(self, before: Knot, after: Knot) -> Iterator[Span]:
        """What the clock may have shown between two knots of which the second does not follow the first."""
        since = self._since(before, after.raw_ns)
        yield since
        shown_ns = after.pi_raw_ns + after.pi_difference_ns
        yield Span(
            shown_ns - (since.to_ns - since.from_ns - before.width_ns), shown_ns + after.width_ns, DOUBT
        )

    def _since(self, knot: Knot, raw_ns: int) -> Span:
        """What a clock that goes on from a knot may have shown until topside's RAW `raw_ns`."""
        passed_ns = max(self.boottime_ns - knot.boottime_ns, raw_ns - knot.raw_ns) + 1_000_000_000
        margin_ns = ceil(_RATES * (passed_ns + knot.pi_raw_ns - knot.read_ns + knot.width_ns))
        shown_ns = knot.pi_raw_ns + knot.pi_difference_ns
        return Span(shown_ns - knot.width_ns, shown_ns + margin_ns, DOUBT)


def _straight(from_ns: int, to_ns: int, difference_ns: int, moved_ns: int) -> Line:
    return Line(from_ns + difference_ns, to_ns + difference_ns + moved_ns, 0)
