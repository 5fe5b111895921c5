"""A finished exchange: a line of `exchanges.jsonl`, an entry of an exchange batch, the estimator's input."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Message, Nanoseconds, NanosecondsDifference
from schemas.names import Topside, Vehicle

StampKind = Literal["kernel", "kernel_inexact", "user", "write", "http"]
"""Where a stamp was taken: by the kernel on arrival, the same with bytes queued behind (an upper limit),
in user space, at the socket write, or read from the HTTP endpoint's answer."""

MQTT_METHOD = "mqtt_exchange_v1"
HTTP_METHOD = "ntp_handshake_v1"

Identifier = Annotated[str, Field(min_length=1, max_length=128)]
"""A boot id, instance id or request id."""


class Exchange(Message):
    """Four stamps in realtime (RFC 5905 §8: T1 to T4) and what recovers the RAW clocks from them.

    `stamp − realtime_minus_raw` of the same side is that side's CLOCK_MONOTONIC_RAW reading, exactly. Where a
    difference is null (another tool's log) only realtime is known. `boot_id` is the Pi's.
    """

    vehicle: Vehicle
    topside: Topside
    method: Annotated[str, Field(min_length=1, max_length=64)] = MQTT_METHOD
    seq: Annotated[int, Field(ge=0, le=2**53)]
    boot_id: Identifier | None
    origin_ns: Nanoseconds
    receive_ns: Nanoseconds
    transmit_ns: Nanoseconds
    destination_ns: Nanoseconds
    pi_realtime_minus_raw_ns: NanosecondsDifference | None
    topside_realtime_minus_raw_ns: NanosecondsDifference | None
    receive_stamp: StampKind | None = None
    transmit_stamp: StampKind | None = None
    resolution_ns: Annotated[int, Field(ge=0, le=10**9)] = 1
    """Widens both bounds: the coarser clock's step plus how far apart realtime and raw were read."""

    @property
    def delay_ns(self) -> int:
        """Round trip less the Pi's own time (RFC 5905 §8), in ns."""
        return (self.destination_ns - self.origin_ns) - (self.transmit_ns - self.receive_ns)
