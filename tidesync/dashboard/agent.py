"""The dashboard's agent: its port, its connection, and the thread of its web server."""

from __future__ import annotations

import logging
import socket
import threading
from time import monotonic
from typing import TYPE_CHECKING

from broker.agent import MqttAgent
from runtime.listener import open_listener, url_of
from runtime.watchdog import Loop
from runtime.web_server import make_server
from tidesync.dashboard.app import make_app
from tidesync.dashboard.subscriber import Subscriber

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi import APIRouter

    from runtime.clock import Clock
    from tidesync.dashboard.settings import DashboardSettings

_log = logging.getLogger(__name__)

_JOIN_S = 0.6
_SHOW_S = 1.5
_LOOK_S = 0.02


class DashboardAgent(MqttAgent):
    """Serves the page and the interface for programs until `stop`; ends when its web server does."""

    def __init__(self, settings: DashboardSettings, clock: Clock, routers: Sequence[APIRouter] = ()) -> None:
        token = settings.usable_token()
        self.subscriber = Subscriber(settings, clock)
        self._connection = self.subscriber.connection
        self._settings = settings
        self._listener: socket.socket | None = None
        self._ended = threading.Event()
        self._app = make_app(self.subscriber, settings, token, routers)
        self._loop = Loop("the web server")
        self._server = make_server(
            self._app,
            self._loop,
            ws="websockets-sansio",
            ws_max_size=1024,
            ws_ping_interval=5,
            ws_ping_timeout=5,
            ws_per_message_deflate=False,
            proxy_headers=False,
        )
        self._thread = threading.Thread(target=self._serve, name="dashboard", daemon=True)

    @property
    def url(self) -> str:
        """Where the page is, once started."""
        assert self._listener is not None
        return url_of(self._listener, self._settings.host)

    @property
    def loops(self) -> tuple[Loop, ...]:
        """The loops that the watchdog watches."""
        return (*super().loops, self._loop)

    def start(self) -> None:
        """Listen, connect, serve; ListenError if it cannot listen."""
        self._listener = open_listener("--port", self._settings.host, self._settings.port)
        self._connection.start()
        self._thread.start()
        _log.info("dashboard at %s", self.url)

    def stop(self) -> None:
        """Disconnect, wait until Cockpit has been notified, close the pages and end."""
        self._connection.stop()
        self._wait_until_shown()
        if self._app.state.served.products:
            self._app.state.served.products.stop()
        self._server.should_exit = True
        self._server.force_exit = True  # pages never close their streams
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)

    def wait_until_finished(self, timeout_s: float | None) -> bool:
        """Whether it has ended by itself within `timeout_s`."""
        return self._ended.is_set() or super().wait_until_finished(timeout_s)

    def _wait_until_shown(self) -> None:
        """Wait until Cockpit shows that nothing is known any more, up to `_SHOW_S`."""
        served, until_s = self._app.state.served, monotonic() + _SHOW_S
        while served.shown_connected and monotonic() < until_s and not self._ended.wait(_LOOK_S):
            pass

    def _serve(self) -> None:
        assert self._listener is not None
        try:
            self._server.run(sockets=[self._listener])
        except Exception:  # noqa: BLE001 - the process must not keep running without a server
            _log.exception("a fault of this program, please report it; the dashboard ends")
        finally:
            self._listener.close()
            self._ended.set()
