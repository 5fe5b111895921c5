"""The agent's web service: the time, a page with its state, `/health`, `/metrics`, BlueOS registration."""

from __future__ import annotations

from html import escape

from fastapi import APIRouter, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import HTMLResponse

from pi_agent.health import Health, HealthSource
from pi_agent.http import router, served_clock
from runtime import api_page
from runtime.clock import Clock
from runtime.metrics import AgentCounts, Families, agent_families
from runtime.version import VERSION
from runtime.watchdog import Loop
from runtime.web_server import WatchedServer, make_server, metrics_router
from schemas.service import ServiceMetadata

_registration = APIRouter(tags=["blueos"])

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="description" content="How this vehicle's clock is measured: the state of its agent.">
<meta http-equiv="refresh" content="5"><title>Tidesync</title>
<style>body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 2rem; max-width: 40rem }}
dt {{ float: left; clear: left; width: 9rem; color: #555 }} dd {{ margin: 0 0 .3rem 9rem }}</style></head>
<body><h1>Tidesync, vehicle agent</h1>
<dl>{rows}</dl>
<p>Version {version}. <a href="api/sync/time">The time here</a>, <a href="health">the agent's state</a>,
the same <a href="metrics">for Prometheus</a>.</p>
</body></html>
"""


def make_app(clock: Clock, source: HealthSource) -> FastAPI:
    """The service's app: serves `clock` and the state of `source`."""
    app = FastAPI(
        title="Tidesync vehicle agent",
        version=VERSION,
        description="This vehicle's clock, and the state of the agent that answers for it.",
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["GET"], allow_headers=["*"])
    app.include_router(router)
    app.include_router(_registration)
    app.include_router(api_page.router)
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


@_registration.get("/register_service", include_in_schema=False, response_model_exclude_defaults=True)
async def register_service() -> ServiceMetadata:
    """This service, for BlueOS's menu."""
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


def page(health: Health) -> str:
    """What a browser or BlueOS's menu shows."""
    rows = {
        "Vehicle": health.vehicle + (" (simulated clock)" if health.simulated else ""),
        "Broker": _connection(health),
        "Measured": _measured(health),
        "Clock": health.clock,
    }
    listed = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in rows.items())
    return _PAGE.format(rows=listed, version=escape(health.version))


def _connection(health: Health) -> str:
    how = "connected" if health.broker_connected else "connecting"
    return health.broker_problem or f"{how} to {health.broker}"


def _measured(health: Health) -> str:
    if health.last_ping_age_s is None:
        return "no ping yet: is tidesync topside running at the surface, on the same broker?"
    return f"by {health.last_ping_topside}, last {health.last_ping_age_s:.0f} s ago"


def pi_families(health: Health) -> Families:
    """The vehicle's metrics for Prometheus."""
    families = agent_families(
        AgentCounts(
            "pi",
            health.broker_connected,
            health.reconnects,
            health.messages_dropped,
            len(health.topics_refused),
            health.broker,
        )
    )
    vehicle = health.vehicle
    families.counter(
        "tidesync_pings_answered", "Pings that were answered.", health.pings_answered, vehicle=vehicle
    )
    families.counter(
        "tidesync_datagrams_answered",
        "Datagrams of direct exchanges that were answered.",
        health.datagrams_answered,
        vehicle=vehicle,
    )
    families.counters(
        "tidesync_datagrams_dropped",
        "Datagrams that were not answered, by reason.",
        "reason",
        health.datagrams_dropped,
        vehicle=vehicle,
    )
    families.gauge(
        "tidesync_last_ping_age_seconds",
        "Time since the last answered ping; absent before the first.",
        health.last_ping_age_s,
        vehicle=vehicle,
    )
    families.counters(
        "tidesync_clock_changes",
        "Times the wall clock was stepped or the machine slept, by kind.",
        "kind",
        health.clock_changes,
        vehicle=vehicle,
    )
    families.gauge(
        "tidesync_clock_synchronized",
        "Whether the kernel calls this machine's wall clock synchronized.",
        float(health.clock_synchronized),
        vehicle=vehicle,
    )
    families.gauge(
        "tidesync_clock_simulated",
        "Whether the clock is simulated.",
        float(health.simulated),
        vehicle=vehicle,
    )
    families.gauge(
        "tidesync_uptime_seconds", "Time since the agent started.", health.uptime_s, vehicle=vehicle
    )
    return families
