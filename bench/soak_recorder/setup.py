"""What a soak does and when; vehicles with known clocks, their topside, and a subscriber to all exchanges."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from broker.connection import Connection
from broker.interface import Incoming, Outgoing
from broker.settings import ConnectionSettings
from pi_agent.agent import PiAgent
from pi_agent.settings import PiSettings
from runtime.clock import Reading, SimulatedClock, Step, SystemClock
from schemas import topics
from schemas.exchange import Exchange
from schemas.messages import ExchangeBatch, ResendCommand
from topside_agent.agent import TopsideAgent
from topside_agent.settings import TopsideSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

S = 1_000_000_000
ROOT = "tidesync"
STEPPED, REBOOTED = "rov1", "rov2"
VEHICLES = (STEPPED, REBOOTED)
_FOREVER = 2**53
_TOPSIDE = "topside"

STEP_S = 3
REBOOT_AT, STEP_AT, BROKER_AT = 0.4, 0.5, 0.6
"""As parts of the session: rov2 reboots, rov1's clock is stepped, the broker and the recorder are killed."""
AGAIN_AT = (0.3, 0.7, 0.95)
"""Topside sends again all that it holds, as if another recorder had asked for it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A session of `seconds`, in which the recorder is killed `kills` times."""

    kills: int = 200
    seconds: float = 600.0
    seed: int = 1
    rate: float = 10.0
    """Exchanges a second with each vehicle."""
    publish_s: float = 0.1
    update_s: float = 0.1
    """Between topside's batches, and between the recorder's writes: as often as may be, so that kills fall
    into them."""
    stop_wait_s: float = 1.0
    """The recorder's own: how long it waits at the stop for what topside sends again."""

    def kill_moments_s(self) -> list[float]:
        """Uniform over the session: many fall into a start, some into the next write, some long after it."""
        chance = random.Random(self.seed)
        return sorted(chance.uniform(0.0, self.seconds) for _ in range(self.kills))


class Subscriber:
    """Subscribes to every exchange; nobody kills it."""

    def __init__(self, url: str, clock: SystemClock) -> None:
        self.heard: dict[tuple[str, int, int], Exchange] = {}
        self._filter = topics.subscription(ROOT, topics.EXCHANGE)
        self.connection = Connection(
            ConnectionSettings(broker=url), self, clock, name="soak-recorder", persistent=True
        )

    def connected(self) -> None:
        self.connection.subscribe([(self._filter, 1)])

    def disconnected(self, reason: str) -> None:
        pass

    def received(self, message: Incoming) -> None:
        for exchange in ExchangeBatch.decode(message.payload).exchanges:
            self.heard[identity(exchange)] = exchange

    def tick(self, now: Reading) -> float:  # noqa: ARG002 - the connection's signature
        return 1.0


class Simulation:
    """All of it runs in this process and is never killed."""

    def __init__(self, url: str, plan: Plan) -> None:
        self.clock = SystemClock()
        self.truth: dict[str, SimulatedClock] = {}
        """Every clock that a vehicle had, by boot id."""
        self.subscriber = Subscriber(url, self.clock)
        self._url = url
        measured = TopsideSettings(
            broker=url,
            topside=_TOPSIDE,
            vehicle=VEHICLES,
            rate=plan.rate,
            publish_interval_s=plan.publish_s,
        )
        self._topside = TopsideAgent(measured, self.clock)
        self._vehicles: dict[str, PiAgent] = {}
        self._plan = plan

    def start(self) -> None:
        self.subscriber.connection.start()
        self._topside.start()
        if not self.subscriber.connection.wait_until_up(60):
            raise TimeoutError("no connection to the broker")
        self._boot(REBOOTED, offset_ns=42 * S, drift_ppm=-35.0)

    def begin_clock_with_step(self) -> None:
        """Boot rov1 with the session, so that its step falls into the middle."""
        step = Step(STEP_AT * self._plan.seconds, STEP_S * S)
        self._boot(STEPPED, offset_ns=-1_234_567_000, drift_ppm=18.0, steps=(step,))

    def reboot(self) -> None:
        """As a Pi without a battery clock: a different time, a different boot id."""
        self._vehicles[REBOOTED].stop()
        self._boot(REBOOTED, offset_ns=-900 * S, drift_ppm=21.0)

    def ask_again(self) -> None:
        """Have topside send again all that it holds."""
        topic = topics.build(ROOT, topics.TOPSIDE_COMMAND, topside=_TOPSIDE)
        for vehicle in VEHICLES:
            command = ResendCommand(request_id=vehicle, vehicle=vehicle, from_seq=0, to_seq=_FOREVER)
            outgoing = Outgoing(topic, command.encode())
            self.subscriber.connection.post(partial(self.subscriber.connection.publish, outgoing))

    def stop(self) -> None:
        for vehicle in self._vehicles.values():
            vehicle.stop()
        self._topside.stop()
        self.subscriber.connection.stop()

    def finished(self) -> Iterator[Exchange]:
        """Every exchange that topside has finished, from its own memory; to be called after `stop`."""
        for measurement in self._topside._vehicles:  # noqa: SLF001 - its own count, not ours
            for batch in measurement.resend(0, _FOREVER):
                yield from ExchangeBatch.decode(batch.payload).exchanges

    def _boot(self, vehicle: str, *, offset_ns: int, drift_ppm: float, steps: tuple[Step, ...] = ()) -> None:
        clock = SimulatedClock(self.clock, offset_ns=offset_ns, drift_ppm=drift_ppm, steps=steps)
        self.truth[clock.boot_id] = clock
        agent = PiAgent(PiSettings(broker=self._url, vehicle=vehicle, no_http=True), clock)
        self._vehicles[vehicle] = agent
        agent.start()


def identity(exchange: Exchange) -> tuple[str, int, int]:
    """Identifies an exchange of the only topside."""
    return exchange.vehicle, exchange.seq, exchange.origin_ns


def is_true(exchange: Exchange, truth: dict[str, SimulatedClock]) -> bool:
    """Whether the exchange's bounds hold the simulated truth.

    On RAW, transmit − destination ≤ offset ≤ receive − origin; what is added for realtime must be what the
    vehicle's clock showed before or after the exchange, for a step may fall into it.
    """
    pi_ns, topside_ns = exchange.pi_realtime_minus_raw_ns, exchange.topside_realtime_minus_raw_ns
    clock = truth.get(exchange.boot_id or "")
    if clock is None or pi_ns is None or topside_ns is None:
        return False
    slack_ns = exchange.resolution_ns
    origin, destination = exchange.origin_ns - topside_ns, exchange.destination_ns - topside_ns
    received_late = exchange.receive_ns - pi_ns >= clock.raw_at(origin) - slack_ns
    sent_early = exchange.transmit_ns - pi_ns <= clock.raw_at(destination) + slack_ns
    shown = [clock.realtime_at(at) - clock.raw_at(at) for at in (origin, destination)]
    return received_late and sent_early and min(abs(pi_ns - each) for each in shown) <= slack_ns
