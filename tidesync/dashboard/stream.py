"""Server-sent events: what has changed, at most four times a second, and a heartbeat each second.

Nothing is queued. The version that was sent last is kept of each client, so a slow one gets fewer, newer
messages, and one that takes none for ten seconds is disconnected.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError

from tidesync.dashboard.presentation import session_view, vehicle_view

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Receive, Scope, Send

    from tidesync.dashboard.subscriber import Subscriber
    from tidesync.dashboard.views import AboutView

FLUSH_S = 0.25
HEARTBEAT_S = 1.0
MOST_CLIENTS = 64
_SEND_TIMEOUT_S = 10.0
_RETRY_MS = 1000
_HEADERS = {"cache-control": "no-store, no-transform", "x-accel-buffering": "no"}


class Feed:
    """The messages of one client: first everything, then what has changed since the last one."""

    def __init__(self, subscriber: Subscriber, about: AboutView) -> None:
        self._subscriber = subscriber
        self._about = about
        self._version = 0
        self._removals: int | None = None
        self._sent_s = 0.0
        self._connected: bool | None = None

    def next(self) -> str | None:
        """The next message; None when nothing has changed and no heartbeat is due."""
        subscriber = self._subscriber
        with subscriber.lock:
            now, fleet = subscriber.now(), subscriber.fleet
            now_s = now.raw_ns / 1e9
            whole = fleet.removals != self._removals
            quiet = fleet.version == self._version and not whole and self._connected == subscriber.up
            if quiet and now_s - self._sent_s < HEARTBEAT_S:
                return None
            after = 0 if whole else self._version
            rows, sessions = fleet.rows(now, after), list(fleet.sessions(after))
            self._version, self._removals = fleet.version, fleet.removals
            not_shown = fleet.unshown
        broker = subscriber.broker_view()
        self._sent_s, self._connected = now_s, broker.connected
        message: dict[str, Any] = {
            "now_s": round(now_s, 3),
            "anew": whole,
            "broker": broker.model_dump(),
            "computer": subscriber.computer_view().model_dump(),
            "vehicles": [vehicle_view(row).model_dump(mode="json") for row in rows],
            "not_shown": not_shown,
            "sessions": [
                session_view(entry.state, entry.age_s(now)).model_dump(mode="json") for entry in sessions
            ],
        }
        if whole:
            message["about"] = self._about.model_dump()
        return json.dumps(message, separators=(",", ":"))


class Counter(Protocol):
    """Counts the open streams."""

    streams: int


class EventStream(EventSourceResponse):
    """Sends a feed until the client disconnects, or takes nothing for ten seconds."""

    def __init__(self, feed: Feed, counter: Counter) -> None:
        messages = _messages(feed, counter)
        super().__init__(messages, headers=_HEADERS, sep="\n", ping=0, send_timeout=_SEND_TIMEOUT_S)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send; a client that takes nothing is no error of the server's."""
        with suppress(SendTimeoutError):  # the server closes the connection
            await super().__call__(scope, receive, send)


async def _messages(feed: Feed, counter: Counter) -> AsyncIterator[ServerSentEvent]:
    counter.streams += 1
    try:
        yield ServerSentEvent(retry=_RETRY_MS, sep="\n")
        while True:
            if (message := feed.next()) is not None:
                yield ServerSentEvent(message, sep="\n")
            await asyncio.sleep(FLUSH_S)
    finally:
        counter.streams -= 1
