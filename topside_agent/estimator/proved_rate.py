"""How far apart two RAW clocks may run, as far as the exchanges of a whole log prove it."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

from topside_agent.estimator.constraints import constraint_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from schemas.exchange import Exchange
    from topside_agent.estimator.settings import EstimatorSettings
    from topside_agent.estimator.timebase import Timebase


def proved_rate_ppm(
    timebases: Iterable[tuple[Timebase, Exchange, Exchange]], settings: EstimatorSettings
) -> float:
    """The greatest rate (ppm, absolute) that any two boots' RAW clocks may have; 0 without RAW clocks.

    `timebases` are in the order of time, each with its first and its last exchange.

    Of each pair of boots the timebase that proves most counts: what it proves at its end holds at all times
    of these boots within the wander from one to the other. Assumption: the wander limit; broken by a virtual
    machine that changes the rate of its clock at once.
    """
    of_boots: dict[tuple[str | None, str | None], list[tuple[Timebase, Exchange, Exchange]]] = {}
    for timebase, first, last in timebases:
        if timebase.raw:
            of_boots.setdefault((first.boot_id, first.topside_boot_id), []).append((timebase, first, last))
    return max((_rate_ppm(together, settings) for together in of_boots.values()), default=0.0)


def _rate_ppm(together: Sequence[tuple[Timebase, Exchange, Exchange]], settings: EstimatorSettings) -> float:
    first, last = constraint_of(together[0][1]), constraint_of(together[-1][2])
    span_s = abs(last.destination_ns - first.origin_ns) * 1e-9
    extremes = (timebase.bound.drifts(timebase.newest_s) for timebase, _, _ in together)
    least = min(max(abs(slowest), abs(fastest)) for slowest, fastest in extremes)
    return least * 1e-3 + 2 * settings.wander_limit * sqrt(span_s) * 1e6
