"""The direct path to a vehicle: when it is asked, lost and found again, and which address is used."""

from itertools import pairwise

import pytest

from schemas.datagram import parse_request
from tests.unit.udp_conversation import (
    MS,
    OFFSET,
    ONE,
    SIX,
    TWO,
    US,
    Conversation,
    S,
    alive,
    terms,
)
from topside_agent.udp.addresses import Addresses


def test_a_lost_datagram_is_asked_again_long_before_the_time_out():
    talk = alive(timeout_s=5.0)
    before = len(talk.sent)
    talk.pass_until(lambda: len(talk.sent) == before + 1)
    assert talk.pass_until(lambda: len(talk.sent) == before + 2) < 0.25


def test_at_a_low_rate_a_second_request_asks_for_the_transmit_stamp_at_once():
    talk = alive(rate=0.2, train=1)
    sent_ns = []
    for _ in range(60):
        for each in talk.next_sent():
            sent_ns.append(talk.now_ns)
            asks = parse_request(each.data).earlier_seq
            talk.take(talk.answer(each, earlier=asks and talk.now_ns + OFFSET + 300 * US))
    apart_s = [round((after - before) / S) for before, after in pairwise(sent_ns)]
    assert apart_s[-20:].count(0) == 10
    assert apart_s[-20:].count(5) >= 5  # now and then all addresses are tried in between
    kinds = [each.transmit_stamp for each in talk.exchanges()[-10:]]
    assert kinds.count("kernel") >= 5


def test_addresses_that_are_only_tried_make_no_time_outs():
    talk = alive(ONE, TWO)
    for _ in range(12):
        for each in talk.next_sent():
            if each.address == ONE:
                talk.take(talk.answer(each))
    talk.now_ns += 5 * S
    talk.path.serve(talk.now_ns)
    assert talk.path.counts.timeouts == 0


def test_a_late_answer_still_makes_its_exchange():
    talk = alive()
    before = len(talk.sent)
    talk.pass_until(lambda: len(talk.sent) == before + 1)
    data = talk.answer(talk.sent[-1], way_ns=5 * MS)
    talk.pass_until(lambda: len(talk.sent) == before + 2)
    talk.take(data, after_ns=100 * MS)
    talk.pass_until(lambda: len(talk.exchanges()) == 2)
    assert talk.exchanges()[1].destination_raw_ns - talk.exchanges()[1].origin_raw_ns > 100 * MS


def test_a_silent_path_is_lost_and_tried_again_every_one_and_a_half_seconds_in_the_end():
    talk = alive()
    assert talk.pass_until(lambda: len(talk.states()) == 2) < 1.5
    lost = talk.states()[1]
    assert (lost.alive, lost.address, lost.reason) == (False, None, "silent")
    before = len(talk.sent)
    talk.now_ns += 60 * S
    talk.serve()
    talk.pass_until(lambda: len(talk.sent) >= before + 3)
    sent_s = []
    while len(sent_s) < 30:
        sent_s += [talk.now_ns / S for _ in talk.next_sent()]
    apart = [after - before for before, after in pairwise(sent_s)]
    assert apart[-15:] == pytest.approx([1.5] * 15, abs=0.01)
    talk.take(talk.answer(talk.sent[-1]))
    assert talk.states()[-1].alive


