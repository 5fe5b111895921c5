"""Topside's part of direct exchanges: what makes one, and when it is handed out."""

import pytest

from tests.unit.udp_conversation import LEVEL, MS, OFFSET, PI_LEVEL, US, Conversation, S
from topside_agent.udp.exchange import exchange_of
from topside_agent.udp.interface import PathState


def test_an_exchange_waits_for_its_departure_which_comes_with_the_next_answer():
    talk = Conversation()
    (first,) = talk.serve()
    begun_ns = talk.now_ns
    events = talk.take(talk.answer(first), kernel_ns=begun_ns + 205 * US)
    assert [type(each) for each in events] == [PathState]
    assert events[0].alive
    talk.now_ns += 20 * MS
    (second,) = talk.serve()
    assert second.request.earlier_seq == first.request.seq
    departed_ns = begun_ns + OFFSET + 112 * US
    (exchange,) = talk.take(talk.answer(second, earlier=departed_ns))
    assert exchange.transmit_stamp == exchange.receive_stamp == "kernel"
    assert exchange.origin_raw_ns == begun_ns + 2 * US
    assert exchange.receive_raw_ns == begun_ns + OFFSET + 100 * US
    assert exchange.transmit_raw_ns == departed_ns
    assert exchange.destination_raw_ns == begun_ns + 205 * US
    assert exchange.resolution_ns == 60 + 45
    made = exchange_of(exchange, topside="surface", seq=3, boot_id="boot")
    assert made.method == "udp_exchange_v1"
    assert made.delay_ns == 205 * US - 2 * US - 12 * US
    assert (made.origin_ns, made.receive_ns) == (
        LEVEL + begun_ns + 2 * US,
        PI_LEVEL + begun_ns + OFFSET + 100 * US,
    )


@pytest.mark.parametrize(
    ("since_s", "pi_even_ns", "even_ns"),
    [(99, 700 * MS, 700 * MS), (99, 3 * S, S + 205 * US), (0, 3 * S, 0), (99, 0, 0)],
    ids=["the vehicle's", "topside's", "topside's is not known", "the vehicle's is not"],
)
def test_an_exchange_says_for_how_long_both_realtimes_ran_evenly(since_s, pi_even_ns, even_ns):
    talk = Conversation()
    talk.since_ns = since_s * S
    (first,) = talk.serve()
    begun_ns = talk.now_ns
    talk.take(talk.answer(first), kernel_ns=begun_ns + 205 * US)
    talk.now_ns += 20 * MS
    (second,) = talk.serve()
    even = {"earlier_even_ns": pi_even_ns, "earlier_even_within_ns": 5}
    (exchange,) = talk.take(talk.answer(second, earlier=begun_ns + OFFSET + 112 * US, **even))
    assert exchange.even_ns == even_ns
    made = exchange_of(exchange, topside="surface", seq=3, boot_id="boot")
    assert (made.even_ns, made.even_within_ns) == (even_ns, (5 + 1) * (even_ns > 0))


def test_an_exchange_whose_departure_does_not_come_has_the_programs():
    talk = Conversation()
    (first,) = talk.serve()
    talk.take(talk.answer(first))
    talk.now_ns += 20 * MS
    (second,) = talk.serve()
    (exchange,) = talk.take(talk.answer(second))
    assert exchange.transmit_stamp == "user"
    assert exchange.transmit_raw_ns - exchange.receive_raw_ns == 10 * US
    assert exchange.resolution_ns == 50 + 45 + 1006  # nothing shows that the clock kept its rate meanwhile


def test_the_last_exchange_before_a_silence_is_handed_out_within_two_seconds():
    talk = Conversation()
    (first,) = talk.serve()
    talk.take(talk.answer(first))
    assert talk.pass_until(talk.exchanges) < 2.0
    assert talk.exchanges()[0].transmit_stamp == "user"


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": b"12345678"},
        {"seq": 99},
        {"session": 8},
    ],
)
def test_an_answer_that_was_not_asked_for_makes_nothing(change):
    talk = Conversation()
    (first,) = talk.serve()
    assert talk.take(talk.answer(first, **change)) == []
    assert talk.path.counts.refused == {"unknown": 1}
    assert talk.take(talk.answer(first)) != []


def test_a_forged_or_repeated_answer_makes_nothing():
    talk = Conversation()
    (first,) = talk.serve()
    genuine = talk.answer(first)
    assert talk.take(genuine[:-1] + bytes([genuine[-1] ^ 1])) == []
    assert talk.take(genuine) != []
    assert talk.take(genuine) == []
    assert talk.path.counts.refused == {"tag": 1, "unknown": 1}


def test_stamps_that_contradict_each_other_are_refused_and_counted():
    talk = Conversation()
    (first,) = talk.serve()
    talk.take(talk.answer(first, transmit_raw_ns=5))
    assert talk.path.counts.refused == {"invalid_pi_time": 1}


def test_a_departure_earlier_than_the_programs_own_stamp_is_not_used():
    talk = Conversation()
    (first,) = talk.serve()
    begun_ns = talk.now_ns
    talk.kernel[1] = LEVEL + begun_ns - 5 * US  # of another datagram
    talk.take(talk.answer(first))
    talk.now_ns += 20 * MS
    (second,) = talk.serve()
    (exchange,) = talk.take(talk.answer(second, earlier=begun_ns + OFFSET))
    assert exchange.origin_raw_ns == begun_ns
    assert exchange.transmit_stamp == "user"


def test_nothing_survives_a_sleep_of_this_computer():
    talk = Conversation()
    (first,) = talk.serve()
    talk.take(talk.answer(first))
    talk.now_ns += 20 * MS
    (second,) = talk.serve()
    talk.path.slept()
    talk.take(talk.answer(second))
    assert talk.path.counts.refused == {"slept": 2, "unknown": 1}
    talk.now_ns += 2 * S
    talk.serve()
    assert talk.exchanges() == []


def test_an_exchange_during_which_the_clock_was_set_says_so():
    talk = Conversation()
    (first,) = talk.serve()
    talk.sets = 1
    talk.take(talk.answer(first))
    talk.pass_until(talk.exchanges)
    assert talk.exchanges()[0].topside_set
