"""Reads an agent's clock beside its datagrams, and relates the kernel's stamps of them to it."""

from __future__ import annotations

import logging
import math
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from runtime.clock import (
    FASTEST_SLEW_PPM,
    Reading,
    SimulatedClock,
    asleep_s,
    machine_clock,
    raw_resolution_ns,
    raw_when,
    read,
    was_set,
)
from runtime.clock_samples import STARVED_NS, half_width_ns
from runtime.realtime_line import RawStamp, RealtimeLine
from runtime.realtime_rate import UnknownRate, rate_source
from runtime.sleep import SleepCounter
from runtime.stamp_probe import kernel_stamps_by

if TYPE_CHECKING:
    from runtime.clock import Clock
    from runtime.realtime_rate import RateSource

_log = logging.getLogger(__name__)

SAMPLE_S = 0.4
"""Between two looks at the most, so that the kernel's stamps between them can be used."""
LOOKED_BACK_S = 3.0
"""An exchange takes less, from its request to the look that puts its stamps on RAW."""
_FASTEST = FASTEST_SLEW_PPM * 1e-6

_MOST_READINGS = 4
"""More in a row, until one is as narrow as the narrowest of late: the first finds cold caches."""
_MOST_SAMPLES = 3
"""One shows that something changed the clock, the next begins a line, a third one goes on with it."""
_made = tuple.__new__
"""Makes a named tuple without the function of Python's that each has for it."""
_SLOW_NS, _LOOKED_BACK_NS = 1_000_000, round(LOOKED_BACK_S * 1e9)
"""An answer is prepared in far less."""


class Look(NamedTuple):
    """The agent's clock, as its program reads it."""

    raw_ns: int
    """The agent's RAW, read first of all."""
    realtime_minus_raw_ns: int
    """The agent's."""
    half_ns: int
    """What the difference may be wrong by, and any of its stamps by the clock's resolution."""
    slept_ns: int
    """How long the machine has slept since the agent started."""
    sets: int
    """How often realtime was set since, as far as it was noticed."""
    read_ns: int
    """The agent's RAW at which the difference is that."""
    rate: float
    """How fast the difference may change there, and within `LOOKED_BACK_S` before, as a fraction."""
    even_ns: int = 0
    """The agent's RAW since which it may have changed so fast."""
    rate_before: float = 0.0
    """And how fast in the half second before: any rate, where nothing explains why a line ended."""

    def half_at(self, raw_ns: int) -> int:
        """What the difference may be wrong by at another instant of RAW, while nothing sets the clock.

        After the reading that holds until the rate changes.
        """
        before_ns = max(0, self.even_ns - raw_ns)
        rate_before = self.rate_before if before_ns <= STARVED_NS else _FASTEST
        moved_ns = (abs(raw_ns - self.read_ns) - before_ns) * self.rate + before_ns * rate_before
        return self.half_ns + math.ceil(moved_ns)


def _rate_of(machine: Clock) -> RateSource:
    """What relates the kernel's stamps to RAW; nothing does if they are of another clock."""
    if kernel_stamps_by(machine):
        return rate_source()
    _log.warning(
        "datagrams are stamped in user space: the kernel stamps with another clock than this program is shown"
        ", or that could not be tried over loopback"
    )
    return UnknownRate()


