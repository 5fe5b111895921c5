"""What topside's agent and the UDP transport give each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from schemas.exchange import StampKind


class Address(NamedTuple):
    """Where a vehicle may be reached: a numeric IPv4 or IPv6 address, link-local ones with `%scope`."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class PathTerms(NamedTuple):
    """A session that was agreed with a vehicle over MQTT, and where it may be reached."""

    session: int
    key: bytes
    addresses: tuple[Address, ...]
    """Tried all at once; the one that answers fastest is kept."""
    rate: float
    """Exchanges a second."""
    train: int
    """Exchanges in a row, each as soon as the one before was answered."""
    timeout_s: float
    """A later answer is not waited for. The next request does not wait as long."""


class DirectExchange(NamedTuple):
    """A finished exchange; `exchange_of` in `exchange.py` makes `schemas.exchange.Exchange` of it.

    Stamps are RAW of their side, ns; on realtime they are that plus the side's difference.
    """

    vehicle: str
    session: int
    origin_raw_ns: int
    receive_raw_ns: int
    transmit_raw_ns: int
    destination_raw_ns: int
    pi_realtime_minus_raw_ns: int
    topside_realtime_minus_raw_ns: int
    resolution_ns: int
    """What both sides' stamps and differences may be wrong by, together."""
    receive_stamp: StampKind
    transmit_stamp: StampKind
    topside_set: bool
    """Whether topside's realtime was set while the exchange ran."""
    generation: int
    """`UdpTransport.generation` when the request was sent: drop it if that has changed since."""
    origin_stamp: StampKind | None = None
    destination_stamp: StampKind | None = None
    even_ns: int = 0
    even_within_ns: int = 0
    """Both as in `schemas.exchange.Exchange`."""


class PathState(NamedTuple):
    """The direct path to a vehicle came up, was lost, or changed its address."""

    vehicle: str
    session: int
    alive: bool
    address: Address | None
    """The one in use; null while there is none."""
    reason: Literal["answers", "silent", "unreachable", "stopped"]
    """`silent`: no answer from any address for 1.5 s; `unreachable`: no datagram could be sent."""


Report = Callable[[list[DirectExchange | PathState]], None]
"""Called in the transport's thread, in the order of what happened; hand it over with `connection.post`.

Exchanges of one vehicle come in the order of their arrival. A lost path is tried again once a second, later
every one and a half; `PathState` then says that it is alive.
"""


class PathCounts(NamedTuple):
    """What was exchanged with a vehicle over the direct path; a snapshot."""

    exchanges: int
    timeouts: int
    refused: dict[str, int]
    """Datagrams that made no exchange, by reason (`topside_agent.udp.requester.Refusal`)."""
    alive: bool
    address: Address | None
