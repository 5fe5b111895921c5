"""The demo: starts every part, shows the live table, stops all, and gives the verdict."""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import platformdirs
from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table

from broker.embedded import EmbeddedBroker
from broker.errors import BrokerUnreachableError
from broker.settings import ConnectionSettings, EmbeddedBrokerSettings
from pi_agent.agent import PiAgent
from pi_agent.settings import PiSettings
from runtime.clock import SimulatedClock, SystemClock
from runtime.errors import ListenError
from schemas.compat import UTC
from schemas.messages import StartCommand, StopCommand
from tidesync.demo.checker import Checker
from tidesync.demo.settings import DemoSettings, demo_clock
from tidesync.errors import NotSoError
from tidesync.figures import decimals_of, error_figure
from tidesync.sessions.client import ask, new_request_id
from tidesync.sessions.recorder.agent import RecorderAgent
from tidesync.sessions.recorder.settings import RecorderSettings
from tidesync.terminal.screen import unseen_interrupt
from tidesync.terminal.view import STATE_STYLES
from topside_agent.agent import TopsideAgent
from topside_agent.settings import TopsideSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from runtime.lifecycle import Service
    from schemas.messages import SessionState
    from tidesync.demo.checker import Verdict

_CONNECT_S = 10.0
_ANSWER_S = 30.0
_REFRESH_S = 0.25
_COARSE_NS = 1_000_000
_MOST_DECIMALS = 5
"""Of a ms: there is room for no more."""
MISSION = "demo"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The JSON document of the demo, and in words what was wrong."""

    document: dict[str, Any]
    complaints: list[str]
    results: int
    root: Path
    """What it recorded is below."""


class Demo:
    """Every part in this process, over real MQTT connections."""

    def __init__(self, settings: DemoSettings, console: Console) -> None:
        self._settings = settings
        self._console = console
        self._clock = SystemClock()
        self._session = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
        self._root = settings.root or platformdirs.user_data_path("tidesync") / f"demo-{self._session}"
        self._vehicles: dict[str, SimulatedClock] = {}
        self._page: str | None = None

    def run(self) -> Outcome:
        """Run for the duration set; raises errors of settings and brokers."""
        with contextlib.ExitStack() as stack:
            url = self._settings.broker or self._start_broker(stack)
            self._vehicles = self._clocks()
            checker = self._start_checker(stack, url)
            for service in self._services(url):
                _start(stack, service)
            if self._settings.dashboard:
                self._page = self._start_dashboard(stack, url)
            state = self._start_session(url)
            self._show(checker)
            stopped = self._stop_session(url) or state
            return self._outcome(checker, stopped)

    def _start_broker(self, stack: contextlib.ExitStack) -> str:
        embedded = EmbeddedBroker(EmbeddedBrokerSettings(port=0))
        _start(stack, embedded)
        return embedded.url

    def _clocks(self) -> dict[str, SimulatedClock]:
        numbers = range(1, self._settings.vehicles + 1)
        return {f"rov{n}": demo_clock(n, self._clock, self._settings.duration) for n in numbers}

    def _start_checker(self, stack: contextlib.ExitStack, url: str) -> Checker:
        interval_s = 1 / TopsideSettings.model_fields["rate"].default
        checker = Checker(ConnectionSettings(broker=url), self._clock, self._vehicles, interval_s)
        stack.callback(checker.connection.stop)
        checker.connection.start()
        if not checker.connection.wait_until_up(_CONNECT_S):
            raise checker.connection.failure or BrokerUnreachableError(
                checker.connection.address, f"no connection within {_CONNECT_S:g} s"
            )
        return checker

    def _services(self, url: str) -> Iterator[Service]:
        yield RecorderAgent(RecorderSettings(broker=url, root=self._root, name="demo"), self._clock)
        yield TopsideAgent(
            TopsideSettings(topside="topside", broker=url, vehicle=tuple(self._vehicles)), self._clock
        )
        for vehicle, clock in self._vehicles.items():
            yield PiAgent(PiSettings(broker=url, vehicle=vehicle, no_http=True), clock)

    def _start_dashboard(self, stack: contextlib.ExitStack, url: str) -> str:
        """Serve the dashboard, on another port when its own is taken; returns its URL."""
        from tidesync.dashboard.agent import DashboardAgent  # noqa: PLC0415 - FastAPI takes half a second
        from tidesync.dashboard.settings import DashboardSettings  # noqa: PLC0415

        settings = DashboardSettings(broker=url, port=self._settings.dashboard_port, root=self._root)
        try:
            agent = DashboardAgent(settings, self._clock)
            _start(stack, agent)
        except ListenError:
            agent = DashboardAgent(settings.model_copy(update={"port": 0}), self._clock)
            _start(stack, agent)
        return agent.url

    def _start_session(self, url: str) -> SessionState:
        sensors = {f"sensor{n}": vehicle for n, vehicle in enumerate(self._vehicles, start=1)}
        sensors["inWater"] = next(iter(self._vehicles))
        start = StartCommand(request_id=new_request_id(), mission=MISSION, sensors=sensors)
        state = ask(ConnectionSettings(broker=url), self._session, start, _ANSWER_S)
        if state.state != "recording":
            raise NotSoError(f"the recorder does not record: {state.error}")
        return state

    def _stop_session(self, url: str) -> SessionState | None:
        stop = StopCommand(request_id=new_request_id())
        with contextlib.suppress(NotSoError):
            return ask(ConnectionSettings(broker=url), self._session, stop, _ANSWER_S)
        return None

    def _show(self, checker: Checker) -> None:
        end = math.inf if self._page else time.monotonic() + self._settings.duration
        if not self._console.is_terminal:
            self._show_once(checker, end)
            return
        with unseen_interrupt(), Live(console=self._console, refresh_per_second=4) as live:
            with contextlib.suppress(KeyboardInterrupt) if self._page else contextlib.nullcontext():
                if self._page:  # from here on Ctrl-C ends with the verdict
                    self._console.print(f"Dashboard: {self._page}\n", highlight=False, soft_wrap=True)
                while (left_s := end - time.monotonic()) > 0:
                    live.update(
                        self._table(checker, "Ctrl-C ends" if self._page else f"{left_s:.0f} s to go")
                    )
                    time.sleep(min(_REFRESH_S, left_s))
            live.update(self._table(checker, ""))

    def _show_once(self, checker: Checker, end: float) -> None:
        """For a file or a pipe: the last table, without spaces at the ends of its lines."""
        with contextlib.suppress(KeyboardInterrupt) if self._page else contextlib.nullcontext():
            if self._page:
                print(f"Dashboard: {self._page}\n", file=self._console.file, flush=True)
            while (left_s := end - time.monotonic()) > 0:
                time.sleep(min(_REFRESH_S, left_s))
        with self._console.capture() as captured:
            self._console.print(self._table(checker, ""))
        print(*map(str.rstrip, captured.get().rstrip().splitlines()), sep="\n", file=self._console.file)

    def _table(self, checker: Checker, caption: str) -> Table:
        drifts = {vehicle: clock.drift_ppm for vehicle, clock in self._vehicles.items()}
        title = "Vehicle clocks, Pi − topside"
        if self._is_coarse:
            title += f" (which moves in steps of {self._clock.resolution_ns / 1e6:.1f} ms)"
        return _live_table(checker.latest, drifts, title, caption)

    @property
    def _is_coarse(self) -> bool:
        """Whether this computer's clock cannot be read well enough for `locked`."""
        return self._clock.resolution_ns > _COARSE_NS

    def _outcome(self, checker: Checker, state: SessionState) -> Outcome:
        rows = [self._row(checker, vehicle) for vehicle in self._vehicles]
        complaints = [
            f"{bad.result.vehicle}: the truth {bad.true_offset_ms:.4f} ms was outside "
            f"{bad.result.lower_ms} … {bad.result.upper_ms} ms at {bad.result.measured_at}"
            for bad in checker.wrong
        ]
        measured = {"locked", "acquiring"} if self._is_coarse else {"locked"}
        complaints += [f"{row['vehicle']} is {row['state']}" for row in rows if row["state"] not in measured]
        folder = self._root / (state.path or "")
        if state.state != "stopped":
            complaints.append(f"the session is {state.state}, not stopped: {state.error or 'no answer'}")
        if not (folder / "sync_metadata.json").is_file():
            complaints.append(f"{folder} holds no sync_metadata.json")
        document = {"ok": not complaints, "session": str(folder), "vehicles": rows}
        return Outcome(document, complaints, checker.results, self._root)

    def _row(self, checker: Checker, vehicle: str) -> dict[str, Any]:
        verdict = checker.latest.get(vehicle)
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


