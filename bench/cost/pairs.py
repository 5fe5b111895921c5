"""One vehicle: our two agents beside two plain paho programs and the floor, in the same seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bench.peers.condition_run import Plan, play
from bench.peers.conditions import CONDITIONS
from bench.peers.contestant import Outcome
from bench.peers.contestants import RATE_HZ, Filed, PlainPaho
from bench.peers.estimates import least_delay_of, windowed
from bench.peers.ours import Ours
from bench.peers.processes import free_port

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.peers.estimates import Window
    from bench.peers.setup import Setup

OURS, PAHO, FLOOR = "ours", "paho", "asyncio, no MQTT"
_WARM_UP_S = 4.0


class Pair(NamedTuple):
    """CPU in us per exchange and resident memory in MB, of the asking (topside) and answering (Pi) side."""

    name: str
    exchanges: float
    topside_us: float
    pi_us: float
    topside_mb: float
    pi_mb: float


class Floor(Filed):
    """The smallest pair of programs."""

    def __init__(self) -> None:
        super().__init__("floor")

    def serve(self, setup: Setup) -> None:
        self._port = free_port()
        self.answering = [setup.programs.python("floor-answer", "bench.cost.floor", "answer", self._port)]
        setup.expect(self._port, "the floor")

    def begin(self, setup: Setup) -> None:
        ask = ("ask", self._port, RATE_HZ, 0.5, setup.seconds, self._results(setup))
        self.asking = [setup.programs.python("floor-ask", "bench.cost.floor", *ask)]

    def outcome(self, windows: Sequence[Window]) -> Outcome:
        singles = self._singles(windows)
        return Outcome({FLOOR: windowed(singles, windows, least_delay_of)}, singles, len(singles))


def pairs(seconds: float) -> list[Pair]:
    """Ten exchanges a second each, for so long."""
    contestants = {OURS: Ours(), PAHO: PlainPaho("mosquitto", 0.25), FLOOR: Floor()}
    played = play(CONDITIONS["idle"], contestants, Plan(1, seconds, _WARM_UP_S, seed=0))
    return [
        Pair(
            name,
            one.exchanges,
            one.asking.cpu_us,
            one.answering.cpu_us,
            one.asking.memory_mb,
            one.answering.memory_mb,
        )
        for name, one in played.items()
    ]
