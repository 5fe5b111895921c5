"""Dataflash logs and the .tlog of the same dive, with a known truth: an autopilot with a clock of its own."""

import struct
from dataclasses import dataclass

import numpy as np
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from tests.unit.tracks import START, S

FORMATS = {
    128: ("FMT", "BBnNZ", "Type,Length,Name,Format,Columns"),
    129: ("ATT", "QccccCC", "TimeUS,DesRoll,Roll,DesPitch,Pitch,DesYaw,Yaw"),
    130: ("BARO", "Qff", "TimeUS,Alt,Press"),
    131: ("NOTE", "Z", "Text"),
}
_CODES = {"B": "B", "n": "4s", "N": "16s", "Z": "64s", "Q": "Q", "c": "h", "C": "H", "f": "f"}


@dataclass(frozen=True)
class Autopilot:
    """Its clock was zero at `booted_s` and runs `drift` too fast; its heading depends on `turn`."""

    booted_s: float = 2.0
    drift: float = 35e-6
    turn: float = 1.0

    def boot_ns(self, at_ns):
        """What it shows at topside's instants."""
        passed = np.asarray(at_ns) - START - round(self.booted_s * S)
        return passed + np.rint(passed * self.drift).astype(np.int64)

    def attitude(self, at_ns):
        """Roll, pitch and yaw, degrees."""
        at_s = (at_ns - START) / S
        return (
            20 * np.sin(self.turn * at_s),
            10 * np.cos(self.turn * at_s / 2),
            90 + 80 * np.sin(at_s * self.turn / 5),
        )


def _record(kind, *values):
    return struct.pack("<BBB" + "".join(_CODES[each] for each in FORMATS[kind][1]), 0xA3, 0x95, kind, *values)


def write_log(path, autopilot, *, seconds=120, rate=20):
    """A dataflash log of the time from the boot on; topside's instants of its records with a time, ns."""
    chance, truth, parts = np.random.default_rng(5), [], []
    for kind, (name, form, columns) in FORMATS.items():
        size = 3 + struct.calcsize("<" + "".join(_CODES[each] for each in form))
        parts.append(_record(128, kind, size, name.encode(), form.encode(), columns.encode()))
    for number in range((seconds - 3) * rate):
        at_ns = START + 3 * S + number * S // rate + int(chance.integers(1_000_000))
        boot_us = int(autopilot.boot_ns(at_ns)) // 1000
        roll, pitch, yaw = (round(each * 100) for each in autopilot.attitude(at_ns))
        parts.append(_record(129, boot_us, roll, roll, pitch, pitch, yaw, yaw))
        parts.append(_record(130, boot_us, 1.5, 2.5))
        truth += [at_ns, at_ns]
        if number % 50 == 0:
            parts.append(_record(131, b"a note without a time"))
    path.write_bytes(b"".join(parts))
    return truth


def write_tlog_of(
    path, autopilot, clock, *, seconds=120, rate=20, timesync=False, system=1, early=None, copied_ns=0
):
    """What a recorder whose clock is `clock` heard: packets that took 1 ms and, mostly, some more.

    `copied_ns`: so much later a router's copy of each TIMESYNC request is heard, and the answer after that.
    """
    chance, sender, entries = np.random.default_rng(6), mavlink.MAVLink(None, system, 1), []
    surface = mavlink.MAVLink(None, 255, 190)
    begin_s = round(autopilot.booted_s) + 1
    for number in range((seconds - begin_s) * rate):
        at_ns = START + begin_s * S + number * S // rate
        boot_ms = int(autopilot.boot_ns(at_ns)) // 1_000_000
        roll, pitch, yaw = map(np.radians, autopilot.attitude(at_ns))
        packet = mavlink.MAVLink_attitude_message(boot_ms, roll, pitch, yaw, 0, 0, 0).pack(sender)
        entries.append((at_ns + 1_000_000 + int(chance.exponential(6e6)), packet))
        if timesync and number % rate == 0:
            answered_ns = at_ns + 2_000_000 + int(chance.exponential(1e6))
            boot_ns = int(autopilot.boot_ns(answered_ns))
            request = mavlink.MAVLink_timesync_message(0, at_ns).pack(surface)
            answer = mavlink.MAVLink_timesync_message(boot_ns, at_ns).pack(sender)
            heard_ns = answered_ns + 2_000_000 + copied_ns + int(chance.exponential(1e6))
            entries += [(at_ns, request), (heard_ns, answer)]
            entries += [(at_ns + copied_ns, request)] if copied_ns else []
    entries = [each for each in sorted(entries) if not clock.off((each[0] - START) / S)]
    stamps = clock.shows(np.array([at_ns for at_ns, _ in entries])) // 1000
    for number, early_ms in (early or {}).items():
        stamps[number] -= early_ms * 1000
    pairs = zip(stamps.tolist(), entries, strict=True)
    path.write_bytes(b"".join(struct.pack(">Q", us) + packet for us, (_, packet) in pairs))