def _live_table(
    latest: Mapping[str, Verdict], true_drifts_ppm: Mapping[str, float], title: str, caption: str
) -> Table:
    """One row a vehicle, offsets in ms, errors in µs, drifts in ppm; it fits 80 columns."""
    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left")
    table.box, table.padding = box.SIMPLE_HEAD, (0, 1, 0, 0)
    table.add_column("vehicle", no_wrap=True)
    table.add_column("state", no_wrap=True, min_width=9)
    for heading in ("offset\nms", "true\nms", "error\nµs", "max\n± µs", "drift\nppm", "true\nppm"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("steps", justify="right", no_wrap=True)
    for vehicle, true_drift_ppm in true_drifts_ppm.items():
        table.add_row(vehicle, *_columns(latest.get(vehicle), true_drift_ppm))
    return table


def _columns(verdict: Verdict | None, true_drift_ppm: float) -> Iterable[str]:
    if verdict is None or verdict.true_offset_ms is None:
        return ("[dim]waiting[/]", "", "", "", "", "", f"{true_drift_ppm:+.1f}", "")
    result, true_ms = verdict.result, verdict.true_offset_ms
    offset_ms, max_error_ms = result.offset_ms or 0.0, result.max_error_ms or 0.0
    decimals = decimals_of(max_error_ms, 3, _MOST_DECIMALS)
    of_us = max(0, decimals_of(max_error_ms, 0, _MOST_DECIMALS) - 3)
    shown_error_us = Decimal(error_figure(max_error_ms, of_us + 3, offset_ms, decimals)) * 1000
    colour = "green" if verdict.right else "bold red"
    return (
        f"[{STATE_STYLES[result.state]}]{result.state}[/]",
        f"{offset_ms:.{decimals}f}",
        f"{true_ms:.{decimals}f}",
        f"[{colour}]{(offset_ms - true_ms) * 1000:+.{max(1, of_us)}f}[/]",
        f"{shown_error_us:.{of_us}f}",
        "" if result.drift_ppm is None else f"{result.drift_ppm:+.1f}",
        f"{true_drift_ppm:+.1f}",
        str(result.steps),
    )
