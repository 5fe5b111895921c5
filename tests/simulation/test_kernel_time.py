"""Kernel stamps on RAW where the clock is disciplined, slewed and set at any moment: none is wrong."""

import random

import pytest

from runtime.stamp_clock import StampClock
from tests.effort import tries
from tests.simulation.kernel_time import LEVEL, MS, US, KernelTime, NoSleep, Rate, S


class Watched:
    """An agent's clock on such a machine, and what was wrong of all that it stated."""

    def __init__(self, kernel, chance):
        self.kernel, self.chance = kernel, chance
        self.clock = StampClock(kernel, Rate(kernel), NoSleep())
        self.wrong = []
        self.stamped = self.converted = self.looks = 0

    def run(self, until_ns):
        arrivals, departures, heard = [], [], []
        look = self.clock.look()
        while self.kernel.now < until_ns:
            end = self.kernel.now + 10 ** self.chance.uniform(5, 8.6)
            while self.kernel.now < end:
                step_ns = self.chance.uniform(0, 2) * (end - self.kernel.now) + 1
                if self.chance.random() < 0.5:
                    sent_ns, before = self.clock.raw_ns(), look
                    self.kernel.spend(self.chance.choice([2 * US, step_ns / 2]))
                    departures.append((sent_ns, before, self.kernel.now, self.kernel.stamp()))
                else:
                    arrivals.append((self.kernel.now, self.kernel.stamp()))
                    heard.append(self.clock.raw_ns())
                self.kernel.spend(step_ns)
            begun_ns = self.clock.raw_ns()
            look = self.clock.look(begun_ns)
            if not self.kernel.is_set_between(begun_ns, self.kernel.now):
                self._read(look, heard)
            self._stamps(arrivals, departures)
            arrivals, departures, heard = arrivals[-3:], departures[-3:], []

    def _is(self, what, error_ns, half_ns, **more):
        if error_ns > half_ns + 1e-3 and self.kernel.now - self.kernel.unseen_ns > 2.5 * S:
            self.wrong.append((what, round(self.kernel.now), round(error_ns, 1), half_ns, more))

    def _off(self, raw_ns, stated_ns):
        return abs(self.kernel.difference(raw_ns) - (stated_ns - LEVEL))

    def _read(self, look, heard):
        self.looks += 1
        off = self._off(look.read_ns, look.realtime_minus_raw_ns)
        self._is("look", off, look.half_ns)
        for raw_ns in heard:  # the program's stamp, by a later look
            if not self.kernel.is_set_between(raw_ns, look.read_ns):
                off = self._off(raw_ns, look.realtime_minus_raw_ns)
                self._is("heard", off, look.half_at(raw_ns), before_ns=look.read_ns - raw_ns)

    def _stamps(self, arrivals, departures):
        for true_ns, stamp_ns in arrivals:
            self.stamped += 1
            found = self.clock.raw_of(stamp_ns)
            if found is not None:
                self.converted += 1
                self._is("early", true_ns - found.raw_ns, found.half_ns)
                if not self.kernel.is_set_between(true_ns, self.kernel.now):
                    self._is("arrival", abs(found.raw_ns - true_ns), found.half_ns)
                    off = self._off(found.raw_ns, found.realtime_minus_raw_ns)
                    self._is("difference", off, found.half_ns)
        for sent_ns, look, true_ns, stamp_ns in departures:
            self.stamped += 1
            found = self.clock.departed_at(stamp_ns, sent_ns)
            if found is not None:
                self.converted += 1
                self._is("departure", abs(found.raw_ns - true_ns), found.half_ns)
                off = self._off(true_ns, look.realtime_minus_raw_ns)
                self._is("stated", off, look.half_at(found.raw_ns) + found.half_ns)


def watched(seed, actions=(), until_s=20, **machine):
    chance = random.Random(seed)
    kernel = KernelTime(chance, actions, **machine)
    found = Watched(kernel, chance)
    found.run((5 + until_s) * S)
    return found


def drawn(chance, until_s, *, kinds):
    """What other programs do to the clock."""
    at_ns, actions = 6.0 * S, []
    while at_ns < until_s * S:
        kind = chance.choice(kinds)
        sign, size = chance.choice([-1, 1]), 10 ** chance.uniform(0, 1)
        if kind == "set_frequency":
            value = sign * min(500, size**2.7)
        elif kind == "set_tick":
            value = 10_000 + sign * min(1000, round(size**3))
        elif kind == "adjtime":
            value = sign * round(size ** chance.choice([1, 2, 3]))
        elif kind == "loop":
            actions.append((at_ns - 1, "set_constant", chance.choice([1, 2, 6])))
            value = sign * min(4e8, size ** chance.choice([3, 6, 8]))
        else:
            value = sign * round(size ** chance.choice([3, 6, 10]))
        actions.append((at_ns, kind, value))
        at_ns += chance.choice([0.6, 0.9, 2, 5]) * chance.uniform(1, 2) * S
    return actions


def machine(chance):
    return {
        "tick_ns": chance.choice([1, 4, 10, 160]) * MS,
        "unit": 2.0 ** chance.uniform(-28, -22.1),
        "starved": chance.choice([0, 0, 0.01, 0.1]),
    }


KINDS = ("set_frequency", "set_tick", "adjtime", "loop", "step")


@pytest.mark.parametrize("seed", range(tries(2)))
@pytest.mark.parametrize("kinds", [*((kind,) for kind in KINDS), KINDS], ids="+".join)
def test_nothing_is_stated_of_a_clock_that_is_moved_that_is_not_so(kinds, seed):
    chance = random.Random(seed)
    found = watched(seed, drawn(chance, 25, kinds=kinds), **machine(chance))
    assert found.wrong == []
    assert found.converted > 0.2 * found.stamped
