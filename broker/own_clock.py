"""An agent's watch of the clock of its own machine: what it reports, and the history that it publishes."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Literal, Protocol

from broker.clock_publisher import ClockPublisher
from runtime.clock import SimulatedClock, SystemClock
from runtime.clock_journal import ClockJournal
from runtime.clock_watch import ClockWatcher, watch_machine
from runtime.sleep import SleepCounter

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.clock_publisher import MakeMessage
    from broker.interface import MqttConnection
    from broker.settings import ClockHistorySettings
    from runtime.clock import Clock
    from runtime.clock_slews import SlewChange
    from runtime.clock_watch import ClockChange

_log = logging.getLogger(__name__)

_EVERY_NS = 500_000_000


class Watch(Protocol):
    """Makes the watch of a clock: `watch_machine`, or a simulation's."""

    def __call__(
        self,
        clock: Clock,
        report: Callable[[ClockChange], None],
        *,
        report_slew: Callable[[SlewChange], None],
    ) -> ClockWatcher:
        """A watcher that has not started yet."""


class OwnClock:
    """Watches in a thread of its own; publishes, and calls `changed`, in the connection's."""

    def __init__(
        self,
        machine: Literal["vehicle", "topside"],
        name: str,
        clock: Clock,
        instance_id: str,
        *,
        changed: Callable[[ClockChange], None],
        watch: Watch | None = None,
    ) -> None:
        self._machine, self._name = machine, name
        self._clock, self._instance_id = clock, instance_id
        self._simulated = not isinstance(clock, SystemClock)
        self._report = changed
        self._connection: MqttConnection | None = None
        self._publisher: ClockPublisher | None = None
        self._due_ns = 0
        self.sleep = SleepCounter(clock)
        known = isinstance(clock, SystemClock | SimulatedClock)
        watch = watch or (watch_machine if known else ClockWatcher)
        self.watcher = watch(clock, self._changed, report_slew=self._slewed)
        self.changes = Counter(step=0, suspend=0)
        """What the watch has seen, by kind; a slew is neither."""

    def connect(self, connection: MqttConnection, settings: ClockHistorySettings, make: MakeMessage) -> None:
        """Publish over `connection` what `make` makes of pieces."""
        path = settings.clock_journal_path(self._machine, self._name, simulated=self._simulated)
        self._connection = connection
        self._publisher = ClockPublisher(
            self._machine,
            self._name,
            boot_id=self._clock.boot_id,
            instance_id=self._instance_id,
            source=self.watcher,
            make=make,
            send=connection.publish,
            journal=ClockJournal(path),
        )

    @property
    def publisher(self) -> ClockPublisher:
        """Publishes the history; answers requests to send it again."""
        assert self._publisher is not None
        return self._publisher

    def publish(self) -> None:
        """Publish now what is new, if there is a connection."""
        assert self._connection is not None
        self.publisher.hurry()
        self.publisher.tick(self._clock.raw_ns(), connected=self._connection.up)

    def tick(self, now_raw_ns: int) -> None:
        """Publish and write what is due; call it often."""
        if now_raw_ns >= self._due_ns:
            assert self._connection is not None
            self._due_ns = now_raw_ns + _EVERY_NS
            self.publisher.tick(now_raw_ns, connected=self._connection.up)

    def stop(self) -> None:
        """End the watch, and have the rest published; `write` follows."""
        assert self._connection is not None
        self.watcher.stop()
        self._connection.post(self.publish)

    def write(self) -> None:
        """Write the rest to the journal, once the connection's thread has ended."""
        self.publisher.write(self._clock.raw_ns())

    # The watch's thread

    def _changed(self, change: ClockChange) -> None:
        _log.warning("the clock: %s, moved by %+.3f ms", change.kind, change.moved_ns / 1e6)
        self.changes[change.kind] += 1
        assert self._connection is not None
        self._connection.post(lambda: self._report(change))
        self._connection.post(self.publish)

    def _slewed(self, change: SlewChange) -> None:
        _log.info("the clock: %s", change)
        assert self._connection is not None
        self._connection.post(self.publish)
