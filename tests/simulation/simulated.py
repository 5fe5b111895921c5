"""Both agents' cores joined in memory over a simulated link: time is a number, and nothing sleeps."""

import heapq
import random
from dataclasses import dataclass, field
from itertools import count

from pi_agent.responder import Answerer, answer
from runtime.clock import Reading, SimulatedClock, read
from topside_agent.measuring.actions import PublishResult, SendPing
from topside_agent.measuring.measurement import Measurement
from topside_agent.settings import TopsideSettings

MS = 1_000_000
S = 1_000_000_000


@dataclass
class BaseClock:
    """Topside's clock: it shows what the simulation says."""

    now_ns: int = 1_000 * S
    difference_ns: int = 1_777_000_000 * S
    boot_id: str = "topside"
    resolution_ns: int = 1

    def raw_ns(self):
        return self.now_ns

    def realtime_ns(self):
        return self.now_ns + self.difference_ns


@dataclass
class Link:
    """One-way delays in ns, drawn anew for each message; `lost` and `doubled` are shares."""

    out_ns: object = lambda _: MS
    back_ns: object = lambda _: MS
    lost: float = 0.0
    doubled: float = 0.0
    down: tuple = ()  # (from_s, to_s) of the simulation


@dataclass
class Published:
    """A result beside the truth."""

    at_s: float
    result: object
    true_ms: float
    true_before_ms: float

    @property
    def right(self):
        return any(
            self.result.lower_ms <= true <= self.result.upper_ms
            for true in (self.true_ms, self.true_before_ms)
        )

    @property
    def error_ms(self):
        return abs(self.result.offset_ms - self.true_ms)


@dataclass
class Simulation:
    """A vehicle and a topside; `run` gives what topside publishes."""

    link: Link
    seed: int = 1
    settings: TopsideSettings = field(default_factory=TopsideSettings)
    simulated: dict = field(default_factory=dict)

    def __post_init__(self):
        self.clock = BaseClock()
        self.start_ns = self.clock.now_ns
        self.random = random.Random(self.seed)
        self.measurement = Measurement("rov1", self.settings, resolution_ns=1)
        self.published = []
        self._queue = []
        self._order = count()
        self.boot(**self.simulated)

    def boot(self, **simulated):
        """(Re)start the vehicle with a clock of its own."""
        self.vehicle = SimulatedClock(self.clock, **simulated)
        self.answerer = Answerer(self.vehicle.boot_id, f"instance-{self.vehicle.boot_id}", 1)

    def at(self, after_s, action):
        """Have `action` happen `after_s` seconds from the start."""
        self._push(self.start_ns + round(after_s * S), action)

    def run(self, seconds):
        self.measurement.appeared(self.clock.now_ns)
        end_ns = self.start_ns + round(seconds * S)
        while True:
            due_ns = max(self.clock.now_ns, self.measurement._due_ns())
            queued_ns = self._queue[0][0] if self._queue else 2**63
            now_ns = min(due_ns, queued_ns)
            if now_ns > end_ns:
                return self.published
            self.clock.now_ns = now_ns
            if queued_ns <= now_ns:
                heapq.heappop(self._queue)[2]()
            else:
                self._serve()

    def _serve(self):
        for action in self.measurement.timer(read(self.clock)):
            if isinstance(action, SendPing):
                self._send(self.link.out_ns, lambda ping=action.ping: self._answer(ping))
        self._publish()

    def _answer(self, ping):
        received = read(self.vehicle)
        pong = answer(ping, received, "user", read(self.vehicle), self.answerer)
        if not isinstance(pong, str):
            self._send(self.link.back_ns, lambda: self._take(pong))

    def _take(self, pong):
        self.measurement.pong(pong, read(self.clock))
        self._publish()

    def _send(self, delay_ns, arrive):
        since_s = (self.clock.now_ns - self.start_ns) / S
        if (
            any(start <= since_s < end for start, end in self.link.down)
            or self.random.random() < self.link.lost
        ):
            return
        for _ in range(2 if self.random.random() < self.link.doubled else 1):
            self._push(self.clock.now_ns + round(delay_ns(self.random)), arrive)

    def _publish(self):
        now = read(self.clock)
        actions = self.measurement.publish(now)
        result = next((action.result for action in actions if isinstance(action, PublishResult)), None)
        if result is None or result.measured_at is None:
            return
        at_raw_ns = round(result.measured_at.timestamp() * 1_000_000) * 1000 - self.clock.difference_ns
        self.published.append(
            Published(
                (self.clock.now_ns - self.start_ns) / S,
                result,
                self._true_ms(at_raw_ns),
                self._true_ms(at_raw_ns - round(S / self.settings.rate)),
            )
        )

    def _true_ms(self, raw_ns):
        return self.vehicle.true_offset_ns(Reading(raw_ns, self.clock.difference_ns, 0)) / 1e6

    def _push(self, at_ns, action):
        heapq.heappush(self._queue, (at_ns, next(self._order), action))


def jitter(least_ms, mean_ms):
    """A delay of `least_ms` and an exponential rest."""
    return lambda source: least_ms * MS + source.expovariate(1 / (mean_ms * MS))
