"""The one MQTT connection of a process: a network thread in which its owner's code runs.

Everything an agent does with a message happens in this thread, so nothing of it needs a lock, and a stamp is
taken with no hop between threads. Other threads hand their work over with `post`.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from paho.mqtt.client import WebsocketConnectionError

from broker.callback_runner import CallbackRunner
from broker.client.make import authenticate, make_client
from broker.client.socket_loop import SocketLoop
from broker.client.wakeup import Wakeup
from broker.errors import (
    BrokerError,
    BrokerUnreachableError,
    CertificateFileError,
    PasswordFileError,
    connect_error,
)
from broker.interface import Callbacks, Incoming, Outgoing
from broker.reconnect import ReconnectPolicy
from broker.tls.context import expiry_notices
from runtime.logs import RateLimitedLog
from runtime.watchdog import Loop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from paho.mqtt.client import Client
    from paho.mqtt.reasoncodes import ReasonCode

    from broker.settings import ConnectionSettings
    from runtime.clock import Clock
    from schemas.exchange import StampKind

__all__ = ["Callbacks", "Connection", "Incoming", "Outgoing"]

_log = logging.getLogger(__name__)

_CONNACK_TIMEOUT_NS = 10_000_000_000
_CONNECT_LIMIT_S = 120.0
"""A name server that does not answer blocks for 30 s and more, and each address is tried for five."""


class Connection:
    """Keeps one MQTT 3.1.1 connection alive and serves its owner from the network thread.

    `name` tells processes apart in the broker's log; the client id is the account where there is one (brokers
    bind the two), else `name` with a random tail, or exactly `name` when `persistent`.
    """

    def __init__(
        self,
        settings: ConnectionSettings,
        callbacks: Callbacks,
        clock: Clock,
        *,
        name: str,
        will: Outgoing | None = None,
        persistent: bool = False,
    ) -> None:
        self.address = settings.address
        self.failure: BrokerError | None = None
        self.problem: BrokerError | None = None
        self.loop = Loop("the network thread")
        self.nodelay: bool | None = None
        """Whether Nagle's algorithm is off on our socket, as the system says; None before a connect."""
        self._settings = settings
        self._callbacks = callbacks
        self._clock = clock
        self._say = RateLimitedLog(_log, clock)
        self._trials = ReconnectPolicy(settings, name if persistent else None)
        self._wakeup = Wakeup()
        self._stopping = threading.Event()
        self._finished = threading.Event()
        self._up = threading.Event()
        self.up = False
        """Whether the broker has accepted the connection, and it has not ended since."""
        self._farewell: Sequence[Outgoing] = ()
        self._thread = threading.Thread(target=self._run, name=f"mqtt-{name}", daemon=True)
        self._client = make_client(settings, name, will, persistent=persistent)
        self._client.on_connect = self._on_connect
        self._turn = CallbackRunner(callbacks, clock, self._client, self._say)
        self._client.deliver = self._turn.deliver
        self._waiting = SocketLoop(self._client, self._wakeup)

    # Any thread

    @property
    def reconnects(self) -> int:
        """How often the broker has accepted it again."""
        return self._trials.reconnects

    @property
    def last_problem(self) -> str | None:
        """Why the last attempt failed, while none has worked since; `problem` is the error itself."""
        return str(self.problem) if self.problem else None

    @property
    def status_text(self) -> str:
        """The state of the connection, in words."""
        if self.up:
            return f"connected to broker {self.address}"
        return f"waiting for the broker: {self.last_problem or f'connecting to {self.address}'}"

    @property
    def receive_stamp(self) -> StampKind:
        """Where arrivals are stamped, as far as this connection has shown."""
        return self._turn.arrivals.stamp

    @property
    def unstamped_because(self) -> str | None:
        """Why arrivals are stamped in user space, once that is known."""
        return self._turn.arrivals.unstamped_because

    @property
    def transmit_stamp(self) -> StampKind:
        """Where a one-step timestamp is taken."""
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
        self._turn.post(work)
        self._wakeup.wake()

    def stop(self, farewell: Sequence[Outgoing] = (), timeout_s: float = 0.8) -> None:
        """Publish `farewell`, disconnect, end the thread; gives up after `timeout_s`."""
        self._farewell = farewell
        self._stopping.set()
        self._wakeup.wake()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    # The network thread

    def publish(self, *messages: Outgoing) -> bool:
        """Send now, from within a callback too; false (and nothing queued) while there is no connection."""
        if not self.up:
            return False
        self._client.send(messages, self._clock.raw_ns)
        return True

    def subscribe(self, filters: Sequence[tuple[str, int]]) -> None:
        """Ask for `(filter, QoS)` pairs, in one packet."""
        self._client.subscribe(list(filters))

    def unsubscribe(self, filters: Sequence[str]) -> None:
        """Undo `subscribe`."""
        self._client.unsubscribe(list(filters))

    def _run(self) -> None:
        try:
            while not self._stopping.is_set() and self.failure is None:
                self._connect_once()
        finally:
            self._set_up(False)
            self._finished.set()

    def _connect_once(self) -> None:
        try:
            with self.loop.allowing(_CONNECT_LIMIT_S):
                authenticate(self._client, self._settings)
                self._client.connect(self.address.host, self.address.port, self._settings.keepalive_s)
        except (OSError, ValueError, WebsocketConnectionError) as error:
            self._retry_later(connect_error(self.address, error, ca_file=self._settings.ca_file))
            return
        except (
            CertificateFileError,
            PasswordFileError,
        ) as error:  # it was good at the start: somebody is just renewing it
            self._retry_later(error)
            return
        self.nodelay = self._client.tune()
        if not self.nodelay:
            self._say.warning("the system keeps Nagle's algorithm on: expect delays of 40 ms")
        opened_ns = self._clock.raw_ns()
        reason = self._serve(opened_ns)
        was_up = self.up
        self._set_up(False)
        if self._trials.ended(self._clock.raw_ns() - opened_ns, was_up=was_up):
            self._say.forget()
        if self._stopping.is_set():
            return
        if was_up:
            self._turn.call(lambda: self._callbacks.disconnected(reason))
        verdict = self._trials.verdict(reason)
        if isinstance(verdict, BrokerError):
            self.failure = verdict
        elif alert := None if was_up else self._client.alert:
            self._retry_later(connect_error(self.address, alert))
        else:
            self._retry_later(BrokerUnreachableError(self.address, verdict))

    def _retry_later(self, problem: BrokerError) -> None:
        self.problem = problem
        wait_s = self._trials.wait_s()
        self._say.warning(f"{problem}; trying again")
        until_ns = self._clock.raw_ns() + round(wait_s * 1e9)
        while not self._stopping.is_set() and (left_ns := until_ns - self._clock.raw_ns()) > 0:
            self._wakeup.pause(min(self._work(), left_ns / 1e9))

    def _serve(self, opened_ns: int) -> str:
        """Run the connection until it ends; returns why."""
        while True:
            pause_s = self._work()
            if self._stopping.is_set():
                self.publish(*self._farewell)
                self._waiting.leave(self._clock.raw_ns)
                return "stopped"
            if self._client.socket() is None:
                return "connection lost"
            self._waiting.turn(pause_s)
            if not self.up and self._clock.raw_ns() - opened_ns > _CONNACK_TIMEOUT_NS:
                return "no answer to CONNECT (is it an MQTT broker?)"

    def _work(self) -> float:
        """Do what was posted and what is due; returns how long the wait may be, in seconds."""
        self.loop.iterations += 1
        return self._turn.take()

    def _on_connect(
        self, _client: Client, _: object, _flags: object, reason: ReasonCode, *_rest: object
    ) -> None:
        if reason.is_failure:
            self._trials.refused(str(reason))
            return
        self._trials.accepted()
        self.problem = None
        self._set_up(True)
        _log.info("connected to broker %s", self.address)
        for notice in expiry_notices(self._client.peer_certificate(), self._settings):
            self._say.warning(notice)
        self._turn.arrivals.begin()
        self._client.resume()
        self._turn.call(self._callbacks.connected)

    def _set_up(self, up: bool) -> None:
        self.up = up
        (self._up.set if up else self._up.clear)()
