"""What the simulated agents run on: clocks, links to the broker, machines, HTTP."""

import json
from dataclasses import dataclass, field
from functools import partial

from pi_agent.agent import PiAgent
from pi_agent.http import time_reply
from pi_agent.settings import PiSettings
from runtime.clock import SimulatedClock, Slew, read
from topside_agent.http_fallback.http_get import Answer, Failure, TimedResponse

MS = 1_000_000
S = 1_000_000_000


@dataclass
class BaseClock:
    """The clock of the topsides' machine: it shows what the simulation says."""

    now_ns: int = 1_000 * S
    difference_ns: int = 1_777_000_000 * S
    boot_id: str = "topside"
    resolution_ns: int = 1

    def raw_ns(self):
        return self.now_ns

    def realtime_ns(self):
        return self.now_ns + self.difference_ns


@dataclass
class VehicleClock(SimulatedClock):
    """A simulated clock that NTP may slew, and whose machine can sleep: RAW stops then, realtime does not."""

    sleeps: list = field(default_factory=list)  # (from, to) of the base's RAW
    slews: tuple = ()  # (from_s, to_s, ppm), seconds from power-on

    def __post_init__(self):
        super().__post_init__()
        self.slews = tuple(Slew(start, ppm, end - start) for start, end, ppm in self.slews)

    def slept_ns(self, base_raw_ns):
        return sum(max(0, min(base_raw_ns, end) - start) for start, end in self.sleeps)


@dataclass
class Link:
    """One-way delays in ns from and to the broker, drawn per message; `lost`, `doubled` are shares."""

    to_ns: object = lambda _: 1_000_000
    from_ns: object = lambda _: 1_000_000
    lost: float = 0.0
    doubled: float = 0.0
    down: tuple = ()  # (from_s, to_s) of the simulation

    @classmethod
    def instant(cls, **changes):
        """As on one machine."""
        return cls(to_ns=lambda _: 0, from_ns=lambda _: 0, **changes)

    def until_s(self, now_s):
        """When what is sent now is under way: at once, or after the outage."""
        return next((end for start, end in self.down if start <= now_s < end), now_s)


class Machine:
    """What an agent runs on; one that sleeps or is off does nothing."""

    def __init__(self, simulation, clock):
        self.simulation, self.clock = simulation, clock
        self.on = True
        self.asleep_until_ns = 0

    @property
    def is_awake(self):
        return self.on and self.asleep_until_ns <= self.simulation.clock.now_ns

    def do(self, action):
        """Act now, or on waking; never once the power is off."""
        if not self.on:
            return
        if not self.is_awake:
            self.simulation.push(self.asleep_until_ns, lambda: self.do(action))
        else:
            action()

    def every(self, seconds, action):
        """Act again and again."""

        def act():
            action()
            self.simulation.after(seconds, lambda: self.do(act))

        self.simulation.after(seconds, lambda: self.do(act))

    def watch(self, watcher):
        """Read the clock as often as the watch wants it."""

        def act():
            watcher.check()
            self.simulation.after(self.simulation.pause_s(watcher), lambda: self.do(act))

        self.simulation.after(self.simulation.pause_s(watcher), lambda: self.do(act))


class Vehicle:
    """A vehicle from power-on to power-off."""

    def __init__(self, simulation, name, link, *, clock=None, journal=None, **simulated):
        self.name, self.link = name, link
        self.clock = clock or VehicleClock(simulation.clock, **simulated)
        self.machine = Machine(simulation, self.clock)
        self.booted_ns = simulation.clock.now_ns
        self.off_ns = float("inf")
        self.agent = PiAgent(
            PiSettings(vehicle=name, no_http=True, clock_journal=journal),
            self.clock,
            connect=partial(simulation.broker.connection, self.machine, link),
            watch=simulation.make_watch(self.clock),
            synchronized=lambda: bool(self.clock.slews),
            instance_id=simulation.next_instance_id(),
        )
        self.connection = simulation.broker.connections[-1]
        self.connection.start()
        self.machine.watch(self.agent.watcher)


@dataclass
class Http:
    """The vehicles' GET /api/sync/time: `http://NAME:9150`, whatever happens to their links."""

    delay_ns: object = lambda _: MS
    unit_ns: int = 1000
    down: tuple = ()  # (from_s, to_s) of the simulation

    def get(self, simulation, machine, url, clock, done):
        sent = read(clock)

        def finish(outcome):
            done(TimedResponse(outcome, sent, read(clock)))

        def serve():
            outcome = self._outcome(simulation, url.host)
            arrives_s = self.delay_ns(simulation.random) / S
            simulation.after(arrives_s, lambda: machine.do(lambda: finish(outcome)))

        simulation.after(self.delay_ns(simulation.random) / S, serve)

    def _outcome(self, simulation, host):
        vehicle = simulation.vehicles.get(host)
        away = any(start <= simulation.now_s < end for start, end in self.down)
        if away or vehicle is None or not vehicle.machine.is_awake:
            return Failure("network_error", "")
        reply = time_reply(vehicle.clock.realtime_ns() // self.unit_ns * self.unit_ns)
        body = reply.model_dump()
        if self.unit_ns >= MS:
            body["pi_iso"] = body["pi_iso"].partition(".")[0] + "+00:00"
        return Answer(200, json.dumps(body).encode())
