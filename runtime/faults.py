"""Faults of this program that end nothing: counted, and logged with their traceback at a limited rate."""

from __future__ import annotations

import logging
import traceback
from collections import Counter
from pathlib import Path

from runtime.logs import PeerLog

_log = logging.getLogger(__name__)

faults: Counter[str] = Counter()
"""How often this process raised what nobody expected, by `place_of`."""


class FaultLog:
    """Logs the traceback of each place once a minute, with the number left out: a peer may be the cause."""

    def __init__(self) -> None:
        self._limited = PeerLog(_log)

    def note(self, error: Exception, sentence: str, now_ns: int) -> None:
        """Count `error`, and log it with `sentence`; `now_ns` is the RAW clock."""
        place = place_of(error)
        faults[place] += 1
        self._limited.error(place, sentence, now_ns, error)


def place_of(error: BaseException) -> str:
    """The kind of an error and the line that raised it; not what it says, which may be a peer's words."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"
