"""A vehicle and a topside that exchange datagrams over a simulated network, and the truth of each exchange.

One true time; each machine's clocks are functions of it. Reading a clock takes time, as does waking up.
"""

import heapq
import itertools
import math
import random
from dataclasses import dataclass, field

from pi_agent.udp.answerer import Answerer
from pi_agent.udp.interface import SessionTerms
from runtime.realtime_rate import RateState
from runtime.stamp_clock import StampClock
from schemas.datagram import parse_answer
from topside_agent.udp.interface import Address, DirectExchange, PathTerms
from topside_agent.udp.path import DirectPath

S = 1_000_000_000
MS = 1_000_000
US = 1_000
KEY = bytes(range(32))
HERE = Address("192.0.2.1", 9151)


def _ns(seconds):
    return round(seconds * S)


@dataclass
class Machine:
    """Its clocks by the true time; seconds are of the true time."""

    world: object
    offset_ns: int = 0
    drift_ppm: float = 0.0
    steps: tuple = ()
    """(at_s, ns): realtime is set; the kernel's notice comes `notice_ns` later."""
    slews: tuple = ()
    """(from_s, until_s, ppm): by the frequency, which the state shows."""
    adjusts: tuple = ()
    """(from_s, until_s, ppm): by adjtime, which is pending a second before."""
    sleeps: tuple = ()
    """(from_s, until_s): RAW stands still."""
    reports_rate: bool = True
    stamps: bool = True
    notice_ns: int = 10 * US
    wakes_in: object = lambda chance: 5 * US + round(chance.expovariate(1 / (20 * US)))
    interrupted: float = 0.0
    """In such a share of its answers the program is interrupted twice while it makes and sends one."""
    preempted: float = 0.0
    """In such a share of its readings of a clock the program gets no processor just before."""
    late_in: int = 0
    """It gets none just before so many readings from now."""
    boot_id = "boot"
    resolution_ns = 1
    _seen_sets: int = 0
    _counted: int = 0

    def awake_ns(self, at_ns):
        return at_ns - sum(max(0, min(at_ns, _ns(e)) - _ns(s)) for s, e in self.sleeps)

    def raw_at(self, at_ns):
        return 5 * S + round(self.awake_ns(at_ns) * (1 + self.drift_ppm * 1e-6))

    def realtime_at(self, at_ns):
        moved = sum(ns for at_s, ns in self.steps if at_s * S <= at_ns)
        for start, end, ppm in (*self.slews, *self.adjusts):
            moved += round(max(0, min(at_ns, end * S) - start * S) * ppm * 1e-6)
        asleep_ns = at_ns - self.awake_ns(at_ns)
        return self.raw_at(at_ns) + asleep_ns + 10**18 + self.offset_ns + moved

    def raw_ns(self):
        return self.raw_at(self._reads_at())

    def realtime_ns(self):
        return self.realtime_at(self._reads_at())

    def _reads_at(self):
        self.late_in -= 1
        if self.late_in == 0 or (self.preempted and self.world.chance.random() < self.preempted):
            self.world.tick(self.wakes_in(self.world.chance))
        return self.world.tick()

    def when_raw(self, raw_ns):
        """When its RAW showed that, if it never slept."""
        at_ns = raw_ns - 5 * S
        for _ in range(4):
            at_ns += raw_ns - self.raw_at(at_ns)
        return at_ns

    # Of its kernel

    def state(self):
        if not self.reports_rate:
            return None
        now = self.world.tick() / S
        frequency = sum(round(ppm * 65_536) for start, end, ppm in self.slews if start <= now < end)
        pending = sum(math.ceil(e - now) for s, e, _ in self.adjusts if s - 1 <= now < e)
        return RateState(frequency=frequency, adjusting=pending)

    def was_set(self):
        now = self.world.tick() - self.notice_ns
        sets = sum(at_s * S <= now for at_s, _ in self.steps) + sum(e * S <= now for _, e in self.sleeps)
        seen, self._seen_sets = self._seen_sets, sets
        return sets != seen

    def close(self):
        pass

    def slept_ns(self):
        slept = sum(round((e - s) * S) for s, e in self.sleeps if e * S <= self.world.now)
        new, self._counted = slept - self._counted, slept
        return new

    def up_from(self, at_ns):
        """The first instant from `at_ns` on at which it does not sleep."""
        return max([at_ns, *(_ns(e) for s, e in self.sleeps if _ns(s) <= at_ns < _ns(e))])


