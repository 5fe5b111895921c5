"""The errors in the report against the simulated truth: between rows, in gaps, around cuts."""

import numpy as np
import pytest

from bench.estimators.traces import make_trace
from runtime.clock import Step
from tests.effort import few, tries
from tests.simulation.test_fallback import MS, S, harbour
from tidesync.sessions.report.verdict import coverage, verdict
from topside_agent.estimator import EstimatorSettings, Row, smooth

pytestmark = pytest.mark.slow

FAMILIES = (
    "clean",
    "lognormal",
    "wander",
    "cold_dunk",
    "loss",
    "reordering",
    "step_50ms_reported",
    "step_back_3s_reported",
    "step_3s_unreported",
    "reboot",
    "suspend",
)


def promised(exchanges):
    """The intervals of the smoothed track, the valid rows' instants and offsets."""
    by_instant = {exchange.destination_ns: exchange for exchange in exchanges}
    track = smooth(exchanges)
    rows = [row for row in track.rows if row.state == "ok"]
    at_ns = np.array([row.topside_unix_ns for row in rows])
    offset_ns = np.array([row.offset_ns for row in rows])
    return coverage(track, by_instant, EstimatorSettings()), at_ns, offset_ns - offset_ns[0], offset_ns[0]


def broken_promises(truth_at, exchanges):
    """(kind, s, ns): where the straight line between rows is off by more than the interval's error."""
    intervals, at_ns, offset_ns, first_ns = promised(exchanges)
    found = []
    for interval in intervals:
        if interval.error_ns is None or interval.duration_ns == 0:
            continue
        instants = np.linspace(interval.from_ns, interval.to_ns, 2000).astype(np.int64)
        instants = np.clip(instants, interval.from_ns, interval.to_ns)
        interpolated = np.interp(instants - at_ns[0], at_ns - at_ns[0], offset_ns)
        off = np.abs(interpolated - (truth_at(instants) - first_ns))
        found += [
            (interval.kind, (at - at_ns[0]) / S, error)
            for at, error in zip(instants.tolist(), off.tolist(), strict=True)
            if error > interval.error_ns
        ]
    return found


@pytest.mark.parametrize("family", few(FAMILIES))
@pytest.mark.parametrize("seed", range(1, 1 + tries(2)))
def test_no_timestamp_of_a_covered_interval_is_off_by_more_than_its_error(family, seed):
    trace = make_trace(family, seed=seed, duration_s=900)
    assert broken_promises(trace.truth_at, trace.exchanges) == []


@pytest.mark.slow
@pytest.mark.parametrize("family", few(["cold_dunk", "wander", "clean"]))
def test_the_error_of_a_gap_of_five_minutes_holds(family):
    trace = make_trace(family, seed=3, duration_s=1500)
    kept = [
        exchange
        for exchange, at_s in zip(trace.exchanges, trace.at_s.tolist(), strict=True)
        if not 600 < at_s < 900
    ]
    intervals = promised(kept)[0]
    assert [interval.kind for interval in intervals] == ["covered", "gap", "covered"]
    assert intervals[1].error_ns < 10_000_000
    assert broken_promises(trace.truth_at, kept) == []


@pytest.mark.parametrize("step_ns", [0, 2 * MS, -5 * MS, 50 * MS])
@pytest.mark.parametrize("seed", range(tries(5)))
def test_the_error_over_http_alone_holds_across_an_undetected_step(step_ns, seed):
    simulation = harbour(seed, simulated={"steps": (Step(40.5, step_ns),)})
    simulation.run(80)

    def truth_at(instants):
        raw_ns = (instants - simulation.clock.difference_ns).tolist()
        return np.array([round(simulation.true_ms(each) * MS) for each in raw_ns])

    assert broken_promises(truth_at, simulation.exchanges()) == []


def test_an_error_that_is_too_small_would_be_found(monkeypatch):
    monkeypatch.setattr(Row, "max_error_ns", 1_000)
    trace = make_trace("lognormal", seed=1, duration_s=900)
    assert broken_promises(trace.truth_at, trace.exchanges)


@pytest.mark.parametrize("family", few(["step_3s_unreported", "step_50ms_reported", "reboot", "suspend"]))
def test_a_cut_is_in_an_uncertain_interval_with_its_cause(family):
    trace = make_trace(family, seed=1, duration_s=900)
    intervals = promised(trace.exchanges)[0]
    (cut,) = [interval for interval in intervals if interval.kind == "uncertain"]
    causes = {"step_50ms_reported": "step", "step_3s_unreported": "inconsistent"}
    assert cut.cause == causes.get(family, family)
    assert verdict(intervals).grade in {"yes", "partly"}
