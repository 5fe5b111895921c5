"""A session's clock histories: what is new or missing, how far back they reach, what a stop waits for."""

import random
from itertools import pairwise

import pytest

from schemas.clock_history import TopsideClock, VehicleClock
from tests.effort import tries
from tests.unit.test_clock_pieces import S, line, piece
from tests.unit.test_recorder_session import exchange
from tidesync.sessions.recorder.clock_log import LIVE_NS, ClockLog
from tidesync.sessions.recorder.missing_ranges import FIRST_REQUEST_NS, MOST_REPEATS, REPEAT_REQUEST_NS
from tidesync.sessions.recorder.piece_watch import LAST_NUMBER
from tidesync.sessions.recorder.resend import of_clock, sentence_of_lost

ROV1 = ("vehicle", "rov1")


def message(first, *pieces, instance_id="i1", boot_id="b1"):
    return VehicleClock(vehicle="rov1", boot_id=boot_id, instance_id=instance_id, first=first, pieces=pieces)


def heard(*messages, now_ns=0, elapsed_ns=0):
    log = ClockLog()
    for each in messages:
        log.take(ROV1, each, now_ns, elapsed_ns)
    return log


def asked(log, now_ns):
    return [(one.instance_id, one.first, one.last) for one in log.requests(now_ns)]


def missing(log):
    return sum(counts.missing for counts in log.counts())


