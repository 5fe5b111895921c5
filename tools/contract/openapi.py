"""The OpenAPI documents of the HTTP services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pi_agent.health import Health
from pi_agent.http import TimeReply
from pi_agent.http_service import make_app as make_vehicle
from runtime.clock import SystemClock
from schemas.messages import OffsetResult
from tidesync.dashboard.app import make_app as make_dashboard
from tidesync.dashboard.settings import DashboardSettings
from tidesync.dashboard.subscriber import Subscriber
from tools.contract.descriptions import of_fields
from tools.contract.named_parts import name_parts

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI
    from pydantic import BaseModel

Document = dict[str, Any]


def _vehicle() -> FastAPI:
    return make_vehicle(SystemClock(), _NoAgent())


def _dashboard() -> FastAPI:
    settings = DashboardSettings()
    return make_dashboard(Subscriber(settings, SystemClock()), settings)


_SERVICES: dict[str, Callable[[], FastAPI]] = {
    "vehicle.openapi.json": _vehicle,
    "dashboard.openapi.json": _dashboard,
}
"""By file name; each app is made, but not run."""
_MODELS: tuple[type[BaseModel], ...] = (Health, TimeReply)
"""Models whose fields are described by the docstrings below them."""
_UNITS = ("_ns", "_ms", "_ppm", "_s")


def documents() -> dict[str, Document]:
    """Every OpenAPI document, by file name."""
    return {name: _described(make().openapi()) for name, make in _SERVICES.items()}


def _described(document: Document) -> Document:
    """Add the version of the interface, not of the software, and descriptions from docstrings."""
    document["info"]["version"] = "1.0.0"
    described = {model.__name__: of_fields(model) for model in _MODELS}
    of_result = {key: text for key, text in of_fields(OffsetResult).items() if key.endswith(_UNITS)}
    for name, schema in document["components"]["schemas"].items():
        for key, field in schema.get("properties", {}).items():
            text = described.get(name, of_result).get(key)  # keys mean the same as in the result
            if text:
                field.setdefault("description", text)
    schemas = document["components"]["schemas"]
    name_parts(schemas, "#/components/schemas/")
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    return document


class _NoAgent:
    def health(self) -> Health:
        raise NotImplementedError  # the document is made without asking
