"""`python -m bench.recorder.fleet PORT COUNT RATE RESULT_S FILE`: a topside's messages about many vehicles.

As cheaply as Python allows: text over a socket. An exchange follows from its vehicle and its number, so that
a `resend` is answered without remembering any. FILE holds how many exchanges were published, as 8 bytes that
others may read at any time; the bytes are those of `bench.cost.fleet`.
"""

from __future__ import annotations

import json
import mmap
import socket
import struct
import sys
import time
from contextlib import suppress
from datetime import datetime, timezone
from hashlib import blake2b
from pathlib import Path

from bench.peers.processes import LOOPBACK, exit_on_terminate

ROOT = "tidesync/v1"
TOPSIDE = "topside"
MOST_IN_BATCH = 100
_COUNT = struct.Struct("<q")
_CHANCES = struct.Struct("<6I")
_CLOCK_S = 10
_AGAIN_S = 0.2
_AHEAD_NS = 5_000_000_000
_DIFFERENCE_NS = 1_795_000_000_123_456_789
_EXCHANGE = (
    '{"vehicle":"%s","topside":"topside","method":"mqtt_exchange_v1","seq":%d,'
    '"boot_id":"2f0f9b57-3a57-4f0e-9d3f-%012d","origin_ns":%d,"receive_ns":%d,"transmit_ns":%d,'
    '"destination_ns":%d,"pi_realtime_minus_raw_ns":%d,"topside_realtime_minus_raw_ns":%d,'
    '"topside_boot_id":"8a6d0f9a-55a8-4c3c-8d4d-0d4e7a1b2c3d","instance_id":"5f3c1d2e4b6a7980",'
    '"receive_stamp":"kernel","transmit_stamp":"write","resolution_ns":1}'
)
_BATCH = '{"schema_version":1,"batch":%d,"exchanges":[%s]}'
_RESULT = (
    '{"schema_version":1,"vehicle":"%s","topside":"topside","method":"mqtt_exchange_v1","state":"locked",'
    '"offset_ms":%.6f,"lower_ms":%.6f,"upper_ms":%.6f,"max_error_ms":0.412345,"u95_ms":0.2123,'
    '"precision_ms":0.004512,"drift_ppm":13.00123,"drift_error_ppm":0.0213,"delay_min_ms":0.3312,'
    '"exchanges":%d,"rejected":0,"segment":0,"steps":0,"boot_id":"2f0f9b57-3a57-4f0e-9d3f-%012d",'
    '"measured_at":"%s","measured_unix_ms":%d,"age_s":0.01,"conditional":false,"interval_s":%g,'
    '"instance_id":"5f3c1d2e4b6a7980","duplicates":null,"error":null}'
)
_CLOCK = (
    '{"schema_version":1,"boot_id":"2f0f9b57-3a57-4f0e-9d3f-%012d","instance_id":"clock%d","first":0,'
    '"pieces":[{"from_raw_ns":%d,"from_realtime_ns":%d,"to_raw_ns":%d,"to_realtime_ns":%d,'
    '"half_width_ns":2100,"begins":"start","last":null}],"vehicle":"%s"}'
)


