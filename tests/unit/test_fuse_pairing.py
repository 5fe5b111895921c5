"""Which rows belong to an instant: never one beyond the tolerance, and for each missing one a reason."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tidesync.sessions.correction.timeline import AMBIGUOUS, OK, OUTSIDE, UNREADABLE
from tidesync.sessions.fuse.pairing import NONE, SensorTimes, pair, reasons

MS = 1_000_000


def times(*rows):
    """Each row is an instant in ms, or the state of one without."""
    at = np.array([row * MS if isinstance(row, (int, float)) else 0 for row in rows], dtype=np.int64)
    names = {"a": AMBIGUOUS, "o": OUTSIDE, "m": UNREADABLE}
    state = np.array([names.get(row, OK) for row in rows])
    known = np.array([not isinstance(row, str) for row in rows], dtype=bool)
    return SensorTimes(at, np.where(known, 1_000, 0), state, known)


def axis(*at_ms):
    return np.array([round(each * MS) for each in at_ms], dtype=np.int64)


def test_the_nearest_row_is_taken_within_the_tolerance_before_or_after():
    found = pair(times(0, 100, 200), axis(-51, -50, 40, 60, 150, 251), 50 * MS, "nearest")
    assert found.nearest.tolist() == [NONE, 0, 0, 1, 1, NONE]


def test_rows_out_of_order_are_found():
    found = pair(times(200, 0, 100), axis(1, 99, 201), 50 * MS, "nearest")
    assert found.nearest.tolist() == [1, 2, 0]


def test_a_line_is_drawn_where_there_is_a_row_on_both_sides_of_the_instant():
    found = pair(times(0, 100, 250), axis(-1, 0, 25, 90, 175, 250, 251, 301), 50 * MS, "linear")
    assert found.first.tolist() == [0, 0, 0, 0, NONE, 2, 2, NONE]
    assert found.last.tolist() == [0, 0, 1, 1, NONE, 2, 2, NONE]
    assert found.nearest.tolist() == [0, 0, 0, 1, NONE, 2, 2, NONE]
    assert found.share.tolist() == [0, 0, 0.25, 0.9, 0, 0, 0, 0]


def test_instants_without_a_row_have_a_reason():
    sensor = times("o", 0, 100, "a", "m", 500, 600, "m")
    at = axis(-200, 50, 200, 300, 550, 900)
    found = pair(sensor, at, 10 * MS, "nearest")
    assert reasons(sensor, at, found) == {"tolerance": 2, "malformed": 1, "outside": 1, "ambiguous": 2}


def test_a_sensor_without_an_instant_has_a_reason_for_all():
    for rows, reason in ((["a", "o"], "ambiguous"), (["m"], "malformed"), ([], "tolerance")):
        found = pair(times(*rows), axis(1, 2), MS, "linear")
        assert not found.paired.any()
        assert reasons(times(*rows), axis(1, 2), found) == {reason: 2}


@given(
    st.lists(st.integers(-1000, 1000), max_size=30),
    st.lists(st.integers(-1100, 1100), min_size=1, max_size=30),
    st.integers(0, 200),
)
def test_pairs_are_those_of_a_search_through_all_rows(rows, at, tolerance):
    sensor, instants = times(*rows), axis(*at)
    found = pair(sensor, instants, tolerance * MS, "nearest")
    for instant, row in zip(at, found.nearest.tolist(), strict=True):
        best = min((abs(each - instant) for each in rows), default=None)
        if best is None or best > tolerance:
            assert row == NONE
        else:
            assert abs(rows[row] - instant) == best
    lines = pair(sensor, instants, tolerance * MS, "linear")
    assert (lines.nearest == found.nearest).all()
    taken = zip(at, lines.first.tolist(), lines.last.tolist(), lines.share, strict=True)
    for instant, first, last, share in taken:
        before = max((each for each in rows if each <= instant), default=None)
        after = min((each for each in rows if each >= instant), default=None)
        if first == NONE or before is None or after is None:
            assert first == last
        else:
            assert (rows[first], rows[last]) == (before, after)
            assert abs(before + share * (after - before) - instant) < 1e-6
    assert sum(reasons(sensor, instants, found).values()) == int((~found.paired).sum())
