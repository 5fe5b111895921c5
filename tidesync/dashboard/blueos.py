"""The dashboard as an extension of BlueOS: who it is, and the widget that it offers to Cockpit.

Cockpit asks BlueOS for its services, and each that names `extras.cockpit` for that file below its path
(`getExtrasJsonFromBlueOsService` and `getWidgetsFromBlueOS` in bluerobotics/cockpit, src/libs/blueos.ts).
What it takes is `ExtrasJsonSchema` in src/libs/blueos/schemas.ts; keys are turned into camel case first.
The path of the widget is given whole, because `useExtensionPathAsBaseUrl` is only known to Cockpit 1.18 and
later, and the icon as its data, because a desktop Cockpit has no address that a path could be relative to.
"""

from __future__ import annotations

import base64
from functools import cache
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from runtime.version import VERSION
from schemas.service import ServiceMetadata
from tidesync.dashboard.assets import FOLDER

EXTRAS_PATH = "/cockpit_extras.json"
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

router = APIRouter(tags=["blueos"])


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class CockpitWidget(_Shape):
    """A page that Cockpit shows in a frame."""

    name: str
    iframe_url: str
    """Below the vehicle's address."""
    iframe_icon: str
    collapsible_container_name: str | None = None
    """Title of the container that it can be folded into."""
    start_collapsed: bool = False
    version: str


class CockpitExtras(_Shape):
    """What an extension offers to Cockpit."""

    target_system: Literal["Cockpit"] = "Cockpit"
    target_cockpit_api_version: str = "1.0.0"
    widgets: tuple[CockpitWidget, ...]
    actions: tuple[()] = ()
    """None: who may look through Cockpit may not command through it."""


@router.get("/register_service", include_in_schema=False)
async def register_service() -> ServiceMetadata:
    """Who this is."""
    return METADATA


@router.get(EXTRAS_PATH)
async def cockpit_extras(response: Response) -> CockpitExtras:
    """What Cockpit may offer to its user: this page as a widget. Needs no token, and any site may read it."""
    response.headers["access-control-allow-origin"] = "*"
    response.headers["cross-origin-resource-policy"] = "cross-origin"
    widget = CockpitWidget(
        name="Tidesync",
        iframe_url=f"{METADATA.extension_path}/",
        iframe_icon=_icon(),
        collapsible_container_name="Tidesync",
        version=VERSION,
    )
    return CockpitExtras(widgets=(widget,))


@cache
def _icon() -> str:
    data = base64.b64encode((FOLDER / "icon.svg").read_bytes()).decode()
    return f"data:image/svg+xml;base64,{data}"
