"""The intervals of a track and the bound of the error in each, pure: covered, gap, or around a cut."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Literal

from schemas.exchange import method_named
from topside_agent.estimator import Cause

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from schemas.exchange import Exchange
    from topside_agent.estimator import EstimatorSettings, Row, Track

GAP_NS = 10_000_000_000
"""A longer silence is a gap, as in the recorder's alarm; a shorter one widens the error."""

Kind = Literal["covered", "http", "gap", "uncertain"]
CutCause = Cause | Literal["method"]
"""Why a track was cut; `method`: measuring changed from MQTT to HTTP or back."""


@dataclass(frozen=True, slots=True)
class Interval:
    """[from_ns, to_ns] of topside's realtime; no offset in it has an error greater than `error_ns`.

    `covered`: measured throughout. `http`: only over HTTP, each row from its own exchange alone. `gap`:
    nothing was measured; `error_ns` holds if the Pi's clock was neither set nor slewed. `uncertain`: there is
    a cut in it; `error_ns` is None, `cause` is the cut's, and `jump_ns` the change of the offset.
    """

    kind: Kind
    from_ns: int
    to_ns: int
    error_ns: int | None
    cause: CutCause | None = None
    jump_ns: int | None = None

    @property
    def duration_ns(self) -> int:
        """Its length; 0 where topside's own clock was set back in it."""
        return max(self.to_ns - self.from_ns, 0)


def max_error_ns(row: Row) -> int:
    """The bound of the error of a row's offset."""
    return max(row.upper_ns - row.offset_ns, row.offset_ns - row.lower_ns)


def coverage(track: Track, by_instant: Mapping[int, Exchange], settings: EstimatorSettings) -> list[Interval]:
    """The track's intervals in order. Between two rows the offset is interpolated linearly.

    `by_instant` finds a row's exchange by its destination.
    """
    merged: list[Interval] = []
    for interval in _between_rows(track, by_instant, settings):
        last = merged[-1] if merged else None
        if last and last.kind == interval.kind and interval.kind in {"covered", "http"}:
            worst = max(last.error_ns or 0, interval.error_ns or 0)
            merged[-1] = replace(last, to_ns=interval.to_ns, error_ns=worst)
        else:
            merged.append(interval)
    return merged


def _between_rows(
    track: Track, by_instant: Mapping[int, Exchange], settings: EstimatorSettings
) -> Iterator[Interval]:
    """From each valid row to the next; ambiguous ones lie within the uncertain interval around their cut."""
    causes: dict[int, CutCause] = {segment.segment: segment.cause for segment in track.segments}
    before: Row | None = None
    for row in track.rows:
        if row.state == "ambiguous":
            continue
        if before is not None and row.segment == before.segment:
            yield _between(before, row, by_instant, settings)
        else:
            if before is not None:
                changed = _standalone(before, by_instant) != _standalone(row, by_instant)
                yield _uncertain(before, row, "method" if changed else causes[row.segment])
            at_ns, error_ns = row.topside_unix_ns, max_error_ns(row)
            yield Interval(_measured(row, by_instant), at_ns, at_ns, error_ns)
        before = row


def _uncertain(before: Row, row: Row, cause: CutCause) -> Interval:
    jump_ns = row.offset_ns - before.offset_ns
    return Interval("uncertain", before.topside_unix_ns, row.topside_unix_ns, None, cause, jump_ns)


def _between(
    before: Row, row: Row, by_instant: Mapping[int, Exchange], settings: EstimatorSettings
) -> Interval:
    duration_ns = row.topside_unix_ns - before.topside_unix_ns
    error_ns = max(max_error_ns(before), max_error_ns(row))
    bare = _without_raw(before, by_instant) or _without_raw(row, by_instant)
    if bare:  # the whole difference may be a step, which could not be detected
        error_ns += abs(row.offset_ns - before.offset_ns)
    error_ns += _bend_ns(duration_ns, settings, bare=bare)
    kind: Kind = "gap" if duration_ns > GAP_NS else _measured(row, by_instant)
    return Interval(kind, before.topside_unix_ns, row.topside_unix_ns, error_ns)


def _bend_ns(duration_ns: int, settings: EstimatorSettings, *, bare: bool) -> int:
    """How far the truth can leave the straight line between two rows, at its middle.

    By the estimator's limits: a RAW clock leaves its tangent by at most κ·Δt^1.5; a wall clock without RAW
    may have been slewed until the middle and back.
    """
    half_s = max(duration_ns, 0) / 2e9
    bend_s = float(settings.wander_limit * half_s**1.5)
    if bare:
        bend_s = (settings.rate_limit_ppm + settings.slew_limit_ppm) * 1e-6 * half_s
    return ceil(bend_s * 1e9)


def _measured(row: Row, by_instant: Mapping[int, Exchange]) -> Kind:
    return "http" if _standalone(row, by_instant) else "covered"


def _standalone(row: Row, by_instant: Mapping[int, Exchange]) -> bool:
    return method_named(by_instant[row.topside_unix_ns].method).standalone


def _without_raw(row: Row, by_instant: Mapping[int, Exchange]) -> bool:
    exchange = by_instant[row.topside_unix_ns]
    return exchange.pi_realtime_minus_raw_ns is None or exchange.topside_realtime_minus_raw_ns is None
