"""`GET /metrics` for a FastAPI app: `app.include_router(metrics_router(collect))`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response

from runtime.exposition import exposition, make_registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from runtime.metrics import Family


_TEXT: dict[str, Any] = {
    "description": "Prometheus' text format",
    "content": {"text/plain": {"schema": {"type": "string"}}},
}


def metrics_router(collect: Callable[[], Iterable[Family]]) -> APIRouter:
    """A router that tells Prometheus what `collect` gives at each scrape."""
    router = APIRouter(tags=["metrics"])
    registry = make_registry(collect)

    @router.get("/metrics", response_class=Response, responses={200: _TEXT})
    async def metrics(request: Request) -> Response:
        """What this agent counts, for Prometheus."""
        text, media_type = exposition(registry, request.headers.get("accept"))
        return Response(text, media_type=media_type)

    return router
