"""The agreement over MQTT on the direct path: what topside asks of a vehicle, and what that answers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Message, OtherWord
from schemas.exchange import Identifier

UDP_VERSION = 1
"""Of the datagrams (`docs/udp.md`): what a vehicle's `info` has as `udp`."""
MOST_ADDRESSES = 16
"""Addresses in one answer, at most."""
KEY_BYTES = 32

UdpError = Literal["version", "rate", "full", "failed"]
"""Why there is no session: datagrams of that version are not known here, more exchanges a second are asked
for than are answered, too many topsides have a session, the socket failed."""

IpAddress = Annotated[str, Field(pattern=r"^[0-9A-Fa-f.:]{2,45}(%[A-Za-z0-9_.-]{1,20})?$")]
"""An IPv4 or IPv6 address, as text."""


class UdpRequest(Message):
    """Topside asks a vehicle for a session of exchanges by datagrams."""

    v: Literal[1] = 1
    request_id: Identifier
    version: Annotated[int, Field(ge=1, le=255)] = UDP_VERSION
    """Of the datagrams."""
    rate: Annotated[float, Field(gt=0, le=1000)]
    """Exchanges a second."""
    train: Annotated[int, Field(ge=1, le=16)]
    """So many of them follow each other at once."""


class UdpAnswer(Message):
    """The vehicle's answer: a session with its key, or why there is none. Only that topside may read it."""

    v: Literal[1] = 1
    request_id: Identifier
    """Of the request."""
    boot_id: Identifier
    """The Pi's."""
    instance_id: Identifier
    """Of the agent's process: the session ends with it."""
    session: Annotated[int, Field(ge=1, le=2**32 - 1)] | None = None
    """What the datagrams name; null: there is none."""
    addresses: Annotated[tuple[IpAddress, ...], Field(max_length=MOST_ADDRESSES)] = ()
    """Where the vehicle may be reached, the one that it reaches the broker from first."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """The UDP port."""
    key: Annotated[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None, Field(repr=False)] = None
    """Of the session: 32 random bytes, as hexadecimal digits. Whoever has it can forge exchanges."""
    expires_s: Annotated[float, Field(gt=0, le=86_400)] | None = None
    """The session ends so many seconds after this answer."""
    error: UdpError | OtherWord | None = None
    """Why there is none."""
