"""Where two files first differ: the byte, and of text the line and what it says."""

from __future__ import annotations

import gzip
import lzma
import zlib
from typing import IO, TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

_Stream: TypeAlias = "IO[bytes] | gzip.GzipFile | lzma.LZMAFile"
_TOGETHER = 1 << 20
_SHOWN = 120
_TEXT = frozenset({".csv", ".json", ".jsonl", ".log", ".lp", ".ndjson", ".nmea", ".tsv", ".txt"})
_COMPRESSED = (".gz", ".xz")


class Place(NamedTuple):
    """The first difference of two files."""

    offset: int
    """Bytes before it."""
    line: int | None
    """From 1; None: not of text."""
    expected: str
    found: str
    """The rest of the line that has it, from its beginning, shortened; empty where it is not of text."""
    content: bool = True
    """Whether it is one of what the file holds; else only how that is written differs, as its compression."""


def first_difference(expected: Path, found: Path) -> Place | None:
    """Where `found` first differs from `expected`; None: nowhere."""
    suffix = expected.suffix.lower()
    with expected.open("rb") as one, found.open("rb") as other:
        place = _difference(one, other, text=suffix in _TEXT)
    if place is not None and suffix == ".parquet":
        return place._replace(content=not _same_tables(expected, found))
    if place is None or suffix not in _COMPRESSED:
        return place
    text = expected.with_suffix("").suffix.lower() in _TEXT
    try:
        with _decompressed(expected) as one, _decompressed(found) as other:
            within = _difference(one, other, text=text)
    except (OSError, EOFError, lzma.LZMAError, zlib.error):
        return place
    return place._replace(content=False) if within is None else within


def _same_tables(expected: Path, found: Path) -> bool:
    """Whether both Parquet files are known to have the same rows."""
    try:
        from pyarrow import ArrowException  # noqa: PLC0415 - only this format needs it
        from pyarrow.parquet import ParquetFile  # noqa: PLC0415
    except ImportError:
        return False
    try:
        with ParquetFile(expected) as one, ParquetFile(found) as other:
            if one.num_row_groups != other.num_row_groups or not one.schema_arrow.equals(other.schema_arrow):
                return False
            groups = range(one.num_row_groups)
            return all(one.read_row_group(each).equals(other.read_row_group(each)) for each in groups)
    except (ArrowException, OSError):
        return False


def _decompressed(path: Path) -> _Stream:
    return gzip.open(path) if path.suffix.lower() == ".gz" else lzma.open(path)


def _difference(expected: _Stream, found: _Stream, *, text: bool) -> Place | None:
    passed = lines = begin = 0
    while True:
        one, other = expected.read(_TOGETHER), found.read(_TOGETHER)
        if one == other:
            if not one:
                return None
            lines += one.count(b"\n")
            begin = passed + one.rfind(b"\n") + 1 if b"\n" in one else begin
            passed += len(one)
            continue
        at = _first(one, other)
        if not text:
            return Place(passed + at, None, "", "")
        lines += one.count(b"\n", 0, at)
        begin = passed + one.rfind(b"\n", 0, at) + 1 if b"\n" in one[:at] else begin
        return Place(passed + at, lines + 1, _line(expected, begin), _line(found, begin))


def _first(one: bytes, other: bytes) -> int:
    """The place of the first different byte; of a file that ends there, its length."""
    least, most = 0, min(len(one), len(other))
    while least < most:  # bisected: what is equal up to the middle is compared as a whole
        middle = (least + most + 1) // 2
        if one[:middle] == other[:middle]:
            least = middle
        else:
            most = middle - 1
    return least


def _line(stream: _Stream, begin: int) -> str:
    stream.seek(begin)
    line = stream.readline(4 * _SHOWN).rstrip(b"\r\n").decode(errors="backslashreplace")
    shown = "".join(each if each.isprintable() else repr(each)[1:-1] for each in line)
    return shown if len(shown) <= _SHOWN else shown[: _SHOWN - 1] + "…"
