"""One-step timestamps: taken at the send of a packet's first byte, and kept whatever the rest needs."""

import json
import socket

import pytest
from paho.mqtt.enums import CallbackAPIVersion

from broker.client.one_step import WIDTH, OneStepPacket, OneStepTimestamp, with_room
from broker.client.plain import PlainClient
from broker.client.stamping import StampingClient
from broker.interface import Outgoing
from pi_agent.messages import MessageBuilder
from runtime.clock import Reading
from schemas.base import LATEST_NS
from schemas.messages import Ping, Pong
from topside_agent.measuring.publisher import MessageBuilder as TopsideMessageBuilder

NS = 1_777_636_800_123_456_789
PONG = Pong(
    seq=1,
    nonce="9f1c000000000000",
    receive_ns=NS,
    transmit_ns=NS + 5,
    realtime_minus_raw_ns=7,
    boot_id='"transmit_ns":1',
    instance_id="i",
    receive_stamp="kernel",
    transmit_stamp="write",
    resolution_ns=1,
)


@pytest.mark.parametrize("number", [0, 7, 10**18 - 1, NS, LATEST_NS])
def test_room_is_nineteen_characters_and_the_message_still_says_the_same(number):
    pong = PONG.model_copy(update={"transmit_ns": number, "boot_id": "b"})
    payload, position = with_room(pong.encode(), "transmit_ns")
    assert int(payload[position : position + WIDTH]) == number
    assert Pong.decode(payload) == pong


def test_the_key_is_not_taken_for_another_one_nor_found_in_a_string():
    other_key = PONG.encode().replace(b'{"v"', b'{"first_transmit_ns":3,"v"')
    payload, position = with_room(other_key, "transmit_ns")
    assert int(payload[position : position + WIDTH]) == NS + 5
    assert Pong.decode(payload) == PONG


def test_a_message_without_the_number_is_refused():
    with pytest.raises(ValueError, match="transmit_ns"):
        with_room(Ping(seq=1, nonce="9f1c000000000000", origin_ns=1).encode(), "transmit_ns")


class Ticks:
    """RAW that counts its readings."""

    def __init__(self, start=100):
        self.now = start

    def __call__(self):
        self.now += 1
        return self.now


def packet(raw_ns, plus_ns=0):
    stamp = OneStepTimestamp(1, plus_ns)
    return OneStepPacket(b"head<" + b"0" * WIDTH + b">", 5, stamp, raw_ns), stamp


@pytest.mark.parametrize("origin_ns", [0, 7, NS, LATEST_NS])
@pytest.mark.parametrize("seq", [0, 2**53])
def test_a_ping_is_written_as_its_model_writes_it_with_room(origin_ns, seq):
    ping = Ping(seq=seq, nonce="9f1c000000000000", origin_ns=origin_ns)
    made = TopsideMessageBuilder("fleet", "laptop").ping("rov1", ping, Reading(5, 3, 1))
    assert (made.payload, made.one_step.position) == with_room(ping.encode(), "origin_ns")
    assert made.one_step.plus_ns == 3


def test_the_first_slice_stamps_in_place_padded_with_spaces():
    made, stamp = packet(Ticks(), plus_ns=1000)
    assert stamp.raw_ns is None
    assert made[0:] == b"head<" + b"%19d" % 1101 + b">"
    assert len(made) == 25
    assert stamp.raw_ns == 101


def test_the_rest_of_a_packet_sent_in_part_keeps_the_stamp_of_its_first_byte():
    raw_ns = Ticks()
    made, stamp = packet(raw_ns)
    sent = made[0:][:8]
    sent += made[8:][:9]
    sent += made[17:]
    assert sent == b"head<" + b"%19d" % 101 + b">"
    assert (stamp.raw_ns, raw_ns.now) == (101, 101)


def test_a_packet_that_could_not_be_sent_at_all_is_stamped_when_it_is():
    made, stamp = packet(Ticks())
    assert made[0:] != made[0:]
    assert stamp.raw_ns == 102


def test_a_packet_that_goes_too_late_keeps_the_number_it_has():
    made, stamp = packet(Ticks())
    stamp.latest_ns = 100
    assert made[0:] == b"head<" + b"0" * WIDTH + b">"
    assert stamp.raw_ns is None
    made, stamp = packet(Ticks())
    stamp.latest_ns = 101
    assert made[0:] == b"head<" + b"%19d" % 101 + b">"


def test_a_number_that_has_no_room_leaves_the_earlier_one():
    made, stamp = packet(Ticks(), plus_ns=10**19)
    assert made[0:] == b"head<" + b"0" * WIDTH + b">"
    assert stamp.raw_ns is None


