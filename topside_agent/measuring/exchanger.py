"""One vehicle's exchanges, pure: which ping is outstanding, and whether a pong completes an exchange."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from runtime.clock import Reading, was_set
from schemas.base import LATEST_NS, maker
from schemas.exchange import MQTT, Exchange, Method, fault_of
from schemas.messages import Ping, Pong
from topside_agent.measuring.instances import Instances

Reason = Literal["unknown_nonce", "repeated", "other_instance", "invalid_pi_time"]
"""Why a pong made no exchange: it answers no outstanding ping (late, replayed, foreign); its ping was
answered or given up already; another process of the same name sent it; its stamps contradict each other or
the ping."""

_DROPPED_BECAUSE: dict[Reason, str] = {
    "unknown_nonce": "it answers no ping that is outstanding (late, replayed or forged)",
    "repeated": "its ping was answered or given up already",
    "other_instance": "a second process answers to this vehicle's name",
    "invalid_pi_time": "its stamps contradict each other or the ping",
}


_LOOK_AGAIN_NS = 50_000_000
_COARSEST_NS = 10**9
_MOST_SEQ = 2**53


_NONCE_BYTES, _AT_ONCE = 8, 256
_nonces: list[str] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_nonces.clear)  # no two processes may use the same


def random_nonce() -> str:
    """A ping's nonce; the system is asked for many at once."""
    while True:
        try:
            return _nonces.pop()
        except IndexError:
            digits = os.urandom(_NONCE_BYTES * _AT_ONCE).hex()
            width = 2 * _NONCE_BYTES
            _nonces.extend(digits[begin : begin + width] for begin in range(0, len(digits), width))


@dataclass(frozen=True, slots=True)
class Refused:
    """A pong that makes no exchange; `ours`: it answered a ping of ours."""

    reason: Reason
    ours: bool
    duplicate: bool = False
    """Whether it is one because two processes answer to the vehicle's name."""

    @property
    def sentence(self) -> str:
        """Why it is dropped, for the log."""
        return _DROPPED_BECAUSE["other_instance" if self.duplicate else self.reason]


class _Outstanding(NamedTuple):
    ping: Ping
    begun: Reading
    sent: Reading


