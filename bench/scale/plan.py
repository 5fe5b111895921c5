"""What fleets of every size need, computed: counted messages times measured processor times. Pure."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from bench.scale.traffic import Traffic

FLEETS = (1, 10, 100, 1000, 10_000, 100_000)
SHARE = 0.5
"""How much of a core a process may take as a rule: the other half is for bursts and slower machines."""
_DAY_S = 86_400
_GB = 1e9


class Units(NamedTuple):
    """Measured on one core of the machine that the pages name."""

    topside_us: float
    """Topside's time per exchange."""
    topside_mb: float
    """Its memory per vehicle."""
    broker_us: float
    """The broker's time per message that it takes or sends."""
    recorder_us: float
    """The recorder's time per exchange."""
    recorded_bytes: float
    """What it writes per exchange."""
    dashboard_us: float
    """The dashboard's time per result."""


class Need(NamedTuple):
    """Of a fleet at rest that is recorded once and shown on one dashboard a topside."""

    vehicles: int
    connections: int
    messages_per_s: float
    """What all brokers together take and send."""
    megabits_per_s: float
    brokers: int
    topsides: int
    recorders: int
    recorded_gb_a_day: float


class Limit(NamedTuple):
    """The size at which one process of a kind is busy all the time; `share` of a core is at 1000 vehicles."""

    process: str
    share: float
    vehicles: float


def need(vehicles: int, traffic: Traffic, units: Units) -> Need:
    """What `vehicles` need at the rate of `traffic`."""
    exchanges = vehicles * traffic.rate_hz
    topsides = _processes(exchanges * units.topside_us)
    recorders = _processes(exchanges * units.recorder_us)
    messages = vehicles * traffic.messages_per_s(recorders=1, dashboards=1)
    return Need(
        vehicles,
        vehicles + 2 * topsides + recorders,
        messages,
        vehicles * traffic.bytes_per_s(recorders=1, dashboards=1) * 8 / 1e6,
        _processes(messages * units.broker_us),
        topsides,
        recorders,
        exchanges * units.recorded_bytes * _DAY_S / _GB,
    )


def limits(traffic: Traffic, units: Units) -> list[Limit]:
    """What breaks first, in its order."""
    messages = traffic.messages_per_s(recorders=1, dashboards=1)
    results = sum(kind.per_s for kind in traffic.kinds if kind.kind.name == "offset")
    us_per_s = {
        "topside": traffic.rate_hz * units.topside_us,
        "broker (one thread, as mosquitto)": messages * units.broker_us,
        "recorder": traffic.rate_hz * units.recorder_us,
        "dashboard": results * units.dashboard_us,
    }
    found = [Limit(name, us * 1000 / 1e6, 1e6 / us) for name, us in us_per_s.items()]
    return sorted(found, key=lambda limit: limit.vehicles)


def _processes(us_per_s: float) -> int:
    return max(1, ceil(us_per_s / 1e6 / SHARE))
