"""A small web server with nothing but /metrics, for agents that have no HTTP of their own."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from tidesync.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from broker.settings import MetricsSettings
    from runtime.metrics import Family

_log = logging.getLogger(__name__)

_PATIENCE_S = 5.0
_AT_ONCE = 4
"""Requests; more are hung up on, so that no peer can take the measurement's processor time."""
_POLL_S = 0.1


@contextlib.contextmanager
def metrics_served(settings: MetricsSettings, collect: Callable[[], Iterable[Family]]) -> Iterator[None]:
    """Serve what `collect` gives meanwhile, if a port is set; SettingsError when it cannot be had."""
    if settings.metrics_port is None:
        yield
        return
    server = _listen(settings.metrics_host, settings.metrics_port)
    server.set_app(_app(collect))
    _log.info("metrics at http://%s:%d/metrics", _bracketed(settings.metrics_host), server.server_port)
    thread = threading.Thread(target=server.serve_forever, args=(_POLL_S,), name="metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _app(collect: Callable[[], Iterable[Family]]) -> Any:
    from prometheus_client import make_wsgi_app  # noqa: PLC0415 - needed only where somebody asks for it

    from runtime.exposition import make_registry  # noqa: PLC0415

    metrics = make_wsgi_app(make_registry(collect))

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if environ["PATH_INFO"] in {"/", "/metrics"}:
            return metrics(environ, start_response)
        start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
        return [b"/metrics is all there is\n"]

    return app


class _Handler(WSGIRequestHandler):
    timeout = _PATIENCE_S

    def log_message(self, *_: object) -> None:
        """A scrape is no news."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._slots = threading.BoundedSemaphore(_AT_ONCE)
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Without HTTPServer's look-up of the host's name: a boat may have no name server that answers."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._slots.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, _request: Any, client_address: Any) -> None:
        """A peer that hangs up or says nothing is its own affair."""
        _log.debug("a request for metrics from %s failed", client_address, exc_info=True)


def _listen(host: str, port: int) -> _Server:
    try:
        return _Server(host, port)
    except OSError as error:
        raise SettingsError(
            f"--metrics-port: cannot serve on port {port}, host {host}: {_words(error)}"
        ) from error


def _words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