class Exchanger:
    """Pairs pings and pongs by nonce, one outstanding at a time.

    `seq` counts finished exchanges without a gap: a ping that is given up leaves its number to the next, so
    that a recorder can take a gap in `seq` for a loss.
    """

    def __init__(
        self,
        vehicle: str,
        topside: str,
        *,
        method: Method = MQTT,
        timeout_ns: int,
        resolution_ns: int,
        boot_id: str | None = None,
        instance_id: str | None = None,
        interval_ns: int = 0,
    ) -> None:
        """`boot_id` and `instance_id` are topside's; a ping is sent every `interval_ns`."""
        self.instances = Instances(interval_ns)
        self.timeouts = 0
        self._vehicle = vehicle
        self._topside = topside
        self._method = method
        self._timeout_ns = timeout_ns
        self._resolution_ns = resolution_ns
        self.boot_id, self._instance_id = boot_id, instance_id
        self.topside_set = False
        """Whether topside's clock was set while the exchange ran that finished last."""
        self.seq = 0
        """The number of the next exchange to finish, whatever its method."""
        self._outstanding: _Outstanding | None = None
        self._previous_nonce: str | None = None
        self._not_before_ns = 0
        self._checked = False
        """Whether the model has found an exchange with these names valid."""

    @property
    def waiting(self) -> bool:
        """Whether a ping is outstanding that only its own pong or its time-out ends."""
        return self._outstanding is not None and not self.instances.undecided

    @property
    def expires_ns(self) -> int:
        """Topside's RAW at which the outstanding ping is given up; 0 when there is none."""
        if self._outstanding is None:
            return 0
        return max(self._outstanding.sent.raw_ns + self._timeout_ns, self._not_before_ns)

    def begin(self, sent: Reading, nonce: str) -> Ping:
        """The next ping, to be sent at once; one that is still outstanding is given up."""
        self.give_up()
        ping = _ping_of(self.seq, nonce, max(0, sent.realtime_ns))
        self._outstanding = _Outstanding(ping, sent, sent)
        return ping

    def departed(self, raw_ns: int) -> None:
        """Take `raw_ns`, topside's RAW at the socket write, for the outstanding ping's origin."""
        outstanding = self._outstanding
        if outstanding and raw_ns > outstanding.sent.raw_ns:
            departed = Reading(raw_ns, *outstanding.sent[1:])
            self._outstanding = _Outstanding(outstanding.ping, outstanding.begun, departed)

    def take_seq(self) -> int:
        """The number of an exchange that finished without a ping (over HTTP)."""
        self.seq += 1
        return self.seq - 1

    def give_up(self) -> None:
        """Forget the outstanding ping: its pong will not come (the connection ended)."""
        if self._outstanding:
            self._previous_nonce = self._outstanding.ping.nonce
        self._outstanding = None

    def expire(self, now_raw_ns: int, heard_raw_ns: int | None = None) -> bool:
        """Whether the outstanding ping has just timed out, at topside's RAW `now_raw_ns`.

        What arrived after `heard_raw_ns` has not been read yet: its answer may be among it.
        """
        if not self._outstanding or now_raw_ns - self._outstanding.sent.raw_ns < self._timeout_ns:
            return False
        if heard_raw_ns is not None and heard_raw_ns - self._outstanding.sent.raw_ns < self._timeout_ns:
            self._not_before_ns = now_raw_ns + _LOOK_AGAIN_NS
            return False
        self.give_up()
        self.timeouts += 1
        return True

    def finish(self, pong: Pong, received: Reading) -> Exchange | Refused:
        """The exchange that `pong`, received at `received`, completes, or why it completes none."""
        outstanding = self._outstanding
        if outstanding is None or pong.nonce != outstanding.ping.nonce:
            return self._refuse_unexpected(pong, received)
        if not self.instances.admit(pong.instance_id, received, pong.boot_id):
            return Refused("other_instance", ours=True)
        self.give_up()
        exchange = self._exchange(outstanding, pong, received)
        if exchange is None:
            return Refused("invalid_pi_time", ours=True)
        self.seq += 1
        return exchange

    def _refuse_unexpected(self, pong: Pong, received: Reading) -> Refused:
        """Why not; a second answer to a fresh ping also shows whether a namesake is alive."""
        if ours := pong.nonce == self._previous_nonce:
            self.instances.admit(pong.instance_id, received, pong.boot_id)
        duplicate = self.instances.duplicated(received.raw_ns) or (ours and self.instances.undecided)
        return Refused("repeated" if ours else "unknown_nonce", ours, duplicate)

    def _exchange(self, outstanding: _Outstanding, pong: Pong, received: Reading) -> Exchange | None:
        """Stamps as published: each side's RAW plus that side's one difference, read last.

        So RAW is recovered exactly, however realtime was slewed or set meanwhile.
        """
        difference_ns = received.realtime_minus_raw_ns
        self.topside_set = was_set(outstanding.begun, received)
        origin_ns = outstanding.sent.raw_ns + difference_ns
        if pong.seq != outstanding.ping.seq or pong.transmit_ns < pong.receive_ns:
            return None
        resolution_ns = pong.resolution_ns + self._resolution_ns + -(-received.width_ns // 2)
        values: dict[str, Any] = {
            "vehicle": self._vehicle,
            "topside": self._topside,
            "method": self._method.name,
            "seq": self.seq,
            "boot_id": pong.boot_id,
            "origin_ns": origin_ns,
            "receive_ns": pong.receive_ns,
            "transmit_ns": pong.transmit_ns,
            "destination_ns": received.realtime_ns,
            "pi_realtime_minus_raw_ns": pong.realtime_minus_raw_ns,
            "topside_realtime_minus_raw_ns": difference_ns,
            "topside_boot_id": self.boot_id,
            "instance_id": self._instance_id,
            "receive_stamp": pong.receive_stamp,
            "transmit_stamp": pong.transmit_stamp,
            "resolution_ns": resolution_ns,
            "even_ns": 0,
            "even_within_ns": 0,
            "origin_stamp": None,
            "destination_stamp": None,
        }
        try:
            if self._checked and (
                resolution_ns <= _COARSEST_NS
                and 0 <= origin_ns <= LATEST_NS
                and 0 <= received.realtime_ns <= LATEST_NS
                and -LATEST_NS <= difference_ns <= LATEST_NS
            ):  # these numbers are valid beside the exchange's names and the pong's content, which are
                exchange = _made(values)
            else:
                exchange = Exchange(**values)
        except ValidationError:
            return None
        self._checked = True
        return None if fault_of(exchange) else exchange


_made = maker(Exchange)
_made_ping = maker(Ping)
_is_nonce = re.compile(r"[0-9a-f]{16}").fullmatch


def _ping_of(seq: int, nonce: str, origin_ns: int) -> Ping:
    """A ping; the model is asked where it might refuse it."""
    if 0 <= origin_ns <= LATEST_NS and _is_nonce(nonce) and 0 <= seq < _MOST_SEQ:
        return _made_ping({"v": 1, "seq": seq, "nonce": nonce, "origin_ns": origin_ns})
    return Ping(seq=seq, nonce=nonce, origin_ns=origin_ns)
