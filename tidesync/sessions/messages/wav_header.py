"""The chunks of a WAV file (RIFF, RF64, BW64) that say how long it is and when it began.

Sources: EBU Tech 3285 (bext) and 3306 (RF64), the LIST/ICMT of AudioMoth and HydroMoth.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from tidesync.sessions.errors import UnusableFileError
from tidesync.sessions.messages.format import Loss

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_IDS = {b"RIFF", b"RF64", b"BW64"}
_OPEN = {0, 0xFFFFFFFF}
"""The length of data whose header was never closed, or is in another chunk."""
_PCM = {1, 3, 0xFFFE}
_MOST_READ, _MOST_CHUNKS = 1 << 20, 1_000
_S = 1_000_000_000
_DATE, _TIME, _REFERENCE, _BEXT = slice(320, 330), slice(330, 338), slice(338, 346), 346


@dataclass(slots=True)
class WavHeader:
    """What a file says."""

    rate_hz: int = 0
    frame_bytes: int = 0
    data_bytes: int = -1
    comment: str = ""
    bext: tuple[str, str, int] | None = None
    """OriginationDate, OriginationTime, and TimeReference: samples since midnight, 0 where it is not used."""
    losses: list[Loss] = field(default_factory=list)

    @property
    def frames(self) -> int:
        """How many samples each channel has."""
        return self.data_bytes // self.frame_bytes

    @property
    def length_ns(self) -> int:
        """How long it is by its nominal rate."""
        return self.frames * _S // self.rate_hz


def wav_header(path: Path, stream: BinaryIO) -> WavHeader:
    """The header; UnusableFileError where it is no WAV file, or its length is not known."""
    size = path.stat().st_size
    begin = stream.read(12)
    if begin[:4] not in _IDS or begin[8:] != b"WAVE":
        received = f"it begins with {begin!r}" if begin else "it is empty"
        raise UnusableFileError(path, f"it is no WAV file: {received}")
    found, long = WavHeader(), 0
    for name, at, length in _chunks(stream, size, found):
        if name == b"ds64":
            long = int.from_bytes(stream.read(min(length, 16))[8:16], "little")
        elif name == b"fmt ":
            _take_format(path, stream.read(min(length, 16)), found)
        elif name == b"bext":
            found.bext = _bext(stream.read(min(length, _BEXT)))
        elif name == b"LIST":
            found.comment = found.comment or _comment(stream.read(min(length, _MOST_READ)))
        elif name == b"data":
            found.data_bytes = _data_bytes(found, at, long if length in _OPEN and long else length, size)
    if not found.rate_hz or found.data_bytes < 0:
        missing = "fmt" if not found.rate_hz else "data"
        raise UnusableFileError(path, f"it has no chunk {missing!r}: it is cut off or damaged")
    return found


def _chunks(stream: BinaryIO, size: int, found: WavHeader) -> Iterator[tuple[bytes, int, int]]:
    """Each chunk's name, where its content begins, and its length as stated; up to what is none."""
    at = 12
    for _ in range(_MOST_CHUNKS):
        stream.seek(at)
        head = stream.read(8)
        if len(head) < 8:  # noqa: PLR2004 - a name and a length
            return
        name, length = head[:4], int.from_bytes(head[4:], "little")
        if not all(0x20 <= each < 0x7F for each in name):  # noqa: PLR2004 - printable
            found.losses.append(Loss(at, size - at, f"{name!r} is no chunk's name"))
            return
        yield name, at + 8, length
        passed = found.data_bytes if name == b"data" else length
        at += 8 + passed + passed % 2


def _data_bytes(found: WavHeader, at: int, stated: int, size: int) -> int:
    """How many bytes of samples there are."""
    if found.data_bytes >= 0:
        return found.data_bytes
    if stated in _OPEN:
        if size > at:
            found.losses.append(Loss(at, 0, "the length of its samples is not stated: all up to its end"))
        return size - at
    if stated > size - at:
        found.losses.append(Loss(size, stated - (size - at), "its samples are cut off"))
        return size - at
    return stated


def _take_format(path: Path, content: bytes, found: WavHeader) -> None:
    if len(content) < 16:  # noqa: PLR2004 - of every format
        return
    kind, channels, rate, a_second, frame, bits = struct.unpack("<HHIIHH", content)
    if kind not in _PCM:
        raise UnusableFileError(
            path, f"its samples are compressed (format {kind:#x}): its length is not known"
        )
    if not rate or not channels or frame != channels * -(-bits // 8):
        reason = f"its format is damaged: {channels} channels of {bits} bits, {frame} bytes, {rate} Hz"
        raise UnusableFileError(path, reason)
    if a_second not in {0, rate * frame}:
        reason = f"its format is damaged: {rate} Hz of {frame} bytes, but {a_second} bytes a second"
        raise UnusableFileError(path, reason)
    found.rate_hz, found.frame_bytes = rate, frame


def _bext(content: bytes) -> tuple[str, str, int] | None:
    if len(content) < _BEXT:
        return None
    date, time = (content[part].split(b"\0")[0].decode("latin-1").strip() for part in (_DATE, _TIME))
    return date, time, int.from_bytes(content[_REFERENCE], "little")


def _comment(content: bytes) -> str:
    """The text of ICMT in a list of INFO."""
    at = 4
    while content[:4] == b"INFO" and at + 8 <= len(content):
        name, length = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        if name == b"ICMT":
            return content[at + 8 : at + 8 + length].split(b"\0")[0].decode("latin-1")
        at += 8 + length + length % 2
    return ""
