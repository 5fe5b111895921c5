"""Time since a start on topside's clock: within its error while that runs on, unknown beyond a step."""

import numpy as np
import pytest

from tests.effort import tries
from tests.unit.tracks import START, S
from tidesync.sessions.correction.topside_raw import Anchor, Run, SamplesSince, TopsideRaw, runs_of

RATE = 100e-6


def moved_ns(at_s, slews, steps):
    """How far topside's realtime has gone from RAW, at seconds after the start."""
    moved = np.zeros(at_s.shape)
    for begin, end, ppm in slews:
        moved += np.clip(at_s - begin, 0, end - begin) * ppm * 1e3
    return np.rint(moved + sum(np.where(at_s >= at, size * S, 0.0) for at, size in steps)).astype(np.int64)


def readings(slews=(), steps=(), sleeps=(), *, until_s=300, every_s=0.25, gap=(0, 0)):
    """(RAW, realtime − RAW) at a steady rate, in ns; RAW stands still in a sleep."""
    at_s = np.arange(0, until_s, every_s)
    at_s = at_s[(at_s < gap[0]) | (at_s >= gap[1])]
    slept = sum((np.clip(at_s - begin, 0, long) for begin, long in sleeps), np.zeros(at_s.shape))
    raw_ns = np.rint((at_s - slept) * S).astype(np.int64)
    return raw_ns, START + moved_ns(at_s, slews, steps) + np.rint(slept * S).astype(np.int64)


def check(slews, steps, begin_s, error_ns, seed, **how):
    """(how many are answered, of how many); none is outside its error."""
    chance = np.random.default_rng(seed)
    topside = TopsideRaw(runs_of(*readings(slews, steps, **how)))
    ppm = chance.uniform(-RATE, RATE)
    passed_s = np.linspace(0, 120, 2_000)
    true_s = begin_s + passed_s / (1 + ppm)
    truth = START + np.rint(true_s * S).astype(np.int64) + moved_ns(true_s, slews, steps)
    stated = int(truth[0]) + int(chance.uniform(-error_ns, error_ns))
    run = topside.run_at(stated, error_ns)
    if run is None:
        return 0, passed_s.size
    anchor = Anchor(stated, error_ns, held=False, rate=RATE * 1.001)
    found = SamplesSince(anchor, run).instants(np.rint(passed_s * S).astype(np.int64))
    known = ~found.undecided
    assert (np.abs(found.topside_ns - truth)[known] <= found.max_error_ns[known]).all()
    return int(known.sum()), passed_s.size


@pytest.mark.parametrize("error_ns", [1_000_000, 1_200_000_000])
@pytest.mark.parametrize("ppm", [0, 20, -500, 83_333])
def test_no_time_is_outside_its_error_while_topsides_clock_is_slewed(ppm, error_ns):
    for seed in range(tries(4)):
        begin_s = 20 + 7.3 * seed % 140
        assert check(((40, 70, ppm),), (), begin_s, error_ns, seed) == (2_000, 2_000)


@pytest.mark.parametrize("step_s", [3.0, -3.0, 0.5])
def test_beyond_a_step_of_topsides_clock_nothing_is_known(step_s):
    for seed in range(tries(4)):
        answered, count = check((), ((90, step_s),), 30, 1_000_000_000, seed)
        assert 0 < answered < 0.55 * count


def test_a_start_in_a_time_that_topside_showed_twice_is_not_known():
    assert check((), ((90, -3.0),), 88, 100_000_000, 1)[0] == 0


def test_a_sleep_of_topside_is_not_taken_for_a_step():
    topside = TopsideRaw(runs_of(*readings(sleeps=((90, 20),))))
    run = topside.run_at(START + 30 * S, 1_000_000)
    anchor = Anchor(START + 30 * S, 1_000_000, held=False, rate=RATE)
    found = SamplesSince(anchor, run).instants(np.array([10, 55, 65, 100]) * S)
    assert found.undecided.tolist() == [False, False, True, True]


def test_across_a_silence_only_what_500_ppm_explain_is_known():
    slow, fast = ((100, 120, 400),), ((100, 120, 4_000),)
    gap = (95, 125)
    assert check(slow, (), 30, 1_000_000, 1, gap=gap) == (2_000, 2_000)
    assert 0 < check(fast, (), 30, 1_000_000, 1, gap=gap)[0] < 1_200


def test_a_short_sleep_in_a_silence_is_within_the_error():
    topside = TopsideRaw(runs_of(*readings(sleeps=((105, 0.01),), gap=(95, 125))))
    run = topside.run_at(START + 30 * S, 1_000_000)
    found = SamplesSince(Anchor(START + 30 * S, 1_000_000, held=False, rate=0.0), run).instants(
        np.array([50, 110]) * S
    )
    off_ns = np.abs(found.topside_ns - START - np.array([80, 140]) * S)
    assert not found.undecided.any()
    assert (off_ns <= found.max_error_ns).all()
    assert off_ns[1] > 5_000_000


def test_before_the_first_and_after_the_last_reading_nothing_is_known():
    topside = TopsideRaw([Run(np.arange(10) * S, np.full(10, START))])
    assert topside.run_at(START - S, 1_000) is None
    run = topside.run_at(START + S, 1_000)
    anchor = Anchor(START + S, 1_000, held=False, rate=0.0)
    found = SamplesSince(anchor, run).instants(np.array([-2, 0, 7, 9]) * S)
    assert found.undecided.tolist() == [True, False, False, True]
