"""Which client to take: the stamping one where a rehearsal shows that its hooks work in this paho."""

from __future__ import annotations

import functools
import logging
import socket

from paho.mqtt.enums import CallbackAPIVersion

from broker.client.one_step import OneStepTimestamp
from broker.client.plain import PlainClient
from broker.client.stamping import StampingClient
from broker.client.stamping_socket import StampingSocket
from broker.interface import Outgoing

_log = logging.getLogger(__name__)

_READ = 4096
_CONNACK = b"\x20\x02\x00\x00"
_AT_QOS_1 = b"\x32\x06\x00\x01t\x00\x07!"
_PUBACK = b"\x40\x02\x00\x07"


@functools.cache
def client_class() -> type[PlainClient]:
    """The stamping client where its hooks work, else the plain one."""
    fault = hooks_fault()
    if fault is None:
        return StampingClient
    _log.info("stamps are taken in user space: this paho has no place for them (%s)", fault)
    return PlainClient


def hooks_fault() -> str | None:
    """Why this paho has no place for stamps at its socket, or None when it has."""
    try:
        return _rehearse()
    except Exception as error:  # noqa: BLE001 - whatever another paho does to private methods
        return f"{type(error).__name__}: {error}"


def _rehearse() -> str | None:
    """What fails of: connect on our socket, stamp a packet late, receive. In memory, within a millisecond."""
    near, far = socket.socketpair()

    class Rehearsal(StampingClient):
        def _create_socket_connection(self) -> socket.socket:
            self._tcp = StampingSocket.adopt(near)
            return self._tcp

    heard: list[bytes] = []
    client = Rehearsal(CallbackAPIVersion.VERSION2, client_id="rehearsal")
    client.deliver = lambda _topic, payload, _retain: heard.append(payload)
    with far:
        far.settimeout(1.0)
        client.connect("rehearsal.invalid")
        if not far.recv(_READ).startswith(b"\x10"):
            return "no CONNECT on our socket"
        far.send(_CONNACK)
        client.loop_read()
        if not client.is_connected():
            return "a CONNACK is not handed to it"
        stamp = OneStepTimestamp(1, plus_ns=1)
        client.send([Outgoing("t", b"<%19d>" % 0, 0, one_step=stamp)], lambda: 7)
        if stamp.raw_ns is None or not far.recv(_READ).endswith(b"<%19d>" % (7 + 1)):
            return "a packet is not stamped at its write"
        far.send(_AT_QOS_1)
        client.loop_read()
        if heard != [b"!"] or far.recv(_READ) != _PUBACK:
            return "a packet is not read from our socket, or not answered"
    client.loop_read()
    return None if client.socket() is None else "the end of a connection is not noticed"
