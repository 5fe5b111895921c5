"""A client made from the settings; which class it has, a self-test of the stamping client decides."""

from __future__ import annotations

import functools
import logging
import os
import secrets
import socket
from typing import TYPE_CHECKING

from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from broker.client.one_step import OneStepPacket, OneStepTimestamp
from broker.client.packets import MOST_INFLIGHT
from broker.client.paho_compat import VERSION, aim, contract_fault
from broker.client.plain import PlainClient
from broker.client.stamping import StampingClient
from broker.errors import CONNECT_ERRORS, BrokerError, connect_error
from broker.interface import Outgoing
from broker.probe import reach
from broker.tls.context import client_context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from broker.settings import ConnectionSettings

_log = logging.getLogger(__name__)

FORCE_PLAIN = "_TIDESYNC_PLAIN_CLIENT"
"""Environment variable that forces the plain client: an internal switch, for tests of the fallback."""
_READ = 4096
_CONNACK = b"\x20\x02\x00\x00"
_AT_QOS_1 = b"\x32\x06\x00\x01t\x00\x07!"
_PUBACK = b"\x40\x02\x00\x07"


def make_client(
    settings: ConnectionSettings, name: str, will: Outgoing | None, *, persistent: bool
) -> PlainClient:
    """An unconnected client.

    The id of an agent, which has a will or is `persistent`, is its account: brokers bind the two. Without one
    it is `name`, with a random tail unless it is persistent. Programs that only read always have the tail:
    several of one account disconnect each other only where the broker itself binds the id to the account.

    CertificateFileError or PasswordFileError for a file that cannot be used: an agent that starts so would
    never connect.
    """
    client = client_class()(
        CallbackAPIVersion.VERSION2,
        client_id=name if persistent else f"{name}-{secrets.token_hex(4)}",
        clean_session=not persistent,
        protocol=MQTTProtocolVersion.MQTTv311,
        reconnect_on_failure=False,
    )
    client.is_account = will is not None or persistent
    client.user_timeout_ms = settings.keepalive_s * 1500
    client.max_inflight_messages_set(MOST_INFLIGHT)
    client.max_queued_messages_set(3 * MOST_INFLIGHT)
    if will:
        client.will_set(will.topic, will.payload, will.qos, will.retain)
    for each in settings.alternatives:
        prepare(client, each, connect_timeout_s=1.0)
    return client


def open_connection(
    client: PlainClient,
    settings: ConnectionSettings,
    timeout_s: float,
    meanwhile: Callable[[], bool] | None = None,
) -> BrokerError | None:
    """Connect, within `timeout_s` for each of its addresses; why that failed, or None.

    With `meanwhile` the port is tried first, in a thread, and that called until it answers.
    """
    address = settings.address
    try:
        if meanwhile is not None:
            reach(address, timeout_s, meanwhile)
        prepare(client, settings, connect_timeout_s=timeout_s)
        client.connack = None
        client.connect(address.host, address.port, settings.keepalive_s)
    except CONNECT_ERRORS as error:
        return connect_error(address, error, ca_file=settings.ca_file)
    except BrokerError as error:
        return error  # a file of the settings was good at the start: it is being renewed
    return None


def prepare(client: PlainClient, settings: ConnectionSettings, *, connect_timeout_s: float) -> None:
    """Have the next connect use these settings of one broker, its secrets and certificates read again."""
    address = settings.address
    if address.websocket:
        client.ws_set_options(path=address.path)
    if settings.account:
        client.username_pw_set(settings.account, settings.secret())
    aim(
        client,
        websocket=address.websocket,
        context=client_context(settings) if address.tls else None,
        timeout_s=connect_timeout_s,
        client_id=settings.account if client.is_account else None,
    )


@functools.cache
def client_class() -> type[PlainClient]:
    """The stamping client where this paho is as tested, else the plain one."""
    fault = f"{FORCE_PLAIN} is set" if os.environ.get(FORCE_PLAIN) else hooks_fault()
    if fault is None:
        return StampingClient
    _log.info("stamps are taken in user space: %s", fault)
    return PlainClient


def hooks_fault() -> str | None:
    """Why the stamping client cannot be used with this paho, in a sentence; None when it can."""
    fault = contract_fault()
    if fault is None:
        try:
            fault = next(_self_test(), None)
        except Exception as error:  # noqa: BLE001 - another paho may raise anything
            fault = f"paho {VERSION} failed the self-test: {type(error).__name__}: {error}"
    return fault


def _self_test() -> Iterator[str]:
    """Connect, stamp, receive and end in memory, within a millisecond; yields what paho does differently."""
    near, far = socket.socketpair()

    class InMemory(StampingClient):
        def open_tcp(self) -> socket.socket:
            return near

    received: list[bytes] = []
    client = InMemory(CallbackAPIVersion.VERSION2, client_id="self-test")
    client.deliver = lambda _topic, payload, _retain: received.append(payload)
    with near, far:
        far.settimeout(1.0)
        client.connect("self-test.invalid")
        if not client.stamps_writes or not far.recv(_READ).startswith(b"\x10"):
            yield f"paho {VERSION} does not connect through Client._create_socket_connection"
        far.send(_CONNACK)
        client.loop_read()
        if not client.is_connected():
            yield f"paho {VERSION} does not take a CONNACK from Client._in_packet by Client._packet_handle"
        stamp = OneStepTimestamp(1, plus_ns=1)
        client.send([Outgoing("t", b"<%19d>" % 0, 0, one_step=stamp)], lambda: 7)
        if stamp.raw_ns is None or not far.recv(_READ).endswith(b"<%19d>" % (7 + 1)):
            yield f"with paho {VERSION} a packet is not stamped at its write"
        queued = OneStepTimestamp(0, plus_ns=1)
        client.queue_packet(OneStepPacket(b"%19d>" % 0, 0, queued, lambda: 8), sent=0)
        client.loop_write()
        if queued.raw_ns is None or far.recv(_READ) != b"%19d>" % (8 + 1):
            yield f"paho {VERSION} does not slice packets of Client._out_packet in Client._packet_write"
        far.send(_AT_QOS_1)
        client.loop_read()
        if received != [b"!"] or far.recv(_READ) != _PUBACK:
            yield f"with paho {VERSION} a packet is not read from our socket, or not answered"
    client.loop_read()
    if client.socket() is not None:
        yield f"paho {VERSION} does not close the socket in Client._loop_rc_handle"
