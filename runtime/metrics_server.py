"""A small web server with nothing but /metrics, for agents that have no HTTP of their own."""

from __future__ import annotations

import contextlib
import io
import logging
import socket
import threading
import time
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from runtime.listener import Limits, Listener, open_listener, url_of
from runtime.metrics import make_registry
from runtime.request_rate import RequestRate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runtime.metrics import Families

_log = logging.getLogger(__name__)

_REQUEST_TIMEOUT_S = 5.0
_LIMITS = Limits(connections=8, per_address=2, first_s=_REQUEST_TIMEOUT_S, idle_s=_REQUEST_TIMEOUT_S)
"""Each is a thread; others are disconnected, so that no peer can take the measurement's processor time."""
_RATE = (4.0, 8)
"""Requests of one address a second, and at once: each takes milliseconds of the measurement's processor."""
_MOST_HEADER_BYTES = 16 * 1024
_POLL_S = 0.1


@contextlib.contextmanager
def metrics_served(host: str, port: int | None, collect: Callable[[], Families]) -> Iterator[None]:
    """Serve what `collect` returns during the block, if there is a port; ListenError if it is not free."""
    if port is None:
        yield
        return
    listener = open_listener("--metrics-port", host, port, _LIMITS)
    server = _Server(listener)
    server.set_app(_app(collect))
    _log.info("metrics at %smetrics", url_of(listener, host))
    thread = threading.Thread(target=server.serve_forever, args=(_POLL_S,), name="metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _app(collect: Callable[[], Families]) -> Any:
    from prometheus_client import make_wsgi_app  # noqa: PLC0415 - loaded only where metrics are served

    metrics = make_wsgi_app(make_registry(collect))

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        method, plain = environ["REQUEST_METHOD"], ("Content-Type", "text/plain; charset=utf-8")
        if environ["PATH_INFO"] not in {"/", "/metrics"}:
            start_response("404 Not Found", [plain])
            return [b"there is only /metrics\n"]
        if method not in {"GET", "HEAD"}:
            start_response("405 Method Not Allowed", [plain, ("Allow", "GET, HEAD")])
            return [b"metrics are only read\n"]
        text = metrics({**environ, "REQUEST_METHOD": "GET"}, start_response)
        return text if method == "GET" else []

    return app


class _Head(io.RawIOBase):
    """What a peer sends, up to the limit for headers: no request here has a body."""

    def __init__(self, stream: socket.SocketIO) -> None:
        self._stream = stream
        self._left = _MOST_HEADER_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._stream.readinto(memoryview(buffer)[: self._left]) or 0
        self._left -= count
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()


class _Handler(WSGIRequestHandler):
    timeout = _REQUEST_TIMEOUT_S

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(_Head(socket.SocketIO(self.connection, "r")))

    def log_message(self, *_: object) -> None:
        """Scrapes are not logged."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, listener: Listener) -> None:
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = self._listener = listener
        self._rate = RequestRate(*_RATE)
        # without HTTPServer.server_bind, which looks up the host's name: a boat may have no name server
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve it in a thread of its own; one more than the rate allows waits there for its turn."""
        wait_s = self._rate.wait_s(client_address[0], time.monotonic())
        if wait_s is None:
            self.shutdown_request(request)
            return
        request.wait_s = wait_s
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Wait for its turn, then serve it."""
        if request.wait_s:
            threading.Event().wait(request.wait_s)
        super().process_request_thread(request, client_address)

    def service_actions(self) -> None:
        """Called by `serve_forever` between requests."""
        self._listener.end_idle()

    def handle_error(self, _request: Any, client_address: Any) -> None:
        """Faults of peers are no faults of ours."""
        _log.debug("a request for metrics from %s failed", client_address, exc_info=True)
