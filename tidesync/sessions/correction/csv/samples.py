"""Whole lines from places all over a file, for what the whole of a column shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PLACES = 32
_BYTES = 16_384


def texts_from(path: Path, begin: int, end: int) -> Iterator[bytes]:
    """Parts of the file between `begin` and `end`, the end included, each from the beginning of a line."""
    with path.open("rb") as stream:
        places = min(_PLACES, -(-(end - begin) // _BYTES))
        for place in range(1, places + 1):
            stream.seek(max(begin + (end - begin) * place // places - _BYTES, begin))
            _, _, lines = stream.read(_BYTES).partition(b"\n")
            yield lines
