"""What the fleet's model knows, as the views that the HTTP interface answers with; pure."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Any

from schemas.messages import OffsetResult
from tidesync.dashboard.views import HistoryView, IncidentView, LastEvent, SessionView, VehicleView
from tidesync.fleet.history import STATES
from tidesync.fleet.vehicle import discipline_of, path_of

if TYPE_CHECKING:
    from runtime.clock import Reading
    from schemas.messages import SessionState
    from tidesync.fleet.history import Point, ResultHistory
    from tidesync.fleet.vehicle import Row

LONGEST_TEXT = 200
"""Characters of a peer's text that are shown."""
LONGEST_SENTENCE = 500
MOST_SENSORS = 64
_OF_RESULT = tuple(name for name in VehicleView.model_fields if name in OffsetResult.model_fields)


def vehicle_view(row: Row) -> VehicleView:
    """A row. Its result is current only if it is fresh, and if one was heard live."""
    result, info, event = row.result, row.info, row.event
    current = row.fresh and row.live
    values: dict[str, Any] = {name: getattr(result, name, None) for name in _OF_RESULT}
    return VehicleView(
        **values
        | {
            "vehicle": row.vehicle,
            "topside": row.topside,
            "state": result.state if result and current else None,
            "method": _clipped(result.method) if result else None,
            "path": _clipped(path_of(result)) if result else None,
            "boot_id": _clipped(result.boot_id) if result else None,
        },
        last_state=result.state if result else None,
        fresh=current,
        fresh_s=row.fresh_s,
        result_age_s=_age(row.age_s) if row.live else None,
        last_seen_s=_age(row.last_seen_s),
        steps_listed=row.steps_listed,
        state_for_s=_age(row.since_s),
        state_for_at_least=not row.since_exact,
        online=_online(row.status),
        topside_online=_online(row.topside_status),
        group=row.group,
        in_use=row.in_use,
        recording=row.recording,
        last_event=event
        and LastEvent(kind=event.kind, step_ms=event.step_ms, age_s=_age(row.event_age_s) or 0.0),
        simulated=info.simulated if info else None,
        clock_synchronized=info.clock_synchronized if info else None,
        clock_free=info.clock_free if info else None,
        clock=_clipped(discipline_of(info)) if info else None,
        version=_clipped(info.version) if info else None,
    )


def session_view(state: SessionState, age_s: float | None) -> SessionView:
    """A session's state; a peer's texts are shortened."""
    sensors = list(state.sensors.items())[:MOST_SENSORS]
    return SessionView(
        **state.model_dump(exclude={"schema_version"})
        | {
            "path": _clipped(state.path, LONGEST_SENTENCE),
            "mission": _clipped(state.mission),
            "alarm": _clipped(state.alarm, LONGEST_SENTENCE),
            "error": _clipped(state.error, LONGEST_SENTENCE),
            "sensors": {_clipped(sensor): _clipped(vehicle) for sensor, vehicle in sensors},
        },
        told_s=_age(age_s),
    )


def history_view(
    kept: ResultHistory, after: int, now: Reading, *, vehicle: str, topside: str, instance: str
) -> HistoryView:
    """What the history has later than `after`, in columns."""
    ahead_ms = now.realtime_minus_raw_ns / 1e6
    points = list(kept.points(after))
    incidents = [
        IncidentView(at_unix_ms=_unix_ms(one.raw_s, ahead_ms), kind=one.kind, text=one.text)
        for one in kept.incidents(after)
    ]
    return HistoryView(
        vehicle=vehicle,
        topside=topside,
        instance=instance,
        last=kept.seq,
        now_unix_ms=round(now.realtime_ns / 1e6, 1),
        at_unix_ms=[_unix_ms(point.raw_s, ahead_ms) for point in points],
        offset_ms=_column(points, "offset_ms"),
        lower_ms=_column(points, "lower_ms"),
        upper_ms=_column(points, "upper_ms"),
        max_error_ms=_column(points, "max_error_ms"),
        drift_ppm=_column(points, "drift_ppm"),
        delay_min_ms=_column(points, "delay_ms"),
        segment=[int(point.segment) for point in points],
        state=[STATES[int(point.state)] for point in points],
        incidents=incidents,
    )


def _clipped(text: str | None, longest: int = LONGEST_TEXT) -> str | None:
    if text is None:
        return None
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _online(status: str | None) -> bool | None:
    return None if status is None else status == "online"


def _age(seconds: float | None) -> float | None:
    return None if seconds is None else round(max(0.0, seconds), 3)


def _column(points: list[Point], name: str) -> list[float | None]:
    values = (getattr(point, name) for point in points)
    return [None if isnan(value) else value for value in values]


def _unix_ms(raw_s: float, ahead_ms: float) -> float:
    return round(raw_s * 1e3 + ahead_ms, 1)
