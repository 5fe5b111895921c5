"""Sessions of two clocks whose realtime is stepped, slewed and suspended in known ways.

Instants are seconds after the session's start on a clock that never stops; topside's and the Pi's RAW run on
it, the Pi's with an offset and a drift, and both stop while their machine sleeps.
"""

from dataclasses import dataclass, field

import numpy as np

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


def exchanges_of(pi, topside, *, seconds, gaps=(), rate=4.0, seed=1):
    """What both measure, with delays as on loopback."""
    chance = np.random.default_rng(seed)
    found = []
    for number, origin in enumerate(np.arange(1, seconds, 1 / rate) + chance.uniform(0, 1e-3)):
        if any(begin <= origin < end for begin, end in gaps):
            continue
        out, stay, back = chance.exponential(5e-5) + 1e-4, 1e-4, chance.exponential(5e-5) + 1e-4
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
