"""The relation of both RAW clocks from a smoothed track, in groups.

θ_RAW = offset − (realtime − RAW of the Pi) + (realtime − RAW of topside), exactly, as the exchange has them.
A group ends where a machine slept or booted; and, where no clock history says that neither did, at every cut
of the track. Between two exchanges of a group RAW keeps its rate and wander (interpolation.py), steps or not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tidesync.sessions.correction.interpolation import Knots, u95_of
from topside_agent.estimator import EstimatorSettings, Rows, smooth

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from schemas.exchange import Exchange
    from tidesync.sessions.correction.clock_function import ClockFunction
    from topside_agent.estimator import Cause, Row, Track

Boot = str | int | None
_RAW_MAY_RUN_ON: set[Cause] = {"step", "topside_step", "suspend"}
"""Causes that a clock history can refute as a break of RAW."""


@dataclass(frozen=True, slots=True)
class Sample:
    """An exchange on the RAW clocks: the Pi's at the transmit stamp, topside's at the destination stamp."""

    exchange: Exchange
    pi_raw_ns: int
    topside_raw_ns: int
    pi_boot: Boot
    topside_boot: Boot


@dataclass(slots=True)
class RawGroup:
    """Exchanges and their rows, at least one, between which both RAW clocks ran on."""

    pi_boot: Boot
    topside_boot: Boot
    rows: list[tuple[Sample, Row]] = field(default_factory=list)
    sleeps: tuple[int, int] = (0, 0)
    """How often the Pi and topside had slept before."""

    def knots(self) -> Knots:
        """The rows as knots on RAW."""
        shift = [_realtime_offset(sample.exchange) for sample, _ in self.rows]
        columns = [
            (sample.topside_raw_ns, row.offset_ns - less, row.lower_ns - less, row.upper_ns - less)
            for (sample, row), less in zip(self.rows, shift, strict=True)
        ]
        topside, offset, lower, upper = np.array(columns, dtype=np.int64).T
        held = np.zeros(topside.size, dtype=bool)
        return Knots(topside, offset, lower, upper, held, u95_of([row for _, row in self.rows]))


def samples(exchanges: Sequence[Exchange]) -> list[Sample]:
    """The exchanges that carry both RAW clocks, in their order."""
    found: list[Sample] = []
    boot, newest = 0, 0
    for exchange in exchanges:
        pi, topside = exchange.pi_realtime_minus_raw_ns, exchange.topside_realtime_minus_raw_ns
        if pi is None or topside is None:
            continue
        raw = exchange.destination_ns - topside
        boot += raw < newest  # `in_order` has sorted each boot by RAW
        newest = raw
        name = exchange.topside_boot_id
        found.append(
            Sample(exchange, exchange.transmit_ns - pi, raw, exchange.boot_id, boot if name is None else name)
        )
    return found


def raw_groups(
    listed: Sequence[Sample],
    track: Track | None,
    pi: Mapping[Boot, ClockFunction],
    topside: Mapping[Boot, ClockFunction],
    settings: EstimatorSettings,
) -> list[RawGroup]:
    """The groups in the order of time; exchanges that are ambiguous or refused are left out.

    `track` is that of `listed` and no others; None: there is none yet.
    """
    parts: dict[tuple[Boot, Boot, int, int], list[Sample]] = {}
    for sample in listed:
        pi_slept = pi[sample.pi_boot].slept_before(sample.pi_raw_ns)
        topside_slept = topside[sample.topside_boot].slept_before(sample.topside_raw_ns)
        if pi_slept is not None and topside_slept is not None:
            key = (sample.pi_boot, sample.topside_boot, pi_slept, topside_slept)
            parts.setdefault(key, []).append(sample)
    groups: list[RawGroup] = []
    for (pi_boot, topside_boot, slept_pi, slept_topside), of_part in parts.items():
        whole = len(of_part) == len(listed)
        part = track if whole else None
        part = part or smooth([sample.exchange for sample in of_part], settings)
        known = {sample.exchange.destination_ns: sample for sample in of_part}
        causes = {segment.segment: segment.cause for segment in part.segments}
        last: tuple[Sample, Row] | None = None
        rows = Rows.of(part.rows)
        for row, realtime_ns in zip(rows, rows.realtime_ns.tolist(), strict=True):
            if row.topside_unix_ns not in known or row.state not in {"ok", "holdover"}:
                continue
            sample = known[row.topside_unix_ns]
            row = _on_raw(row, int(realtime_ns))  # noqa: PLW2901
            functions = pi[pi_boot], topside[topside_boot]
            if last is None or not _runs_on(last, (sample, row), causes, *functions):
                groups.append(RawGroup(pi_boot, topside_boot, sleeps=(slept_pi, slept_topside)))
            if not groups[-1].rows or _rises(groups[-1].rows[-1][0], sample):
                groups[-1].rows.append((sample, row))
                last = sample, row
    return groups


def _runs_on(
    before: tuple[Sample, Row],
    after: tuple[Sample, Row],
    causes: Mapping[int, Cause],
    pi: ClockFunction,
    topside: ClockFunction,
) -> bool:
    """Whether RAW certainly ran on from one exchange to the next on both sides."""
    (earlier, row), (later, later_row) = before, after
    if row.segment == later_row.segment:
        return True
    between = {causes[number] for number in range(row.segment + 1, later_row.segment + 1) if number in causes}
    known = pi.history_covers(earlier.pi_raw_ns, later.pi_raw_ns)
    known = known and topside.history_covers(earlier.topside_raw_ns, later.topside_raw_ns)
    return known and between <= _RAW_MAY_RUN_ON


def _on_raw(row: Row, realtime_ns: int) -> Row:
    """`row` without what its bound allows the wall clocks: the histories have what they did."""
    return row._replace(lower_ns=row.lower_ns + realtime_ns, upper_ns=row.upper_ns - realtime_ns)


def between_boots_ns(last: Sample, first: Sample) -> int:
    """For how long at most nobody has heard of the Pi's clock, between the last and first of two boots."""
    passed_ns = first.exchange.destination_ns - last.exchange.destination_ns
    if last.topside_boot == first.topside_boot:  # asleep, topside's RAW stood still
        return max(first.topside_raw_ns - last.topside_raw_ns, passed_ns, 0)
    return abs(passed_ns)


def _rises(before: Sample, sample: Sample) -> bool:
    return sample.topside_raw_ns > before.topside_raw_ns and sample.pi_raw_ns > before.pi_raw_ns


def _realtime_offset(exchange: Exchange) -> int:
    return (exchange.pi_realtime_minus_raw_ns or 0) - (exchange.topside_realtime_minus_raw_ns or 0)
