"""How often vehicles are measured and results published, the same for all vehicles of a topside, pure.

A topside that has more to do than time measures every vehicle less often, by one factor, and says so in each
result, instead of letting answers wait until they count as lost.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from topside_agent.settings import TopsideSettings

MANY = 200
"""Of more vehicles the pings are gathered, and a result that says nothing new comes less often."""
RESTING_NS = 5_000_000_000
"""Between results of a locked vehicle whose clock rests, if there are many."""
GRID_NS = 25_000_000
"""Pings to many vehicles are due at the same instants, so far apart: one wake-up serves several.

Of 300 vehicles that saves 30 % of topside's processor time, and makes the max error 20 % wider: pongs that
arrive together wait for each other.
"""
_STRIDE = 2
_LEAST_RATE = 0.05
_MISSED = 2.5

PERIOD_NS = 1_000_000_000
_BUSY, _WANTED, _FULL = 0.9, 0.8, 0.84
"""Above the first share of the time vehicles are measured less often, so that it comes to the second.

More often again while it stays below the third: part of the work does not depend on the rate, so that the
second is reached in several steps.
"""
_PATIENCE = 2
"""Periods in a row until something changes."""
_MORE = 2.0
"""At most so many times longer a period: a machine that had no time for topside may have it again at once."""
_CALM, _WORTH = 5, 0.97
"""Periods that show how much more often vehicles can be measured, and by how much it must be."""
_MOST_EXCHANGES = 6_000
"""Of all vehicles published with their results."""


class PingTime(NamedTuple):
    """The time by which steady pings are due, ns: RAW, but slower while vehicles are measured less often.

    It goes on from where it was when that changes, so the pings of a fleet stay spread, and as many are sent
    as the rate says.
    """

    since_raw_ns: int = 0
    since_ns: int = 0
    """Its own instant at that one of RAW."""
    slowdown: float = 1.0
    grid_ns: int = 1
    """Pings are due at multiples of this, on RAW."""

    def at(self, raw_ns: int) -> int:
        """It at an instant of RAW."""
        return self.since_ns + round((raw_ns - self.since_raw_ns) / self.slowdown)

    def due_ns(self, at_ns: int) -> int:
        """RAW at an instant of it, or soon after."""
        raw_ns = self.since_raw_ns + round((at_ns - self.since_ns) * self.slowdown)
        return -(-raw_ns // self.grid_ns) * self.grid_ns

    def slowed(self, slowdown: float, raw_ns: int) -> PingTime:
        """From an instant of RAW on it is slower than that by this factor."""
        return self._replace(since_raw_ns=raw_ns, since_ns=self.at(raw_ns), slowdown=slowdown)


class BusyTime:
    """How long in each period the agent was at work, interrupted or not; instants are topside's RAW, ns."""

    def __init__(self) -> None:
        self._begun_ns: int | None = None
        self._waited_ns = 0
        self._waits_from_ns: int | None = None

    @property
    def waiting(self) -> bool:
        """Whether there was nothing to do when last heard."""
        return self._waits_from_ns is not None

    def waits(self, now_ns: int) -> None:
        """There is nothing to do, until a message comes or something is due."""
        self._waits_from_ns = now_ns

    def woke(self, now_ns: int) -> None:
        """There is something to do."""
        if self._waits_from_ns is not None:
            self._waited_ns += now_ns - self._waits_from_ns
            self._waits_from_ns = None

    def period(self, now_ns: int) -> tuple[float, float] | None:
        """Once a period is over, for how long it was busy and how long it was, in s; None before."""
        if self._begun_ns is None:
            self._begun_ns = now_ns
        elapsed_ns = now_ns - self._begun_ns
        if elapsed_ns < PERIOD_NS:
            return None
        busy_s = max(0, elapsed_ns - self._waited_ns) / 1e9
        self._begun_ns, self._waited_ns = now_ns, 0
        return busy_s, elapsed_ns / 1e9


class Pace:
    """The pace of all vehicles of one topside. Durations are in ns."""

    def __init__(self, settings: TopsideSettings) -> None:
        self._rate = settings.rate
        self._holdover_ns = round(settings.holdover_after_s * 1e9)
        self._overloaded = 0
        self._needed: deque[float] = deque(maxlen=_CALM)
        self._demand_hz = 0.0
        self._vehicles = 1
        self.publish_ns = round(settings.publish_interval_s * 1e9)
        """Between the results of a vehicle."""
        self.resting_ns = self.publish_ns
        """Within so much a result follows that of a locked vehicle whose clock rests."""
        self.ping_time = PingTime()
        """By which steady pings are due."""
        self.stride = 1
        """How many blocks the windows of an estimator take at a time."""
        self._set(1.0)

    def _set(self, slowdown: float) -> None:
        self.slowdown = slowdown
        """By how much the time between the pings of a vehicle is longer than set, at least 1."""
        self.rate = self._rate / slowdown
        """Exchanges a second with each vehicle."""
        self.interval_ns = round(1e9 / self.rate)
        """Between the pings of a vehicle."""
        slowed_ns = round(_MISSED * self.interval_ns) if slowdown > 1 else 0
        self.silence_ns = max(self._holdover_ns, slowed_ns)
        """Without an exchange for so long a result is carried forward: longer while pings are rarer."""

    def measures(self, vehicles: int) -> None:
        """So many vehicles are measured."""
        many = vehicles > MANY
        self.resting_ns = max(self.publish_ns, RESTING_NS) if many else self.publish_ns
        self.ping_time = self.ping_time._replace(grid_ns=GRID_NS if many else 1)
        self.stride = _STRIDE if many else 1
        self._demand_hz = vehicles * self._rate
        self._vehicles = vehicles

    @property
    def most_exchanges(self) -> int:
        """Of a vehicle published with a result: what an outage left goes out by and by, oldest first.

        All of a fleet at once would be more than waits for a broker, and what does not is dropped.
        """
        usual = -(-round(self._rate * max(self.publish_ns, self.resting_ns)) // 10**9)
        return max(2 * usual, _MOST_EXCHANGES // max(1, self._vehicles))

    def worked(self, busy_s: float, pings: int, seconds: float, now_ns: int) -> bool:
        """In `seconds` until `now_ns` topside was busy for `busy_s`, and sent so many pings.

        Returns whether the pace changes.

        What a ping has cost tells what the rate that is set would: bursts, as at the start, are no overload.
        """
        needed = self._demand_hz * busy_s / pings / _WANTED if pings else 1.0
        overloaded = busy_s > _BUSY * seconds and needed > self.slowdown
        self._overloaded = self._overloaded + 1 if overloaded else 0
        self._needed.append(needed)
        before, enough = self.slowdown, max(1.0, max(self._needed) * _WANTED / _FULL)
        if self._overloaded >= _PATIENCE:
            self._set(min(needed, _MORE * before, max(1.0, self._rate / _LEAST_RATE)))
        elif len(self._needed) == _CALM and enough < _WORTH * before:
            self._set(enough)
        if self.slowdown == before:
            return False
        self._needed.clear()
        self.ping_time = self.ping_time.slowed(self.slowdown, now_ns)
        return True
