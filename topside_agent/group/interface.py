"""What a topside's part in its group needs of the process around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.exchange import Exchange
    from topside_agent.group.decisions import OwnResult
    from topside_agent.group.later_start import NameTakenError
    from topside_agent.group.local_socket import LocalMessage


class Prover(Protocol):
    """What proves that another process reads the same RAW clock."""

    def same(self, topside: str, instance_id: str) -> bool:
        """Whether process `instance_id` of `topside` does."""

    def accept(self) -> None:
        """Answer others that ask."""

    def close(self) -> None:
        """Answer no longer."""


class LocalChannel(Protocol):
    """What carries messages between topsides of one machine; any may be lost, none waits."""

    def send(self, topside: str, instance_id: str, payload: bytes) -> bool:
        """Send `payload` to that process; false if it was not taken."""

    def receive(self) -> LocalMessage | None:
        """The next message that came, if there is one."""

    def close(self) -> None:
        """Receive no more."""


class Measuring(Protocol):
    """What the agent does for its part in a group."""

    def take(self, vehicle: str, known: Sequence[Exchange]) -> None:
        """Measure `vehicle`; `known` are exchanges by the same clock."""

    def release(self, vehicle: str) -> None:
        """Measure `vehicle` no longer: another topside does; clear its result."""

    def own_result(self, vehicle: str) -> OwnResult:
        """The last result of `vehicle`."""

    def known(self, vehicle: str) -> Sequence[bytes]:
        """Encoded batches of the exchanges that the result of `vehicle` rests on, oldest first."""

    def end(self, error: NameTakenError) -> None:
        """Stop the process for this reason."""
