"""What every kind of table file shares: the columns that are added, how one is read, and whom to tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tidesync.sessions.correction.order import RowOrder

if TYPE_CHECKING:
    from pathlib import Path

    from tidesync.sessions.correction.timeline import Answers, Timeline

COLUMNS = ("timestamp_topside", "time_max_error_ms", "time_state")

Progress = Callable[[int], None]
"""Called with how many more bytes of the input have been read."""


@dataclass(frozen=True, slots=True)
class Job:
    """A file to correct: by which vehicle's clock it was stamped, and which column, in what unit."""

    path: Path
    vehicle: str
    column: str = "timestamp"
    unit: str | None = None
    """One of stamps.UNITS, None where it is to be recognised."""


class Corrector:
    """Answers a file's rows, batch by batch in their order, malformed ones left out.

    Where the vehicle's clock was cut, the whole file has to be seen in `note` before the first `answer`.
    """

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._order = RowOrder(timeline)
        self._answered = 0

    @property
    def passes(self) -> int:
        """How often the file has to be read."""
        return 2 if self._timeline.cuts else 1

    def note(self, stamps: list[int | None]) -> None:
        """Take rows' Pi timestamps on the first reading."""
        self._order.note(_array(stamps))

    def answer(self, stamps: list[int | None]) -> Answers:
        """The next rows' answers, without the malformed ones."""
        pi_ns = _array(stamps)
        allowed = self._order.allowed(self._answered, pi_ns.size)
        self._answered += pi_ns.size
        return self._timeline.answer(pi_ns, *allowed)


def _array(stamps: list[int | None]) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.array([stamp for stamp in stamps if stamp is not None], dtype=np.int64)
