"""Sound recordings (.wav): a sidecar in JSON that says when the first sample was taken on topside's clock.

The file is not changed, and its samples are not read. Only its start is of the clock that is stated, to a
second: samples are counted by the recorder's own clock, which no other sets. So where the vehicle's clock is
set within the file nothing changes; the error grows by what the sample clock may run off.

Assumption: what states the start states that of the first sample, and no sample is missing in the file.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from tidesync.sessions.correction.table import Batch
from tidesync.sessions.errors import NoTimestampError
from tidesync.sessions.messages.format import Block, Outcome
from tidesync.sessions.messages.media_sidecar import (
    begin_of,
    foreign_media_sidecar,
    media_output,
    rate_and_pieces,
)
from tidesync.sessions.messages.started import Start, StartedFile, passed_form
from tidesync.sessions.messages.wav_header import WavHeader, wav_header
from tidesync.sessions.messages.wav_start import chosen, starts_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tidesync.sessions.correction.table import Job, Measured
    from tidesync.sessions.correction.timeline import Corrections, Timeline
    from tidesync.sessions.messages.format import Answer, Target, Write

_S = 1_000_000_000
_DEFAULT = "timestamp"
_MOST_POINTS = 100_000
_OF = "begin: the first sample, if it was taken when the recording is said to begin"


@contextmanager
def open_wav(job: Job, measured: Measured) -> Iterator[WavFile]:
    """Open a sound recording; see `format.OpenMessages`."""
    with job.path.open("rb") as stream:
        header = wav_header(job.path, stream)
    yield WavFile(job, measured, header)


class WavFile:
    """A sound recording; see `format.Messages`. Its messages are the seconds since its first sample."""

    names = ("second",)
    step_ns = 1_000

    def __init__(self, job: Job, measured: Measured, header: WavHeader) -> None:
        self._path, self._header, self.outcome = job.path, header, Outcome()
        self._recording = "audio", job.path.name
        by, start = _start(job, header)
        self._by, self._started = by, StartedFile(job, measured, start)
        self.forms = (passed_form(self._started.form),)
        step_ns = max(header.length_ns // _MOST_POINTS // _S, 1) * _S
        whole = np.arange(0, header.length_ns + 1, step_ns, dtype=np.int64)
        self._at_ns = np.unique(np.append(whole, header.length_ns))

    def scan(self) -> Iterator[Sequence[Batch]]:
        """All seconds."""
        for block in self.read():
            yield block.columns

    def read(self) -> Iterator[Block]:
        """The same."""
        self.outcome.losses[:] = self._header.losses
        every = np.ones(self._at_ns.shape, dtype=bool)
        yield Block(self._at_ns, (Batch(None, self._at_ns, every, (), self._path.stat().st_size),))

    def timeline(self, vehicles: Timeline, answer: Answer) -> Timeline:  # noqa: ARG002 - it needs no other file
        """That of what passed since the start."""
        own = self._started.timeline(vehicles)
        note = f"it began at {self._started.start.text} by its {self._by}; {self._started.assumed}"
        self.outcome.notes[:] = [note, *self._started.faults]
        return own

    def foreign(self, target: Target) -> Iterator[Path]:
        """A sidecar that is not of a correction, or that of another recording."""
        return foreign_media_sidecar(target, self._recording)

    def output(self, target: Target) -> AbstractContextManager[Write]:
        """The sidecar."""
        return media_output(target, self._recording, _OF, self._document)

    def _document(self, block: Block, found: Corrections) -> dict[str, Any]:
        common_ns = int(found.max_error_ns[0]) if found.known[0] else 0
        rate, pieces = rate_and_pieces(block.records, found, common_ns)
        return {
            "begin": {
                "recorded": self._started.start.text,
                "recorded_max_error_ms": self._started.form.resolution_ns / 1e6,
                "by": self._by,
                **begin_of(found),
            },
            "rate": rate,
            "sample_rate_hz": self._header.rate_hz,
            "sample_clock_max_error_ppm": self._started.sample_clock_ppm,
            "samples": self._header.frames,
            "until": "samples",
            "pieces": pieces,
        }


def _start(job: Job, header: WavHeader) -> tuple[str, Start]:
    """What says when it began, and when; NoTimestampError where nothing does, or it is not clear."""
    stem = job.path.name.rpartition(".")[0]
    if job.stamps.time_format is not None and not job.stamps.scales and not job.stamps.dates:
        match = job.stamps.pattern().search(stem)
        if match is None:
            reason = f"no part of its name is as --time-format {job.stamps.time_format!r} has it"
            raise NoTimestampError(job.path, reason)
        return "name", Start(match[0], time_format=job.stamps.time_format)
    found = chosen(starts_of(stem, header), None if job.column == _DEFAULT else job.column)
    if isinstance(found, str):
        raise NoTimestampError(job.path, found)
    return found.source, found.start
