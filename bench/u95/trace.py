"""A trace with one way longer, and how often u95 holds on it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench.estimators.ours import answers_afterwards, run_online
from bench.estimators.score import score
from bench.estimators.traces import FAMILIES, make_trace
from topside_agent.estimator import EstimatorSettings, smooth

if TYPE_CHECKING:
    from schemas.exchange import Exchange

ASSUMED = EstimatorSettings().asymmetry_share
_STREAM = 77
"""Of the seed: the clocks and delays keep theirs."""


class Job(NamedTuple):
    family: str
    seed: int
    rate_hz: float
    duration_s: float


class Held(NamedTuple):
    """On one trace, of the instants after the first 200 s: at how many the truth lay within u95."""

    job: Job
    share: float
    """What the ways' least delays differ by, as a share of their sum; positive: the way back is longer."""
    online: float
    afterwards: float
    bound: float
    """Of all instants, online or afterwards, those at which the hard bound held."""


def measure(job: Job) -> Held:
    """An estimator's exception names the trace."""
    try:
        return _measure(job)
    except Exception as error:
        error.add_note(f"on {job}")
        raise


def _measure(job: Job) -> Held:
    trace = make_trace(job.family, seed=job.seed, rate_hz=job.rate_hz, duration_s=job.duration_s)
    share = drawn(job.seed)
    trace = replace(trace, exchanges=with_asymmetry(trace.exchanges, share))
    settings = EstimatorSettings(asymmetry_ms=FAMILIES[job.family].asymmetry_ms)
    live = score(run_online(trace, settings).answers, trace.steps)
    track = smooth(trace.exchanges, settings)
    later = score(answers_afterwards(trace, track), trace.steps)
    held = min(live.covered, later.covered)
    return Held(job, share, live.covered_u95, later.covered_u95, held)


def drawn(seed: int) -> float:
    """A share of what is assumed, uniform, out in even seeds and back in odd ones."""
    size = float(np.random.default_rng([seed, _STREAM]).uniform(0, ASSUMED))
    return size if seed % 2 else -size


def with_asymmetry(exchanges: list[Exchange], share: float) -> list[Exchange]:
    """The same with one way longer by `share` of the new least round trip (back where positive)."""
    least_ns = min(_round_trip_ns(exchange) for exchange in exchanges)
    longer_ns = round(abs(share) * least_ns / (1 - abs(share)))
    if share >= 0:
        return [_copy(each, destination_ns=each.destination_ns + longer_ns) for each in exchanges]
    return [_copy(each, origin_ns=each.origin_ns - longer_ns) for each in exchanges]


def _copy(exchange: Exchange, **stamp: int) -> Exchange:
    return exchange.model_copy(update=stamp)


def _round_trip_ns(exchange: Exchange) -> int:
    return exchange.destination_ns - exchange.origin_ns - (exchange.transmit_ns - exchange.receive_ns)
