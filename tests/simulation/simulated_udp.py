"""Direct exchanges between simulated machines: `DirectLink` is their network, both ends are the agents'."""

from dataclasses import dataclass, field
from types import SimpleNamespace

from pi_agent.udp.interface import UdpCounts
from runtime.clock import read, was_set
from runtime.watchdog import Loop
from tests.simulation.simulated_machines import MS, S
from topside_agent.udp.interface import DirectExchange, PathState

SILENT_NS, TRY_NS = 1_500 * MS, S


@dataclass
class DirectLink:
    """One-way delays in ns out and back, drawn per datagram; `lost` is a share of exchanges."""

    out_ns: object = lambda _: MS // 10
    back_ns: object = lambda _: MS // 10
    lost: float = 0.0
    down: tuple = ()  # (from_s, to_s) of the simulation
    sessions: dict = field(default_factory=dict)  # by number: the vehicle that answers it

    def arrives(self, simulation):
        away = any(start <= simulation.now_s < end for start, end in self.down)
        return not away and simulation.random.random() >= self.lost


class Service:
    """The vehicle's end, as `pi_agent.udp.service.UdpService`."""

    port = 9151

    def __init__(self, link, vehicle):
        self.link, self.vehicle = link, vehicle
        self.loop = Loop("simulated datagrams")
        self.answered = 0

    def open(self, session):
        self.link.sessions[session.number] = (self, session)

    def counts(self):
        return UdpCounts(self.answered, {}, True, True)


class Transport:
    """Topside's end, as `topside_agent.udp.service.UdpTransport`."""

    def __init__(self, simulation, machine, clock, link, report):
        self.simulation, self.machine, self.clock = simulation, machine, clock
        self.link, self.report = link, report
        self.loop = Loop("simulated datagrams")
        self.paths = {}
        self.generation = 0

    def start(self):
        pass

    stop = start

    def measure(self, vehicle, terms):
        known = self.paths.get(vehicle)
        path = self.paths[vehicle] = SimpleNamespace(
            terms=terms, alive=known is not None and known.alive, answered_ns=self.clock.raw_ns()
        )
        self.train(vehicle, path)

    def forget(self, vehicle):
        if path := self.paths.pop(vehicle, None):
            self.state(vehicle, path, alive=False, reason="stopped")

    def burst(self, vehicle):
        for _ in range(16 if vehicle in self.paths else 0):
            self.exchange(vehicle, self.paths[vehicle])

    def slept(self):
        self.generation += 1

    def train(self, vehicle, path):
        if self.paths.get(vehicle) is not path:
            return
        now_ns = self.clock.raw_ns()
        if path.alive and now_ns - path.answered_ns >= SILENT_NS:
            self.state(vehicle, path, alive=False, reason="silent")
        for _ in range(path.terms.train if path.alive else 1):
            self.exchange(vehicle, path)
        interval_s = path.terms.train / path.terms.rate if path.alive else TRY_NS / S
        self.simulation.after(
            min(interval_s, 0.5), lambda: self.machine.do(lambda: self.train(vehicle, path))
        )

    def exchange(self, vehicle, path):
        simulation, origin, generation = self.simulation, read(self.clock), self.generation
        if not self.link.arrives(simulation):
            return

        def receive():
            service, session = self.link.sessions.get(path.terms.session, (None, None))
            if service is None or session.key != path.terms.key or not service.vehicle.machine.is_awake:
                return
            if service.vehicle.clock.raw_ns() >= session.expires_raw_ns:
                return
            service.answered += 1
            pi = read(service.vehicle.clock)
            simulation.after(
                self.link.back_ns(simulation.random) / S,
                lambda: self.machine.do(lambda: self.finish(vehicle, path, origin, pi, generation)),
            )

        simulation.after(self.link.out_ns(simulation.random) / S, receive)

    def finish(self, vehicle, path, origin, pi, generation):
        if self.paths.get(vehicle) is not path:
            return
        arrived = read(self.clock)
        path.answered_ns = arrived.raw_ns
        if not path.alive:
            self.state(vehicle, path, alive=True, reason="answers")
        exchange = DirectExchange(
            vehicle,
            path.terms.session,
            origin.raw_ns,
            pi.raw_ns,
            pi.raw_ns,
            arrived.raw_ns,
            pi.realtime_minus_raw_ns,
            arrived.realtime_minus_raw_ns,
            2 + (pi.width_ns + arrived.width_ns + 1) // 2,
            "kernel",
            "kernel",
            topside_set=was_set(origin, arrived),
            generation=generation,
        )
        self.report([exchange])

    def state(self, vehicle, path, *, alive, reason):
        path.alive = alive
        address = path.terms.addresses[0] if alive else None
        self.report([PathState(vehicle, path.terms.session, alive, address, reason)])
