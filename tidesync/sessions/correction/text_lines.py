"""The lines of a text file, block by block; and parts of it by which its timestamps are recognised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tidesync.sessions.correction.csv.blocks import head_of
from tidesync.sessions.correction.csv.lines import lines_of
from tidesync.sessions.correction.csv.samples import texts_from
from tidesync.sessions.correction.csv.source import Source
from tidesync.sessions.errors import UnusableFileError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tidesync.sessions.correction.csv.lines import Lines
    from tidesync.sessions.correction.stamps.form import StampForm, Stamps

BOM = b"\xef\xbb\xbf"
MAX_LINE_BYTES = 16 << 20
_BLOCK_BYTES = 1 << 20


class TextLines:
    """A file of lines in UTF-8, UTF-16 or any encoding that extends ASCII, compressed or not."""

    def __init__(self, path: Path) -> None:
        self._path, self.source = path, Source(path)
        self.most: int | None = self.source.size
        """So many bytes are read, although the file may grow."""

    def surveyed(self) -> Iterator[tuple[bytes, Lines]]:
        """Its beginning, and whole lines from all over it where it is neither compressed nor UTF-16."""
        with self.source.open() as (reader, _):
            head, whole = head_of(reader)
        yield head, lines_of(head, at_end=whole)
        if self.source.size is not None and not whole:
            for data in texts_from(self._path, len(head), self.source.size):
                yield data, lines_of(data, at_end=False)

    def blocks(self) -> Iterator[tuple[bytes, Lines, int]]:
        """All lines: their bytes, where each is in them, and how many bytes of the file they took."""
        most, rest, done = self.most, b"", 0
        with self.source.open() as (reader, position):
            while more := reader.read(_BLOCK_BYTES if most is None else min(_BLOCK_BYTES, most)):
                most = None if most is None else most - len(more)
                data = rest + more
                lines = lines_of(data, at_end=False)
                rest = data[lines.used :]
                if len(rest) > MAX_LINE_BYTES:
                    raise UnusableFileError(self._path, f"it has a line of more than {MAX_LINE_BYTES} bytes")
                if lines.used:
                    yield data[: lines.used], lines, position() - done
                    done = position()
            if rest:
                yield rest, lines_of(rest, at_end=True), position() - done


def read_texts(form: StampForm, texts: Sequence[bytes]) -> Stamps:
    """The instants of timestamps, each of which ends before its line does; empty ones have none."""
    ends = np.cumsum([0, *map(len, texts)])
    return form.read_block(np.frombuffer(b"".join(texts), dtype=np.uint8), ends[:-1], ends[1:])
