"""Hardware stamps on RAW: each interface's hardware clock, opened when a datagram uses the interface.

They refine the kernel's, never replace them: an arrival becomes earlier, a departure later. Each is moved to
its safe side by all that it may be wrong by, so that it widens no other stamp's error, and an exchange may
have stamps of any kinds.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from runtime.hardware_clock import HardwareClock
from runtime.hardware_config import clock_of, turn_on
from runtime.hardware_kernel import Kernel
from runtime.hardware_line import HardwareLine

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.hardware_clock import ClockReading
    from runtime.hardware_socket import DatagramStamp
    from runtime.realtime_line import RawStamp

    RawOf = Callable[[int], RawStamp | None]

_log = logging.getLogger(__name__)

CORRECTED_NS = 200
"""Drivers take nominal delays between the clock and the wire off their stamps: what these may be wrong by."""
_LONGEST_NS = 100_000_000
"""From the wire to the kernel: what lies farther apart is not of the same datagram, or of another clock."""
_MOST_READINGS = 3
"""One shows that a line ended, the next begins one, the third goes on with it."""
_AGAIN_NS, _CHECK_NS = 60_000_000_000, 10_000_000_000
"""Until an interface that was refused is tried again; between looks whether its clock is still the same."""
_MOST_INTERFACES = 64


class _Interface:
    """One interface: its hardware clock and the clock's line, or why it has none."""

    def __init__(self, name: str, now_ns: int, refused: str | None = None) -> None:
        self.name, self.refused, self.looked_ns = name, refused, now_ns
        self.clock: HardwareClock | None = None
        self.line = HardwareLine()
        self.pending: ClockReading | None = None
        """One beside realtime, until that can be put on RAW."""

    @property
    def state(self) -> str:
        """For people."""
        if self.clock is None:
            return f"{self.name}: none: {self.refused}"
        beside = "RAW" if self.clock.is_beside_raw else "realtime"
        return f"{self.name}: by its hardware clock (ptp{self.clock.number}), which is read beside {beside}"


