"""Decides how a column's timestamps are written, by thousands of its values and the session's Pi times.

A form is what puts most values within the session; sentinels (0, −9999, 1970, blanks) are never there, so
they do not decide. What remains undecided is refused with the option that decides it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from schemas.metadata import CONSUMER_TOLERANCE_MS
from tidesync.sessions.correction.stamps.accepted import readers_of, since_of
from tidesync.sessions.correction.stamps.calendar import DAY_FIRST
from tidesync.sessions.correction.stamps.candidates import Candidate, of_texts
from tidesync.sessions.correction.stamps.form import StampForm
from tidesync.sessions.correction.stamps.fractions import Fractions
from tidesync.sessions.correction.stamps.numbers import NAMED, NS_OF_UNIT
from tidesync.sessions.correction.stamps.options import UndecidedError
from tidesync.sessions.correction.stamps.readers import CalendarReader, NumberReader
from tidesync.sessions.correction.stamps.session_span import best_shift, fitting_zones, hours_away
from tidesync.sessions.correction.stamps.ticks import twice
from tidesync.sessions.correction.stamps.zone_choice import choose_zone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidesync.sessions.correction.stamps.accepted import ColumnContext
    from tidesync.sessions.correction.stamps.options import StampOptions
    from tidesync.sessions.correction.stamps.resolution import Writing
    from tidesync.sessions.correction.stamps.zone_choice import ZoneChoice
    from topside_agent.estimator.blocks import Integers

_SHOWN = 3
_ACCEPTED = (
    "ISO 8601, dates with names of months, Unix s, ms, us or ns, or what --time-format (a strptime format, "
    f"{', '.join(NAMED)}, day-first, month-first), --columns DATE,TIME and --since name"
)
_MICROSECOND_NS, _WORTH_SHOWING_NS = 1_000, 1_000_000
_OF_STATED = (
    " (its texts state a zone: also --time-format, with that zone's letters as they are)",
    " (numbers count from 1970 in UTC: --since 1970-01-01T00:00:00 with --zone and --unit)",
)
_SHORT_FRACTIONS = (
    "fractions of fewer than {} digits may lack zeros in front, and are left out: --time-format with %f if "
    "they are decimals, %3f if they count ms, %6f if us"
)
_UNCLEAR_FRACTIONS = (
    "fractions of fewer than {} digits may lack zeros in front or at their ends, which their error covers: "
    "--time-format with %f if they are decimals, %3f if they count ms, %6f if us"
)
_ASSUMED_FRACTIONS = (
    "fractions of {} digits are taken for decimals: --time-format with %3f if they count ms, %6f if µs"
)
_VARIES = "some timestamps have fewer digits, and are taken to be as they were written"
_COMMA = re.compile(r":\d\d,\d", re.ASCII)


def survey(texts: Sequence[str], column: ColumnContext) -> StampForm:
    """The form of a column with these values, blank ones included.

    UndecidedError, whose sentence names what was received and the option.
    """
    values = [text for text in (each.strip() for each in texts) if text]
    candidates = [
        of_texts(reader, scale, values, column.span) for reader, scale in readers_of(column, values)
    ]
    best = max(candidates, key=lambda each: (each.within, each.count))
    if values:
        _refuse_unread(best, values, column)
    return form_of(best, column, comma=_has_comma(best, values, column.options))


def form_of(best: Candidate, column: ColumnContext, *, comma: bool = False) -> StampForm:
    """The form of the candidate that was chosen."""
    options, zone = column.options, choose_zone(best, column)
    writing, resolution = best.resolution(zone.zone, column.span)
    anchor_ns = writing.anchor_ns if options.since is None or options.since_column else since_of(options)[1]
    stated = options.resolution_ms
    resolution = round(stated * 1e6) if stated is not None else resolution + twice(anchor_ns)
    writing = replace(writing, promised_ns=None if stated is None else resolution, anchor_ns=twice(anchor_ns))
    resolves = _resolves(writing, resolution)
    digits = best.reader.digits if isinstance(best.reader, NumberReader | CalendarReader) else 0
    resolves += (_SHORT_FRACTIONS.format(digits),) if digits > 0 else ()
    resolves += (_UNCLEAR_FRACTIONS.format(best.unclear),) if best.unclear else ()
    resolves += (_ASSUMED_FRACTIONS.format(best.length),) if best.fractions == Fractions.ASSUMED else ()
    resolves += (_VARIES,) if writing.varies and not best.unclear and digits <= 0 else ()
    return StampForm(
        reader=best.reader,
        zone=zone.zone,
        writing=writing,
        resolution_ns=resolution,
        scale=best.scale,
        fine=resolution < _MICROSECOND_NS,
        comma=comma,
        described=zone.described + resolves,
        summary=(*zone.summary, ("resolution_ms", resolution / 1e6)),
        hint=_coarse_hint(resolution) if zone.within else _hint(best, zone, column),
    )


def _resolves(writing: Writing, resolution_ns: int) -> tuple[str, ...]:
    """What stamps resolve, why, and what to state instead."""
    if resolution_ns < _WORTH_SHOWING_NS:
        return ()
    if writing.promised_ns is not None:
        return (f"stamps resolve {shown(resolution_ns)} (--resolution-ms)",)
    why = f"written to {shown(writing.digit_ns)}; " if resolution_ns > writing.digit_ns else ""
    own_ns = resolution_ns - writing.anchor_ns
    slack_ns = 2 * (max(writing.digit_ns, writing.step_ns) + writing.noise_ns)
    if writing.mixed_ns and 0 <= own_ns - twice(writing.mixed_ns) <= writing.noise_ns:
        why += (
            f"more than chance explains are multiples of {shown(writing.mixed_ns)}, as of a coarser clock; "
        )
    elif (
        2 * writing.tick_ns > 3 * writing.digit_ns
        and resolution_ns > twice(writing.digit_ns)
        and own_ns - writing.tick_ns <= slack_ns
    ):
        why += f"all fit a clock that ticks every {shown(writing.tick_ns)}; "
    return (f"stamps resolve {shown(resolution_ns)} ({why}--resolution-ms overrides)",)


def _coarse_hint(resolution_ns: int) -> str:
    """What to do where the resolution alone exceeds the usual limit of the error."""
    if resolution_ns < CONSUMER_TOLERANCE_MS * 1e6:
        return ""
    return f"its stamps resolve {shown(resolution_ns)}: rows are answered with a --max-error-ms above that"


def shown(ns: float) -> str:
    """A duration with the unit that suits it: `1 s`, `20 ms`."""
    for unit, of_unit in NS_OF_UNIT.items():
        if ns >= of_unit:
            return f"{ns / of_unit:.5g} {unit}"
    return f"{ns} ns"


def _has_comma(best: Candidate, values: Sequence[str], options: StampOptions) -> bool:
    if options.decimal == ",":
        return True
    commas = sum(bool(_COMMA.search(value)) for value in values)
    return isinstance(best.reader, CalendarReader) and 2 * commas > len(values)


def _refuse_unread(best: Candidate, values: Sequence[str], column: ColumnContext) -> None:
    received = "received " + ", ".join(repr(value) for value in values[:_SHOWN])
    dated = sum(any(pattern.fullmatch(value) for pattern in DAY_FIRST) for value in values)
    if not column.options.dates and dated > best.count:
        raise UndecidedError(
            f"{column.subject} has dates in numbers ({received}): "
            "say --time-format day-first or --time-format month-first"
        )
    if not best.count and column.options.since_column:
        raise UndecidedError(
            f"--since: no row has an instant in column {column.options.since_column!r} and a number in "
            f"{column.elapsed!r} ({received}): expected such as 2026-05-01T12:00:00.000Z and 12.345"
        )
    if not best.count:
        raise UndecidedError(f"{column.subject} has no timestamp ({received}): expected {_ACCEPTED}")


def _hint(best: Candidate, zone: ZoneChoice, column: ColumnContext) -> str:
    """What may be wrong where no value lies within the session."""
    at_ns = best.utc_ns(zone.zone)
    if column.fixed:
        return _read_as(best, at_ns, column) if at_ns.size else ""
    counts = column.span.by_zone(at_ns)
    if counts.max():
        away = f"its times lie outside the session, {hours_away(best_shift(counts))}: local time? --zone"
        away += _OF_STATED[isinstance(best.reader, NumberReader)] * bool(best.fixed.all())
        return f"{away}; {fitting_zones(column.span.by_zone(best.at_ns), best.count)}"
    if isinstance(best.reader, NumberReader) and column.options.time_format is None:
        for name, scales in NAMED.items():
            for scale in scales:
                fits = best.numbers_within(scale, column.span)
                if fits:
                    return f"as {name}, {fits} of its values lie within the session: --time-format {name}"
    return _read_as(best, at_ns, column) if at_ns.size else ""


def _read_as(best: Candidate, at_ns: Integers, column: ColumnContext) -> str:
    """What its first time is, when the vehicle's clock was measured, and which options may be missing."""
    first, begin, end = (
        f"{np.datetime64(int(ns), 'ns').astype('datetime64[s]')}Z"
        for ns in (at_ns[0], column.span.first_ns[0], column.span.last_ns[-1])
    )
    if column.fixed:
        return (
            f"its first time is {first}, measured was {begin} to {end}: by another clock, or of another dive?"
        )
    scale = f" as {best.scale.name}" if best.scale else ""
    options = "--unit, --time-format or --since" if best.scale else "--time-format or --zone"
    options = "--unit, --zone or another --since" if column.options.since else options
    return f"its first time is read{scale}: {first}, measured was {begin} to {end}: {options}?"
