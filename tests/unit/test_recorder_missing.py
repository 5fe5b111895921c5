"""Missing seq: what is requested again, when it is lost, and when a lower number is a new process."""

import random

from schemas.exchange import Exchange
from tests.effort import tries
from tidesync.sessions.recorder.missing import SequenceWatch
from tidesync.sessions.recorder.missing_ranges import (
    FIRST_REQUEST_NS,
    LARGEST_REQUEST,
    MOST_REPEATS,
    REPEAT_REQUEST_NS,
)
from tidesync.sessions.recorder.recorded import RecordedExchanges

S = 1_000_000_000
BOOT = 1_700_000_000 * S


def exchange(seq, origin_s, *, raw_offset_ns=BOOT):
    origin_ns = BOOT + round(origin_s * S)
    return Exchange(
        vehicle="rov1",
        topside="topside",
        seq=seq,
        boot_id="boot",
        origin_ns=origin_ns,
        receive_ns=origin_ns + 1,
        transmit_ns=origin_ns + 2,
        destination_ns=origin_ns + 3,
        pi_realtime_minus_raw_ns=raw_offset_ns,
        topside_realtime_minus_raw_ns=raw_offset_ns,
    )


class Listener:
    """A watch and the identities it has been shown."""

    def __init__(self):
        self.watch = SequenceWatch()
        self.known = RecordedExchanges()
        self.lost = []

    def hear(self, *exchanges, now_ns=0, batch=None):
        for one in exchanges:
            known = not self.known.add(one)
            self.lost += self.watch.observe(one, now_ns, known=known, batch=batch)


def heard(*seqs, now_ns=0):
    listener = Listener()
    listener.hear(*(exchange(seq, seq) for seq in seqs), now_ns=now_ns)
    return listener


def test_an_unbroken_count_asks_for_nothing_wherever_it_begins():
    listener = heard(*range(37, 90))
    assert listener.watch.requests(100 * S) == []
    assert listener.watch.missing == 0
    assert not listener.watch.waiting


def test_a_missing_range_is_asked_for_with_both_ends_included_but_not_at_once():
    listener = heard(3, 4, 8)
    assert listener.watch.missing == 3
    assert listener.watch.requests(FIRST_REQUEST_NS - 1) == []
    assert listener.watch.requests(FIRST_REQUEST_NS) == [(5, 7)]


def test_what_was_asked_for_is_not_asked_for_again_while_the_answer_may_be_under_way():
    listener = heard(0, 4)
    assert listener.watch.requests(1 * S) == [(1, 3)]
    assert listener.watch.requests(1 * S + REPEAT_REQUEST_NS - 1) == []
    assert listener.watch.requests(1 * S + REPEAT_REQUEST_NS) == [(1, 3)]


def test_what_comes_back_is_no_longer_missing_and_the_rest_is_asked_for_again():
    listener = heard(0, 6)
    assert listener.watch.requests(1 * S) == [(1, 5)]
    listener.hear(exchange(3, 3), now_ns=1 * S)
    assert listener.watch.missing == 4
    assert listener.watch.requests(1 * S + REPEAT_REQUEST_NS) == [(4, 5), (1, 2)]
    listener.hear(*(exchange(seq, seq) for seq in (1, 2, 4, 5)))
    assert listener.watch.missing == 0
    assert listener.watch.requests(99 * S) == []
    assert listener.lost == []


def test_a_long_outage_comes_back_in_portions_the_newest_first():
    last = 3 * LARGEST_REQUEST
    listener = heard(0, last)
    first = last - LARGEST_REQUEST
    assert listener.watch.requests(1 * S) == [(first, last - 1)]
    listener.hear(*(exchange(seq, seq) for seq in range(first, last)), now_ns=1 * S)
    assert listener.watch.requests(1 * S) == [(first - LARGEST_REQUEST, first - 1)]


def test_what_a_topside_that_answers_does_not_have_is_lost_and_returned_once():
    listener = heard(0, 5)
    for turn in range(1, MOST_REPEATS + 2):
        assert listener.watch.give_up() == []
        now_ns = turn * REPEAT_REQUEST_NS
        assert listener.watch.requests(now_ns) == [(1, 4)]
        listener.hear(exchange(5 + turn, 5 + turn), now_ns=now_ns + 1)
    (lost,) = listener.watch.give_up()
    assert (lost.run, lost.first, lost.last, lost.before_origin_ns) == (0, 1, 4, exchange(5, 5).origin_ns)
    assert listener.watch.give_up() == []
    assert listener.watch.requests(999 * S) == []
    assert listener.watch.missing == 4


