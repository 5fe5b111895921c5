"""A row of the table: what a contestant's estimates come to, in us."""

from __future__ import annotations

from math import ceil, nan
from statistics import fmean, median
from typing import TYPE_CHECKING, NamedTuple

from bench.peers.chance import NOT_KNOWN, Between, Figure, between, quantiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.peers.condition_run import Played
    from bench.peers.estimates import Estimate

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
    memory: int = 1
    """Of how many estimates' exchanges each is made: more than one for those who remember."""
    error_between_us: Between = NOT_KNOWN
    p95_between_us: Between = NOT_KNOWN
    stated_between_us: Between = NOT_KNOWN
    least_stated_us: float = nan
    """Of the surest estimate."""

    @property
    def error(self) -> Figure:
        return Figure(self.error_us, self.error_between_us)

    @property
    def p95(self) -> Figure:
        return Figure(self.p95_us, self.p95_between_us)

    @property
    def stated(self) -> Figure:
        return Figure(self.stated_us, self.stated_between_us)


class Single(NamedTuple):
    """Single exchanges, in us: their delays, and the errors that each alone would have made."""

    exchanges: int
    delay_us: float
    error_us: float
    error_p99_us: float
    delay_between_us: Between = NOT_KNOWN
    error_p99_between_us: Between = NOT_KNOWN
    least_delay_us: float = nan

    @property
    def delay(self) -> Figure:
        return Figure(self.delay_us, self.delay_between_us)

    @property
    def error_p99(self) -> Figure:
        return Figure(self.error_p99_us, self.error_p99_between_us)


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of them do not exceed."""
    return sorted(values)[max(0, ceil(share * len(values)) - 1)] if values else nan


def scores(contestant: str, played: Played) -> list[Score]:
    """A score for each of a contestant's rows."""
    return [_score(contestant, row, estimates, played) for row, estimates in played.rows.items()]


def _score(contestant: str, row: str, estimates: Sequence[Estimate], played: Played) -> Score:
    errors = [abs(e.error_ns) / 1e3 for e in estimates]
    stated = [e.stated_ns / 1e3 for e in estimates]
    memory = _memory(estimates, played)
    tail = len(errors) >= ENOUGH_FOR_P95
    return Score(
        contestant,
        row,
        len(estimates),
        median(errors) if errors else nan,
        quantile(errors, 0.95) if tail else nan,
        median(stated) if errors else nan,
        fmean(e.covered for e in estimates) if errors else nan,
        median(e.delay_ns / 1e3 for e in estimates) if errors else nan,
        median(e.exchanges for e in estimates) if errors else nan,
        played.asking.cpu_us,
        played.answering.cpu_us,
        played.asking.memory_mb,
        played.answering.memory_mb,
        memory,
        between(errors, memory=memory),
        between(errors, quantiles(0.95), memory) if tail else NOT_KNOWN,
        between(stated, memory=memory),
        min(stated, default=nan),
    )


def _memory(estimates: Sequence[Estimate], played: Played) -> int:
    """What an estimate is made of, in what is exchanged from one estimate to the next."""
    if not estimates or not played.exchanges:
        return 1
    return max(1, round(median(e.exchanges for e in estimates) * len(estimates) / played.exchanges))


_IN_TURN = 10
"""Single exchanges are resampled by so many in a row: a disturbance lasts longer than one."""


def single(played: Played) -> Single | None:
    """None where single exchanges cannot be seen."""
    errors = [abs(e.offset_ns) / 1e3 for e in played.singles]
    if not errors:
        return None
    delays = [e.delay_ns / 1e3 for e in played.singles]
    return Single(
        len(errors),
        median(delays),
        median(errors),
        quantile(errors, 0.99),
        between(delays, memory=_IN_TURN),
        between(errors, quantiles(0.99), _IN_TURN),
        min(delays),
    )
