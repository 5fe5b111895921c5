"""The vehicle's part of a direct exchange: what is answered, and that nothing else changes anything."""

import pickle
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pi_agent.udp.answerer import Answerer
from pi_agent.udp.interface import SessionTerms
from pi_agent.udp.session import KEPT, ReplayWindow, TokenBucket
from runtime.realtime_line import RawStamp
from runtime.stamp_clock import Look
from schemas.datagram import (
    EARLIER_BY_KERNEL,
    RECEIVE_BY_KERNEL,
    SIZE,
    Request,
    Seal,
    pack_request,
    parse_answer,
)
from tests.effort import tries

S = 10**9
KEY, OTHER = bytes(range(32)), bytes(range(32, 64))
LOOK = Look(5 * S, 10**18, 40, 0, 0, 5 * S, 0.0)


class Departures(dict):
    """Stamps by the number of the datagram."""

    def departed(self, number, _):
        return self.pop(number, None)


def terms(number=7, key=KEY, topside="surface", expires_s=3600, rate=10.0):
    return SessionTerms(number, key, topside, expires_s * S, rate)


@pytest.fixture
def answerer():
    answerer = Answerer()
    answerer.open(terms())
    return answerer


def asked(seq, *, session=7, key=KEY, earlier=0):
    return pack_request(Request(session, seq, b"nonce%03d" % seq, earlier), Seal(key))


def answered(answerer, data, *, now_s=5, kernel=None, look=LOOK, departures=None, number=0):
    admitted = answerer.admit(data, now_s * S)
    assert not isinstance(admitted, str), admitted
    answer = answerer.answer(admitted, kernel, look, departures or Departures(), look.raw_ns + 900)
    answerer.sent(admitted, number, kernel, look, look.raw_ns + 900)
    return parse_answer(answer)


def state(answerer):
    """All that an attacker could change, the count of refusals left out."""
    sessions = answerer._sessions.values()
    return pickle.dumps(
        [
            (s.terms, vars(s.window), vars(s.bucket), [(n, d.number) for n, d in s._departures.items()])
            for s in sessions
        ]
    ), answerer.answered


def test_an_answer_has_the_requests_names_and_the_clock(answerer):
    answer = answered(answerer, asked(1), kernel=RawStamp(5 * S - 3000, 70, 10**18))
    assert (answer.session, answer.seq, answer.nonce) == (7, 1, b"nonce001")
    assert answer.flags == RECEIVE_BY_KERNEL
    assert (answer.receive_raw_ns, answer.transmit_raw_ns) == (5 * S - 3000, 5 * S + 900)
    assert (answer.realtime_minus_raw_ns, answer.resolution_ns) == (10**18, 70)


def test_without_the_kernels_stamp_the_programs_own_counts(answerer):
    answer = answered(answerer, asked(1))
    assert (answer.flags, answer.receive_raw_ns, answer.resolution_ns) == (0, 5 * S, 40)


def test_a_kernel_stamp_after_the_program_had_the_datagram_is_not_used(answerer):
    answer = answered(answerer, asked(1), kernel=RawStamp(5 * S + 1000, 70, 10**18))
    assert (answer.flags, answer.receive_raw_ns) == (0, 5 * S)


def test_the_next_answer_has_the_departure_of_the_one_asked_for(answerer):
    departures = Departures({100: RawStamp(5 * S + 1500, 60, 10**18)})
    answered(answerer, asked(1), number=100)
    for seq in (2, 3):  # again, if the answer with it was lost
        answer = answered(answerer, asked(seq, earlier=1), departures=departures, number=100 + seq)
        assert answer.flags & EARLIER_BY_KERNEL
        assert (answer.earlier_seq, answer.earlier_transmit_raw_ns) == (1, 5 * S + 1500)
        assert answer.earlier_resolution_ns == 60


@pytest.mark.parametrize(
    ("kernel", "even"),
    [
        (RawStamp(5 * S - 3000, 70, 10**18 - 3, 2 * S, 1), (3 * S + 1500, 4)),
        (RawStamp(5 * S - 3000, 70, 10**18, 4 * S, 1), (0, 0)),
        (RawStamp(5 * S + 1000, 70, 10**18, 2 * S, 1), (0, 0)),
        (None, (0, 0)),
    ],
    ids=["one line", "another line", "another datagram's arrival", "no arrival"],
)
def test_the_next_answer_says_for_how_long_realtime_ran_evenly_until_then(answerer, kernel, even):
    departures = Departures({100: RawStamp(5 * S + 1500, 60, 10**18, 2 * S, 1)})
    answered(answerer, asked(1), kernel=kernel, number=100)
    answer = answered(answerer, asked(2, earlier=1), departures=departures)
    assert (answer.earlier_even_ns, answer.earlier_even_within_ns) == even


