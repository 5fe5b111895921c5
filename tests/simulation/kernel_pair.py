"""Two machines whose kernels move their clocks, a fast wire between them, and the truth of each result."""

import math

from pi_agent.udp.answerer import Answerer
from pi_agent.udp.interface import SessionTerms
from runtime.stamp_clock import StampClock
from schemas.datagram import parse_answer
from tests.simulation.kernel_time import MS, US, KernelTime, NoSleep, Rate, S
from topside_agent.estimator import OffsetEstimator, smooth
from topside_agent.udp.exchange import exchange_of
from topside_agent.udp.interface import Address, PathTerms
from topside_agent.udp.requester import Requester, Sent

_BEGUN = 5.0 * S
"""Of both machines' RAW."""
_KEY = bytes(range(32))
_HERE = Address("192.0.2.1", 9151)
_UNSEEN = 2.5 * S
_AROUND_S = 1.0


class End:
    """One machine: its kernel, its agent's clock, and the stamps of what it sent."""

    def __init__(self, chance, actions, machine, rate=1.0):
        self.kernel, self.rate = KernelTime(chance, actions, **machine), rate
        self.clock = StampClock(self.kernel, Rate(self.kernel), NoSleep())
        self._stamps = {}
        self._count = 0

    def send(self):
        """The number of the datagram, and when it left (true time)."""
        self.kernel.spend(2 * US + self.kernel.chance.expovariate(1 / US))
        self._stamps[self._count] = self.kernel.stamp()
        self._count += 1
        return self._count - 1, self.true

    def left(self, number):
        return self._stamps.pop(number, 0)

    def departed(self, number, sent_raw_ns):
        stamp = self._stamps.pop(number, 0)
        return self.clock.departed_at(stamp, sent_raw_ns) if stamp else None

    def receive(self, at):
        """The datagram arrives at that true time: its stamp, and when the program looks."""
        self.wait(at)
        stamp, arrived = self.kernel.stamp(), self.true
        self.kernel.spend(self.kernel.chance.choice([5 * US, 50 * US, MS]))
        return stamp, self.kernel.raw_ns(), arrived

    def wait(self, at):
        """Looking at the clock as often as the agent does."""
        while self.true < at - 0.01:
            ahead = min(at - self.true, 300 * MS)
            self.kernel.spend(ahead * self.rate)
            if ahead > 100 * MS:
                self.clock.look()

    @property
    def true(self):
        return self.when_raw(self.kernel.now)

    def when_raw(self, raw_ns):
        return (raw_ns - _BEGUN) / self.rate

    def realtime(self, true):
        """Less what is the same on both machines."""
        raw = true * self.rate + _BEGUN
        return raw + self.kernel.difference(raw)

    @property
    def hidden(self):
        return self.kernel.now - self.kernel.unseen_ns < _UNSEEN


class Pair:
    """Exchanges in trains of three; `results` are (error beyond the bound, bound, whether both are even)."""

    def __init__(self, chance, *, pi=(), topside=(), machines=({}, {}), drift_ppm=0.0, way=None, every_s=0.3):
        self.chance, self.every_s = chance, every_s
        self.way = way or (lambda: 150 + chance.expovariate(1 / 100))
        self.pi = End(chance, pi, machines[0], 1 + drift_ppm * 1e-6)
        self.topside = End(chance, topside, machines[1])
        self.answerer = Answerer()
        self.answerer.open(SessionTerms(7, _KEY, "surface", 2**62, 1000.0))
        self.requester = Requester("rov1", PathTerms(7, _KEY, (_HERE,), 10.0, 3, 1.0))
        self.estimator = OffsetEstimator()
        self.exchanges, self.results, self._read = [], [], {}
        self.hidden_s = []
        """When either clock moved as no program could see."""
        self.contradictions = 0
        """Of what is known while both realtimes run evenly."""
        self._look = self.topside.clock.look()

    def run(self, until_s):
        while self.topside.true < until_s * S:
            for _ in range(3):
                self._exchange()
            self.topside.wait(self.topside.true + self.every_s * S * self.chance.uniform(0.5, 1.5))
        return self

    def _exchange(self):
        ours, theirs = self.topside, self.pi
        self._look = ours.clock.look() if self.chance.random() < 0.5 else self._look
        data, request = self.requester.request()
        sent_ns = ours.kernel.raw_ns()
        number, left = ours.send()
        self.requester.sent(
            Sent(request.seq, request.nonce, _HERE, False, sent_ns, self._look, 0, number, ours)
        )
        stamp, now_ns, _ = theirs.receive(left + self.way())
        admitted = self.answerer.admit(data, now_ns)
        look, kernel, transmit_ns = theirs.clock.answering(now_ns, stamp)
        answer = self.answerer.answer(admitted, kernel, look, theirs, transmit_ns)
        number, left = theirs.send()
        self.answerer.sent(admitted, number, kernel, look, transmit_ns)
        self._read[request.seq] = left
        stamp, heard_ns, _ = ours.receive(left + self.way())
        self.requester.answered(answer, parse_answer(answer), stamp, heard_ns)
        self._look = ours.clock.look()
        for direct in self.requester.finished(self._look, ours.clock):
            self._add(direct, self._read.pop(min(self._read)))

    def _add(self, direct, read):
        exchange = exchange_of(direct, topside="surface", seq=len(self.exchanges), boot_id="boot")
        self.exchanges.append(exchange)
        hidden = self.pi.hidden or self.topside.hidden
        self.hidden_s += [self.topside.true / S] * hidden
        # Where topside's clock was set meanwhile the result is carried forward, and so conditional.
        if not self.estimator.add(exchange).accepted or hidden or direct.topside_set:
            return
        trusted_ns = self.estimator.even._trusted_ns
        found = self.estimator.estimate()
        self.contradictions += self.estimator.even._trusted_ns != trusted_ns
        if direct.transmit_stamp == "user":  # the clock may have been set since
            read = self.pi.when_raw(direct.transmit_raw_ns)
        true_ns = self.pi.realtime(read) - self.topside.realtime(read)
        beyond_ns = max(found.lower_ns - true_ns, true_ns - found.upper_ns)
        self.results.append((math.ceil(beyond_ns), found.max_error_ns, direct.even_ns > 0))

    def rows(self):
        """Sound rows afterwards, with by how much each is off beyond its bound; not of what nobody saw.

        Of the last one nothing read what the Pi's clock did on the way back.
        """
        arrived = {
            each.destination_ns: each.destination_ns - each.topside_realtime_minus_raw_ns
            for each in self.exchanges
        }
        for row in smooth(self.exchanges).rows[:-1]:
            true = self.topside.when_raw(arrived[row.topside_unix_ns])
            unseen = any(abs(true / S - hidden_s) < _AROUND_S for hidden_s in self.hidden_s)
            if row.state == "ok" and not unseen:
                true_ns = self.pi.realtime(true) - self.topside.realtime(true)
                yield row, math.ceil(max(row.lower_ns - true_ns, true_ns - row.upper_ns))

    def wrong(self):
        """By how much results are off beyond their bound, clocks showing whole numbers."""
        return [each for each in self.results if each[0] > 2]
