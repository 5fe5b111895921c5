"""The OpenAPI documents of the HTTP services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from broker.clock import SystemClock
from pi_agent.health import Health
from pi_agent.http import TimeReply
from pi_agent.http_service import make_app
from tidesync.contract.descriptions import of_fields

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI
    from pydantic import BaseModel

Document = dict[str, Any]


def _vehicle() -> FastAPI:
    return make_app(SystemClock(), _Nobody())


_SERVICES: dict[str, Callable[[], FastAPI]] = {"vehicle.openapi.json": _vehicle}
"""By file name; each is made, but not run."""
_MODELS: tuple[type[BaseModel], ...] = (Health, TimeReply)


def documents() -> dict[str, Document]:
    """Every OpenAPI document, by file name."""
    return {name: _described(make().openapi()) for name, make in _SERVICES.items()}


def _described(document: Document) -> Document:
    """With the version of the interface, not of the software, and what the docstrings below fields say."""
    document["info"]["version"] = "1.0.0"
    schemas = document.get("components", {}).get("schemas", {})
    for model in _MODELS:
        properties = schemas.get(model.__name__, {}).get("properties", {})
        for name, text in of_fields(model).items():
            if name in properties:
                properties[name]["description"] = text
    return document


class _Nobody:
    def health(self) -> Health:
        raise NotImplementedError  # the document is made without asking
