"""A vehicle's clock with a known truth, the session that measures it, and the timeline made of that.

It drifts by 40 ppm, is 1.2 s behind, and is stepped, slewed and restarted as it is asked for. Instants are
seconds after the session's start on topside's clock, which is the truth.
"""

import json
from dataclasses import dataclass, field

import numpy as np

from tests.unit.tracks import START, S
from tidesync.sessions.correction.prepared import prepare
from tidesync.sessions.correction.session import Options
from tidesync.sessions.folder import SessionFolder

OFFSET_S, DRIFT = -1.2, 40e-6
BASE_NS = START - 36_800 * S


@dataclass(frozen=True)
class PiClock:
    """`steps`: (at, size); `slews`: (from, to, ppm); `reboot`: (at, how long off, how far it is set)."""

    steps: tuple = ()
    slews: tuple = ()
    reboot: tuple = field(default=())

    def moved_ns(self, topside_ns):
        at_s = (np.asarray(topside_ns) - START) / S
        moved = sum((np.where(at_s >= at, size, 0.0) for at, size in self.steps), np.zeros(at_s.shape))
        for begin, end, ppm in self.slews:
            moved = moved + np.clip(at_s - begin, 0, end - begin) * ppm * 1e-6
        for at, off_s, size in (self.reboot,) if self.reboot else ():
            moved = moved + np.where(at_s >= at + off_s / 2, size, 0.0)
        return np.rint(moved * S).astype(np.int64)

    def raw_ns(self, topside_ns):
        passed = np.asarray(topside_ns) - START
        return START + passed + np.rint(passed * DRIFT).astype(np.int64)

    def shows(self, topside_ns):
        """What it shows at topside's instants, ns."""
        return self.raw_ns(topside_ns) + round(OFFSET_S * S) + self.moved_ns(topside_ns)

    def boot(self, at_s):
        return "b2" if self.reboot and at_s >= self.reboot[0] else "b1"

    def off(self, at_s):
        return bool(self.reboot) and self.reboot[0] <= at_s <= sum(self.reboot[:2])


CLOCKS = {
    "drift": PiClock(),
    "step": PiClock(steps=((60, 3.0),)),
    "back": PiClock(steps=((60, -3.0),)),
    "slew": PiClock(slews=((40, 70, 450),)),
    "reboot": PiClock(reboot=(60, 20, -2.5)),
}


def write_session(folder, clock, seconds=120):
    """Four exchanges a second."""
    chance, lines = np.random.default_rng(1), []
    for number in range(seconds * 4):
        if clock.off(number / 4):
            continue
        out, back = chance.exponential(2e5, 2).astype(int) + 300_000
        origin = START + number * S // 4 + int(chance.integers(1_000_000))
        receive, transmit = origin + int(out), origin + int(out) + 100_000
        moved, boot = int(clock.moved_ns(transmit)), clock.boot(number / 4)
        base = BASE_NS + moved + (0 if boot == "b1" else 36_830 * S)
        lines.append(
            {
                "vehicle": "rov1",
                "topside": "topside",
                "method": "mqtt_exchange_v1",
                "seq": number,
                "boot_id": boot,
                "origin_ns": origin,
                "receive_ns": int(clock.raw_ns(receive)) + round(OFFSET_S * S) + moved,
                "transmit_ns": int(clock.raw_ns(transmit)) + round(OFFSET_S * S) + moved,
                "destination_ns": transmit + int(back),
                "pi_realtime_minus_raw_ns": base,
                "topside_realtime_minus_raw_ns": BASE_NS + 7,
                "receive_stamp": "kernel",
                "transmit_stamp": "write",
                "resolution_ns": 1000,
            }
        )
    (folder / "time_sync").mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "time_sync" / "exchanges.jsonl").write_text(text)


def _timeline(name, folder):
    named = folder / "x.csv"
    named.write_text("timestamp\n")
    write_session(folder, CLOCKS[name])
    return prepare(SessionFolder(folder), Options(files=(named,), vehicle="rov1")).timelines["rov1"]


def timeline_of(name, folders):
    """The timeline of one of CLOCKS, made once; `folders`: pytest's factory of temporary folders."""
    if name not in _made:
        _made[name] = _timeline(name, folders.mktemp(name))
    return _made[name]


_made = {}
