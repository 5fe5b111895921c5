"""A subscriber that nobody disturbs: judges each result against the truth, and knows who is measured."""

from __future__ import annotations

import json
import time
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.soak_fleet.clocks import shown_at
from bench.soak_fleet.plan import HOST, ROOT, SESSION, TOPSIDES, VEHICLES
from broker.connection import Connection
from broker.inbox import Inbox
from broker.settings import ConnectionSettings
from runtime.clock import Reading, SystemClock, read
from schemas import topics
from schemas.instants import ns_from_utc
from schemas.messages import ExchangeBatch, Info, OffsetResult, SessionState

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.interface import Incoming
    from runtime.clock import SimulatedClock
    from schemas.exchange import Exchange

DATED_NS = 1_200
"""A result's date is cut to µs, in which a clock that is slewed by 8 % moves too."""
_BEFORE_NS = 120 * 10**9
_KINDS = (topics.INFO, topics.OFFSET, topics.EXCHANGE, topics.SESSION_STATE)

Pair = tuple[str, str]
"""A topside and a vehicle."""
Identity = tuple[str, str, int, int]
"""Topside, vehicle, `seq` and `origin_ns` of an exchange."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """A result whose bound misses the truth by `beyond_ms`."""

    at_s: float
    beyond_ms: float
    instants_ns: list[int]
    """The machine's RAW at which it was measured, if the topside's clock is read right."""
    result: OffsetResult


@dataclass
class Heard:
    """What the observer knows."""

    results: int = 0
    judged: int = 0
    conditional: int = 0
    wrong: list[Wrong] = field(default_factory=list)
    exchanges: dict[Identity, Exchange] = field(default_factory=dict)
    at_s: dict[Identity, float] = field(default_factory=dict)
    """When each exchange was heard first, of `time.monotonic()`."""
    session: SessionState | None = None


class Observer:
    """`clock_of` gives the clock of a process by its pid: a simulated one, or None for this machine's."""

    def __init__(self, url: str, clock_of: Callable[[int], SimulatedClock | None]) -> None:
        self.heard = Heard()
        self._clock = SystemClock()
        self._clock_of = clock_of
        self._boots: dict[str, int] = {}
        self._instances: dict[int, str] = {}
        self._locked_ns: dict[Pair, int] = {}
        self._inbox = Inbox(ROOT)
        settings = ConnectionSettings(broker=url)
        self.connection = Connection(settings, self, self._clock, name="soak-observer", persistent=True)

    def connected(self) -> None:
        self.connection.subscribe([(topics.subscription(ROOT, kind), 1) for kind in _KINDS])

    def disconnected(self, reason: str) -> None:
        pass

    def tick(self, now: Reading) -> float:  # noqa: ARG002 - the connection's signature
        return 1.0

    def received(self, message: Incoming) -> None:
        letter = self._inbox.open(message)
        if letter is None:
            return
        match letter.body:
            case Info() as info:
                self._boots[info.boot_id] = pid_of(info.instance_id)
            case ExchangeBatch() as batch:
                for one in batch.exchanges:
                    self.heard.exchanges[identity(one)] = one
                    self.heard.at_s.setdefault(identity(one), time.monotonic())
            case SessionState() as state if state.session == SESSION:
                self.heard.session = state
            case OffsetResult() as result if not message.retain:
                self._note(result)

    def instance_of(self, pid: int) -> str:
        """The instance id of the topside that had this pid."""
        return self._instances[pid]

    def unhealed(self, since_ns: int) -> list[str]:
        """What is not well again since the machine's RAW `since_ns`, one phrase each."""
        pairs = [(topside, vehicle) for topside in TOPSIDES for vehicle in VEHICLES]
        faults = [f"{pair[1]} by {pair[0]}" for pair in pairs if self._locked_ns.get(pair, 0) <= since_ns]
        state = self.heard.session
        if state is None or state.state != "recording" or state.alarm or state.error:
            faults.append(f"session: {state and (state.alarm or state.error or state.state)}")
        return faults

    def _note(self, result: OffsetResult) -> None:
        self.heard.results += 1
        self.heard.conditional += result.conditional
        instance = result.instance_id or ""
        self._instances[pid_of(instance)] = instance
        if result.lower_ms is None or result.conditional:
            return
        instants = self._instants(result)
        if instants and result.state == "locked" and result.error is None:
            self._locked_ns[result.topside, result.vehicle] = instants[-1]
        pi = self._clock_of(self._boots.get(result.boot_id or "", 0))
        if instants and pi:
            self._check(result, pi, instants)

    def _check(self, result: OffsetResult, pi: SimulatedClock, instants: list[int]) -> None:
        self.heard.judged += 1
        error_ns = round((result.max_error_ms or 0) * 1e6)  # the Pi's reading is dated to within it
        near = [at_ns + by_ns for at_ns in instants for by_ns in (-error_ns, 0, error_ns)]
        beyond_ns = min(self._beyond_ns(result, pi, at_ns) for at_ns in near)
        if beyond_ns > 0:
            self.heard.wrong.append(Wrong(time.monotonic(), beyond_ns / 1e6, instants, result))

    def _beyond_ns(self, result: OffsetResult, pi: SimulatedClock, at_ns: int) -> float:
        assert result.lower_ms is not None
        assert result.upper_ms is not None
        true_ns = pi.realtime_at(at_ns) - self._topside_ns(result, at_ns)
        return max(result.lower_ms * 1e6 - true_ns, true_ns - result.upper_ms * 1e6) - DATED_NS

    def _instants(self, result: OffsetResult) -> list[int]:
        """The machine's RAW at the instants that `measured_at` can mean."""
        assert result.measured_at is not None
        at_ns, now = ns_from_utc(result.measured_at), read(self._clock)
        topside = self._topside_clock(result)
        if topside is None:
            return [at_ns - now.realtime_minus_raw_ns]
        return shown_at(topside, at_ns, max(now.raw_ns - _BEFORE_NS, topside.started_raw_ns), now.raw_ns)

    def _topside_clock(self, result: OffsetResult) -> SimulatedClock | None:
        return self._clock_of(pid_of(result.instance_id or ""))

    def _topside_ns(self, result: OffsetResult, at_ns: int) -> int:
        topside = self._topside_clock(result)
        if topside is None:
            return at_ns + read(self._clock).realtime_minus_raw_ns
        return topside.realtime_at(at_ns)


def identity(exchange: Exchange) -> Identity:
    """Tells exchanges of all topsides apart."""
    return exchange.topside, exchange.vehicle, exchange.seq, exchange.origin_ns


def pid_of(instance_id: str) -> int:
    """An instance id begins with its process's pid; 0 for one that does not."""
    digits = instance_id.partition("-")[0]
    return int(digits) if digits.isdecimal() else 0


def dashboard_fault(port: int) -> str | None:
    """Why the dashboard is not healthy; None if it is."""
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=1) as answer:
            health: dict[str, Any] = json.load(answer)
            return None if answer.status == 200 else f"dashboard: {health}"
    except OSError as error:
        return f"dashboard: {error}"
