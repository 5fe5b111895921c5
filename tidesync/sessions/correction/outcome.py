"""What became of one file's rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tidesync.sessions.correction.timeline import HOLDOVER, STATES, Answers

if TYPE_CHECKING:
    from pathlib import Path

_MOST_SHOWN = 5


@dataclass(slots=True)
class Outcome:
    """Counts of rows by their `time_state`, and of those whose timestamp cannot be read."""

    path: Path
    output: Path
    vehicle: str
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATES, 0))
    malformed: int = 0
    shown: list[tuple[int, str]] = field(default_factory=list)
    """Line and value of the first malformed rows."""
    max_error_ns: int = 0
    """The greatest of all answers given."""

    @property
    def corrected(self) -> int:
        """Rows that have an answer."""
        return self.counts["ok"] + self.counts["holdover"]

    @property
    def rows(self) -> int:
        """All rows."""
        return sum(self.counts.values()) + self.malformed

    def count(self, answers: Answers) -> None:
        """Count rows that have been answered."""
        for state, number in zip(STATES, np.bincount(answers.state, minlength=len(STATES)), strict=True):
            self.counts[state] += int(number)
        given = answers.max_error_ns[answers.state <= HOLDOVER]
        self.max_error_ns = max(self.max_error_ns, int(given.max(initial=0)))

    def refuse(self, line: int, value: str) -> None:
        """Count a row whose timestamp cannot be read."""
        self.malformed += 1
        if len(self.shown) < _MOST_SHOWN:
            self.shown.append((line, value if len(value) <= 80 else value[:77] + "…"))  # noqa: PLR2004

    def document(self) -> dict[str, Any]:
        """The outcome as JSON; `max_error_ms` is null where no row was corrected."""
        return {
            "file": str(self.path),
            "output": str(self.output),
            "vehicle": self.vehicle,
            "rows": self.rows,
            **self.counts,
            "malformed": self.malformed,
            "malformed_rows": [{"line": line, "value": value} for line, value in self.shown],
            "max_error_ms": self.max_error_ns / 1e6 if self.corrected else None,
        }
