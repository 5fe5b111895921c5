"""How often u95 holds on every family, as bench/u95 measures it; shorter than there."""

import pytest

from bench.estimators.traces import FAMILIES, make_trace
from bench.u95.trace import ASSUMED, Job, drawn, measure, with_asymmetry
from tests.effort import few
from topside_agent.estimator.constraints import constraint_of

pytestmark = pytest.mark.slow


def least_ns(exchanges):
    out = min(constraint_of(each).upper_ns for each in exchanges)
    back = -max(constraint_of(each).lower_ns for each in exchanges)
    return out, back


@pytest.mark.parametrize("share", [-0.05, -0.02, 0.0, 0.05])
def test_one_way_is_longer_by_the_share_of_the_least_round_trip(share):
    trace = make_trace("decades", seed=1, rate_hz=1.0, duration_s=30.0)
    before, after = least_ns(trace.exchanges), least_ns(with_asymmetry(trace.exchanges, share))
    out, back = after[0] - before[0], after[1] - before[1]
    assert (out == 0) if share >= 0 else (back == 0)
    delays = [constraint_of(each).delay_ns for each in with_asymmetry(trace.exchanges, share)]
    assert back - out == pytest.approx(share * min(delays), abs=1)


def test_the_shares_fill_what_is_assumed_in_both_directions():
    shares = [drawn(seed) for seed in range(40)]
    assert max(shares) > 0.9 * ASSUMED
    assert min(shares) < -0.9 * ASSUMED
    assert max(map(abs, shares)) <= ASSUMED


def test_the_bench_sees_a_family_in_which_u95_does_not_hold():
    assert measure(Job("route_change", 0, 1.0, 900.0)).afterwards < 0.93


WITHIN = sorted(name for name, family in FAMILIES.items() if not family.asymmetry_changes)


@pytest.mark.parametrize("family", few(WITHIN))
def test_u95_and_the_bound_hold_where_the_ways_differ_by_what_u95_assumes(family):
    held = measure(Job(family, 1, 1.0, 900.0))
    assert min(held.online, held.afterwards) >= 0.93
    assert held.bound == 1.0
