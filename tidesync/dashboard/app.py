"""The dashboard's FastAPI app; other routers can be added to it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match, Mount

from runtime import api_page
from runtime.metrics import agent_families
from runtime.version import VERSION
from runtime.web_server import metrics_router
from schemas.base import expectation
from tidesync.dashboard import api, assets, cockpit
from tidesync.dashboard.access import AccessMiddleware, AccessPolicy, problem
from tidesync.dashboard.api import Served
from tidesync.dashboard.commands import CommandService, NotDoneError
from tidesync.dashboard.host_names import HostNames
from tidesync.dashboard.products import routes
from tidesync.dashboard.products.jobs import ProductJobs
from tidesync.dashboard.views import AboutView, Problem, ProblemView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastapi import APIRouter
    from starlette.responses import Response

    from tidesync.dashboard.settings import DashboardSettings
    from tidesync.dashboard.subscriber import Subscriber

_ABOUT = """How far each vehicle's clock is from the surface computer's, live, and the recording of sessions.

Offsets are Pi − topside in ms, positive when the Pi is ahead. Absent is null, never 0. A POST is JSON, with
`Content-Type: application/json`, even where no value is needed (`{}`). Where a token is set, send
`Authorization: Bearer …`.
"""
_INVALID, _UNREADABLE, _NOT_ALLOWED = 422, 400, 405
_WORDS: dict[int, Problem] = {404: "not_found", _NOT_ALLOWED: "method_not_allowed"}


def make_app(
    subscriber: Subscriber,
    settings: DashboardSettings,
    token: str | None = None,
    routers: Sequence[APIRouter] = (),
) -> FastAPI:
    """The app. `routers` are served beside ours, under the same policy; `api.served` gives them the fleet."""
    app = FastAPI(
        title="Tidesync dashboard",
        version=VERSION,
        description=_ABOUT,
        docs_url=None,  # its scripts would come from a CDN; `runtime.api_page` has none
        redoc_url=None,
        redirect_slashes=False,  # a redirect would not know the prefix that a proxy serves us under
        responses=api.PROBLEMS,
    )
    policy = AccessPolicy(token, HostNames(settings.allowed_host))
    about = AboutView(
        version=VERSION,
        instance=secrets.token_hex(8),
        may_command=settings.may_command,
        fresh_s=settings.fresh_s,
        products=settings.root is not None and settings.may_command,
    )
    products = None if settings.root is None else ProductJobs(settings.root)
    commands = CommandService(subscriber, settings.may_command)
    app.state.served = Served(subscriber, commands, policy, about, products)
    metrics = metrics_router(lambda: agent_families(subscriber.counts()))
    for router in (
        api.router,
        routes.router,
        cockpit.router,
        cockpit.metadata_router,
        assets.router,
        metrics,
        api_page.router,
        *routers,
    ):
        app.include_router(router)
    app.mount("/page", assets.PageFiles())
    app.add_exception_handler(NotDoneError, _not_done)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_middleware(AccessMiddleware, policy=policy, frame_ancestors=settings.frame_ancestor)
    return app


async def _not_done(_request: Request, error: Exception) -> Response:
    assert isinstance(error, NotDoneError)
    return problem(error.status, error.view)


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problem(422, ProblemView(error="invalid", detail=_first_fault(error.errors()[0])))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = _INVALID if error.status_code == _UNREADABLE else error.status_code
    headers = {"allow": ", ".join(_allowed(request))} if status == _NOT_ALLOWED else None
    view = ProblemView(error=_WORDS.get(status, "invalid"), detail=str(error.detail))
    return problem(status, view, headers)


def _allowed(request: Request) -> list[str]:
    """The methods that some route takes at the request's path; the page's files are only read."""
    routes = [route for route in request.app.routes if not isinstance(route, Mount)]
    scopes = {method: dict(request.scope) | {"method": method} for method in ("GET", "POST")}
    taken = {
        method
        for method, scope in scopes.items()
        if any(route.matches(scope)[0] is Match.FULL for route in routes)
    }
    return sorted({*taken, "GET", "HEAD"} if "GET" in taken or not taken else taken)


def _first_fault(fault: dict[str, Any]) -> str:
    where = ".".join(str(part) for part in fault["loc"] if part not in {"body", "path", "query"})
    received = repr(fault.get("input"))
    shown = received if len(received) <= 80 else received[:77] + "…"  # noqa: PLR2004 - a sentence, not a dump
    return f"{where + ': ' if where else ''}{expectation(fault['msg'])}, received {shown}"
