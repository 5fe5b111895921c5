"""QoS 1 messages: kept until they are taken, sent again in order, never too many under way."""

from itertools import count, cycle

from hypothesis import given
from hypothesis import strategies as st

from broker.client.packets import MOST_INFLIGHT, InflightQueue, PacketReader, read_publish


def message_in(packet):
    assert packet is not None
    (found,) = PacketReader().feed(packet)
    published = read_publish(found)
    return published.mid, published.payload


def test_what_is_not_taken_is_sent_again_in_order_and_says_so():
    untaken = InflightQueue(count(1).__next__)
    for number in range(3):
        untaken.add(b"t", b"%d" % number, retain=True)
    untaken.taken(2)
    packets = untaken.again()
    assert [message_in(packet) for packet in packets] == [(1, b"0"), (3, b"2")]
    assert all(packet[0] & 0x08 for packet in packets)
    assert len(untaken) == 2


def test_an_answer_to_nothing_is_no_harm():
    untaken = InflightQueue(count(1).__next__)
    assert untaken.taken(77) is None
    assert len(untaken) == 0


def test_beyond_the_limit_messages_wait_in_line_until_one_is_taken():
    untaken = InflightQueue(count(1).__next__)
    for number in range(MOST_INFLIGHT):
        assert untaken.add(b"t", b"%d" % number, retain=False)
    assert untaken.add(b"t", b"waits", retain=False) is None
    assert untaken.add(b"t", b"waits too", retain=False) is None
    assert len(untaken) == MOST_INFLIGHT + 2
    assert message_in(untaken.taken(1))[1] == b"waits"
    assert message_in(untaken.taken(2))[1] == b"waits too"
    assert untaken.taken(3) is None


def test_an_id_that_is_under_way_is_not_given_twice():
    untaken = InflightQueue(cycle([1, 2, 3]).__next__)
    assert message_in(untaken.add(b"t", b"a", retain=False))[0] == 1
    assert message_in(untaken.add(b"t", b"b", retain=False))[0] == 2
    untaken.taken(2)
    assert message_in(untaken.add(b"t", b"c", retain=False))[0] == 3
    assert message_in(untaken.add(b"t", b"d", retain=False))[0] == 2


@given(st.lists(st.one_of(st.none(), st.integers(1, 20)), max_size=60))
def test_every_message_is_taken_once_or_still_kept(steps):
    """None publishes, a number is an answer; nothing is lost or published twice."""
    untaken = InflightQueue(cycle(range(1, 3000)).__next__)
    under_way: dict[int, bytes] = {}
    published = 0
    for step in steps:
        if step is None:
            mid, payload = message_in(untaken.add(b"t", b"%d" % published, retain=False))
            under_way[mid] = payload
            published += 1
        else:
            untaken.taken(step)
            under_way.pop(step, None)
    assert dict(map(message_in, untaken.again())) == under_way
