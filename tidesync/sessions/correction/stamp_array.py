"""Timestamps that are an array already: corrected as the one column of a Parquet table with these values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tidesync.sessions.correction.driver import corrected, scanned
from tidesync.sessions.correction.order import RowCorrector
from tidesync.sessions.correction.parquet_int96 import BATCH
from tidesync.sessions.correction.stamps.column import form_of_numbers
from tidesync.sessions.correction.stamps.numbers import UNIX
from tidesync.sessions.correction.stamps.options import StampOptions
from tidesync.sessions.correction.table import Batch, Job
from tidesync.sessions.correction.timeline import Corrections

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidesync.sessions.correction.stamps.form import StampForm, Stamps
    from tidesync.sessions.correction.timeline import Timeline
    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator.blocks import Integers

_SURVEYED = 4_096
"""The first rows and the last ones show how finely stamps resolve, as of a Parquet table's row group."""


@dataclass(frozen=True, slots=True)
class StampArray:
    """Times in UTC as counts of a unit since 1970, in the order in which they were stamped."""

    counts: Integers
    known: Flags
    """Which are there; the counts of others are void."""
    unit: str = "ns"
    """`s`, `ms`, `us` or `ns`."""
    resolution_ns: int | None = None
    """The user's promise of how finely they resolve; None: found."""

    def form(self, measured: Sequence[tuple[int, int]]) -> StampForm:
        """How finely they resolve, as all of them show it."""
        promise = None if self.resolution_ns is None else self.resolution_ns / 1e6
        job = Job(Path("times"), "", stamps=StampOptions(zone="UTC", resolution_ms=promise))
        scale = next(scale for scale in UNIX if scale.name == self.unit)
        last = max((self.counts.size - 1) // _SURVEYED, 1) * _SURVEYED
        counts, known = (np.append(each[:_SURVEYED], each[last:]) for each in (self.counts, self.known))
        return form_of_numbers(job, measured, counts[known], scale)

    def stamps(self, form: StampForm) -> Iterator[Stamps]:
        """Their instants, in batches."""
        for begin in range(0, self.counts.size, BATCH):
            here = slice(begin, begin + BATCH)
            yield form.read_numbers(self.counts[here], self.known[here])


class Instants(NamedTuple):
    """Unix ns of times that are `readable`, and how finely each resolves."""

    unix_ns: Integers
    readable: Flags
    resolution_ns: Integers


def instants_of(stamps: StampArray, measured: Sequence[tuple[int, int]]) -> Instants:
    """The instants of times on a clock that is not corrected; `measured`: as `Timeline.measured`."""
    if not stamps.known.any():
        return Instants(np.zeros_like(stamps.counts), stamps.known, np.zeros_like(stamps.counts))
    form = stamps.form(measured)
    found = list(stamps.stamps(form))
    unix_ns, readable, coarser = (
        np.concatenate(columns)
        for columns in zip(
            *((each.unix_ns, each.readable, each.resolution_ns) for each in found), strict=True
        )
    )
    return Instants(unix_ns, readable, np.maximum(coarser, form.resolution_ns))


class _Rows:
    """The array as a table; see `correction.table.Stamped`."""

    def __init__(self, stamps: StampArray, form: StampForm) -> None:
        self._stamps, self.form = stamps, form

    def scan(self) -> Iterator[Batch]:
        """All rows."""
        for found in self._stamps.stamps(self.form):
            yield Batch(None, found.unix_ns, found.readable, (), 0, found.repeated, found.resolution_ns)


def corrections_of(stamps: StampArray, timeline: Timeline, *, ordered: bool) -> Corrections:
    """The corrections of a vehicle's times; the state is UNREADABLE where there is none.

    `ordered`: whether their order is that in which they were stamped, or nearly. Else it decides nothing.
    """
    if not stamps.known.any():
        none = np.zeros(0, dtype=np.int64)
        return Corrections(none, none, none, none).spread(stamps.known)
    rows = _Rows(stamps, stamps.form(timeline.measured))
    if ordered:
        corrector = scanned(rows, timeline, lambda _: None)
    else:
        corrector = RowCorrector(timeline.coarse(rows.form.resolution_ns))
    found = [corrected(batch, rows, timeline, corrector) for batch in rows.scan()]
    return Corrections(*(np.concatenate(columns) for columns in zip(*found, strict=True)))
