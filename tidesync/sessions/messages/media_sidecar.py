"""The sidecar in JSON of a continuous recording: when it began on topside's clock, its rate, and its pieces.

The recording itself is not changed. Seconds after its begin are answered as a table's rows are, and put
together as straight pieces by video_pieces.py.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from runtime.files import replacing
from schemas.instants import iso_from_ns
from tidesync.sessions.correction.timeline import NO_U95, STATES
from tidesync.sessions.messages.video_pieces import pieces_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tidesync.sessions.correction.timeline import Corrections
    from tidesync.sessions.messages.format import Block, Target, Write
    from tidesync.sessions.messages.video_pieces import Piece
    from topside_agent.estimator.blocks import Integers

_MADE_BY = "tidesync correct"
_S = 1_000_000_000


@contextmanager
def media_output(
    target: Target,
    recording: tuple[str, str],
    of: str,
    document_of: Callable[[Block, Corrections], dict[str, Any]],
) -> Iterator[Write]:
    """Write the sidecar of one block; `recording`: its kind and its name, `of`: what its begin is of."""
    document: dict[str, Any] = {}

    def write(block: Block, columns: Sequence[Corrections]) -> None:
        document.update(document_of(block, columns[0]))

    yield write
    kind, name = recording
    about = {"schema_version": 1, "made_by": _MADE_BY, **target.about, kind: name, "of": of}
    text = json.dumps({**about, **document}, indent=2, ensure_ascii=False)
    with replacing(target.output) as stream:
        stream.write(f"{text}\n".encode())


def foreign_media_sidecar(target: Target, recording: tuple[str, str]) -> Iterator[Path]:
    """A sidecar that is not of a correction, or that of another recording."""
    kind, name = recording
    if target.output.exists() and not _is_of(target.output, kind, name):
        yield target.output


def begin_of(found: Corrections) -> dict[str, Any]:
    """The first answer; nulls where it is not known."""
    known, u95_ns = bool(found.known[0]), int(found.u95_ns[0])
    return {
        "topside": iso_from_ns(int(found.topside_ns[0])) if known else None,
        "topside_unix_ns": int(found.topside_ns[0]) if known else None,
        "max_error_ms": _ms(int(found.max_error_ns[0])) if known else None,
        "u95_ms": _ms(u95_ns) if known and u95_ns != NO_U95 else None,
        "state": STATES[int(found.state[0])],
    }


def rate_and_pieces(
    at_ns: Integers, found: Corrections, common_ns: int
) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """The rate of the longest piece, and all pieces; `common_ns`: see `pieces_of`."""
    pieces = pieces_of(at_ns, found, common_ns)
    longest = max(pieces, key=lambda each: (each.ratio is not None, each.to_ns - each.from_ns))
    return _rate(longest), [_piece(each, int(at_ns[0])) for each in pieces]


def _rate(piece: Piece) -> dict[str, Any] | None:
    """Topside's seconds for each of the recording's."""
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
        "from_s": (piece.from_ns - begin_ns) / _S,
        "to_s": (piece.to_ns - begin_ns) / _S,
        "topside_unix_ns": piece.topside_ns,
        "ratio": piece.ratio,
        "max_error_ms": _ms(piece.max_error_ns) if known else None,
        "state": piece.state,
    }


def _is_of(path: Path, kind: str, name: str) -> bool:
    try:
        existing = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    found = existing if isinstance(existing, dict) else {}
    return found.get("made_by") == _MADE_BY and found.get(kind) == name


def _ms(ns: int) -> float:
    """Rounded up to µs."""
    return -(-ns // 1000) / 1e3
