"""One vehicle's exchanges, pure: which ping is outstanding, and what a pong that arrives makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from runtime.clock import Reading
from schemas.exchange import Exchange
from schemas.messages import Ping, Pong
from topside_agent.measuring.instances import Instances

Reason = Literal["unknown_nonce", "repeated", "other_instance", "clock_stepped", "invalid_pi_time"]
"""Why a pong made no exchange: it answers nothing we asked (late, replayed, foreign); it answers what was
answered already; another process of the same name sent it; our wall clock was stepped in between; its stamps
contradict each other or ours."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A pong that makes no exchange. `ours` tells whether it answered a ping of ours at all."""

    reason: Reason
    ours: bool


@dataclass(frozen=True, slots=True)
class _Outstanding:
    ping: Ping
    sent: Reading


class Exchanger:
    """Pairs pings and pongs by nonce, one outstanding at a time.

    `seq` counts finished exchanges without holes: a ping that is given up leaves its number to the next, so
    that a recorder can take a hole in `seq` for a loss.
    """

    def __init__(self, vehicle: str, topside: str, *, timeout_ns: int, resolution_ns: int) -> None:
        self.instances = Instances()
        self.timeouts = 0
        self._vehicle = vehicle
        self._topside = topside
        self._timeout_ns = timeout_ns
        self._resolution_ns = resolution_ns
        self.seq = 0
        """The number of the next exchange to finish; one made over HTTP takes its turn too."""
        self._outstanding: _Outstanding | None = None
        self._previous_nonce: str | None = None

    @property
    def waiting(self) -> bool:
        """Whether a ping is outstanding that only its own pong or its time-out ends."""
        return self._outstanding is not None and not self.instances.undecided

    @property
    def expires_ns(self) -> int:
        """Topside's RAW at which the outstanding ping is given up; 0 when there is none."""
        return self._outstanding.sent.raw_ns + self._timeout_ns if self._outstanding else 0

    def begin(self, sent: Reading, nonce: str) -> Ping:
        """The next ping, to be sent at once; one that is still outstanding is given up."""
        self.give_up()
        ping = Ping(seq=self.seq, nonce=nonce, origin_ns=max(0, sent.realtime_ns))
        self._outstanding = _Outstanding(ping, sent)
        return ping

    def departed(self, raw_ns: int) -> None:
        """Take `raw_ns`, topside's RAW at the socket write, for the outstanding ping's origin."""
        outstanding = self._outstanding
        if outstanding and raw_ns > outstanding.sent.raw_ns:
            self._outstanding = _Outstanding(outstanding.ping, outstanding.sent._replace(raw_ns=raw_ns))

    def give_up(self) -> None:
        """Forget the outstanding ping: its pong will not come (the connection ended)."""
        if self._outstanding:
            self._previous_nonce = self._outstanding.ping.nonce
        self._outstanding = None

    def expire(self, now_raw_ns: int) -> bool:
        """Whether the outstanding ping has just timed out, at topside's RAW `now_raw_ns`."""
        if not self._outstanding or now_raw_ns - self._outstanding.sent.raw_ns < self._timeout_ns:
            return False
        self.give_up()
        self.timeouts += 1
        return True

    def finish(self, pong: Pong, received: Reading) -> Exchange | Refused:
        """The exchange that `pong`, received at `received`, completes, or why it completes none."""
        outstanding = self._outstanding
        if outstanding is None or pong.nonce != outstanding.ping.nonce:
            return self._refuse_unexpected(pong, received)
        if not self.instances.admit(pong.instance_id, received.raw_ns):
            return Refused("other_instance", ours=True)
        self.give_up()
        if received.stepped_since(outstanding.sent):
            return Refused("clock_stepped", ours=True)
        exchange = self._exchange(outstanding, pong, received)
        if exchange is None:
            return Refused("invalid_pi_time", ours=True)
        self.seq += 1
        return exchange

    def _refuse_unexpected(self, pong: Pong, received: Reading) -> Refused:
        """Count; a second answer to a fresh ping also shows whether a namesake is alive."""
        if pong.nonce == self._previous_nonce:
            self.instances.admit(pong.instance_id, received.raw_ns)
            return Refused("repeated", ours=True)
        return Refused("unknown_nonce", ours=False)

    def _exchange(self, outstanding: _Outstanding, pong: Pong, received: Reading) -> Exchange | None:
        """Stamps as published: each side's RAW plus that side's one difference."""
        origin_ns = outstanding.sent.raw_ns + received.realtime_minus_raw_ns
        pi_raw_ns = pong.receive_ns - pong.realtime_minus_raw_ns
        if pong.seq != outstanding.ping.seq or pong.transmit_ns < pong.receive_ns:
            return None
        if min(origin_ns, pi_raw_ns) < 0:
            return None
        return Exchange(
            vehicle=self._vehicle,
            topside=self._topside,
            seq=self.seq,
            boot_id=pong.boot_id,
            origin_ns=origin_ns,
            receive_ns=pong.receive_ns,
            transmit_ns=pong.transmit_ns,
            destination_ns=received.realtime_ns,
            pi_realtime_minus_raw_ns=pong.realtime_minus_raw_ns,
            topside_realtime_minus_raw_ns=received.realtime_minus_raw_ns,
            receive_stamp=pong.receive_stamp,
            transmit_stamp=pong.transmit_stamp,
            resolution_ns=pong.resolution_ns + self._resolution_ns + received.width_ns,
        )
