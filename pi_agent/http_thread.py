"""The thread that serves HTTP: its port is taken before anything else, its libraries are loaded last."""

from __future__ import annotations

import importlib.util
import logging
import socket
import threading
from typing import TYPE_CHECKING

from runtime.errors import ListenError
from runtime.listener import open_listener
from runtime.watchdog import Loop

if TYPE_CHECKING:
    from collections.abc import Callable

    import uvicorn

    from pi_agent.health import HealthSource
    from pi_agent.settings import PiSettings
    from runtime.clock import Clock

_log = logging.getLogger(__name__)

_JOIN_S = 0.3
_SETTING = "--http-port"


class HttpThread:
    """Serves on `listener` from a thread of its own.

    It waits for `mqtt_ready` before it imports FastAPI, which takes most of a second of processor time on a
    Pi: the agent is online by then. Earlier requests wait in the listener's queue.
    """

    def __init__(
        self,
        listener: socket.socket,
        clock: Clock,
        source: HealthSource,
        mqtt_ready: Callable[[], object],
        failed: Callable[[], None],
    ) -> None:
        self._listener = listener
        self._clock = clock
        self._source = source
        self._mqtt_ready = mqtt_ready
        self._failed = failed
        self._stopping = threading.Event()
        self._serving = False
        self._loop = Loop("the HTTP service")
        self._server: uvicorn.Server | None = None
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    @property
    def loops(self) -> tuple[Loop, ...]:
        """The loop that the watchdog watches while HTTP is served; without it pings are still answered."""
        return (self._loop,) if self._serving else ()

    def start(self) -> None:
        """Begin serving; returns at once."""
        self._thread.start()

    def request_stop(self) -> None:
        """Ask the thread to end; returns at once."""
        self._stopping.set()
        if self._server is not None:
            self._server.should_exit = True

    def join(self) -> None:
        """Wait a little for the thread; requests that still run end with the process."""
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)

    def _run(self) -> None:
        self._mqtt_ready()
        try:
            from pi_agent.http_service import http_server  # noqa: PLC0415 - heavy, see the class

            self._server = http_server(self._clock, self._source, self._loop)
            if not self._stopping.is_set():
                self._serving = True
                self._server.run(sockets=[self._listener])
        except Exception:  # noqa: BLE001 - whatever it is, pings are still answered
            _log.exception("HTTP failed; continuing with MQTT alone")
        finally:
            self._serving = False
            self._listener.close()
            if not self._stopping.is_set():
                self._failed()


def http_listener(settings: PiSettings) -> socket.socket | None:
    """A socket that listens where `settings` want HTTP; None, after a warning, for MQTT alone.

    ListenError when a port that was set cannot be used, or the host is not one of this machine.
    """
    if settings.no_http:
        return None
    missing = _missing_library()
    unavailable = ListenError(_SETTING, settings.http_host, settings.http_port, missing)
    if not missing:
        try:
            return open_listener(_SETTING, settings.http_host, settings.http_port)
        except ListenError as error:
            if not error.in_use:
                raise
            unavailable = error
    if settings.http_port_wanted:
        raise unavailable
    _log.warning("%s; continuing with MQTT alone", unavailable)
    return None


def _missing_library() -> str:
    missing = [
        name for name in ("fastapi", "uvicorn", "prometheus_client") if importlib.util.find_spec(name) is None
    ]
    return f"{' and '.join(missing)} not installed: pip install tidesync-pi" if missing else ""
