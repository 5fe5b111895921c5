"""Results beside the truth where either side's realtime is slewed and set, and either machine sleeps."""

from dataclasses import dataclass
from itertools import pairwise

from schemas import topics
from schemas.instants import ns_from_utc
from tests.simulation.simulated_machines import S

DATED_NS = 1_000
"""A result's date is cut to µs."""


@dataclass
class Judged:
    """A result; `wrong` unless at a moment of its date the offset was within its bound."""

    at_s: float
    result: object
    wrong: bool

    @property
    def conditional(self):
        return self.result.conditional


def pll(from_s, amount_s, seconds=60):
    """The slews of the kernel's loop: each second an eighth of what is left."""
    slews, left = [], amount_s
    for second in range(seconds):
        slews.append((from_s + second, from_s + second + 1, left / 8 * 1e6))
        left -= left / 8
    return tuple(slews)


def judged(simulation, vehicle="rov1"):
    """Every result that tells an offset, in the order of its publication."""
    found = []
    for message in simulation._messages(topics.OFFSET, "topside", vehicle):
        result = message.body
        if result.offset_ms is None:
            continue
        dated_ns = ns_from_utc(result.measured_at)
        moments = moments_of(simulation, dated_ns, round(message.at_s * S))
        right = any(within(result, offset_ns(simulation, each, vehicle, result.boot_id)) for each in moments)
        found.append(Judged(message.at_s, result, not right))
    return found


def within(result, true_ns):
    return result.lower_ms * 1e6 - DATED_NS <= true_ns <= result.upper_ms * 1e6 + DATED_NS


def offset_ns(simulation, base_raw_ns, vehicle, boot_id):
    boots = [boot for boot in simulation.boots if boot.name == vehicle]
    boots = [boot for boot in boots if boot.clock.boot_id == boot_id] or boots
    return boots[-1].clock.realtime_at(base_raw_ns) - topside_realtime(simulation, base_raw_ns)


def topside_realtime(simulation, base_raw_ns):
    clock = simulation.topside_clock
    if clock is simulation.clock:
        return base_raw_ns + clock.difference_ns
    return clock.realtime_at(base_raw_ns)


def moments_of(simulation, realtime_ns, until_ns):
    """When topside's realtime was `realtime_ns`, until `until_ns`: several times after a step back."""
    steps = getattr(simulation.topside_clock, "steps", ())
    steps_ns = [round(step.after_s * S) for step in steps if step.after_s * S < until_ns]
    found = []
    for start, end in pairwise(sorted({0, until_ns, *steps_ns})):
        low, high = simulation.start_ns + start, simulation.start_ns + end - 1
        first, last = topside_realtime(simulation, low), topside_realtime(simulation, high)
        if not first - DATED_NS <= realtime_ns <= last + DATED_NS:
            continue
        while high - low > 1:
            middle = (low + high) // 2
            if topside_realtime(simulation, middle) <= realtime_ns:
                low = middle
            else:
                high = middle
        found.append(low)
    return found
