"""The one MQTT connection of a process, and the network thread in which the agent's code runs.

An agent handles every message in this thread, so it needs no lock, and no stamp waits for another thread.
Other threads hand their work over with `post`.
"""

from __future__ import annotations

import logging
import threading
from functools import partial
from typing import TYPE_CHECKING

from broker.callback_runner import MAX_WAIT_S, CallbackRunner
from broker.client.limited import fitting
from broker.client.make import make_client, open_connection
from broker.client.socket_loop import SocketLoop, Wakeup
from broker.interface import Callbacks, Outgoing
from broker.reconnect import CONNACK_S, CONNECT_S, STABLE_NS, Ending, ReconnectPolicy
from broker.subscriber import Subscriber
from broker.tls.context import expiry_notices
from runtime.clock import asleep_s
from runtime.logs import RateLimitedLog
from runtime.watchdog import Loop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from broker.address import BrokerAddress
    from broker.errors import BrokerError, NotAuthorizedError
    from broker.settings import ConnectionSettings
    from broker.subscriptions import Answered
    from runtime.clock import Clock
    from schemas.exchange import StampKind

_log = logging.getLogger(__name__)

_REFUSED_S = 60.0
_STOP_S = 5.0  # a busy machine, or a slow disk, may take its time
_CONNECT_LIMIT_S = 120.0  # a name server may block for 30 s and more, and each address is tried for five


