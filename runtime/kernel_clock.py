"""What the operating system reports of its clock: that it was set, time in suspend, how it is disciplined."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
import time
from functools import lru_cache
from typing import Any, NamedTuple

_STA_PLL = 0x0001
STA_UNSYNC = 0x0040
_STA_NANO = 0x2000
NOMINAL_TICK_US = 10_000
_TICKS_US = range(9_000, 11_001)
"""What the kernel takes, ±10 %; another value means that the structure was read with a wrong layout."""
_PLL_SHIFT = 2
"""The kernel's SHIFT_PLL: of a pending offset it slews away 2**-(2 + time constant) each second."""
_CLOCK_REALTIME = 0
_TFD_TIMER_ABSTIME = 1
_TFD_TIMER_CANCEL_ON_SET = 2
_NEVER_S = 2 ** (8 * ctypes.sizeof(ctypes.c_long) - 1) - 1
"""The largest second of the C library's time; in 2038 on 32-bit systems."""
_READ_ATTEMPTS = 4
_NARROW_NS = 1_000_000
"""Small against the suspends that count; two clocks are read within a microsecond."""
_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", None)
_MONOTONIC = getattr(time, "CLOCK_MONOTONIC", None)
_read_ns: Any = getattr(time, "clock_gettime_ns", None)
"""None, and no such clocks, on Windows."""


def c_library() -> Any:
    """The C library; None on Windows, which has none of these functions."""
    try:
        return ctypes.CDLL(None, use_errno=True)
    except (OSError, TypeError):
        return None


_libc = c_library()


class ClockSetTimer:
    """Becomes readable when realtime is set, by a step or a resume; OSError on a system without timerfd.

    A timer that is never due, which the kernel cancels when the clock is set: timerfd_create(2),
    TFD_TIMER_CANCEL_ON_SET. Slewing does not cancel it.
    """

    def __init__(self) -> None:
        self._fd = _timerfd_create()
        try:
            self._arm()
        except OSError:
            self.close()
            raise

    def fileno(self) -> int:
        """For `select`."""
        return self._fd

    def acknowledge(self) -> bool:
        """Whether realtime was set since the last call; never blocks."""
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno != errno.ECANCELED:
                raise
            self._arm()
            return True
        return False  # it was due after all: it reports nothing from now on, and polling remains

    def close(self) -> None:
        """Release the timer."""
        os.close(self._fd)

    def _arm(self) -> None:
        try:
            _timerfd_arm(self._fd)
        except OSError as error:
            if error.errno != errno.ECANCELED:  # set again in between: the timer is armed all the same
                raise


def suspended_ns() -> int:
    """The time in suspend since boot: BOOTTIME − MONOTONIC, ns; 0 if the system does not report it.

    A thread that is preempted between the two readings makes the result too small: a slow one is repeated.
    """
    if _BOOTTIME is None:
        return 0
    suspended_ns = 0
    for _ in range(_READ_ATTEMPTS):
        before_ns = _read_ns(_MONOTONIC)
        boot_ns = _read_ns(_BOOTTIME)
        after_ns = _read_ns(_MONOTONIC)
        suspended_ns = max(suspended_ns, boot_ns - after_ns)
        if after_ns - before_ns < _NARROW_NS:
            break
    return suspended_ns


def suspended_at_most_ns() -> int:
    """What `suspended_ns` surely does not exceed, at less cost; too large if the thread was preempted."""
    if _BOOTTIME is None:
        return 0
    before_ns: int = _read_ns(_MONOTONIC)
    return int(_read_ns(_BOOTTIME)) - before_ns


def clock_synchronized() -> bool:
    """Whether NTP or the like may be steering realtime: the kernel's STA_UNSYNC is clear, adjtimex(2).

    True also if the system does not report it: only a certain no may narrow topside's bound.
    """
    ask = getattr(_libc, "adjtimex", None) or getattr(_libc, "ntp_adjtime", None)
    if ask is None:
        return True
    state = _Timex()  # modes = 0: read only
    if ask(ctypes.byref(state)) < 0:
        return True
    return not state.status & STA_UNSYNC


