"""One soak of a group, from its start to its verdict."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from bench.soak_group.setup import GROUP, WEIGHTS, Setup
from bench.soak_group.vehicles import name_of
from bench.soak_group.verdict import judged
from topside_agent.group.ownership import ranked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.soak_group.setup import Plan
    from bench.soak_group.verdict import GroupVerdict

_LASTS_S = (0.5, 8.5)
_PAUSES_S = (1.5, 5.0, 13.0)
"""The next fault comes within one of these, before the group has settled or after it."""
_QUIET_EVERY, _QUIET_S = 25, 45.0
"""So often nothing happens for so long, that standbys know much."""
_LONGEST_S = 60.0
_LOOK_S = 0.1


class Fault(NamedTuple):
    """What was done to a topside, and for how long; all its vehicles were measured again after `again_s`."""

    at_s: float
    kind: str
    topside: str
    lasts_s: float
    vehicles: tuple[str, ...]
    """Those that it measured."""
    again_s: float


@dataclass
class Soak:
    """Everything is below `folder`."""

    plan: Plan
    folder: Path
    say: Callable[[str], None]
    faults: list[Fault] = field(default_factory=list)
    shares: dict[str, int] = field(default_factory=dict)
    """How many vehicles each measured, once settled."""

    def run(self) -> GroupVerdict:
        """Start, disturb, judge."""
        with ExitStack() as stack:
            setup = Setup(self.plan, self.folder)
            stack.callback(setup.stop)
            began_s = setup.observer.now_s
            for topside in setup.topsides.values():
                topside.start()
            settled_at_s = self._settle(setup)
            self.say(f"settled after {settled_at_s - began_s:.1f} s: {self.shares}")
            chance = random.Random(self.plan.seed)
            for number in range(self.plan.faults):
                if number % _QUIET_EVERY == _QUIET_EVERY - 1:
                    time.sleep(_QUIET_S)
                fault = self._disturb(setup, chance)
                self.faults.append(fault)
                self.say(
                    f"{fault.at_s - began_s:7.1f} s  {fault.kind:5} {fault.topside:7}"
                    f" for {fault.lasts_s:4.1f} s: its {len(fault.vehicles)} vehicles measured again"
                    f" within {fault.again_s:.2f} s"
                )
            self._settle(setup)
            return judged(self.plan, setup.observer, self.faults, self.shares, settled_at_s)

    def _settle(self, setup: Setup) -> float:
        """Wait until each vehicle is measured by its owner alone; returns since when it is, at the latest."""
        names, observer = list(map(name_of, range(self.plan.vehicles))), setup.observer
        owners = {vehicle: ranked(GROUP, vehicle, WEIGHTS)[0] for vehicle in names}
        deadline_s = observer.now_s + _LONGEST_S * self.plan.patience
        window_s = 2.5 / self.plan.rate_hz
        while observer.now_s < deadline_s:
            since_s = observer.now_s - window_s
            found = {vehicle: observer.owners(vehicle, since_s) for vehicle in names}
            if all(found[vehicle] == {owners[vehicle]} for vehicle in names):
                self.shares = {name: sum({name} == each for each in found.values()) for name in WEIGHTS}
                firsts = (observer.measured(vehicle, since_s) for vehicle in names)
                return max(first[0] for first in firsts if first)
            time.sleep(_LOOK_S)
        amiss = [f"{v} by {sorted(found[v])}, not {owners[v]}" for v in names if found[v] != {owners[v]}]
        raise TimeoutError(f"the group does not settle: {', '.join(amiss[:5])}")

    def _disturb(self, setup: Setup, chance: random.Random) -> Fault:
        """One fault, its end, and a while."""
        topside = chance.choice(sorted(setup.topsides))
        kind = chance.choice(["kill", "stop", "cut", "leave"])
        lasts_s = chance.uniform(*_LASTS_S)
        program, cut = setup.topsides[topside], setup.links[topside].cut
        now_s = setup.observer.now_s
        recent_s = now_s - 1.5 / self.plan.rate_hz
        names = map(name_of, range(self.plan.vehicles))
        vehicles = tuple(v for v in names if topside in setup.observer.owners(v, recent_s))
        at_s = setup.observer.now_s
        begin, end = {
            "kill": (program.kill, program.start),
            "stop": (program.pause, program.resume),
            "cut": (cut.set, cut.clear),
            "leave": (program.stop, program.start),
        }[kind]
        begin()
        time.sleep(lasts_s)
        end()
        ended_s = setup.observer.now_s
        again_s = self._again(setup, topside, vehicles, at_s, ended_s)
        time.sleep(chance.choice(_PAUSES_S) * chance.random())
        return Fault(at_s, kind, topside, lasts_s, vehicles, again_s)

    def _again(
        self, setup: Setup, topside: str, vehicles: tuple[str, ...], at_s: float, ended_s: float
    ) -> float:
        """How long any vehicle waited for an answer to another one, or to `topside` afterwards."""
        longest_s = 0.0
        for vehicle in vehicles:
            while True:
                found = [
                    one[0]
                    for one in (
                        setup.observer.measured(vehicle, at_s, but=topside),
                        setup.observer.measured(vehicle, ended_s),
                    )
                    if one
                ]
                if found or setup.observer.now_s - at_s > _LONGEST_S * self.plan.patience:
                    break
                time.sleep(_LOOK_S)
            longest_s = max(longest_s, min(found, default=float("inf")) - at_s)
        return longest_s
