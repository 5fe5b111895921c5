"""Realtime − RAW as a line: a stamp is converted within its half-width, or not at all."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.clock import SystemClock
from runtime.feasible_lines import FeasibleLines
from runtime.realtime_line import RealtimeLine
from runtime.realtime_rate import RateState, UnknownRate
from runtime.stamp_clock import StampClock
from tests.effort import tries

S, MS = 10**9, 10**6
LEVEL = 1_700_000_000 * S
STATE = RateState(status=64)


def feed(line, at_ns, difference_ns, half_ns=60, state=STATE, *, was_set=False):
    return line.take(at_ns, difference_ns, 2 * half_ns, state, was_set=was_set)


@pytest.mark.parametrize("seed", range(tries(8)))
@pytest.mark.parametrize("ppm", [0.0, 0.01, 30.0, 100_000.0])
def test_a_stamp_between_two_readings_of_an_even_clock_is_right_within_its_half_width(seed, ppm):
    chance, line = random.Random(seed), RealtimeLine()
    state = RateState(frequency=round(ppm * 65_536))

    def truth(at_ns):
        return LEVEL + round(at_ns * ppm * 1e-6)

    at_ns, halves = 5 * S, []
    for _ in range(400):
        stamp_ns = at_ns + chance.randrange(1, 250 * MS)
        at_ns = stamp_ns + chance.randrange(1, 100 * MS)
        half_ns = chance.choice([55, 60, 90, 300])
        feed(line, at_ns, truth(at_ns) + chance.randint(-half_ns, half_ns), half_ns, state)
        stamp = line.raw_of(stamp_ns + truth(stamp_ns))
        if stamp is not None:
            assert abs(stamp.raw_ns - stamp_ns) <= stamp.half_ns
            halves.append(stamp.half_ns)
            difference, half = line.difference()
            assert abs(difference - truth(at_ns)) <= half
    assert len(halves) > 390
    assert sorted(halves)[len(halves) // 2] < 90


def steady(line=None, count=20, from_ns=5 * S):
    line = line or RealtimeLine()
    for index in range(count):
        feed(line, from_ns + index * 100 * MS, LEVEL)
    return line


@pytest.mark.parametrize(
    "change",
    [
        {"was_set": True},
        {"state": RateState(status=64, frequency=1)},
        {"state": RateState(status=64, offset=5)},
        {"state": RateState(status=64, adjusting=-7)},
        {"difference_ns": LEVEL + 10_000},
        {"at_ns": 8 * S},
    ],
)
def test_what_changes_the_clock_ends_the_line_for_all_stamps_before_it(change):
    line = steady()
    assert line.raw_of(LEVEL + 6_850 * MS) is not None
    given_ = {"at_ns": 7 * S, "difference_ns": LEVEL} | change
    assert not feed(line, given_.pop("at_ns"), given_.pop("difference_ns"), **given_)
    assert line.raw_of(LEVEL + 6_950 * MS) is None
    assert line.difference() is None


def test_the_line_begins_again_after_the_sample_that_showed_the_change():
    line = steady()
    feed(line, 7 * S, LEVEL, was_set=True)
    feed(line, 7 * S + 1000, LEVEL + 500)
    assert line.raw_of(LEVEL + 500 + 7 * S + 900) is None
    feed(line, 7 * S + 100 * MS, LEVEL + 500)
    assert line.raw_of(LEVEL + 500 + 7 * S + 50 * MS) is not None


def test_a_stamp_after_the_last_reading_or_of_another_decade_is_not_converted():
    line = steady()
    assert line.raw_of(LEVEL + 7 * S) is None
    assert line.raw_of(3) is None
    assert line.raw_of(-(10**18)) is None


def test_without_the_kernels_state_there_is_no_line():
    line = RealtimeLine()
    for index in range(9):
        assert not feed(line, 5 * S + index * 100 * MS, LEVEL, state=None)
    assert line.raw_of(LEVEL + 5_500 * MS) is None


def test_readings_older_than_two_generations_no_longer_count():
    line = steady()
    for index in range(1, 2500):  # a bend of 5 ns a second, which a line may follow but not from the start
        at_ns = 7 * S + index * 40 * MS
        assert feed(line, at_ns, LEVEL + round(0.02 * index * index / 2500)), index


@given(
    st.lists(st.tuples(st.floats(0, 1e10), st.floats(-1e3, 1e3)), min_size=1, max_size=30),
    st.floats(-1e-5, 1e-5),
)
def test_a_line_through_all_intervals_is_never_cut_away(points, slope):
    lines = FeasibleLines(-1000.0, 1000.0, (-0.1, 0.1))
    for at, off in sorted(points):
        value = slope * at
        low, high = value + min(off, 0) - 1e-3, value + max(off, 0) + 1e-3
        assert lines.cut(at, low, high) is not None
        least, greatest = lines.range_at(at)
        assert least - 1e-2 <= value <= greatest + 1e-2
        held = lines.level + lines.slope * at
        assert least - 1e-2 <= held <= greatest + 1e-2
        assert abs(held - value) <= lines.off_at(at) + 1e-2


def test_an_interval_that_no_line_reaches_changes_nothing():
    lines = FeasibleLines(-10.0, 10.0, (-1e-6, 1e-6))
    assert lines.cut(1e6, 100.0, 120.0) is None
    assert lines.range_at(0.0) == (-10.0, 10.0)


class Frozen:
    """A clock that stands at one instant."""

    boot_id, resolution_ns = "boot", 1

    def __init__(self):
        self.now_ns = 5 * S
        self.ahead_ns = 0

    def raw_ns(self):
        return self.now_ns

    def realtime_ns(self):
        return self.now_ns + LEVEL + self.ahead_ns

    # Of its kernel

    def state(self):
        return STATE

    def was_set(self):
        return False

    def close(self):
        pass


def test_a_system_that_does_not_report_its_rate_gives_the_programs_stamps_alone():
    clock = Frozen()
    stamps = StampClock(clock, UnknownRate())
    look = stamps.look()
    assert (look.raw_ns, look.realtime_minus_raw_ns) == (5 * S, LEVEL)
    clock.now_ns += 10 * MS
    stamps.look()
    assert stamps.raw_of(LEVEL + 5 * S + MS) is None


class Coarse(SystemClock):
    """Its realtime moves in steps, as that of some systems does."""

    STEP_NS = 15_625_000

    def __init__(self):
        self.boot_id, self.now_ns = "coarse", 5 * S
        self.raw_resolution_ns, self.resolution_ns = 1, self.STEP_NS

    def raw_ns(self):
        return self.now_ns

    def realtime_ns(self):
        return (self.now_ns + LEVEL) // self.STEP_NS * self.STEP_NS


def test_what_a_coarse_clock_shows_is_known_to_half_of_its_step():
    clock = Coarse()
    stamps = StampClock(clock, UnknownRate())
    for _ in range(50):
        look = stamps.look()
        assert abs(look.realtime_minus_raw_ns - LEVEL) <= look.half_ns < 0.51 * Coarse.STEP_NS
        clock.now_ns += Coarse.STEP_NS * 3 // 7


def test_a_departure_before_the_clock_was_set_back_is_not_taken_for_a_later_one():
    clock = Frozen()
    stamps = StampClock(clock, clock)
    stamps.look()
    sent_ns, clock.now_ns = clock.now_ns + 10 * MS, clock.now_ns + 20 * MS
    stamps.look()
    departed = LEVEL + sent_ns + 50_000
    assert stamps.departed_at(departed, sent_ns).raw_ns == sent_ns + 50_000
    clock.ahead_ns = -40 * MS
    stamps.look()
    clock.now_ns += 90 * MS
    stamps.look()
    assert stamps.raw_of(departed).raw_ns == sent_ns + 50_000 + 40 * MS
    assert stamps.departed_at(departed, sent_ns) is None
