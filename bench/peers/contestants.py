"""The peers that take part, each with its answering and its asking process."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from math import floor
from typing import TYPE_CHECKING

from bench.peers import chrony, direct, exchanges, lsl
from bench.peers.contestant import Contestant, Outcome
from bench.peers.estimates import ESTIMATORS, Estimate, Window, least_delay_of, windowed, within
from bench.peers.interleaving import name_at
from bench.peers.ours import Ours, from_window, shown
from bench.peers.processes import free_port, free_udp_port, installed, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bench.peers.setup import Setup

RATE_HZ = 10.0
HANDSHAKE_HZ = 1.0
LSL_HZ = 1.0
LSL_PROBES_HZ = 4.0
"""liblsl's defaults: eight probes every two seconds."""


class Filed(Contestant):
    """One whose asking process leaves its exchanges in a file."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def _results(self, setup: Setup) -> Path:
        self._file = setup.folder / f"{self._name}.txt"
        return self._file

    def ready(self, setup: Setup) -> None:  # noqa: ARG002 - its file tells
        wait_until(self._file.exists, f"the first exchange of {self._name}")

    def _singles(self, windows: Sequence[Window]) -> Sequence[exchanges.Stamps]:
        done = exchanges.read(self._file)
        return within(done, Window(windows[0].begin_ns, windows[-1].end_ns))


class Direct(Filed):
    """Ours as datagrams, straight from one side to the other; estimates from each window's exchanges."""

    def __init__(self, place: float) -> None:
        super().__init__("direct")
        self._place = place

    def serve(self, setup: Setup) -> None:
        port = free_udp_port()
        start = setup.programs.python
        self.answering = [start("direct-answer", "bench.peers.direct", "answer", port, RATE_HZ)]
        self._port = setup.link("udp", port)

    def begin(self, setup: Setup) -> None:
        name = name_at(self._place, RATE_HZ, "direct")
        ask = ("ask", self._port, RATE_HZ, name, setup.seconds, self._results(setup))
        self.asking = [setup.programs.python("direct-ask", "bench.peers.direct", *ask)]

    def outcome(self, windows: Sequence[Window]) -> Outcome:
        done = direct.read(self._file)
        parts = [[e for e in done if begin <= e.destination_ns < end] for begin, end in windows]
        found = [from_window(part) for part in parts if part]
        singles = [
            exchanges.Stamps(e.origin_ns, e.receive_ns, e.transmit_ns, e.destination_ns)
            for part in parts
            for e in part
        ]
        kinds = Counter(f"{e.receive_stamp} and {e.transmit_stamp}" for part in parts for e in part)
        return Outcome({"ours, direct": found}, singles, len(singles), shown(kinds))


class PlainPaho(Filed):
    """paho ping-pong over a broker."""

    def __init__(self, broker: str, place: float) -> None:
        super().__init__(f"paho-{broker}")
        self._broker = broker
        self._place = place

    def missing(self) -> str | None:
        if self._broker == "mosquitto" and installed("mosquitto") is None:
            return "mosquitto is not installed"
        return None

    def serve(self, setup: Setup) -> None:
        if self._broker == "mosquitto":
            self._port = setup.mosquitto_port
        else:
            self._port = free_port()
            command = [sys.executable, "-m", "tidesync", "-q", "broker", "--port", str(self._port)]
            setup.programs.start("amqtt", command)
            setup.expect(self._port, "amqtt")
        self._far_port = setup.link("tcp", self._port, answerer_connects=True)

    def begin(self, setup: Setup) -> None:
        start, module = setup.programs.python, "bench.peers.plain_paho"
        ask = ("ask", self._port, RATE_HZ, self._place, setup.seconds, self._results(setup))
        self.answering = [start(f"{self._name}-answer", module, "answer", self._far_port)]
        self.asking = [start(f"{self._name}-ask", module, *ask)]

    def outcome(self, windows: Sequence[Window]) -> Outcome:
        singles = self._singles(windows)
        rows = {
            f"paho over {self._broker}, {name}": windowed(singles, windows, estimate)
            for name, estimate in ESTIMATORS.items()
        }
        return Outcome(rows, singles, len(singles))


class Handshake(Filed):
    """The original; every GET is an estimate of its own."""

    def __init__(self, unit: str, place: float) -> None:
        super().__init__(f"handshake-{unit}")
        self._unit = unit
        self._place = place

    def serve(self, setup: Setup) -> None:
        self._port = free_port()
        program = setup.programs.python(f"{self._name}-answer", "bench.peers.handshake", "answer", self._port)
        self.answering = [program]
        setup.expect(self._port, self._name)
        self._near_port = setup.link("tcp", self._port)

    def begin(self, setup: Setup) -> None:
        ask = ("ask", self._near_port, self._unit, HANDSHAKE_HZ, self._place, setup.seconds)
        self.asking = [
            setup.programs.python(f"{self._name}-ask", "bench.peers.handshake", *ask, self._results(setup))
        ]

    def outcome(self, windows: Sequence[Window]) -> Outcome:
        singles = self._singles(windows)
        estimates = [least_delay_of([single]) for single in singles]
        if self._unit == "ms":
            estimates = [_whole_ms(estimate) for estimate in estimates]
        rows = {f"handshake, {self._unit}": estimates}
        return Outcome(rows, singles, len(singles))


