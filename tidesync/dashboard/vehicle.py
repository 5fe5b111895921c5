"""What is known of one vehicle as one topside measures it, pure: messages in, a view out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from schemas.instants import ns_from_utc
from tidesync.dashboard.history import History
from tidesync.dashboard.views import LastEvent, VehicleView

if TYPE_CHECKING:
    from runtime.clock import Reading
    from schemas.messages import Event, Info, OffsetResult

LONGEST_TEXT = 200
"""Characters of a peer's words that are kept and shown."""


def clipped(text: str, longest: int = LONGEST_TEXT) -> str:
    """`text`, shortened when it is too long to be meant for people."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


@dataclass(slots=True)
class VehicleInfo:
    """What a vehicle says of itself, whoever measures it."""

    online: bool | None = None
    info: Info | None = None
    event: Event | None = None
    event_raw_ns: int = 0
    version: int = 0
    heard_raw_ns: int = 0


@dataclass(slots=True)
class Track:
    """One topside's results of one vehicle."""

    vehicle: str
    topside: str
    history: History = field(default_factory=History)
    result: OffsetResult | None = None
    result_raw_ns: int | None = None
    """When the newest result arrived; None while all there is was stored by the broker."""
    seen_raw_ns: int | None = None
    since_raw_ns: int | None = None
    since_exactly: bool = False
    version: int = 0
    heard_raw_ns: int = 0

    def hear(self, result: OffsetResult, received: Reading, *, stored: bool) -> None:
        """Take a result. A stored one is of now only if it is newer than what was known."""
        previous = self.result
        current = not stored or _newer(result, previous)
        if previous is not None and not current:
            return  # what a broker repeats after a reconnect
        self.result = result
        self.heard_raw_ns = received.raw_ns
        if not stored or previous is not None:
            self.result_raw_ns = received.raw_ns
            self.history.result(result, received.raw_ns / 1e9)
        self._note_state(previous, result, received)
        self._note_seen(result, received, stored=stored)

    def _note_state(self, previous: OffsetResult | None, result: OffsetResult, received: Reading) -> None:
        raw_s = received.raw_ns / 1e9
        if previous is None:
            self.since_raw_ns = received.raw_ns
            return
        if previous.state != result.state:
            self.since_raw_ns, self.since_exactly = received.raw_ns, True
            why = f" ({result.error})" if result.error else ""
            self.history.incident("state", f"{previous.state} → {result.state}{why}", raw_s)
        if previous.boot_id and result.boot_id and previous.boot_id != result.boot_id:
            self.history.incident("reboot", "the vehicle's computer was started anew", raw_s)

    def _note_seen(self, result: OffsetResult, received: Reading, *, stored: bool) -> None:
        """When the vehicle last answered: by age where the result is of now, else by the two wall clocks."""
        if result.age_s is None or result.measured_at is None:
            return
        seen_raw_ns = received.raw_ns - round(result.age_s * 1e9)
        if stored:
            measured_raw_ns = ns_from_utc(result.measured_at) - received.realtime_minus_raw_ns
            seen_raw_ns = min(seen_raw_ns, measured_raw_ns - round(result.age_s * 1e9))
        self.seen_raw_ns = seen_raw_ns

    def fresh(self, now_raw_ns: int, fresh_ns: int) -> bool:
        """Whether the result is of now."""
        return self.result_raw_ns is not None and now_raw_ns - self.result_raw_ns <= fresh_ns


def _newer(result: OffsetResult, previous: OffsetResult | None) -> bool:
    if previous is None or previous.measured_at is None or result.measured_at is None:
        return False
    return result.measured_at > previous.measured_at


def view(
    vehicle: str,
    track: Track | None,
    said: VehicleInfo,
    *,
    topside_online: bool | None,
    recording: tuple[str, ...],
    now_raw_ns: int,
    fresh: bool,
) -> VehicleView:
    """The row of a vehicle; with no `track` nobody measures it."""
    result = track.result if track else None
    info, event = said.info, said.event
    return VehicleView(
        vehicle=vehicle,
        topside=track.topside if track else None,
        state=result.state if result and fresh else None,
        last_state=result.state if result else None,
        fresh=fresh,
        error=result.error if result else None,
        offset_ms=result.offset_ms if result else None,
        lower_ms=result.lower_ms if result else None,
        upper_ms=result.upper_ms if result else None,
        max_error_ms=result.max_error_ms if result else None,
        u95_ms=result.u95_ms if result else None,
        drift_ppm=result.drift_ppm if result else None,
        drift_error_ppm=result.drift_error_ppm if result else None,
        delay_min_ms=result.delay_min_ms if result else None,
        exchanges=result.exchanges if result else None,
        rejected=result.rejected if result else None,
        segment=result.segment if result else None,
        steps=result.steps if result else None,
        method=clipped(result.method) if result else None,
        boot_id=clipped(result.boot_id) if result and result.boot_id else None,
        measured_at=result.measured_at if result else None,
        measured_unix_ms=result.measured_unix_ms if result else None,
        result_age_s=_age_s(track.result_raw_ns, now_raw_ns) if track else None,
        last_seen_s=_age_s(track.seen_raw_ns, now_raw_ns) if track else None,
        state_for_s=_age_s(track.since_raw_ns, now_raw_ns) if track else None,
        state_for_at_least=not (track and track.since_exactly),
        online=said.online,
        topside_online=topside_online,
        recording=recording,
        last_event=_event(event, said.event_raw_ns, now_raw_ns) if event else None,
        simulated=info.simulated if info else None,
        clock_synchronized=info.clock_synchronized if info else None,
        version=clipped(info.version) if info else None,
    )


def _event(event: Event, at_raw_ns: int, now_raw_ns: int) -> LastEvent:
    age_s = _age_s(at_raw_ns, now_raw_ns)
    assert age_s is not None
    return LastEvent(kind=event.kind, step_ms=event.step_ms, age_s=age_s)


def _age_s(at_raw_ns: int | None, now_raw_ns: int) -> float | None:
    return None if at_raw_ns is None else round(max(0, now_raw_ns - at_raw_ns) / 1e9, 3)
