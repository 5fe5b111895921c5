"""The dashboard's agent: its port, its connection, and the thread of its web server."""

from __future__ import annotations

import logging
import socket
import threading
from typing import TYPE_CHECKING

import uvicorn

from broker.agent import MqttAgent
from runtime.counting_server import CountingServer
from runtime.loop import Loop
from tidesync.dashboard.app import make_app
from tidesync.dashboard.cockpit import POLL_S
from tidesync.dashboard.settings import AddressUnusableError
from tidesync.dashboard.subscriber import Subscriber

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi import APIRouter

    from runtime.clock import Clock
    from tidesync.dashboard.settings import DashboardSettings

_log = logging.getLogger(__name__)

_JOIN_S = 0.6


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
        self._server = CountingServer(
            uvicorn.Config(
                self._app,
                loop="asyncio",
                http="h11",
                ws="websockets-sansio",
                ws_max_size=1024,
                ws_ping_interval=5,
                ws_ping_timeout=5,
                ws_per_message_deflate=False,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=15,
                timeout_graceful_shutdown=1,
            ),
            self._loop,
        )
        self._thread = threading.Thread(target=self._serve, name="dashboard", daemon=True)

    @property
    def url(self) -> str:
        """Where the page is, once started."""
        assert self._listener is not None
        port = self._listener.getsockname()[1]
        host = self._settings.host
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{port}/"

    @property
    def loops(self) -> tuple[Loop, ...]:
        """The loops that the watchdog watches."""
        return (*super().loops, self._loop)

    def start(self) -> None:
        """Listen, connect, serve; AddressUnusableError if it cannot listen."""
        self._listener = _listen(self._settings.host, self._settings.port)
        self._connection.start()
        self._thread.start()
        _log.info("dashboard at %s", self.url)

    def stop(self) -> None:
        """Disconnect, wait until Cockpit has been notified, close the pages and end."""
        self._connection.stop()
        if self._app.state.served.sockets:
            self._ended.wait(2 * POLL_S)
        self._server.should_exit = True
        self._server.force_exit = True  # pages never close their streams
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)

    def wait_until_finished(self, timeout_s: float | None) -> bool:
        """Whether it has ended by itself within `timeout_s`."""
        return self._ended.is_set() or super().wait_until_finished(timeout_s)

    def _serve(self) -> None:
        assert self._listener is not None
        try:
            self._server.run(sockets=[self._listener])
        except Exception:  # noqa: BLE001 - the process must not keep running without a server
            _log.exception("a fault of this program, please report it; the dashboard ends")
        finally:
            self._listener.close()
            self._ended.set()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        # create_server repeats the address
        reason, _, _ = (error.strerror or str(error)).partition(" (while")
        raise AddressUnusableError(host, port, reason.lower()) from error
