"""The real agents of both sides in memory, over one simulated broker: nothing runs but the loop of
`Simulation`.

Each agent has a machine with a clock of its own and a link to the broker. What the agents' threads do in a
process (ticks, looks at the clock, handshakes over HTTP) are events here, like the arrival of a message.
"""

import heapq
import random
from collections import deque
from dataclasses import dataclass
from functools import partial
from itertools import count

from runtime.clock import Reading
from runtime.clock_watch import ClockWatcher
from schemas import topics
from schemas.instants import ns_from_utc
from schemas.messages import ExchangeBatch
from tests.simulation import simulated_udp
from tests.simulation.simulated_broker import SimulatedBroker
from tests.simulation.simulated_machines import (
    MS,
    BaseClock,
    Http,
    Link,
    Machine,
    S,
    Vehicle,
    VehicleClock,
)
from topside_agent.group.agent import GroupAgent
from topside_agent.group.local_socket import LocalMessage
from topside_agent.settings import TopsideSettings

ROOT = "tidesync"


@dataclass
class Published:
    """A result beside the truth."""

    at_s: float
    result: object
    true_ms: float
    true_before_ms: float

    @property
    def right(self):
        truths = self.true_ms, self.true_before_ms
        return any(self.result.lower_ms <= true <= self.result.upper_ms for true in truths)

    @property
    def error_ms(self):
        return abs(self.result.offset_ms - self.true_ms)


@dataclass
class SimulatedProof:
    """Which other topsides' processes run on the machine of `clock`."""

    simulation: object
    clock: object

    def same(self, topside, instance_id):  # noqa: ARG002 - as a `Prover`
        return self.simulation.clock_of.get(instance_id) is self.clock

    def accept(self):
        pass

    close = accept


class SimulatedChannel:
    """Messages between the topsides on one machine, ten of which wait at the most."""

    def __init__(self, simulation, topside, instance_id):
        self.clock_of, self.channels = simulation.clock_of, simulation.channels
        self.own = topside, instance_id
        self.waiting = deque()
        self.channels[self.own] = self

    def send(self, topside, instance_id, payload):
        other = self.channels.get((topside, instance_id))
        far = self.clock_of.get(instance_id) is not self.clock_of[self.own[1]]
        if other is None or far or len(other.waiting) == 10:
            return False
        other.waiting.append(LocalMessage(*self.own, payload))
        return True

    def receive(self):
        return self.waiting.popleft() if self.waiting else None

    def close(self):
        del self.channels[self.own]


