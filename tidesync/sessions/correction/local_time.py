"""A timeline in a zone's local time: where the zone goes back an hour, it is cut as by a step of the clock.

So the order of rows decides which of two instants a repeated local time means, by the rules for a backward
step (order.py); what remains undecided is ambiguous. Such a cut is known exactly and has no margin.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tidesync.sessions.correction.instrument_clock import Shifted
from tidesync.sessions.correction.timeline import AMBIGUOUS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidesync.sessions.correction.order import RowCorrector
    from tidesync.sessions.correction.stamps.form import StampForm
    from tidesync.sessions.correction.stamps.zones import Zone
    from tidesync.sessions.correction.table import Batch
    from tidesync.sessions.correction.timeline import Corrections, Timeline, TimelineSegment
    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator.blocks import Integers


def timeline_for(timeline: Timeline, form: StampForm | None) -> Timeline:
    """The timeline of timestamps in this form."""
    zone = _changing_zone(timeline, form)
    own = timeline if zone is None else in_zone(timeline, zone)
    return own if form is None else own.coarse(form.resolution_ns)


def certain_rows(batch: Batch, timeline: Timeline, form: StampForm | None) -> tuple[Flags, Integers]:
    """Which rows have one timestamp on the clock of `timeline_for`, and these."""
    zone = _changing_zone(timeline, form)
    if zone is None:
        return batch.certain, batch.unix_ns[batch.certain]
    return batch.readable, zone.local(batch.unix_ns[batch.readable])


def corrected_stamps(
    batch: Batch, form: StampForm | None, timeline: Timeline, corrector: RowCorrector
) -> Corrections:
    """The corrections of all rows of a batch, whose timestamps are written in this form."""
    certain, pi_ns = certain_rows(batch, timeline, form)
    coarser = None
    if form is not None and batch.resolution_ns is not None and batch.resolution_ns.any():
        exact = timeline_for(timeline, replace(form, resolution_ns=0))
        coarser = exact, batch.resolution_ns[certain]
    found = corrector.correct(pi_ns, coarser).spread(certain)
    if batch.repeated is not None:
        found.state[batch.repeated & ~certain] = AMBIGUOUS
    return found


def _changing_zone(timeline: Timeline, form: StampForm | None) -> Zone | None:
    """The zone of a column's times, if it changes its distance from UTC within the timeline."""
    if form is None or form.zone is None or form.zone.fixed_ns is not None or not timeline.segments:
        return None
    first_ns = min(segment.from_ns for segment in timeline.segments)
    last_ns = max(segment.to_ns for segment in timeline.segments)
    return form.zone if len(form.zone.pieces(first_ns, last_ns)) > 1 else None


def in_zone(timeline: Timeline, zone: Zone) -> Timeline:
    """The timeline for what a clock in `zone` shows, as ns since 1970-01-01T00:00 on it."""
    return timeline.of_segments([part for segment in timeline.segments for part in _parts(segment, zone)])


def _parts(segment: TimelineSegment, zone: Zone) -> Iterator[TimelineSegment]:
    before_ns, after_ns = segment.unheard_ns
    for first_ns, last_ns, east_ns in zone.pieces(segment.from_ns, segment.to_ns):
        unheard_ns = before_ns * (first_ns == segment.from_ns), after_ns * (last_ns == segment.to_ns)
        yield replace(
            segment,
            unheard_ns=unheard_ns,
            interpolation=Shifted(segment.interpolation, east_ns),
            from_ns=first_ns + east_ns,
            to_ns=last_ns + east_ns,
        )
