"""The acceptance table: means over seeds beside the required figures, with a verdict for each row."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from bench.estimators.jobs import AFTERWARDS, ONLINE, Result
from bench.estimators.peers import ONLINE as ONLINE_PEERS
from bench.estimators.peers import PEERS
from bench.estimators.score import Score
from bench.estimators.targets import (
    MAIN_RATE_HZ,
    PRECISION_COVERAGE,
    PRECISION_SEEDS,
    RECOVERY_S,
    SEEDS,
    SYMMETRIC,
    TARGETS,
    TOLERANCE,
    Target,
)

TIE = 1.005
"""Where delays themselves mislead, nobody is better than anybody; within half a percent is a tie."""


class Cell(NamedTuple):
    """An estimator on a family: means over seeds, the greatest recovery, the least coverage."""

    seeds: int
    rms_us: float
    p99_us: float
    covered: float
    covered_u95: float
    half_width_us: float
    u95_us: float
    recovery_s: float
    excluded: float


class FamilyRow(NamedTuple):
    family: str
    rate_hz: float
    cells: dict[str, Cell]
    failures: list[str]
    """Every promise that the row breaks, in words; empty is a pass."""


def cell(scores: list[Score]) -> Cell:
    columns = np.array(scores, dtype=np.float64).T
    rms, p99, covered, covered_u95, half, u95, recovery, excluded = columns
    return Cell(
        len(scores),
        float(rms.mean()),
        float(p99.mean()),
        float(covered.min()),
        float(covered_u95.mean()),
        float(half.mean()),
        float(u95.mean()),
        float(recovery.max()),
        float(excluded.mean()),
    )


def rows(results: list[Result], seeds: int) -> list[FamilyRow]:
    """One row per family and rate, from the first `seeds` seeds (more serve the precision's coverage)."""
    groups = _grouped(results)
    return [_row(family, rate_hz, found, seeds) for (family, rate_hz), found in groups.items()]


def _grouped(results: list[Result]) -> dict[tuple[str, float], list[Result]]:
    groups: dict[tuple[str, float], list[Result]] = defaultdict(list)
    for result in results:
        groups[result.job.family, result.job.rate_hz].append(result)
    return groups


def _row(family: str, rate_hz: float, results: list[Result], seeds: int) -> FamilyRow:
    scored: dict[str, list[Score]] = defaultdict(list)
    for result in results:
        if result.job.seed < seeds:
            for name, value in result.scores.items():
                scored[name].append(value)
    cells = {name: cell(values) for name, values in scored.items()}
    failures = _failures(family, rate_hz, cells) + _precision_failures(results)
    return FamilyRow(family, rate_hz, cells, failures)


def _failures(family: str, rate_hz: float, cells: dict[str, Cell]) -> list[str]:
    found = []
    judged = TARGETS.get(family) if cells[ONLINE].seeds >= SEEDS else None
    for name, target_us in _required(judged, rate_hz).items():
        reached = cells[name].rms_us
        if target_us is not None and reached > target_us * TOLERANCE:
            found.append(f"{name}: {reached:.3g} us, required {target_us:g}")
    found += [
        f"{name}: bound held {cells[name].covered:.4%}"
        for name in (ONLINE, AFTERWARDS)
        if cells[name].covered < 1.0
    ]
    if cells[AFTERWARDS].rms_us > TIE * cells[ONLINE].rms_us:
        found.append("worse afterwards than online")
    if family == "step" and rate_hz == 4.0 and cells[ONLINE].recovery_s > RECOVERY_S:
        found.append(f"recovered after {cells[ONLINE].recovery_s:.1f} s")
    return found + _beaten(cells)


def _required(target: Target | None, rate_hz: float) -> dict[str, float | None]:
    if target is None:
        return {}
    if rate_hz == 4.0:
        return {ONLINE: target.online_us, AFTERWARDS: target.afterwards_us}
    return {ONLINE: target.slow_us}


def _beaten(cells: dict[str, Cell]) -> list[str]:
    """Peers that do better: online ones than ours online, pyxdf than ours afterwards."""
    found = []
    for name in PEERS:
        mine = ONLINE if name in ONLINE_PEERS else AFTERWARDS
        if name in cells and cells[name].rms_us * TIE < cells[mine].rms_us:
            found.append(f"{name} does better")
    return found


class PrecisionRow(NamedTuple):
    """How often the precision held, pooled over all seeds there are."""

    family: str
    rate_hz: float
    seeds: int
    online: float
    afterwards: float

    @property
    def required(self) -> bool:
        return self.rate_hz == MAIN_RATE_HZ and self.seeds >= PRECISION_SEEDS

    @property
    def passes(self) -> bool:
        low, high = PRECISION_COVERAGE
        return not self.required or (low <= self.online <= high and low <= self.afterwards)


def precision_rows(results: list[Result]) -> list[PrecisionRow]:
    """Families with symmetric directions: elsewhere the precision promises nothing."""
    found = _grouped([result for result in results if result.job.family in SYMMETRIC])
    return [_precision_row(family, rate_hz, group) for (family, rate_hz), group in found.items()]


def _precision_row(family: str, rate_hz: float, results: list[Result]) -> PrecisionRow:
    online, afterwards = (
        float(np.mean([result.scores[name].covered_u95 for result in results]))
        for name in (ONLINE, AFTERWARDS)
    )
    return PrecisionRow(family, rate_hz, len(results), online, afterwards)


def _precision_failures(results: list[Result]) -> list[str]:
    return [
        f"precision held {row.online:.1%} online, {row.afterwards:.1%} afterwards, over {row.seeds} seeds"
        for row in precision_rows(results)
        if not row.passes
    ]