class Vehicles:
    """Their exchanges, results and clocks, by number; topside and every vehicle have RAWs of their own."""

    def __init__(self, rate_hz: float, result_s: float) -> None:
        self._every_ns = round(1e9 / rate_hz)
        self._result_s = result_s
        self._began_ns = time.time_ns()

    def exchange(self, number: int, seq: int) -> str:
        """One that is made again the same."""
        late, out, back, turn, ours, theirs = _CHANCES.unpack(
            blake2b(b"%d %d" % (number, seq), digest_size=24).digest()
        )
        origin_ns = self._began_ns + seq * self._every_ns + number * 991_003 + late % 900_001
        out_ns, back_ns = 120_000 + out % 70_003, 110_000 + back % 90_001
        difference_ns = _DIFFERENCE_NS + number * 10**9 + theirs % 2003
        receive_ns = origin_ns + out_ns + _AHEAD_NS + seq * self._every_ns * 13 // 10**6
        transmit_ns = receive_ns + 180_000 + turn % 60_013
        stamps = (origin_ns, receive_ns, transmit_ns, origin_ns + out_ns + transmit_ns - receive_ns + back_ns)
        return _EXCHANGE % (f"rov{number}", seq, number, *stamps, difference_ns, _DIFFERENCE_NS + ours % 2003)

    def batch(self, number: int, batch: int, first: int, last: int) -> bytes:
        """The exchanges `first` to `last`."""
        return (
            _BATCH % (batch, ",".join(self.exchange(number, seq) for seq in range(first, last + 1)))
        ).encode()

    def result(self, number: int, seq: int) -> bytes:
        """Locked, at the present."""
        now_ns = time.time_ns()
        at = datetime.fromtimestamp(now_ns / 1e9, timezone.utc).isoformat().replace("+00:00", "Z")
        offset_ms = -5000 - number / 7 + seq * 1e-5
        numbers = (offset_ms, offset_ms - 0.4123, offset_ms + 0.4123, min(seq, 600), number)
        return (_RESULT % (f"rov{number}", *numbers, at, now_ns // 10**6, self._result_s)).encode()

    def clock(self, number: int) -> bytes:
        """The one piece there is, from the beginning to now."""
        difference_ns = _DIFFERENCE_NS + number * 10**9
        now_ns, from_ns = time.time_ns() + _AHEAD_NS - difference_ns, self._began_ns - difference_ns
        ends = (from_ns, from_ns + difference_ns, now_ns, now_ns + difference_ns)
        return (_CLOCK % (number, number, *ends, f"rov{number}")).encode()


class Wire:
    """MQTT 3.1.1 by hand: what is published at QoS 1 is not kept, as loopback loses nothing."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((LOOPBACK, port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._in, self._out = bytearray(), bytearray()
        self._mid = 0
        self._send(0x10, b"\x00\x04MQTT\x04\x02\x00\x00" + _text("bench-fleet"))
        self.flush()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """At QoS 1, with the next `flush`."""
        self._mid = self._mid % 65535 + 1
        self._send(0x32 | retain, _text(topic) + self._mid.to_bytes(2, "big") + payload)

    def subscribe(self, topic: str) -> None:
        """At QoS 0."""
        self._send(0x82, b"\x00\x01" + _text(topic) + b"\x00")

    def flush(self) -> None:
        """Send what was published."""
        self._socket.settimeout(None)
        self._socket.sendall(self._out)
        self._out.clear()

    def messages(self, wait_s: float) -> list[tuple[str, bytes]]:
        """Topic and payload of what has come of the subscriptions, after at most `wait_s`."""
        self._socket.settimeout(max(wait_s, 1e-4))
        with suppress(TimeoutError, BlockingIOError):
            read = self._socket.recv(1 << 20)
            if not read:
                raise ConnectionError("the broker has closed the connection")
            self._in += read
        return list(self._packets())

    def _packets(self) -> list[tuple[str, bytes]]:
        found, at = [], 0
        while (packet := _packet(self._in, at)) is not None:
            kind, body, at = packet
            if kind & 0xF0 == 0x30:
                end = 2 + int.from_bytes(body[:2], "big")
                found.append((body[2:end].decode(), bytes(body[end:])))
        del self._in[:at]
        return found

    def _send(self, kind: int, body: bytes) -> None:
        length, left = bytearray(), len(body)
        while True:
            left, digit = left >> 7, left & 0x7F
            length.append(digit | (0x80 if left else 0))
            if not left:
                break
        self._out += bytes((kind,)) + length + body


def _text(text: str) -> bytes:
    return len(text.encode()).to_bytes(2, "big") + text.encode()


def _packet(data: bytearray, at: int) -> tuple[int, bytearray, int] | None:
    """Kind, body and where the next one begins; None while it is not whole."""
    size, shift, place = 0, 0, at + 1
    while True:
        if place >= len(data):
            return None
        size |= (data[place] & 0x7F) << shift
        shift, place = shift + 7, place + 1
        if not data[place - 1] & 0x80:
            break
    return (data[at], data[place : place + size], place + size) if place + size <= len(data) else None


class Topside:
    """Publishes what is due, spread over each interval, and answers `resend`; connects again and again."""

    def __init__(self, port: int, count: int, rate_hz: float, result_s: float, counter: mmap.mmap) -> None:
        self._port, self._wire, self._count = port, Wire(port), count
        self._vehicles = Vehicles(rate_hz, result_s)
        self._rate_hz, self._result_s = rate_hz, result_s
        self._counter = counter
        self._published = 0
        self._batches = [0] * count
        self._sent = {"exchange": 0, "result": 0, "clock": 0}

    def run(self) -> None:
        """For ever. Each vehicle has its place in each interval."""
        began_s = time.monotonic()
        while True:
            try:
                self._serve(began_s)
            except OSError:
                time.sleep(_AGAIN_S)
            with suppress(OSError):
                self._wire = Wire(self._port)

    def _serve(self, began_s: float) -> None:
        self._wire.subscribe(f"{ROOT}/topside/{TOPSIDE}/command")
        self._wire.subscribe(f"{ROOT}/vehicle/+/command")
        self._wire.publish(f"{ROOT}/topside/{TOPSIDE}/status", b"online", retain=True)
        while True:
            elapsed_s = time.monotonic() - began_s
            self._due("exchange", elapsed_s * self._rate_hz, self._exchange)
            self._due("result", elapsed_s / self._result_s, self._result)
            self._due("clock", elapsed_s / _CLOCK_S, self._clock)
            self._wire.flush()
            for topic, payload in self._wire.messages(0.005):
                self._resend(topic, json.loads(payload))

    def _due(self, what: str, rounds: float, send: object) -> None:
        assert callable(send)
        for index in range(self._sent[what], int(rounds * self._count)):
            send(index % self._count, index // self._count)
            self._sent[what] = index + 1

    def _exchange(self, number: int, seq: int) -> None:
        self._publish(number, seq, seq)
        self._published += 1
        _COUNT.pack_into(self._counter, 0, self._published)

    def _publish(self, number: int, first: int, last: int) -> None:
        payload = self._vehicles.batch(number, self._batches[number], first, last)
        self._batches[number] += 1
        self._wire.publish(f"{ROOT}/vehicle/rov{number}/exchange/{TOPSIDE}", payload)

    def _result(self, number: int, round_: int) -> None:
        topic = f"{ROOT}/vehicle/rov{number}/offset/{TOPSIDE}"
        self._wire.publish(topic, self._vehicles.result(number, round_), retain=True)

    def _clock(self, number: int, _round: int) -> None:
        self._wire.publish(f"{ROOT}/vehicle/rov{number}/clock", self._vehicles.clock(number))

    def _resend(self, topic: str, command: dict[str, object]) -> None:
        if command.get("what") == "clock":
            self._clock(int(topic.split("/")[-2][3:]), 0)
        if command.get("what") != "exchanges":
            return
        number, finished = int(str(command["vehicle"])[3:]), self._sent["exchange"]
        newest = finished // self._count - (0 if number < finished % self._count else 1)
        first, last = int(str(command["from_seq"])), min(newest, int(str(command["to_seq"])))
        for begin in range(first, last + 1, MOST_IN_BATCH):
            self._publish(number, begin, min(last, begin + MOST_IN_BATCH - 1))


def main() -> None:
    exit_on_terminate()
    port, count, rate_hz, result_s, path = sys.argv[1:]
    with Path(path).open("r+b") as file, mmap.mmap(file.fileno(), _COUNT.size) as counter:
        Topside(int(port), int(count), float(rate_hz), float(result_s), counter).run()


if __name__ == "__main__":
    main()
