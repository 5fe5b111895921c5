"""Pieces of a clock history as one line: its error holds every piece, and what is no line is named."""

import random

import pytest

from schemas.clock_history import ClockPiece
from topside_agent.shared_state.lines import Line, Pieces, Reach

S = 1_000_000_000
RAW0, AHEAD = 5 * S, 1_777_000_000 * S


def piece(from_s, to_s, *, moved_ns=0, begins=None, half_ns=100, ahead=AHEAD):
    from_raw, to_raw = RAW0 + round(from_s * S), RAW0 + round(to_s * S)
    return ClockPiece(
        from_raw_ns=from_raw,
        from_realtime_ns=from_raw + ahead,
        to_raw_ns=to_raw,
        to_realtime_ns=to_raw + ahead + moved_ns,
        half_width_ns=half_ns,
        begins=begins,
    )


def pieces(*listed):
    made = Pieces()
    made.take("boot", enumerate(listed))
    return made


def line(made, from_s, to_s):
    return made.line(RAW0 + round(from_s * S), RAW0 + round(to_s * S))


def test_within_one_piece_its_half_width_is_the_error():
    found = line(pieces(piece(0, 10, moved_ns=1_000)), 2, 4)
    assert found == Line(RAW0 + 2 * S + AHEAD + 200, RAW0 + 4 * S + AHEAD + 400, 101)


def test_every_piece_between_is_within_the_error():
    chance = random.Random(1)
    for _ in range(100):
        at_s, ahead, listed = 0.0, AHEAD, []
        while at_s < 3:
            length_s, moved_ns = chance.uniform(0.02, 1), chance.randrange(-1_000_000, 1_000_000)
            listed.append(
                piece(at_s, at_s + length_s, moved_ns=moved_ns, ahead=ahead, half_ns=chance.randrange(5_000))
            )
            at_s, ahead = at_s + length_s, ahead + moved_ns
        found = line(pieces(*listed), 0.5, 2.5)
        for each in listed:
            for raw_ns in (each.from_raw_ns, (each.from_raw_ns + each.to_raw_ns) // 2, each.to_raw_ns):
                if RAW0 + S // 2 <= raw_ns <= RAW0 + 5 * S // 2:
                    share = (raw_ns - RAW0 - S // 2) / (2 * S)
                    moved = (found.last_ns - found.first_ns - 2 * S) * share
                    on_line = found.first_ns + raw_ns - RAW0 - S // 2 + moved
                    true = each.from_realtime_ns + (raw_ns - each.from_raw_ns) * (
                        each.to_realtime_ns - each.from_realtime_ns
                    ) / (each.to_raw_ns - each.from_raw_ns)
                    assert abs(on_line - true) + each.half_width_ns <= found.error_ns + 1_000  # float64 of ns


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ([piece(0, 1), piece(1, 9, begins="step", ahead=AHEAD - 3 * S)], Reach.CUT),
        ([piece(0, 1), piece(1, 9, begins="suspend")], Reach.CUT),
        ([piece(0, 1), piece(1, 9, begins="start")], Reach.CUT),
        ([piece(0, 9, moved_ns=-9 * S)], Reach.CUT),
        ([piece(0, 9, moved_ns=5 * S)], Reach.CUT),
        ([piece(0, 1.5)], Reach.NOT_YET),
        ([piece(0.9, 5)], Reach.NOT_YET),
        ([piece(0, 1), piece(1.2, 5)], Reach.NOT_YET),
        ([], Reach.NOT_YET),
    ],
)
def test_what_is_no_line_is_named(listed, expected):
    assert line(pieces(*listed), 0.5, 2) is expected


def test_a_cut_before_or_after_is_none_between():
    made = pieces(piece(-1, 0, begins="start"), piece(0, 1, begins="step"), piece(1, 2, begins="step"))
    assert isinstance(line(made, 0.1, 0.9), Line)
    assert made.cut_after(RAW0 + S // 2)
    assert not made.cut_after(RAW0 + S + 1)


def test_the_open_piece_is_replaced_and_another_process_begins_again():
    made = pieces(piece(0, 1))
    assert line(made, 0.5, 2) is Reach.NOT_YET
    made.take("boot", [(0, piece(0, 3))])
    assert isinstance(line(made, 0.5, 2), Line)
    made.forget(RAW0 + 4 * S)
    assert line(made, 0.5, 2) is Reach.NOT_YET
    made.take("boot", [(7, piece(0, 3))])
    assert made.last_number == 7
    made.take("another", [])
    assert line(made, 0.5, 2) is Reach.NOT_YET