def test_each_piece_is_a_line_once_and_a_grown_one_is_another():
    log = ClockLog()
    take = [log.take(ROV1, message(4, piece(0, 3), piece(3, end)), 0, 0) for end in (5, 5, 8)]
    assert [[(one.number, one.to_raw_ns // S) for one in lines] for lines in take] == [
        [(4, 3), (5, 5)],
        [],
        [(5, 8)],
    ]
    assert take[0][0] == line(4, piece(0, 3))


def test_a_topsides_pieces_are_lines_of_its_own():
    clock = TopsideClock(topside="laptop", boot_id="b9", instance_id="i9", first=0, pieces=(piece(0, 3),))
    (one,) = ClockLog().take(("topside", "laptop"), clock, 0, 0)
    assert one == line(0, piece(0, 3), machine="topside", name="laptop", instance_id="i9", boot_id="b9")


def test_skipped_numbers_are_asked_for_with_both_ends_and_not_at_once():
    log = heard(message(0, piece(0, 1), piece(1, 4, begins="step")), message(5, piece(4, 5)))
    assert missing(log) == 3
    assert asked(log, FIRST_REQUEST_NS - 1) == []
    assert asked(log, FIRST_REQUEST_NS) == [("i1", 2, 4)]
    assert log.waiting


def test_the_piece_before_skipped_ones_is_asked_for_too_because_it_may_have_grown_unheard():
    log = heard(message(0, piece(0, 1)), message(4, piece(4, 5)))
    assert missing(log) == 3
    assert asked(log, FIRST_REQUEST_NS - 1) == []
    assert asked(log, FIRST_REQUEST_NS) == [("i1", 0, 3)]
    log.take(ROV1, message(0, piece(0, 1)), 1, 0)
    assert asked(log, 9 * S) == [("i1", 1, 3)]


def test_a_piece_whose_end_was_not_heard_is_asked_for_although_no_number_is_missing():
    log = heard(message(0, piece(0, 1)), message(1, piece(2, 3)))
    assert (missing(log), asked(log, S)) == (0, [("i1", 0, 0)])
    log.take(ROV1, message(0, piece(0, 0.5)), 1, 0)
    assert log.waiting  # that is an older version
    assert [one.to_raw_ns for one in log.take(ROV1, message(0, piece(0, 2)), 2, 0)] == [2 * S]
    assert not log.waiting


def test_what_comes_in_one_message_is_as_long_as_it_will_be_also_before_a_step():
    log = heard(message(0, piece(0, 1), piece(1.2, 3, begins="step")))
    assert (asked(log, S), log.waiting) == ([], False)


def test_a_merged_piece_fills_all_its_numbers():
    log = heard(message(0, piece(0, 1)), message(6, piece(6, 7)))
    log.take(ROV1, message(0, piece(0, 5, last=4)), 1, 0)
    assert asked(log, 9 * S) == [("i1", 5, 5)]
    log.take(ROV1, message(2, piece(2, 6, last=5)), 1, 0)
    assert (missing(log), log.waiting) == (0, False)


def test_what_a_machine_that_is_heard_does_not_have_is_lost_and_named_once():
    log = heard(message(0, piece(0, 1)), message(3, piece(3, 4)))
    for turn in range(1, MOST_REPEATS + 2):
        assert log.give_up() == []
        assert asked(log, turn * REPEAT_REQUEST_NS) == [("i1", 0, 2)]
        log.take(ROV1, message(3, piece(3, 4 + turn)), turn * REPEAT_REQUEST_NS + 1, 0)
    (lost,) = log.give_up()
    assert sentence_of_lost(lost) == "pieces 0 to 2 of the clock history of vehicle rov1 (i1) cannot be had"
    assert log.give_up() == []
    assert (missing(log), log.waiting) == (2, False)


def test_a_silent_machine_has_not_refused():
    log = heard(message(0, piece(0, 1)), message(3, piece(3, 4)))
    for turn in range(1, 5 * MOST_REPEATS):
        assert asked(log, turn * REPEAT_REQUEST_NS) == [("i1", 0, 2)]
        assert log.give_up() == []


def test_the_first_piece_that_began_before_the_session_is_enough():
    log = heard(message(40, piece(100, 160)), elapsed_ns=30 * S)
    assert (asked(log, 9 * S), log.waiting) == ([], False)


def test_a_history_that_begins_after_the_session_is_asked_for_until_it_reaches_the_start():
    log = heard(message(100, piece(1000, 1001)), elapsed_ns=300 * S)
    heard_numbers, now_ns = [100], 0
    for _ in range(20):
        now_ns += REPEAT_REQUEST_NS
        for one in log.requests(now_ns):
            pieces = [piece(900 + number, 901 + number) for number in range(one.first, one.last + 1)]
            lines = log.take(ROV1, message(one.first, *pieces), now_ns, 300 * S)
            heard_numbers += [one.number for one in lines]
    assert sorted(heard_numbers) == list(range(101))
    assert not log.waiting


def test_it_is_asked_for_no_further_than_that():
    log = heard(message(5000, piece(1000, 1001)), elapsed_ns=10 * S)
    (one,) = log.requests(S)
    pieces = [piece(one_number - 4000, one_number - 3999) for one_number in range(one.first, one.last + 1)]
    log.take(ROV1, message(one.first, *pieces), S, 10 * S)
    assert one.last == 4999
    assert (asked(log, 99 * S), log.waiting) == ([], False)


def test_pieces_from_long_before_that_another_recorder_asked_for_are_not_taken():
    log = heard(message(5000, piece(900, 1001)))
    assert log.take(ROV1, message(3, piece(3, 4)), 1, 0) == []
    assert (missing(log), log.waiting) == (0, False)


def test_how_many_are_older_than_the_first_is_not_known_so_none_counts_as_missing():
    log = heard(message(100, piece(1000, 1001)), elapsed_ns=300 * S)
    assert (missing(log), log.waiting) == (0, True)


def test_after_a_lost_connection_each_process_is_asked_for_what_followed():
    log = heard(message(0, piece(0, 1)), message(0, piece(5, 6), instance_id="i2"))
    log.request_all(1)
    assert asked(log, 1) == [("i1", 0, LAST_NUMBER), ("i2", 0, LAST_NUMBER)]
    log.take(ROV1, message(0, piece(5, 7), instance_id="i2"), 2, 0)
    assert asked(log, 9 * S) == [("i1", 0, LAST_NUMBER)]


def test_a_restarted_recorder_knows_what_it_has_and_asks_for_what_it_missed():
    log = ClockLog()
    log.restore([line(0, piece(0, 1)), line(1, piece(1, 2)), line(4, piece(4, 5))], 0)
    assert missing(log) == 2
    assert log.take(ROV1, message(1, piece(1, 2)), 1, 0) == []
    log.request_all(1)
    assert asked(log, 1) == [("i1", 2, 3), ("i1", 4, LAST_NUMBER)]


def test_the_process_before_a_new_one_is_asked_for_its_last_pieces():
    log = heard(message(0, piece(0, 1)))
    log.take(ROV1, message(0, piece(9, 10, begins="start"), instance_id="i2"), 1, 0)
    assert asked(log, S) == [("i1", 0, LAST_NUMBER)]


def test_a_process_that_has_ended_is_asked_until_nothing_more_follows():
    log = heard(message(0, piece(0, 1)))
    log.take(ROV1, message(0, piece(9, 10, begins="start"), instance_id="i2"), 1, 0)
    for number in range(1, 4):
        assert asked(log, number * S) == [("i1", number - 1, LAST_NUMBER)]
        log.take(ROV1, message(number, piece(number, number + 1)), number * S, 0)
    assert asked(log, 4 * S) == [("i1", 3, LAST_NUMBER)]
    log.take(ROV1, message(3, piece(3, 4)), 4 * S, 0)
    assert (asked(log, 99 * S), log.waiting) == ([], False)


def test_a_process_that_left_no_journal_delays_a_stop_by_four_requests_at_most():
    log = heard(message(0, piece(0, 1)))
    log.take(ROV1, message(0, piece(9, 10, begins="start"), instance_id="i2"), 1, 0)
    for turn in range(1, 5):
        assert log.waiting
        assert asked(log, turn * REPEAT_REQUEST_NS) == [("i1", 0, LAST_NUMBER)]
        newer = message(0, piece(9, 10 + turn, begins="start"), instance_id="i2")
        log.take(ROV1, newer, turn * REPEAT_REQUEST_NS + 1, 0)
        log.give_up()
    assert (missing(log), log.waiting) == (0, False)


def test_a_stop_asks_those_that_are_alive_and_waits_until_they_reach_the_last_exchange():
    log = heard(message(0, piece(0, 1)), now_ns=LIVE_NS)
    gone = TopsideClock(topside="gone", boot_id="b", instance_id="g", first=0, pieces=(piece(0, 1),))
    log.take(("topside", "gone"), gone, 0, 0)
    last = exchange(7, 5, boot_id="b1")
    log.note_exchange(last.model_copy(update={"pi_realtime_minus_raw_ns": last.transmit_ns - 100 * S}))
    log.await_last(LIVE_NS + 1)
    assert asked(log, LIVE_NS + 1) == [("i1", 0, LAST_NUMBER)]
    log.take(ROV1, message(0, piece(0, 50)), LIVE_NS + 2, 0)
    assert log.waiting
    log.take(ROV1, message(1, piece(50, 99.5)), LIVE_NS + 3, 0)
    assert not log.waiting


def test_what_is_missing_at_the_end_is_lost_once():
    log = heard(message(0, piece(0, 1)), message(4, piece(4, 5)))
    assert [(lost.first, lost.last) for lost in log.end()] == [(0, 3)]
    assert (log.end(), log.waiting) == ([], False)


def test_a_command_has_the_process_and_both_ends():
    log = heard(message(0, piece(0, 1)), message(4, piece(4, 5)))
    ((owner, command),) = of_clock("main", log.requests(S), 7)
    assert owner == ROV1
    assert b'"instance_id":"i1","from":0,"to":3' in command.encode()


@pytest.mark.parametrize("merging", [False, True])
def test_whatever_the_network_loses_repeats_and_reorders_the_history_is_whole_in_the_end(merging):
    for seed in range(tries(30)):
        _one_life(random.Random(seed), merging=merging)


def _one_life(source, *, merging):
    """A clock cut every few seconds, behind a network that loses half of everything, then heals."""
    log, pieces, now_ns, start_s, written = ClockLog(), [], 0, source.randint(0, 60), []
    for second in range(200):
        now_ns += S
        lossy = second < 150
        if not pieces or source.random() < 0.4:
            number = pieces[-1][1] + 1 if pieces else 0
            pieces.append([number, number, second, second + 1])
        pieces[-1][3] = second + 1
        if second < start_s:
            continue  # the session has not begun
        arriving = [pieces[-1]]
        for one in log.requests(now_ns):
            arriving += [each for each in pieces if one.first <= each[1] and each[0] <= one.last]
        if merging and len(pieces) > 3 and source.random() < 0.2:
            at = source.randrange(len(pieces) - 2)
            merged = [pieces[at][0], pieces[at + 1][1], pieces[at][2], pieces[at + 1][3]]
            pieces[at : at + 2] = [merged]
        for first, last, from_s, to_s in arriving:
            if not lossy or source.random() < 0.5:
                one = piece(from_s, to_s, last=last if last > first else None)
                written += log.take(ROV1, message(first, one), now_ns, (second - start_s) * S)
        assert log.give_up() == []
    (watch,) = log._watches[ROV1].values()
    held = watch.pieces.pieces
    numbers = [n for first, one in held for n in range(first, (one.last or first) + 1)]
    assert numbers == list(range(numbers[0], pieces[-1][1] + 1))
    assert held[0][1].from_raw_ns <= start_s * S
    assert all(one.to_raw_ns == later.from_raw_ns for (_, one), (_, later) in pairwise(held))
    assert held[-1][1].to_raw_ns == 200 * S
    assert missing(log) == 0
