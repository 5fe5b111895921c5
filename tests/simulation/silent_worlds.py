"""Worlds drawn from a seed in which two to four things happen to the clocks within one silence.

A *move* sets or slews a machine's clock, has the machine sleep, or cuts its power and gives it back; of
either machine, in any order. Each machine keeps a clock history or none; that of a boot before the last comes
late, from the journal of the next one, or not at all.
"""

import random
from dataclasses import dataclass, field

from tests.simulation.random_worlds import QUIET_S, Plan
from tests.simulation.simulated import jitter
from tests.simulation.simulated_machines import Link, S
from tests.simulation.world_clocks import Life, rate_state

LEAST_STEP_S = 2.0
"""Larger than eight of the longest spacings of rows, and a little: a smaller one shows in no order."""
SPACINGS_S = 0.03, 0.1, 0.2
KINDS = "set", "slew", "sleep", "boot"


@dataclass
class Moved:
    """A machine whose lives are drawn move by move; `ahead_s`: its realtime's, to the base's."""

    chance: random.Random
    kept: dict
    ahead_s: float
    since_s: float = 0.0
    now: dict = field(default_factory=lambda: {"steps": (), "sleeps": (), "slews": (), "states": ()})
    lives: list = field(default_factory=list)

    def __post_init__(self):
        self.first_ahead_s = self.ahead_s

    def move(self, kind, from_s, until_s, gap):
        getattr(self, "_" + kind)(from_s, until_s, gap)

    def _set(self, from_s, until_s, gap):
        size_s = self.chance.choice([-1, 1]) * (
            self.chance.uniform(LEAST_STEP_S, max(1.5 * (gap[1] - gap[0]), 5))
            if self.chance.random() < 0.8
            else 10 ** self.chance.uniform(0.5, 4)
        )
        self.now["steps"] += ((self.chance.uniform(from_s, until_s), round(size_s * S)),)
        self.ahead_s += size_s

    def _slew(self, from_s, until_s, _gap):
        begins_s = self.chance.uniform(from_s, from_s + 0.3 * (until_s - from_s))
        ppm = self.chance.choice([-1, 1]) * self.chance.choice([500.0, 20_000.0, 83_333.0])
        self.now["slews"] += ((begins_s, until_s, ppm),)
        self.now["states"] += ((begins_s, rate_state(ppm)), (until_s, rate_state(0)))
        self.ahead_s += (until_s - begins_s) * ppm / 1e6

    def _sleep(self, from_s, until_s, _gap):
        begins_s, wakes_s = sorted(self.chance.uniform(from_s, until_s) for _ in range(2))
        error_s = self.chance.choice([0, 0, self.chance.uniform(-0.4, 0.4) * min(wakes_s - begins_s, 1)])
        self.now["sleeps"] += ((begins_s, wakes_s, round(error_s * S)),)
        self.ahead_s += error_s

    def _boot(self, from_s, until_s, gap):
        off_s, on_s = sorted(self.chance.uniform(from_s, until_s) for _ in range(2))
        self._power_off(off_s)
        self.since_s = on_s
        length_s = gap[1] - gap[0]
        self.ahead_s += self.chance.choice(
            [0, 0, -30, 40, 1e5, -(on_s - off_s), self.chance.uniform(-2, 2) * length_s]
        )
        self.first_ahead_s = self.ahead_s

    def _power_off(self, off_s):
        life = Life(self.since_s, off_s, round(self.first_ahead_s * S), **self.kept, **self.now)
        self.lives.append(life)
        self.now = dict.fromkeys(self.now, ())
        self.now["states"] = ()

    def until_the_end(self):
        self._power_off(float("inf"))
        return self.lives


def draw_silences(seed):
    """A plan with one silence, or two, of two to four moves each."""
    chance = random.Random(f"silences {seed}")
    machines = [_machine(chance) for _ in range(2)]
    gaps, at_s = [], chance.uniform(10, 40)
    for _ in range(chance.choice([1, 1, 1, 2])):
        gap = at_s, at_s + chance.choice([8, 15, 30, 60])
        gaps.append(gap)
        _move(chance, machines, gap)
        at_s = gap[1] + chance.uniform(12, 40)
    lives = [machine.until_the_end() for machine in machines]
    delay = jitter(chance.choice([0.1, 1, 9]), chance.choice([0.05, 0.5, 5]))
    return Plan(
        seed,
        at_s + QUIET_S,
        *lives,
        link=Link(to_ns=delay, from_ns=delay, lost=chance.choice([0, 0, 0.1]), down=tuple(gaps)),
        topside_link=None,
        http=None,
        rate=4,
        recorder_off=(),
        gaps=tuple(gaps),
        journals=chance.random() < 0.6,
        unheard=frozenset(
            (side, number)
            for side, boots in enumerate(lives)
            for number in range(len(boots))
            if len(boots) > 1 and chance.random() < 0.2
        ),
    )


def _machine(chance):
    reports = chance.random() < 0.85
    kept = {
        "drift_ppm": chance.uniform(-60, 60),
        "reports_state": reports,
        "notices": reports and chance.random() < 0.8,
        "has_history": chance.random() < 0.5,
    }
    return Moved(chance, kept, chance.choice([0, 5, -1, -1.7e9, chance.uniform(-1, 1)]))


def _move(chance, machines, gap):
    """Moves one after the other within the silence; those of different machines may overlap."""
    slots = chance.choice([2, 3, 3, 4])
    width_s = (gap[1] - gap[0] - 0.6) / slots
    sides = [chance.randrange(2) for _ in range(slots)]
    for number, side in enumerate(sides):
        ahead = [later for later in range(number + 1, slots) if sides[later] == side]
        last = (ahead[0] if ahead else slots) if chance.random() < 0.3 else number + 1
        from_s, until_s = (gap[0] + 0.3 + width_s * each for each in (number + 0.02, last - 0.02))
        machines[side].move(chance.choice(KINDS), from_s, until_s, gap)


def spaced(world, spacing_s, chance):
    """The instants (s) of a sensor's rows: regular, or as they come."""
    count = round(world.plan.seconds / spacing_s)
    if chance.random() < 0.5:
        return [number * spacing_s for number in range(1, count)]
    return sorted(chance.uniform(0, world.plan.seconds) for _ in range(count))
