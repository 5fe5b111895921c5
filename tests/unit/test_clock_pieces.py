"""Pieces of clock histories: each number once, whatever order, repetition and merging bring."""

import random

import pytest

from schemas.clock_history import ClockPiece
from tests.effort import tries
from tidesync.sessions.clock_pieces import ClockPieces, line_of, piece_of, read_clock_journal
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.journal import lines_of

S = 1_000_000_000
EPOCH = 1_777_636_800 * S


def piece(from_s, to_s, *, half_width_ns=800, begins=None, last=None):
    from_ns, to_ns = round(from_s * S), round(to_s * S)
    return ClockPiece(
        from_raw_ns=from_ns,
        from_realtime_ns=EPOCH + from_ns,
        to_raw_ns=to_ns,
        to_realtime_ns=EPOCH + to_ns,
        half_width_ns=half_width_ns,
        begins=begins,
        last=last,
    )


def line(number, one, *, machine="vehicle", name="rov1", instance_id="i1", boot_id="b1"):
    return line_of((machine, name), boot_id, instance_id, number, one)


def gathered(*pairs):
    pieces = ClockPieces("b1")
    return [pieces.add(number, one) for number, one in pairs], pieces.pieces


def test_the_open_piece_is_replaced_by_the_version_that_reaches_further():
    assert gathered((0, piece(0, 5)), (0, piece(0, 9))) == ([True, True], [(0, piece(0, 9))])


def test_a_redelivered_older_version_changes_nothing():
    pairs = ((0, piece(0, 9)), (0, piece(0, 5)), (0, piece(0, 9)))
    assert gathered(*pairs) == ([True, False, False], [(0, piece(0, 9))])


def test_of_two_versions_that_reach_as_far_the_last_counts():
    wide = piece(0, 9, half_width_ns=5000)
    assert gathered((0, piece(0, 9)), (0, wide)) == ([True, True], [(0, wide)])


def test_a_merged_piece_replaces_those_from_its_number_to_its_last():
    merged = piece(1, 4, last=3)
    new, pieces = gathered(
        (0, piece(0, 1)), (1, piece(1, 2)), (3, piece(3, 3.5)), (1, merged), (2, piece(2, 3))
    )
    assert new == [True, True, True, True, False]
    assert pieces == [(0, piece(0, 1)), (1, merged)]


def test_a_merged_piece_that_adds_nothing_does_not_replace_narrower_ones():
    new, pieces = gathered((1, piece(1, 2)), (2, piece(2, 3)), (1, piece(1, 3, half_width_ns=9000, last=2)))
    assert new == [True, True, False]
    assert [number for number, _ in pieces] == [1, 2]


def test_a_merged_piece_replaces_narrower_ones_that_leave_something_uncovered():
    merged = piece(1, 3, last=2)
    assert gathered((1, piece(1, 1.5)), (2, piece(2, 3)), (1, merged)) == ([True, True, True], [(1, merged)])


def test_a_piece_that_was_merged_before_it_was_heard_is_held_by_the_merged_one():
    assert gathered((1, piece(1, 4, last=3)), (3, piece(3, 4))) == ([True, False], [(1, piece(1, 4, last=3))])


def test_a_last_before_the_number_is_no_piece():
    assert gathered((5, piece(1, 2, last=3))) == ([False], [])


def test_in_whatever_order_pieces_come_all_numbers_are_held_once_and_reach_as_far():
    versions = [(n, piece(n, n + share)) for n in range(8) for share in (0.5, 1)]
    versions += [(2, piece(2, 5, last=4)), (2, piece(2, 6, last=5)), (6, piece(6, 8, last=7))]
    for seed in range(tries(50)):
        _, pieces = gathered(*random.Random(seed).sample(versions, len(versions)))
        held = [number for first, one in pieces for number in range(first, (one.last or first) + 1)]
        assert held == list(range(8))
        ends_s = [one.to_raw_ns / S for _, one in pieces]
        assert ends_s == [(one.last or number) + 1 for number, one in pieces]


def test_a_line_has_the_piece_unchanged_and_whose_it_is():
    one = piece(3, 4, begins="step", last=9)
    written = line(7, one)
    assert piece_of(written) == one
    assert (written.key, written.boot_id) == (("vehicle", "rov1", "i1", 7), "b1")


def test_a_journal_names_its_malformed_lines_and_keeps_the_others():
    content = (
        lines_of([line(0, piece(0, 1))]) + b'{"machine": "vehicle"}\n\n' + lines_of([line(1, piece(1, 2))])
    )
    journal = read_clock_journal(content.splitlines(keepends=True))
    assert journal.histories["vehicle", "rov1"]["i1"].pieces == [(0, piece(0, 1)), (1, piece(1, 2))]
    assert journal.sound == 2
    assert journal.malformed == 1
    assert journal.complaint.startswith("1 of 3 lines of clock.jsonl are no pieces (line 2: ")


@pytest.fixture
def folder(tmp_path):
    made = SessionFolder(tmp_path)
    made.time_sync_path.mkdir()
    return made


def test_a_session_without_histories_has_none(folder):
    assert folder.read_clock() is None
    assert folder.clock_history("vehicle", "rov1") == {}


def test_a_machines_history_is_read_by_process_in_order_merged_and_without_its_repetitions(folder):
    lines = [
        line(0, piece(0, 1, begins="start")),
        line(1, piece(1, 2)),
        line(0, piece(0, 9), name="rov2"),
        line(0, piece(0, 9), machine="topside", name="rov1"),
        line(1, piece(1, 3)),
        line(0, piece(50, 60, begins="start"), instance_id="i2", boot_id="b2"),
        line(0, piece(0, 4, last=2)),
    ]
    folder.clock_path.write_bytes(lines_of(lines) + b"torn")
    history = folder.clock_history("vehicle", "rov1")
    assert list(history) == ["i1", "i2"]
    assert (history["i1"].boot_id, history["i1"].pieces) == ("b1", [(0, piece(0, 4, last=2))])
    assert (history["i2"].boot_id, [number for number, _ in history["i2"].pieces]) == ("b2", [0])
