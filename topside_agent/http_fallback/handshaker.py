"""The shell of the HTTP fallback: a thread for each vehicle that has an address."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from topside_agent.http_fallback.http_get import TimedResponse, get, parse_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.clock import Clock

_log = logging.getLogger(__name__)


class Handshaker:
    """Asks `needed` once an interval; a thread of its own, so that no broker that hangs delays it.

    `needed` is given topside's RAW now and the RAW of the beginning; `done` is called in this thread too.
    """

    def __init__(
        self,
        url: str,
        clock: Clock,
        interval_s: float,
        *,
        needed: Callable[[int, int], bool],
        done: Callable[[TimedResponse], None],
    ) -> None:
        self._url = url
        self._address = parse_url(url)
        self._clock = clock
        self._interval_s = interval_s
        self._needed = needed
        self._done = done
        self._asking = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"handshakes-{url}", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Begin no further handshake; does not wait for one under way."""
        self._stopping.set()

    def _run(self) -> None:
        began_ns = self._clock.raw_ns()
        while not self._stopping.wait(self._interval_s):
            needed = self._needed(self._clock.raw_ns(), began_ns)
            self._say(needed)
            if needed:
                got = get(self._address, self._clock)
                if not self._stopping.is_set():
                    self._done(got)

    def _say(self, needed: bool) -> None:
        if needed and not self._asking:
            _log.warning("MQTT does not reach the vehicle; asking %s instead", self._url)
        elif self._asking and not needed:
            _log.info("MQTT reaches the vehicle again; %s is not asked any more", self._url)
        self._asking = needed
