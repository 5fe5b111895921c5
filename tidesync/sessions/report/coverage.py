"""Which stretches of a track can be trusted and to how much, pure: covered, gap, or around a cut."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Literal

from schemas.exchange import HTTP
from topside_agent.estimator import Cause

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from schemas.exchange import Exchange
    from topside_agent.estimator import EstimatorSettings, Row, Track

GAP_NS = 10_000_000_000
"""A longer silence is told as a gap, as the recorder alarms; what a shorter one costs is in its error."""

Kind = Literal["covered", "http", "gap", "uncertain"]
CutCause = Cause | Literal["method"]
"""Why a track was cut; `method`: measuring went over from MQTT to HTTP or back."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """[from_ns, to_ns] of topside's realtime; within it no offset is off by more than `error_ns`.

    `covered`: measured all along. `http`: only over HTTP, each row standing on its own exchange. `gap`:
    nothing was measured; `error_ns` holds if the Pi's clock was let alone meanwhile. `uncertain`: the clocks
    broke somewhere in it, `error_ns` is None, `cause` says how, and `jump_ns` how far the offset went.
    """

    kind: Kind
    from_ns: int
    to_ns: int
    error_ns: int | None
    cause: CutCause | None = None
    jump_ns: int | None = None

    @property
    def span_ns(self) -> int:
        """Its length; none where topside's own clock was set back in it."""
        return max(self.to_ns - self.from_ns, 0)


def max_error_ns(row: Row) -> int:
    """How far a row's offset can be off at the most."""
    return max(row.upper_ns - row.offset_ns, row.offset_ns - row.lower_ns)


def coverage(track: Track, by_instant: Mapping[int, Exchange], settings: EstimatorSettings) -> list[Stretch]:
    """The track's stretches in order. Between two rows the offset is a straight line from one to the other.

    `by_instant` finds a row's exchange by its destination.
    """
    merged: list[Stretch] = []
    for piece in _pieces(track, by_instant, settings):
        last = merged[-1] if merged else None
        if last and last.kind == piece.kind and piece.kind in {"covered", "http"}:
            worst = max(last.error_ns or 0, piece.error_ns or 0)
            merged[-1] = replace(last, to_ns=piece.to_ns, error_ns=worst)
        else:
            merged.append(piece)
    return merged


def _pieces(
    track: Track, by_instant: Mapping[int, Exchange], settings: EstimatorSettings
) -> Iterator[Stretch]:
    """From each sound row to the next; ambiguous ones lie within the uncertain stretch around their cut."""
    causes: dict[int, CutCause] = {segment.segment: segment.cause for segment in track.segments}
    before: Row | None = None
    for row in track.rows:
        if row.state == "ambiguous":
            continue
        if before is not None and row.segment == before.segment:
            yield _between(before, row, by_instant, settings)
        else:
            if before is not None:
                other_way = _over_http(before, by_instant) != _over_http(row, by_instant)
                yield _uncertain(before, row, "method" if other_way else causes[row.segment])
            at_ns, error_ns = row.topside_unix_ns, max_error_ns(row)
            yield Stretch(_measured(row, by_instant), at_ns, at_ns, error_ns)
        before = row


def _uncertain(before: Row, row: Row, cause: CutCause) -> Stretch:
    jump_ns = row.offset_ns - before.offset_ns
    return Stretch("uncertain", before.topside_unix_ns, row.topside_unix_ns, None, cause, jump_ns)


def _between(
    before: Row, row: Row, by_instant: Mapping[int, Exchange], settings: EstimatorSettings
) -> Stretch:
    span_ns = row.topside_unix_ns - before.topside_unix_ns
    error_ns = max(max_error_ns(before), max_error_ns(row))
    bare = _without_raw(before, by_instant) or _without_raw(row, by_instant)
    if bare:  # a step between the two, which nobody could see, may account for all that lies between them
        error_ns += abs(row.offset_ns - before.offset_ns)
    error_ns += _bend_ns(span_ns, settings, bare=bare)
    kind: Kind = "gap" if span_ns > GAP_NS else _measured(row, by_instant)
    return Stretch(kind, before.topside_unix_ns, row.topside_unix_ns, error_ns)


def _bend_ns(span_ns: int, settings: EstimatorSettings, *, bare: bool) -> int:
    """How far the truth can leave the straight line between two rows, at its middle.

    By the estimator's limits: a RAW clock leaves its tangent by at most κ·Δt^1.5; a wall clock of which no
    RAW is known may have been slewed all the way to the middle and back.
    """
    half_s = max(span_ns, 0) / 2e9
    bend_s = float(settings.wander_limit * half_s**1.5)
    if bare:
        bend_s = (settings.rate_limit_ppm + settings.slew_limit_ppm) * 1e-6 * half_s
    return ceil(bend_s * 1e9)


def _measured(row: Row, by_instant: Mapping[int, Exchange]) -> Kind:
    return "http" if _over_http(row, by_instant) else "covered"


def _over_http(row: Row, by_instant: Mapping[int, Exchange]) -> bool:
    return by_instant[row.topside_unix_ns].method == HTTP.name


def _without_raw(row: Row, by_instant: Mapping[int, Exchange]) -> bool:
    exchange = by_instant[row.topside_unix_ns]
    return exchange.pi_realtime_minus_raw_ns is None or exchange.topside_realtime_minus_raw_ns is None
