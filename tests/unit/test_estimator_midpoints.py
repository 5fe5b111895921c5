"""The line through midpoints: better than the windows on symmetric delays, and unused elsewhere."""

import numpy as np
import pytest

from schemas.exchange import Exchange
from topside_agent.estimator import EstimatorSettings, OffsetEstimator
from topside_agent.estimator.symmetric import SubWindowMidpoints
from topside_agent.estimator.window_errors import Line

S = 1_000_000_000
DRIFT = 18e-6


def measured(out_ms, back_ms, rate_hz=4.0):
    """An estimator that was given exchanges with these delays, and the offset (ns) at the last of them."""
    estimator = OffsetEstimator()
    for number, (out, back) in enumerate(zip(out_ms, back_ms, strict=True)):
        origin = 1_000 * S + round(number / rate_hz * S)
        receive = origin + round(out * 1e6)
        destination = receive + round(back * 1e6)
        drifted = round(DRIFT * (receive - 1_000 * S))
        estimator.add(
            Exchange(
                vehicle="rov1",
                topside="topside",
                seq=number,
                boot_id="boot",
                origin_ns=origin,
                receive_ns=receive + drifted,
                transmit_ns=receive + drifted,
                destination_ns=destination,
                pi_realtime_minus_raw_ns=0,
                topside_realtime_minus_raw_ns=0,
            )
        )
    return estimator, DRIFT * (destination - 1_000 * S)


def errors(out_median_ms, back_median_ms, seconds=120, rate_hz=4.0):
    """Of the estimate and of the windows' line alone, ns, over seeds."""
    found = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        count = round(seconds * rate_hz)
        ways = (rng.lognormal(np.log(ms), 0.5, count) for ms in (out_median_ms, back_median_ms))
        estimator, truth = measured(*ways, rate_hz)
        at_s = estimator.timebase.seconds(estimator.constraint.destination_ns)
        line = estimator.timebase.windows.line.at(at_s) + estimator.timebase.offset_anchor_ns
        found.append((estimator.estimate().offset_ns - truth, line - truth))
    return np.array(found).T


def rms(values):
    return float(np.sqrt(np.mean(np.square(values))))


def test_on_symmetric_delays_the_estimate_is_better_than_its_windows():
    estimate, windows = errors(5, 5)
    assert rms(estimate) < 0.75 * rms(windows)


def test_where_one_way_jitters_more_the_windows_alone_count():
    estimate, windows = errors(8, 2)
    assert np.abs(estimate - windows).max() < 0.03 * rms(windows)


def test_rare_exchanges_have_no_midpoint():
    rng = np.random.default_rng(1)
    estimator, _ = measured(rng.lognormal(1.6, 0.5, 200), rng.lognormal(1.6, 0.5, 200), rate_hz=1.0)
    assert estimator.timebase.windows.line is not None
    assert estimator.timebase.midpoints.line is None


def midpoints_on_a_line(midpoints, noise, best):
    """Ten sub-windows of symmetric delays spread by `noise`, 5 µs/s steep, and one exchange of the next."""
    for number in range(10 * 32 + 1):
        at_s = number / 4
        wide = noise * (number % 16)
        midpoints.add((at_s, 1e6 + 5e3 * at_s + wide, at_s, 5e3 * at_s - 1e6 - wide), best)
    return midpoints.line


def test_a_line_without_scatter_is_found_with_a_small_error():
    best = Line(80.0, 0.0, 5e3, 1e6, 1.0, 64.0)
    line = midpoints_on_a_line(SubWindowMidpoints(EstimatorSettings()), 1e4, best)
    assert (line.at_s, line.window_s) == (80.0, 64.0)
    assert line.at(80.0) == pytest.approx(5e3 * 80.0, abs=1.0)
    assert line.slope == pytest.approx(5e3, abs=0.1)
    assert 0 < line.variance < 1e5  # what wander adds in 64 s


def test_without_windows_there_is_no_line():
    assert midpoints_on_a_line(SubWindowMidpoints(EstimatorSettings()), 1e4, None) is None
