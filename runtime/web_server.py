"""What the agents that serve HTTP share. Needs FastAPI and uvicorn, which their extras install."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Any

import uvicorn
from fastapi import APIRouter, Request, Response
from starlette.datastructures import MutableHeaders

from runtime.listener import BACKLOG, Listener
from runtime.memory import note
from runtime.metrics import exposition, make_registry
from runtime.request_rate import RequestRate

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from fastapi import FastAPI
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from runtime.metrics import Families
    from runtime.watchdog import Loop

_LOOP = "asyncio:SelectorEventLoop" if sys.platform == "win32" else "asyncio"
"""Windows' usual loop accepts by itself, past the limits of `runtime.listener`. Needs uvicorn 0.36 there."""
_MOST_HEADER_BYTES = 16 * 1024
_METHOD_NOT_ALLOWED = 405
_TEXT: dict[str, Any] = {
    "description": "Prometheus' text format",
    "content": {"text/plain": {"schema": {"type": "string"}}},
}


class WatchedServer(uvicorn.Server):
    """A server whose event loop the watchdog sees: it counts ten iterations a second."""

    def __init__(self, config: uvicorn.Config, loop: Loop) -> None:
        super().__init__(config)
        self._loop = loop
        self._listeners: list[Listener] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept on `sockets`."""
        self._listeners = [each for each in sockets or () if isinstance(each, Listener)]
        await super().startup(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Called by `main_loop`; whether to end."""
        self._loop.iterations += 1
        for listener in self._listeners:
            listener.end_idle()
        return await super().on_tick(counter)


class WithHead:
    """Around an app: HEAD is answered as GET is, without the body, and `Allow` names it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope.get("method") != "HEAD":
            await self._app(scope, receive, _naming_head(send))
            return
        begun = asyncio.Event()

        async def received() -> Message:
            """The request, and then that the client wants no more: a stream ends."""
            if not begun.is_set():
                return await receive()
            return {"type": "http.disconnect"}

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                begun.set()
                await send(message)
                await send({"type": "http.response.body", "body": b""})

        await self._app({**scope, "method": "GET"}, received, sent)


def _naming_head(send: Send) -> Send:
    """`send` that adds HEAD to an `Allow` that has GET."""

    async def named(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == _METHOD_NOT_ALLOWED:
            headers = MutableHeaders(scope=message)
            methods = {word.strip() for word in headers.get("allow", "").split(",")}
            if "GET" in methods:
                headers["allow"] = ", ".join(sorted({*methods, "HEAD"}))
        await send(message)

    return named


class Guarded:
    """Around an app: its requests are limited by `RequestRate`, and those that find no memory are counted."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._rate = RequestRate()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on when it is its turn; 429 when too many wait before it."""
        client: Any = scope.get("client")
        wait_s = self._rate.wait_s(client[0], time.monotonic()) if client else 0.0
        if wait_s is None:
            await _refuse(scope, send)
            return
        if wait_s:
            await asyncio.sleep(wait_s)
        try:
            await self._app(scope, receive, send)
        except MemoryError:
            note("http", "a request")
            raise


async def _refuse(scope: Scope, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1013, "reason": "too many requests"})
        return
    headers = [(b"content-length", b"0"), (b"connection", b"close"), (b"retry-after", b"5")]
    await send({"type": "http.response.start", "status": 429, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def make_server(app: FastAPI, loop: Loop, **options: Any) -> WatchedServer:
    """A server for `app`; `run(sockets=[…])` it in a thread, set `should_exit` to end it.

    How many connections it serves, and how long one may be idle, the sockets decide (`runtime.listener`); how
    many requests of one address it answers a second, `runtime.request_rate`.
    `options` are uvicorn's, in addition to those that all our servers have.
    """
    config = uvicorn.Config(
        Guarded(WithHead(app)),
        loop=_LOOP,
        http="h11",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=15,
        backlog=BACKLOG,
        h11_max_incomplete_event_size=_MOST_HEADER_BYTES,
        timeout_graceful_shutdown=1,
        **options,
    )
    return WatchedServer(config, loop)


def metrics_router(collect: Callable[[], Families]) -> APIRouter:
    """`GET /metrics` for a FastAPI app; `collect` is called at each scrape."""
    router = APIRouter(tags=["metrics"])
    registry = make_registry(collect)

    @router.get("/metrics", response_class=Response, responses={200: _TEXT})
    async def metrics(request: Request) -> Response:
        """What this agent counts, for Prometheus."""
        text, media_type = exposition(registry, request.headers.get("accept"))
        return Response(text, media_type=media_type)

    return router
