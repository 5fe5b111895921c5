"""Topside instants by one segment of a track: exact on a straight line, within their error for any clock."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.effort import tries
from tests.unit.tracks import HALF_NS, MS, START, S, row
from tidesync.sessions.correction.clock_limits import ClockLimits
from tidesync.sessions.correction.from_track import timeline
from tidesync.sessions.correction.timeline import AMBIGUOUS, HOLDOVER, OK, OUTSIDE

LIMITS = ClockLimits()
SLEWED = ClockLimits(slew=500e-6)


def correct(made, *pi_ns):
    pi = np.array(pi_ns, dtype=np.int64)
    everything = np.zeros_like(pi), np.full_like(pi, 1_000)
    return made.correct(pi, *everything)


def line(*seconds, drift=40e-6):
    return [row(second, -150 * MS + drift * second * S) for second in seconds]


def test_between_two_measurements_the_offset_is_a_line():
    rows = line(0, 0.25)
    made = timeline(rows, {}, LIMITS)
    found = correct(made, rows[0].pi_unix_ns + 125_005_000)
    assert found.topside_ns[0] == START + 125_000_000
    assert found.state[0] == OK
    assert HALF_NS < found.max_error_ns[0] < HALF_NS + 2_000


def test_the_sign_is_pi_minus_topside():
    ahead = [row(0, 7 * MS), row(1, 7 * MS)]
    assert correct(timeline(ahead, {}, LIMITS), START + 7 * MS).topside_ns[0] == START


def test_a_clock_decades_off_keeps_its_nanoseconds():
    rows = [row(0, -START + 17), row(10, -START + 17)]
    assert correct(timeline(rows, {}, LIMITS), 17 + 5 * S).topside_ns[0] == START + 5 * S


def test_a_long_gap_is_held_over_with_an_error_that_grows_to_its_middle():
    made = timeline(line(0, 1, 2, 302, 303), {}, LIMITS)
    found = correct(made, *(START - 150 * MS + at * S for at in (1, 3, 40, 152)))
    assert found.state.tolist() == [OK, HOLDOVER, HOLDOVER, HOLDOVER]
    assert sorted(found.max_error_ns) == found.max_error_ns.tolist()


def test_beyond_the_ends_the_error_grows_until_the_limit():
    made = timeline(line(*range(100)), {}, LIMITS)
    found = correct(
        made, *(START - 150 * MS + at * S for at in (100, 160, 400, 4_000, -1, -60, -400, -4_000))
    )
    assert found.state.tolist() == [HOLDOVER, HOLDOVER, HOLDOVER, OUTSIDE] * 2
    for side in (found.max_error_ns[:3], found.max_error_ns[4:7]):
        assert HALF_NS < side[0] < side[1] < side[2] <= LIMITS.max_error_ns


def test_a_clock_that_may_be_slewed_is_not_held_over_for_long():
    made = timeline(line(*range(100)), {}, SLEWED)
    assert correct(made, START + 110 * S, START + 160 * S).state.tolist() == [HOLDOVER, OUTSIDE]


def test_a_single_measurement_suffices():
    made = timeline(line(0), {}, LIMITS)
    found = correct(made, START - 150 * MS, START - 150 * MS + 10 * S)
    assert found.state.tolist() == [OK, HOLDOVER]
    assert found.max_error_ns[1] == pytest.approx(HALF_NS + 10 * S * LIMITS.rate, rel=0.01)


def test_ambiguous_rows_split_the_track():
    rows = [row(at, 0, state="ambiguous" if 40 <= at < 50 else "ok") for at in range(100)]
    found = correct(timeline(rows, {}, LIMITS), *(START + at * S for at in (20, 45, 70)))
    assert found.state.tolist() == [OK, AMBIGUOUS, OK]


def test_without_a_valid_row_there_is_no_segment():
    assert timeline([row(0, 0, state="ambiguous")], {}, LIMITS).segments == []


def test_a_step_too_small_to_be_one_is_within_the_error():
    rows = [row(0, 0), row(0.25, 0), row(0.5, 450_000), row(0.75, 450_000)]
    found = correct(timeline(rows, {}, LIMITS), START + 490 * MS)  # before or after the step: 0 or 450 us
    true = np.array([START + 490 * MS, START + 490 * MS - 450_000])
    assert (np.abs(found.topside_ns[0] - true) <= found.max_error_ns[0]).all()


@pytest.mark.parametrize("slewed", [False, True])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("turn_s", [5, 10, 20, 25])
def test_the_cone_from_either_end_holds_a_clock_that_turns_as_fast_as_it_may(turn_s, sign, slewed):
    limits = ClockLimits(wander=1e-3, slew=500e-6 if slewed else 0.0, max_error_ns=S)
    fastest = sign * 0.99 * (limits.rate + limits.slew)

    def truth(second):
        return fastest * (second if second < turn_s else 2 * turn_s - second) * S

    rows = [row(0, 0, half_ns=100), row(30, truth(30), half_ns=100)]
    instants = np.linspace(0.1, 29.9, 299)
    found = correct(
        timeline(rows, {}, limits), *(START + round(at * S) + round(truth(at)) for at in instants)
    )
    true = START + np.rint(instants * S).astype(np.int64)
    assert (np.abs(found.topside_ns - true) <= found.max_error_ns).all()
    assert found.max_error_ns.max() < 2 * (limits.rate + limits.slew) * 15 * S


def test_what_slewing_can_do_inside_a_short_gap_is_in_the_error():
    rows = [row(0, 0), row(10, 0)]
    free, slewed = (correct(timeline(rows, {}, limits), START + 5 * S) for limits in (LIMITS, SLEWED))
    assert slewed.max_error_ns[0] - free.max_error_ns[0] == pytest.approx(500e-6 * 5 * S, rel=0.1)


FREQUENCIES = st.lists(st.floats(-180e-6, 180e-6), min_size=8, max_size=8)


@settings(max_examples=tries(200))
@given(FREQUENCIES, st.lists(st.floats(0, 70), min_size=2, max_size=12, unique=True), st.data())
def test_whatever_the_clock_does_within_its_rate_the_truth_is_within_the_error(frequencies, measured, data):
    """The wander is given as much as any frequency within the rate can use up; the cone must hold alone."""
    knots_s = np.arange(9) * 10.0
    phase = np.concatenate([[0], np.cumsum(np.array(frequencies) * 10.0)])

    def truth(second):
        return float(np.interp(second, knots_s, phase)) * S

    rows = []
    for second in sorted(round(each, 3) for each in measured):
        shift = data.draw(st.integers(-HALF_NS, HALF_NS))
        rows.append(row(second, truth(second) + shift))
    made = timeline(rows, {}, ClockLimits(wander=1e-3, max_error_ns=S))
    instants = np.linspace(0, 80, 161)
    pi = np.array([START + round(at * S) + round(truth(at)) for at in instants])
    found = made.correct(pi, np.zeros_like(pi), np.zeros_like(pi))
    true = START + np.rint(instants * S).astype(np.int64)
    corrected = found.state <= HOLDOVER
    assert (np.abs(found.topside_ns - true)[corrected] <= found.max_error_ns[corrected]).all()


@settings(max_examples=tries(200))
@given(
    st.floats(-100e-6, 100e-6),
    st.floats(-1, 1),
    st.lists(st.floats(0, 1_000), min_size=2, max_size=12, unique=True),
    st.integers(-HALF_NS, HALF_NS),
)
def test_a_clock_that_bends_as_far_as_it_may_stays_within_the_error(drift, bend, measured, shift):
    """drift·t + c·t²: |c|·Δt² ≤ κ·Δt^1.5 up to Δt = (κ/|c|)², here the whole time."""
    span_s = 1_200.0
    curve = bend * LIMITS.wander / span_s**0.5

    def truth(second):
        return (drift * second + curve * second**2) * S

    rows = [row(second, truth(second) + shift) for second in sorted(round(each, 3) for each in measured)]
    made = timeline(rows, {}, ClockLimits(max_error_ns=S))
    instants = np.linspace(-100, 1_100, 121)
    pi = np.array([START + round(at * S) + round(truth(at)) for at in instants])
    found = made.correct(pi, np.zeros_like(pi), np.zeros_like(pi))
    true = START + np.rint(instants * S).astype(np.int64)
    corrected = found.state <= HOLDOVER
    assert corrected.sum() > 2
    assert (np.abs(found.topside_ns - true)[corrected] <= found.max_error_ns[corrected]).all()
