"""Topside's UDP transport: a socket for each address family and one thread, for all vehicles."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.clock import Clock
    from runtime.watchdog import Loop
    from topside_agent.udp.interface import PathCounts, PathTerms, Report


class UdpTransport:
    """Every method may be called from any thread and returns at once; `report` is called in the transport's."""

    loop: Loop
    """The loop that the watchdog watches."""

    def __init__(self, clock: Clock, report: Report) -> None:
        raise NotImplementedError

    def start(self) -> None:
        """Begin; returns at once."""

    def stop(self) -> None:
        """End the thread, within a second; what is unfinished is reported first."""

    def measure(self, vehicle: str, terms: PathTerms) -> None:
        """Measure `vehicle` from now on; with new terms while it is measured already, go on with those.

        The address in use is kept if the new terms have it. What is under way of the old session is finished.
        """

    def forget(self, vehicle: str) -> None:
        """Measure it no more; reports what is unfinished, and `PathState(…, alive=False, "stopped")`."""

    def burst(self, vehicle: str, count: int) -> None:
        """Make that many exchanges as soon as possible, if the path is alive."""

    def counts(self) -> dict[str, PathCounts]:
        """A snapshot, by vehicle."""
        raise NotImplementedError
