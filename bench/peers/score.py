"""A row of the table: what a contestant's estimates come to, in us."""

from __future__ import annotations

from math import ceil, nan
from statistics import fmean, median
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.peers.estimates import Estimate
    from bench.peers.match import Played

ENOUGH_FOR_P95 = 20
"""Of fewer estimates the 95th percentile is but the worst."""


class Score(NamedTuple):
    """Errors in us; CPU in us per exchange and memory in MB, of the asking and the answering side."""

    contestant: str
    row: str
    estimates: int
    error_us: float
    p95_us: float
    stated_us: float
    covered: float
    delay_us: float
    exchanges: float
    cpu_asking_us: float
    cpu_answering_us: float
    memory_asking_mb: float
    memory_answering_mb: float


class Single(NamedTuple):
    """Single exchanges, in us: their delays, and the errors that each alone would have made."""

    exchanges: int
    delay_us: float
    error_us: float
    error_p99_us: float


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of them do not exceed."""
    return sorted(values)[max(0, ceil(share * len(values)) - 1)] if values else nan


def scores(contestant: str, played: Played) -> list[Score]:
    """A score for each of a contestant's rows."""
    return [_score(contestant, row, estimates, played) for row, estimates in played.rows.items()]


def _score(contestant: str, row: str, estimates: Sequence[Estimate], played: Played) -> Score:
    errors = [abs(e.error_ns) / 1e3 for e in estimates]
    return Score(
        contestant,
        row,
        len(estimates),
        median(errors) if errors else nan,
        quantile(errors, 0.95) if len(errors) >= ENOUGH_FOR_P95 else nan,
        median(e.stated_ns / 1e3 for e in estimates) if errors else nan,
        fmean(e.covered for e in estimates) if errors else nan,
        median(e.delay_ns / 1e3 for e in estimates) if errors else nan,
        median(e.exchanges for e in estimates) if errors else nan,
        played.asking.cpu_us,
        played.answering.cpu_us,
        played.asking.memory_mb,
        played.answering.memory_mb,
    )


def single(played: Played) -> Single | None:
    """None where single exchanges cannot be seen."""
    errors = [abs(e.offset_ns) / 1e3 for e in played.singles]
    if not errors:
        return None
    delays = [e.delay_ns / 1e3 for e in played.singles]
    return Single(len(errors), median(delays), median(errors), quantile(errors, 0.99))
