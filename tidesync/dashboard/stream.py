"""Server-sent events: what has changed, at most four times a second, and a heartbeat each second.

Nothing is queued. The version that was sent last is kept of each client, so a slow one gets fewer, newer
messages, and one that takes none for ten seconds is disconnected.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from pydantic_core import to_json
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError

from tidesync.dashboard.presentation import session_view
from tidesync.dashboard.row_texts import NUMBERS, numbers_text, row_name, row_text
from tidesync.fleet.removals import RowKey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Receive, Scope, Send

    from runtime.clock import Reading
    from tidesync.dashboard.subscriber import Subscriber
    from tidesync.dashboard.views import AboutView
    from tidesync.fleet.model import Fleet

FLUSH_S = 0.25
HEARTBEAT_S = 1.0
MOST_CLIENTS = 64
MOST_ROWS = 2000
"""Whole rows in one message of a feed of deltas; the rest follows in the next ones."""
_SEND_TIMEOUT_S = 10.0
_JUST_NOW_S = 0.05
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

    def next(self) -> bytes | None:
        """The next message, JSON; None when nothing has changed and no heartbeat is due."""
        subscriber = self._subscriber
        with subscriber.lock:
            now, fleet = subscriber.now(), subscriber.fleet
            now_s = now.raw_ns / 1e9
            whole = self._begins(fleet)
            if self._is_quiet(fleet, whole=whole) and now_s - self._sent_s < HEARTBEAT_S:
                return None
            after = 0 if whole else self._version
            lists = self._lists(fleet, now, after)
            sessions = list(fleet.sessions(after))
            self._version, self._removals = fleet.version, fleet.removals.count
            head: dict[str, Any] = {"now_s": round(now_s, 3), "anew": whole, "not_shown": fleet.unshown}
            head |= self._position(after)
        broker = subscriber.broker_view()
        self._sent_s, self._connected = now_s, broker.connected
        head |= {"broker": broker.model_dump(), "computer": subscriber.computer_view().model_dump()}
        if whole:
            head["about"] = self._about.model_dump()
        lists["sessions"] = [to_json(session_view(entry.state, entry.age_s(now))) for entry in sessions]
        return _joined(head, lists)

    def _begins(self, fleet: Fleet) -> bool:
        """Whether the message has everything: it is the first, or something was removed."""
        return fleet.removals.count != self._removals

    def _is_quiet(self, fleet: Fleet, *, whole: bool) -> bool:
        return fleet.version == self._version and not whole and self._connected == self._subscriber.up

    def _lists(self, fleet: Fleet, now: Reading, after: int) -> dict[str, list[bytes]]:
        """The rows of the message, as JSON."""
        return {"vehicles": [row_text(row) for row in fleet.rows(now, after)]}

    def _position(self, after: int) -> dict[str, Any]:
        """What else the message says of itself."""
        del after
        return {}


class LastMessage:
    """The newest message of deltas, for other pages that go on from the same one at the same moment."""

    def __init__(self) -> None:
        self._message = b""
        self._between = (-1, -1)
        self._made_s = 0.0

    def get(self, after: int, version: int, now_s: float) -> bytes | None:
        """The one from version `after` to `version`, if it was made just now."""
        made_now = self._between == (after, version) and now_s - self._made_s < _JUST_NOW_S
        return self._message if made_now else None

    def keep(self, message: bytes, after: int, version: int, now_s: float) -> None:
        """Keep the `message` from version `after` to `version`."""
        self._message, self._between, self._made_s = message, (after, version), now_s


class DeltaFeed(Feed):
    """The same with numbers alone where no more of a row has changed; a large fleet comes in parts."""

    def __init__(self, subscriber: Subscriber, about: AboutView, last: LastMessage) -> None:
        super().__init__(subscriber, about)
        self._last = last
        self._waiting: dict[RowKey, None] = {}
        """Rows that the client has not, of which the next ones follow."""

    def next(self) -> bytes | None:
        """The next message, which pages that have the same share."""
        after, shares = self._version, self._removals is not None and not self._waiting
        if shares and (message := self._shared(after)):
            return message
        message = super().next()
        if message and shares and not self._waiting:
            self._last.keep(message, after, self._version, self._sent_s)
        return message

    def _shared(self, after: int) -> bytes | None:
        subscriber = self._subscriber
        now_s, version = subscriber.now().raw_ns / 1e9, subscriber.fleet.version
        if message := self._last.get(after, version, now_s):
            self._version, self._sent_s, self._connected = version, now_s, subscriber.up
        return message

    def _begins(self, fleet: Fleet) -> bool:
        return self._removals is None or fleet.removals.after(self._version) is None

    def _is_quiet(self, fleet: Fleet, *, whole: bool) -> bool:
        return super()._is_quiet(fleet, whole=whole) and not self._waiting

    def _lists(self, fleet: Fleet, now: Reading, after: int) -> dict[str, list[bytes]]:
        numbers, waiting = [], self._waiting
        removed = (fleet.removals.after(after) or []) if after else []
        if after == 0:
            waiting.clear()
        for key in removed:
            if isinstance(key, RowKey):
                waiting.pop(key, None)
        for vehicle, topside, known in fleet.changes(after):
            key = RowKey(vehicle, topside)
            if known is None:
                waiting[key] = None
            elif key not in waiting:
                numbers.append(numbers_text(key, known))
        due = [*islice(waiting, MOST_ROWS)]
        for key in due:
            del waiting[key]
        rows = [key for key in removed if isinstance(key, RowKey)]
        return {
            "removed": [to_json(row_name(key)) for key in rows],
            "sessions_removed": [to_json(name) for name in removed if not isinstance(name, RowKey)],
            "vehicles": [row_text(fleet.row(*key, now)) for key in due],
            "numbers": numbers,
        }

    def _position(self, after: int) -> dict[str, Any]:
        position = {"after": after, "version": self._version, "waiting": len(self._waiting)}
        return position | ({"numbers_of": NUMBERS} if after == 0 else {})


def _joined(head: dict[str, Any], lists: dict[str, list[bytes]]) -> bytes:
    parts = [to_json(head)[:-1]]
    parts += [b'"%b":[%b]' % (name.encode(), b",".join(texts)) for name, texts in lists.items()]
    return b",".join(parts) + b"}"


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


async def _messages(feed: Feed, counter: Counter) -> AsyncIterator[ServerSentEvent | bytes]:
    loop = asyncio.get_running_loop()
    counter.streams += 1
    try:
        yield ServerSentEvent(retry=_RETRY_MS, sep="\n")
        while True:
            if (message := feed.next()) is not None:
                yield b"data: %b\n\n" % message
            await asyncio.sleep(FLUSH_S - loop.time() % FLUSH_S)  # all pages at one moment
    finally:
        counter.streams -= 1
