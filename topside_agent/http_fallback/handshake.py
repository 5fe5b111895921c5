"""The consumer's handshake over HTTP, pure: the Pi's clock from a response between two instants."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from schemas.base import LATEST_NS
from schemas.compat import from_iso
from schemas.exchange import HTTP, Exchange
from schemas.instants import ns_from_utc, utc_from_ns
from schemas.metadata import UNSYNCED, SensorTimeSync
from topside_agent.http_fallback.http_get import Answer, Failure, TimedResponse

if TYPE_CHECKING:
    from schemas.messages import ErrorWord

MAX_RTT_NS = 200_000_000
"""A longer round trip gives no offset: `high_rtt`."""
_MS = 1_000_000
_US = 1_000
_AGREE_NS = 10 * _MS
"""Two readings of one clock within one answer are not further apart than this; a time zone mixed up is."""
_FRACTION = re.compile(r"[.,](\d+)")
_OK = range(200, 300)


@dataclass(frozen=True, slots=True)
class PiTime:
    """The Pi's realtime: somewhere in [realtime_ns, realtime_ns + unit_ns)."""

    realtime_ns: int
    unit_ns: int


@dataclass(frozen=True, slots=True)
class Handshake:
    """One handshake; T1 and T4 are topside's realtime in ns, and `pi` was read between them.

    `pi` is None where `error` says why there is none; `high_rtt` has one that is not to be used.
    """

    t1_ns: int
    t4_ns: int
    pi: PiTime | None
    error: ErrorWord | None
    detail: str | None = None
    """For people: what went wrong."""

    @property
    def synced(self) -> bool:
        """Whether it gives an offset."""
        return self.pi is not None and self.error is None

    @property
    def rtt_ns(self) -> int:
        """T4 − T1."""
        return self.t4_ns - self.t1_ns

    def entry(self) -> SensorTimeSync:
        """The result under the consumer's keys: offset = Pi − (T1 + RTT/2), uncertainty = RTT/2.

        Both in ms. The uncertainty includes the unit to which the Pi's stamp was cut: the true offset lies
        within it, whatever the network did.
        """
        measured_at = utc_from_ns(self.t4_ns)
        if self.pi is None or self.error is not None:
            method = HTTP.name if self.error == "high_rtt" else UNSYNCED
            return SensorTimeSync(
                method=method, offset_ms=None, uncertainty_ms=None, measured_at=measured_at, error=self.error
            )
        twice_offset_ns = 2 * self.pi.realtime_ns - self.t1_ns - self.t4_ns
        return SensorTimeSync(
            method=HTTP.name,
            offset_ms=round(twice_offset_ns / 2 / _MS, 3),
            uncertainty_ms=math.ceil((self.rtt_ns / 2 + self.pi.unit_ns) / _US) / 1000,
            measured_at=measured_at,
            error=None,
        )

    def exchange(
        self, vehicle: str, topside: str, *, seq: int, topside_difference_ns: int, resolution_ns: int
    ) -> Exchange | None:
        """The handshake as an exchange, or None where it gives no offset.

        HTTP reports neither the Pi's RAW clock nor its boot id: null. `topside_difference_ns` is topside's
        realtime − RAW, `resolution_ns` what its stamps may be off by.
        """
        if self.pi is None or self.error is not None:
            return None
        return Exchange(
            vehicle=vehicle,
            topside=topside,
            method=HTTP.name,
            seq=seq,
            boot_id=None,
            origin_ns=self.t1_ns,
            receive_ns=self.pi.realtime_ns,
            transmit_ns=self.pi.realtime_ns,
            destination_ns=self.t4_ns,
            pi_realtime_minus_raw_ns=None,
            topside_realtime_minus_raw_ns=topside_difference_ns,
            receive_stamp="http",
            transmit_stamp="http",
            resolution_ns=self.pi.unit_ns + resolution_ns,
        )


def from_response(response: TimedResponse) -> Handshake:
    """The handshake that a GET makes; T1 uses the realtime − RAW of T4, in case realtime has moved."""
    t1_ns = response.sent.raw_ns + response.received.realtime_minus_raw_ns
    return parse_response(response.outcome, t1_ns, response.received.realtime_ns)


def parse_response(answer: Answer | Failure, t1_ns: int, t4_ns: int) -> Handshake:
    """The handshake that `answer` makes, by the consumer's rules; T1 and T4 are topside's realtime, ns."""
    if isinstance(answer, Failure):
        return Handshake(t1_ns, t4_ns, None, answer.error, answer.detail)
    if answer.status not in _OK:
        return Handshake(t1_ns, t4_ns, None, "network_error", f"HTTP status {answer.status}")
    try:
        reply = json.loads(answer.body.decode("utf-8-sig", "replace"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return Handshake(t1_ns, t4_ns, None, "network_error", "the answer is not JSON")
    pi = _pi_time(reply)
    if pi is None:
        # To the consumer's language a property of null is an error like a broken connection.
        error: ErrorWord = "network_error" if reply is None else "invalid_pi_time"
        return Handshake(t1_ns, t4_ns, None, error, "no usable pi_iso and pi_unix_ms in the answer")
    if t4_ns - t1_ns > MAX_RTT_NS:
        took = f"the round trip took {(t4_ns - t1_ns) / _MS:.0f} ms, more than {MAX_RTT_NS // _MS}"
        return Handshake(t1_ns, t4_ns, pi, "high_rtt", took)
    return Handshake(t1_ns, t4_ns, pi, None)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _pi_time(reply: Any) -> PiTime | None:
    """The Pi's time: the microseconds of `pi_iso` where it has them and agrees with `pi_unix_ms`."""
    if not isinstance(reply, dict):
        return None
    iso, unix_ms = reply.get("pi_iso"), reply.get("pi_unix_ms")
    if (
        not isinstance(iso, str)
        or not iso
        or isinstance(unix_ms, bool)
        or not isinstance(unix_ms, int | float)
    ):
        return None
    if not 0 <= unix_ms <= (LATEST_NS - _AGREE_NS) // _MS - 1:  # false for NaN too
        return None
    whole = isinstance(unix_ms, int) or unix_ms.is_integer()
    coarse = PiTime(math.floor(unix_ms) * _MS, _MS) if whole else PiTime(math.floor(unix_ms * _US) * _US, _US)
    fine = _from_iso(iso)
    if fine and fine.unit_ns < coarse.unit_ns and abs(fine.realtime_ns - coarse.realtime_ns) <= _AGREE_NS:
        return fine
    return coarse


def _from_iso(iso: str) -> PiTime | None:
    """The instant in `iso`, if it names its zone and has a fraction of a second."""
    fraction = _FRACTION.search(iso)
    try:
        instant = from_iso(iso)
    except ValueError:
        return None
    if instant.tzinfo is None or fraction is None:
        return None
    try:
        return PiTime(ns_from_utc(instant), 10 ** (9 - min(len(fraction[1]), 6)))
    except OverflowError:
        return None
