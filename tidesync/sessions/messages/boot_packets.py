"""What the packets of a .tlog state of an autopilot's time since boot, start by start."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

import numpy as np
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from tidesync.sessions.messages.boot_clock import Asked, Heard
from tidesync.sessions.messages.mavlink_packets import STAMP, described

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidesync.sessions.correction.timeline import Corrections
    from tidesync.sessions.messages.mavlink_packets import Packets
    from topside_agent.estimator.blocks import Floats, Integers

_STATED = {2, 29, 30, 31, 32, 33, 34, 65, 116, 137}
"""Messages that ArduPilot sends with `time_boot_ms` of that time."""
_ATTITUDE, _TIMESYNC = 30, 111
_AUTOPILOT = 1
_RESTARTED_MS = 1_000


class Start:
    """One run of the autopilot; entries are boot ns, topside ns, error ns, one after the other."""

    def __init__(self) -> None:
        self.stated, self.asked = array("q"), array("q")
        self.attitudes = array("d")
        """Boot time, µs, roll, pitch and yaw, degrees."""

    @property
    def count(self) -> int:
        """How many packets stated a boot time."""
        return len(self.stated) // 3

    def heard(self) -> Heard:
        """All, by their boot times, on the clock of their stamps."""
        boot_ns, topside_ns, error_ns = _columns(self.stated)
        asked_ns, at_ns, within_ns = _columns(self.asked)
        asked = Asked(asked_ns, at_ns, within_ns, np.zeros_like(at_ns))
        return Heard(boot_ns, topside_ns, error_ns, np.zeros_like(boot_ns), asked)

    @property
    def attitude(self) -> Floats:
        """As an array."""
        return np.array(self.attitudes, dtype=np.float64).reshape(-1, 4)


def _columns(entries: array[int]) -> Sequence[Integers]:
    """As arrays, by the boot times."""
    found: Integers = np.array(entries, dtype=np.int64).reshape(-1, 3)
    return [*found[np.lexsort(found.T[::-1])].T.copy()]


class BootPackets:
    """Takes packets in the order of the file, with their corrected stamps."""

    def __init__(self) -> None:
        self.by_system: dict[int, list[Start]] = {}
        self._decoder = mavlink.MAVLink(None)
        self._requests: dict[int, tuple[int, int]] = {}

    def take(self, packets: Packets, found: Corrections) -> None:
        """Take some packets; those without an answer state nothing."""
        answered = found.answered.tolist()
        at_ns, error_ns = found.topside_ns.tolist(), found.max_error_ns.tolist()
        for place, names in enumerate(described(packets)):
            system, component, kind = map(int, names.split(","))
            if not answered[place] or kind not in {*_STATED, _TIMESYNC}:
                continue
            packet = packets.data[packets.starts[place] + STAMP : packets.ends[place]]
            message = self._decoded(packet)
            if message is None:
                continue
            at = at_ns[place], error_ns[place]
            if kind == _TIMESYNC:
                self._timesync(system, component, message, at)
            elif component == _AUTOPILOT:
                self._stated(system, kind, message, at)

    def _decoded(self, packet: bytes) -> Any:
        try:
            return self._decoder.decode(bytearray(packet))
        except mavlink.MAVError:
            return None

    def _stated(self, system: int, kind: int, message: Any, at: tuple[int, int]) -> None:
        start = self._start(system, message.time_boot_ms)
        start.stated.extend((message.time_boot_ms * 1_000_000, *at))
        if kind == _ATTITUDE:
            angles = (np.degrees(each) for each in (message.roll, message.pitch, message.yaw))
            start.attitudes.extend((message.time_boot_ms * 1e3, *map(float, angles)))

    def _timesync(self, system: int, component: int, message: Any, at: tuple[int, int]) -> None:
        if not message.tc1:
            self._requests.setdefault(message.ts1, at)  # routers forward copies
        elif component == _AUTOPILOT and message.ts1 in self._requests:
            start = self._start(system, message.tc1 // 1_000_000)
            start.asked.extend((message.tc1, *self._requests[message.ts1]))
            start.stated.extend((message.tc1, *at))

    def _start(self, system: int, boot_ms: int) -> Start:
        starts = self.by_system.setdefault(system, [Start()])
        last = starts[-1].stated[-3] if starts[-1].stated else 0
        if boot_ms * 1_000_000 < last - _RESTARTED_MS * 1_000_000:
            starts.append(Start())
        return starts[-1]