def test_a_topside_that_is_silent_has_not_refused():
    listener = heard(0, 5)
    for turn in range(1, 20 * MOST_REPEATS):
        assert listener.watch.requests(turn * REPEAT_REQUEST_NS) == [(1, 4)]
        assert listener.watch.give_up() == []


def test_a_connection_that_was_lost_has_not_refused_either():
    listener = heard(0, 5)
    for turn in range(1, 20 * MOST_REPEATS):
        assert listener.watch.requests(turn * REPEAT_REQUEST_NS) == [(1, 4)]
        listener.hear(exchange(5 + turn, 5 + turn), now_ns=turn * REPEAT_REQUEST_NS + 1)
        if turn % MOST_REPEATS == 0:
            listener.watch.request_all()
        assert listener.watch.give_up() == []


def test_a_lower_number_with_a_newer_origin_is_a_new_process_counted_from_0():
    listener = heard(0, 1, 5)
    listener.hear(exchange(2, 60))
    (lost,) = listener.lost
    assert (lost.first, lost.last) == (2, 4)
    assert listener.watch.run == 1
    assert listener.watch.requests(99 * S) == [(0, 1)]


def test_a_restart_behind_an_unbroken_count_loses_nothing():
    listener = heard(*range(5, 12))
    listener.hear(exchange(0, 60), exchange(1, 61))
    assert listener.lost == []
    assert listener.watch.run == 1
    assert listener.watch.missing == 0


def test_a_restart_with_a_rebooted_topside_is_noticed_although_raw_starts_again():
    listener = heard(*range(5, 12))
    rebooted_ns = BOOT + 3600 * S
    listener.hear(exchange(0, 3700, raw_offset_ns=rebooted_ns))
    assert listener.watch.run == 1


def test_what_is_sent_again_is_no_restart_although_topsides_wall_clock_was_set_back():
    listener = Listener()
    listener.hear(exchange(0, 1000))
    set_back_ns = BOOT - 500 * S  # raw goes on, realtime is 500 s less
    listener.hear(exchange(5, 505, raw_offset_ns=set_back_ns))
    listener.hear(*(exchange(seq, 1000 + seq) for seq in (1, 2, 3, 4)))
    assert listener.watch.run == 0
    assert listener.watch.missing == 0
    assert listener.lost == []


def test_a_batch_counted_lower_is_a_new_process_even_if_its_seq_is_higher():
    listener = Listener()
    listener.hear(exchange(7, 7), batch=40)
    listener.hear(exchange(20, 60), batch=3)
    assert listener.watch.run == 1
    assert listener.watch.requests(9 * S) == [(0, 19)]


def test_a_redelivered_batch_changes_nothing():
    listener = Listener()
    listener.hear(exchange(0, 0), exchange(1, 1), batch=0)
    listener.hear(exchange(2, 2), batch=1)
    listener.hear(exchange(0, 0), exchange(1, 1), batch=0)
    listener.hear(exchange(3, 3), batch=2)
    assert (listener.watch.run, listener.watch.missing, listener.lost) == (0, 0, [])


def test_the_end_loses_what_is_missing_once():
    listener = heard(0, 2, 4)
    assert [(lost.first, lost.last) for lost in listener.watch.end()] == [(1, 1), (3, 3)]
    assert listener.watch.end() == []


def test_whatever_the_network_loses_repeats_and_restarts_everything_arrives_in_the_end():
    for seed in range(tries(30)):
        _one_life(random.Random(seed))


def _one_life(source):
    """A topside that is restarted twice behind a network that loses half of everything, then heals."""
    listener, finished, origin_s, now_ns = Listener(), [], 0, 0
    for _ in range(3):
        process = []
        for turn in range(150):
            now_ns += S
            lossy = turn < 100
            arriving = []
            for first, last in listener.watch.requests(now_ns):
                asked = process[first : last + 1]
                arriving += [one for one in asked if not lossy or source.random() < 0.7]
            origin_s += 1
            process.append(exchange(len(process), origin_s))
            if not finished + process[:-1] or not lossy or source.random() < 0.5:
                arriving.append(process[-1])
            if source.random() < 0.2:
                arriving += source.sample(process, min(3, len(process)))  # somebody else has asked
            listener.hear(*arriving, now_ns=now_ns)
            assert listener.watch.give_up() == []
        finished += process
    assert [one for one in finished if one not in listener.known] == []
