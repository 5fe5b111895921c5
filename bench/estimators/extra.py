"""Further faults. Required: every bound holds, the expected number of cuts, and a plausible width.

And no greater error afterwards than online, but where the path becomes asymmetric: there the error is half of
the difference as soon as it is believed, and an estimator that believes the old path for longer errs less.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bench.estimators.jobs import AFTERWARDS, ONLINE, Result
from bench.estimators.ours import Holdover
from bench.estimators.table import TIE, Cell, cell
from bench.estimators.traces import EXTRA

HALF_WIDTH_MS = {"outage_5min": 8.0, "outage_30min": 66.0}
"""About what the bound should have grown to at the end of the pause."""
HALF_WIDTH_TOLERANCE = 1.25


class ExtraRow(NamedTuple):
    family: str
    online: Cell
    afterwards: Cell
    holdover: Holdover
    """Means over seeds."""
    cuts: float
    inside: float
    failures: list[str]


def extra_rows(results: list[Result]) -> list[ExtraRow]:
    families = [family for family in EXTRA if any(r.job.family == family for r in results)]
    return [_row(family, [r for r in results if r.job.family == family]) for family in families]


def _row(family: str, results: list[Result]) -> ExtraRow:
    online = cell([r.scores[ONLINE] for r in results])
    afterwards = cell([r.scores[AFTERWARDS] for r in results])
    holdover = Holdover(*(float(x) for x in np.array([r.holdover for r in results]).mean(axis=0)))
    cuts = float(np.mean([r.cuts for r in results]))
    inside = float(np.mean([r.inside for r in results]))
    row = ExtraRow(family, online, afterwards, holdover, cuts, inside, [])
    return row._replace(failures=_failures(row))


def _failures(row: ExtraRow) -> list[str]:
    found = []
    if row.online.covered < 1.0 or row.afterwards.covered < 1.0:
        found.append("a bound missed the truth")
    worse = row.afterwards.rms_us > TIE * row.online.rms_us
    if worse and not EXTRA[row.family].asymmetry_changes:
        found.append("worse afterwards than online")
    if row.holdover.covered < 1.0:
        found.append("the bound missed the truth within the pause")
    expected = EXTRA[row.family].cuts
    if row.cuts != expected:
        found.append(f"{row.cuts:g} cuts, not {expected}")
    if row.inside < 1.0:
        found.append("a smoothed interval reaches beyond the online one")
    limit_ms = HALF_WIDTH_MS.get(row.family)
    if limit_ms is not None and row.holdover.half_width_ms > limit_ms * HALF_WIDTH_TOLERANCE:
        found.append(f"half-width {row.holdover.half_width_ms:.1f} ms, about {limit_ms:g} required")
    return found
