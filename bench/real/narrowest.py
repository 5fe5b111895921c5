"""The narrowest bound that the assumptions allow: `python -m bench.real.narrowest TABLE`.

See docs/mathematics.md §11. At each instant it solves the linear program of §4 over all exchanges,
not over blocks or pairs as the estimator does.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from bench.real.recording import read
from bench.real.score import SKIPPED_S
from topside_agent.estimator import EstimatorSettings

if TYPE_CHECKING:
    from bench.estimators.clocks import Floats
    from bench.real.recording import Recording

STEEPEST = 1e8
"""ns/s: ± 100 000 ppm."""
_GOLDEN = 0.382
_SEARCHED = 90
_TIMES = 1_000


def half_width(at_s: float, upper_at: Floats, upper: Floats, lower_at: Floats, lower: Floats) -> float:
    """Half of what the constraints (s, ns) leave for the offset at `at_s`, in ns; NaN if they contradict.

    Assumption: `wander_limit`, and no limit of the rate but ± 100 000 ppm.
    """
    wander = EstimatorSettings().wander_limit * 1e9
    over, under = at_s - upper_at, at_s - lower_at
    above, below = upper + wander * np.abs(over) ** 1.5, lower - wander * np.abs(under) ** 1.5

    def most(slope: float) -> float:
        return float((above + slope * over).min())

    def least(slope: float) -> float:
        return float((below + slope * under).max())

    middle = _highest(lambda slope: most(slope) - least(slope), -STEEPEST, STEEPEST)
    if most(middle) < least(middle):
        return float("nan")
    ends = [_edge(lambda slope: most(slope) >= least(slope), middle, far) for far in (-STEEPEST, STEEPEST)]
    return (most(_highest(most, *ends)) - least(_highest(lambda slope: -least(slope), *ends))) / 2


def _highest(concave: Callable[[float], float], low: float, high: float) -> float:
    for _ in range(_SEARCHED):
        first, second = low + (high - low) * _GOLDEN, high - (high - low) * _GOLDEN
        low, high = (first, high) if concave(first) < concave(second) else (low, second)
    return (low + high) / 2


def _edge(feasible: Callable[[float], bool], within: float, far: float) -> float:
    """The feasible slope that is nearest to `far`."""
    if feasible(far):
        return far
    for _ in range(_SEARCHED):
        middle = (within + far) / 2
        within, far = (middle, far) if feasible(middle) else (within, middle)
    return within


def halves(recording: Recording) -> tuple[float, float]:
    """The median online and afterwards, in units of half the least round trip, of `_TIMES` or more."""
    exchanges, start, anchor = recording.exchanges, recording.start_ns, recording.anchor_ns
    sent, back = (np.array([ns - start for ns in column]) / 1e9 for column in _times(recording))
    upper = np.array([float(e.receive_ns - e.origin_ns - anchor + e.resolution_ns) for e in exchanges])
    lower = np.array([float(e.transmit_ns - e.destination_ns - anchor - e.resolution_ns) for e in exchanges])
    settled = np.flatnonzero(back >= SKIPPED_S)
    chosen = settled[:: max(settled.size // _TIMES, 1)].tolist()
    columns = sent, upper, back, lower
    online = [half_width(back[last], *(column[: last + 1] for column in columns)) for last in chosen]
    afterwards = [half_width(back[last], *columns) for last in chosen]
    least = recording.least_half_ns
    return float(np.median(online)) / least, float(np.median(afterwards)) / least


def _times(recording: Recording) -> tuple[list[int], list[int]]:
    return [e.origin_ns for e in recording.exchanges], [e.destination_ns for e in recording.exchanges]


@click.command()
@click.argument("table", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(table: Path) -> None:
    """Print how narrow a bound of TABLE's exchanges can be, in units of half the least round trip."""
    online, afterwards = halves(read(table))
    click.echo(f"online {online:.3f}, afterwards {afterwards:.3f}")


if __name__ == "__main__":
    main()
