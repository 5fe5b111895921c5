"""Steps: which rows are before, which after, and which are ambiguous."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.effort import tries
from tests.unit.tracks import MS, START, S, raw_of, row, stepped
from tidesync.sessions.correction.clock_limits import ClockLimits
from tidesync.sessions.correction.from_track import timeline
from tidesync.sessions.correction.order import RowCorrector
from tidesync.sessions.correction.timeline import AMBIGUOUS, HOLDOVER, OK, OUTSIDE

LIMITS = ClockLimits()
EVERY = np.arange(1, 199, 0.05)


def pi_of(truth, instants):
    return np.array([START + round(at * S) + round(truth(at)) for at in instants], dtype=np.int64)


def correct(rows, pi, *, batch=1_000, raw=True):
    corrector = RowCorrector(timeline(rows, raw_of(rows) if raw else {}, LIMITS))
    batches = [pi[start : start + batch] for start in range(0, len(pi), batch)]
    if corrector.passes > 1:
        for each in batches:
            corrector.note(each)
    found = [corrector.correct(each) for each in batches]
    return tuple(np.concatenate(column) for column in zip(*found, strict=True))[:3]


def wrong(instants, topside, error, state):
    """How many topside instants are farther from the truth than their error."""
    true = START + np.rint(np.asarray(instants) * S).astype(np.int64)
    corrected = state <= HOLDOVER
    return int((np.abs(topside - true)[corrected] > error[corrected]).sum())


@pytest.mark.parametrize("batch", [61, 100_000])
@pytest.mark.parametrize(
    "step_ns", [-3 * S, -60 * S, -500 * S, -5 * MS, 5 * MS, 3 * S, 50 * 365 * 86_400 * S]
)
def test_rows_recorded_without_a_gap_are_all_corrected_but_near_the_step(step_ns, batch):
    rows, truth = stepped(step_ns)
    topside, error, state = correct(rows, pi_of(truth, EVERY), batch=batch)
    assert wrong(EVERY, topside, error, state) == 0
    near = np.abs(EVERY - 100) < 0.8
    assert (state[~near] == OK).all()
    assert AMBIGUOUS in state[near]


def test_steps_that_follow_each_other_are_distinguished_by_the_jumps_back_that_they_leave():
    """The second jump alone might be either step's; with the first one it can only be the second's."""

    def truth(second):
        return -sum(size * S for at, size in ((100, 3), (102, 2)) if second >= at)

    rows = [row(at, truth(at), int(at >= 100) + int(at >= 102)) for at in np.arange(0, 200, 0.25) + 0.01]
    topside, error, state = correct(rows, pi_of(truth, EVERY))
    assert wrong(EVERY, topside, error, state) == 0
    near = (np.abs(EVERY - 100) < 0.8) | (np.abs(EVERY - 102) < 0.8)
    assert (state[~near] == OK).all()


def test_a_jump_back_that_two_steps_may_have_left_decides_for_neither():
    """A gap hides one of the two jumps: which one is left?"""

    def truth(second):
        return -sum(3 * S for at in (100, 102) if second >= at)

    rows = [row(at, truth(at), int(at >= 100) + int(at >= 102)) for at in np.arange(0, 200, 0.25) + 0.01]
    for begin, end in ((98.5, 101.8), (101, 104.8), (97, 101), (101, 106)):
        instants = EVERY[(begin > EVERY) | (end < EVERY)]
        found = correct(rows, pi_of(truth, instants))
        assert wrong(instants, *found) == 0


def test_the_last_exchange_before_a_step_is_not_used():
    """The clock may have been stepped before its pong arrived."""
    rows, _ = stepped(3 * S)
    last = max(each.pi_unix_ns for each in rows if each.segment == 0)
    _, _, state = correct(rows, np.array([last - S, last - S // 10, last]))
    assert state.tolist() == [OK, AMBIGUOUS, AMBIGUOUS]


def test_a_gap_that_hides_the_jump_back_leaves_the_repeated_times_ambiguous():
    """No row shows on which side of the step it is: the Pi's time seems to continue."""
    rows, truth = stepped(-3 * S)
    instants = EVERY[(EVERY < 98) | (EVERY > 101.5)]
    topside, error, state = correct(rows, pi_of(truth, instants))
    assert wrong(instants, topside, error, state) == 0
    repeated = (instants > 97.2) & (instants < 102.8)
    assert set(state[repeated]) == {AMBIGUOUS}
    assert (state[(instants < 96.5) | (instants > 103.5)] == OK).all()


