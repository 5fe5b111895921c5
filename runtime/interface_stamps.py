"""What a network interface can stamp, as its driver says (ETHTOOL_GET_TS_INFO): pure but for the question."""

from __future__ import annotations

from pathlib import Path
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from runtime.hardware_kernel import Kernel

if TYPE_CHECKING:
    from collections.abc import Callable

_SIOCETHTOOL = 0x8946
_GET_TS_INFO = 0x41
_INFO = Struct("@IIiI12xI12x")
"""struct ethtool_ts_info: command, flags, index of the hardware's clock, transmit types, filters."""
_KERNEL = Kernel()
_TX_HARDWARE, _TX_SOFTWARE, _RX_HARDWARE, _RX_SOFTWARE = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_FILTER_ALL = 1 << 1
_FILTERS_PTP = 0x7FF8
"""The kinds of PTP events, layers and versions."""


class InterfaceStamps(NamedTuple):
    """What one interface can stamp."""

    name: str
    software: bool
    """Departures, by its driver; arrivals are stamped by the kernel for every interface."""
    hardware_clock: int | None
    """Of /dev/ptpN; None: it has none."""
    hardware_all: bool = False
    """Whether the hardware stamps every datagram that arrives."""
    hardware_ptp: bool = False
    """Whether it stamps those that look like PTP events."""

    def __str__(self) -> str:
        departures = "arrivals and departures" if self.software else "arrivals alone"
        if self.hardware_clock is None:
            return f"{self.name}: {departures}, no hardware clock"
        which = "PTP datagrams alone" if self.hardware_ptp else "none"
        which = "every datagram" if self.hardware_all else which
        return f"{self.name}: {departures}; its hardware clock (ptp{self.hardware_clock}) can stamp {which}"


def stamps_of(name: str, information: bytes) -> InterfaceStamps:
    """From the driver's answer, a `struct ethtool_ts_info`."""
    _, flags, clock, transmits, filters = _INFO.unpack_from(information)
    hardware = clock >= 0 and flags & _TX_HARDWARE and flags & _RX_HARDWARE and transmits & 1 << 1
    return InterfaceStamps(
        name,
        software=bool(flags & _TX_SOFTWARE),
        hardware_clock=clock if hardware else None,
        hardware_all=bool(hardware and filters & _FILTER_ALL),
        hardware_ptp=bool(hardware and filters & _FILTERS_PTP),
    )


def ask_driver(name: str, kernel: Kernel = _KERNEL) -> bytes | None:
    """The driver's answer; None if it has none."""
    try:
        return kernel.ask(name, _SIOCETHTOOL, _INFO.pack(_GET_TS_INFO, 0, 0, 0, 0))
    except OSError:
        return None


def interface_stamps(
    folder: Path = Path("/sys/class/net"), ask: Callable[[str], bytes | None] = ask_driver
) -> list[InterfaceStamps]:
    """Of every interface that is a device, in the order of their names; none on other systems than Linux."""
    names = sorted(path.parent.name for path in folder.glob("*/device"))
    return [stamps_of(name, answer) for name in names if (answer := ask(name)) is not None]
