"""Topside's metrics for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from runtime.metrics import agent_families
from schemas.doubtful import for_people
from schemas.messages import DUPLICATES, Path, State

if TYPE_CHECKING:
    from runtime.metrics import Families
    from schemas.messages import OffsetResult
    from topside_agent.measuring.counts import GroupCounts, Snapshot, TopsideCounts

MOST_VEHICLES = 500
"""Names come from the network; each makes some forty series. The rest is counted, not shown."""

_STATES: tuple[str, ...] = get_args(State)
_PATHS: tuple[str, ...] = get_args(Path)


def topside_families(counts: TopsideCounts) -> Families:
    """All metrics of a topside."""
    families = agent_families(counts.agent)
    shown = counts.vehicles[:MOST_VEHICLES]
    families.gauge("tidesync_vehicles", "Vehicles that are measured.", len(counts.vehicles))
    families.gauge(
        "tidesync_vehicles_not_shown",
        f"Measured vehicles that are left out here, because there are more than {MOST_VEHICLES}.",
        len(counts.vehicles) - len(shown),
    )
    if counts.group is not None:
        _group(families, counts.group, counts.topside)
    for snapshot in shown:
        labels = {"vehicle": snapshot.vehicle, "topside": counts.topside}
        _measurement(families, snapshot, labels)
        _state(families, snapshot, labels)
        if snapshot.result is not None and snapshot.current:
            _result(families, for_people(snapshot.result), labels)
    return families


def _group(families: Families, counts: GroupCounts, topside: str) -> None:
    labels = {"group": counts.group, "topside": topside}
    for name, about, value in (
        ("members", "Topsides of the group that are there, this one included.", counts.members),
        (
            "standby_vehicles",
            "Vehicles that it follows, to take them over if their owner fails.",
            counts.standby,
        ),
        ("held_vehicles", "Vehicles that it measures only until their owner has settled.", counts.held),
    ):
        families.gauge(f"tidesync_group_{name}", about, value, **labels)
    families.counter(
        "tidesync_group_vehicles_taken",
        "Vehicles that it began to measure, each time.",
        counts.taken,
        **labels,
    )
    families.counter(
        "tidesync_group_vehicles_given", "Vehicles that it left to others.", counts.given, **labels
    )


def _measurement(families: Families, snapshot: Snapshot, labels: dict[str, str]) -> None:
    families.counter("tidesync_exchanges", "Finished exchanges.", snapshot.exchanges, **labels)
    families.counter(
        "tidesync_timeouts", "Pings that were not answered in time.", snapshot.timeouts, **labels
    )
    families.counters(
        "tidesync_rejected",
        "Answers and exchanges that were refused, by reason.",
        "reason",
        snapshot.rejected,
        **labels,
    )
    families.counters(
        "tidesync_exchanges_in_use",
        "Exchanges in use, by the path that they took.",
        "path",
        snapshot.paths,
        **labels,
    )
    if snapshot.result is not None and snapshot.current:
        families.one_of(
            "tidesync_path",
            "1 for the path of exchanges now.",
            "path",
            _PATHS,
            str(snapshot.result.path),
            **labels,
        )
    families.histogram(
        "tidesync_exchange_delay_seconds",
        "Round trip less the vehicle's own time, of the exchanges in use.",
        snapshot.delays,
        **labels,
    )
    families.gauge(
        "tidesync_last_exchange_age_seconds",
        "Time since the last finished exchange; absent before the first.",
        snapshot.last_exchange_age_s,
        **labels,
    )


def _state(families: Families, snapshot: Snapshot, labels: dict[str, str]) -> None:
    """No result yet is a state too; an old result's is not."""
    if snapshot.result is None or snapshot.current:
        state = snapshot.result.state if snapshot.result else "unsynced"
        families.one_of("tidesync_state", "1 for the state that is.", "state", _STATES, state, **labels)
        error = snapshot.result.error if snapshot.result else None
        about = (
            "Whether two processes use the name of the vehicle or of the topside; then no number is known."
        )
        for word in sorted(DUPLICATES):
            of = word.removeprefix("duplicate_")
            families.gauge("tidesync_duplicate", about, float(error == word), **labels, of=of)


def _result(families: Families, result: OffsetResult, labels: dict[str, str]) -> None:
    """The published result in base units, as long as it holds."""
    offset = "Vehicle's clock less topside's, positive when the vehicle's is ahead"
    for name, about, value_ms in (
        ("offset", f"{offset}.", result.offset_ms),
        ("offset_lower", f"{offset}: it is not below this.", result.lower_ms),
        ("offset_upper", f"{offset}: it is not above this.", result.upper_ms),
        ("max_error", "How wrong the offset can be at the most.", result.max_error_ms),
        ("u95", "Statistical 95 % half-width of the offset.", result.u95_ms),
        ("delay_min", "Least delay of the exchanges in the window in use.", result.delay_min_ms),
    ):
        families.gauge(f"tidesync_{name}_seconds", about, _over(value_ms, 1e3), **labels)
    families.gauge(
        "tidesync_drift_ratio",
        "Rate of the offset: 1e-6 is 1 ppm; positive when the vehicle's clock runs fast.",
        _over(result.drift_ppm, 1e6),
        **labels,
    )
    families.gauge(
        "tidesync_drift_error_ratio",
        "Statistical 95 % half-width of the drift.",
        _over(result.drift_error_ppm, 1e6),
        **labels,
    )
    families.gauge("tidesync_window_exchanges", "Exchanges in the window in use.", result.exchanges, **labels)
    families.counter("tidesync_steps", "Steps of the vehicle's clock or topside's.", result.steps, **labels)


def _over(value: float | None, per_base_unit: float) -> float | None:
    return None if value is None else round(value / per_base_unit, 15)
