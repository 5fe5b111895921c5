"""One stream's internal fault never takes the others with it: it is logged, named, and the rest goes on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Generic, TypeVar

from runtime.errors import TidesyncError
from runtime.faults import place_of
from tidesync.sessions.errors import NothingMeasuredError, SessionError
from tidesync.sessions.journal import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from topside_agent.estimator import Exchanges

_log = logging.getLogger(__name__)

Made = TypeVar("Made")


class StreamFaults(dict[Stream, str]):
    """Why nothing could be made of a stream, in words."""

    def complaints(self) -> list[str]:
        """A sentence for each."""
        return [
            f"{vehicle}, measured by {topside}: no track, {reason}"
            for (vehicle, topside), reason in self.items()
        ]


class Tracks(dict[Stream, Made], Generic[Made]):
    """What was made of each stream; `failed` has those of which nothing could be made."""

    def __init__(self) -> None:
        super().__init__()
        self.failed = StreamFaults()

    def made(self, stream: Stream) -> Made:
        """What was made of this stream; NothingMeasuredError with the reason where that failed."""
        if stream in self.failed:
            raise NothingMeasuredError(self.failed[stream])
        return self[stream]

    def complaints(self) -> list[str]:
        """A sentence for each stream without a track."""
        return self.failed.complaints()


def each_made(
    streams: Mapping[Stream, Exchanges], work: Callable[[Stream, Exchanges], Made], failed: StreamFaults
) -> Iterator[tuple[Stream, Made]]:
    """Do `work` for one stream after the other; an exception is that stream's alone, and goes into `failed`.

    What was made is not kept: whoever forgets each before the next one needs memory for the largest only.
    """
    for stream in streams:
        try:
            made = work(stream, streams[stream])
        except Exception as error:  # noqa: BLE001 - whatever it is, the other streams are answered
            failed[stream] = reason_of(error)
            _log.debug("%s, measured by %s: no track", *stream, exc_info=True)
        else:
            yield stream, made
            del made


def tracks_of(streams: Mapping[Stream, Exchanges], work: Callable[[Stream, Exchanges], Made]) -> Tracks[Made]:
    """As `each_made`, all of them kept."""
    tracks: Tracks[Made] = Tracks()
    tracks.update(each_made(streams, work, tracks.failed))
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
