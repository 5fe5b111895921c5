"""The WebSocket that feeds Cockpit's data lake: it only tells, queues nothing, lets go of who is too slow.

Cockpit opens it again two seconds after it was closed (`scheduleReconnect` in src/libs/generic-websocket.ts
of bluerobotics/cockpit), and knows nothing of what it missed: so each connection is told everything first.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import APIRouter, Query, WebSocket, WebSocketDisconnect

from schemas.names import Topside
from tidesync.dashboard.access import TELLING
from tidesync.dashboard.api import Here
from tidesync.dashboard.cockpit_lines import Telling, values
from tidesync.dashboard.views import CockpitView

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidesync.dashboard.api import Served

LOOK_S = 0.25
MOST_SOCKETS = 8
_STUCK_S = 10.0
_POLICY, _TRY_LATER = 1008, 1013

router = APIRouter()


@router.get("/api/cockpit", tags=["cockpit"])
async def cockpit(here: Here) -> CockpitView:
    """Where to point Cockpit's *Generic WebSocket connections*.

    It tells a variable in each message, as `tidesync-rov1-offset-ms=-150.3`. Its token, where there is one,
    opens that and nothing else.
    """
    token = here.gate.reading_token()
    return CockpitView(websocket=TELLING[1:] + (f"?token={token}" if token else ""))


@router.websocket(TELLING)
async def lines(
    socket: WebSocket,
    topside: Annotated[Topside | None, Query(description="Only what this topside measures")] = None,
) -> None:
    """One `name=value` a message."""
    served = cast("Served", socket.app.state.served)
    await socket.accept()
    if served.sockets >= MOST_SOCKETS:
        await socket.close(_TRY_LATER, f"{MOST_SOCKETS} are being served already")
        return
    served.sockets += 1
    telling = asyncio.create_task(_tell(socket, served, topside))
    hearing = asyncio.create_task(socket.receive())
    try:
        await asyncio.wait({telling, hearing}, return_when=asyncio.FIRST_COMPLETED)
        if hearing.done() and hearing.result()["type"] == "websocket.receive":
            await socket.close(_POLICY, "this only tells")
        elif telling.done():
            with suppress(WebSocketDisconnect, TimeoutError):
                telling.result()
    finally:
        for task in (telling, hearing):
            task.cancel()
        await asyncio.gather(telling, hearing, return_exceptions=True)
        served.sockets -= 1


async def _tell(socket: WebSocket, served: Served, topside: str | None) -> None:
    telling = Telling()
    while True:
        async with asyncio.timeout(_STUCK_S):
            for line in _news(telling, served, topside):
                await socket.send_text(line)
        await asyncio.sleep(LOOK_S)


def _news(telling: Telling, served: Served, topside: str | None) -> Iterable[str]:
    subscriber = served.subscriber
    now = subscriber.now()
    with subscriber.lock:
        rows = list(subscriber.fleet.rows(now.raw_ns))
    current = values(rows, connected=subscriber.up, unix_s=now.realtime_ns / 1e9, topside=topside)
    return telling.news(current, now.raw_ns / 1e9)
