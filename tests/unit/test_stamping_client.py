"""The stamping client on a socket pair: what it reads, answers, sends again, and how it ends."""

import contextlib
import socket
import threading

import pytest
from paho.mqtt.enums import CallbackAPIVersion

from broker.client.packets import MOST_INFLIGHT, PacketReader, publish_packet, read_publish
from broker.client.paho_compat import WebSocketFramer
from broker.client.stamping import StampingClient
from broker.client.stamping_socket import StampingSocket
from broker.client.stamps import KernelStamp
from broker.interface import Outgoing

CONNACK, PINGRESP = b"\x20\x02\x00\x00", b"\xd0\x00"


class Wired:
    """A client on one end of a socket pair; the broker's end speaks bytes."""

    def __init__(self):
        self.heard: list[tuple[str, bytes, bool]] = []
        self.were_last: list[bool] = []
        wired = self

        class OnThisSocket(StampingClient):
            def open_tcp(self):
                near, wired.far = socket.socketpair()
                wired.far.setblocking(False)
                return near

        self.client = OnThisSocket(CallbackAPIVersion.VERSION2, client_id="wired")
        self.client.deliver = self._deliver
        self.subacks: list[tuple[int, list[int]]] = []
        self.client.subscribed = lambda mid, codes: self.subacks.append((mid, list(codes)))
        self.connect()

    def _deliver(self, topic, payload, retain):
        self.heard.append((topic, payload, retain))
        self.were_last.append(self.client.last_of_read)

    def connect(self):
        self.client.connect("nowhere")
        assert self.sent().startswith(b"\x10")
        self.say(CONNACK)
        assert self.client.is_connected()

    def say(self, data):
        """Have the client read what the broker says."""
        self.far.send(data)
        self.client.loop_read()

    def sent(self):
        parts = []
        while True:
            try:
                parts.append(self.far.recv(1 << 20))
            except BlockingIOError:
                return b"".join(parts)

    def publish(self, *payloads, qos=1):
        self.client.send([Outgoing("t", payload, qos) for payload in payloads], lambda: 7)

    def payloads(self):
        return [read_publish(packet).payload for packet in PacketReader().feed(self.sent())]


@pytest.fixture
def wired():
    made = Wired()
    yield made
    made.client.disconnect()
    made.far.close()


def test_several_messages_of_one_read_are_delivered_in_order_and_qos_1_is_answered(wired):
    wired.say(publish_packet(b"a", b"1") + publish_packet(b"b", b"2", retain=True, mid=513) + PINGRESP)
    assert wired.heard == [("a", b"1", False), ("b", b"2", True)]
    assert wired.sent() == b"\x40\x02\x02\x01"


def test_of_several_messages_in_one_read_only_the_last_can_be_exact(wired, monkeypatch):
    monkeypatch.setattr(StampingSocket, "arrival", lambda _: KernelStamp(5, exact=True))
    one = publish_packet(b"a", b"1")
    wired.say(one * 2 + one[:3])
    wired.say(one[3:])
    assert wired.were_last == [False, False, True]
    assert wired.client.arrival() == KernelStamp(5, exact=True)


def test_a_topic_that_is_not_utf_8_is_dropped_but_answered(wired):
    wired.say(publish_packet(b"\xff", b"1", mid=3) + publish_packet(b"a", b"2"))
    assert wired.heard == [("a", b"2", False)]
    assert wired.sent() == b"\x40\x02\x00\x03"


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\x48\x05HTTP/",  # a PUBACK of five bytes
        b"\x30\xff\xff\xff\xff\x01",
        b"\x30\x01\x00",
        b"\x40\x01\x00",
        b"\x36\x05\x00\x01t\x00\x01",  # QoS 3
        b"\x90\x00",  # an empty SUBACK
        b"\xf0\x00",
    ],
)
def test_what_is_not_mqtt_ends_the_connection(wired, rubbish):
    wired.say(rubbish)
    assert wired.client.socket() is None
    assert wired.heard == []


def test_every_code_of_a_suback_is_heard_whatever_it_is(wired):
    wired.say(b"\x90\x06\x01\x02\x00\x01\x80\x55")
    assert wired.subacks == [(0x0102, [0, 1, 0x80, 0x55])]
    assert wired.client.is_connected()


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6, 255])
def test_a_connection_that_is_refused_ends_and_says_with_which_code(wired, code):
    wired.say(bytes((0x20, 2, 0, code)))
    assert wired.client.socket() is None
    assert wired.client.connack == code


