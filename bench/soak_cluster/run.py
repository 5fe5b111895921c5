"""One soak: a session, each node killed in turn, a rolling restart, nodes cut off, and the verdict."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.soak_cluster.fleet import ACCOUNTS, VEHICLES, Fleet
from bench.soak_recorder.ending import claimed, wait_until_written
from bench.soak_recorder.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.soak_cluster.cluster import Cluster, Node

_MISSION, _SESSION = "reef-42", "cluster"
_LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Plan:
    """How often each node is killed and stopped, in turn."""

    kills: int = 2
    restarts: int = 1
    partitions: int = 0
    """How often one node, at random, is cut off from the two others."""
    partition_s: float = 30.0
    seed: int = 1
    only_topsides: bool = False
    """Leave those nodes in peace that topside is not connected to."""
    ping_connection: bool = True
    """Whether pings have a connection of their own."""
    settle_s: float = 5.0
    """How long every vehicle is to be locked before the next fault."""
    heal_s: float = 120.0
    """Every vehicle has to be locked again within this, else the soak fails; what is required is less."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The end of one node."""

    kind: str
    """`kill`, `restart` or `partition`."""
    node: str
    led: tuple[str, ...]
    """What the node was the leader of."""
    there: tuple[str, ...]
    """Which of the vehicles and topside were connected to it."""


@dataclass(frozen=True, slots=True)
class Outage:
    """What a fault did to one vehicle."""

    fault: Fault
    vehicle: str
    unlocked_s: float
    """From the fault until the vehicle was locked for good; 0: it always was."""
    gap_s: float
    """The longest time without an exchange."""

    def __str__(self) -> str:
        fault = self.fault
        led, there = ", ".join(fault.led) or "nothing", ", ".join(fault.there) or "nobody"
        return (
            f"{fault.kind} of {fault.node} (led {led}; connected: {there}): {self.vehicle} locked after"
            f" {self.unlocked_s:.1f} s, longest gap {self.gap_s:.1f} s"
        )


class Soak:
    """Everything is below the cluster's folder, which is left as it is at the end."""

    def __init__(self, plan: Plan, cluster: Cluster, say: Callable[[str], None]) -> None:
        self._plan, self._cluster, self._say = plan, cluster, say
        self.outages: list[Outage] = []

    def run(self) -> Verdict:
        """Run to the verdict; a part that cannot run at all raises."""
        for name, role in ACCOUNTS.items():
            self._cluster.add(role, name)
        verdict = Verdict()
        with ExitStack() as stack:
            stack.callback(self._cluster.stop)
            began_s = time.monotonic()
            self._cluster.start()
            verdict.note("cluster healthy after, s", round(time.monotonic() - began_s, 1))
            fleet = Fleet(self._cluster, stack, ping_connection=self._plan.ping_connection)
            began_s = time.monotonic()
            self._until_locked(fleet, verdict, "at the start", 0.0)
            verdict.note("vehicles locked after the start, s", round(time.monotonic() - began_s, 1))
            path = fleet.session("start", "--mission", _MISSION, "--name", _SESSION)["path"]
            self._disturb(fleet, verdict)
            fleet.session("stop", _SESSION)
            counted = claimed(wait_until_written(fleet.folder(path), self._plan.heal_s))
        verdict.note("results", fleet.checker.results, at_least=10)
        verdict.note("results wrong", len(fleet.checker.wrong), wanted=0)
        journal, faults = fleet.journal(path)
        verdict.note("exchanges recorded", len(journal.exchanges), at_least=50)
        verdict.note("said to be recorded", counted, wanted=len(journal.exchanges))
        verdict.note("malformed", journal.malformed, wanted=0)
        verdict.failures += faults
        return verdict

    def _disturb(self, fleet: Fleet, verdict: Verdict) -> None:
        nodes = self._cluster.nodes
        if self._plan.only_topsides:
            nodes = [node for node in nodes if "topside" in fleet.connected_to(node.port)]
        for kind, times in (("kill", self._plan.kills), ("restart", self._plan.restarts)):
            for node in nodes * times:
                self._fault(fleet, verdict, kind, node)
        chance = random.Random(self._plan.seed)
        for _ in range(self._plan.partitions):
            self._partition(fleet, verdict, chance.choice(nodes))

    def _fault(self, fleet: Fleet, verdict: Verdict, kind: str, node: Node) -> None:
        """End `node`; a killed one comes back when the others have gone on without it."""
        led, there = sorted(node.leads()), sorted(fleet.connected_to(node.port))
        fault = Fault(kind, node.name, tuple(led), tuple(there))
        at_s = time.monotonic()
        if kind == "kill":
            node.kill()
            self._until_locked(fleet, verdict, f"without {node.name}", self._plan.settle_s)
            self._note(fleet, fault, at_s)
        else:
            node.stop()
        node.start()
        self._cluster.wait_until_healthy()
        self._until_locked(fleet, verdict, f"with {node.name} back", self._plan.settle_s)
        if kind != "kill":
            self._note(fleet, fault, at_s)

    def _partition(self, fleet: Fleet, verdict: Verdict, node: Node) -> None:
        """Cut `node` off from the others, which are the majority; its clients stay connected to it."""
        led, there = sorted(node.leads()), sorted(fleet.connected_to(node.port))
        fault = Fault("partition", node.name, tuple(led), tuple(there))
        at_s = time.monotonic()
        self._cluster.divide(node, apart=True)
        time.sleep(self._plan.partition_s)
        self._cluster.divide(node, apart=False)
        healed_s = time.monotonic()
        self._cluster.wait_until_healthy()
        self._until_locked(fleet, verdict, f"with {node.name} in reach again", self._plan.settle_s)
        self._note(fleet, fault, at_s)
        again_s = max(fleet.unlocked_s(vehicle, healed_s) for vehicle in VEHICLES)
        what = "locked again after a partition, s"
        verdict.note(what, round(max(again_s, verdict.figures.get(what, 0.0)), 1))

    def _note(self, fleet: Fleet, fault: Fault, at_s: float) -> None:
        for vehicle in VEHICLES:
            unlocked_s, gap_s = fleet.unlocked_s(vehicle, at_s), fleet.longest_gap_s(vehicle, at_s)
            self.outages.append(Outage(fault, vehicle, unlocked_s, gap_s))
            self._say(str(self.outages[-1]))

    def _until_locked(self, fleet: Fleet, verdict: Verdict, when: str, seconds: float) -> None:
        deadline = time.monotonic() + self._plan.heal_s
        began_s = time.monotonic()
        while time.monotonic() - began_s < seconds or not fleet.locked_for(seconds):
            if time.monotonic() > deadline:
                verdict.failures.append(f"{when}: not locked within {self._plan.heal_s:g} s")
                return
            time.sleep(_LOOK_S)
