"""From an estimate to the published result, pure: its state in words, its numbers rounded honestly."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from schemas.exchange import MQTT, method_named
from schemas.instants import utc_from_ns
from schemas.messages import DUPLICATES, ErrorWord, OffsetResult, State

if TYPE_CHECKING:
    from schemas.duplicate_span import DuplicateSpan
    from topside_agent.estimator import Estimate
    from topside_agent.settings import TopsideSettings

_NOT_LOCKED = DUPLICATES | {"clock_rate"}
"""Errors that leave in doubt whose offset it is, or how it moves, however narrow its bound."""
REFUSED_BECAUSE: dict[str, ErrorWord] = {"clock_stepped": "invalid_pi_time", "negative_delay": "clock_rate"}
"""What a result says while the estimator refuses exchanges, by its reason."""
_EXACT_NS = 2**52
"""Below this (52 days) a count of ns is exact as a float of ms with six decimals."""


class Progress(NamedTuple):
    """What is known of a vehicle's measurement beside the estimate."""

    since_cut: int
    """Exchanges since the last cut."""
    rejected: int
    segment: int
    steps: int
    error: ErrorWord | None
    method: str = MQTT.name
    """How the exchanges that the estimate rests on were made."""
    duplicates: tuple[DuplicateSpan, ...] = ()
    """When two vehicles answered to the name."""
    interval_s: float | None = None
    """Within so much the next result is due."""
    rate: float | None = None
    """Exchanges a second with each vehicle at present."""


def state_of(
    estimate: Estimate | None, progress: Progress, settings: TopsideSettings, silence_ns: int | None = None
) -> State:
    """The state in a word, from the age and the max error of the estimate.

    Without an exchange for `silence_ns` it is no longer `locked`: the setting, unless pings come more rarely.
    """
    if estimate is None:
        return "unsynced"
    age_s, max_error_ms = estimate.age_ns / 1e9, estimate.max_error_ns / 1e6
    if age_s >= (settings.holdover_after_s if silence_ns is None else silence_ns / 1e9):
        too_old = age_s >= settings.stale_after_s or max_error_ms > settings.stale_error_ms
        return "stale" if too_old else "holdover"
    if (
        progress.error in _NOT_LOCKED
        or progress.since_cut < settings.lock_exchanges
        or max_error_ms > settings.max_error_ms
    ):
        return "acquiring"
    return "locked"


def result_of(
    vehicle: str,
    estimate: Estimate | None,
    progress: Progress,
    settings: TopsideSettings,
    instance_id: str | None = None,
    *,
    state: State | None = None,
) -> OffsetResult:
    """The payload of the retained result; null where nothing is known. `instance_id` is of this process.

    `state` where it is known already: by default that of `state_of`.
    """
    state = state or state_of(estimate, progress, settings)
    if estimate is None:
        return OffsetResult(
            vehicle=vehicle,
            topside=settings.topside,
            method=progress.method,
            path=method_named(progress.method).path,
            state=state,
            offset_ms=None,
            lower_ms=None,
            upper_ms=None,
            max_error_ms=None,
            u95_ms=None,
            drift_ppm=None,
            drift_error_ppm=None,
            delay_min_ms=None,
            exchanges=0,
            rejected=progress.rejected,
            segment=progress.segment,
            steps=progress.steps,
            boot_id=None,
            measured_at=None,
            measured_unix_ms=None,
            age_s=None,
            interval_s=progress.interval_s or settings.publish_interval_s,
            rate=_rate(progress),
            instance_id=instance_id,
            duplicates=progress.duplicates or None,
            error=progress.error,
        )
    return OffsetResult(
        vehicle=vehicle,
        topside=settings.topside,
        method=progress.method,
        path=method_named(progress.method).path,
        state=state,
        offset_ms=nearest_ms(estimate.offset_ns),
        lower_ms=floor_ms(estimate.lower_ns),
        upper_ms=ceil_ms(estimate.upper_ns),
        max_error_ms=_max_error_ms(estimate),
        u95_ms=None if estimate.u95_ns is None else nearest_ms(estimate.u95_ns),
        precision_ms=None if estimate.precision_ns is None else nearest_ms(estimate.precision_ns),
        drift_ppm=_rounded(estimate.drift_ppm),
        drift_error_ppm=_rounded(estimate.drift_error_ppm),
        delay_min_ms=nearest_ms(max(0, estimate.delay_min_ns)),
        exchanges=estimate.exchanges,
        rejected=progress.rejected,
        segment=progress.segment,
        steps=progress.steps,
        boot_id=estimate.boot_id,
        measured_at=utc_from_ns(estimate.measured_at_ns),
        measured_unix_ms=estimate.measured_at_ns // 1_000_000,
        age_s=round(estimate.age_ns / 1e9, 3),
        conditional=estimate.conditional,
        interval_s=progress.interval_s or settings.publish_interval_s,
        rate=_rate(progress),
        instance_id=instance_id,
        duplicates=progress.duplicates or None,
        error=progress.error,
    )


def _rate(progress: Progress) -> float | None:
    """Handshakes over HTTP come at a pace of their own."""
    rate = None if method_named(progress.method).standalone else progress.rate
    return None if rate is None else round(rate, 4)


def nearest_ms(ns: int) -> float:
    """`ns` in ms."""
    return round(ns / 1e6, 6)


def floor_ms(ns: int) -> float:
    """`ns` in ms, never above it: decades in ms leave a float no room for nanoseconds."""
    return nearest_ms(ns) if abs(ns) < _EXACT_NS else math.nextafter(ns / 1e6, -math.inf)


def ceil_ms(ns: int) -> float:
    """`ns` in ms, never below it."""
    return nearest_ms(ns) if abs(ns) < _EXACT_NS else math.nextafter(ns / 1e6, math.inf)


def _max_error_ms(estimate: Estimate) -> float:
    lost_ms = 0.0 if abs(estimate.offset_ns) < _EXACT_NS else math.ulp(estimate.offset_ns / 1e6)
    return nearest_ms(estimate.max_error_ns) + lost_ms


def _rounded(ppm: float | None) -> float | None:
    return None if ppm is None else round(ppm, 4)
