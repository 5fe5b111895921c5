"""The hard bound against the linear program solved by brute force, and its growth."""

import numpy as np
import pytest

from tests.effort import tries
from topside_agent.estimator.blocks import Blocks
from topside_agent.estimator.bound import Bound, ClockLimits

LIMITS = ClockLimits(rate=200e3, wander=500.0, tangents=True)


def constraints(rng, count, drift=18e3):
    sent = np.sort(rng.uniform(0, 60, count))
    out, back = rng.exponential(5e5, (2, count)) + 1e6
    arrived = sent + (out + back) * 1e-9
    return np.array([sent, drift * sent + out, arrived, drift * arrived - back])


def brute_force(columns, now_s):
    """The least and greatest offset over a fine grid of drifts."""
    upper_at, upper, lower_at, lower = columns
    drifts = np.linspace(-200e3, 200e3, 400_001)
    ages, older = now_s - upper_at, now_s - lower_at
    high = np.full(drifts.size, np.inf)
    low = np.full(drifts.size, -np.inf)
    for age, bound in zip(ages, upper, strict=True):
        high = np.minimum(high, bound + LIMITS.wander * age**1.5 + drifts * age)
    for age, bound in zip(older, lower, strict=True):
        low = np.maximum(low, bound - LIMITS.wander * age**1.5 + drifts * age)
    possible = high >= low
    return low[possible].min(), high[possible].max()


@pytest.mark.parametrize("seed", range(tries(5)))
def test_refit_finds_the_extremes_of_all_lines_that_contradict_nothing(seed):
    columns = constraints(np.random.default_rng(seed), 40)
    now_s = columns[2].max()
    bound = Bound(LIMITS)
    for column in columns.T:
        bound.add(*column.tolist())
    assert bound.refit(columns, now_s)
    assert bound.at(now_s) == pytest.approx(brute_force(columns, now_s), abs=50.0)


def test_a_drift_that_wanders_within_its_limit_contradicts_nothing():
    at_s = np.arange(0.0, 600.0, 2.0)
    curve = 400.0 * np.abs(at_s - 599.0) ** 1.5  # 0.8 of the limit, from the newest instant back
    columns = np.array([at_s, curve + 1e3, at_s + 0.5, curve - 1e3])
    bound = Bound(LIMITS)
    for column in columns.T:
        bound.add(*column.tolist())
    assert bound.refit(columns, 599.0)
    least, greatest = bound.at(599.0)
    assert least <= 0.0 <= greatest


def test_bounds_that_cannot_all_be_true_are_reported():
    columns = constraints(np.random.default_rng(1), 40)
    columns[1, 20:] += 5e6
    columns[3, 20:] += 5e6
    bound = Bound(LIMITS)
    assert not bound.refit(columns, columns[2].max())


def test_before_any_exchange_nothing_is_known():
    least, greatest = Bound(LIMITS).at(3.0)
    assert least == -np.inf
    assert greatest == np.inf


def test_holdover_never_grows_faster_than_the_rate_limit():
    bound = Bound(LIMITS)
    bound.add(0.0, 1e6, 0.002, -1e6)
    least, greatest = bound.at(10.002)
    assert greatest == pytest.approx(1e6 + 10.002 * 200e3)
    assert least == pytest.approx(-1e6 - 10.0 * 200e3)


def test_looking_back_is_as_safe_as_looking_ahead():
    bound = Bound(LIMITS)
    bound.add(10.0, 1e6, 10.002, -1e6)
    least, greatest = bound.at(5.0)
    assert greatest >= 1e6 + 5 * 200e3
    assert least <= -1e6 - 5 * 200e3


def test_a_clock_that_may_be_slewed_keeps_no_tangent():
    rng = np.random.default_rng(3)
    columns = constraints(rng, 40)
    bound = Bound(ClockLimits(700e3, 500.0, tangents=False))
    for column in columns.T:
        bound.add(*column.tolist())
    before = bound.at(120.0)
    assert bound.refit(columns, columns[2].max())
    assert bound.at(120.0) == before


def test_a_block_keeps_its_least_upper_and_greatest_lower_bound_along_the_drift():
    blocks = Blocks(2.0, 4)
    blocks.slope = 100.0
    blocks.add(0.0, 50.0, 0.1, -50.0, delay_ns=100)
    blocks.add(1.0, 120.0, 1.1, 60.0, delay_ns=60)  # 20 above the drift's line, so nearer than the first
    blocks.add(2.5, 400.0, 2.6, 100.0, delay_ns=300)
    assert blocks.columns().tolist() == [[1.0], [120.0], [1.1], [60.0]]
    assert blocks.within(2.0) == (3, 60.0)


def test_blocks_without_exchanges_bound_nothing_and_old_ones_are_dropped():
    blocks = Blocks(2.0, 4)
    for at_s in (0.5, 6.5, 8.5):
        blocks.add(at_s, 10.0, at_s + 0.1, -10.0, delay_ns=20)
    assert blocks.columns()[1].tolist() == [10.0, np.inf, np.inf, 10.0]
    blocks.add(100.0, 10.0, 100.1, -10.0, delay_ns=20)
    assert blocks.columns().shape == (4, 0)