def test_a_fall_far_smaller_than_the_step_does_not_locate_it():
    rows, truth = stepped(-3 * S)
    late = np.array([97, 98, 97.9, 98.5, 104.0])
    found = correct(rows, pi_of(truth, late))
    assert wrong(late, *found) == 0
    assert found[2].tolist() == [*[AMBIGUOUS] * 4, OK]


def test_a_row_that_contradicts_what_would_decide_leaves_it_ambiguous():
    rows, truth = stepped(-3 * S)
    late = np.array([100.5, 110, 90.0])
    found = correct(rows, pi_of(truth, late))
    assert wrong(late, *found) == 0
    assert found[2].tolist() == [AMBIGUOUS, OK, OK]


@pytest.mark.parametrize("places", [(50, 51), (1970, 1971), (1978, 1979), (1979, 1980), (1985, 1990)])
def test_a_swapped_pair_leaves_all_but_the_rows_around_the_step_decided(places):
    rows, truth = stepped(-3 * S)
    swapped = EVERY.copy()
    swapped[list(places)] = swapped[list(places[::-1])]
    topside, error, state = correct(rows, pi_of(truth, swapped))
    assert wrong(swapped, topside, error, state) == 0
    assert (state[np.abs(swapped - 100) > 1] == OK).all()


def test_rows_sorted_by_the_pis_time_decide_nothing():
    rows, truth = stepped(-3 * S)
    pi = np.array(pi_of(truth, EVERY))
    order = np.argsort(pi, kind="stable")
    topside, error, state = correct(rows, pi[order])
    assert wrong(EVERY[order], topside, error, state) == 0
    assert AMBIGUOUS in state


def test_times_that_a_step_skipped_have_no_topside_instant():
    rows, _ = stepped(3 * S)
    _, _, state = correct(rows, np.array([START + round(at * S) for at in (101, 101.5, 102)]))
    assert set(state) <= {AMBIGUOUS, OUTSIDE}


def test_a_step_of_topsides_own_clock_repeats_nothing_of_the_pis():
    before = [row(at, 0) for at in np.arange(0, 100, 0.25)]
    after = [row(at - 3, 3 * S, 1) for at in np.arange(100, 200, 0.25)]
    raw = {each.topside_unix_ns: each.pi_unix_ns - START for each in after} | raw_of(before)
    corrector = RowCorrector(timeline([*before, *after], raw, LIMITS))
    pi = np.array([START + round(at * S) for at in (50, 99.9, 150)])
    corrector.note(pi)
    found = corrector.correct(pi)
    assert found.state.tolist() == [OK, AMBIGUOUS, OK]
    assert (found.topside_ns[[0, 2]] - START).tolist() == [50 * S, 147 * S]


@pytest.mark.slow
@settings(max_examples=tries(150))
@given(
    st.lists(st.sampled_from([-40.0, -7.0, -3.0, -1.0, -0.01, 0.01, 2.0, 9.0]), min_size=1, max_size=4),
    st.lists(st.floats(0, 200), max_size=4),
    st.integers(1, 20),
)
def test_no_topside_instant_is_wrong_whatever_the_steps_and_gaps(steps, gaps, tenths):
    at_s = np.cumsum([37.3] * len(steps))

    def truth(second):
        return 20e-6 * second * S + sum(
            step * S for at, step in zip(at_s, steps, strict=True) if second >= at
        )

    instants = np.arange(0, 200, 0.25) + 0.01
    rows = [row(at, truth(at), int((at_s <= at).sum())) for at in instants]
    recorded = np.arange(1, 199, tenths / 10)
    for begin in gaps:
        recorded = recorded[(recorded < begin) | (recorded > begin + 5)]
    found = correct(rows, pi_of(truth, recorded), batch=37)
    assert wrong(recorded, *found) == 0
