"""Who the vehicle's agent is, for BlueOS's menu and its list of services."""

from __future__ import annotations

from fastapi import APIRouter

from runtime.version import VERSION
from schemas.service import ServiceMetadata

router = APIRouter(tags=["blueos"])


@router.get("/register_service", include_in_schema=False, response_model_exclude_defaults=True)
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
