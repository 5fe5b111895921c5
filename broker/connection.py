"""The one MQTT connection of a process: a network thread in which its owner's code runs.

Everything an agent does with a message happens in this thread, so nothing of it needs a lock, and a stamp is
taken with no hop between threads. Other threads hand their work over with `post`.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import select
import socket
import ssl
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from paho.mqtt.client import WebsocketConnectionError
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from broker.backoff import Backoff
from broker.client import client_class
from broker.clock import Clock, Reading, read
from broker.errors import BrokerError, BrokerUnreachableError, CredentialsError, connect_reason
from broker.stamps import ArrivalStamper

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from paho.mqtt.client import Client, ConnectFlags, MQTTMessage, SocketLike
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

    from broker.client import PlainClient
    from broker.late_stamp import LateStamp
    from broker.settings import ConnectionSettings
    from schemas.exchange import StampKind

_log = logging.getLogger(__name__)

_CONNECT_TIMEOUT_S = 5.0
_CONNACK_TIMEOUT_S = 10.0
_MAX_WAIT_S = 0.5
_REPEAT_LOG_S = 60.0
_STEADY_NS = 5_000_000_000
"""A connection that has stood this long is no sign of trouble when it ends."""
_SUSPICIOUS = 3
"""Shorter ones in a row: a broker throws out the one of two programs that share an account."""
_UNSTAMPED_MOST = 8
"""Messages in a row without a usable kernel stamp until they are no longer expected."""
_REFUSED_CREDENTIALS = {"Bad user name or password", "Not authorized"}


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish; one with a `late` stamp goes at QoS 0, not retained."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    late: LateStamp | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message that arrived, and the clock as it stood then; `stamp` says how that is known."""

    topic: str
    payload: bytes
    retain: bool
    received: Reading
    stamp: StampKind = "user"


class Owner(Protocol):
    """Whom a connection serves; every call comes from the network thread."""

    def connected(self) -> None:
        """Called after every (re)connect: subscribe and announce here."""

    def disconnected(self, reason: str) -> None:
        """Called when an established connection ends, but not by `stop`."""

    def received(self, message: Incoming) -> None:
        """Called for each message."""

    def tick(self, now: Reading) -> float:
        """Called often, connected or not; returns how many seconds it may take until the next call."""