def _whole_ms(estimate: Estimate) -> Estimate:
    """Offset and uncertainty rounded as the original's JavaScript does it: a half goes up."""
    offset_ns, half_ns = (floor(ns / 1e6 + 0.5) * 1e6 for ns in (estimate.error_ns, estimate.stated_ns))
    return estimate._replace(error_ns=offset_ns, stated_ns=half_ns)


class Lsl(Contestant):
    """liblsl's time correction as it stands at each window's end."""

    def missing(self) -> str | None:
        return None if importlib.util.find_spec("pylsl") else "pylsl is not installed"

    def serve(self, setup: Setup) -> None:
        self._description = setup.folder / "outlet.xml"
        self.answering = [setup.programs.python("lsl-answer", "bench.peers.lsl", "answer", self._description)]
        wait_until(self._description.exists, "LSL's outlet")
        self._port = setup.link("udp", lsl.service_port(self._description))

    def begin(self, setup: Setup) -> None:
        self._file = setup.folder / "lsl.txt"
        ask = ("ask", self._description, self._port, LSL_HZ, setup.seconds, self._file)
        self.asking = [setup.programs.python("lsl-ask", "bench.peers.lsl", *ask)]

    def ready(self, setup: Setup) -> None:  # noqa: ARG002 - its file tells
        wait_until(self._file.exists, "LSL's first correction")

    def outcome(self, windows: Sequence[Window]) -> Outcome:
        read = lsl.read(self._file)
        last = [[c for c in read if window.begin_ns <= c.at_ns < window.end_ns][-1:] for window in windows]
        probes = [round(LSL_PROBES_HZ * (end - begin) / 1e9) for begin, end in windows]
        estimates = [
            Estimate(c.offset_ns, c.uncertainty_ns, c.uncertainty_ns, count)
            for found, count in zip(last, probes, strict=True)
            for c in found
        ]
        return Outcome({"LSL": estimates}, (), sum(probes))


class Ntplib(Filed):
    """ntplib against chronyd."""

    def __init__(self, place: float) -> None:
        super().__init__("ntplib")
        self._place = place

    def missing(self) -> str | None:
        if not importlib.util.find_spec("ntplib"):
            return "ntplib is not installed"
        return chrony.missing()

    def serve(self, setup: Setup) -> None:
        port = free_udp_port()
        command = chrony.server_command(setup.folder / "chrony-for-ntplib", port)
        self.answering = [setup.programs.start("chronyd-for-ntplib", command)]
        self._port = setup.link("udp", port)

    def begin(self, setup: Setup) -> None:
        ask = (self._port, RATE_HZ, self._place, setup.seconds, self._results(setup))
        self.asking = [setup.programs.python("ntplib", "bench.peers.ntp_client", *ask)]

    def outcome(self, windows: Sequence[Window]) -> Outcome:
        singles = self._singles(windows)
        rows = {"ntplib, least delay": windowed(singles, windows, least_delay_of)}
        return Outcome(rows, singles, len(singles))


class Chrony(Contestant):
    """chronyd against chronyd, interleaved, kernel stamps: the client's estimate at each window's end."""

    def __init__(self) -> None:
        super().__init__()
        self._readings: list[chrony.Reading | None] = []

    def missing(self) -> str | None:
        return chrony.missing()

    def serve(self, setup: Setup) -> None:
        self._folder = setup.folder / "chrony"
        port = free_udp_port()
        self.answering = [setup.programs.start("chronyd", chrony.server_command(self._folder, port))]
        self._port = setup.link("udp", port)

    def begin(self, setup: Setup) -> None:
        command = chrony.client_command(self._folder, self._port, free_udp_port())
        self.asking = [setup.programs.start("chronyd-client", command)]

    def window_ended(self, at_ns: int) -> None:
        self._readings.append(chrony.ask(self._folder, at_ns))

    def outcome(self, windows: Sequence[Window]) -> Outcome:
        del windows  # a reading was taken at the end of each
        known = [reading for reading in self._readings if reading]
        estimates = [
            Estimate(r.offset_ns, r.stated_ns, r.delay_ns, r.samples) for r in self._readings[1:] if r
        ]
        received = known[-1].received - known[0].received if known else 0
        return Outcome({"chrony": estimates}, (), received)


CONTESTANTS: dict[str, Callable[[], Contestant]] = {
    "ours": Ours,
    "direct": lambda: Direct(0.8),
    "handshake-ms": lambda: Handshake("ms", 0.47),
    "handshake-ns": lambda: Handshake("ns", 0.97),
    "lsl": Lsl,
    "ntplib": lambda: Ntplib(0.65),
    "chrony": Chrony,
    "paho-mosquitto": lambda: PlainPaho("mosquitto", 0.2),
    "paho-amqtt": lambda: PlainPaho("amqtt", 0.4),
}
"""Each on its own place of the common tenth of a second; liblsl and chrony keep their own time."""
