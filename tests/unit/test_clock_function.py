"""A clock as a function of RAW: an inverse holds every instant at which it may have shown a time."""

import numpy as np
import pytest

from schemas.clock_history import ClockPiece
from tidesync.sessions.correction.clock_function import ClockFunction

MS = 1_000_000
S = 1_000_000_000


def piece(from_s, to_s, ahead_ms, half_width_ms):
    return ClockPiece(
        from_raw_ns=round(from_s * S),
        to_raw_ns=round(to_s * S),
        from_realtime_ns=round(from_s * S + ahead_ms[0] * MS),
        to_realtime_ns=round(to_s * S + ahead_ms[1] * MS),
        half_width_ns=round(half_width_ms * MS),
        begins=None,
    )


@pytest.mark.parametrize("step_at_s", [10.01, 10.1, 10.19])
def test_a_time_that_was_shown_twice_within_a_wide_piece_is_held_both_times(step_at_s):
    """A step back by 18 ms that was taken for slewing: the piece around it is as wide."""
    pieces = [piece(1, 10, (0, 0), 0.001), piece(10, 10.2, (0, -18), 18), piece(10.2, 20, (-18, -18), 0.001)]
    lines = ClockFunction(pieces, []).lines
    raw_ns = np.arange(9.9, 10.4, 0.001) * S
    realtime_ns = np.where(raw_ns < step_at_s * S, raw_ns, raw_ns - 18 * MS).astype(np.int64)
    found, error = lines.raw_at(realtime_ns)
    assert (np.abs(found - raw_ns) <= error).all()
    assert error[0] < 0.01 * MS
    assert error[-1] < 0.01 * MS


def test_what_was_shown_between_two_instants_includes_a_wide_piece_between():
    pieces = [piece(1, 10, (0, 0), 0.001), piece(10, 10.2, (0, -18), 18), piece(10.2, 20, (-18, -18), 0.001)]
    lines = ClockFunction(pieces, []).lines
    least, greatest, run = lines.between(np.array([9 * S]), np.array([11 * S]))
    assert run[0] == 0
    assert least[0] <= 9 * S
    assert greatest[0] >= 11 * S - 18 * MS
    assert lines.shown(9 * S, 10_200 * MS)[1] >= 10_200 * MS
    assert lines.between(np.array([0]), np.array([11 * S]))[2][0] == -1


def test_a_realtime_that_is_shown_only_at_another_time_is_not_shown_between_two_instants():
    lines = ClockFunction([piece(1, 10, (0, 0), 0.001), piece(12, 20, (-5000, -5000), 0.001)], []).lines
    for realtime_s, within_s, from_s, to_s, shown in (
        (8, 0, 7, 9, True),
        (8, 0, 9, 14, True),
        (8, 0, 9, 12.5, False),
        (8, 1, 9, 12.5, True),
        (8, 0, 10.5, 11.5, False),
        (8, 0, 25, 30, False),
        (8, 0, -5, 0, False),
        (1, 0, -5, 1, True),
    ):
        between = round(from_s * S), round(to_s * S)
        assert lines.show(realtime_s * S, within_s * S, *between) == shown, (realtime_s, between)