@dataclass
class Network:
    """Delays in ns by direction, drawn from a chance; losses as shares."""

    out: object = lambda chance: 200 * US + round(chance.expovariate(1 / (50 * US)))
    back: object = lambda chance: 200 * US + round(chance.expovariate(1 / (50 * US)))
    loss: float = 0.0
    duplicates: float = 0.0
    dead: tuple = ()
    """(from_s, until_s): nothing comes through."""


@dataclass(order=True)
class _Event:
    at_ns: int
    number: int
    act: object = field(compare=False)


class _Sent:
    """Departures of one end's datagrams: as its kernel stamped them, and in truth."""

    def __init__(self, world, machine, clock):
        self.world, self.machine, self.clock = world, machine, clock
        self.count = itertools.count()
        self.stamps = {}

    def send(self):
        number = next(self.count)
        left_ns = self.world.tick(2 * US)
        if self.machine.stamps and self.world.chance.random() > self.world.lost_stamps:
            self.stamps[number] = self.machine.realtime_at(left_ns)
        return number, left_ns

    def left(self, number):
        return self.stamps.pop(number, 0)

    def departed(self, number, sent_raw_ns):
        stamp = self.stamps.pop(number, None)
        return None if stamp is None else self.clock.departed_at(stamp, sent_raw_ns)


