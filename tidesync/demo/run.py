"""The demo itself: starts every part, lets it run, stops it, and gives the verdict."""

from __future__ import annotations

import contextlib
import math
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import platformdirs
from rich.console import Console
from rich.live import Live

from broker.embedded import EmbeddedBroker
from broker.errors import BrokerUnreachableError
from broker.settings import ConnectionSettings, EmbeddedBrokerSettings
from pi_agent.agent import PiAgent
from pi_agent.settings import PiSettings
from runtime.clock import SimulatedClock, SystemClock
from schemas.messages import StartCommand, StopCommand
from tidesync.demo.checker import Checker
from tidesync.demo.settings import DemoSettings, demo_clock
from tidesync.demo.table import demo_table
from tidesync.errors import NotSoError
from tidesync.sessions.recorder.agent import RecorderAgent
from tidesync.sessions.recorder.settings import RecorderSettings
from tidesync.terminal.screen import unseen_interrupt
from topside_agent.agent import TopsideAgent
from topside_agent.settings import TopsideSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.lifecycle import Service
    from schemas.messages import SessionState

_CONNECT_S = 10.0
_ANSWER_S = 5.0
_REFRESH_S = 0.25
MISSION = "demo"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the demo found: the JSON document, and what went against it in words."""

    document: dict[str, Any]
    complaints: list[str]
    results: int


class Demo:
    """Every part in this process, joined by real MQTT connections."""

    def __init__(self, settings: DemoSettings, console: Console) -> None:
        self._settings = settings
        self._console = console
        self._clock = SystemClock()
        self._session = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
        self._root = settings.root or platformdirs.user_data_path("tidesync") / f"demo-{self._session}"
        self._vehicles: dict[str, SimulatedClock] = {}
        self._page: str | None = None

    def run(self) -> Outcome:
        """Run for the time set; errors of settings and brokers are raised."""
        with contextlib.ExitStack() as stack:
            url = self._settings.broker or self._start_broker(stack)
            self._vehicles = self._clocks()
            witness = self._start_witness(stack, url)
            for service in self._services(url):
                _start(stack, service)
            if self._settings.dashboard:
                self._page = self._start_dashboard(stack, url)
                self._console.print(f"Dashboard: {self._page}\n", highlight=False, soft_wrap=True)
            state = self._start_session(witness)
            self._show(witness)
            stopped = self._stop_session(witness) or state
            return self._outcome(witness, stopped)

    def _start_broker(self, stack: contextlib.ExitStack) -> str:
        embedded = EmbeddedBroker(EmbeddedBrokerSettings(port=0))
        _start(stack, embedded)
        return embedded.url

    def _clocks(self) -> dict[str, SimulatedClock]:
        numbers = range(1, self._settings.vehicles + 1)
        return {f"rov{n}": demo_clock(n, self._clock, self._settings.duration) for n in numbers}

    def _start_witness(self, stack: contextlib.ExitStack, url: str) -> Checker:
        interval_s = 1 / TopsideSettings.model_fields["rate"].default
        witness = Checker(ConnectionSettings(broker=url), self._clock, self._vehicles, interval_s)
        stack.callback(witness.connection.stop)
        witness.connection.start()
        if not witness.connection.wait_until_up(_CONNECT_S):
            raise witness.connection.failure or BrokerUnreachableError(
                witness.connection.address, f"no connection within {_CONNECT_S:g} s"
            )
        return witness

    def _services(self, url: str) -> Iterator[Service]:
        yield RecorderAgent(RecorderSettings(broker=url, root=self._root, name="demo"), self._clock)
        yield TopsideAgent(TopsideSettings(broker=url, vehicle=tuple(self._vehicles)), self._clock)
        for vehicle, clock in self._vehicles.items():
            yield PiAgent(PiSettings(broker=url, vehicle=vehicle, no_http=True), clock)

    def _start_dashboard(self, stack: contextlib.ExitStack, url: str) -> str:
        """Serve it, on another port when its own is taken; returns where."""
        from tidesync.dashboard.agent import DashboardAgent  # noqa: PLC0415 - FastAPI takes half a second
        from tidesync.dashboard.settings import AddressUnusableError, DashboardSettings  # noqa: PLC0415

        settings = DashboardSettings(broker=url, port=self._settings.dashboard_port)
        try:
            agent = DashboardAgent(settings, self._clock)
            _start(stack, agent)
        except AddressUnusableError:
            agent = DashboardAgent(settings.model_copy(update={"port": 0}), self._clock)
            _start(stack, agent)
        return agent.url

    def _start_session(self, witness: Checker) -> SessionState:
        sensors = {f"sensor{n}": vehicle for n, vehicle in enumerate(self._vehicles, start=1)}
        sensors["inWater"] = next(iter(self._vehicles))
        request_id = secrets.token_hex(8)
        deadline = time.monotonic() + _ANSWER_S
        while time.monotonic() < deadline:  # the recorder may not have subscribed yet
            witness.command(
                self._session, StartCommand(request_id=request_id, mission=MISSION, sensors=sensors)
            )
            state = witness.wait_for_session(lambda state: state.request_id == request_id, 0.5)
            if state:
                break
        else:
            raise NotSoError(f"the recorder did not answer within {_ANSWER_S:g} s")
        if state.state != "recording":
            raise NotSoError(f"the recorder does not record: {state.error}")
        return state

    def _stop_session(self, witness: Checker) -> SessionState | None:
        request_id = secrets.token_hex(8)
        witness.command(self._session, StopCommand(request_id=request_id))
        return witness.wait_for_session(
            lambda state: state.request_id == request_id and state.state != "recording", _ANSWER_S
        )

    def _show(self, witness: Checker) -> None:
        end = math.inf if self._page else time.monotonic() + self._settings.duration
        with unseen_interrupt(), Live(console=self._console, refresh_per_second=4) as live:
            with contextlib.suppress(KeyboardInterrupt) if self._page else contextlib.nullcontext():
                while (left_s := end - time.monotonic()) > 0:
                    live.update(
                        self._table(witness, "Ctrl-C ends" if self._page else f"{left_s:.0f} s to go")
                    )
                    time.sleep(min(_REFRESH_S, left_s))
            live.update(self._table(witness, ""))

    def _table(self, witness: Checker, caption: str) -> Any:
        drifts = {vehicle: clock.drift_ppm for vehicle, clock in self._vehicles.items()}
        return demo_table(witness.latest, drifts, "Vehicle clocks, Pi − topside", caption)

    def _outcome(self, witness: Checker, state: SessionState) -> Outcome:
        rows = [self._row(witness, vehicle) for vehicle in self._vehicles]
        complaints = [
            f"{bad.result.vehicle}: the truth {bad.true_offset_ms:.4f} ms lay outside "
            f"{bad.result.lower_ms} … {bad.result.upper_ms} ms at {bad.result.measured_at}"
            for bad in witness.wrong
        ]
        complaints += [f"{row['vehicle']} is {row['state']}" for row in rows if row["state"] != "locked"]
        folder = self._root / (state.path or "")
        if state.state != "stopped":
            complaints.append(f"the session is {state.state}, not stopped: {state.error or 'no answer'}")
        if not (folder / "sync_metadata.json").is_file():
            complaints.append(f"{folder} holds no sync_metadata.json")
        document = {"ok": not complaints, "session": str(folder), "vehicles": rows}
        return Outcome(document, complaints, witness.results)

    def _row(self, witness: Checker, vehicle: str) -> dict[str, Any]:
        verdict = witness.latest.get(vehicle)
        result = verdict.result if verdict else None
        return {
            "vehicle": vehicle,
            "state": result.state if result else "unsynced",
            "offset_ms": result.offset_ms if result else None,
            "max_error_ms": result.max_error_ms if result else None,
            "u95_ms": result.u95_ms if result else None,
            "drift_ppm": result.drift_ppm if result else None,
            "true_offset_ms": verdict.true_offset_ms if verdict else None,
            "true_drift_ppm": self._vehicles[vehicle].drift_ppm,
            "exchanges": result.exchanges if result else 0,
        }


def _start(stack: contextlib.ExitStack, service: Service) -> None:
    service.start()
    stack.callback(service.stop)