class StampClock:
    """Of one thread. Between two looks at most `SAMPLE_S` apart the kernel's stamps can be used."""

    def __init__(
        self, clock: Clock, rate: RateSource | None = None, sleep: SleepCounter | None = None
    ) -> None:
        """`rate` and `sleep` are of the machine on which `clock` runs; by default this one."""
        self.raw_ns = clock.raw_ns
        self._clock, self._machine = clock, machine_clock(clock)
        self._read_raw_ns, self._read_realtime_ns = self._machine.raw_ns, self._machine.realtime_ns
        self._rate = _rate_of(self._machine) if rate is None else rate
        self._line = RealtimeLine()
        self._sleep = SleepCounter(clock) if sleep is None else sleep
        self._slept_ns = self._sets = 0
        self._last: Reading | None = None
        self._rates: deque[tuple[int, float]] = deque()
        """By the machine's RAW, falling: one that a later one exceeds says nothing more."""
        self._resolution_ns = self._machine.resolution_ns
        self._narrow_ns = 1_000
        """The narrowest reading of late, and a nanosecond more with each look since."""
        self._raw_resolution_ns = raw_resolution_ns(clock)
        self._simulated = isinstance(clock, SimulatedClock)
        slews = clock.slews if isinstance(clock, SimulatedClock) else ()
        self._fastest = sum(abs(slew.ppm) for slew in slews) * 1e-6
        self.raw_of = self._simulated_raw_of if self._simulated else self._line.raw_of
        """The agent's RAW at a kernel's stamp before the last look; None: it cannot be related to RAW.

        It may be too late, which is right for an arrival.
        """
        self._compares = self._simulated or self._rate.state() is None
        """Whether no notice tells that the agent's clock was set."""

    @property
    def is_asleep(self) -> bool:
        """Whether a simulated machine sleeps: its agent must be silent."""
        return self._simulated and asleep_s(self._clock) > 0

    def look(self, first_ns: int | None = None) -> Look:
        """Read the clock, once more where something changed it, and then what may have changed it.

        `first_ns` is the agent's RAW, if it was read just before.
        """
        first_ns = self.raw_ns() if first_ns is None else first_ns
        read_ns, difference_ns, half_ns = self._sample()
        rate, even_ns = self._fastest_since(read_ns), self._line.even_ns
        if self._simulated:
            reading = read(self._clock)
            read_ns, difference_ns, half_ns = (
                reading.raw_ns,
                reading.realtime_minus_raw_ns,
                reading.width_ns // 2 + 1,
            )
            rate, even_ns = self._fastest, 0
            self._slept_ns += self._sleep.slept_ns()
        if self._compares:
            now = Reading(first_ns, difference_ns, 2 * half_ns)
            self._sets += self._last is not None and was_set(self._last, now)
            self._last = now
        half_ns += self._raw_resolution_ns
        return _made(
            Look,
            (
                first_ns,
                difference_ns,
                half_ns,
                self._slept_ns,
                self._sets,
                read_ns,
                rate,
                even_ns,
                self._line.steepest_before,
            ),
        )

    def _fastest_since(self, now_ns: int) -> float:
        """The steepest line at this look and those of `LOOKED_BACK_S` before."""
        rates, rate = self._rates, self._line.steepest
        while rates and (rates[-1][1] <= rate):
            rates.pop()
        rates.append((now_ns, rate))
        while now_ns - rates[0][0] > _LOOKED_BACK_NS:
            rates.popleft()
        return rates[0][1]

    def answering(self, first_ns: int, arrived_ns: int) -> tuple[Look, RawStamp | None, int]:
        """A look, the kernel's stamp `arrived_ns` (0: none) of the arrival on RAW, and RAW right after both.

        Where the program got no processor between them the clock may have been set: they are read again.
        """
        look = self.look(first_ns)
        for _ in range(_MOST_SAMPLES):
            arrived = self.raw_of(arrived_ns) if arrived_ns else None
            now_ns = self.raw_ns()
            if now_ns - look.read_ns < _SLOW_NS:
                break
            look = self.look()._replace(raw_ns=look.raw_ns)
        return look, arrived, now_ns

    def departed_at(self, realtime_ns: int, sent_raw_ns: int) -> RawStamp | None:
        """The same for a departure after the agent's RAW was `sent_raw_ns`: it must not come out too late."""
        begun_ns = self._line.begun_ns
        if self._simulated:
            begun_ns = raw_when(self._clock, begun_ns)
        return self.raw_of(realtime_ns) if begun_ns <= sent_raw_ns else None

    def _simulated_raw_of(self, realtime_ns: int) -> RawStamp | None:
        stamp, clock = self._line.raw_of(realtime_ns), self._clock
        if stamp is None:
            return None
        assert isinstance(clock, SimulatedClock)
        base_ns = raw_when(clock.base, stamp.raw_ns)
        difference_ns = clock.realtime_at(base_ns) - clock.raw_at(base_ns)
        return RawStamp(raw_when(clock, stamp.raw_ns), 2 * stamp.half_ns + 2, difference_ns)

    def close(self) -> None:
        """Release what it holds."""
        self._rate.close()

    def _sample(self) -> tuple[int, int, int]:
        """The machine's RAW, its realtime − RAW, and what this may be wrong by."""
        raw, realtime, line = self._read_raw_ns, self._read_realtime_ns, self._line
        difference_ns = bracket_ns = middle = 0
        for _ in range(_MOST_SAMPLES):
            before, shown, after = raw(), realtime(), raw()
            bracket_ns, narrow_ns = after - before, self._narrow_ns + 1
            left = _MOST_READINGS
            while bracket_ns > narrow_ns and left:
                first, then, last = raw(), realtime(), raw()
                left -= 1
                if last - first < bracket_ns:
                    before, shown, bracket_ns = first, then, last - first
            middle = before + bracket_ns // 2
            self._narrow_ns = min(narrow_ns, max(bracket_ns, 1))
            difference_ns = shown - middle
            width_ns = bracket_ns + 2 * self._resolution_ns
            state, noticed = self._rate.state(), self._rate.was_set()
            self._sets += noticed
            if line.take(middle, difference_ns, width_ns, state, was_set=noticed):
                break
            self._slept_ns += self._sleep.slept_ns()  # a sleep ends the line, where there is one
            if state is None:
                break
        known = line.difference()
        if (
            known is None
        ):  # a coarse clock shows its last step: in the mean it is half a step on, as in `read`
            step_ns = self._resolution_ns
            known = difference_ns + step_ns // 2, half_width_ns(bracket_ns, step_ns - step_ns // 2)
        return middle, *known
