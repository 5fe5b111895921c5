"""One exchange's four stamps (RFC 5905: T1 to T4), and the file in which an asking process leaves them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Stamps(NamedTuple):
    """Realtime in ns, the answering side's in the middle."""

    origin: int
    receive: int
    transmit: int
    destination: int

    @property
    def offset_ns(self) -> float:
        return ((self.receive - self.origin) + (self.transmit - self.destination)) / 2

    @property
    def delay_ns(self) -> int:
        return (self.destination - self.origin) - (self.transmit - self.receive)


def write(path: Path, exchanges: Iterable[Stamps]) -> None:
    path.write_text("".join(" ".join(map(str, stamps)) + "\n" for stamps in exchanges))


def read(path: Path) -> list[Stamps]:
    """What was left there; nothing when the process left nothing."""
    if not path.exists():
        return []
    return [Stamps(*map(int, line.split())) for line in path.read_text().splitlines()]
