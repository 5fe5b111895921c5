"""The page that a browser, or BlueOS's menu, opens: how the agent is doing, in a few lines."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pi_agent.health import Health

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="5"><title>Tidesync</title>
<style>body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 2rem; max-width: 40rem }}
dt {{ float: left; clear: left; width: 9rem; color: #555 }} dd {{ margin: 0 0 .3rem 9rem }}</style></head>
<body><h1>Tidesync, vehicle agent</h1>
<dl>{rows}</dl>
<p>Version {version}. <a href="api/sync/time">The time here</a>, <a href="health">how it is doing</a>,
the same <a href="metrics">for Prometheus</a>.</p>
</body></html>
"""


def page(health: Health) -> str:
    """The page for one moment."""
    rows = {
        "Vehicle": health.vehicle + (" (simulated clock)" if health.simulated else ""),
        "Broker": _connection(health),
        "Measured": _measured(health),
        "Clock": "steered by NTP or the like" if health.clock_synchronized else "running free",
    }
    listed = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in rows.items())
    return _PAGE.format(rows=listed, version=escape(health.version))


def _connection(health: Health) -> str:
    if health.broker_connected:
        return f"connected to {health.broker}"
    return health.broker_problem or f"connecting to {health.broker}"


def _measured(health: Health) -> str:
    if health.last_ping_age_s is None:
        return "no ping yet: is tidesync topside running at the surface, on the same broker?"
    return f"by {health.last_ping_topside}, last {health.last_ping_age_s:.0f} s ago"
