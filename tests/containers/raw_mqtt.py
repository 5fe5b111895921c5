"""MQTT 3.1.1 packets made by hand, and a socket that sends them: for what no client library would send."""

import select
import socket
import ssl
import struct
import threading
import time
from contextlib import nullcontext, suppress

from tests.deadline import PATIENCE_S

CONNACK, PUBACK, PUBREC, SUBACK, PINGRESP = 0x20, 0x40, 0x50, 0x90, 0xD0
ACCEPTED = 0


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack("!H", len(value)) + value


def header(kind, length):
    """The fixed header of a packet that says to be so long."""
    digits = bytearray()
    while True:
        length, digit = divmod(length, 128)
        digits.append(digit | 0x80 if length else digit)
        if not length:
            return bytes([kind]) + digits


def packet(kind, body):
    return header(kind, len(body)) + body


def connect(client_id, username=None, password=None, *, clean=True, keepalive_s=60):
    flags = 0x02 * clean | 0x80 * bool(username) | 0x40 * bool(password)
    names = [client_id, *filter(None, (username, password))]
    return packet(
        0x10, text("MQTT") + bytes([4, flags]) + struct.pack("!H", keepalive_s) + b"".join(map(text, names))
    )


def publish(topic, payload, *, qos=0, number=1, retain=False):
    head = text(topic) + (struct.pack("!H", number) if qos else b"")
    return packet(0x30 | qos << 1 | retain, head + payload)


def subscribe(filters, number=1):
    return packet(0x82, struct.pack("!H", number) + b"".join(text(one) + b"\0" for one in filters))


PING = packet(0xC0, b"")


class RawClient:
    """A connection that sends only what a test says; `answers` are the kinds of packets that came back."""

    def __init__(self, address, wrap=None):
        plain = socket.create_connection(address, PATIENCE_S)
        self.socket = wrap(plain) if wrap else plain
        self.socket.settimeout(PATIENCE_S)
        # OpenSSL's connections are not for two threads at once.
        self._tls = threading.Lock() if wrap else None
        self.answers = []
        self.refusal = None
        self.closed = threading.Event()
        self._came = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, *packets):
        """Whether the other end still takes them."""
        try:
            with self._tls or nullcontext():
                self.socket.sendall(b"".join(packets))
        except OSError:
            return False
        return True

    def wait_for(self, kind, timeout_s=PATIENCE_S, count=1):
        """Whether so many answers of `kind` came before the connection ended."""
        with self._came:
            self._came.wait_for(lambda: self.answers.count(kind) >= count or self.closed.is_set(), timeout_s)
            return self.answers.count(kind) >= count

    def log_in(self, name, password, **more):
        self.send(connect(name, name, password, **more))
        assert self.wait_for(CONNACK), f"{name} was not let in"
        assert self.refusal == ACCEPTED, f"{name} was refused: {self.refusal}"
        return self

    def close(self):
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self._reader.join(5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _read(self):
        held = b""
        while True:
            try:
                came = self._receive_tls() if self._tls else self.socket.recv(65536)
            except (TimeoutError, ssl.SSLWantReadError):
                continue
            except (OSError, ValueError):
                came = b""
            if not came:
                break
            held = self._take(held + came)
        with self._came:
            self.closed.set()
            self._came.notify_all()

    def _receive_tls(self):
        select.select([self.socket], [], [])
        with self._tls:
            self.socket.settimeout(0)  # what came may be TLS's own: a wait for more would keep `send` out
            try:
                return self.socket.recv(65536)
            finally:
                self.socket.settimeout(PATIENCE_S)

    def _take(self, held):
        """Note the packets that are whole; the rest."""
        while len(held) > 1:
            length, size = _length(held)
            if length is None or len(held) < size + length:
                return held
            with self._came:
                if held[0] == CONNACK:
                    self.refusal = held[size + 1]
                self.answers.append(held[0] & 0xF0)
                self._came.notify_all()
            held = held[size + length :]
        return held


def _length(held):
    """The length that a packet's header says, and the header's own; None while that is not whole."""
    value = 0
    for at in range(1, min(5, len(held))):
        value |= (held[at] & 0x7F) << 7 * (at - 1)
        if not held[at] & 0x80:
            return value, at + 1
    return None, 0


class SlowConnect(threading.Thread):
    """Sends a CONNECT byte by byte, or not at all, until the broker has enough; `lasted_s` says when."""

    def __init__(self, address, packet, every_s):
        super().__init__(daemon=True)
        self.lasted_s = None
        self._address, self._packet, self._every_s = address, packet, every_s
        self.start()

    def run(self):
        began = time.monotonic()
        with socket.create_connection(self._address, PATIENCE_S) as open_socket:
            open_socket.settimeout(self._every_s)
            for at in range(10_000):
                if at < len(self._packet) - 1 and not _sent(open_socket, self._packet[at : at + 1]):
                    break
                with suppress(TimeoutError):
                    if not _received(open_socket):
                        break
        self.lasted_s = time.monotonic() - began


def _sent(open_socket, content):
    try:
        open_socket.sendall(content)
    except OSError:
        return False
    return True


def _received(open_socket):
    try:
        return open_socket.recv(1)
    except TimeoutError:
        raise
    except OSError:
        return b""
