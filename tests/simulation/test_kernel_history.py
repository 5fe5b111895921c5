"""A clock's history where the clock is disciplined, slewed and set at any moment: no piece is off by more."""

import random

import pytest

from runtime.clock_sampler import ClockSampler
from runtime.clock_watch import MOVING_POLL_S, POLL_S, ClockWatch
from runtime.kernel_clock import KernelState
from tests.effort import tries
from tests.simulation.kernel_time import LEVEL, MS, US, KernelTime, S
from tests.simulation.test_kernel_time import drawn, machine

ROUNDED_NS = 2
KINDS = ("set_frequency", "set_tick", "loop", "step")
"""Not adjtime, which the kernel's state does not show (a stated limit)."""


def state_of(kernel):
    _, offset, frequency, _, _, status, constant, *_, tick = kernel.timex()[1]
    return KernelState(tick, frequency, offset, constant, status)


def watched(chance, kernel, until_ns, ask=state_of):
    """The pieces of a watch that the kernel's notices wake, and that is starved now and then."""
    watch = ClockWatch()
    sampler = ClockSampler(kernel, lambda: ask(kernel), was_set=kernel.was_set)
    while kernel.now < until_ns:
        sampler.acknowledge()
        sample = sampler.sample()
        if sample is not None:
            watch.observe(sample)
        pause_s = MOVING_POLL_S if watch.is_moving else POLL_S
        pause_s += chance.uniform(0, 3) if chance.random() < 0.005 else 0
        due_ns = kernel.now + pause_s * S
        steps = [at for at, name, _ in kernel.actions if name == "step" and at < due_ns]
        kernel.spend((min(steps) + chance.uniform(12 * US, 3 * MS) if steps else due_ns) - kernel.now)
    watch.builder.close()
    return [piece for _, piece in watch.builder.pieces(0, 10**9)]


def off_ns(kernel, piece, raw_ns):
    """How far the truth is from the piece's line."""
    begin = piece.from_realtime_ns - piece.from_raw_ns - LEVEL
    moved = piece.to_realtime_ns - piece.to_raw_ns - LEVEL - begin
    share = (raw_ns - piece.from_raw_ns) / max(piece.to_raw_ns - piece.from_raw_ns, 1)
    return abs(kernel.difference(raw_ns) - (begin + moved * share))


def worst_ns(chance, kernel, piece):
    """By how much the truth is farther from the piece's line than it states, at the worst of some places."""
    inside = [chance.uniform(piece.from_raw_ns, piece.to_raw_ns) for _ in range(20)]
    beside = [at + by for at in kernel.sets for by in (-100, 100)]
    beside = [at for at in beside if piece.from_raw_ns <= at <= piece.to_raw_ns]
    places = (piece.from_raw_ns, piece.to_raw_ns, *inside, *beside)
    return max(off_ns(kernel, piece, at) for at in places) - piece.half_width_ns - ROUNDED_NS


@pytest.mark.parametrize("seed", range(tries(3)))
@pytest.mark.parametrize("kinds", [*((kind,) for kind in KINDS), KINDS], ids="+".join)
def test_no_piece_of_a_clock_that_is_moved_is_off_by_more_than_its_half_width(kinds, seed):
    chance = random.Random(seed)
    kernel = KernelTime(chance, drawn(chance, 22, kinds=kinds), **machine(chance))
    pieces = watched(chance, kernel, 24 * S)
    assert max(worst_ns(chance, kernel, piece) for piece in pieces) <= 0
    assert sum(piece.to_raw_ns - piece.from_raw_ns for piece in pieces) > 10 * S
    assert min(piece.half_width_ns for piece in pieces) < 10 * US


@pytest.mark.parametrize("seed", range(tries(40)))
def test_nor_where_the_program_is_stopped_between_its_reading_and_asking_the_kernel(seed):
    chance = random.Random(seed)
    set_ns = 9 * S - chance.uniform(1, 150) * MS
    turned = ("loop", -1e6 * chance.uniform(0.2, 2))
    kernel = KernelTime(chance, [(6 * S, "loop", 1e6), (set_ns, *turned)])

    def ask_late(kernel):
        if set_ns - 100 * MS < kernel.now < set_ns:
            kernel.spend(9 * S + chance.uniform(1, 150) * MS - kernel.now)
        return state_of(kernel)

    pieces = watched(chance, kernel, 12 * S, ask_late)
    assert max(worst_ns(chance, kernel, piece) for piece in pieces) <= 0
