"""A `DirectWorld` whose machines have network hardware that stamps, with clocks of its own."""

import errno
import random
from dataclasses import dataclass

from runtime.hardware_socket import DatagramStamp, DepartureStamp
from runtime.hardware_stamp_clock import HardwareStampClock
from tests.simulation.direct_world import US, DirectWorld, Network, S, _Sent
from tests.simulation.mixed_world import MixedWorld, starved
from tests.unit.fake_hardware import EXTENDED, FakeKernel

TAI_NS = 37 * S


@dataclass
class Hardware:
    """An interface's hardware by the true time; seconds are of the true time."""

    offset_ns: int = TAI_NS
    ppm: float = 25.0
    steps: tuple = ()
    """(at_s, ns): its clock is set."""
    slews: tuple = ()
    """(from_s, until_s, ppm): its rate is corrected."""
    reads_raw: bool = True
    lost: float = 0.0
    """Such a share of datagrams it does not stamp."""
    vanishes_s: float = 1e9
    device: int = 2
    """Which says to have stamped what arrives; the interface is 2."""
    other_ns: int = 0
    """What its stamps are off the clock that is read: they are another one's."""
    latency_ns: int = 150
    """Its stamps are so far off the wire, at the most."""

    def at(self, at_ns):
        moved = self.offset_ns + sum(ns for at_s, ns in self.steps if at_s * S <= at_ns)
        for start, end, ppm in self.slews:
            moved += round(max(0, min(at_ns, end * S) - start * S) * ppm * 1e-6)
        return 10**18 + at_ns + round(at_ns * self.ppm * 1e-6) + moved


class _HardwareSent(_Sent):
    """As its base; what left has the hardware's stamp too, of the wire."""

    def send(self):
        number, _ = super().send()
        wire_ns = self.world.tick(self.world.chance.randrange(2 * US, 9 * US))
        if number in self.stamps and id(self.machine) in self.world.kernels:
            stamp = DepartureStamp(self.stamps[number])
            self.stamps[number] = self.world.stamped(self.machine, stamp, wire_ns)
        return number, wire_ns


class HardwareWorld(DirectWorld):
    """`hardware` by machine, "pi" and "topside"; the instants of exchanges are those of the wire."""

    def __init__(self, seed, hardware, **changes):
        super().__init__(seed, **changes)
        self.of_hardware = random.Random(seed)
        self.kernels, self.hardware, self._software = {}, {}, {}
        for name, each in hardware.items():
            machine = getattr(self, name)
            self.kernels[id(machine)] = kernel = FakeKernel(
                lambda each=each: each.at(self.tick(400 + self.of_hardware.randrange(500))),
                machine.raw_ns,
                machine.realtime_ns,
                reads_raw=each.reads_raw,
            )
            self.hardware[id(machine)] = each
            clock = HardwareStampClock(machine, machine, machine, kernel)
            setattr(self, {"pi": "pi_clock", "topside": "clock"}[name], clock)
        self.pi_sent, self.sent = (
            _HardwareSent(self, self.pi, self.pi_clock),
            _HardwareSent(self, self.topside, self.clock),
        )
        self.look = self.clock.look()

    def stamped(self, machine, stamp, wire_ns):
        hardware = self.hardware[id(machine)]
        stamp.interface = 2
        if self.now / S >= hardware.vanishes_s:
            self.kernels[id(machine)].refusals[EXTENDED] = errno.ENODEV
        elif self.of_hardware.random() >= hardware.lost:
            off_ns = self.of_hardware.randint(-hardware.latency_ns, hardware.latency_ns)
            stamp.device = hardware.device
            stamp.hardware_ns = hardware.at(wire_ns + off_ns) + hardware.other_ns
        return stamp

    def _transfer(self, delay, left_ns, machine, act):
        """The kernel stamps an arrival some microseconds after the wire."""

        def acts(software_ns):
            wire_ns = software_ns - self.of_hardware.randrange(3 * US, 12 * US)
            self._software[wire_ns] = software_ns
            act(wire_ns)

        super()._transfer(lambda chance: delay(chance) + 12 * US, left_ns, machine, acts)

    def _stamp(self, machine, arrived_ns):
        software_ns = super()._stamp(machine, self._software.pop(arrived_ns))
        if not software_ns or id(machine) not in self.kernels:
            return software_ns
        return self.stamped(machine, DatagramStamp(software_ns), arrived_ns)


class MixedHardwareWorld(HardwareWorld, MixedWorld):
    """Estimates over exchanges of every path and kind of stamp."""


def drawn_with_hardware(seed, until_s):
    """A world whose network hardware comes, goes, is set and corrected, and stamps some datagrams only."""
    chance = random.Random(f"hardware {seed}")
    least = chance.choice([2, 50, 200]) * US
    network = Network(
        out=lambda source: least + round(source.expovariate(1 / US)),
        back=lambda source: least + round(source.expovariate(1 / US)),
        loss=chance.choice([0, 0.1]),
    )
    sides = chance.choice([("pi",), ("topside",), ("pi", "topside"), ("pi", "topside")])
    machines = [
        {
            "offset_ns": chance.randrange(-(10**12), 10**12),
            "drift_ppm": chance.uniform(-80, 80),
            "slews": ((0, chance.uniform(2, until_s), chance.choice([0.0, 3.0, -100.0])),),
            "wakes_in": starved(chance.choice([0.03, 1, 50])),
        }
        for _ in range(2)
    ]
    return MixedHardwareWorld(
        seed,
        {side: _hardware(chance, until_s) for side in sides},
        pi=machines[0],
        topside=machines[1],
        network=network,
        mqtt=lambda source: 40 * US + round(source.expovariate(1 / (10 * US))),
        ping_s=chance.choice([0.25, 1.0]),
        rate=chance.choice([10.0, 30.0]),
    )


def _hardware(chance, until_s):
    steps = sorted(chance.uniform(1, until_s) for _ in range(chance.choice([0, 0, 3])))
    ppm = chance.choice([0, 0.05, 0.05, 1, 40])
    return Hardware(
        offset_ns=chance.randrange(-(10**12), 10**12),
        ppm=chance.uniform(-80, 80),
        steps=tuple((at_s, round(chance.choice([-1, 1]) * 10 ** chance.uniform(3.5, 11))) for at_s in steps),
        slews=tuple((at / 8, (at + 1) / 8, chance.uniform(-ppm, ppm)) for at in range(8 * until_s)),
        reads_raw=chance.random() < 0.5,
        lost=chance.choice([0, 0, 0.3]),
        vanishes_s=chance.choice([10**9, 10**9, until_s / 2]),
    )
