"""Packets cut out of a stream, wherever its reads end, and made as brokers expect them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.client.packets import (
    MalformedPacketError,
    Packet,
    PacketReader,
    PacketTooLargeError,
    duplicate,
    puback_packet,
    publish_packet,
    read_puback,
    read_publish,
)
from schemas.base import MAX_PACKET_BYTES

TOPIC = st.text(min_size=1, max_size=40).map(str.encode)
PAYLOAD = st.binary(max_size=300)
MID = st.integers(0, 65535)


def packet(command, body, *, padded=False):
    """A packet whose length may be written with more bytes than it needs."""
    length, header = len(body), bytearray((command,))
    while True:
        more = length >= 128 or padded
        header.append((length & 0x7F) | (0x80 if more else 0))
        length, padded = length >> 7, False
        if not more:
            return bytes(header) + body


PACKETS = st.lists(
    st.builds(packet, st.integers(0, 255), st.binary(max_size=400), padded=st.booleans()),
    min_size=1,
    max_size=12,
)


def pieces(data, cuts):
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[begin:end] for begin, end in pairwise(places)]


@given(PACKETS, st.lists(st.integers(0, 10_000), max_size=30))
def test_packets_come_out_as_they_went_in_wherever_the_reads_end(sent, cuts):
    reader = PacketReader()
    found = [found for piece in pieces(b"".join(sent), cuts) for found in reader.feed(piece)]
    assert [(one.command, one.body) for one in found] == [whole(one) for one in sent]


def whole(sent):
    place = 1
    while sent[place] & 0x80:
        place += 1
    return sent[0], sent[place + 1 :]


def test_packets_come_out_byte_by_byte_too():
    sent = publish_packet(b"a/b", b"x" * 200) + puback_packet(7)
    reader = PacketReader()
    found = [one for byte in sent for one in reader.feed(bytes((byte,)))]
    assert [one.command for one in found] == [0x30, 0x40]
    assert all(one.last for one in found)


def test_only_the_packet_that_ends_its_read_is_the_last_of_it():
    one = publish_packet(b"t", b"1")
    reader = PacketReader()
    assert [found.last for found in reader.feed(one * 3)] == [False, False, True]
    assert [found.last for found in reader.feed(one + one[:2])] == [False]
    assert [found.last for found in reader.feed(one[2:])] == [True]


@given(PACKETS, st.binary(min_size=1, max_size=3))
def test_a_length_of_five_bytes_ends_the_connection(sent, rest):
    reader = PacketReader()
    with pytest.raises(MalformedPacketError):
        reader.feed(b"".join(sent) + b"\x30\xff\xff\xff\xff" + rest)


def test_the_greatest_packet_is_waited_for():
    sent = packet(0x30, bytes(MAX_PACKET_BYTES))
    reader = PacketReader()
    assert reader.feed(sent[:1000]) == []
    assert [len(found.body) for found in reader.feed(sent[1000:])] == [MAX_PACKET_BYTES]


@pytest.mark.parametrize("length", [MAX_PACKET_BYTES + 1, 200_000_000, 128**4 - 1])
@pytest.mark.parametrize("before", [b"", b"\xd0\x00", b"\x30\x05\x00\x01"])
def test_a_packet_beyond_the_limit_is_refused_at_its_header_with_its_length(before, length):
    digits = [length >> shift & 0x7F | (0x80 if length >> shift + 7 else 0) for shift in range(0, 28, 7)]
    head = bytes([0x30, *digits[: max(1, -(-length.bit_length() // 7))]])
    reader = PacketReader()
    for byte in before + bytes(3 if before[:1] == b"\x30" else 0) + head[:-1]:
        reader.feed(bytes((byte,)))
    with pytest.raises(PacketTooLargeError, match=f"a packet of {length} bytes, more than 65536"):
        reader.feed(head[-1:])


def test_a_packet_beyond_the_limit_is_not_made():
    publish_packet(b"t", bytes(MAX_PACKET_BYTES - 3))
    with pytest.raises(PacketTooLargeError, match="65537"):
        publish_packet(b"t", bytes(MAX_PACKET_BYTES - 2))


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=20))
def test_rubbish_is_packets_or_malformed_and_nothing_else(reads):
    reader = PacketReader()
    try:
        for data in reads:
            for found in reader.feed(data):
                read_publish(found)
    except MalformedPacketError:
        pass


@given(TOPIC, PAYLOAD, st.booleans(), MID)
def test_a_publish_reads_as_it_was_made(topic, payload, retain, mid):
    (found,) = PacketReader().feed(publish_packet(topic, payload, retain=retain, mid=mid))
    published = read_publish(found)
    assert published == (topic, payload, 1 if mid else 0, retain, mid)


@pytest.mark.parametrize("size", [0, 100, 127, 128, 16_383, 16_384, 60_000])
def test_lengths_around_every_limit_are_written_right(size):
    made = publish_packet(b"t", bytes(size))
    (found,) = PacketReader().feed(made)
    assert len(found.body) == size + 3
    assert len(made) - len(found.body) == (2 if size + 3 < 128 else 3 if size + 3 < 16_384 else 4)


@pytest.mark.parametrize("body", [b"", b"\x00", b"\x00\x05ab", b"\x00\x01t"])
def test_a_publish_whose_parts_do_not_fit_is_malformed(body):
    with pytest.raises(MalformedPacketError, match=f"{len(body)} bytes"):
        read_publish(Packet(0x32, body, last=True))


@pytest.mark.parametrize("body", [b"", b"\x00", b"\x00\x01\x00"])
def test_a_puback_of_another_length_is_malformed(body):
    with pytest.raises(MalformedPacketError):
        read_puback(Packet(0x40, body, last=True))


def test_a_packet_that_is_sent_again_says_so():
    made = publish_packet(b"t", b"x", mid=9)
    assert duplicate(made)[0] == made[0] | 0x08
    assert duplicate(made)[1:] == made[1:]
