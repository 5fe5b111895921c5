"""One GET of a vehicle's time over HTTP, with the clock read on both sides, bounded in time and size."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from runtime.clock import Clock, Reading, read, was_set

if TYPE_CHECKING:
    from socket import socket

PATH = "/api/sync/time"
TIMEOUT_S = 5.0
"""The consumer's limit, for everything: name lookup, connecting, and the last byte of the answer."""
MAX_BODY_BYTES = 64 * 1024
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "Connection": "close"}
_REDIRECTS = range(300, 400)


class InvalidUrlError(ValueError):
    """A URL that no handshake can be made with; the sentence names it and the reason."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"{url!r} is not a vehicle's address, as http://192.168.2.2:9150: {reason}")
        self.url = url
        self.reason = reason


@dataclass(frozen=True, slots=True)
class SyncUrl:
    """The URL where a vehicle serves its time, in parts."""

    secure: bool
    host: str
    port: int | None
    path: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The server's response, whatever it is."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no response: the consumer's word, and a sentence for people."""

    error: Literal["timeout", "network_error"]
    detail: str


@dataclass(frozen=True, slots=True)
class TimedResponse:
    """The outcome of one GET between two readings of this computer's clock.

    `sent` is read before the request leaves on an open connection, `received` after the whole response has
    arrived: so the server's stamp was taken between them.
    """

    outcome: Answer | Failure
    sent: Reading
    received: Reading

    @property
    def topside_set(self) -> bool:
        """Whether this computer's clock was set meanwhile."""
        return was_set(self.sent, self.received)


def parse_url(url: str) -> SyncUrl:
    """The address in `url`: a base (`http://host:9150`) or the endpoint itself; else InvalidUrlError."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidUrlError(url, str(error)) from error
    if parts.scheme not in {"http", "https"}:
        raise InvalidUrlError(url, "it must begin with http:// or https://")
    if not parts.hostname or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidUrlError(url, "no valid host")
    if parts.username is not None or parts.password is not None:
        raise InvalidUrlError(f"{parts.scheme}://…@{parts.hostname}", "it must hold no user or password")
    if parts.query or parts.fragment:
        raise InvalidUrlError(url, "it must end with the path")
    path = parts.path.rstrip("/")
    return SyncUrl(
        parts.scheme == "https", parts.hostname, port, path if path.endswith(PATH) else path + PATH
    )


def get(url: SyncUrl, clock: Clock, timeout_s: float = TIMEOUT_S) -> TimedResponse:
    """GET the time; returns within `timeout_s`, whatever the server or the name server does."""
    attempt = _Attempt(url, clock, timeout_s)
    return attempt.run(timeout_s)


Get = Callable[[SyncUrl, Clock, Callable[[TimedResponse], None]], None]
"""Begins a GET; the response goes to the last argument."""


def get_then(url: SyncUrl, clock: Clock, done: Callable[[TimedResponse], None]) -> None:
    """GET the time and pass the response to `done`, in this thread."""
    done(get(url, clock))


class _Attempt:
    """A GET in a thread of its own: no time-out of a socket bounds a name lookup or bytes that drip."""

    def __init__(self, url: SyncUrl, clock: Clock, timeout_s: float) -> None:
        kind = http.client.HTTPSConnection if url.secure else http.client.HTTPConnection
        self._connection = kind(url.host, url.port, timeout=timeout_s)
        self._path = url.path
        self._clock = clock
        self._sent = self._began = read(clock)
        self._response: TimedResponse | None = None
        self._done = threading.Event()

    def run(self, timeout_s: float) -> TimedResponse:
        threading.Thread(target=self._work, name="handshake", daemon=True).start()
        self._done.wait(timeout_s)
        response = self._response
        if response is not None:
            return response
        self._abort()
        return self._failed("timeout", f"no whole answer within {timeout_s:g} s")

    def _work(self) -> None:
        try:
            self._response = self._request()
        except TimeoutError:
            self._response = self._failed("timeout", "no answer in time")
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._response = self._failed("network_error", str(error) or type(error).__name__)
        finally:
            self._connection.close()
            self._done.set()

    def _request(self) -> TimedResponse:
        self._connection.connect()
        self._sent = read(self._clock)
        self._connection.request("GET", self._path, headers=_HEADERS)
        response = self._connection.getresponse()
        body = response.read(MAX_BODY_BYTES + 1)
        received = read(self._clock)
        if len(body) > MAX_BODY_BYTES:
            return self._failed("network_error", f"the answer is longer than {MAX_BODY_BYTES} bytes")
        if response.status in _REDIRECTS:
            where = response.headers.get("Location", "nowhere")
            return self._failed("network_error", f"it redirects to {where[:200]!r}, which is not followed")
        return TimedResponse(Answer(response.status, body), self._sent, received)

    def _failed(self, error: Literal["timeout", "network_error"], detail: str) -> TimedResponse:
        return TimedResponse(Failure(error, detail), self._sent, read(self._clock))

    def _abort(self) -> None:
        """Wake the thread from its reading."""
        tcp: socket | None = self._connection.sock
        if tcp is not None:
            with suppress(OSError):
                tcp.shutdown(2)
