"""Serves each vehicle when it is due, and performs the actions that its measurement returns."""

from __future__ import annotations

import heapq
import logging
import zlib
from typing import TYPE_CHECKING

from runtime.clock import read
from runtime.logs import RateLimitedLog
from topside_agent.measuring.actions import BurstDirectly, ResultDue, SendPing, SetTimer, Settled
from topside_agent.measuring.pace import BusyTime
from topside_agent.measuring.timing import FEW, GATHER_NS, PublishGate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from broker.client.one_step import OneStepTimestamp
    from runtime.clock import Clock, Reading
    from topside_agent.measuring.actions import Action
    from topside_agent.measuring.publisher import Publisher
    from topside_agent.measuring.vehicles import Vehicles

_log = logging.getLogger(__name__)

_NEVER_NS = 2**63
_BITS = 2**32 - 1
_RETRY_NS = 1_000_000_000
_MOST_AT_ONCE = 32
"""Vehicles served until answers are read again: they must not wait for pings that are late anyway.

Each ping is a write of its own: with eight in one, which the broker sends one after another, the max error of
250 vehicles was twice as wide.
"""


class DeadlineQueue:
    """Which vehicle is to be served when: one deadline for each, on topside's RAW clock, in ns."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, str]] = []
        self._due_ns: dict[str, int] = {}

    def set(self, vehicle: str, due_ns: int) -> None:
        """Have `pop` return `vehicle` at `due_ns`, instead of any earlier deadline of it."""
        if self._due_ns.get(vehicle) != due_ns:
            self._due_ns[vehicle] = due_ns
            # Of several at one instant each is first at times: the last one's message waits for the others'.
            heapq.heappush(self._heap, (due_ns, zlib.crc32(vehicle.encode(), due_ns & _BITS), vehicle))

    def pop(self, now_ns: int) -> str | None:
        """A vehicle whose deadline is not after `now_ns`; it is returned once."""
        heap, due_ns = self._heap, self._due_ns
        while heap and heap[0][0] <= now_ns:
            at_ns, _, vehicle = heapq.heappop(heap)
            if due_ns.get(vehicle) == at_ns:  # else it was set again or forgotten
                del due_ns[vehicle]
                return vehicle
        return None

    def forget(self, vehicle: str) -> None:
        """Drop the deadline of `vehicle`."""
        self._due_ns.pop(vehicle, None)

    @property
    def due_ns(self) -> int:
        """The nearest deadline; far off when there is none."""
        while self._heap and self._due_ns.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)  # it was set again or forgotten
        return self._heap[0][0] if self._heap else _NEVER_NS


class Scheduler:
    """Between the measurements, which decide, and the publisher, which sends."""

    def __init__(self, vehicles: Vehicles, publisher: Publisher, clock: Clock) -> None:
        self._vehicles = vehicles
        self._publisher = publisher
        self._clock = clock
        self._deadlines = DeadlineQueue()
        self._publish_gate = PublishGate()
        self._departures: dict[str, OneStepTimestamp] = {}
        self._faults = RateLimitedLog(_log, clock)
        self._busy = BusyTime()
        self._pings = 0
        """Sent in this period."""
        self._heard_ns: int | None = None
        """When the last message arrived, if one was read since what was due was looked at."""
        self.burst_directly: Callable[[str], None] = lambda _vehicle: None
        """Performs `BurstDirectly`."""

    def exchanged_directly(self, count: int) -> None:
        """So many exchanges came over direct paths: they are work, as pings are."""
        self._busy.woke(self._clock.raw_ns())
        self._pings += count

    def received(self, arrived_ns: int) -> None:
        """A message is read now that arrived at RAW `arrived_ns`."""
        if self._busy.waiting:
            self._busy.woke(self._clock.raw_ns())
        self._heard_ns = arrived_ns

    def serve(self, now: Reading, idle_ns: int) -> int:
        """Do what is due; returns how long to wait, if nothing comes, at most `idle_ns`."""
        self._busy.woke(now.raw_ns)
        self._keep_pace(now.raw_ns)
        heard_ns, self._heard_ns = self._heard_ns, None
        for _ in range(_MOST_AT_ONCE):
            if not (vehicle := self._deadlines.pop(now.raw_ns)):
                break
            self._serve(vehicle, heard_ns)
        if released := self._publish_gate.released(now.raw_ns):
            self._publish(released, now)
        due_ns, ready_ns = self._publish_gate.due_ns or _NEVER_NS, self._clock.raw_ns()
        wait_ns = max(0, min(due_ns, self._deadlines.due_ns, ready_ns + idle_ns) - ready_ns)
        if wait_ns:
            self._busy.waits(ready_ns)
        return wait_ns

    def _serve(self, vehicle: str, heard_ns: int | None) -> None:
        try:
            actions = self._vehicles[vehicle].timer(read(self._clock), heard_ns)
        except Exception as error:  # noqa: BLE001 - see `_faulty`
            actions = self._faulty(vehicle, error)
        self.perform(vehicle, actions)
        for action in actions:
            if type(action) is SendPing:
                self._ping(vehicle, action)

    def _keep_pace(self, now_ns: int) -> None:
        period, pace = self._busy.period(now_ns), self._vehicles.pace
        if period is None:
            return
        pings, self._pings = self._pings, 0
        pace.measures(sum(not measurement.resting for measurement in self._vehicles))
        before = pace.slowdown
        if not pace.worked(period[0], pings, period[1], now_ns):
            return
        if before == 1:
            _log.warning(
                "measuring %d vehicles at the rate that is set takes more than this computer can do: each is"
                " measured %.2g times a second for now",
                len(self._vehicles),
                pace.rate,
            )
        elif pace.slowdown == 1:
            _log.info("every vehicle is measured %g times a second again", pace.rate)

    def perform(self, vehicle: str, actions: Iterable[Action]) -> None:
        """Perform those actions of `vehicle`'s measurement that concern times."""
        for action in actions:
            if isinstance(action, SetTimer):
                self._deadlines.set(vehicle, action.due_ns)
            elif isinstance(action, Settled):
                self._publish_gate.settled(vehicle)
            elif isinstance(action, ResultDue):
                gather_ns = GATHER_NS if len(self._vehicles) > FEW else 0
                self._publish_gate.wait(vehicle, self._clock.raw_ns(), gather_ns)
            elif isinstance(action, BurstDirectly):
                self.burst_directly(vehicle)

    def _faulty(self, vehicle: str, error: Exception) -> list[Action]:
        """After an internal fault the vehicle is tried again, and the others go on."""
        fault = f"{type(error).__name__}: {error}"
        self._faults.warning(f"{vehicle}: an internal fault, please report it ({fault})")
        _log.debug("%s", vehicle, exc_info=error)
        return [SetTimer(self._clock.raw_ns() + _RETRY_NS)]

    def departed_ns(self, vehicle: str) -> int | None:
        """RAW at the socket write of the last ping to `vehicle`, if its stamp was taken there."""
        departure = self._departures.get(vehicle)
        return None if departure is None else departure.raw_ns

    def forget(self, vehicle: str) -> None:
        """Serve `vehicle` no more."""
        self._publish_gate.forget(vehicle)
        self._deadlines.forget(vehicle)
        self._departures.pop(vehicle, None)

    def _ping(self, vehicle: str, ping: SendPing) -> None:
        self._pings += 1
        if departure := self._publisher.ping(vehicle, ping):
            self._departures[vehicle] = departure
        self._publish_gate.sent(vehicle, ping.sent.raw_ns)

    def _publish(self, vehicles: list[str], now: Reading) -> None:
        actions = {}
        for vehicle in vehicles:
            try:
                actions[vehicle] = self._vehicles[vehicle].publish(now)
            except Exception as error:  # noqa: BLE001 - see `_faulty`
                actions[vehicle] = self._faulty(vehicle, error)
        self._publisher.publish(actions, now)
        for vehicle, each in actions.items():
            self.perform(vehicle, each)
