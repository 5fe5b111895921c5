"""A network interface's hardware clock (/dev/ptpN), read beside the system's (PTP_SYS_OFFSET_EXTENDED)."""

from __future__ import annotations

import errno
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from runtime.hardware_kernel import Kernel

_EXTENDED = 0xC4C03D09
"""_IOWR('=', 9, struct ptp_sys_offset_extended) where that macro is the usual one: not on MIPS, PowerPC."""
_HEAD, _SAMPLE = Struct("@Ii8x"), Struct("@qI4xqI4xqI4x")
_MOST_SAMPLES, _SAMPLES = 25, 5
_SIZE = _HEAD.size + _MOST_SAMPLES * _SAMPLE.size
_REALTIME, _RAW = 0, 4
_WIDEST_NS = 100_000_000
_MISSING = {errno.EOPNOTSUPP, errno.ENOTTY}


class ClockReading(NamedTuple):
    """A hardware clock, ns, and the system's before and after it was read."""

    before_ns: int
    clock_ns: int
    after_ns: int

    @property
    def width_ns(self) -> int:
        """Between the system's two."""
        return self.after_ns - self.before_ns


class HardwareClock:
    """Read, never set. OSError where it cannot be opened or read, with a sentence."""

    def __init__(self, number: int, kernel: Kernel) -> None:
        self.number = number
        self._kernel = kernel
        self._content = bytearray(_SIZE)
        path = f"/dev/ptp{number}"
        try:
            self._file = kernel.open(path)
        except OSError as error:
            raise OSError(error.errno, f"{path} cannot be opened: {error.strerror}") from None
        self._system = _RAW
        try:
            self._first_reading(path)
        except OSError:
            self.close()
            raise

    @property
    def is_beside_raw(self) -> bool:
        """Whether the system's instants are RAW (Linux 6.12); else they are realtime."""
        return self._system == _RAW

    def read(self) -> ClockReading | None:
        """The narrowest of some readings; None: each took too long, or the system's clock was set."""
        content = self._content
        _HEAD.pack_into(content, 0, _SAMPLES, self._system)
        self._kernel.control(self._file, _EXTENDED, content)
        found = None
        for at in range(_HEAD.size, _HEAD.size + _SAMPLES * _SAMPLE.size, _SAMPLE.size):
            s1, n1, s2, n2, s3, n3 = _SAMPLE.unpack_from(content, at)
            before_ns, after_ns = s1 * 1_000_000_000 + n1, s3 * 1_000_000_000 + n3
            if before_ns <= after_ns < before_ns + (_WIDEST_NS if found is None else found.width_ns):
                found = ClockReading(before_ns, s2 * 1_000_000_000 + n2, after_ns)
        return found

    def close(self) -> None:
        """Release it."""
        self._kernel.close(self._file)

    def _first_reading(self, path: str) -> None:
        try:
            try:
                self.read()
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                self._system = _REALTIME  # before Linux 6.12 no other one could be asked for
                self.read()
        except OSError as error:
            raise _unreadable(path, error) from None


def _unreadable(path: str, error: OSError) -> OSError:
    if error.errno in _MISSING:
        return OSError(error.errno, f"{path} cannot be read beside this system's clock")
    return OSError(error.errno, f"{path} cannot be read: {error.strerror or error}")