class KernelState(NamedTuple):
    """How the kernel moves realtime now: adjtimex(2). Two equal ones mean that nobody set anything between.

    A clock that adjtime(3) slews (at most 500 ppm) does not show it here.
    """

    tick_us: int = NOMINAL_TICK_US
    """Realtime per tick of 10 ms: 100 ppm for each microsecond above 10 000."""
    frequency: int = 0
    """Correction of the rate, 2**-16 ppm; positive: realtime runs fast."""
    offset_ns: int = 0
    """What the kernel's loop still has to slew away, ns; positive: realtime moves forward."""
    constant: int = 0
    """The loop's time constant."""
    status: int = 0
    """The bits STA_…; they prove nothing about whether somebody steers the clock."""

    @property
    def rate_ppm(self) -> float:
        """The rate of realtime against RAW by tick and frequency, ppm."""
        return (self.tick_us - NOMINAL_TICK_US) * 100 + self.frequency / 65_536

    @property
    def rates_ppm(self) -> tuple[float, ...]:
        """The rates that it may have, ppm: before and after the loop begins to slew, at a full second."""
        return _rates_ppm(self)

    @property
    def is_nominal(self) -> bool:
        """Whether the kernel leaves realtime at RAW's rate, with no offset pending."""
        return self.tick_us == NOMINAL_TICK_US and self.frequency == 0 and self.offset_ns == 0


@lru_cache(maxsize=64)
def _rates_ppm(state: KernelState) -> tuple[float, ...]:
    if not state.offset_ns or not state.status & _STA_PLL:
        return (state.rate_ppm,)
    share = 2.0 ** -(_PLL_SHIFT + state.constant)
    slewing_ppm = state.offset_ns / 1000 * share / (1 - share)
    return (state.rate_ppm, state.rate_ppm + slewing_ppm)


def kernel_state() -> KernelState | None:
    """The kernel's state now, changed in nothing (modes = 0); None on systems other than Linux."""
    adjtimex = getattr(_libc, "adjtimex", None) if sys.platform == "linux" else None
    if adjtimex is None:
        return None
    for layout in (_LinuxTimex, _LinuxTimex64):
        state = layout()
        if adjtimex(ctypes.byref(state)) >= 0 and state.tick in _TICKS_US:
            unit_ns = 1 if state.status & _STA_NANO else 1000
            return KernelState(state.tick, state.freq, state.offset * unit_ns, state.constant, state.status)
    return None


def _timex_layout(number: Any) -> Any:
    names = ("offset", "freq", "maxerror", "esterror")
    later = ("constant", "precision", "tolerance", "time_s", "time_us", "tick")
    return (
        ("modes", ctypes.c_uint),
        *((name, number) for name in names),
        ("status", ctypes.c_int),
        *((name, number) for name in later),
        ("rest", ctypes.c_char * 512),
    )


class _LinuxTimex(ctypes.Structure):
    """`struct timex` of the symbol `adjtimex`: in C's long, of 32 or 64 bits."""

    _fields_ = _timex_layout(ctypes.c_long)


class _LinuxTimex64(ctypes.Structure):
    """The same of a 32-bit system whose C library has 64-bit time only."""

    _fields_ = _timex_layout(ctypes.c_longlong)


class _Timex(ctypes.Structure):
    """The start of `struct timex`, equal on Linux and the BSDs, with room for the rest."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 512),
    )


class _Itimerspec(ctypes.Structure):
    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


def _timerfd_create() -> int:
    if sys.version_info >= (3, 13) and sys.platform == "linux" and hasattr(os, "timerfd_create"):
        return os.timerfd_create(time.CLOCK_REALTIME, flags=os.TFD_NONBLOCK | os.TFD_CLOEXEC)
    create = getattr(_libc, "timerfd_create", None)
    if create is None:
        raise OSError(errno.ENOSYS, "no timerfd on this system")
    # TFD_NONBLOCK and TFD_CLOEXEC are defined as these.
    flags = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    fd: int = create(_CLOCK_REALTIME, flags)
    return _checked(fd)


def _timerfd_arm(fd: int) -> None:
    if sys.version_info >= (3, 13) and sys.platform == "linux" and hasattr(os, "timerfd_create"):
        flags = os.TFD_TIMER_ABSTIME | os.TFD_TIMER_CANCEL_ON_SET
        os.timerfd_settime_ns(fd, flags=flags, initial=2**63 - 1)
        return
    assert _libc is not None
    due = _Itimerspec(0, 0, _NEVER_S, 0)
    flags = _TFD_TIMER_ABSTIME | _TFD_TIMER_CANCEL_ON_SET
    _checked(_libc.timerfd_settime(fd, flags, ctypes.byref(due), None))


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
