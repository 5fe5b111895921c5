"""QoS 1 messages: kept until they are taken, sent again in order, never too many under way."""

from itertools import count, cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.client import packets as packets_module
from broker.client.packets import (
    MOST_INFLIGHT,
    InflightQueue,
    PacketReader,
    PacketTooLargeError,
    read_publish,
)
from schemas.base import MAX_PACKET_BYTES


def parsed(packet):
    assert packet is not None
    (found,) = PacketReader().feed(packet)
    published = read_publish(found)
    return published.mid, published.payload


def test_what_is_not_taken_is_sent_again_in_order_and_says_so():
    queue = InflightQueue(count(1).__next__)
    for number in range(3):
        queue.add(b"t", b"%d" % number, retain=True)
    queue.acknowledged(2)
    packets = queue.unacknowledged()
    assert [parsed(packet) for packet in packets] == [(1, b"0"), (3, b"2")]
    assert all(packet[0] & 0x08 for packet in packets)
    assert len(queue) == 2


def test_an_answer_to_nothing_is_no_harm():
    queue = InflightQueue(count(1).__next__)
    assert queue.acknowledged(77) is None
    assert len(queue) == 0


def test_beyond_the_limit_messages_wait_in_line_until_one_is_taken():
    queue = InflightQueue(count(1).__next__)
    for number in range(MOST_INFLIGHT):
        assert queue.add(b"t", b"%d" % number, retain=False)
    assert queue.add(b"t", b"waits", retain=False) is None
    assert queue.add(b"t", b"waits too", retain=False) is None
    assert len(queue) == MOST_INFLIGHT + 2
    assert parsed(queue.acknowledged(1))[1] == b"waits"
    assert parsed(queue.acknowledged(2))[1] == b"waits too"
    assert queue.acknowledged(3) is None


def test_an_id_that_is_under_way_is_not_given_twice():
    queue = InflightQueue(cycle([1, 2, 3]).__next__)
    assert parsed(queue.add(b"t", b"a", retain=False))[0] == 1
    assert parsed(queue.add(b"t", b"b", retain=False))[0] == 2
    queue.acknowledged(2)
    assert parsed(queue.add(b"t", b"c", retain=False))[0] == 3
    assert parsed(queue.add(b"t", b"d", retain=False))[0] == 2


@given(st.lists(st.one_of(st.none(), st.integers(1, 20)), max_size=60))
def test_every_message_is_taken_once_or_still_kept(steps):
    """None publishes, a number is an answer; nothing is lost or acknowledged twice."""
    queue = InflightQueue(cycle(range(1, 3000)).__next__)
    under_way: dict[int, bytes] = {}
    published = 0
    for step in steps:
        if step is None:
            mid, payload = parsed(queue.add(b"t", b"%d" % published, retain=False))
            under_way[mid] = payload
            published += 1
        else:
            queue.acknowledged(step)
            under_way.pop(step, None)
    assert dict(map(parsed, queue.unacknowledged())) == under_way


def test_what_no_packet_can_hold_is_refused_and_not_kept():
    queue = InflightQueue(count(1).__next__)
    for _ in range(MOST_INFLIGHT + 1):
        queue.add(b"t", b"", retain=False)
    with pytest.raises(PacketTooLargeError, match="65537 bytes"):
        queue.add(b"t", bytes(MAX_PACKET_BYTES - 4), retain=False)
    assert len(queue) == MOST_INFLIGHT + 1


def test_it_names_the_topics_of_the_oldest_that_are_not_acknowledged():
    queue = InflightQueue(count(1).__next__)
    for topic in (b"a", "é/b".encode(), b"c"):
        queue.add(topic, b"x" * 300, retain=True)
    assert queue.topics(2) == ["a", "é/b"]


def test_of_what_waits_without_end_the_oldest_is_dropped_and_counted(monkeypatch):
    monkeypatch.setattr(packets_module, "MOST_WAITING_BYTES", 100)
    queue = InflightQueue(count(1).__next__)
    for _ in range(MOST_INFLIGHT):
        queue.add(b"t", b"", retain=False)
    for number in range(20):
        queue.add(b"t", b"%09d" % number, retain=False)
    assert (queue.dropped, len(queue)) == (10, MOST_INFLIGHT + 10)
    following = [parsed(queue.acknowledged(mid))[1] for mid in range(1, 11)]
    assert following == [b"%09d" % number for number in range(10, 20)]
    assert queue.acknowledged(11) is None
    for number in range(9):
        queue.add(b"t", b"%09d" % number, retain=False)
    assert queue.dropped == 10
