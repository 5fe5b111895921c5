"""The end of a session: the smoothed track of each vehicle, `offsets.csv`, and the consumer's drift model."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from schemas.instants import utc_from_ns
from schemas.metadata import DriftModel, OffsetRange, TrackEnd
from tidesync.sessions.errors import NothingMeasuredError
from tidesync.sessions.folder import each_measured
from tidesync.sessions.isolation import StreamFaults, reason_of
from tidesync.sessions.processes import concurrent_in, sentence
from tidesync.sessions.recorder.offsets_file import OffsetsFile
from tidesync.sessions.streams import Streams
from topside_agent.estimator import Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tidesync.sessions.folder import SessionFolder
    from tidesync.sessions.journal import Stream
    from topside_agent.estimator import Row, Track

_log = logging.getLogger(__name__)

_MINUTE_NS = 60_000_000_000
_AS_GOOD = 2
"""A line states no error: it begins and ends with rows of at most so many times the usual max error."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A vehicle's smoothed track in short; all of it is in `offsets.csv`."""

    drift_model: DriftModel | None
    start: TrackEnd | None
    end: TrackEnd | None
    segments: int
    offset_range: OffsetRange | None = None


@dataclass(frozen=True, slots=True)
class Closing:
    """What the end of a session adds: a summary by vehicle, and the file of the tracks, if it was written."""

    stopped_ns: int
    summaries: Mapping[str, Summary]
    offsets: str | None
    failed: Mapping[str, str] = field(default_factory=dict)
    """Why a vehicle has no smoothed track, by vehicle."""


def close(
    folder: SessionFolder,
    topsides: Mapping[str, str],
    stopped_ns: int,
    may_write: Callable[[], bool] = lambda: True,
) -> Closing:
    """Smooth the session's tracks and write them; `topsides`: whose track to summarise, by vehicle.

    `may_write`: whether the folder is still the one that was recorded into. If smoothing fails, it is logged,
    and the session ends without tracks: its exchanges are complete.
    """
    try:
        return _close(folder, topsides, stopped_ns, may_write)
    except Exception as error:  # noqa: BLE001 - what was measured is safe in exchanges.jsonl, and the stop must end
        _log.exception("no track could be computed from %s; its exchanges are complete", folder.path)
        return Closing(stopped_ns, {}, None, dict.fromkeys(topsides, reason_of(error)))


def drift_model(rows: Sequence[Row]) -> DriftModel | None:
    """One straight line from the first row to the last, or None across a clock step or with too few rows.

    The consumer's model knows no steps: a line across one would be wrong everywhere.
    """
    columns = Rows.of(rows)
    sound = columns.in_states("ok")
    if not sound or _segments(columns) > 1:
        return None
    errors = sound.max_error_ns
    usual_ns = int(np.sort(errors)[(errors.size - 1) // 2])
    sound = sound.at(errors <= min(_AS_GOOD * usual_ns, 2**64 - 1))
    first, last = sound[0], sound[-1]
    span_ns = last.topside_unix_ns - first.topside_unix_ns
    if span_ns <= 0:
        return None
    change_ms = (last.offset_ns - first.offset_ns) / 1e6
    return DriftModel(
        start_offset_ms=first.offset_ns / 1e6,
        drift_rate_ms_per_min=change_ms * _MINUTE_NS / span_ns,
        end_offset_ms=last.offset_ns / 1e6,
    )


def summary(rows: Sequence[Row]) -> Summary:
    """How a track begins and ends; across a step too, where there is no drift model."""
    columns = Rows.of(rows)
    sound = columns.in_states("ok")
    start, end = (_end(sound[0]), _end(sound[-1])) if sound else (None, None)
    return Summary(drift_model(columns), start, end, _segments(columns), offset_range(columns))


def _segments(rows: Rows) -> int:
    return int(np.unique(rows.column("segment")).size)


def offset_range(rows: Sequence[Row]) -> OffsetRange | None:
    """The offsets of the rows that are valid, with their max errors; None without one."""
    sound = Rows.of(rows).in_states("ok", "holdover")
    if not sound:
        return None
    return OffsetRange(
        lowest_ms=min(row.offset_ns - row.max_error_ns for row in sound) / 1e6,
        highest_ms=max(row.offset_ns + row.max_error_ns for row in sound) / 1e6,
    )


def _close(
    folder: SessionFolder, topsides: Mapping[str, str], stopped_ns: int, may_write: Callable[[], bool]
) -> Closing:
    read = folder.read_streams()
    streams = read.streams if read else Streams()
    mixed = {  # a track of two namesakes would mix their clocks
        stream: sentence(*stream, processes)
        for stream in streams
        if (processes := concurrent_in(streams, stream))
    }
    ended, faults = _Ended(topsides), StreamFaults()
    with OffsetsFile(folder, may_write) as offsets:
        for stream, measured in each_measured(streams.without(mixed), faults):
            offsets.add(stream, measured.track.rows)
            ended.summarise(stream, measured.track)
            del measured
    for stream, reason in (faults | mixed).items():
        ended.fail(stream, reason)
    without = dict.fromkeys(topsides.keys() - ended.summaries.keys(), "no exchange was recorded")
    return Closing(stopped_ns, ended.summaries, offsets.written, without | ended.failed)


class _Ended:
    """The summaries of the vehicles, each by the topside in use, and why one has none."""

    def __init__(self, topsides: Mapping[str, str]) -> None:
        self._topsides = topsides
        self.summaries: dict[str, Summary] = {}
        self.failed: dict[str, str] = {}

    def summarise(self, stream: Stream, track: Track) -> None:
        """Add the summary of a track; a fault is this vehicle's alone."""
        if not self._is_in_use(stream):
            return
        try:
            self.summaries[stream[0]] = _summary(track)
        except Exception as error:  # noqa: BLE001 - the other vehicles have theirs
            self.fail(stream, reason_of(error))

    def fail(self, stream: Stream, reason: str) -> None:
        """Note that a stream has no track."""
        if self._is_in_use(stream):
            self.failed[stream[0]] = reason
            _log.error("no track of %s by %s: %s", *stream, reason)

    def _is_in_use(self, stream: Stream) -> bool:
        return self._topsides.get(*stream) == stream[1]


def _summary(track: Track) -> Summary:
    if not track.rows:
        raise NothingMeasuredError(f"no usable exchange, {track.rejected} refused")
    return summary(track.rows)


def _end(row: Row) -> TrackEnd:
    return TrackEnd(
        at=utc_from_ns(row.topside_unix_ns),
        offset_ms=row.offset_ns / 1e6,
        max_error_ms=row.max_error_ns / 1e6,
        segment=row.segment,
    )