class DirectWorld:
    """Runs both cores; `exchanges` come with the true instants (t1, t2, t3, t4), `states` with theirs."""

    def __init__(self, seed, *, pi=None, topside=None, network=None, rate=10.0, train=3, lost_stamps=0.0):
        self.chance = random.Random(seed)
        self.now = 0
        self.lost_stamps = lost_stamps
        self.network = network or Network()
        self.pi, self.topside = Machine(self, **(pi or {})), Machine(self, **(topside or {}))
        self.pi_clock = StampClock(self.pi, self.pi, self.pi)
        self.clock = StampClock(self.topside, self.topside, self.topside)
        self.pi_sent, self.sent = (
            _Sent(self, self.pi, self.pi_clock),
            _Sent(self, self.topside, self.clock),
        )
        self.answerer = Answerer()
        self.answerer.open(SessionTerms(7, KEY, "surface", self.pi.raw_at(10**6 * S), rate))
        self.look = self.clock.look()
        terms = PathTerms(7, KEY, (HERE,), rate, train, timeout_s=1.0)
        self.path = DirectPath("rov1", terms, self.look.raw_ns)
        self.exchanges, self.states = [], []
        self._events, self._numbers = [], itertools.count()
        self._times = {}
        self._at(0, self._pi_sample)
        self._at(0, self._serve)
        self._timer = None

    def tick(self, ns=None):
        """A clock is read, or something else takes time."""
        self.now += 25 + round(self.chance.expovariate(1 / 20)) if ns is None else ns
        return self.now

    def run(self, until_s):
        while self._events and self._events[0].at_ns <= until_s * S:
            event = heapq.heappop(self._events)
            self.now = max(self.now, event.at_ns)
            event.act()
        return self

    def _interrupt(self, machine):
        if self.chance.random() < machine.interrupted:
            self.tick(machine.wakes_in(self.chance))

    def _at(self, at_ns, act):
        heapq.heappush(self._events, _Event(at_ns, next(self._numbers), act))

    def _later(self, machine, at_ns, act):
        """`machine` runs: not while it sleeps, and a while after it was woken."""
        self._at(machine.up_from(machine.up_from(at_ns) + machine.wakes_in(self.chance)), act)

    # The vehicle

    def _pi_sample(self):
        self.pi_clock.look()
        self._later(self.pi, self.now + 300 * MS, self._pi_sample)

    def _request(self, data, seq, arrived_ns):
        now_ns = self.pi.raw_ns()
        admitted = self.answerer.admit(data, now_ns)
        if isinstance(admitted, str):
            return
        if self.chance.random() < self.pi.interrupted:
            self.pi.late_in = self.chance.randrange(1, 6)
        stamp_ns = self._stamp(self.pi, arrived_ns)
        look, kernel, transmit_ns = self.pi_clock.answering(now_ns, stamp_ns)
        answer = self.answerer.answer(admitted, kernel, look, self.pi_sent, transmit_ns)
        self._interrupt(self.pi)
        number, left_ns = self.pi_sent.send()
        self.answerer.sent(admitted, number, kernel, look, transmit_ns)
        self._times[seq] += (arrived_ns, left_ns)
        self._transfer(self.network.back, left_ns, self.topside, lambda at: self._answer(answer, seq, at))

    # Topside

    def _serve(self):
        self._timer = None
        now_ns = self.topside.raw_ns()
        if now_ns - self.look.raw_ns > 300 * MS:
            self._look(now_ns)
        to_send, states = self.path.serve(now_ns)
        self._take(states)
        for each in to_send:
            before_ns = self.topside.raw_ns()
            number, left_ns = self.sent.send()
            self.path.was_sent(each, number, self.sent, sent_ns=before_ns, look=self.look, generation=0)
            seq = each.request.seq
            self._times[seq] = (left_ns,)
            self._times.pop(seq - 200, None)
            self._transfer(
                self.network.out, left_ns, self.pi, lambda at, d=each.data, s=seq: self._request(d, s, at)
            )
        if not to_send and self.path.has_finished:
            self._take(self.path.settle(self._look(now_ns), self.clock))
        self._set_timer()

    def _set_timer(self):
        due_ns = min(self.path.due_ns, self.look.raw_ns + 300 * MS)
        wait_ns = max(0, due_ns - self.topside.raw_at(self.now))
        timer = self._timer = object()
        self._later(self.topside, self.now + wait_ns, lambda: self._timer is timer and self._serve())

    def _answer(self, data, seq, arrived_ns):
        now_ns, stamp_ns = self.topside.raw_ns(), self._stamp(self.topside, arrived_ns)
        states = self.path.answered(data, parse_answer(data), stamp_ns, now_ns)
        if not isinstance(states, str):
            self._times[seq] += (arrived_ns,)
            self._take(states)
        self._serve()

    def _stamp(self, machine, arrived_ns):
        return machine.realtime_at(arrived_ns) * machine.stamps

    def _look(self, now_ns):
        before, self.look = self.look, self.clock.look(now_ns)
        if before.slept_ns != self.look.slept_ns:
            self.path.slept()
        return self.look

    def _take(self, events):
        for each in events:
            if isinstance(each, DirectExchange):
                self.exchanges.append((each, self._truth(each)))
            else:
                self.states.append((self.now / S, each))

    def _truth(self, exchange):
        """The instants of the exchange whose stamps these are, by its origin.

        That is the program's, 2 µs before the request left, or the kernel's, which is the nearest one.
        """

        def apart_ns(times):
            after_ns = self.topside.raw_at(times[0]) - exchange.origin_raw_ns
            return -1 if abs(after_ns - 2 * US) <= 1 else abs(after_ns)

        return min((times for times in self._times.values() if len(times) == 4), key=apart_ns)

    def _transfer(self, delay, left_ns, machine, act):
        network, chance = self.network, self.chance
        if any(start * S <= left_ns < end * S for start, end in network.dead):
            return
        for _ in range(1 + (chance.random() < network.duplicates)):
            if chance.random() >= network.loss:
                at_ns = left_ns + delay(chance)
                self._later(machine, at_ns, lambda at=at_ns: act(at))


def margins(world):
    """For each exchange how far inside its two inequalities on RAW the truth is, ns; negative: missed."""
    found = []
    for exchange, (t1, t2, t3, t4) in world.exchanges:
        upper = exchange.receive_raw_ns - exchange.origin_raw_ns + exchange.resolution_ns
        lower = exchange.transmit_raw_ns - exchange.destination_raw_ns - exchange.resolution_ns
        above = upper - (world.pi.raw_at(t2) - world.topside.raw_at(t1))
        below = (world.pi.raw_at(t3) - world.topside.raw_at(t4)) - lower
        found.append((above, below))
    return found
