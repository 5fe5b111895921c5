"""A coarse clock is noticed whatever the system states; what is read off it is as wide as its step."""

import ctypes
import itertools
import random
import time
from types import SimpleNamespace

import pytest

from runtime import clock_resolution
from runtime.clock import SimulatedClock, SystemClock, raw_resolution_ns, read
from runtime.clock_resolution import Source, realtime, seen_step_ns, step_ns, windows_time_ns
from runtime.clock_watch import ClockWatcher
from tests.effort import tries

MS = 1_000_000
STEP = 15_625_000


class CoarseClock:
    """RAW moves by some hundred ns at each reading; realtime shows the last of its steps."""

    boot_id = "boot"
    resolution_ns = STEP

    def __init__(self, random, difference_ns):
        self.random, self.difference_ns = random, difference_ns
        self.now_ns = random.randrange(10**12)

    def raw_ns(self):
        self.now_ns += self.random.randrange(50, 900)
        return self.now_ns

    def realtime_ns(self):
        return (self.raw_ns() + self.difference_ns) // STEP * STEP


def shown(*values):
    """A clock that shows these, each as often as it is there, and then goes on."""
    return itertools.chain(values, itertools.count(values[-1] + 1)).__next__


@pytest.mark.parametrize(
    ("values", "seen"),
    [
        ([0, 0, 0, 15, 15, 30, 30, 30, 45, 45, 60], 15),
        ([0, 0, 30, 30, 45, 45, 60, 60, 75], 15),  # the first was two: the thread had to wait
        ([0, 0, 15, 30, 30, 45, 60], 15),
        ([0, 0, -9, -9, 6, 6, 21, 21, 36], 15),  # it was set back
        ([0, 70, 150, 210, 300], 0),
        ([0, 70, 150, 9_000_000, 9_000_080], 0),  # fine, and the thread had to wait
    ],
)
def test_the_step_of_a_clock_is_seen_where_it_shows_an_instant_twice(values, seen):
    assert seen_step_ns(shown(*values)) == seen


def test_a_clock_that_stands_still_is_as_coarse_as_it_was_looked_at(monkeypatch):
    monkeypatch.setattr(clock_resolution, "_LOOK_NS", 1000)
    assert seen_step_ns(lambda: 5) == 1000


def test_the_longer_step_counts_the_stated_or_the_seen():
    coarse = [0, 0, 15, 15, 30, 30, 45, 45, 60]
    assert step_ns(Source(shown(*coarse), 1)) == 15
    assert step_ns(Source(shown(*coarse), 100)) == 100
    assert step_ns(Source(shown(0, 70, 140, 210, 280), 0)) == 1


def test_a_reading_of_a_coarse_clock_holds_the_truth_within_half_its_width():
    for seed in range(tries(300)):
        clock = CoarseClock(random.Random(seed), 10**18 + seed * 7_777_777)
        reading = read(clock)
        assert STEP <= reading.width_ns < STEP + 10_000
        assert abs(reading.realtime_minus_raw_ns - clock.difference_ns) * 2 <= reading.width_ns, seed


@pytest.mark.parametrize("set_by_ns", [0, 4 * MS, -11 * MS, 40 * MS, 3_000 * MS])
def test_a_coarse_clocks_history_holds_the_truth_also_over_a_step_that_does_not_show(set_by_ns):
    for seed in range(tries(20)):
        chance = random.Random(seed)
        clock = CoarseClock(chance, 10**18 + seed)
        watcher = ClockWatcher(clock, lambda _: None)
        truth = []  # instants of RAW, and what was true from then on
        for look in range(60):
            if look == 30:
                clock.difference_ns += set_by_ns
            truth.append((clock.now_ns, clock.difference_ns))
            watcher.check()
            clock.now_ns += chance.randrange(150 * MS, 260 * MS)
        watcher.stop()
        pieces = [piece for _, piece in watcher.pieces(0, 1000)]
        assert pieces
        assert all(piece.half_width_ns >= STEP for piece in pieces)
        for at_ns, difference_ns in truth:
            for piece in pieces:
                if piece.from_raw_ns <= at_ns <= piece.to_raw_ns:
                    span = max(1, piece.to_raw_ns - piece.from_raw_ns)
                    ran = (piece.to_realtime_ns - piece.from_realtime_ns) * (at_ns - piece.from_raw_ns)
                    shown_ns = piece.from_realtime_ns + ran // span
                    assert abs(shown_ns - at_ns - difference_ns) <= piece.half_width_ns, seed


def test_a_simulated_clock_is_as_fine_as_the_raw_clock_that_it_is_computed_of():
    base = SystemClock()
    base.resolution_ns, base.raw_resolution_ns = STEP, 100
    assert SimulatedClock(base).resolution_ns == raw_resolution_ns(base) == 100


def test_windows_precise_clock_is_taken_where_pythons_is_coarse(monkeypatch):
    def ask(reference):
        reference._obj.value = 116_444_736_000_000_000 + 17_776_368_001_234_567

    kernel = SimpleNamespace(GetSystemTimePreciseAsFileTime=ask)
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel), raising=False)
    assert windows_time_ns()() == 1_777_636_800_123_456_700
    assert realtime().read_ns is time.time_ns
    monkeypatch.setattr(time, "get_clock_info", lambda _: SimpleNamespace(resolution=0.015625))
    assert (realtime().read_ns(), realtime().stated_ns) == (1_777_636_800_123_456_700, 100)
    monkeypatch.delattr(ctypes, "windll")
    assert realtime() == (time.time_ns, STEP)