def test_a_departure_of_before_the_program_sent_it_is_another_datagrams(answerer):
    departures = Departures({100: RawStamp(5 * S + 700, 60, 10**18)})
    answered(answerer, asked(1), number=100)
    answer = answered(answerer, asked(2, earlier=1), departures=departures)
    assert not answer.flags & EARLIER_BY_KERNEL


def test_sixteen_departures_are_kept(answerer):
    departures = Departures({number: RawStamp(5 * S + 1500, 60, 10**18) for number in range(1, 60)})
    for seq in range(1, KEPT + 2):
        answered(answerer, asked(seq), number=seq)
    answer = answered(answerer, asked(30, earlier=2), departures=departures)
    assert KEPT == 16
    assert answer.flags & EARLIER_BY_KERNEL
    assert not answered(answerer, asked(31, earlier=1), departures=departures).flags & EARLIER_BY_KERNEL


def forged(kind, chance, genuine, reflected):
    if kind == "length":
        return chance.randbytes(chance.choice([0, 1, 40, SIZE - 1, SIZE + 1])) or genuine[:-1]
    if kind == "kind":
        return chance.choice([chance.randbytes(SIZE), b"TSx1\x03" + genuine[5:], b"TSx2" + genuine[4:]])
    if kind == "session":
        return asked(chance.randrange(1, 2**32), session=chance.choice([0, 8, 2**32 - 1]))
    if kind == "tag":
        flipped = bytearray(asked(chance.randrange(2, 2**32)))
        flipped[chance.randrange(12, SIZE)] ^= 1 << chance.randrange(8)
        return chance.choice([bytes(flipped), asked(chance.randrange(2, 2**32), key=OTHER)])
    return genuine if kind == "replay" else reflected


@pytest.mark.parametrize("kind", ["length", "kind", "session", "tag", "replay", "reflected"])
def test_no_forged_datagram_is_answered_or_changes_anything(kind, answerer):
    chance = random.Random(3)
    genuine = asked(1)
    admitted = answerer.admit(genuine, 5 * S)
    reflected = answerer.answer(admitted, None, LOOK, Departures(), 5 * S)
    before = state(answerer)
    count = tries(2000)
    for _ in range(count):
        refusal = answerer.admit(forged(kind, chance, genuine, reflected), 5 * S)
        assert refusal == ("kind" if kind == "reflected" else kind)
    assert state(answerer) == before
    assert answerer.dropped.total() == count
    assert not isinstance(answerer.admit(asked(2), 5 * S), str)


def test_a_tag_is_looked_at_before_the_number_and_a_number_before_the_rate(answerer):
    for seq in range(1, 65):
        assert not isinstance(answerer.admit(asked(seq), 5 * S), str)
    assert answerer.admit(asked(64, key=OTHER), 5 * S) == "tag"
    assert answerer.admit(asked(64), 5 * S) == "replay"
    assert answerer.admit(asked(65), 5 * S) == "rate"
    assert not isinstance(answerer.admit(asked(66), 6 * S), str)


def test_a_session_ends_when_it_expires_and_when_it_is_closed(answerer):
    answerer.open(terms(8, expires_s=10, topside="other"))
    assert not isinstance(answerer.admit(asked(1, session=8), 9 * S), str)
    assert answerer.admit(asked(2, session=8), 10 * S) == "session"
    answerer.close(7)
    assert answerer.admit(asked(1), 5 * S) == "session"
    answerer.expire(11 * S)
    assert answerer.is_idle


def test_of_one_topside_the_last_two_sessions_are_answered(answerer):
    answerer.open(terms(8))
    assert not isinstance(answerer.admit(asked(1), 5 * S), str)
    answerer.open(terms(9))
    assert answerer.admit(asked(2), 5 * S) == "session"
    assert not isinstance(answerer.admit(asked(1, session=8), 5 * S), str)
    assert not isinstance(answerer.admit(asked(1, session=9), 5 * S), str)


def test_sessions_are_bounded_and_those_that_expire_first_give_way(answerer):
    for number in range(100, 300):
        answerer.open(terms(number, topside=f"surface{number}", expires_s=number))
    assert answerer.admit(asked(1, session=100), 5 * S) == "session"
    assert not isinstance(answerer.admit(asked(1, session=299), 5 * S), str)
    assert len(answerer._sessions) == 128


@given(st.lists(st.integers(1, 300), max_size=200))
def test_the_replay_window_admits_each_number_once(numbers):
    window, admitted = ReplayWindow(), set()
    for seq in numbers:
        new = seq not in admitted and seq > max(admitted, default=0) - 64
        assert window.admit(seq) == new
        admitted |= {seq} if new else set()


def test_a_bucket_refills_at_its_rate():
    bucket = TokenBucket(rate=10.0, burst=5.0)
    assert [bucket.take(S) for _ in range(6)] == [True] * 5 + [False]
    assert [bucket.take(S + 200_000_001) for _ in range(3)] == [True, True, False]
    assert sum(bucket.take(S + 100 * S) for _ in range(50)) == 5
