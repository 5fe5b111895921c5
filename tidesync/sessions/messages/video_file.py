"""Videos of Cockpit: a sidecar in JSON that says when the recording began on topside's clock, and its rate.

The video is not read and not changed. Its begin, by the clock of the computer on which Cockpit ran, is in its
name, and more closely in the subtitles beside it; those say too how long it is. The seconds after it, by that
clock, are answered as a table's rows, and put together as straight pieces by video_pieces.py.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.instants import iso_from_ns
from tidesync.sessions.correction.own_clock import TOPSIDE_CLOCK
from tidesync.sessions.correction.table import Batch
from tidesync.sessions.errors import NoTimestampError, SessionError
from tidesync.sessions.messages.ass_file import AssFile, exact_form
from tidesync.sessions.messages.cockpit_start import EXPECTED, S, begin_of_name
from tidesync.sessions.messages.format import Block, Outcome
from tidesync.sessions.messages.media_sidecar import (
    begin_of,
    foreign_media_sidecar,
    media_output,
    rate_and_pieces,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tidesync.sessions.correction.table import Job, Measured
    from tidesync.sessions.correction.timeline import Corrections, Timeline
    from tidesync.sessions.messages.format import Answer, Target, Write

_LONGEST_S = 86_400
_OF = (
    "begin: when Cockpit began to record; the first frame follows, and shows what the camera saw earlier by "
    "the delay of the stream: neither is in any file, nor in the errors"
)
_SET = (
    "; it is topside's own clock: if that was set meanwhile, what is shown after that is off from what its "
    "position says by as much"
)


@contextmanager
def open_video(job: Job, measured: Measured) -> Iterator[VideoFile]:
    """Open a video of Cockpit; see `format.OpenMessages`."""
    yield VideoFile(job, measured)


class VideoFile:
    """A video; see `format.Messages`. Its messages are the seconds after its begin."""

    names = ("second",)
    step_ns = 1_000

    def __init__(self, job: Job, measured: Measured) -> None:
        self._path, self.outcome = job.path, Outcome()
        self._recording = "video", job.path.name
        self._of = _OF + (_SET if job.vehicle == TOPSIDE_CLOCK else "")
        subtitles = job.path.with_suffix(".ass")
        begin, until_ns = begin_of_name(job.path.name), None
        self._until: str | None = None
        self._notes = list[str]()
        if subtitles.is_file():
            try:
                shown = AssFile(replace(job, path=subtitles), measured)
                begin, until_ns, self._until = shown.begin, shown.points[-1].end_ns, "subtitles"
            except (SessionError, OSError) as error:
                self._notes.append(f"its subtitles are not used: {error}")
        if begin is None:
            raise NoTimestampError(job.path, f"its name does not say when it began: expected {EXPECTED}")
        self.begin = begin
        if until_ns is None:
            last_ns = max((last for _, last in measured), default=0)
            until_ns, self._until = max(last_ns - begin.middle_ns, 0), "session"
        seconds = min(max(until_ns // S, 0), _LONGEST_S)
        self._until = self._until if seconds else None
        self._at_ns = begin.middle_ns + np.arange(seconds + 1, dtype=np.int64) * S
        self.forms = (exact_form(job, measured, begin),)

    def scan(self) -> Iterator[Sequence[Batch]]:
        """All seconds."""
        for block in self.read():
            yield block.columns

    def read(self) -> Iterator[Block]:
        """The same."""
        self.outcome.notes[:] = self._notes
        every = np.ones(self._at_ns.shape, dtype=bool)
        yield Block(self._at_ns, (Batch(None, self._at_ns, every, (), self._path.stat().st_size),))

    def timeline(self, vehicles: Timeline, answer: Answer) -> Timeline:  # noqa: ARG002 - it needs no other file
        """That of the computer's clock."""
        return vehicles

    def foreign(self, target: Target) -> Iterator[Path]:
        """A sidecar that is not of a correction, or that of another video."""
        return foreign_media_sidecar(target, self._recording)

    def output(self, target: Target) -> AbstractContextManager[Write]:
        """The sidecar."""
        return media_output(target, self._recording, self._of, self._document)

    def _document(self, block: Block, found: Corrections) -> dict[str, Any]:
        at_ns, resolution_ns = block.records, self.forms[0].resolution_ns
        rate, pieces = rate_and_pieces(at_ns, found, resolution_ns)
        return {
            "begin": {
                "recorded": iso_from_ns(int(at_ns[0])),
                "recorded_max_error_ms": resolution_ns / 1e6,
                "by": self.begin.by,
                **begin_of(found),
            },
            "rate": rate,
            "until": self._until,
            "pieces": pieces,
        }
