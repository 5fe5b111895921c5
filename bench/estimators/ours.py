"""Our estimator on a trace: online as exchanges come, through outages, and afterwards over the whole log."""

from __future__ import annotations

from time import thread_time_ns
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from bench.estimators.score import Answers
from bench.estimators.traces import START_REALTIME_NS
from topside_agent.estimator import Estimate, EstimatorSettings, OffsetEstimator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.estimators.clocks import Floats, Integers
    from bench.estimators.traces import Trace
    from topside_agent.estimator import Row, Track

OUTAGE_NS = 30_000_000_000
"""A longer pause between two exchanges is watched every 10 s: that is holdover."""


class Holdover(NamedTuple):
    """What was claimed during pauses: was the truth always held, and how wide was it at the end."""

    covered: float
    half_width_ms: float
    error_ms: float


class Online(NamedTuple):
    answers: Answers
    holdover: Holdover
    update_us: Floats
    estimate_us: Floats
    cuts: int


SYMMETRIC = EstimatorSettings(asymmetry_share=0)
"""The simulated ways share their least delay: without an allowance for others u95 is the precision."""


def run_online(trace: Trace, settings: EstimatorSettings | None = None) -> Online:
    """One estimate after each exchange, timed (processor time) apart from the update."""
    estimator = OffsetEstimator(settings or SYMMETRIC)
    estimates: list[Estimate] = []
    pauses: list[Estimate] = []
    cuts_s: list[float] = []
    costs_ns: list[tuple[int, int]] = []
    before_ns = trace.exchanges[0].destination_ns
    for exchange in trace.exchanges:
        if exchange.destination_ns - before_ns > OUTAGE_NS:
            pauses += _through_pause(estimator, trace, before_ns, exchange.origin_ns)
        before_ns = max(before_ns, exchange.destination_ns)
        begun = thread_time_ns()
        added = estimator.add(exchange)
        updated = thread_time_ns()
        estimate = estimator.estimate()
        costs_ns.append((updated - begun, thread_time_ns() - updated))
        assert estimate is not None  # at least one exchange is in
        estimates.append(estimate)
        if added.cut is not None:
            cuts_s.append((added.cut.at_ns - START_REALTIME_NS) / 1e9)
    update_us, estimate_us = np.array(costs_ns, dtype=np.float64).T / 1e3
    answers = _answers(trace, estimates, cuts_s)
    return Online(answers, _holdover(trace, pauses), update_us, estimate_us, len(cuts_s))


def _through_pause(estimator: OffsetEstimator, trace: Trace, begin_ns: int, end_ns: int) -> list[Estimate]:
    """Up to a second before the next message: what broke the Pi's clock meanwhile comes with that."""
    difference = trace.topside_realtime_minus_raw_ns
    last_ns = end_ns - 1_000_000_000
    instants = [*range(begin_ns, last_ns, 10_000_000_000), last_ns]
    claimed = [estimator.estimate(at_ns - difference, difference) for at_ns in instants]
    return [estimate for estimate in claimed if estimate is not None]


def _holdover(trace: Trace, pauses: list[Estimate]) -> Holdover:
    if not pauses:
        return Holdover(float("nan"), float("nan"), float("nan"))
    truth = trace.truth_at(np.array([e.measured_at_ns for e in pauses])).tolist()
    held = [e.lower_ns <= t <= e.upper_ns for e, t in zip(pauses, truth, strict=True)]
    last = pauses[-1]
    half_ms = (last.upper_ns - last.lower_ns) / 2e6
    return Holdover(float(np.mean(held)), half_ms, abs(last.offset_ns - truth[-1]) / 1e6)


def _answers(trace: Trace, estimates: list[Estimate], cuts_s: list[float]) -> Answers:
    at_ns = np.array([e.measured_at_ns for e in estimates], dtype=np.int64)
    at_s = (at_ns - START_REALTIME_NS) / 1e9
    counted = np.ones(at_s.size, dtype=bool)
    for step in trace.steps:
        if step.kind == "unreported":
            noticed_s = min((cut for cut in cuts_s if cut >= step.at_s), default=np.inf)
            counted &= (at_s < step.at_s) | (at_s >= noticed_s)
    columns = _relative(trace.truth_at(at_ns), estimates)
    return Answers(at_s, *columns, counted)


def _relative(truth_ns: Integers, rows: Sequence[Estimate | Row]) -> tuple[Floats, Floats, Floats, Floats]:
    """Offset, lower and upper less the truth, and u95: integers until then, for clocks decades apart."""
    stated = [
        (
            row.offset_ns - truth,
            row.lower_ns - truth,
            row.upper_ns - truth,
            np.nan if row.u95_ns is None else row.u95_ns,
        )
        for row, truth in zip(rows, truth_ns.tolist(), strict=True)
    ]
    offset, lower, upper, u95 = np.array(stated, dtype=np.float64).T
    return offset, lower, upper, u95


def answers_afterwards(trace: Trace, track: Track) -> Answers:
    """The smoothed track at each exchange's destination; ambiguous rows are not held to their bounds."""
    at_ns = np.array([row.topside_unix_ns for row in track.rows], dtype=np.int64)
    columns = _relative(trace.truth_at(at_ns), track.rows)
    counted = np.array([row.state != "ambiguous" for row in track.rows])
    return Answers((at_ns - START_REALTIME_NS) / 1e9, *columns, counted)
