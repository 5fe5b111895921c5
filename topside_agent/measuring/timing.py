"""When pings and results are due, and when results may go out, pure; times are topside's RAW, in ns."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from topside_agent.measuring.pace import PingTime

if TYPE_CHECKING:
    from schemas.messages import State
    from topside_agent.measuring.pace import Pace
    from topside_agent.settings import TopsideSettings

_TRAINS: tuple[tuple[int, int], ...] = ((3, 500_000_000), (2, 1_000_000_000))
"""Pings in a train, and how far apart (ns) trains may be for it.

The pings of a train see one state of the network: three at a time where that still leaves two trains a
second, two where it leaves one.
"""

_PATIENCE_NS = 1_000_000_000
"""A result may be late by this much."""

_CURRENT = {"locked", "acquiring"}
"""States that end when no exchange comes."""

GATE_NS = 5_000_000
"""How long a result waits for an exchange to end, and how long a ping counts as under way."""
FEW = 8
GATHER_NS = 50_000_000
"""How long results of more than `FEW` vehicles are gathered first: one write for many costs little more."""


_RAW = PingTime()


class PingSchedule:
    """Due times of one vehicle's pings: at once in a burst, else steadily, spread over the second.

    Steady pings are due on a grid whose phase comes from the vehicle's name, so that a fleet's pings are
    spread over the interval and two topsides measure a vehicle at the same rate without meeting each time.
    They go in trains, each ping as soon as the one before is answered: the first wakes broker and vehicle,
    the others find them awake (measured in `docs/stamps.md`).
    """

    def __init__(
        self, name: str, *, interval_ns: int, burst: int, burst_interval_ns: int, train: int | None = None
    ) -> None:
        """`train` pings in a row; None: as many as the interval allows."""
        self._train = train or train_of(interval_ns)
        self.interval_ns = self._train * interval_ns
        """Between trains."""
        self.least_ns = 0
        """Trains are no nearer to each other, bursts are."""
        self._hash = zlib.crc32(name.encode())
        self._burst = burst
        self._burst_interval_ns = min(burst_interval_ns, interval_ns)
        self._left = 0
        self._sent_of_train = 0
        self._steady_ns: int | None = None
        """When the last steady ping was due, by the time of pings."""
        self.due_ns = 0

    @classmethod
    def of(cls, name: str, settings: TopsideSettings) -> PingSchedule:
        """As the settings say."""
        return cls(
            name,
            interval_ns=round(1e9 / settings.rate),
            burst=settings.burst,
            burst_interval_ns=round(settings.burst_interval_s * 1e9),
        )

    def start_burst(self, now_raw_ns: int) -> None:
        """Measure at once, several times."""
        self._left = self._burst
        self._steady_ns = None
        self.due_ns = now_raw_ns

    def sent(self, now_raw_ns: int, time: PingTime = _RAW) -> None:
        """Set the next due time after a ping at `now_raw_ns`; steady ones are due by `time`."""
        in_burst = self._left > 0
        self._left = max(0, self._left - 1)
        self._sent_of_train = 0 if in_burst else self._sent_of_train + 1
        if self._left:
            self.due_ns = now_raw_ns + self._burst_interval_ns
        elif 0 < self._sent_of_train < self._train:
            self.due_ns = now_raw_ns
        else:
            self._sent_of_train = 0
            now_ns = time.at(now_raw_ns)
            interval_ns = max(self.interval_ns, round(self.least_ns / time.slowdown))
            # If the pace has changed it came before the instant at which it was due.
            from_ns = now_ns if self._steady_ns is None else max(now_ns, self._steady_ns)
            self._steady_ns = _next_on_grid(from_ns, interval_ns, self._hash)
            self.due_ns = time.due_ns(self._steady_ns)


def train_of(interval_ns: int) -> int:
    """Pings in a train where one is sent every `interval_ns` in the mean."""
    return next((count for count, apart_ns in _TRAINS if count * interval_ns <= apart_ns), 1)


def _next_on_grid(now_ns: int, interval_ns: int, hashed: int) -> int:
    """The next instant of a grid whose phase is a name's own."""
    phase_ns = hashed % interval_ns
    return ((now_ns - phase_ns) // interval_ns + 1) * interval_ns + phase_ns


class ResultSchedule:
    """When one vehicle's result is due: once an interval, and at every change of its state."""

    def __init__(self, name: str, pace: Pace) -> None:
        self.newest_ns: int | None = None
        """When the newest exchange finished."""
        self.changed = False
        """Whether the next result is due at once."""
        self.interval_ns = pace.publish_ns
        """Within so much the result after the last one is due."""
        self._pace = pace
        self._hash = zlib.crc32(name.encode())
        self._state: State | None = None
        self._published_ns = self._due_ns = 0
        self._requested = False

    def is_current(self, now_ns: int) -> bool:
        """Whether the last result is not overdue: another one could have followed twice."""
        return now_ns - self._published_ns <= 2 * self.interval_ns + _PATIENCE_NS

    def request(self, now_ns: int, *, moved: bool = False) -> bool:
        """Whether `publish` is to be called now; true once until `begin`.

        While `locked`, a result is computed once an interval, unless something changed. If what was published
        has `moved` the usual interval counts.
        """
        if moved:
            self._due_ns = min(self._due_ns, self._published_ns + self._pace.publish_ns)
        if self._requested or (self._state == "locked" and not self.changed and now_ns < self._look_ns()):
            return False
        self._requested = True
        return True

    @property
    def next_ns(self) -> int | None:
        """When to call `request` again; None after it returned true."""
        return None if self._requested else self._look_ns()

    def begin(self, now_ns: int) -> bool:
        """A result may be published: whether it is worth computing."""
        self._requested = False
        return self._state != "locked" or self.changed or now_ns >= self._look_ns()

    def publish(self, state: State, now_ns: int, *, rests: bool = False) -> bool:
        """Whether a result of `state` is due; it counts as published.

        The next one may come later where the vehicle is locked and `rests`: at an instant of its own, so that
        the results of a fleet are spread over the interval.
        """
        if state == self._state and not self.changed and now_ns < self._due_ns:
            return False
        self._state, self.changed, self._published_ns = state, False, now_ns
        pace = self._pace
        if rests and state == "locked" and pace.resting_ns > pace.publish_ns:
            self.interval_ns = pace.resting_ns
            self._due_ns = _next_on_grid(now_ns, pace.resting_ns, self._hash)
        else:
            self.interval_ns = pace.publish_ns
            self._due_ns = now_ns + pace.publish_ns
        return True

    def _look_ns(self) -> int:
        """When a result is due, or `locked` or `acquiring` ends if no exchange comes."""
        if self.newest_ns is None or self._state not in _CURRENT:
            return self._due_ns
        return min(self._due_ns, self.newest_ns + self._pace.silence_ns)


class PublishGate:
    """Holds results back while a ping is under way, so that the broker's next work is its pong.

    A result waits `GATE_NS` at the most. Times never decrease.
    """

    def __init__(self) -> None:
        self._sent_ns: dict[str, int] = {}  # both in the order of their times
        self._waiting_from_ns: dict[str, int] = {}

    def sent(self, vehicle: str, now_ns: int) -> None:
        """Note a ping to `vehicle`."""
        self._sent_ns.pop(vehicle, None)
        self._sent_ns[vehicle] = now_ns

    def settled(self, vehicle: str) -> None:
        """Note that no ping to `vehicle` is under way."""
        self._sent_ns.pop(vehicle, None)

    def forget(self, vehicle: str) -> None:
        """Drop what is known of `vehicle`."""
        self._sent_ns.pop(vehicle, None)
        self._waiting_from_ns.pop(vehicle, None)

    def wait(self, vehicle: str, now_ns: int, gather_ns: int = 0) -> None:
        """Have `released` return `vehicle` once its result may go out, in `gather_ns` at the earliest."""
        self._waiting_from_ns.setdefault(vehicle, now_ns + gather_ns)

    @property
    def due_ns(self) -> int | None:
        """When `released` has something to return at the latest; None while no result waits."""
        for from_ns in self._waiting_from_ns.values():
            return from_ns + GATE_NS if self._sent_ns else from_ns
        return None

    def released(self, now_ns: int) -> list[str]:
        """The vehicles whose results may go out now, all that wait together; each is returned once."""
        if not self._waiting_from_ns:
            return []
        while self._sent_ns:
            vehicle, sent_ns = next(iter(self._sent_ns.items()))
            if now_ns - sent_ns < GATE_NS:
                break
            del self._sent_ns[vehicle]
        due_ns = self.due_ns
        if due_ns is None or due_ns > now_ns:
            return []
        free = list(self._waiting_from_ns)
        self._waiting_from_ns.clear()
        return free
