"""One stream's internal fault never takes the others with it: it is logged, named, and the rest goes on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Generic, TypeVar

from runtime.errors import TidesyncError
from runtime.faults import place_of
from tidesync.sessions.errors import NothingMeasuredError, SessionError
from tidesync.sessions.journal import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from topside_agent.estimator import Exchanges

_log = logging.getLogger(__name__)

Made = TypeVar("Made")


class Tracks(dict[Stream, Made], Generic[Made]):
    """What was made of each stream; `failed` has those of which nothing could be made, with the reason."""

    def __init__(self) -> None:
        super().__init__()
        self.failed: dict[Stream, str] = {}

    def made(self, stream: Stream) -> Made:
        """What was made of this stream; NothingMeasuredError with the reason where that failed."""
        if stream in self.failed:
            raise NothingMeasuredError(self.failed[stream])
        return self[stream]

    def complaints(self) -> list[str]:
        """A sentence for each stream without a track."""
        return [
            f"{vehicle}, measured by {topside}: no track, {reason}"
            for (vehicle, topside), reason in self.failed.items()
        ]


def tracks_of(streams: Mapping[Stream, Exchanges], work: Callable[[Stream, Exchanges], Made]) -> Tracks[Made]:
    """Do `work` for every stream; an exception is that stream's alone."""
    tracks: Tracks[Made] = Tracks()
    for stream, exchanges in streams.items():
        try:
            tracks[stream] = work(stream, exchanges)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other streams are answered
            tracks.failed[stream] = reason_of(error)
            _log.debug("%s, measured by %s: no track", *stream, exc_info=True)
    return tracks


def complaint_of(whose: str, error: Exception) -> str:
    """A sentence on an error; those of sessions name the file or vehicle themselves."""
    if isinstance(error, TidesyncError):
        raise error  # wrong usage is not one table's
    reason = reason_of(error)
    return reason if isinstance(error, SessionError) else f"{whose}: {reason}"


def reason_of(error: Exception) -> str:
    """What to tell of an error: its own sentence, or of an internal fault what it is and where."""
    if isinstance(error, SessionError | OSError):
        return str(error)
    return f"internal fault: {place_of(error)}: {error}"
