"""Timestamps that are cut off or rounded: the true instant stays within the stated error."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.tracks import START, S, raw_of, stepped
from tidesync.sessions.correction.clock_limits import ClockLimits
from tidesync.sessions.correction.from_track import timeline
from tidesync.sessions.correction.order import RowCorrector
from tidesync.sessions.correction.timeline import AMBIGUOUS, OK, OUTSIDE

STEPS = (0, 3 * S, -3 * S)
TRACKS = {step: stepped(step) for step in STEPS}


def made(step, max_error_ms):
    rows, truth = TRACKS[step]
    return timeline(rows, raw_of(rows), ClockLimits(max_error_ns=round(max_error_ms * 1e6))), truth


def corrected(step, written_ns, resolution_ns, max_error_ms=25):
    coarse = made(step, max_error_ms)[0].coarse(resolution_ns)
    corrector = RowCorrector(coarse)
    if corrector.passes > 1:
        corrector.note(written_ns)
    return corrector.correct(written_ns)


@given(
    st.sampled_from(STEPS),
    st.sampled_from([10**3, 10**6, 20 * 10**6, S, 10 * S]),
    st.sampled_from([np.floor, np.rint, np.ceil]),
    st.lists(st.floats(1, 199), min_size=1, max_size=30, unique=True).map(sorted),
    st.sampled_from([0.5, 25, 1_100, 60_000]),
)
def test_the_true_instant_is_within_the_error_however_it_was_shortened(step, resolution, cut, seconds, limit):
    truth = TRACKS[step][1]
    topside = np.array([START + round(at * S) for at in seconds])
    pi = np.array([START + round(at * S) + round(truth(at)) for at in seconds])
    written = START + (cut((pi - START) / resolution) * resolution).astype(np.int64)
    found = corrected(step, written, resolution, limit)
    apart = np.abs(found.topside_ns - topside)[found.known]
    assert (apart <= found.max_error_ns[found.known] + 1_000).all()
    within = found.max_error_ns <= limit * 1e6
    assert (within[found.answered]).all()
    assert not (found.state[found.known & ~within] != OUTSIDE).any()


def test_whole_seconds_are_answered_where_a_second_may_be_missing():
    written = START + np.arange(5, 95) * S
    refused = corrected(0, written, S)
    assert (refused.state == OUTSIDE).all()
    assert refused.known.all()
    assert (refused.max_error_ns > S).all()
    served = corrected(0, written, S, max_error_ms=1_001)
    assert (served.state == OK).all()
    assert (served.max_error_ns < 1.001 * S).all()


@pytest.mark.parametrize("step", [3 * S, -3 * S])
def test_a_stamp_within_its_resolution_of_a_step_is_ambiguous(step):
    truth = TRACKS[step][1]
    before = START + 100 * S + round(truth(99.99))
    near, far = (np.array([before - back * S], dtype=np.int64) for back in (1, 6))
    assert corrected(step, near, 2 * S, 5_000).state == AMBIGUOUS
    assert corrected(step, far, 2 * S, 5_000).state == OK
