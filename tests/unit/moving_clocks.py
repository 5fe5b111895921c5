"""Sessions of two clocks whose realtime is stepped, slewed and suspended in known ways.

Instants are seconds after the session's start on a clock that never stops; topside's and the Pi's RAW run on
it, the Pi's with an offset and a drift, and both stop while their machine sleeps.
"""

from dataclasses import dataclass, field

import numpy as np

from schemas.clock_history import ClockPiece
from schemas.exchange import Exchange
from tests.unit.tracks import START, S

FIRST_RAW = {"pi": 1_000 * S, "topside": 50_000 * S}
RESOLUTION_NS = 1_000


@dataclass
class MovingClock:
    """One machine's clock; `pll` is (from, size): an eighth of what is left goes in each second."""

    name: str
    offset_ns: int = 0
    drift: float = 0.0
    steps: list = field(default_factory=list)
    slews: list = field(default_factory=list)
    pll: list = field(default_factory=list)
    suspends: list = field(default_factory=list)

    def slept_s(self, at_s):
        return sum(np.clip(at_s - begin, 0, long) for begin, long in self.suspends) + 0.0 * at_s

    def asleep(self, at_s):
        return any(begin - 0.002 <= at_s <= begin + long + 0.002 for begin, long in self.suspends)

    def raw_ns(self, at_s):
        """RAW at the instants `at_s` (an array), ns."""
        awake = at_s - self.slept_s(at_s)
        return FIRST_RAW[self.name] + np.rint(awake * S + self.drift * awake * S).astype(np.int64)

    def moved_ns(self, at_s):
        """How far realtime − RAW has gone since the start, ns as floats."""
        moved = self.slept_s(at_s) * S
        for begin, size in self.steps:
            moved = moved + np.where(at_s >= begin, size * S, 0.0)
        for begin, end, ppm in self.slews:
            moved = moved + np.clip(at_s - begin, 0, end - begin) * ppm * 1e3
        for begin, size in self.pll:
            whole = np.floor(np.maximum(at_s - begin, 0))
            part = np.maximum(at_s - begin, 0) - whole
            moved = moved + size * S * (1 - (7 / 8) ** whole * (1 - part / 8))
        return moved

    def difference_ns(self, at_s):
        return START + self.offset_ns - FIRST_RAW[self.name] + np.rint(self.moved_ns(at_s)).astype(np.int64)

    def realtime_ns(self, at_s):
        return self.raw_ns(at_s) + self.difference_ns(at_s)


_exchanges = {}


def exchanges_of(pi, topside, **how):
    """What both measure, as `_exchanges_of` has it; the latest few sessions are made once."""
    known = repr((pi, topside, how))
    if known not in _exchanges:
        if len(_exchanges) >= 10:
            _exchanges.clear()
        _exchanges[known] = _exchanges_of(pi, topside, **how)
    return list(_exchanges[known])


def _exchanges_of(pi, topside, *, seconds, gaps=(), rate=4.0, seed=1, back_s=1e-4, late=()):
    """With delays as on loopback, but for the least one of the way back.

    The answers with the numbers `late` take 0.2 s more.
    """
    chance = np.random.default_rng(seed)
    found = []
    for number, origin in enumerate(np.arange(1, seconds, 1 / rate) + chance.uniform(0, 1e-3)):
        if any(begin <= origin < end for begin, end in gaps):
            continue
        out, stay, back = (
            chance.exponential(5e-5) + 1e-4,
            1e-4,
            chance.exponential(5e-5) + back_s + 0.2 * (number in late),
        )
        at = np.array([origin, origin + out, origin + out + stay, origin + out + stay + back])
        if any(clock.asleep(each) for clock in (pi, topside) for each in at):
            continue
        pi_raw, topside_raw = pi.raw_ns(at), topside.raw_ns(at)
        pi_difference, topside_difference = pi.difference_ns(at)[2], topside.difference_ns(at)[3]
        found.append(
            Exchange(
                vehicle="rov1",
                topside="topside",
                seq=number,
                boot_id="b1",
                origin_ns=int(topside_raw[0] + topside_difference),
                receive_ns=int(pi_raw[1] + pi_difference),
                transmit_ns=int(pi_raw[2] + pi_difference),
                destination_ns=int(topside_raw[3] + topside_difference),
                pi_realtime_minus_raw_ns=int(pi_difference),
                topside_realtime_minus_raw_ns=int(topside_difference),
                resolution_ns=RESOLUTION_NS,
            )
        )
    return found


BRACKET_NS, FITS_NS = 500, 10_000


class TimedPiece(ClockPiece):
    """A piece that knows the instants of its beginning."""

    begin_s: float


_histories = {}


def history_of(clock, seconds, *, unheard=()):
    """What an agent on that machine publishes, except during `unheard`: true, merged where they fit."""
    known = repr((clock, seconds, unheard))
    if known not in _histories:
        _histories[known] = _history_of(clock, seconds, unheard)
    return list(_histories[known])


def _history_of(clock, seconds, unheard):
    moving = [(begin - 0.3, end + 0.3) for begin, end, _ in clock.slews]
    moving += [(begin, begin + 60) for begin, _ in clock.pll]
    grid = np.concatenate([np.arange(0, seconds, 0.2), *(np.arange(*each, 0.02) for each in moving)])
    grid = np.unique(grid[(grid >= 0) & (grid < seconds)].round(6))
    pieces, begins, run = [], "start", []
    for begin, end in zip(grid[:-1].tolist(), grid[1:].tolist(), strict=True):
        breaks = _broken(clock, begin, end, unheard)
        if breaks is None:
            run += [end] if run else [begin, end]
            continue
        pieces += _merged(clock, run, begins)
        run, begins = [], breaks
    return pieces + _merged(clock, run, begins)


def _broken(clock, begin, end, unheard):
    """What ends a piece in this interval, and begins the next one; None where it goes on."""
    if any(unheard_from <= end and begin <= until for unheard_from, until in unheard):
        return "start"
    if any(begin < at + long and at < end for at, long in clock.suspends):
        return "suspend"
    return "step" if any(begin < at <= end for at, _ in clock.steps) else None


def _merged(clock, instants, begins):
    """Pieces from each instant to the last one to which a straight line fits."""
    pieces, first = [], 0
    while first + 1 < len(instants):
        last, step = first + 1, 1
        piece = _piece(clock, (instants[first], instants[last]), begins)
        growing = True
        while step:
            further = min(last + step, len(instants) - 1)
            longer = _piece(clock, (instants[first], instants[further]), begins)
            if further > last and longer.half_width_ns <= FITS_NS:
                piece, last, step = longer, further, 2 * step if growing else step
            else:
                growing, step = False, step // 2
        pieces.append(piece)
        first, begins = last, None
    return pieces


def _piece(clock, span, begins):
    edges = [edge for begin, end, _ in clock.slews for edge in (begin, end) if span[0] < edge < span[1]]
    within = np.unique(np.concatenate([np.linspace(*span, 41), edges]))
    raw, moved = clock.raw_ns(within), clock.moved_ns(within)
    chord = np.interp((raw - raw[0]).astype(float), [0, float(raw[-1] - raw[0])], [moved[0], moved[-1]])
    ends = raw[[0, -1]] + clock.difference_ns(within[[0, -1]])
    return TimedPiece(
        from_raw_ns=int(raw[0]),
        to_raw_ns=int(raw[-1]),
        from_realtime_ns=int(ends[0]),
        to_realtime_ns=int(ends[1]),
        half_width_ns=int(np.abs(moved - chord).max() * 1.1) + BRACKET_NS,
        begins=begins,
        begin_s=span[0],
    )