class Wired:
    """A stamping client on one end of a socket pair, and what arrives at the other."""

    def __init__(self):
        near, self.far = socket.socketpair()
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        self.far.setblocking(False)

        class OnThisSocket(StampingClient):
            def open_tcp(self):
                return near

        self.client = OnThisSocket(CallbackAPIVersion.VERSION2)
        self.client.connect("nowhere")
        self.raw_ns = Ticks()
        self.arrived()

    def publish(self, plus_ns=0, size=0):
        payload, position = with_room(json.dumps({"t": 5, "x": "x" * size}).replace(" ", "").encode(), "t")
        stamp = OneStepTimestamp(position, plus_ns)
        self.client.send([Outgoing("topic", payload, 0, one_step=stamp)], self.raw_ns)
        return stamp

    def arrived(self):
        parts = []
        while True:
            try:
                parts.append(self.far.recv(65536))
            except BlockingIOError:
                return b"".join(parts)

    def close(self):
        self.client.disconnect()
        self.far.close()


@pytest.fixture
def wired():
    made = Wired()
    yield made
    made.close()


def test_paho_writes_the_stamp_that_is_handed_back(wired):
    stamp = wired.publish(plus_ns=4)
    assert stamp.raw_ns == 101
    assert b'{"t":%19d,' % 105 in wired.arrived()


def test_of_several_in_one_write_the_first_is_stamped_and_the_others_keep_their_numbers(wired):
    payload, position = with_room(b'{"t":5}', "t")
    stamps = [OneStepTimestamp(position, 0) for _ in range(2)]
    wired.client.send([Outgoing("topic", payload, 0, one_step=stamp) for stamp in stamps], wired.raw_ns)
    assert [stamp.raw_ns for stamp in stamps] == [101, None]
    arrived = wired.arrived()
    assert arrived.count(b'{"t":%19d}' % 101) == arrived.count(b'{"t":%19d}' % 5) == 1


def test_packets_that_queue_up_are_each_stamped_when_their_first_byte_goes(wired):
    stamps = [wired.publish(size=3000) for _ in range(20)]
    waiting = [stamp for stamp in stamps if stamp.raw_ns is None]
    assert waiting
    before_ns = wired.raw_ns.now
    arrived = wired.arrived()
    while wired.client.want_write():
        wired.client.loop_write()
        arrived += wired.arrived()
    assert all(stamp.raw_ns is not None and stamp.raw_ns >= before_ns for stamp in waiting)
    for stamp in stamps:
        assert b'{"t":%19d,' % (stamp.raw_ns or 0) in arrived
    assert [stamp.raw_ns for stamp in stamps] == sorted(stamp.raw_ns or 0 for stamp in stamps)


def test_an_ordinary_message_passes_as_it_is(wired):
    wired.publish()
    wired.arrived()
    wired.client.send([Outgoing("topic", b'{"t":                  5}', 0)], wired.raw_ns)
    assert wired.arrived().endswith(b'{"t":                  5}')


def test_the_plain_client_sends_the_earlier_stamp_and_hands_none_back():
    sent = []
    client = PlainClient(CallbackAPIVersion.VERSION2)
    client.publish = lambda *message: sent.append(message)  # type: ignore[method-assign,assignment,misc]
    stamp = OneStepTimestamp(0, 0)
    client.send([Outgoing("topic", b"5", 0, one_step=stamp)], Ticks())
    assert (sent, stamp.raw_ns, client.stamps_writes) == ([("topic", b"5", 0, False)], None, False)


@pytest.mark.parametrize(
    ("is_moving", "late_ns", "stamped"),
    [(False, 10**9, True), (True, 900_000, True), (True, 1_100_000, False), (True, 10**9, False)],
)
def test_while_the_clock_moves_an_answer_written_late_keeps_its_earlier_stamp(is_moving, late_ns, stamped):
    builder = MessageBuilder("fleet", "rov1", answerer=None, started_ns=NS, simulated=False)
    made = builder.pong("t", PONG, is_moving=is_moving)
    written_ns = PONG.transmit_ns - PONG.realtime_minus_raw_ns + late_ns
    packet = OneStepPacket(made.payload, made.one_step.position, made.one_step, lambda: written_ns)
    sent = Pong.decode(bytes(packet[0:]))
    assert sent.transmit_ns == PONG.transmit_ns + late_ns * stamped
    assert made.one_step.raw_ns == (written_ns if stamped else None)