class Simulation:
    """`rov1` on `link`, a topside beside the broker, and what they publish; more of both can be added."""

    def __init__(
        self,
        link=None,
        *,
        seed=1,
        settings=None,
        simulated=None,
        http=None,
        topside_link=None,
        topside_simulated=None,
        direct=None,
    ):
        """`direct` is the network of direct exchanges; without one there are none."""
        self.random = random.Random(seed)
        self._instances = random.Random(f"instances {seed}")
        self.clock = BaseClock()
        self.start_ns = self.clock.now_ns
        self._queue, self._order = [], count()
        self.broker = SimulatedBroker(self)
        self.direct = direct
        self.http = http or Http()
        self.vehicles = {}
        self.boots = []
        self.topsides = {}
        self.clock_of = {}
        """By the topside's process."""
        self.channels = {}
        self.settings = settings or TopsideSettings()
        self.topside_clock = self.clock
        if topside_simulated is not None:
            self.topside_clock = VehicleClock(self.clock, **topside_simulated)
        self.add_topside(self.settings, topside_link)
        if link is not None:
            self.add_vehicle("rov1", link, **(simulated or {}))

    # Who takes part

    def add_vehicle(self, name, link, **simulated):
        """Power a vehicle on, if under a name that was on before with a new clock and boot id."""
        vehicle = self.vehicles[name] = Vehicle(self, name, link, **simulated)
        self.boots.append(vehicle)
        if self.direct is not None:
            vehicle.agent.direct.service = simulated_udp.Service(self.direct, vehicle)
        return vehicle

    def add_topside(self, settings, link=None):
        clock = self.topside_clock
        machine = Machine(self, clock)
        link = link or Link.instant()
        instance_id = self.next_instance_id()
        self.clock_of[instance_id] = clock
        agent = GroupAgent(
            settings,
            clock,
            connect=partial(self.broker.connection, machine, link),
            get=partial(self.http.get, self, machine),
            watch=self.make_watch(clock),
            instance_id=instance_id,
            proof=SimulatedProof(self, clock),
            channel=SimulatedChannel(self, settings.topside, instance_id),
        )
        agent.machine = machine
        machine.watch(agent.watcher)
        if self.direct is not None:
            agent.direct.transport = simulated_udp.Transport(
                self, machine, clock, self.direct, agent.direct.report
            )
        agent.simulated = self.broker.connections[-1]
        agent.simulated.start()
        for handshaker in agent.handshakers:
            machine.every(handshaker.interval_s, handshaker.look)
        self.topsides[settings.topside] = agent
        return agent

    def next_instance_id(self):
        """Of an agent's process; drawn, as the agents' pauses are made of it."""
        return f"{self._instances.getrandbits(64):016x}"

    make_watch = staticmethod(lambda _clock: ClockWatcher)
    pause_s = staticmethod(lambda watcher: watcher.poll_s)

    topside = property(lambda self: self.topsides[self.settings.topside])

    @property
    def vehicle(self):
        return self.vehicles["rov1"].clock

    # What happens to them

    def reboot(self, after_s, *, off_s=0.0, name="rov1", **simulated):
        """Cut the power, and give it back `off_s` later; nobody says goodbye."""

        def power_off():
            self.vehicles[name].machine.on = False
            self.vehicles[name].off_ns = self.clock.now_ns
            self.vehicles[name].connection.vanish()
            self.after(off_s, lambda: self.add_vehicle(name, self.vehicles[name].link, **simulated))

        self.at(after_s, power_off)

    def suspend(self, after_s, for_s, name="rov1"):
        """Have the vehicle's machine sleep."""

        def sleep():
            vehicle, now_ns = self.vehicles[name], self.clock.now_ns
            vehicle.machine.asleep_until_ns = now_ns + round(for_s * S)
            vehicle.clock.sleeps.append((now_ns, vehicle.machine.asleep_until_ns))
            vehicle.connection.stall(for_s)

        self.at(after_s, sleep)

    def suspend_topside(self, after_s, for_s):
        """Have the topside's machine sleep; it needs a simulated clock of its own."""

        def sleep():
            agent, now_ns = self.topside, self.clock.now_ns
            agent.machine.asleep_until_ns = now_ns + round(for_s * S)
            self.topside_clock.sleeps.append((now_ns, agent.machine.asleep_until_ns))
            agent.simulated.stall(for_s)

        self.at(after_s, sleep)

    def step_topside(self, after_s, step_ns):
        """Step the wall clock of the topsides' machine."""

        def step():
            self.clock.difference_ns += step_ns

        self.at(after_s, step)

    def command(self, after_s, message, topside="topside"):
        """Have an operator send `message` to a topside."""
        topic = topics.build(ROOT, topics.TOPSIDE_COMMAND, topside=topside)
        self.at(after_s, lambda: self.broker.publish(topic, message.encode(), 1, retain=False))

    # Time

    @property
    def now_s(self):
        return (self.clock.now_ns - self.start_ns) / S

    def at(self, after_s, action):
        """Have `action` happen `after_s` seconds from the start."""
        self.push(self.start_ns + round(after_s * S), action)

    def after(self, seconds, action):
        """Have `action` happen `seconds` from now."""
        self.push(self.clock.now_ns + round(seconds * S), action)

    def push(self, at_ns, action):
        heapq.heappush(self._queue, (at_ns, next(self._order), action))

    def run(self, seconds):
        """Let it be `seconds` from the start; the measured results so far."""
        end_ns = self.start_ns + round(seconds * S)
        while self._queue[0][0] <= end_ns:
            at_ns, _, action = heapq.heappop(self._queue)
            self.clock.now_ns = max(at_ns, self.clock.now_ns)
            action()
        self.clock.now_ns = end_ns
        return self.published()

    # What they published

    def published(self, topside="topside", vehicle="rov1"):
        """The results that tell an offset, each beside the truth."""
        return [
            self._beside_truth(message)
            for message in self._messages(topics.OFFSET, topside, vehicle)
            if message.body.measured_at is not None
        ]

    def results(self, topside="topside", vehicle="rov1"):
        """Every result."""
        return [message.body for message in self._messages(topics.OFFSET, topside, vehicle)]

    def batches(self, topside="topside", vehicle="rov1"):
        """Every batch of exchanges, as (seconds, batch)."""
        return [(m.at_s, m.body) for m in self._messages(topics.EXCHANGE, topside, vehicle)]

    def exchanges(self, topside="topside", vehicle="rov1"):
        """Every exchange that was published, in the order in which a recorder would write it."""
        unique = {
            exchange.seq: exchange
            for _, batch in self.batches(topside, vehicle)
            for exchange in batch.exchanges
        }
        return list(unique.values())

    def finished(self, vehicle="rov1"):
        """Every exchange that the topside still holds, published or not."""
        measurement = self.topside._vehicles[vehicle]
        return [
            exchange
            for batch in measurement.resend(0, 2**53)
            for exchange in ExchangeBatch.decode(batch.payload).exchanges
        ]

    def events(self, vehicle="rov1"):
        return [(message.at_s, message.body) for message in self._messages(topics.EVENT, None, vehicle)]

    def infos(self, vehicle="rov1"):
        return [message.body for message in self._messages(topics.INFO, None, vehicle)]

    def status(self, vehicle="rov1"):
        return [message.body for message in self._messages(topics.STATUS, None, vehicle)]

    def measured_s(self, result):
        """When the result holds, in seconds from the start."""
        return (ns_from_utc(result.measured_at) - self.clock.difference_ns - self.start_ns) / S

    def true_ms(self, at_raw_ns, vehicle="rov1", boot_id=None):
        """The vehicle's offset at an instant of topside's RAW clock, by that boot's clock or the one then."""
        boots = [boot for boot in self.boots if boot.name == vehicle]
        if boot_id is None:
            boots = [boot for boot in boots if boot.booted_ns <= at_raw_ns] or boots[:1]
        else:
            boots = [boot for boot in boots if boot.clock.boot_id == boot_id]
        return boots[-1].clock.true_offset_ns(Reading(at_raw_ns, self.clock.difference_ns, 0)) / 1e6

    def stamp_ns(self, at_raw_ns, vehicle="rov1"):
        """What the vehicle stamps a row with then; None while it is off or asleep."""
        boots = [b for b in self.boots if b.name == vehicle and b.booted_ns <= at_raw_ns < b.off_ns]
        if not boots or any(start <= at_raw_ns < end for start, end in boots[-1].clock.sleeps):
            return None
        return boots[-1].clock.realtime_at(at_raw_ns)

    def _messages(self, kind, topside, vehicle):
        return [
            message
            for message in self.broker.log
            if message.topic.kind is kind
            and message.topic.vehicle == vehicle
            and message.topic.topside == topside
            and message.body is not None
        ]

    def _beside_truth(self, message):
        result = message.body
        at_raw_ns = ns_from_utc(result.measured_at) - message.difference_ns
        before_ns = at_raw_ns - round(S / self.settings.rate)
        truths = []
        for raw_ns in (at_raw_ns, before_ns):
            clock_ms = self.true_ms(raw_ns, result.vehicle, result.boot_id)
            truths.append(clock_ms + (self.clock.difference_ns - message.difference_ns) / 1e6)
        return Published(message.at_s, result, *truths)


def jitter(least_ms, mean_ms):
    """A delay of `least_ms` and an exponential rest."""
    return lambda source: least_ms * MS + source.expovariate(1 / (mean_ms * MS))


def wrong(published):
    """Those whose bound does not hold the truth."""
    return [entry for entry in published if not entry.right]


def walk(published):
    """The states in their order, without repetition."""
    states = []
    for entry in published:
        if states[-1:] != [entry.result.state]:
            states.append(entry.result.state)
    return states
