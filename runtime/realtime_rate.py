"""Whether anything changed the rate of realtime against RAW, or set it: asked with every kernel stamp."""

from __future__ import annotations

import contextlib
import ctypes
import platform
import re
import select
import sys
from struct import Struct
from typing import Any, NamedTuple, Protocol

from runtime.clock_samples import ADJTIME_PPM
from runtime.kernel_clock import NOMINAL_TICK_US, ClockSetTimer

_ADJ_OFFSET_SS_READ = 0xA001
"""Reads what adjtime(3) has still to slew, in place of the loop's offset; changes nothing."""
_STATED_WITHIN, _ADJTIME = 20e-6, ADJTIME_PPM * 1e-6
_STA_PLL, _STA_PPSTIME, _STA_NANO = 0x0001, 0x0004, 0x2000
_PLL_SHIFT = 2
"""Of a pending offset the kernel slews 2**-(2 + constant) in each second."""
_HIDDEN_S = 2
"""Seconds in which adjtime's last part may be slewed after it was seen: the next one, which may end late."""
_AT_ONCE = 4, 18
"""Linux before approached a new rate over many ticks, after it had reported it."""
_UNSEEN = 10**12
"""More than adjtime has to slew."""
_EVERY = 3
"""An offset is pending only while the loop runs, or ran: it is looked for at every third call."""
_UNEVEN_NS = 20
_SIZE = 512
_READABLE = getattr(select, "POLLIN", 1)
_LAYOUTS = (Struct("@I4li6l"), Struct("@I4qi6q"))
"""`struct timex` up to the tick: in C's long; and on a 32-bit system whose C library has 64-bit time only."""


class RateState(NamedTuple):
    """All that determines the rate of realtime against RAW, in the kernel's units."""

    offset: int = 0
    frequency: int = 0
    status: int = 0
    constant: int = 0
    tick: int = NOMINAL_TICK_US
    adjusting: int = 0
    """Not 0 while adjtime(3) slews: another number with what is left and each second, and each time while
    that may be but does not show."""

    @property
    def rates(self) -> tuple[float, float]:
        """The least and the greatest rate of realtime against RAW, as fractions: what adjtimex says ± 20 ppm.

        While an offset or adjtime is being slewed away, that much more.
        """
        rate = (self.tick - NOMINAL_TICK_US) * 1e-4 + self.frequency / 65_536e6
        within = _STATED_WITHIN + (_ADJTIME if self.adjusting else 0.0)
        if self.offset:
            share = 2.0 ** -(_PLL_SHIFT + self.constant)
            unit = 1e-9 if self.status & _STA_NANO else 1e-6
            within += abs(self.offset) * unit * share / (1 - share)
        return rate - within, rate + within

    @property
    def uneven_ns(self) -> int:
        """How far realtime may be off an even rate.

        The kernel reaches a rate by two multipliers in turns; some 2 ** -23 apart on x86. They change at a
        tick, of which an idle machine makes few: assumed are 0.16 s between two at the most.
        """
        nominal = (
            self.frequency == 0 and self.tick == NOMINAL_TICK_US and not self.offset and not self.adjusting
        )
        return 0 if nominal else _UNEVEN_NS


class RateSource(Protocol):
    """What tells whether realtime kept its rate against RAW."""

    def state(self) -> RateState | None:
        """It differs after anything moved realtime otherwise than before; None: not known."""

    def was_set(self) -> bool:
        """Whether realtime was set since the last call."""

    def close(self) -> None:
        """Release what it holds."""


class UnknownRate:
    """Of a system that does not report it: no kernel stamp can be related to RAW."""

    def state(self) -> None:
        """None."""

    def was_set(self) -> bool:
        """Not known either."""
        return False

    def close(self) -> None:
        """Nothing is held."""


