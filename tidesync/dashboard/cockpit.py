"""What BlueOS and Cockpit ask of the dashboard: its metadata, the widget, and the WebSocket with the values.

BlueOS lists services by `/register_service`. Cockpit asks BlueOS for them, and each that names
`extras.cockpit` for that file below its path (`getExtrasJsonFromBlueOsService` and `getWidgetsFromBlueOS` in
bluerobotics/cockpit, src/libs/blueos.ts; `ExtrasJsonSchema` in src/libs/blueos/schemas.ts). Its versions
read that file in three ways: the oldest, and forks of it, take keys in snake case and prepend the service's
address to frame and icon; later ones turn all keys into camel case, where of two equal ones the last
remains; those since 1.18 read camel case alone. So each value is there twice, in camel case last: there the
widget's path is whole, because `useExtensionPathAsBaseUrl` is only known to the newest, and the icon is data,
because a desktop Cockpit has no address to resolve a path with.

Cockpit reconnects the WebSocket two seconds after it was closed (`scheduleReconnect` in
src/libs/generic-websocket.ts) and does not know what it missed, so each connection begins with every value.
"""

from __future__ import annotations

import asyncio
import base64
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Annotated, Literal, cast

from fastapi import APIRouter, Query, Response, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, ConfigDict, Field

from runtime.version import VERSION
from schemas.names import Topside
from schemas.service import ServiceMetadata
from tidesync.dashboard.access import COCKPIT_PATH
from tidesync.dashboard.api import Here
from tidesync.dashboard.assets import FOLDER
from tidesync.dashboard.cockpit_lines import CONNECTED, ChangedLines, values
from tidesync.dashboard.presentation import vehicle_view
from tidesync.dashboard.views import CockpitView

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidesync.dashboard.api import Served

EXTRAS_PATH = "/cockpit_extras.json"
_ICON_PATH = "/page/icon.svg"
POLL_S = 0.25
MOST_SOCKETS = 8
_SEND_TIMEOUT_S = 10.0
_POLICY, _TRY_LATER = 1008, 1013
METADATA = ServiceMetadata(
    name="Tidesync dashboard",
    description="Shows whether the timing of each vehicle can be trusted.",
    icon="mdi-clock-check-outline",
    company="The Tidesync developers",
    version=VERSION,
    webpage="",
    api="/openapi.json",
    new_page=False,
    works_in_relative_paths=True,
    extras={"cockpit": EXTRAS_PATH},
)

metadata_router = APIRouter(tags=["blueos"])
router = APIRouter()


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class CockpitWidget(_Strict):
    """A page that Cockpit shows in a frame."""

    name: str
    version: str
    iframe_url: str
    """Below the service's address."""
    iframe_icon: str
    collapsible_container_name: str
    """Title of the container that it can be folded into."""
    start_collapsed: bool = False
    url_of_vehicle: str = Field(serialization_alias="iframeUrl")
    """Below the vehicle's address."""
    icon_data: str = Field(serialization_alias="iframeIcon")
    container: str = Field(serialization_alias="collapsibleContainerName")
    collapsed: bool = Field(default=False, serialization_alias="startCollapsed")


class CockpitExtras(_Strict):
    """What an extension offers to Cockpit."""

    target_system: Literal["Cockpit"] = "Cockpit"
    target_cockpit_api_version: str = "1.0.0"
    system: Literal["Cockpit"] = Field(default="Cockpit", serialization_alias="targetSystem")
    api_version: str = Field(default="1.0.0", serialization_alias="targetCockpitApiVersion")
    widgets: tuple[CockpitWidget, ...]
    actions: tuple[()] = ()
    """None: a viewer in Cockpit may not command through it."""


@metadata_router.get("/register_service", include_in_schema=False)
async def register_service() -> ServiceMetadata:
    """The service's metadata."""
    return METADATA


@metadata_router.get(EXTRAS_PATH)
async def cockpit_extras(response: Response) -> CockpitExtras:
    """What Cockpit may offer to its user: this page as a widget. Needs no token, and any site may read it."""
    response.headers["access-control-allow-origin"] = "*"
    response.headers["cross-origin-resource-policy"] = "cross-origin"
    widget = CockpitWidget(
        name="Tidesync",
        version=VERSION,
        iframe_url="/",
        iframe_icon=_ICON_PATH,
        collapsible_container_name="Tidesync",
        url_of_vehicle=f"{METADATA.extension_path}/",
        icon_data=_icon(),
        container="Tidesync",
    )
    return CockpitExtras(widgets=(widget,))


@router.get("/api/cockpit", tags=["cockpit"])
async def cockpit(here: Here) -> CockpitView:
    """Where to point Cockpit's *Generic WebSocket connections*.

    Each message is one variable, as `tidesync-rov1-offset-ms=-150.3`. Its token, where there is one, opens
    that and nothing else.
    """
    token = here.policy.reading_token()
    return CockpitView(websocket=COCKPIT_PATH[1:] + (f"?token={token}" if token else ""))


@router.websocket(COCKPIT_PATH)
async def lines(
    socket: WebSocket,
    topside: Annotated[Topside | None, Query(description="Only what this topside measures")] = None,
) -> None:
    """One `name=value` a message. A client that sends anything, or takes nothing, is disconnected."""
    served = cast("Served", socket.app.state.served)
    await socket.accept()
    if served.sockets >= MOST_SOCKETS:
        await socket.close(_TRY_LATER, f"{MOST_SOCKETS} clients are served already")
        return
    served.sockets += 1
    sending = asyncio.create_task(_send(socket, served, topside))
    receiving = asyncio.create_task(socket.receive())
    try:
        await asyncio.wait({sending, receiving}, return_when=asyncio.FIRST_COMPLETED)
        if receiving.done() and receiving.result()["type"] == "websocket.receive":
            await socket.close(_POLICY, "this WebSocket only sends")
        elif sending.done():
            with suppress(WebSocketDisconnect, asyncio.TimeoutError):
                sending.result()
    finally:
        for task in (sending, receiving):
            task.cancel()
        await asyncio.gather(sending, receiving, return_exceptions=True)
        served.sockets -= 1
        served.shown_connected.discard(socket)


async def _send(socket: WebSocket, served: Served, topside: str | None) -> None:
    changed = ChangedLines()
    while True:
        await asyncio.wait_for(_send_each(socket, _due(changed, served, topside)), _SEND_TIMEOUT_S)
        shown = changed.sent.get(CONNECTED) == "true"
        (served.shown_connected.add if shown else served.shown_connected.discard)(socket)
        await asyncio.sleep(POLL_S)


async def _send_each(socket: WebSocket, lines: Iterable[str]) -> None:
    for line in lines:
        await socket.send_text(line)


def _due(changed: ChangedLines, served: Served, topside: str | None) -> Iterable[str]:
    subscriber = served.subscriber
    now = subscriber.now()
    with subscriber.lock:
        rows = [vehicle_view(row) for row in subscriber.fleet.rows(now)]
    current = values(
        rows, connected=subscriber.up, unix_s=now.realtime_ns / 1e9, topside=topside, before=changed.sent
    )
    return changed.due(current, now.raw_ns / 1e9)


@cache
def _icon() -> str:
    data = base64.b64encode((FOLDER / "icon.svg").read_bytes()).decode()
    return f"data:image/svg+xml;base64,{data}"
