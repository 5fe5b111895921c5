"""A UDP socket that also has the network hardware's stamps, and knows whose they are (SO_TIMESTAMPING).

The kernel gives the interface of an arrival twice: the device whose driver stamped it (OPT_PKTINFO), and the
interface that it arrived on (IP_PKTINFO), which may be a bond or a VLAN above. A departure's stamps come one
by one, the software's first (OPT_TX_SWHW), each with the device that sent it (OPT_CMSG, for which the
datagram itself has to come back too).
"""

from __future__ import annotations

import socket
from collections import OrderedDict
from pathlib import Path
from struct import Struct
from typing import TYPE_CHECKING, Any

from runtime.stamped_socket import (
    TIMESTAMPING_STAMPS,
    StampedSocket,
    ask_for_stamps,
    datagram_number,
)

if TYPE_CHECKING:
    from runtime.stamped_socket import SocketAddress

_Ancillary = list[tuple[int, int, bytes]]

# From linux/net_tstamp.h: TX_HARDWARE, TX_SOFTWARE, RX_HARDWARE, RX_SOFTWARE, SOFTWARE, RAW_HARDWARE, OPT_ID,
# OPT_CMSG, OPT_PKTINFO, OPT_TX_SWHW.
_FLAGS = sum(1 << bit for bit in (0, 1, 2, 3, 4, 6, 7, 10, 13, 14))
_SCM_PKTINFO = 58
_IP_PKTINFO, _IPV6_RECVPKTINFO, _IPV6_PKTINFO = 8, 49, 50
_INDEX, _INDEX6 = Struct("=I"), Struct("=16xI")
_SHORT, _LONG = Struct("=6i"), Struct("=6q")
_SOCKET = socket.SOL_SOCKET
_ERROR_QUEUE: int = getattr(socket, "MSG_ERRQUEUE", 0)
_SIZE = 512
"""Of all control messages of a datagram."""
_KEPT = 64
_ALLOWS_DATA = "/proc/sys/net/core/tstamp_allow_data"


class DatagramStamp(int):
    """The kernel's stamp of a datagram, ns of realtime; beside it what the hardware says."""

    interface = 0
    """Its index; 0: not known."""
    device = 0
    """Of the interface whose hardware stamped it."""
    hardware_ns = 0
    """By that interface's clock; 0: the hardware did not stamp it."""


class DepartureStamp(DatagramStamp):
    """Of a datagram that left."""


class HardwareSocket(StampedSocket):
    """As its base, with `DatagramStamp` for stamps."""

    def __init__(self, family: int) -> None:
        super().__init__(family)
        self.hardware_refused = self.refused or self._ask_for_hardware()
        """Why there are no stamps of the hardware; None if the kernel accepted the request."""
        self._plain: Any = self._recvmsg
        self._recvmsg = self._observed
        self._arrived: _Ancillary = []
        self._of_hardware: OrderedDict[int, tuple[int, int]] = OrderedDict()
        """The device and its stamp, by the kernel's number of the datagram."""
        self._counted: OrderedDict[int, tuple[int, int]] = OrderedDict()
        """That number and the interface, by the software's stamp."""

    def receive(self, size: int) -> tuple[bytes, int, SocketAddress] | None:
        """As in the base class."""
        received = super().receive(size)
        if received is None or not received[1]:
            return received
        data, stamp_ns, sender = received
        stamp = DatagramStamp(stamp_ns)
        stamp.interface, stamp.device, _, stamp.hardware_ns = _parts(self._arrived)
        return data, stamp, sender

    def left(self, number: int) -> int:
        """As in the base class."""
        self.collect(-1)  # the hardware's stamps come after the software's
        stamp_ns = super().left(number)
        if not stamp_ns:
            return 0
        stamp = DepartureStamp(stamp_ns)
        counted, stamp.interface = self._counted.pop(stamp_ns, (-1, 0))
        if counted in self._of_hardware:
            stamp.device, stamp.hardware_ns = self._of_hardware.pop(counted)
        return stamp

    def _observed(self, size: int, _: int, flags: int = 0) -> tuple[bytes, _Ancillary, int, SocketAddress]:
        """recvmsg, with room for more control messages; what they say of the hardware is kept."""
        received: tuple[bytes, _Ancillary, int, SocketAddress] = self._plain(size, _SIZE, flags)
        if not flags & _ERROR_QUEUE:
            self._arrived = received[1]
        elif (counted := datagram_number(received[1])) is not None:
            self._departed(counted, received[1])
        return received

    def _departed(self, counted: int, ancillary: _Ancillary) -> None:
        """One of the two stamps of the datagram that the kernel gave this number."""
        interface, _, software_ns, hardware_ns = _parts(ancillary)
        if software_ns:
            twice = software_ns in self._counted
            self._counted[software_ns] = (-1, 0) if twice else (counted, interface)
        if hardware_ns:
            self._of_hardware.setdefault(counted, (interface, hardware_ns))
        for kept in (self._counted, self._of_hardware):
            if len(kept) > _KEPT:
                kept.popitem(last=False)

    def _ask_for_hardware(self) -> str | None:
        if self.socket.family is socket.AF_INET6:
            level, name = socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO
        else:
            level, name = socket.IPPROTO_IP, _IP_PKTINFO
        if _read(_ALLOWS_DATA) == "0":  # then no stamp comes back with its datagram
            return f"{_ALLOWS_DATA} is 0"
        try:
            self.socket.setsockopt(level, name, 1)
        except OSError as error:
            return f"the system refuses them: {error.strerror}"
        return ask_for_stamps(self.socket, _FLAGS)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _parts(ancillary: _Ancillary) -> tuple[int, int, int, int]:
    """The interface, the device that stamped, the software's stamp and the hardware's; 0: missing."""
    interface = device = software_ns = hardware_ns = 0
    for level, kind, content in ancillary:
        if level == _SOCKET and kind in TIMESTAMPING_STAMPS:
            layout = _LONG if len(content) >= _LONG.size else _SHORT
            if len(content) >= layout.size:
                stamps = layout.unpack_from(content)
                software_ns = stamps[0] * 1_000_000_000 + stamps[1]
                hardware_ns = stamps[4] * 1_000_000_000 + stamps[5]
        elif (level, kind) == (_SOCKET, _SCM_PKTINFO) and len(content) >= _INDEX.size:
            (device,) = _INDEX.unpack_from(content)
        elif (level, kind) == (socket.IPPROTO_IPV6, _IPV6_PKTINFO) and len(content) >= _INDEX6.size:
            (interface,) = _INDEX6.unpack_from(content)
        elif (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO) and len(content) >= _INDEX.size:
            (interface,) = _INDEX.unpack_from(content)
    return interface, device, software_ns, hardware_ns
