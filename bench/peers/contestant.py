"""What a contestant is: two sides on an setup, and the estimates that its rows of the table are made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.peers.estimates import Estimate, Window
    from bench.peers.exchanges import Stamps
    from bench.peers.processes import Program
    from bench.peers.setup import Setup


class Outcome(NamedTuple):
    """After the run: estimates by row, the exchanges one by one (where they can be had), and their number."""

    rows: dict[str, list[Estimate]]
    singles: Sequence[Stamps]
    exchanges: float
    """Finished within the windows; for LSL, which does not tell, what its settings make."""
    note: str = ""


class Contestant(ABC):
    """Called in this order: serve, begin, ready, window_ended (each), outcome."""

    def __init__(self) -> None:
        self.asking: list[Program] = []
        self.answering: list[Program] = []

    def missing(self) -> str | None:
        """Why it cannot take part here."""
        return None

    @abstractmethod
    def serve(self, setup: Setup) -> None:
        """Start what listens, and ask the setup for links to it."""

    @abstractmethod
    def begin(self, setup: Setup) -> None:
        """The links are open: start what connects."""

    def ready(self, setup: Setup) -> None:  # noqa: B027 - most need not wait
        """Return once exchanges may be expected."""

    def window_ended(self, at_ns: int) -> None:  # noqa: B027 - most leave their results in a file
        """Called at the beginning of the first window and at the end of each, realtime in ns."""

    @abstractmethod
    def outcome(self, windows: Sequence[Window]) -> Outcome:
        """Called when every program has been stopped."""