@pytest.mark.parametrize("delay_ms", [1, 100, 200, 400])
def test_a_path_of_whatever_delay_is_lost_within_two_seconds(delay_ms):
    """And not by answers that take as long as they ever did."""
    talk = Conversation()
    for _ in range(40):
        for each in talk.next_sent():
            data = talk.answer(each, way_ns=delay_ms * MS // 2)
            talk.take(data, after_ns=delay_ms * MS)
    assert [each.alive for each in talk.states()] == [True]
    assert talk.pass_until(lambda: len(talk.states()) == 2) < 2.0


def test_the_address_that_answers_fastest_is_used():
    talk = Conversation(ONE, TWO, SIX)
    sent = talk.serve()
    assert [each.address for each in sent] == [ONE, TWO, SIX]
    talk.take(talk.answer(sent[0]), after_ns=900 * US)
    assert talk.path.counts.address == ONE
    talk.now_ns += 20 * MS
    sent = talk.serve()
    talk.take(talk.answer(sent[1]), after_ns=200 * US)
    assert talk.path.counts.address == TWO
    assert [state.address for state in talk.states()] == [ONE, TWO]
    talk.pass_until(lambda: len({each.request.seq for each in talk.sent}) > 9)
    assert talk.sent[-1].address == TWO


@pytest.mark.parametrize("order", [(ONE, TWO), (TWO, ONE)])
def test_a_faster_address_that_came_up_later_is_used_from_the_next_look_around_on(order):
    addresses = Addresses((ONE, TWO), ONE)
    addresses.search(1)
    delays = {ONE: 500 * US, TWO: 100 * US}
    assert [addresses.answered(each, delays[each]) for each in order] == [False, True]
    assert addresses.used == TWO


def test_a_slightly_faster_address_is_no_reason_to_change():
    addresses = Addresses((ONE, TWO))
    addresses.search()
    assert addresses.answered(ONE, 500 * US)
    assert not addresses.answered(TWO, 480 * US)
    assert addresses.answered(TWO, 400 * US)


def test_a_vehicle_with_another_address_is_found_at_the_next_search():
    talk = alive(ONE, TWO)
    assert talk.path.counts.address == ONE
    talk.pass_until(lambda: not talk.path.alive)
    sent = talk.serve() or talk.next_sent(2)
    talk.take(talk.answer(next(each for each in sent if each.address == TWO)))
    assert talk.states()[-1].address == TWO


def test_where_nothing_can_be_sent_the_path_is_unreachable():
    talk = alive()
    deadline_ns = talk.now_ns + 3 * S
    while talk.path.alive:
        talk.now_ns = max(talk.now_ns + 1, talk.path.due_ns)
        assert talk.now_ns < deadline_ns
        to_send, events = talk.path.serve(talk.now_ns)
        talk.events += events
        for each in to_send:
            talk.path.was_not_sent(each)
    assert talk.states()[-1].reason == "unreachable"


def test_new_terms_keep_the_address_and_what_is_under_way():
    talk = alive(ONE, TWO)
    talk.pass_until(lambda: not talk.path._addresses.is_searching)
    talk.next_sent()
    under_way = talk.answer(talk.sent[-1])
    talk.events += talk.path.renew(terms(TWO, ONE, session=8), talk.now_ns)
    assert talk.path.counts.address == ONE
    assert talk.path.sessions == [7, 8]
    talk.take(under_way)
    sent = talk.serve() or talk.next_sent(2)
    assert {each.request.session for each in sent} == {8}
    for each in sent:
        talk.take(talk.answer(each))
    talk.pass_until(lambda: talk.path.sessions == [8])
    assert [each.session for each in talk.exchanges()][:2] == [7, 7]


def test_new_terms_of_a_lost_path_are_tried_at_once():
    talk = alive()
    talk.pass_until(lambda: not talk.path.alive)
    talk.pass_until(lambda: talk.path._failures > 4, most_s=30)
    talk.next_sent(2)
    assert talk.serve() == []
    talk.path.renew(terms(TWO, session=8), talk.now_ns)
    assert [each.address for each in talk.serve()] == [TWO]


def test_another_rate_of_the_same_session_goes_on_with_its_numbers():
    talk = alive(ONE, TWO)
    last = talk.sent[-1].request.seq
    assert talk.path.renew(terms(ONE, TWO, rate=1.0), talk.now_ns) == []
    assert talk.path.sessions == [7]
    (*_, following) = talk.next_sent()
    assert following.request.seq > last
    assert talk.take(talk.answer(following)) is not None
    assert talk.path.counts.refused == {}


def test_the_end_hands_out_what_is_held():
    talk = alive()
    state = talk.path.end()
    (exchange,) = talk.settle()
    assert exchange.transmit_stamp == "user"
    assert (state.alive, state.reason) == (False, "stopped")