class HardwareStamps:
    """Of one thread, on one machine; `states` in any."""

    def __init__(self, raw_ns: Callable[[], int], kernel: Kernel | None = None) -> None:
        """`raw_ns` is the machine's RAW."""
        self._raw_ns, self._kernel = raw_ns, kernel or Kernel()
        self._interfaces: dict[int, _Interface] = {}
        self._logged: dict[str, str] = {}

    @property
    def states(self) -> tuple[str, ...]:
        """What is stamped on each interface that datagrams used."""
        return tuple(each.state for each in list(self._interfaces.values()))

    def read(self) -> None:
        """Read every clock that is open, before the system's own are."""
        for index, used in list(self._interfaces.items()):
            if used.clock is None:
                continue
            try:
                self._read(used, used.clock)
            except OSError as error:
                self._refuse(index, used.name, str(error.strerror or error))

    def settle(self, raw_of: RawOf) -> None:
        """Put readings beside realtime on RAW, once the system's clocks were read."""
        for used in self._interfaces.values():
            if (reading := used.pending) is None:
                continue
            used.pending = None
            before, after = raw_of(reading.before_ns), raw_of(reading.after_ns)
            if before is not None and after is not None:
                low_ns, high_ns = before.raw_ns - before.half_ns, after.raw_ns + after.half_ns
                used.line.take(low_ns, reading.clock_ns, max(low_ns, high_ns))

    def arrived(self, kernel: RawStamp, stamp: DatagramStamp) -> RawStamp:
        """The arrival that the kernel stamped so, by the hardware where that is earlier."""
        found = self._found(stamp)
        if found is None:
            return kernel
        latest_ns, earliest_ns = kernel.raw_ns + kernel.half_ns, kernel.raw_ns - kernel.half_ns - _LONGEST_NS
        if found.raw_ns - found.half_ns > latest_ns or found.raw_ns + found.half_ns < earliest_ns:
            self._contradicted(stamp)
            return kernel
        raw_ns = found.raw_ns + found.half_ns + CORRECTED_NS
        return kernel if raw_ns >= kernel.raw_ns else kernel._replace(raw_ns=raw_ns, by_hardware=True)

    def departed(self, kernel: RawStamp, stamp: DatagramStamp) -> RawStamp | None:
        """The departure, by the hardware where that is later; None: the two contradict each other."""
        found = self._found(stamp)
        if found is None:
            return kernel
        earliest_ns, latest_ns = kernel.raw_ns - kernel.half_ns, kernel.raw_ns + kernel.half_ns + _LONGEST_NS
        if found.raw_ns + found.half_ns < earliest_ns or found.raw_ns - found.half_ns > latest_ns:
            self._contradicted(stamp)
            return None
        raw_ns = found.raw_ns - found.half_ns - CORRECTED_NS
        return kernel if raw_ns <= kernel.raw_ns else kernel._replace(raw_ns=raw_ns, by_hardware=True)

    def close(self) -> None:
        """Release the clocks; what the interfaces stamp stays as it is."""
        for used in self._interfaces.values():
            if used.clock is not None:
                used.clock.close()
        self._interfaces.clear()

    def _found(self, stamp: DatagramStamp) -> RawStamp | None:
        """RAW by the hardware; the interface is used from now on."""
        if not stamp.interface:
            return None
        used = self._used(stamp.interface)
        if used is None or used.clock is None or not stamp.hardware_ns or stamp.device != stamp.interface:
            return None
        return used.line.raw_of(stamp.hardware_ns)

    def _contradicted(self, stamp: DatagramStamp) -> None:
        used = self._interfaces[stamp.interface]
        used.line.end()
        self._tell(used.name, f"{used.name}: a hardware stamp contradicts the kernel's, and is not used")

    def _used(self, index: int) -> _Interface | None:
        used, now_ns = self._interfaces.get(index), self._raw_ns()
        if used is not None and now_ns - used.looked_ns < (_CHECK_NS if used.clock else _AGAIN_NS):
            return used
        if used is None and len(self._interfaces) >= _MOST_INTERFACES:
            return None
        try:
            name = self._kernel.name_of(index)
        except OSError:
            return self._refuse(index, f"interface {index}", "it is gone")
        number = clock_of(name, self._kernel)
        if isinstance(number, str):
            return self._refuse(index, name, number)
        if used is not None and used.clock is not None and (used.clock.number, used.name) == (number, name):
            used.looked_ns = now_ns
            return used
        return self._open(index, name, number)

    def _open(self, index: int, name: str, number: int) -> _Interface:
        """Turn its stamps on and open its clock, which may take a while: some drivers restart the link."""
        if refused := turn_on(name, self._kernel):
            return self._refuse(index, name, refused)
        try:
            clock = HardwareClock(number, self._kernel)
        except OSError as error:
            return self._refuse(index, name, str(error.strerror or error))
        opened = self._replace(index, _Interface(name, self._raw_ns()))
        opened.clock = clock
        self._tell(name, f"datagrams are stamped on {opened.state}")
        return opened

    def _refuse(self, index: int, name: str, reason: str) -> _Interface:
        self._tell(name, f"datagrams have no hardware stamps on {name}: {reason}")
        return self._replace(index, _Interface(name, self._raw_ns(), reason))

    def _replace(self, index: int, by: _Interface) -> _Interface:
        before = self._interfaces.get(index)
        if before is not None and before.clock is not None:
            before.clock.close()
        self._interfaces[index] = by
        return by

    def _tell(self, name: str, sentence: str) -> None:
        """Log what changed, once."""
        if self._logged.get(name) != sentence:
            self._logged[name] = sentence
            _log.info("%s", sentence)

    def _read(self, used: _Interface, clock: HardwareClock) -> None:
        """OSError where it can be read no more, or is not read beside this machine's RAW."""
        for _ in range(_MOST_READINGS):
            first_ns = self._raw_ns()
            reading = clock.read()
            last_ns = self._raw_ns()
            if reading is None:
                return
            if not clock.is_beside_raw:
                used.pending = reading
                return
            if not first_ns <= reading.before_ns <= reading.after_ns <= last_ns:
                raise OSError("its clock is read beside another clock than this program's")
            if used.line.take(*reading):
                return
