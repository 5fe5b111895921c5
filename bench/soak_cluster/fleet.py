"""Two vehicles with known clocks, topside, a recorder and a reader on a cluster, an account each."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from broker.settings import ConnectionSettings
from pi_agent.agent import PiAgent
from pi_agent.settings import PiSettings
from runtime.clock import SimulatedClock, SystemClock
from tidesync.demo.checker import Checker
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.journal import Journal
from tidesync.sessions.recorder.agent import RecorderAgent
from tidesync.sessions.recorder.settings import RecorderSettings
from topside_agent.agent import TopsideAgent
from topside_agent.settings import TopsideSettings

if TYPE_CHECKING:
    from contextlib import ExitStack

    from bench.soak_cluster.cluster import Cluster

VEHICLES = {"rov1": (-1_234_567_000, 18.0), "rov2": (42_000_000_000, -35.0)}
"""Offset in ns and drift in ppm."""
ACCOUNTS = {
    **dict.fromkeys(VEHICLES, "vehicle"),
    "topside": "topside",
    "recorder": "recorder",
    "viewer": "dashboard",
    "operator": "operator",
}
STARTED = ("rov1", "topside", "rov2")
"""In this order, each once the one before is connected: a vehicle before topside, and one after it."""
_LOOK_S = 0.02
_CONNECT_S = 120.0
_INTERVAL_S = 0.25
_LATELY_S = 3.0
_SESSION_S = 180.0


class Look(NamedTuple):
    """One vehicle at one moment of the monotonic clock."""

    at_s: float
    locked: bool
    """Whether topside has a `locked` result of it, may publish that, and had an answer lately."""
    age_s: float
    """Since its last exchange."""


class Fleet:
    """Everything in this process, each part on its own connection; stopped by `stack`."""

    def __init__(self, cluster: Cluster, stack: ExitStack, *, ping_connection: bool) -> None:
        self._cluster = cluster
        self._stack = stack
        clock = SystemClock()
        clocks = {}
        self._vehicles: dict[str, PiAgent] = {}
        for at, (name, (offset_ns, drift_ppm)) in enumerate(VEHICLES.items()):
            clocks[name] = SimulatedClock(clock, offset_ns=offset_ns, drift_ppm=drift_ppm)
            of_pi = PiSettings(
                vehicle=name, no_http=True, ping_connection=ping_connection, **cluster.account(name, at)
            )
            self._vehicles[name] = PiAgent(of_pi, clocks[name])
        self.topside = TopsideAgent(
            TopsideSettings(
                topside="topside",
                no_udp=True,
                ping_connection=ping_connection,
                **cluster.account("topside", 2),
            ),
            clock,
        )
        for name in STARTED:
            agent = self._vehicles.get(name, self.topside)
            self._start(agent)
            self._wait_until_connected(agent)
        root = cluster.folder / "sessions"
        self._start(RecorderAgent(RecorderSettings(root=root, **cluster.account("recorder")), clock))
        settings = ConnectionSettings(**cluster.account("viewer", 1))
        self.checker = Checker(settings, clock, clocks, _INTERVAL_S)
        self._start(self.checker.connection)
        self.looks: dict[str, list[Look]] = {name: [] for name in VEHICLES}
        self._ends = threading.Event()
        looking = threading.Thread(target=self._look, daemon=True)
        looking.start()
        stack.callback(looking.join)
        stack.callback(self._ends.set)

    def _start(self, part: Any) -> None:
        part.start()
        self._stack.callback(part.stop)

    @staticmethod
    def _wait_until_connected(agent: PiAgent | TopsideAgent) -> None:
        """So that it has announced itself, to those who are there, before the next one starts."""
        deadline = time.monotonic() + _CONNECT_S
        while not agent.status_text.startswith("connected"):
            if time.monotonic() > deadline:
                raise TimeoutError(agent.status_text)
            time.sleep(_LOOK_S)

    def _look(self) -> None:
        while not self._ends.wait(_LOOK_S):
            at_s = time.monotonic()
            for one in self.topside.counts().vehicles:
                age_s = one.last_exchange_age_s
                if one.result and age_s is not None:
                    locked = one.current and one.result.state == "locked" and age_s < _LATELY_S
                    self.looks[one.vehicle].append(Look(at_s, locked, age_s))

    def connected_to(self, port: int) -> set[str]:
        """Which of the vehicles and topside have their account's own connection at the node of `port`."""
        used = {name: pi.health().broker for name, pi in self._vehicles.items()}
        used["topside"] = self.topside.counts().agent.broker
        return {name for name, broker in used.items() if broker.endswith(f":{port}")}

    def locked_for(self, seconds: float) -> bool:
        """Whether every vehicle has been locked for so long."""
        since_s = time.monotonic() - seconds
        return all(
            looks and all(look.locked for look in reversed(looks) if look.at_s > since_s)
            for looks in self.looks.values()
        )

    def unlocked_s(self, vehicle: str, since_s: float) -> float:
        """From the monotonic instant `since_s` to the last at which `vehicle` was not locked; 0: never."""
        looks = [look for look in self.looks[vehicle] if look.at_s >= since_s]
        return max((look.at_s - since_s for look in looks if not look.locked), default=0.0)

    def longest_gap_s(self, vehicle: str, since_s: float) -> float:
        """The longest time without an exchange with `vehicle` since then."""
        return max((look.age_s for look in self.looks[vehicle] if look.at_s >= since_s), default=0.0)

    # The session

    def session(self, *arguments: str) -> dict[str, Any]:
        """`tidesync session …` by the operator; what it prints. RuntimeError when it fails."""
        options = ["--json", "--timeout", f"{_SESSION_S - 20:g}", *self._cluster.options("operator")]
        command = [sys.executable, "-m", "tidesync", "session", *arguments, *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SESSION_S, check=False)
        if done.returncode:
            raise RuntimeError(f"session {' '.join(arguments)}: {done.stderr}")
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def folder(self, path: str) -> SessionFolder:
        """That of the session at `path`."""
        return SessionFolder(self._cluster.folder / "sessions" / path)

    def journal(self, path: str) -> tuple[Journal, list[str]]:
        """What was recorded in the session at `path`, and what is wrong with it, in sentences."""
        journal = self.folder(path).read_exchanges() or Journal()
        faults = []
        for vehicle in VEHICLES:
            seqs = [exchange.seq for exchange in journal.exchanges if exchange.vehicle == vehicle]
            if len(set(seqs)) != len(seqs):
                faults.append(f"{vehicle}: {len(seqs) - len(set(seqs))} exchanges are there twice")
            missing = [pair for pair in pairwise(sorted(set(seqs))) if pair[1] != pair[0] + 1]
            if missing or not seqs:
                faults.append(f"{vehicle}: numbers missing between {missing} among {len(seqs)} exchanges")
        return journal, faults