class KernelRate:
    """Linux: adjtimex(2)'s tick, frequency, offset, constant and status, and what adjtime(3) has yet to slew.

    These determine the rate; each is changed by a system call only, or by the kernel at a full second while
    an offset or an adjtime is pending, which changes its value. Not so the last part of an adjtime, at most
    500 µs: it is pending until a full second, and slewed in the second after it. So for two seconds after
    one was seen no two states are the same; one that came and went between two calls, at a full second, is
    shown by the readings alone. Nor are two the same in the second in which another offset was set, and in
    the next one: what was slewed before ends, and the new one begins, without a sign. Nor where a signal
    once a second sets the phase (STA_PPSTIME), which shows as little. A call takes about 1.5 µs.
    """

    _hidden_until_s = 0
    _calls = _UNSEEN
    _state: RateState | None = None

    def __init__(self) -> None:
        """OSError where the kernel does not report all of it, or reports a rate that it has yet to reach."""
        version = re.match(r"(\d+)\.(\d+)", platform.release()) if sys.platform == "linux" else None
        if version is not None and (int(version[1]), int(version[2])) < _AT_ONCE:
            raise OSError("this Linux reaches a rate some ticks after it reports it")
        self._content = ctypes.create_string_buffer(_SIZE)
        self._place = ctypes.c_void_p(ctypes.addressof(self._content))
        self._modes = ctypes.c_uint.from_buffer(self._content)
        # PyDLL keeps Python's lock: the call returns at once.
        library: Any = ctypes.PyDLL(None) if sys.platform == "linux" else None
        adjtimex: Any = getattr(library, "adjtimex", None)
        if adjtimex is None:
            raise OSError("no adjtimex on this system")
        self._adjtimex = adjtimex
        for layout in _LAYOUTS:
            self._unpack = layout.unpack_from
            if self._ask(0)[-1] in range(NOMINAL_TICK_US * 9 // 10, NOMINAL_TICK_US * 11 // 10 + 1):
                break
        else:
            raise OSError("adjtimex answers in a layout that is not known")
        self._ask(_ADJ_OFFSET_SS_READ)
        self._offset, self._unasked = 0, _EVERY
        self._timer = ClockSetTimer()
        self._poll: Any = getattr(select, "poll")()  # noqa: B009 - Windows has none, and none of the rest
        self._poll.register(self._timer.fileno(), _READABLE)

    def state(self) -> RateState | None:
        """As the kernel has it now; the same object as before where it is."""
        try:
            answer = self._ask(_ADJ_OFFSET_SS_READ)
            _, adjusting, frequency, _, _, status, constant, _, _, second, _, tick = answer
            if self._offset or status & _STA_PLL or self._unasked >= _EVERY:
                _, offset, *_, asked_s, _, _ = self._ask(0)
                self._unasked = 0
                slewed = self._offset - self._offset * 2.0 ** -(_PLL_SHIFT + constant)
                if min(abs(offset - self._offset), abs(offset - slewed)) > 1:
                    self._hidden_until_s = asked_s + 1  # the old one's part of this second goes on
                self._offset = offset
        except OSError:
            return None
        self._unasked += 1
        if adjusting:
            self._hidden_until_s = second + _HIDDEN_S
            adjusting += second * _UNSEEN  # the same in another second was set again
        elif status & _STA_PPSTIME or 0 <= self._hidden_until_s - second <= _HIDDEN_S:  # not if it was set
            self._calls += 1
            adjusting = self._calls
        now = self._offset, frequency, status, constant, tick, adjusting
        if now != self._state:
            self._state = RateState(*now)
        return self._state

    def was_set(self) -> bool:
        """By the kernel's notice; it comes some 10 µs after the clock shows the new time."""
        return bool(self._poll.poll(0)) and self._timer.acknowledge()

    def close(self) -> None:
        """Release the timer."""
        self._timer.close()

    def _ask(self, modes: int) -> tuple[int, ...]:
        self._modes.value = modes
        if self._adjtimex(self._place) < 0:
            raise OSError("adjtimex refuses to be read")
        return self._unpack(self._content)


def rate_source() -> RateSource:
    """This system's."""
    with contextlib.suppress(OSError):
        return KernelRate()
    return UnknownRate()
