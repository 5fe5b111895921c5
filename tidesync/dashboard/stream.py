"""Server-sent events: what has changed, at most four times a second, and a heartbeat each second.

Nothing is queued. The version that was sent last is kept of each client, so a slow one gets fewer, newer
messages, and one that takes none for ten seconds is disconnected.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError

from tidesync.dashboard.presentation import session_view
from tidesync.dashboard.row_texts import NUMBERS, row_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Receive, Scope, Send

    from runtime.clock import Reading
    from tidesync.dashboard.row_texts import NumberTexts
    from tidesync.dashboard.subscriber import Subscriber
    from tidesync.dashboard.views import AboutView
    from tidesync.fleet.model import Fleet

FLUSH_S = 0.25
HEARTBEAT_S = 1.0
MOST_CLIENTS = 64
MOST_ROWS = 2000
"""Whole rows in one message of a feed of deltas; the rest follows in the next ones."""
_SEND_TIMEOUT_S = 10.0
_RETRY_MS = 1000
_HEADERS = {"cache-control": "no-store, no-transform", "x-accel-buffering": "no"}


class Feed:
    """The messages of one client: first everything, then whole rows that have changed since the last one."""

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
            if self._is_quiet(fleet, whole=whole) and now_s - self._sent_s < HEARTBEAT_S:
                return None
            after = 0 if whole else self._version
            lists = self._lists(fleet, now, after)
            sessions = list(fleet.sessions(after))
            self._version, self._removals = fleet.version, fleet.removals
            head: dict[str, Any] = {"now_s": round(now_s, 3), "anew": whole, "not_shown": fleet.unshown}
            head |= self._position(after)
        broker = subscriber.broker_view()
        self._sent_s, self._connected = now_s, broker.connected
        head |= {"broker": broker.model_dump(), "computer": subscriber.computer_view().model_dump()}
        if whole:
            head["about"] = self._about.model_dump()
        lists["sessions"] = [
            session_view(entry.state, entry.age_s(now)).model_dump_json() for entry in sessions
        ]
        return _joined(head, lists)

    def _is_quiet(self, fleet: Fleet, *, whole: bool) -> bool:
        return fleet.version == self._version and not whole and self._connected == self._subscriber.up

    def _lists(self, fleet: Fleet, now: Reading, after: int) -> dict[str, list[str]]:
        """The rows of the message, as JSON."""
        return {"vehicles": [row_text(row) for row in fleet.rows(now, after)]}

    def _position(self, after: int) -> dict[str, Any]:
        """What else the message says of itself."""
        del after
        return {}


class DeltaFeed(Feed):
    """The same with numbers alone where no more of a row has changed; a large fleet comes in parts."""

    def __init__(self, subscriber: Subscriber, about: AboutView, texts: NumberTexts) -> None:
        super().__init__(subscriber, about)
        self._texts = texts
        self._waiting: dict[tuple[str, str | None], None] = {}
        """Rows that the client has not, of which the next ones follow."""

    def _is_quiet(self, fleet: Fleet, *, whole: bool) -> bool:
        return super()._is_quiet(fleet, whole=whole) and not self._waiting

    def _lists(self, fleet: Fleet, now: Reading, after: int) -> dict[str, list[str]]:
        self._texts.begin(fleet.removals)
        if after == 0:
            self._waiting.clear()
        numbers, waiting = [], self._waiting
        for vehicle, topside, known in fleet.changes(after):
            key = (vehicle, topside)
            if known is None:
                waiting[key] = None
            elif key not in waiting:
                numbers.append(self._texts.of(vehicle, topside, known))
        due = [*islice(waiting, MOST_ROWS)]
        for key in due:
            del waiting[key]
        return {"vehicles": [row_text(fleet.row(*key, now)) for key in due], "numbers": numbers}

    def _position(self, after: int) -> dict[str, Any]:
        position = {"after": after, "version": self._version, "waiting": len(self._waiting)}
        return position | ({"numbers_of": NUMBERS} if after == 0 else {})


def _joined(head: dict[str, Any], lists: dict[str, list[str]]) -> str:
    parts = [json.dumps(head, separators=(",", ":"))[:-1]]
    parts += [f'"{name}":[{",".join(texts)}]' for name, texts in lists.items()]
    return ",".join(parts) + "}"


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
