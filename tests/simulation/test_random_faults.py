"""Faults drawn at random, many at once: whatever happens, no bound is false and no exchange is lost."""

import random

import pytest

from runtime.clock import Step
from tests.effort import tries
from tests.simulation.simulated import Simulation, jitter
from tests.simulation.simulated_machines import MS, Http, Link, S
from topside_agent.settings import TopsideSettings

DURATION_S = 130
SETTLED_S = 1.5
"""Longer than it takes to measure a clock that was just set."""


class Faults:
    """A simulation with faults between 10 s and 95 s; `changes` are the times at which a clock changes."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        settings = TopsideSettings(
            vehicle=("rov1=http://rov1:9150",) if self.maybe(0.5) else (),
            timeout_s=self.random.choice([0.5, 1, 2]),
        )
        steps = tuple(self.step() for _ in range(self.random.randrange(3)))
        self.changes = [(step.after_s, step.after_s) for step in steps]
        self.simulation = Simulation(
            seed=seed,
            settings=settings,
            topside_link=self.link() if self.maybe(0.3) else None,
            http=Http(delay_ns=jitter(1, self.random.choice([1, 8, 60]))),
        )
        self.simulation.add_vehicle(
            "rov1",
            self.link(),
            offset_ns=self.random.choice([0, 5 * S, -S]),
            drift_ppm=self.random.uniform(-60, 60),
            steps=steps,
        )
        self.happen()

    def happen(self):
        if self.maybe(0.3):
            at_s, off_s = self.random.uniform(10, 90), self.random.choice([0, 1, 5, 15])
            self.simulation.reboot(at_s, off_s=off_s, offset_ns=self.random.choice([0, -7 * S]))
            self.changes.append((at_s, at_s + off_s))
        if self.maybe(0.3):
            at_s, for_s = self.random.uniform(10, 70), self.random.choice([0.5, 4, 20])
            self.simulation.suspend(at_s, for_s)
            self.changes.append((at_s, at_s + for_s))
        if self.maybe(0.3):
            at_s = self.random.uniform(10, 90)
            self.simulation.step_topside(at_s, self.random.choice([5 * S, -S, 3 * MS]))
            self.changes.append((at_s, at_s))
        if self.maybe(0.3):
            self.simulation.broker.restart(
                self.random.uniform(10, 90),
                off_s=self.random.choice([0.5, 5, 15]),
                keeps_retained=self.maybe(0.5),
            )

    def maybe(self, share):
        return self.random.random() < share

    def step(self):
        size_ns = self.random.choice([MS // 2, 2 * MS, 50 * MS, 3 * S])
        return Step(self.random.uniform(10, 95), self.random.choice([1, -1]) * size_ns)

    def link(self):
        def delay():
            return jitter(self.random.choice([0.1, 1, 9]), self.random.choice([0.05, 0.5, 5, 80]))

        starts = sorted(self.random.uniform(10, 70) for _ in range(self.random.randrange(3)))
        return Link(
            to_ns=delay(),
            from_ns=delay(),
            lost=self.random.choice([0, 0, 0.05, 0.2]),
            doubled=self.random.choice([0, 0, 0.3]),
            down=tuple((at_s, at_s + self.random.choice([0.3, 2, 6, 12, 25])) for at_s in starts),
        )

    def unsettled(self, entry):
        """Whether a clock changed between what the result rests on and its publishing."""
        rests_on_s = self.simulation.measured_s(entry.result) - entry.result.age_s
        return any(start <= entry.at_s and rests_on_s <= end + SETTLED_S for start, end in self.changes)


@pytest.mark.parametrize("seed", range(tries(20)))
def test_no_bound_is_false_and_no_exchange_is_lost(seed):
    faults = Faults(seed)
    simulation = faults.simulation
    published = simulation.run(DURATION_S)
    assert [entry for entry in published if not entry.right and not faults.unsettled(entry)] == []
    assert {"locked", "acquiring"} & {entry.result.state for entry in published[-20:]}
    assert simulation.broker.retained["tidesync/v1/vehicle/rov1/status"][0] == b"online"
    simulation.topside.stop()
    simulation.run(DURATION_S + 1)
    assert {each.seq for each in simulation.exchanges()} == {each.seq for each in simulation.finished()}
