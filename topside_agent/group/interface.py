"""What a topside's part in its group needs of the process around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.exchange import Exchange
    from topside_agent.group.decisions import OwnResult
    from topside_agent.group.later_start import NameTakenError


class Prover(Protocol):
    """What proves that another process reads the same RAW clock."""

    def same(self, topside: str, instance_id: str) -> bool:
        """Whether process `instance_id` of `topside` does."""

    def accept(self) -> None:
        """Answer others that ask."""

    def close(self) -> None:
        """Answer no longer."""


class Measuring(Protocol):
    """What the agent does for its part in a group."""

    def take(self, vehicle: str, known: Sequence[Exchange]) -> None:
        """Measure `vehicle`; `known` are exchanges by the same clock."""

    def release(self, vehicle: str) -> None:
        """Measure `vehicle` no longer: another topside does; clear its result."""

    def own_result(self, vehicle: str) -> OwnResult:
        """The last result of `vehicle`."""

    def end(self, error: NameTakenError) -> None:
        """Stop the process for this reason."""
