"""Topside's part of direct exchanges: what makes one, when it is handed out, and which address is used."""

from itertools import pairwise

import pytest

from runtime.realtime_line import RawStamp
from runtime.stamp_clock import Look
from schemas.datagram import (
    EARLIER_BY_KERNEL,
    RECEIVE_BY_KERNEL,
    Answer,
    Seal,
    pack_answer,
    parse_answer,
    parse_request,
)
from topside_agent.udp.addresses import Addresses
from topside_agent.udp.exchange import exchange_of
from topside_agent.udp.interface import Address, DirectExchange, PathState, PathTerms
from topside_agent.udp.path import DirectPath

S, MS, US = 10**9, 10**6, 10**3
KEY = bytes(range(32))
LEVEL, PI_LEVEL = 1_700_000_000 * S, 1_600_000_000 * S
OFFSET = 50 * S
"""Of the Pi's RAW."""
ONE, TWO, SIX = Address("192.0.2.1", 9151), Address("192.0.2.2", 9151), Address("fe80::1%eth0", 9151)


def terms(*addresses, session=7, rate=4.0, train=3, timeout_s=1.0):
    return PathTerms(session, KEY, addresses or (ONE,), rate, train, timeout_s)


def look(at_ns, slept_ns=0, sets=0):
    return Look(at_ns, LEVEL, 30, slept_ns, sets)


class Conversation:
    """A path and the datagrams that it sent; the vehicle answers when asked to."""

    def __init__(self, *addresses, **changes):
        self.now_ns = 100 * S
        self.path = DirectPath("rov1", terms(*addresses, **changes), self.now_ns)
        self.sent, self.events = [], []
        self.kernel = {}
        self.slept_ns = self.sets = 0

    def left(self, number):
        return self.kernel.pop(number, 0)

    def raw_of(self, stamp_ns):
        return RawStamp(stamp_ns - LEVEL, 45)

    def departed_at(self, stamp_ns, _):
        return RawStamp(stamp_ns - LEVEL, 45)

    def serve(self):
        to_send, states = self.path.serve(self.now_ns)
        self.events += states
        for each in to_send:
            self.sent.append(each)
            self.kernel[len(self.sent)] = LEVEL + self.now_ns + 2 * US
            number = len(self.sent)
            self.path.was_sent(each, number, self, sent_ns=self.now_ns, sets=self.sets, generation=0)
        if not to_send:
            self.settle()
        return to_send

    def settle(self):
        now = look(self.now_ns, self.slept_ns, self.sets)
        events = self.path.settle(now, self) if self.path.has_finished else []
        self.events += events
        return events

    def pass_until(self, condition, most_s=10.0):
        """Serve what is due until something is as wanted; how long that took, s."""
        begun_ns = self.now_ns
        while not condition():
            self.now_ns = max(self.now_ns + 1, self.path.due_ns)
            assert self.now_ns - begun_ns < most_s * S
            self.serve()
        return (self.now_ns - begun_ns) / S

    def next_sent(self, more=1):
        """What is sent next, after so many datagrams."""
        count = len(self.sent) + more
        self.pass_until(lambda: len(self.sent) >= count)
        return self.sent[count - more :]

    def answer(self, to_send, *, way_ns=100 * US, earlier=None, session=None, **changes):
        """The vehicle's answer as datagram; `earlier`: the departure of the answer that was asked for."""
        request = parse_request(to_send.data)
        received_ns = self.now_ns + OFFSET + way_ns
        fields = {
            "flags": RECEIVE_BY_KERNEL | (EARLIER_BY_KERNEL if earlier else 0),
            "session": session or request.session,
            "seq": request.seq,
            "nonce": request.nonce,
            "receive_raw_ns": received_ns,
            "transmit_raw_ns": received_ns + 10 * US,
            "earlier_transmit_raw_ns": earlier or 0,
            "realtime_minus_raw_ns": PI_LEVEL,
            "resolution_ns": 50,
            "earlier_resolution_ns": 60 if earlier else 0,
            "earlier_seq": request.earlier_seq,
        }
        return pack_answer(Answer(**fields | changes), Seal(KEY))

    def take(self, data, *, after_ns=220 * US, kernel_ns=0):
        """The datagram arrives."""
        self.now_ns += after_ns
        arrived_ns = kernel_ns and LEVEL + kernel_ns
        states = self.path.answered(data, parse_answer(data), arrived_ns, self.now_ns)
        if isinstance(states, str):
            return []
        self.events += states
        return [*states, *self.settle()]

    def exchanges(self):
        return [each for each in self.events if isinstance(each, DirectExchange)]

    def states(self):
        return [each for each in self.events if isinstance(each, PathState)]


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


def test_an_exchange_whose_departure_does_not_come_has_the_programs():
    talk = Conversation()
    (first,) = talk.serve()
    talk.take(talk.answer(first))
    talk.now_ns += 20 * MS
    (second,) = talk.serve()
    (exchange,) = talk.take(talk.answer(second))
    assert exchange.transmit_stamp == "user"
    assert exchange.transmit_raw_ns - exchange.receive_raw_ns == 10 * US
    assert exchange.resolution_ns == 50 + 45


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


def alive(*addresses, **changes):
    talk = Conversation(*addresses, **changes)
    for each in talk.serve():
        talk.take(talk.answer(each))
    return talk


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


def test_a_silent_path_is_lost_and_tried_again_more_and_more_rarely():
    talk = alive()
    assert talk.pass_until(lambda: len(talk.states()) == 2) < 2.0
    lost = talk.states()[1]
    assert (lost.alive, lost.address, lost.reason) == (False, None, "silent")
    before = len(talk.sent)
    talk.now_ns += 60 * S
    talk.serve()
    talk.pass_until(lambda: len(talk.sent) >= before + 3)
    searches = []
    while len(searches) < 8:
        talk.next_sent()
        searches.append(talk.now_ns)
        talk.next_sent(2)
    apart = [(after - before) / S for before, after in pairwise(searches)]
    assert apart[-1] == pytest.approx(5, abs=0.1)
    assert apart == sorted(apart)
    talk.take(talk.answer(talk.sent[-1]))
    assert talk.states()[-1].alive


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


def test_a_path_that_is_made_again_repeats_no_number_of_its_session():
    first = Conversation(rate=50.0)
    for _ in range(200):
        first.take(first.answer(*first.next_sent()))
    again = DirectPath("rov1", terms(), first.now_ns + S)
    to_send, _ = again.serve(first.now_ns + S)
    assert to_send[0].request.seq > first.sent[-1].request.seq


def test_the_end_hands_out_what_is_held():
    talk = alive()
    state = talk.path.end()
    (exchange,) = talk.settle()
    assert exchange.transmit_stamp == "user"
    assert (state.alive, state.reason) == (False, "stopped")
