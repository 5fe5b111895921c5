"""What an exchange may cost: the limits, and whether a run kept them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.cost.pairs import OURS, PAHO
from bench.peers.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.cost.agent import Agent
    from bench.cost.large import Large
    from bench.cost.pairs import Pair
    from bench.cost.scale import Load

MEMORY_ABOVE_IMPORTS_MB = 4.0
ONLINE_S = 0.5
TOPSIDE_US, TOPSIDE_VEHICLES = 200.0, 100
LINEAR = 1.25
"""An exchange with a thousand vehicles may cost so many times one with a hundred, at the same rate."""
BEHIND = 0.01
AGED_US, VEHICLE_MB = 100.0, 0.12
SHARED = 1.25
"""An exchange of a fleet that topsides share may cost so many times one of a thousand that one measures."""


def verdicts(
    pairs: Sequence[Pair], agent: Agent | None, loads: Sequence[Load], larges: Sequence[Large] = ()
) -> list[Verdict]:
    """Every promise for which there are figures."""
    return [*_on_pairs(pairs), *_on_agent(agent), *_on_loads(loads), *_on_large(larges)]


def _on_pairs(pairs: Sequence[Pair]) -> Iterator[Verdict]:
    by_name = {pair.name: pair for pair in pairs}
    if OURS in by_name and PAHO in by_name:
        yield Verdict(
            "Pi: CPU per answered ping no more than plain paho's, us",
            by_name[OURS].pi_us,
            by_name[PAHO].pi_us,
        )


def _on_agent(agent: Agent | None) -> Iterator[Verdict]:
    if agent:
        above_mb = agent.memory_mb - agent.bare_memory_mb
        yield Verdict("Pi: resident memory above its bare imports, MB", above_mb, MEMORY_ABOVE_IMPORTS_MB)
        yield Verdict("Pi: from start to online, s", agent.online_s, ONLINE_S)


def _on_loads(loads: Sequence[Load]) -> Iterator[Verdict]:
    slow = {load.vehicles: load for load in loads if load.rate_hz == 1}
    hundred, most = slow.get(TOPSIDE_VEHICLES), slow.get(1000)
    for load in loads:
        if load.vehicles == TOPSIDE_VEHICLES:
            promise = f"topside: CPU per exchange, {load.vehicles} vehicles, {load.rate_hz:g}/s, us"
            yield Verdict(promise, load.topside_us, TOPSIDE_US)
    if hundred and most:
        yield Verdict(
            "topside: CPU per exchange, 1000 vehicles to 100", most.topside_us / hundred.topside_us, LINEAR
        )
    if most:
        yield Verdict("topside: share of exchanges not made, 1000 vehicles", max(0.0, 1 - most.pace), BEHIND)


def _on_large(larges: Sequence[Large]) -> Iterator[Verdict]:
    by_name = {large.name: large for large in larges}
    aged, most, shared = (by_name.get(name) for name in ("1000", "3000", "group"))
    if aged:
        what = f"{aged.vehicles} vehicles, 1/s, {aged.age_s:g} s old"
        yield Verdict(f"topside: CPU per exchange, {what}, us", aged.topside_us, AGED_US)
        yield Verdict(f"topside: memory for each, {what}, backlog left out, MB", aged.vehicle_mb, VEHICLE_MB)
    for large in (aged, most, shared):
        if large:
            what = f"{large.vehicles} vehicles, {large.topsides} topside" + "s" * (large.topsides > 1)
            yield Verdict(f"share not measured as often as reported, {what}", 1 - large.as_reported, 0.0)
            yield Verdict(f"time-outs, {what}", large.timeouts, 0.0)
    if aged and shared:
        promise = (
            f"CPU per exchange, {shared.vehicles} vehicles with {shared.topsides} topsides to 1000 with one"
        )
        yield Verdict(promise, shared.topside_us / aged.topside_us, SHARED)
