"""The numbers of one vehicle's track, pure: labels and values of a table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from schemas.exchange import method_named
from tidesync.figures import decimals_of, distance, is_long
from tidesync.sessions.report.units import NO_BREAK, count, duration, error, milliseconds, signed
from topside_agent.estimator import Exchanges, Rows, delays_ns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from schemas.events import EventLine
    from schemas.exchange import Exchange
    from tidesync.sessions.report.verdict import Interval
    from topside_agent.estimator import Row, Track

Numbers = list[tuple[str, str]]


def numbers(
    track: Track,
    exchanges: Sequence[Exchange],
    intervals: Sequence[Interval],
    events: Sequence[EventLine],
    stated_ms: Mapping[str, float],
) -> Numbers:
    """The numbers worth knowing; `stated_ms` are the single offsets in the metadata, by sensor."""
    valid = Rows.of(track.rows).in_states("ok")
    if not valid:
        return [("Exchanges", f"{len(exchanges):,}")]
    return [
        *_exchanges(track, exchanges, events),
        *_offsets(valid, Exchanges.of(exchanges)),
        *_errors(valid),
        *_delays(exchanges),
        *_breaks(intervals),
        *_constants(valid, stated_ms),
    ]


def _exchanges(track: Track, exchanges: Sequence[Exchange], events: Sequence[EventLine]) -> Numbers:
    handshakes = int(Exchanges.of(exchanges).labelled(lambda one: method_named(one.method).standalone).sum())
    http = f", {handshakes:,} of them over HTTP" if handshakes else ""
    lost = sum(event.to_seq - event.from_seq + 1 for event in events if event.kind == "gap")
    return [
        ("Exchanges", f"{track.exchanges:,} used, {track.rejected:,} refused{http}"),
        ("Exchanges lost on the way to the recorder", f"{lost:,}"),
    ]


def _offsets(valid: Rows, exchanges: Exchanges) -> Numbers:
    first, last = valid[0], valid[-1]
    return [
        ("Measured for", duration(last.topside_unix_ns - first.topside_unix_ns)),
        ("Offset at the beginning (Pi − laptop)", _offset(first)),
        ("Offset at the end", _offset(last)),
        ("Mean drift in the longest segment", _drift(valid, exchanges)),
    ]


def _offset(row: Row) -> str:
    """The exact number, with the decimals that its error deserves; of a minute and more also in its units."""
    offset_ms = row.offset_ns / 1e6
    exact = milliseconds(row.offset_ns, decimals_of(row.max_error_ns / 1e6, 3))
    return f"{exact} ({_far(offset_ms)})" if is_long(offset_ms) else exact


def _far(offset_ms: float) -> str:
    return distance(offset_ms).replace(" ", NO_BREAK)


def _drift(valid: Rows, exchanges: Exchanges) -> str:
    """The slope between the ends of the longest segment, with the 95 % error of both ends.

    That of the RAW clocks where both ends have them: a wall clock may have been slewed meanwhile, or set a
    little.
    """
    segments = {row.segment: row for row in valid}
    ends = [(next(row for row in valid if row.segment == number), last) for number, last in segments.items()]
    first, last = max(ends, key=lambda pair: pair[1].topside_unix_ns - pair[0].topside_unix_ns)
    duration_ns = last.topside_unix_ns - first.topside_unix_ns
    if duration_ns <= 0:
        return "not known"
    before_ns, after_ns = _set_ns(first, exchanges), _set_ns(last, exchanges)
    set_ns = 0 if before_ns is None or after_ns is None else after_ns - before_ns
    drift_ppm = (last.offset_ns - first.offset_ns - set_ns) / duration_ns * 1e6
    error_ppm = (_error_95_ns(first) + _error_95_ns(last)) / duration_ns * 1e6
    decimals = min(max(0, 1 - math.floor(math.log10(max(error_ppm, 1e-4)))), 4)
    return f"{drift_ppm:+.{decimals}f} ± {error_ppm:.{decimals}f} ppm".replace("-", "−")


def _set_ns(row: Row, exchanges: Exchanges) -> int | None:
    """What the offset of the wall clocks exceeds that of RAW by; None where RAW is not known."""
    places = np.flatnonzero(exchanges.column("destination_ns") == row.topside_unix_ns)
    exchange = exchanges[int(places[0])]
    pi, topside = exchange.pi_realtime_minus_raw_ns, exchange.topside_realtime_minus_raw_ns
    return None if pi is None or topside is None else pi - topside


def _error_95_ns(row: Row) -> int:
    """The 95 % error, at most the max error."""
    return row.max_error_ns if row.u95_ns is None else min(row.u95_ns, row.max_error_ns)


def _errors(valid: Rows) -> Numbers:
    errors = valid.max_error_ns.astype(np.float64)
    median, most, worst = np.quantile(errors, (0.5, 0.95, 1.0)).tolist()
    u95 = valid.u95_ns
    error_95 = float(np.median(np.where(np.isnan(u95), errors, np.minimum(u95, errors))))
    return [
        ("Max error: half of the time, 95 % of it, worst", ", ".join(map(error, (median, most, worst)))),
        ("95 % error (u95), half of the time", error(error_95)),
    ]


def _delays(exchanges: Sequence[Exchange]) -> Numbers:
    delays = delays_ns(Exchanges.of(exchanges)).astype(np.float64)
    figures = np.maximum(np.quantile(delays, (0.0, 0.5, 0.95, 1.0)), 0.0)
    return [
        (
            "Delay: least, half, 95 %, greatest",
            ", ".join(milliseconds(figure, decimals_of(figure / 1e6, 2)) for figure in figures.tolist()),
        )
    ]


def _breaks(intervals: Sequence[Interval]) -> Numbers:
    cuts = [interval.cause for interval in intervals if interval.kind == "uncertain"]
    silent = sum(interval.duration_ns for interval in intervals if interval.kind == "gap")
    steps = count(sum(cause in {"step", "inconsistent"} for cause in cuts), "step", "steps")
    reboots = count(cuts.count("reboot"), "reboot", "reboots")
    suspends = count(cuts.count("suspend"), "suspend", "suspends")
    return [
        ("Breaks of the Pi's clock", f"{steps}, {reboots}, {suspends}"),
        ("Time without measurement", duration(silent)),
    ]


def _constants(valid: Rows, stated_ms: Mapping[str, float]) -> Numbers:
    """The error of one offset for the whole session, which is why timestamps are corrected row by row."""
    lower, upper = (valid.column(name).astype(np.float64) for name in ("lower_ns", "upper_ns"))
    return [
        (
            f"The single offset of sensor {sensor} ({_short(stated)}) is wrong by up to",
            error(float(max((upper - stated * 1e6).max(), (stated * 1e6 - lower).max()))),
        )
        for sensor, stated in stated_ms.items()
    ]


def _short(offset_ms: float) -> str:
    return _far(offset_ms) if is_long(offset_ms) else signed(offset_ms * 1e6)
