"""Pieces of a clock history hold the truth at every instant, and are narrow."""

import random
from itertools import product

import pytest

from tests.effort import few, tries
from tests.unit.true_clocks import MS, S, TrueClock, errors, history, pll, watched


def assert_true(found):
    wrong = [pair for pair in found if pair and pair[0] > pair[1]]
    assert not wrong, (len(wrong), max(wrong))


def narrow_share(found, limit_ns=200_000):
    widths = [pair[1] for pair in found if pair]
    return sum(width <= limit_ns for width in widths) / len(found)


@pytest.mark.parametrize(
    ("ppm", "known"), few(product([500, -500, 20_000, 50_000, -50_000, 83_333, -83_333], [True, False]))
)
def test_a_slew_of_any_rate_is_held_and_narrow(ppm, known):
    for seed in range(tries(4)):
        clock = TrueClock([(20 * S + seed * 17 * MS, ppm), (44 * S + seed * 31 * MS, 0.0)])
        watch, _ = watched(clock, 90 * S, seed, known=known)
        found = errors(clock, history(watch), 88 * S)
        assert_true(found)
        assert narrow_share(found) > 0.99


@pytest.mark.parametrize(
    ("size_ns", "constant"), few(product([300 * MS, -399 * MS, 5 * MS], [0, 1, 2, 4, 6]))
)
def test_the_kernels_loop_is_held_and_narrow(constant, size_ns):
    for seed in range(tries(4)):
        rates, states = pll(size_ns, constant, 10 * S + seed * 23 * MS)
        clock = TrueClock(rates, states=states)
        watch, _ = watched(clock, 70 * S, seed)
        found = errors(clock, history(watch), 68 * S)
        assert_true(found)
        assert narrow_share(found) > 0.99


