"""What BlueOS asks an extension's web service: who it is, for its menu and its list of services.

BlueOS: docs "Development › Extensions › Web Interface (HTTP Server)", and `ServiceMetadata` of its Helper
(core/services/helper/main.py), which asks each port for `/` and then for this, with a second's patience.
"""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from broker.version import VERSION

router = APIRouter(tags=["blueos"])


class ServiceMetadata(BaseModel):
    """BlueOS's own keys; all but the last two are required."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    description: str
    icon: str
    """A name from Material Design Icons."""
    company: str
    version: str
    webpage: str
    api: str
    new_page: bool
    works_in_relative_paths: bool
    """BlueOS may show the page below `/extensionv2/tidesync/`."""


@router.get("/register_service", include_in_schema=False)
async def register_service() -> ServiceMetadata:
    """Who this is."""
    return ServiceMetadata(
        name="Tidesync",
        description="Measures how far this vehicle's clock is from the surface computer's.",
        icon="mdi-clock-check-outline",
        company="The Tidesync developers",
        version=VERSION,
        webpage="",
        api="/openapi.json",
        new_page=False,
        works_in_relative_paths=True,
    )
