"""The vehicle's UDP service: one socket and one thread, which answer the datagrams of agreed sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pi_agent.udp.interface import SessionTerms, UdpCounts
    from runtime.clock import Clock
    from runtime.watchdog import Loop


class UdpService:
    """Every method may be called from any thread; nothing is called back.

    `clock` is the agent's: all stamps are its RAW, a simulated one's too.
    """

    loop: Loop
    """The loop that the watchdog watches."""
    port: int
    """The UDP port, once the service was made."""

    def __init__(self, clock: Clock, *, host: str = "", port: int = 0) -> None:
        """Take the port (0: one that is free), of `host` or of all addresses, IPv4 and IPv6.

        Raises ListenError (as the HTTP listener does) where it cannot be had.
        """
        raise NotImplementedError

    def start(self) -> None:
        """Begin to answer; returns at once."""

    def stop(self) -> None:
        """End the thread and release the port, within a second."""

    def open(self, session: SessionTerms) -> None:
        """Answer this session from now on; of one topside the last two sessions are kept.

        The second last is kept so that what is under way when a key is renewed is still answered.
        """

    def close(self, number: int) -> None:
        """Answer this session no more."""

    def counts(self) -> UdpCounts:
        """A snapshot."""
        raise NotImplementedError