def test_at_rest_a_few_long_pieces_hold_the_clock_within_microseconds():
    clock = TrueClock([(0, -11.7)])
    watch, reported = watched(clock, 600 * S, 1)
    pieces = watch.builder.pieces(0, watch.builder.number)
    assert len(pieces) < 60  # a reading that is blurred stands alone
    found = errors(clock, history(watch), 599 * S, S)
    assert_true(found)
    assert sorted(pair[1] for pair in found)[len(found) // 2] < 4_000
    assert reported == []


def test_a_step_is_cut_dated_and_not_claimed_across():
    for seed in range(tries(10)):
        at = 20 * S + seed * 77 * MS
        clock = TrueClock([(0, 30.0)], steps=[(at, 3 * S), (at + 10 * S, -2 * S)])
        watch, reported = watched(clock, 50 * S, seed)
        assert [(change.kind, round(change.moved_ns / S)) for change in reported] == [
            ("step", 3),
            ("step", -2),
        ]
        looked_up = history(watch)
        assert looked_up.realtime_at(at) is None
        found = errors(clock, looked_up, 49 * S)
        assert_true(found)
        assert narrow_share(found, 20_000) > 0.95
        again = clock.realtime(at + 10 * S - 500 * MS)  # shown twice: before the step back and after
        assert len(looked_up.raw_at(again)) == 2


def test_a_step_within_a_slew_is_a_step_and_the_slew_goes_on():
    for seed in range(tries(10)):
        at = 25 * S + seed * 3 * MS
        clock = TrueClock([(20 * S, 83_333.0), (40 * S, 0.0)], steps=[(at, -7 * MS)])
        watch, reported = watched(clock, 60 * S, seed)
        kinds = [change.kind for change in reported]
        assert kinds == ["begin", "step", "end"]
        assert reported[2].moved_ns == pytest.approx(20 * 83_333_000, abs=5 * MS)
        found = errors(clock, history(watch), 59 * S)
        assert_true(found)


@pytest.mark.slow
@pytest.mark.parametrize("known", [True, False])
def test_a_step_that_is_taken_for_slewing_is_held(known):
    for seed in range(tries(40)):
        at = 20 * S + seed * 5_300_000
        clock = TrueClock([(0, 29.0)], steps=[(at, -90_000)])
        watch, _ = watched(clock, 30 * S, seed, known=known)
        assert_true(errors(clock, history(watch), 29 * S, MS))


def test_a_suspend_cuts_and_takes_the_move_along():
    clock = TrueClock([(0, 5.0)], sleeps=[(20 * S, 60 * S)])
    watch, reported = watched(clock, 40 * S, 3)
    assert [(change.kind, round(change.moved_ns / S)) for change in reported] == [("suspend", 60)]
    begins = [piece.begins for _, piece in watch.builder.pieces(0, 99) if piece.begins]
    assert begins == ["start", "suspend"]
    assert_true(errors(clock, history(watch), 39 * S))


@pytest.mark.parametrize("ppm", [500, 83_333, -100_000])
def test_a_starved_watch_says_how_little_it_knows(ppm):
    for seed in range(tries(10)):
        clock = TrueClock([(20 * S + 300 * MS, ppm), (21 * S, 0.0)])
        watch, _ = watched(clock, 40 * S, seed, starved=[(20 * S, 22 * S)])
        found = errors(clock, history(watch), 39 * S)
        assert_true(found)
        widest = max(pair[1] for pair in found)
        assert widest == pytest.approx(0.1005 * 2 * S / 2, rel=0.15)


def test_a_slew_that_comes_and_goes_between_two_samples_is_no_claim():
    for seed in range(tries(40)):
        start = 20 * S + seed * 13 * MS
        clock = TrueClock([(start, 83_333.0), (start + 10 * MS, 0.0)])
        watch, _ = watched(clock, 30 * S, seed)
        assert_true(errors(clock, history(watch), 29 * S, MS))


def test_a_rate_that_the_kernel_takes_up_late_is_held():
    for seed in range(tries(10)):
        start = 20 * S + seed * 13 * MS
        clock = TrueClock([(start, 83_333.0), (start + 10 * S, 0.0)])
        watch, reported = watched(clock, 40 * S, seed, lag_ns=9 * MS)
        assert [change.kind for change in reported] == ["begin", "end"]
        assert_true(errors(clock, history(watch), 39 * S, MS))


@pytest.mark.parametrize("size_ns", [300 * MS, -399 * MS])
def test_a_full_store_merges_the_oldest_which_stay_true_and_are_wider(size_ns):
    rates, states = pll(size_ns, 2, 5 * S)
    clock = TrueClock(rates, states=states)
    narrow, _ = watched(clock, 60 * S, 1)
    small, _ = watched(clock, 60 * S, 1, capacity=12)
    pieces = small.builder.pieces(0, small.builder.number)
    assert len(pieces) <= 13 < narrow.builder.number
    covered = [number for first, piece in pieces for number in range(first, (piece.last or first) + 1)]
    assert covered == list(range(narrow.builder.number + 1))
    assert small.builder.dropped == 0
    assert_true(errors(clock, history(small), 59 * S))


def test_what_cannot_be_merged_is_counted_when_it_is_dropped():
    clock = TrueClock(steps=[(at * S, S) for at in range(2, 40)])
    watch, _ = watched(clock, 42 * S, 1, capacity=10)
    kept = watch.builder.pieces(0, watch.builder.number)
    assert watch.builder.dropped == watch.builder.number + 1 - len(kept) > 0
    assert_true(errors(clock, history(watch), 41 * S))


@pytest.mark.parametrize("seed", range(tries(30)))
def test_random_worlds_are_held(seed):
    chance = random.Random(seed)
    rates, at = [], 2 * S
    for _ in range(chance.randrange(6)):
        at += round(chance.expovariate(1 / (8 * S)))
        rates.append((at, chance.choice([500.0, -500.0, 20_000.0, -83_333.0, 50_000.0, 100_000.0])))
        at += S + round(chance.expovariate(1 / (4 * S)))  # no daemon slews for less than a second
        rates.append((at, chance.uniform(-30, 30)))
    steps = [
        (round(chance.uniform(2, 50) * S), round(chance.choice([-1, 1]) * 10 ** chance.uniform(5, 10)))
        for _ in range(chance.randrange(3))
    ]
    sleeps = [
        (round(chance.uniform(2, 50) * S), round(chance.uniform(1, 100) * S))
        for _ in range(chance.randrange(2))
    ]
    starved = [
        (start, start + round(chance.uniform(0.1, 5) * S))
        for start in (30 * S, 41 * S)
        if chance.random() < 0.5
    ]
    clock = TrueClock(rates, steps, sleeps)
    watch, _ = watched(clock, 70 * S, seed, starved=starved)
    looked_up = history(watch)
    assert_true(errors(clock, looked_up, 69 * S, 7_000_001))
    for raw_ns in range(S, 69 * S, 97_000_001):
        near = [(abs(raw - raw_ns), half) for raw, half in looked_up.raw_at(clock.realtime(raw_ns))]
        if looked_up.realtime_at(raw_ns) is not None and near:
            assert any(apart <= half for apart, half in near)
