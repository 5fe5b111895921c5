"""The bytes of a table of text as UTF-8, whatever its compression and encoding; and back.

UTF-16 is recognised by its byte order mark, or by the zero bytes of its first characters.
"""

from __future__ import annotations

import codecs
import gzip
import io
import lzma
import zlib
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from tidesync.sessions.errors import UnusableFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

COMPRESSED = (".gz", ".xz", ".zst")

_WIDE = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_XZ_BYTES = 1 << 16
_LONE_SURROGATES = "surrogatepass"
"""They are no text, but are kept as they are."""


class Reader(Protocol):
    """What a table is read from."""

    def read(self, size: int, /) -> bytes:
        """At most about `size` bytes; none at the end."""


class Source:
    """A table of text on disk."""

    def __init__(self, path: Path) -> None:
        """UnusableFileError where it is damaged."""
        self._path = path
        self._suffix = next((suffix for suffix in COMPRESSED if path.name.lower().endswith(suffix)), "")
        self._encoding: str | None = None
        with self.open() as (reader, _):
            self._encoding = _wide_encoding(reader.read(4096))
        plain = not self._suffix and self._encoding is None
        self.size = path.stat().st_size if plain else None
        """In bytes of UTF-8, where it is known."""

    @contextmanager
    def open(self) -> Iterator[tuple[Reader, Callable[[], int]]]:
        """The table from its beginning, and how many bytes of the file have been read so far."""
        try:
            with ExitStack() as stack:
                raw = stack.enter_context(self._path.open("rb"))
                stream = stack.enter_context(_decompressed(raw, self._suffix))
                yield stream if self._encoding is None else _Narrow(stream, self._encoding), raw.tell
        except UnicodeDecodeError as error:
            reason = f"it is not {self._encoding} throughout ({error.reason})"
            raise UnusableFileError(self._path, reason) from error
        except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
            raise UnusableFileError(
                self._path, f"its compressed data are damaged or cut off: {error}"
            ) from error

    @contextmanager
    def sink(self, stream: BinaryIO) -> Iterator[Callable[[bytes], object]]:
        """Writes UTF-8 to `stream` as this table is written."""
        with _compressed(stream, self._suffix) as packed:
            if self._encoding is None:
                yield packed.write
                return
            decoder = codecs.getincrementaldecoder("utf-8")(_LONE_SURROGATES)
            encoding = self._encoding
            yield lambda data: packed.write(decoder.decode(data).encode(encoding, _LONE_SURROGATES))


class _Narrow:
    """UTF-16 as UTF-8; its byte order mark becomes UTF-8's."""

    def __init__(self, stream: Reader, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)(_LONE_SURROGATES)

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        text = self._decoder.decode(data, final=not data)
        return text.encode("utf-8", _LONE_SURROGATES) if text or not data else self.read(size)


def _wide_encoding(begin: bytes) -> str | None:
    for mark, encoding in _WIDE.items():
        if begin.startswith(mark):
            return encoding
    low, high = begin[0:16:2], begin[1:16:2]
    if high and not any(high) and all(low):
        return "utf-16-le"
    return "utf-16-be" if high and not any(low) and all(high) else None


def _decompressed(raw: BinaryIO, suffix: str) -> Any:
    if suffix == ".gz":
        return gzip.GzipFile(fileobj=raw)
    if suffix == ".xz":
        return io.BufferedReader(_XzStreams(raw), _XZ_BYTES)
    return _zstd().CompressedInputStream(raw, "zstd") if suffix == ".zst" else raw


class _XzStreams(io.RawIOBase):
    """The streams of an .xz file, with zeros between them; lzma.LZMAFile passes over anything else."""

    def __init__(self, raw: BinaryIO) -> None:
        super().__init__()
        self._raw, self._stream = raw, lzma.LZMADecompressor(lzma.FORMAT_XZ)
        self._rest, self._begun = b"", False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = b""
        while not data:
            if self._stream.eof:
                self._rest, self._begun = self._stream.unused_data, False
                self._stream = lzma.LZMADecompressor(lzma.FORMAT_XZ)
            given = b""
            if self._stream.needs_input:
                given, self._rest = self._rest or self._raw.read(_XZ_BYTES), b""
                if not given:
                    break
                given = given if self._begun else given.lstrip(b"\0")
            self._begun |= bool(given)
            data = self._stream.decompress(given, len(buffer))
        if not data and self._begun:
            raise EOFError("they end within a stream")
        buffer[: len(data)] = data
        return len(data)


def _compressed(stream: BinaryIO, suffix: str) -> Any:
    """Without a name or a time of its own, so that a second run gives the same bytes."""
    if suffix == ".gz":
        return gzip.GzipFile("", "wb", fileobj=stream, mtime=0)
    if suffix == ".xz":
        return lzma.LZMAFile(stream, "wb")
    return (
        _zstd().CompressedOutputStream(_Unclosed(stream), "zstd") if suffix == ".zst" else nullcontext(stream)
    )


def _zstd() -> Any:
    import pyarrow as pa  # noqa: PLC0415 - only .zst needs it

    return pa


class _Unclosed(io.RawIOBase):
    """A stream that whoever opened it closes."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        return self._stream.write(data)
