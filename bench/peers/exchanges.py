"""One exchange's four stamps (RFC 5905: T1 to T4), and the file in which an asking process leaves them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from schemas.compat import Self

if TYPE_CHECKING:
    from pathlib import Path


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


class Log:
    """Keeps exchanges in memory; their file appears with the first one and is filled at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._done: list[Stamps] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._path.write_text("".join(" ".join(map(str, stamps)) + "\n" for stamps in self._done))

    def add(self, stamps: Stamps) -> None:
        if not self._done:
            self._path.touch()
        self._done.append(stamps)


def read(path: Path) -> list[Stamps]:
    """What was left there; nothing when the process left nothing."""
    if not path.exists():
        return []
    return [Stamps(*map(int, line.split())) for line in path.read_text().splitlines()]
