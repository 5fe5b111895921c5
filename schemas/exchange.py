"""A finished exchange: a line of `exchanges.jsonl`, an entry of an exchange batch, the estimator's input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from schemas.base import LATEST_NS, Message, Nanoseconds, NanosecondsDifference, OtherWord
from schemas.names import Topside, Vehicle

StampKind = Literal["hardware", "kernel", "kernel_inexact", "user", "write", "http"]
"""Where a stamp was taken: by the network hardware, by the kernel, by the kernel with bytes queued behind (an
upper limit), in user space, at the socket write, or read from the HTTP response."""
AnyStampKind = StampKind | OtherWord
"""Where a stamp was taken: by the network hardware, by the kernel, by the kernel with bytes queued behind (an
upper limit), in user space, at the socket write, or read from the HTTP response; any other word is of a later
version. It is a remark: whatever the kind, no receive stamp is early and no transmit stamp late."""


@dataclass(frozen=True, slots=True)
class Method:
    """How an exchange is made. Code asks for these properties, never for the name.

    `name` is what messages and files carry. A `standalone` exchange carries nothing over to the next one: the
    method reports neither boot id nor RAW clock of the Pi, so a step between two exchanges would go unseen.
    `path` is the word of results for its way. `resolution_ns` is the finest resolution of its stamps (each
    exchange states its own), `stamps` are the kinds of stamp it can carry.
    """

    name: str
    standalone: bool = False
    path: Literal["mqtt", "udp", "http"] = "mqtt"
    resolution_ns: int = 1
    stamps: tuple[StampKind, ...] = ("kernel", "kernel_inexact", "user", "write")


MQTT = Method("mqtt_exchange_v1")
UDP = Method("udp_exchange_v1", path="udp", stamps=("hardware", "kernel", "user"))
"""By datagrams, straight between topside and the vehicle."""
HTTP = Method("ntp_handshake_v1", standalone=True, path="http", resolution_ns=1000, stamps=("http",))
METHODS = {method.name: method for method in (MQTT, UDP, HTTP)}


def method_named(name: str) -> Method:
    """The method that a message or file names; a name that is not known gets the properties of `MQTT`."""
    return METHODS.get(name) or Method(name)


Identifier = Annotated[str, Field(min_length=1, max_length=128)]
"""A boot id, instance id or request id."""


MethodName = Annotated[str, Field(min_length=1, max_length=64)]

MAX_ROUND_TRIP_NS = 3600 * 10**9
"""No program waits longer for an answer. A shorter round trip is a true constraint, however weak."""


UNSTATED = b',"origin_stamp":null,"destination_stamp":null}'
"""The end of an exchange's text that is left out: few topsides have such hardware."""


class Exchange(Message):
    """Four timestamps in realtime (RFC 5905 §8: T1 to T4), and the differences that give the RAW clocks.

    `stamp − realtime_minus_raw` of the same side is that side's CLOCK_MONOTONIC_RAW reading, exactly. Where a
    difference is null (another tool's log) only realtime is known. `boot_id` is the Pi's.
    """

    vehicle: Vehicle
    topside: Topside
    method: MethodName = MQTT.name
    seq: Annotated[int, Field(ge=0, le=2**53)]
    """Topside's process counts the exchanges it has finished, from 0, without gaps.

    Of all methods together, in the order in which they finish, which need not be that of their origins.
    """
    boot_id: Identifier | None
    """The Pi's."""
    origin_ns: Nanoseconds
    """Topside's realtime when it sent the ping, ns since the Unix epoch."""
    receive_ns: Nanoseconds
    """The Pi's realtime at the ping's arrival, never earlier than that, ns since the Unix epoch."""
    transmit_ns: Nanoseconds
    """The Pi's realtime at the pong's departure, never later than that, ns since the Unix epoch."""
    destination_ns: Nanoseconds
    """Topside's realtime at the pong's arrival, ns since the Unix epoch."""
    pi_realtime_minus_raw_ns: NanosecondsDifference | None
    """The Pi's two timestamps less its CLOCK_MONOTONIC_RAW, ns; null: only realtime is known."""
    topside_realtime_minus_raw_ns: NanosecondsDifference | None
    """Topside's two timestamps less its CLOCK_MONOTONIC_RAW, ns."""
    topside_boot_id: Identifier | None = None
    instance_id: Identifier | None = None
    """Of topside's process, which counts `seq`; two at a time are two topsides. Null: not known."""
    receive_stamp: AnyStampKind | None = None
    transmit_stamp: AnyStampKind | None = None
    resolution_ns: Annotated[int, Field(ge=0, le=10**9)] = 1
    """Widens both bounds, ns: the coarser clock's step plus the time between reading realtime and raw."""
    even_ns: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    """For so long, ns, until its last stamp on either side, that side's realtime ran at one rate against RAW,
    by its kernel's report: it was not set, and not slewed otherwise meanwhile. 0: not known."""
    even_within_ns: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    """Widens both bounds of the offset between two such realtimes, ns, in place of `resolution_ns`, which
    also covers how well realtime − RAW is known."""
    origin_stamp: AnyStampKind | None = None
    """Of topside's two stamps, where its network hardware took one of them; else absent or null."""
    destination_stamp: AnyStampKind | None = None

    def encode(self) -> bytes:
        """As of any message, without topside's kinds of stamp where there are none."""
        text = super().encode()
        return text[: -len(UNSTATED)] + b"}" if text.endswith(UNSTATED) else text

    @property
    def delay_ns(self) -> int:
        """Round trip less the Pi's own time (RFC 5905 §8), in ns."""
        return (self.destination_ns - self.origin_ns) - (self.transmit_ns - self.receive_ns)


def fault_of(exchange: Exchange) -> str | None:
    """Why no exchange can have these timestamps, whatever the network and the clocks did; None if one can.

    That a clock ran backwards is decided by the estimator: without RAW it may have been set.
    """
    return _fault(
        "topside", exchange.origin_ns, exchange.destination_ns, exchange.topside_realtime_minus_raw_ns
    ) or _fault("the Pi", exchange.receive_ns, exchange.transmit_ns, exchange.pi_realtime_minus_raw_ns)


def _fault(side: str, first_ns: int, second_ns: int, difference_ns: int | None) -> str | None:
    if second_ns - first_ns > MAX_ROUND_TRIP_NS:
        return (
            f"expected at most {MAX_ROUND_TRIP_NS} ns between the timestamps of {side}"
            f", received {first_ns} and {second_ns}"
        )
    if difference_ns is None:
        return None
    least, most = first_ns - difference_ns, second_ns - difference_ns
    if most < least:
        least, most = most, least
    if least < 0 or most > LATEST_NS:
        return f"expected RAW of {side} from 0 to {LATEST_NS} ns, received {least} and {most}"
    return None
