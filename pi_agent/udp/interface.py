"""What the vehicle's agent and the UDP service give each other."""

from __future__ import annotations

from typing import NamedTuple


class SessionTerms(NamedTuple):
    """A session that was agreed with a topside over MQTT; its datagrams are answered until it expires."""

    number: int
    """Names the session in each datagram; 1 to 2**32 − 1, chosen at random."""
    key: bytes
    """32 random bytes, known to this topside and this process alone."""
    topside: str
    expires_raw_ns: int
    """The agent's RAW from which on nothing of it is answered."""
    rate: float
    """Exchanges a second that were agreed; up to four times as many are answered."""


class UdpCounts(NamedTuple):
    """What the service has done so far."""

    answered: int
    dropped: dict[str, int]
    """Datagrams that were not answered, by reason (`pi_agent.udp.answerer.Refusal`), and `send`."""
    kernel_receive: bool
    """Whether the last request's arrival was stamped by the kernel."""
    kernel_transmit: bool
    """Whether the last answer's departure was."""
