"""The agent's own small web service: the time, a page that says so, and how the agent is doing."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import HTMLResponse

from pi_agent import blueos
from pi_agent.health import Health, HealthSource
from pi_agent.http import router, served_clock
from pi_agent.metrics import pi_families
from pi_agent.page import page
from runtime.clock import Clock
from runtime.version import VERSION
from runtime.watchdog import Loop
from runtime.web_server import WatchedServer, make_server, metrics_router


def make_app(clock: Clock, source: HealthSource) -> FastAPI:
    """The service's app: serves `clock`, and asks `source` how it is doing."""
    app = FastAPI(title="Tidesync vehicle agent", version=VERSION, docs_url=None, redoc_url=None)
    app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["GET"], allow_headers=["*"])
    app.include_router(router)
    app.include_router(blueos.router)
    app.include_router(metrics_router(lambda: pi_families(source.health())))

    async def own_clock() -> Clock:
        return clock

    app.dependency_overrides[served_clock] = own_clock

    @app.get("/", response_class=HTMLResponse)
    async def front() -> str:
        return page(source.health())

    @app.get("/health")
    async def health() -> Health:
        return source.health()

    return app


def http_server(clock: Clock, source: HealthSource, loop: Loop) -> WatchedServer:
    """A server for the app."""
    return make_server(make_app(clock, source), loop, ws="none")
