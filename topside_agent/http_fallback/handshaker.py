"""The shell of the HTTP fallback: a thread for each vehicle with a URL."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from runtime.clock import asleep_s
from topside_agent.http_fallback.http_get import get_then, parse_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.clock import Clock
    from topside_agent.http_fallback.http_get import Get, TimedResponse
    from topside_agent.measuring.measurement import Measurement
    from topside_agent.measuring.vehicles import Vehicles
    from topside_agent.settings import TopsideSettings

_log = logging.getLogger(__name__)


class Handshaker:
    """Handshakes with a vehicle while they are needed, in a thread that no broker can delay.

    `needed` is called with topside's RAW now and at the beginning, `done` with each response, both in the
    thread that calls `look`.
    """

    def __init__(
        self,
        url: str,
        clock: Clock,
        interval_s: float,
        *,
        needed: Callable[[int, int], bool],
        done: Callable[[TimedResponse], None],
        get: Get = get_then,
    ) -> None:
        self.url = url
        self.interval_s = interval_s
        self._address = parse_url(url)
        self._clock = clock
        self._needed = needed
        self._done = done
        self._get = get
        self._began_ns = clock.raw_ns()
        self._active = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"handshakes-{url}", daemon=True)

    def start(self) -> None:
        """Begin to look once an interval; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Begin no further handshake; does not wait for one under way."""
        self._stopping.set()

    def look(self) -> None:
        """Begin a handshake if one is needed now; none while a simulated machine sleeps."""
        if asleep_s(self._clock):
            return
        needed = self._needed(self._clock.raw_ns(), self._began_ns)
        self._log_change(needed)
        if needed:
            self._get(self._address, self._clock, self._finished)

    def _finished(self, response: TimedResponse) -> None:
        if not self._stopping.is_set():
            self._done(response)

    def _run(self) -> None:
        while not self._stopping.wait(self.interval_s):
            self.look()

    def _log_change(self, needed: bool) -> None:
        if needed and not self._active:
            _log.warning("MQTT does not reach the vehicle; measuring over %s instead", self.url)
        elif self._active and not needed:
            _log.info("MQTT reaches the vehicle again; stopped measuring over %s", self.url)
        self._active = needed


def handshakers(
    settings: TopsideSettings,
    clock: Clock,
    vehicles: Vehicles,
    done: Callable[[Measurement, TimedResponse], None],
    get: Get,
) -> list[Handshaker]:
    """One for each vehicle that the settings give a URL; `done` is called in its thread."""

    def one(measurement: Measurement, url: str) -> Handshaker:
        return Handshaker(
            url,
            clock,
            settings.handshake_interval_s,
            needed=measurement.needs_handshake,
            done=lambda response: done(measurement, response),
            get=get,
        )

    return [one(vehicles[vehicle], url) for vehicle, url in settings.http_urls.items()]