class Connection:
    """Keeps one MQTT 3.1.1 connection alive and calls `callbacks` from the network thread.

    `name` tells processes apart in the broker's log (see `make_client`); `gather_s` is as for `SocketLoop`.
    One that is `lasting` asks again when its account is refused, and calls the agent while it connects.
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
        lasting: bool = False,
        gather_s: float = 0.0,
    ) -> None:
        self.failure: BrokerError | None = None
        self.problem: BrokerError | None = None
        self.loop = Loop("the network thread")
        self.loops = (self.loop,)
        self.nodelay: bool | None = None
        """Whether Nagle's algorithm is off, as the system reports; None before the first connect."""
        self._callbacks = callbacks
        self._lasting = lasting
        self._clock = clock
        self._limited_log = RateLimitedLog(_log, clock)
        self.policy = ReconnectPolicy(settings, name if persistent else None)
        self._wakeup = Wakeup()
        self._stopping = threading.Event()
        self._finished = threading.Event()
        self._up = threading.Event()
        self.up = False
        self._farewell: Sequence[Outgoing] = ()
        self._thread = threading.Thread(target=self._run, name=f"mqtt-{name}", daemon=True)
        self._client = make_client(settings, name, will, persistent=persistent)
        self._client.accepted = self._accepted
        self._runner = CallbackRunner(callbacks, clock, self._client, self._limited_log, gather_s)
        self._client.deliver = self._deliver
        self._subscriber = Subscriber(self._client, self.policy, clock.raw_ns, self._limited_log)
        self._client.subscribed = self._on_suback
        self._echoes = self._subscriber.echoes
        self._socket_loop = SocketLoop(self._client, self._wakeup, gather_s)

    # Any thread

    @property
    def address(self) -> BrokerAddress:
        """The broker that is used, or tried."""
        return self.policy.settings.address

    @property
    def carries_pings(self) -> bool:
        """Whether it is up."""
        return self.up

    @property
    def reconnects(self) -> int:
        """How often the broker has accepted it again."""
        return self.policy.reconnects

    @property
    def last_problem(self) -> str | None:
        """Why the last attempt failed; once one has worked, what the broker refuses or does not answer."""
        problem = self.problem or self._subscriber.problem
        return str(problem) if problem else None

    @property
    def refusal(self) -> NotAuthorizedError | None:
        """What the broker refuses to this account; None when nothing is known to be refused."""
        return self._subscriber.refusal

    @property
    def status_text(self) -> str:
        """The state of the connection, in words."""
        if self.up:
            return self.last_problem or f"connected to broker {self.address}"
        return f"waiting for the broker: {self.last_problem or f'connecting to {self.address}'}"

    @property
    def receive_stamp(self) -> StampKind:
        """Where arrivals are stamped, as far as this connection has shown."""
        return self._runner.arrivals.stamp

    @property
    def unstamped_because(self) -> str | None:
        """Why arrivals are stamped in user space, once that is known."""
        return self._runner.arrivals.unstamped_because

    @property
    def transmit_stamp(self) -> StampKind:
        """Where a one-step timestamp is taken."""
        return "write" if self._client.stamps_writes else "user"

    def start(self) -> None:
        """Begin connecting, in the network thread."""
        self._thread.start()

    def wait_until_up(self, timeout_s: float) -> bool:
        """Whether it is up within `timeout_s`."""
        return self._up.wait(timeout_s)

    def wait_until_subscribed(self, timeout_s: float) -> bool:
        """Whether within `timeout_s` the broker has answered all that was asked to subscribe to."""
        return self._subscriber.settled.wait(timeout_s)

    def wait_until_finished(self, timeout_s: float | None = None) -> bool:
        """Whether the network thread has ended within `timeout_s`, by `stop` or by a permanent failure."""
        return self._finished.wait(timeout_s)

    def post(self, work: Callable[[], object]) -> None:
        """Have `work` called in the network thread."""
        self._runner.post(work)
        self._wakeup.wake()

    def stop(self, farewell: Sequence[Outgoing] = (), timeout_s: float = 0.8) -> None:
        """Publish `farewell`, disconnect, end the thread; waits for `timeout_s`, if up for `_STOP_S`."""
        self._farewell = farewell
        self._stopping.set()
        self._wakeup.wake()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(_STOP_S if self.up else timeout_s)

    # The network thread

    def publish(self, *messages: Outgoing) -> bool:
        """Send now, also from within a callback; false (and nothing queued) while there is no connection.

        What is larger than `MAX_MESSAGE_BYTES` is left out, with a warning: readers would disconnect.
        """
        if not self.up:
            return False
        self._echoes.published([message.topic for message in messages], self._clock.raw_ns())
        self._client.send(fitting(messages, self._limited_log), self._clock.raw_ns)
        return True

    def subscribe(self, filters: Sequence[tuple[str, int]], answered: Answered | None = None) -> None:
        """Ask for `(filter, QoS)` pairs, in one packet; what is refused is asked for again and again."""
        self._subscriber.subscribe(filters, answered)

    def unsubscribe(self, filters: Sequence[str]) -> None:
        """Undo `subscribe`."""
        self._subscriber.unsubscribe(filters)

    def _on_suback(self, mid: int, codes: Sequence[int]) -> None:
        self._runner.call(lambda: self._subscriber.answered(mid, codes))

    def _deliver(self, topic: str, payload: bytes, retain: bool) -> None:
        self._echoes.heard(topic, retained=retain)
        self._runner.deliver(topic, payload, retain)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set() and self.failure is None:
                self._connect_once()
        finally:
            self._set_up(False)
            self._finished.set()

    def _connect_once(self) -> None:
        self.policy.step_aside()
        meanwhile = partial(self._pause, MAX_WAIT_S) if self._lasting else None
        with self.loop.allowing(_CONNECT_LIMIT_S):
            timeout_s = CONNECT_S * self.policy.share
            problem = open_connection(self._client, self.policy.settings, timeout_s, meanwhile)
        if problem is not None:
            self._retry_later(problem)
            return
        self.nodelay = self._client.tune()
        if not self.nodelay:
            self._limited_log.warning("the system keeps Nagle's algorithm on: expect delays of 40 ms")
        opened_ns = self._clock.raw_ns()
        reason = self._serve(opened_ns)
        was_up = self.up
        self._set_up(False)
        self._subscriber.end()
        if self.policy.ended(self._clock.raw_ns() - opened_ns, was_up=was_up):
            self._limited_log.forget()
        if self._stopping.is_set():
            return
        if was_up:
            self._runner.call(lambda: self._callbacks.disconnected(reason))
        alert = None if was_up else self._client.alert
        unanswered = self._subscriber.waiting if was_up else ()
        published = (*self._client.unacknowledged_topics(), *self._echoes.last) if was_up else ()
        problem = self.policy.problem(Ending(reason, self._client.connack, alert, unanswered, published))
        is_final = self.policy.is_final(problem)
        if is_final and not self._lasting:
            self.failure = problem
        else:
            self._retry_later(problem, _REFUSED_S if is_final else 0.0)

    def _retry_later(self, problem: BrokerError, least_s: float = 0.0) -> None:
        self.problem = problem
        wait_s = max(least_s, self.policy.wait_s())
        for each in self.policy.reportable(problem):
            self._limited_log.warning(f"{each}; trying again")
        until_ns = self._clock.raw_ns() + round(wait_s * 1e9)
        while (left_ns := until_ns - self._clock.raw_ns()) > 0 and self._pause(left_ns / 1e9):
            pass

    def _pause(self, most_s: float) -> bool:
        """Do what is due, and wait up to `most_s` seconds for more; whether to go on."""
        self._wakeup.pause(min(self._work(), most_s))
        return not self._stopping.is_set()

    def _serve(self, opened_ns: int) -> str:
        """Run the connection until it ends; returns why."""
        while True:
            pause_s = self._work()
            if self._stopping.is_set():
                self.publish(*self._farewell)
                self._socket_loop.leave(self._clock.raw_ns)
                return "stopped"
            if self._client.socket() is None:
                reason = self._client.take_reason()
                return f"connection ended: {reason}" if reason else "connection lost"
            if self._socket_loop.run_once(pause_s) and self.up:
                self._serve_up(opened_ns)
            elif not self.up and self._clock.raw_ns() - opened_ns > CONNACK_S * self.policy.share * 1e9:
                return "no answer to CONNECT (is it an MQTT broker?)"

    def _serve_up(self, opened_ns: int) -> None:
        now_ns = self._clock.raw_ns()
        if now_ns - opened_ns > STABLE_NS:
            self.problem = None
        self._subscriber.upkeep(now_ns)

    def _work(self) -> float:
        """Do what was posted and what is due; returns the longest wait, in seconds.

        While the machine of a simulated clock sleeps nothing is read or sent.
        """
        self.loop.iterations += 1
        while (seconds := asleep_s(self._clock)) and not self._stopping.is_set():
            self._wakeup.pause(min(seconds, MAX_WAIT_S))
            self.loop.iterations += 1
        return self._runner.run_due()

    def _accepted(self) -> None:
        self.policy.accepted()
        if not self.policy.suspicious:
            self.problem = None
        self._set_up(True)
        _log.info("connected to broker %s", self.address)
        for notice in expiry_notices(self._client.peer_certificate(), self.policy.settings):
            self._limited_log.warning(notice)
        self._runner.arrivals.begin()
        self._subscriber.begin()
        self._client.resume()
        self._runner.call(self._callbacks.connected)

    def _set_up(self, up: bool) -> None:
        self.up = up
        (self._up.set if up else self._up.clear)()
