"""Videos of Cockpit: a sidecar in JSON that says when the recording began on topside's clock, and its rate.

The video is not read and not changed. Its begin, by the clock of the computer on which Cockpit ran, is in its
name, and more closely in the subtitles beside it; those say too how long it is. The seconds after it, by that
clock, are answered as a table's rows, and put together as straight pieces by video_pieces.py.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from runtime.files import replacing
from schemas.instants import iso_from_ns
from tidesync.sessions.correction.table import Batch
from tidesync.sessions.correction.timeline import NO_U95, STATES
from tidesync.sessions.errors import NoTimestampError, SessionError
from tidesync.sessions.messages.ass_file import AssFile, exact_form
from tidesync.sessions.messages.cockpit_start import EXPECTED, S, begin_of_name
from tidesync.sessions.messages.format import Block, Outcome
from tidesync.sessions.messages.video_pieces import Piece, pieces_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tidesync.sessions.correction.table import Job, Measured
    from tidesync.sessions.correction.timeline import Corrections, Timeline
    from tidesync.sessions.messages.format import Answer, Target, Write
    from topside_agent.estimator.blocks import Integers

_LONGEST_S = 86_400
_MADE_BY = "tidesync correct"
_OF = (
    "begin: when Cockpit began to record; the first frame follows, and shows what the camera saw earlier by "
    "the delay of the stream: neither is in any file, nor in the errors"
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
        if target.output.exists() and not self._is_ours(target.output):
            yield target.output

    @contextmanager
    def output(self, target: Target) -> Iterator[Write]:
        """The sidecar."""
        document: dict[str, Any] = {}

        def write(block: Block, columns: Sequence[Corrections]) -> None:
            document.update(self._document(block.records, columns[0]))

        yield write
        about = {
            "schema_version": 1,
            "made_by": _MADE_BY,
            **target.about,
            "video": self._path.name,
            "of": _OF,
        }
        text = json.dumps({**about, **document}, indent=2, ensure_ascii=False)
        with replacing(target.output) as stream:
            stream.write(f"{text}\n".encode())

    def _document(self, at_ns: Integers, found: Corrections) -> dict[str, Any]:
        pieces = pieces_of(at_ns, found, self.forms[0].resolution_ns)
        longest = max(pieces, key=lambda each: (each.ratio is not None, each.to_ns - each.from_ns))
        return {
            "begin": {
                "recorded": iso_from_ns(int(at_ns[0])),
                "recorded_max_error_ms": self.forms[0].resolution_ns / 1e6,
                "by": self.begin.by,
                **_instant(found, 0),
            },
            "rate": _rate(longest),
            "until": self._until,
            "pieces": [_piece(each, int(at_ns[0])) for each in pieces],
        }

    def _is_ours(self, path: Path) -> bool:
        try:
            existing = json.loads(path.read_bytes())
        except (OSError, ValueError):
            return False
        found = existing if isinstance(existing, dict) else {}
        return found.get("made_by") == _MADE_BY and found.get("video") == self._path.name


def _instant(found: Corrections, row: int) -> dict[str, Any]:
    """An answer; nulls where it is not known."""
    known, u95_ns = bool(found.known[row]), int(found.u95_ns[row])
    return {
        "topside": iso_from_ns(int(found.topside_ns[row])) if known else None,
        "topside_unix_ns": int(found.topside_ns[row]) if known else None,
        "max_error_ms": _ms(int(found.max_error_ns[row])) if known else None,
        "u95_ms": _ms(u95_ns) if known and u95_ns != NO_U95 else None,
        "state": STATES[int(found.state[row])],
    }


def _rate(piece: Piece) -> dict[str, Any] | None:
    """Topside's seconds for each of the computer's."""
    if piece.ratio is None:
        return None
    return {
        "ratio": piece.ratio,
        "ppm": round((piece.ratio - 1) * 1e6, 3),
        "max_error_ppm": piece.ratio_error_ppm,
    }


def _piece(piece: Piece, begin_ns: int) -> dict[str, Any]:
    known = piece.topside_ns is not None
    return {
        "from_s": (piece.from_ns - begin_ns) / S,
        "to_s": (piece.to_ns - begin_ns) / S,
        "topside_unix_ns": piece.topside_ns,
        "ratio": piece.ratio,
        "max_error_ms": _ms(piece.max_error_ns) if known else None,
        "state": piece.state,
    }


def _ms(ns: int) -> float:
    """Rounded up to µs."""
    return -(-ns // 1000) / 1e3
