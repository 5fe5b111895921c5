"""One soak from start to verdict."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.dashboard.browser import Watcher, chromium
from bench.soak_fleet import faults
from bench.soak_fleet.evidence import keep
from bench.soak_fleet.fleet import Fleet
from bench.soak_fleet.missing import missing_in
from bench.soak_fleet.observer import dashboard_fault
from bench.soak_fleet.plan import HOST, MISSION, SESSION, VEHICLES
from bench.soak_fleet.verdict import Healing, judged
from bench.soak_recorder.ending import wait_until_written

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.dashboard.browser import Heap
    from bench.soak_fleet.plan import Plan
    from bench.soak_recorder.verdict import Verdict

_PATIENCE_S = 60.0
_STOP_S = 120.0
"""Twice as long as results that tell of exchanges delay the end."""
_LOOK_S = 0.05


@dataclass
class Soak:
    """Everything is below `folder`, which is left as it is at the end but for the recorder's root."""

    plan: Plan
    folder: Path
    say: Callable[[str], None]
    healings: list[Healing] = field(default_factory=list)
    heaps: list[Heap] = field(default_factory=list)

    def run(self) -> Verdict:
        """Run for as long as planned; a part that cannot run at all raises."""
        with ExitStack() as stack:
            fleet = Fleet(self.plan, self.folder)
            stack.callback(fleet.stop)
            fleet.start()
            fleet.session("start", "--mission", MISSION, "--name", SESSION, "--timeout", "60")
            if self._healing(fleet, "start", "all").took_s > _PATIENCE_S:
                raise TimeoutError(f"not measured at the start: {', '.join(_unhealed(fleet, 0))}")
            began_s = time.monotonic()
            url = f"http://{HOST}:{fleet.dashboard_port}/"
            page = None
            if self.plan.browser:
                browser = stack.enter_context(chromium())
                page = Watcher(browser, url, f'tr[data-vehicle="{VEHICLES[0]}"]')
            self._disturb(fleet, page)
            ended_s, fleet.ended_raw_ns = time.monotonic(), _raw_ns()
            fleet.session("stop", SESSION)
            wait_until_written(fleet.recorded, _STOP_S)
            missing = missing_in(fleet, (began_s, ended_s))
            verdict = judged(fleet, self.healings, self.heaps, missing)
            if verdict.failures:
                keep(fleet, self.healings, missing)
            return verdict

    def _disturb(self, fleet: Fleet, page: Watcher | None) -> None:
        chance = random.Random(self.plan.seed)
        kinds, begun = faults.kinds(fleet), time.monotonic()
        self.say(f"from {begun:.1f} s: {', '.join(kinds)}, and clocks that step, slew and sleep")
        while (now := time.monotonic()) < begun + self.plan.seconds:
            kind = chance.choice(list(kinds))
            fault = kinds[kind](chance)
            fault.run()
            healing = self._healing(fleet, kind, fault.described)
            self.healings.append(healing)
            self.say(
                f"{now - begun:7.1f} s  {kind:12} {fault.described:10} for {fault.lasts_s:.1f} s: {healing}"
            )
            for program in fleet.programs.values():
                program.sample()
            if page:
                self.heaps.append(page.heap())
            time.sleep(max(0.0, now + self.plan.every_s - time.monotonic()))

    def _healing(self, fleet: Fleet, kind: str, whom: str) -> Healing:
        """Wait until all is well again; a machine that sleeps meanwhile begins the time at its waking."""
        ended_ns = awake_ns = _raw_ns()
        began_s, took_s, late = time.monotonic(), 0.0, list[str]()
        while True:
            awake_ns = max(awake_ns, fleet.asleep_until_ns())
            took_s = max(took_s, (_raw_ns() - awake_ns) / 1e9)
            unhealed = _unhealed(fleet, ended_ns)
            if not unhealed:
                return Healing(kind, whom, began_s, took_s, ", ".join(late) or None)
            if took_s > self.plan.heal_s:
                late = late or unhealed
            if took_s > _PATIENCE_S:
                return Healing(kind, whom, began_s, took_s, f"never: {', '.join(unhealed)}")
            time.sleep(_LOOK_S)


def _unhealed(fleet: Fleet, since_ns: int) -> list[str]:
    unhealed = fleet.observer.unhealed(since_ns)
    if not unhealed and (fault := dashboard_fault(fleet.dashboard_port)):
        unhealed = [fault]
    return unhealed


def _raw_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
