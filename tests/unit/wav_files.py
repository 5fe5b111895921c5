"""Sound recordings with a known truth, as recorders write their headers."""

import struct
from datetime import datetime

from schemas.compat import UTC
from tests.unit.tracks import START, S


def chunk(name, content):
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def comment_of(text):
    """As AudioMoth and HydroMoth write it."""
    return chunk(
        b"LIST", b"INFO" + chunk(b"ICMT", text.encode().ljust(384, b"\0")) + chunk(b"IART", b"AudioMoth 24")
    )


def bext_of(date, time, reference=0):
    """EBU's broadcast extension."""
    content = bytes(320) + date.encode() + time.encode() + struct.pack("<Q", reference)
    return chunk(b"bext", content.ljust(602, b"\0"))


def wav_bytes(frames, *, rate=2_000, channels=1, before=b"", after=b"", kind=1, length=None):
    """A file of 16-bit samples; `length`: of its data, as it is stated."""
    head = struct.pack("<HHIIHH", kind, channels, rate, 2 * channels * rate, 2 * channels, 16)
    data = bytes(2 * channels * frames)
    stated = len(data) if length is None else length
    inside = b"WAVE" + chunk(b"fmt ", head) + before + b"data" + struct.pack("<I", stated) + data + after
    return b"RIFF" + struct.pack("<I", len(inside)) + inside


def recording(
    folder, clock, *, at_s=20, seconds=60, rate=2_000, ppm=40, name="SBW1234_{:%Y%m%d_%H%M%S}.wav", **how
):
    """(its path, topside's instant of the first sample, of the one after the last, ns)."""
    begin = START + at_s * S + 400_000_000
    shown = datetime.fromtimestamp(int(clock.shows(begin)) // S, UTC)
    path = folder / name.format(shown)
    path.write_bytes(wav_bytes(seconds * rate, rate=rate, **how))
    return path, begin, begin + round(seconds * S / (1 + ppm * 1e-6))
