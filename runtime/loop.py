"""A loop that must come round for its process to be alive, as the process's watchdog sees it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE_S = 10.0


class Loop:
    """Counts its own turns, without a clock; `patience_s` is how long one may take until it is stuck."""

    def __init__(self, name: str, patience_s: float = PATIENCE_S) -> None:
        self.name = name
        self.turns = 0
        self.patience_s = patience_s

    @contextmanager
    def patience(self, patience_s: float) -> Iterator[None]:
        """Allow this long for what is known to take longer."""
        usual_s, self.patience_s = self.patience_s, max(self.patience_s, patience_s)
        try:
            yield
        finally:
            self.turns += 1  # before patience ends, so that the long turn is not held against the short limit
            self.patience_s = usual_s