class Connection:
    """Keeps one MQTT 3.1.1 connection alive and serves its owner from the network thread.

    `name` tells processes apart in the broker's log; the client id is the account where there is one (brokers
    bind the two), else `name` with a random tail, or exactly `name` when `persistent`.
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        owner: Owner,
        clock: Clock,
        *,
        name: str,
        will: Outgoing | None = None,
        persistent: bool = False,
    ) -> None:
        self.address = settings.address
        self.failure: BrokerError | None = None
        self.reconnects = 0
        self.last_problem: str | None = None
        self.unstamped_because: str | None = None
        """Why arrivals are stamped in user space, once that is known."""
        self.nodelay: bool | None = None
        """Whether Nagle's algorithm is off on our socket, as the system says; None before a connect."""
        self._settings = settings
        self._owner = owner
        self._clock = clock
        self._stamper = ArrivalStamper(clock)
        self._unstamped = 0
        self._kernel_stamps: bool | None = None
        self._posted: deque[Callable[[], object]] = deque()
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._wake_write.setblocking(False)
        self._rivals = self._shared_name(name, persistent=persistent)
        self._stopping = threading.Event()
        self._finished = threading.Event()
        self._up = threading.Event()
        self._farewell: Sequence[Outgoing] = ()
        self._backoff = Backoff()
        self._established = False
        self._refusals: list[str] = []
        self._short_lived = 0
        self._logged_at_ns: dict[str, int] = {}
        self._thread = threading.Thread(target=self._run, name=f"mqtt-{name}", daemon=True)
        self._client = self._make_client(name, will, persistent=persistent)

    # Any thread

    @property
    def up(self) -> bool:
        """Whether the broker has accepted the connection and it stands."""
        return self._up.is_set()

    @property
    def receive_stamp(self) -> StampKind:
        """Where arrivals are stamped, as far as this connection has shown."""
        return "kernel" if self._kernel_stamps else "user"

    @property
    def transmit_stamp(self) -> StampKind:
        """Where a late stamp is taken."""
        return "write" if self._client.stamps_writes else "user"

    def start(self) -> None:
        """Begin connecting, in the network thread."""
        self._thread.start()

    def wait_until_up(self, timeout_s: float) -> bool:
        """Wait for the connection; false when it did not come in time or has failed for good."""
        return self._up.wait(timeout_s)

    def wait_until_finished(self, timeout_s: float | None = None) -> bool:
        """Wait for the network thread to end, by `stop` or by a failure that does not heal."""
        return self._finished.wait(timeout_s)

    def post(self, work: Callable[[], object]) -> None:
        """Have `work` called in the network thread."""
        self._posted.append(work)
        self._wake()

    def stop(self, farewell: Sequence[Outgoing] = (), timeout_s: float = 0.8) -> None:
        """Publish `farewell`, disconnect, end the thread; gives up after `timeout_s`."""
        self._farewell = farewell
        self._stopping.set()
        self._wake()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    # The network thread

    def publish(self, message: Outgoing) -> bool:
        """Send now, from within a callback too; false (and nothing queued) while there is no connection."""
        if not self._up.is_set():
            return False
        if message.late is None:
            self._client.publish(message.topic, message.payload, message.qos, message.retain)
        else:
            self._client.publish_late(message.topic, message.payload, message.late, self._clock.raw_ns)
        self._client.loop_write()
        return True

    def subscribe(self, filters: Sequence[tuple[str, int]]) -> None:
        """Ask for `(filter, QoS)` pairs, in one packet."""
        self._client.subscribe(list(filters))

    def unsubscribe(self, filters: Sequence[str]) -> None:
        """Undo `subscribe`."""
        self._client.unsubscribe(list(filters))

    def _make_client(self, name: str, will: Outgoing | None, *, persistent: bool) -> PlainClient:
        account = self._settings.account
        client = client_class()(
            CallbackAPIVersion.VERSION2,
            client_id=account or (name if persistent else f"{name}-{secrets.token_hex(4)}"),
            clean_session=not persistent,
            protocol=MQTTProtocolVersion.MQTTv311,
            transport="websockets" if self.address.websocket else "tcp",
            reconnect_on_failure=False,
        )
        client.connect_timeout = _CONNECT_TIMEOUT_S
        client.user_timeout_ms = self._settings.keepalive_s * 1500
        client.max_inflight_messages_set(1000)
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        if will:
            client.will_set(will.topic, will.payload, will.qos, will.retain)
        if self.address.websocket:
            client.ws_set_options(path=self.address.path)
        return client

    def _shared_name(self, name: str, *, persistent: bool) -> str | None:
        """By what a broker would take another program for this one, and throw one of the two out."""
        account = self._settings.account
        if account:
            return f"account {account!r}"
        return f"the name {name!r}" if persistent else None

    def _authenticate(self) -> None:
        """Read secrets and certificates anew, so that a renewed file is taken at the next connect."""
        if self._settings.account:
            self._client.username_pw_set(self._settings.account, self._settings.secret())
        if self.address.tls and self._client._ssl_context is None:  # noqa: SLF001 - tls_set_context raises twice
            self._client.tls_set_context(ssl.create_default_context(cafile=self._settings.ca_file))

    def _run(self) -> None:
        try:
            while not self._stopping.is_set() and self.failure is None:
                self._connect_once()
        finally:
            self._up.clear()
            self._finished.set()

    def _connect_once(self) -> None:
        try:
            self._authenticate()
            self._client.connect(self.address.host, self.address.port, self._settings.keepalive_s)
        except (OSError, ValueError, WebsocketConnectionError) as error:
            self._retry_later(connect_reason(error, tls=self.address.tls))
            return
        self.nodelay = self._client.tune()
        if not self.nodelay:
            self._say(logging.WARNING, "the system keeps Nagle's algorithm on: expect delays of 40 ms")
        opened_ns = self._clock.raw_ns()
        reason = self._serve()
        was_up = self._up.is_set()
        if self._clock.raw_ns() - opened_ns > _STEADY_NS:
            self._backoff.reset()
            self._logged_at_ns.clear()
            self._short_lived = 0
        elif was_up:
            self._short_lived += 1
        self._up.clear()
        if was_up and not self._stopping.is_set():
            self._guarded(lambda: self._owner.disconnected(reason))
        refusal = self._refusals.pop() if self._refusals else None
        if self._stopping.is_set():
            return
        if refusal in _REFUSED_CREDENTIALS and not self._established:
            self.failure = CredentialsError(self.address, self._settings.account, refusal.lower())
            return
        if self._short_lived >= _SUSPICIOUS and self._rivals:
            reason += f" again and again (does another program use {self._rivals}? Each needs its own)"
        self._retry_later(refusal or reason)

    def _retry_later(self, reason: str) -> None:
        self.last_problem = str(BrokerUnreachableError(self.address, reason))
        wait_s = self._backoff.next_s()
        self._say(logging.WARNING, f"{self.last_problem}; trying again")
        until_ns = self._clock.raw_ns() + round(wait_s * 1e9)
        while not self._stopping.is_set() and (left_ns := until_ns - self._clock.raw_ns()) > 0:
            pause_s = min(self._work(), left_ns / 1e9)
            select.select([self._wake_read], [], [], pause_s)
            self._drain_wake()

    def _serve(self) -> str:
        """Run the connection until it ends; returns why."""
        opened_ns = self._clock.raw_ns()
        while True:
            pause_s = self._work()
            if self._stopping.is_set():
                return self._say_farewell()
            tcp = self._client.socket()
            if tcp is None:
                return "connection lost"
            self._wait(tcp, pause_s)
            self._client.loop_misc()
            if not self.up and self._clock.raw_ns() - opened_ns > _CONNACK_TIMEOUT_S * 1e9:
                return "no answer to CONNECT (is it an MQTT broker?)"

    def _wait(self, tcp: SocketLike, pause_s: float) -> None:
        if self._client.pending():  # it has read more than was asked for
            pause_s = 0
        writers = [tcp] if self._client.want_write() or self._client.unsent else []
        try:
            readable, writable, _ = select.select([tcp, self._wake_read], writers, [], pause_s)
        except (OSError, ValueError):  # closed meanwhile; the next turn of the loop says so
            return
        if self._wake_read in readable:
            self._drain_wake()
        if writable:
            self._client.flush()
            self._client.loop_write()
        if tcp in readable or pause_s == 0:
            self._client.loop_read()

    def _work(self) -> float:
        """Do what was posted and what is due; returns how long the wait may be, in seconds."""
        while self._posted:
            self._guarded(self._posted.popleft())
        wait_s = _MAX_WAIT_S

        def tick() -> None:
            nonlocal wait_s
            now = read(self._clock)
            self._stamper.observe(now)
            wait_s = self._owner.tick(now)

        self._guarded(tick)
        return max(0.0, min(wait_s, _MAX_WAIT_S))

    def _say_farewell(self) -> str:
        for message in self._farewell:
            self.publish(message)
        deadline_ns = self._clock.raw_ns() + 400_000_000
        while (
            (tcp := self._client.socket()) and self._unacknowledged() and self._clock.raw_ns() < deadline_ns
        ):
            self._wait(tcp, 0.05)
        self._client.disconnect()
        self._client.loop_write()
        return "stopped"

    def _unacknowledged(self) -> bool:
        return self.up and (self._client.want_write() or bool(self._client._out_messages))  # noqa: SLF001

    def _on_connect(
        self,
        _client: Client,
        _userdata: object,
        _flags: ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._refusals.append(str(reason))
            return
        if self._established:
            self.reconnects += 1
        self._established = True
        self.last_problem = None
        self._up.set()
        _log.info("connected to broker %s", self.address)
        self._kernel_stamps, self._unstamped = None, 0
        self._note_stamp(self._stamper.arrived(self._client.arrival())[1])
        self._guarded(self._owner.connected)

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        received, stamp = self._stamper.arrived(self._client.arrival())
        self._note_stamp(stamp)
        try:
            topic = message.topic
        except UnicodeDecodeError:  # a broker that lets it through breaks MQTT [1.5.3-1]
            return
        incoming = Incoming(topic, bytes(message.payload), message.retain, received, stamp)
        self._guarded(lambda: self._owner.received(incoming))

    def _note_stamp(self, stamp: StampKind) -> None:
        """Learn whether the kernel's stamps come and can be used; say once that they do not."""
        if stamp != "user":
            self._kernel_stamps, self._unstamped, self.unstamped_because = True, 0, None
            return
        self._unstamped += 1
        refused = self._client.unstamped_because
        if self._kernel_stamps is False or (refused is None and self._unstamped < _UNSTAMPED_MOST):
            return
        self._kernel_stamps = False
        why = refused or "the kernel's stamps do not come, or contradict its clock"
        self.unstamped_because = why
        self._say(logging.INFO, f"arrivals are stamped in user space: {why}")

    def _guarded(self, work: Callable[[], object]) -> None:
        """Run the owner's code; its fault is logged and must not end the connection."""
        try:
            work()
        except Exception:  # noqa: BLE001 - whatever it is, the connection goes on
            _log.exception("a fault of this program, please report it; going on")

    def _say(self, level: int, sentence: str) -> None:
        """Log a sentence when it is new, then once a minute."""
        now_ns = self._clock.raw_ns()
        last_ns = self._logged_at_ns.get(sentence)
        if last_ns is None or now_ns - last_ns > _REPEAT_LOG_S * 1e9:
            self._logged_at_ns[sentence] = now_ns
            _log.log(level, "%s", sentence)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it is awake already
            self._wake_write.send(b"\0")

    def _drain_wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._wake_read.recv(4096):
                pass
