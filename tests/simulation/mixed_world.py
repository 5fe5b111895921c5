"""A vehicle measured directly and over MQTT, by programs that starve now and then, beside the truth."""

import random
from itertools import pairwise

from pi_agent.responder import Answerer, answer
from runtime.clock import read
from schemas.exchange import MQTT, Exchange
from tests.simulation.direct_world import MS, US, DirectWorld, Network, S
from topside_agent.estimator import EstimatorSettings, smooth
from topside_agent.measuring.exchanger import Exchanger, random_nonce
from topside_agent.measuring.offsets import Offsets
from topside_agent.measuring.pace import Pace
from topside_agent.settings import TopsideSettings
from topside_agent.udp.exchange import exchange_of
from topside_agent.udp.interface import DirectExchange

_CHANGES = 0.6
ROUNDED_NS = 2
"""Every clock shows whole numbers."""


class MixedWorld(DirectWorld):
    """`results` are estimates that are not conditional, each with its exchange; `made` are all exchanges.

    Of `published` ones some were conditional.
    """

    def __init__(self, seed, *, mqtt=None, ping_s=0.25, **options):
        """`mqtt` is a delay in ns by chance, of either way; None: there are no pings."""
        self.offsets = Offsets(EstimatorSettings(), Pace(TopsideSettings(topside="surface")))
        self.exchanger = Exchanger("rov1", "surface", method=MQTT, timeout_ns=S, resolution_ns=1)
        self.mqtt, self.ping_s = mqtt, ping_s
        self.results, self.made = [], []
        self.published = 0
        super().__init__(seed, **options)
        if mqtt is not None:
            self._at(0, self._ping)

    def _ping(self):
        self._later(self.topside, self.now + round(self.ping_s * S), self._ping)
        ping = self.exchanger.begin(read(self.topside), random_nonce())
        self._deliver(self.pi, lambda: self._pinged(ping))

    def _pinged(self, ping):
        received = read(self.pi)
        self._interrupt(self.pi)
        pong = answer(ping, received, "user", read(self.pi), Answerer("boot", "pi", 1))
        self._interrupt(self.pi)
        if not isinstance(pong, str):  # a reading of more than a second
            self._deliver(self.topside, lambda: self._ponged(pong))

    def _ponged(self, pong):
        exchange = self.exchanger.finish(pong, read(self.topside))
        if isinstance(exchange, Exchange):
            self._add(exchange, topside_set=self.exchanger.topside_set)

    def _deliver(self, machine, act):
        self._later(machine, self.now + self.mqtt(self.chance), act)

    def _take(self, events):
        super()._take(events)
        for each in events:
            if isinstance(each, DirectExchange):
                seq = self.exchanger.take_seq()
                exchange = exchange_of(each, topside="surface", seq=seq, boot_id="boot")
                if exchange is not None:
                    self._add(exchange, topside_set=each.topside_set)

    def _add(self, exchange, *, topside_set):
        self.made.append(exchange)
        if self.offsets.add(exchange, topside_set=topside_set) is not None:
            return
        now = read(self.topside)
        found = self.offsets.estimate(now, now.raw_ns)
        self.published += found is not None
        if found is not None and not found.conditional:
            self.results.append((found, self.offsets.estimator._last.constraint))

    # The truth

    def true_ns(self, at_ns):
        return self.pi.realtime_at(at_ns) - self.topside.realtime_at(at_ns)

    def results_beyond_ns(self):
        """By how much each result is off beyond its bound: at the Pi's reading, and at its date."""
        for found, constraint in self.results:
            read_at = self.pi.when_raw(constraint.transmit_ns)
            dated = read_at
            for _ in range(4):
                dated += found.measured_at_ns - self.topside.realtime_at(dated)
            instants = [read_at]
            if not self._set_between(read_at, dated):
                instants.append(dated)
            yield found, max(self._beyond_ns(found, each) for each in instants)

    def rows_beyond_ns(self):
        """The same of each row of the smoothed track that is sound.

        Of the last one nothing read what the Pi's clock did on the way back.
        """
        arrived = {
            exchange.destination_ns: exchange.destination_ns - exchange.topside_realtime_minus_raw_ns
            for exchange in self.made
        }
        for row in smooth(self.made).rows[:-1]:
            if row.state == "ok":
                yield row, self._beyond_ns(row, self.topside.when_raw(arrived[row.topside_unix_ns]))

    def _beyond_ns(self, found, at_ns):
        true_ns = self.true_ns(at_ns)
        return max(found.lower_ns - true_ns, true_ns - found.upper_ns) - ROUNDED_NS

    def _set_between(self, one_ns, other_ns):
        low, high = sorted((one_ns, other_ns))
        sets = [at_s * S for machine in (self.pi, self.topside) for at_s, _ in machine.steps]
        return any(low <= at_ns + 1 and at_ns - 1 <= high for at_ns in sets)


def starved(most_ms, share=0.2):
    """How late a program runs: by up to so much in a share of all cases."""

    def wakes_in(chance):
        return round(
            chance.uniform(0, most_ms) * MS if chance.random() < share else chance.uniform(3, 30) * US
        )

    return wakes_in


def drawn(seed, until_s):
    """A world in which the clocks are slewed and set, and the programs starve."""
    chance = random.Random(f"mixed {seed}")
    near = chance.random() < 0.5
    least = chance.choice([2, 50, 200]) * US
    network = Network(
        out=lambda source: least + round(source.expovariate(1 / US)),
        back=lambda source: least * (1 if near else 3) + round(source.expovariate(1 / US)),
        loss=chance.choice([0, 0, 0.1]),
        duplicates=chance.choice([0, 0.1]),
        dead=((chance.uniform(3, 6), chance.uniform(7, 10)),) if chance.random() < 0.3 else (),
    )
    far = chance.choice([40 * US, 40 * US, 45 * MS])
    return MixedWorld(
        seed,
        pi=_machine(chance, until_s),
        topside=_machine(chance, until_s),
        network=network,
        mqtt=None if chance.random() < 0.2 else lambda source: far + round(source.expovariate(1 / (far / 4))),
        ping_s=chance.choice([0.25, 1.0, 5.0]),
        rate=chance.choice([4.0, 10.0, 30.0]),
        train=chance.choice([1, 3, 3]),
        lost_stamps=chance.choice([0, 0.05, 0.3]),
    )


def _machine(chance, until_s):
    """No rate is shorter than the program's looks are apart: that nobody could see (docs/datagrams.md)."""
    changes, at_s = [], chance.uniform(1, 4)
    while at_s < until_s and chance.random() < _CHANGES:
        changes.append(at_s)
        at_s += chance.uniform(1.2, 4)
    spans = list(pairwise([0, *changes, until_s + 10]))
    rates = [0.0, 0.01, 3.0, 20.0, -100.0, 500.0, -500.0] + [80_000.0, -100_000.0] * bool(changes)
    slews = tuple((start, end, chance.choice(rates)) for start, end in spans)
    steps = sorted(chance.uniform(1, until_s) for _ in range(chance.choice([0, 0, 2, 5])))
    return {
        "offset_ns": chance.randrange(-(10**12), 10**12),
        "drift_ppm": chance.uniform(-80, 80),
        "slews": slews,
        "steps": tuple((at_s, round(chance.choice([-1, 1]) * 10 ** chance.uniform(3, 9))) for at_s in steps),
        "wakes_in": starved(chance.choice([0.03, 1, 50, 300])),
        "interrupted": chance.choice([0, 0.1]),
        "preempted": chance.choice([0, 0.002]),
        "stamps": chance.random() < 0.9,
    }
