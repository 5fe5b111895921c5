"""Server-sent events: what has changed, at most four times a second, and a heartbeat each second.

Nothing is queued. Each client remembers the version that it was sent last, so a slow one gets fewer, newer
messages, and one that takes none for a while is let go.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Protocol

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from tidesync.dashboard.subscriber import Subscriber
    from tidesync.dashboard.views import AboutView

FLUSH_S = 0.25
BEAT_S = 1.0
_STUCK_S = 10.0
MOST_CLIENTS = 64


class Feed:
    """What one client has been told, and what it is to be told next."""

    def __init__(self, subscriber: Subscriber, about: AboutView) -> None:
        self._subscriber = subscriber
        self._about = about
        self._version = 0
        self._removals: int | None = None
        self._told_s = 0.0
        self._connected: bool | None = None

    def next(self) -> bytes | None:
        """The next message; None when there is nothing new and no heartbeat is due."""
        subscriber = self._subscriber
        with subscriber.lock:
            now_raw_ns, fleet = subscriber.now().raw_ns, subscriber.fleet
            now_s = now_raw_ns / 1e9
            anew = fleet.removals != self._removals
            quiet = fleet.version == self._version and not anew and self._connected == subscriber.up
            if quiet and now_s - self._told_s < BEAT_S:
                return None
            after = 0 if anew else self._version
            rows = list(fleet.rows(now_raw_ns, after))
            sessions = list(fleet.sessions(now_raw_ns, after))
            self._version, self._removals = fleet.version, fleet.removals
        broker = subscriber.broker_view()
        self._told_s, self._connected = now_s, broker.connected
        news: dict[str, Any] = {
            "now_s": round(now_s, 3),
            "anew": anew,
            "broker": broker.model_dump(),
            "vehicles": [row.model_dump(mode="json") for row in rows],
            "sessions": [session.model_dump(mode="json") for session in sessions],
        }
        if anew:
            news["about"] = self._about.model_dump()
        return b"data: " + json.dumps(news, separators=(",", ":")).encode() + b"\n\n"


class Counter(Protocol):
    """Who counts the streams that are open."""

    streams: int


class EventStream(Response):
    """Sends a feed until the client goes, or has taken nothing for ten seconds."""

    media_type = "text/event-stream"

    def __init__(self, feed: Feed, counter: Counter) -> None:
        super().__init__(headers={"cache-control": "no-store, no-transform", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._feed = feed
        self._counter = counter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send, and watch for the client's leaving."""
        self._counter.streams += 1
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(_until_gone(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
            self._counter.streams -= 1

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await self._write(send, b"retry: 1000\n\n")
        while True:
            if (message := self._feed.next()) is not None:
                await self._write(send, message)
            await asyncio.sleep(FLUSH_S)

    async def _write(self, send: Send, body: bytes) -> None:
        async with asyncio.timeout(_STUCK_S):
            await send({"type": "http.response.body", "body": body, "more_body": True})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
