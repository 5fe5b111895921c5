"""A `StampClock` that also relates the network hardware's stamps to RAW, where datagrams have them."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from runtime.hardware_socket import DatagramStamp, DepartureStamp
from runtime.hardware_stamps import HardwareStamps
from runtime.stamp_clock import StampClock

if TYPE_CHECKING:
    from runtime.clock import Clock
    from runtime.hardware_kernel import Kernel
    from runtime.realtime_line import RawStamp
    from runtime.realtime_rate import RateSource
    from runtime.sleep import SleepCounter
    from runtime.stamp_clock import Look


class HardwareStampClock(StampClock):
    """As its base; a simulated clock, which has no hardware, is stamped by the kernel alone."""

    def __init__(
        self,
        clock: Clock,
        rate: RateSource | None = None,
        sleep: SleepCounter | None = None,
        kernel: Kernel | None = None,
    ) -> None:
        super().__init__(clock, rate, sleep)
        self.hardware = HardwareStamps(self._machine.raw_ns, kernel)
        if not self._simulated:
            self.raw_of = self._arrived

    def look(self, first_ns: int | None = None) -> Look:
        """As in the base class, and every hardware clock that is in use."""
        first_ns = self.raw_ns() if first_ns is None else first_ns
        self.hardware.read()
        look = super().look(first_ns)
        self.hardware.settle(self._line.raw_of)
        return look

    def departed_at(self, realtime_ns: int, sent_raw_ns: int) -> RawStamp | None:
        """As in the base class."""
        if self._simulated or not isinstance(realtime_ns, DepartureStamp):
            return super().departed_at(realtime_ns, sent_raw_ns)
        kernel = self._line.raw_of(realtime_ns) if self._line.begun_ns <= sent_raw_ns else None
        return None if kernel is None else self.hardware.departed(kernel, realtime_ns)

    def close(self) -> None:
        """Release what it holds."""
        super().close()
        self.hardware.close()

    def _arrived(self, realtime_ns: int) -> RawStamp | None:
        """An arrival. The difference is that of the kernel's stamp, some time after the hardware's."""
        kernel = self._line.raw_of(realtime_ns)
        if kernel is None or not isinstance(realtime_ns, DatagramStamp):
            return kernel
        stamp = self.hardware.arrived(kernel, realtime_ns)
        moved_ns = ceil((kernel.raw_ns - stamp.raw_ns) * self._line.steepest)
        return stamp._replace(half_ns=stamp.half_ns + moved_ns)
