"""Rows that are `outside` only because of what their stamps resolve: how many, and what answers them."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from tidesync.figures import counted
from tidesync.sessions.correction.timeline import OUTSIDE

if TYPE_CHECKING:
    from tidesync.sessions.correction.stamps.form import StampForm
    from tidesync.sessions.correction.table import Batch
    from tidesync.sessions.correction.timeline import Corrections
    from tidesync.sessions.correction.unexplained import Flags

_MS_NS = 1_000_000


@dataclass(slots=True)
class TooCoarse:
    """Those of a table: they have an instant, whose error is within the limit but for the resolution."""

    rows: int = 0
    limit_ns: int = 0
    """The greatest error of an answered row."""
    max_error_ns: int = 0
    """Theirs."""

    def count(self, batch: Batch, corrections: Corrections, form: StampForm | None, limit_ns: int) -> None:
        """Count those of a batch, the table's timestamps being written in this form."""
        outside: Flags = (corrections.state == OUTSIDE) & corrections.known
        if form is None or not outside.any():
            return
        error_ns, coarser_ns = corrections.max_error_ns, batch.resolution_ns
        without_ns = error_ns - form.resolution_ns
        if coarser_ns is not None:
            without_ns = error_ns - coarser_ns.clip(min=form.resolution_ns)
        found = outside & (without_ns <= limit_ns)
        self.rows += int(found.sum())
        self.limit_ns = limit_ns
        self.max_error_ns = max(self.max_error_ns, int(error_ns[found].max(initial=0)))

    def sentence(self, of_what: str) -> str:
        """How many, why, and the two ways out."""
        rows = f"{counted(self.rows, of_what)} {'is' if self.rows == 1 else 'are'}"
        return (
            f"{rows} outside the limit of {self.limit_ns / _MS_NS:g} ms only for what "
            f"their stamps resolve: --max-error-ms {ceil(self.max_error_ns / _MS_NS)} answers them with the "
            "stated error, --resolution-ms with a smaller one if the clock is known to tick finer"
        )