def test_a_write_that_fails_within_a_callback_ends_the_connection_and_blocks_nothing(wired):
    wired.far.close()
    wired.client.loop_read()

    def accepted():
        wired.far.close()
        wired.publish(b"1")

    wired.client.accepted = accepted
    wired.client.connect("nowhere")
    wired.far.send(CONNACK)
    reading = threading.Thread(target=wired.client.loop_read, daemon=True)
    reading.start()
    reading.join(60)
    assert not reading.is_alive()
    assert wired.client.socket() is None


def test_messages_at_qos_2_that_are_never_released_end_the_connection(wired):
    for mid in range(1, 101):
        wired.say(bytes((0x34,)) + publish_packet(b"a", b"1", mid=mid)[1:])
    assert wired.client.socket() is not None
    wired.say(bytes((0x34,)) + publish_packet(b"a", b"1", mid=101)[1:])
    assert wired.client.socket() is None
    assert wired.heard == []


def test_a_message_at_qos_2_takes_pahos_way(wired):
    made = publish_packet(b"a", b"1", mid=3)
    wired.say(bytes((0x34,)) + made[1:])
    assert wired.sent() == b"\x50\x02\x00\x03"
    wired.say(b"\x62\x02\x00\x03")
    assert wired.heard == [("a", b"1", False)]


def test_messages_given_together_go_out_in_one_write(wired, monkeypatch):
    writes: list[bytes] = []
    monkeypatch.setattr(StampingSocket, "send", lambda _, data: writes.append(bytes(data)) or len(data))
    wired.publish(b"1", b"2", b"3")
    assert len(writes) == 1
    assert [read_publish(packet).payload for packet in PacketReader().feed(writes[0])] == [b"1", b"2", b"3"]


def test_what_the_broker_has_not_taken_goes_out_first_over_the_next_connection(wired):
    wired.publish(b"1", b"2", b"3")
    taken = read_publish(PacketReader().feed(wired.sent())[1]).mid
    wired.say(b"\x40\x02" + taken.to_bytes(2, "big"))
    assert wired.client.unacknowledged
    wired.far.close()
    wired.client.loop_read()
    assert wired.client.socket() is None
    wired.publish(b"4")  # lost meanwhile: kept as well
    wired.connect()
    wired.client.resume()
    assert wired.payloads() == [b"1", b"3", b"4"]


def test_a_broker_that_does_not_take_anything_is_not_buried(wired):
    wired.publish(*(b"%d" % number for number in range(MOST_INFLIGHT + 5)))
    packets = PacketReader().feed(wired.sent())
    assert len(packets) == MOST_INFLIGHT
    wired.say(b"\x40\x02" + read_publish(packets[0]).mid.to_bytes(2, "big"))
    assert wired.payloads() == [b"%d" % MOST_INFLIGHT]


def test_what_the_socket_does_not_take_at_once_follows_in_order_and_whole(wired):
    sent = [bytes((number,)) * 50_000 for number in range(1, 30)]
    for payload in sent:
        wired.publish(payload, qos=0)
    assert wired.client.wants_to_write
    arrived = wired.sent()
    while wired.client.wants_to_write:
        wired.client.loop_write()
        arrived += wired.sent()
    assert [read_publish(packet).payload for packet in PacketReader().feed(arrived)] == sent


class Frames:
    """Stands in for paho's wrapper: takes so many bytes, then none."""

    def __init__(self):
        self._sendbuffer = bytearray()
        self.room = 0
        self.arrived = b""
        self.recv = self.fileno = self.setblocking = self.close = lambda *_: None

    def send(self, data):
        if not self._sendbuffer:
            self._sendbuffer += b"<" + data + b">"
        if not self.room:
            raise BlockingIOError
        taken, self._sendbuffer = self._sendbuffer[: self.room], self._sendbuffer[self.room :]
        self.room -= len(taken)
        self.arrived += bytes(taken)
        return 0 if self._sendbuffer else len(data)


def test_a_frame_that_is_taken_in_part_is_finished_before_the_next_begins():
    frames = Frames()
    whole = WebSocketFramer(frames, None)  # type: ignore[arg-type]
    frames.room = 2
    assert whole.send(b"one") == 3
    assert whole.unsent
    with pytest.raises(BlockingIOError):
        whole.send(b"two")
    frames.room = 100
    whole.flush()
    assert not whole.unsent
    assert whole.send(b"two") == 3
    assert frames.arrived == b"<one><two>"


def test_a_frame_that_finds_no_room_at_all_is_taken_and_goes_out_once_there_is():
    frames = Frames()
    whole = WebSocketFramer(frames, None)  # type: ignore[arg-type]
    assert whole.send(b"one") == 3
    assert whole.unsent
    frames.room = 100
    with contextlib.suppress(BlockingIOError):
        whole.flush()
    assert frames.arrived == b"<one>"
