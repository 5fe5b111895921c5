"""The times of a table's rows, as records in a temporary file without a name."""

from __future__ import annotations

from itertools import pairwise
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from topside_agent.estimator.blocks import Integers

RECORD = np.dtype(
    [
        ("topside_ns", "<i8"),
        ("max_error_ns", "<i8"),
        ("u95_ns", "<i8"),
        ("recorded_ns", "<i8"),
        ("state", "<i1"),
        ("readable", "?"),
    ]
)
"""As `Corrections` and `Batch` have them; `recorded_ns` is the row's own time, valid where `readable`."""


class Records:
    """Records by their number, from 0; memory: a block of them."""

    def __init__(self, folder: Path) -> None:
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115 - it lives as long as this
        self.size = 0
        self._read: tuple[int, int] | None = None
        self._block = np.zeros(0, dtype=RECORD)

    def append(self, records: NDArray[Any]) -> None:
        """Add records at the end."""
        self._write(self.size, records)

    def put(self, places: Integers, records: NDArray[Any]) -> None:
        """Write each record at its place."""
        order = np.argsort(places, kind="stable")
        ordered, placed = records[order], places[order]
        begins = [0, *(np.flatnonzero(np.diff(placed) != 1) + 1).tolist(), placed.size]
        for begin, end in pairwise(begins):
            if end > begin:
                self._write(int(placed[begin]), ordered[begin:end])

    def read(self, begin: int, end: int) -> NDArray[Any]:
        """The records from `begin` to before `end`."""
        if self._read != (begin, end):
            self._file.seek(begin * RECORD.itemsize)
            content = self._file.read((end - begin) * RECORD.itemsize)
            self._block, self._read = np.frombuffer(content, dtype=RECORD), (begin, end)
        return self._block

    def _write(self, place: int, records: NDArray[Any]) -> None:
        self._file.seek(place * RECORD.itemsize)
        self._file.write(records.tobytes())
        self.size = max(self.size, place + records.size)
        self._read = None
