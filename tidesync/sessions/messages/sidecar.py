"""A table beside a file that has no place for errors: a line for each of its messages."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from runtime.files import replacing
from tidesync.sessions.correction.table import COLUMNS
from tidesync.sessions.correction.timeline import NO_U95, STATES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from tidesync.sessions.correction.timeline import Corrections
    from tidesync.sessions.messages.format import Block, Target, Write

_LATE = b"," + ",".join(COLUMNS).encode() + b"\n"


class Sidecar:
    """The table on `stream`, with columns of the format's own before those of a corrected table."""

    def __init__(self, stream: BinaryIO, columns: Sequence[str]) -> None:
        self._stream = stream
        stream.write(",".join(columns).encode() + _LATE)

    def write(self, fronts: Iterable[str], corrections: Corrections, step_ns: int = 0) -> None:
        """A line for each message: `fronts` are its own columns; times are µs since 1970.

        `step_ns`: what the errors of times that are written have to contain besides.
        """
        unknown = np.full(corrections.state.shape, -1)
        known = corrections.known
        columns = (
            np.where(known, (corrections.topside_ns + 500) // 1000, unknown).tolist(),
            np.where(known, -(-(corrections.max_error_ns + step_ns) // 1000), unknown).tolist(),
            np.where(
                known & (corrections.u95_ns != NO_U95), -(-corrections.u95_ns // 1000), unknown
            ).tolist(),
            corrections.state.tolist(),
        )
        lines = [
            f"{front},{at if at >= 0 else ''},{_ms(error)},{_ms(u95)},{STATES[state] if state >= 0 else ''}\n"
            for front, at, error, u95, state in zip(fronts, *columns, strict=True)
        ]
        self._stream.write("".join(lines).encode())


@contextmanager
def sidecar_output(
    target: Target, columns: Sequence[str], fronts: Callable[[Block], Iterable[str]], step_ns: int
) -> Iterator[Write]:
    """Write nothing but the table, which is the output; see `format.Messages.output`."""
    with replacing(target.output) as stream:
        table = Sidecar(stream, columns)
        yield lambda block, found: table.write(fronts(block), found[0], step_ns)


@contextmanager
def marked(target: Target, columns: Sequence[str]) -> Iterator[Sidecar]:
    """The table beside outputs that have no mark of their own; it is in place before any of them.

    So it has to be the innermost of what ends: `unmarked` knows the outputs of a killed run by it.
    """
    with replacing(target.sidecar) as stream:
        yield Sidecar(stream, columns)


def foreign_sidecar(target: Target) -> Iterator[Path]:
    """An output that is not such a table."""
    if target.output.exists() and not is_sidecar(target.output):
        yield target.output


def is_sidecar(path: Path) -> bool:
    """Whether the file at `path` is such a table."""
    with path.open("rb") as stream:
        return stream.readline(1_000).endswith(_LATE)


def unmarked(target: Target) -> Iterator[Path]:
    """Files in the place of a correction's that are not known to be: a correction's have such a table."""
    if not target.sidecar.exists() or not is_sidecar(target.sidecar):
        yield from (path for path in (target.output, target.unanswered, target.sidecar) if path.exists())


def _ms(us: int) -> str:
    return f"{us // 1000}.{us % 1000:03d}" if us >= 0 else ""
