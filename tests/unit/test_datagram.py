"""The datagrams of direct exchanges: their layout, and what their seals admit."""

from hashlib import blake2s

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.datagram import (
    ANSWER,
    REQUEST,
    SIZE,
    Answer,
    Request,
    Seal,
    pack_answer,
    pack_request,
    parse_answer,
    parse_request,
)

KEY = bytes(range(32))
UINT, LONG = st.integers(0, 2**32 - 1), st.integers(-(2**63), 2**63 - 1)
FLAGS, SHORT = st.integers(0, 2**8 - 1), st.integers(0, 2**16 - 1)
NONCE = st.binary(min_size=8, max_size=8)
REQUESTS = st.builds(Request, UINT, UINT, NONCE, UINT)
ANSWERS = st.builds(Answer, FLAGS, UINT, UINT, NONCE, *4 * [LONG], *4 * [UINT], SHORT)


@given(REQUESTS, ANSWERS)
def test_what_is_packed_is_parsed_again_and_both_kinds_have_one_size(request_, answer):
    seal = Seal(KEY)
    asked, answered = pack_request(request_, seal), pack_answer(answer, seal)
    assert parse_request(asked) == request_
    assert parse_answer(answered) == answer
    assert len(asked) == len(answered) == SIZE == 88
    assert parse_request(answered) is None
    assert parse_answer(asked) is None


def test_the_layout_is_the_documented_one():
    seal = Seal(KEY)
    asked = pack_request(Request(0x01020304, 5, b"12345678", 9), seal)
    assert asked[:24] == b"TSx1\x01\0\0\0\x01\x02\x03\x04\0\0\0\x0512345678"
    assert asked[24:64] == bytes(40)
    assert asked[64:72] == b"\0\0\0\x09\0\0\0\0"
    assert asked[72:] == blake2s(asked[:72], key=KEY, digest_size=16, person=b"ts-ask").digest()
    answered = pack_answer(Answer(3, 7, 5, b"12345678", 1, 2, 3, -4, 5, 6, 8), seal)
    numbers = [int.from_bytes(answered[at : at + 8], "big", signed=True) for at in (24, 32, 40, 48)]
    assert answered[:8] == b"TSx1\x02\x03\0\0"
    assert numbers == [1, 2, 3, -4]
    assert [int.from_bytes(answered[at : at + 4], "big") for at in (56, 60, 64, 68)] == [5, 6, 8, 0]
    assert answered[72:] == blake2s(answered[:72], key=KEY, digest_size=16, person=b"ts-answr").digest()
    even = pack_answer(Answer(3, 7, 5, b"12345678", 1, 2, 3, -4, 5, 6, 8, 9, 10), seal)
    assert (even[:6], even[6:8], even[68:72]) == (answered[:6], b"\0\x0a", b"\0\0\0\x09")
    assert even[8:68] == answered[8:68]


@given(REQUESTS, st.integers(0, SIZE * 8 - 1))
def test_a_single_altered_bit_breaks_the_seal(request_, bit):
    seal = Seal(KEY)
    datagram = bytearray(pack_request(request_, seal))
    assert seal.is_genuine(REQUEST, bytes(datagram))
    datagram[bit // 8] ^= 1 << bit % 8
    assert not seal.is_genuine(REQUEST, bytes(datagram))


def test_a_datagram_sent_back_is_not_genuine_and_neither_is_another_keys():
    asked = pack_request(Request(1, 1, bytes(8)), Seal(KEY))
    assert not Seal(KEY).is_genuine(ANSWER, asked)
    assert not Seal(KEY[::-1]).is_genuine(REQUEST, asked)
    with pytest.raises(ValueError, match="32 bytes, received 3"):
        Seal(b"abc")


@given(st.binary(max_size=200))
def test_no_bytes_are_taken_that_are_not_as_long_and_named(data):
    assert parse_request(data) is None or (len(data) == SIZE and data.startswith(b"TSx1\x01"))
    assert parse_answer(data) is None or (len(data) == SIZE and data.startswith(b"TSx1\x02"))
