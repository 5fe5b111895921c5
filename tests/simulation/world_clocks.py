"""The clocks of a machine from power-on to power-off, drawn beforehand; the truth is computed here."""

import random
from bisect import bisect_right
from dataclasses import dataclass, field, replace

from runtime.clock import SimulatedClock
from runtime.kernel_clock import NOMINAL_TICK_US, STA_UNSYNC, KernelState

S = 1_000_000_000
STA_PLL = 0x0001
PPT = 10**12
FASTEST_PPM = 100_000
LEAST_SLEW_S = 1.0
"""No daemon changes the rate of a clock more often (the assumption of `runtime.clock_samples`)."""
APART_S = 0.6
"""Without the kernel's notice a step so near to a change of rate may be taken for it: a stated limit."""


@dataclass(frozen=True)
class Life:
    """What happens to a machine's clocks; seconds are the simulation's, which never stop."""

    from_s: float = 0.0
    """Power-on."""
    until_s: float = float("inf")
    """Power-off."""
    offset_ns: int = 0
    """Of realtime at power-on, to the base's."""
    drift_ppm: float = 0.0
    """How fast RAW runs."""
    slews: tuple = ()
    """(from_s, until_s, ppm against RAW), one after the other."""
    states: tuple = ()
    """(from_s, KernelState): what the kernel reports."""
    steps: tuple = ()
    """(at_s, ns)."""
    sleeps: tuple = ()
    """(from_s, until_s, ns that realtime and BOOTTIME are off on waking)."""
    reports_state: bool = True
    notices: bool = True
    """Whether the kernel reports at once that the clock was set."""
    has_history: bool = True
    """Whether its agent publishes a clock history."""


class WorldClock(SimulatedClock):
    """The clocks of a life. Realtime and RAW are straight between the instants of `_at`."""

    def __init__(self, base, start_ns, life, chance):
        self.life, self._start_ns = life, start_ns
        super().__init__(base, boot_id=f"world-{chance.getrandbits(64):016x}")
        self._at, self._values = [], []
        self._fill(self._ns(life.from_s), round(chance.uniform(20, 10**6) * S))
        self._states = [(self._ns(at_s), state) for at_s, state in life.states]

    def _ns(self, seconds):
        return self._start_ns + round(seconds * S)

    def _fill(self, on_ns, raw_ns):
        life, ns = self.life, self._ns
        slews = [(ns(start), ns(end), round(ppm * 10**6)) for start, end, ppm in life.slews]
        sleeps = [(ns(start), ns(end), error) for start, end, error in life.sleeps]
        steps = [(ns(at), size) for at, size in life.steps]
        edges = {on_ns, *(at for at, _ in steps)}
        edges |= {each for start, end, _ in (*slews, *sleeps) for each in (start, end)}
        raw_rate = PPT + round(life.drift_ppm * 10**6)
        realtime_ns = on_ns + self.base.difference_ns + life.offset_ns
        before, rates = on_ns, (0, 0)
        for at in sorted(each for each in edges if each >= on_ns):
            raw_ns += (at - before) * rates[0] // PPT
            realtime_ns += (at - before) * rates[1] // PPT
            realtime_ns += sum(size for when, size in steps if when == at)
            realtime_ns += sum(error for _, end, error in sleeps if end == at)
            asleep = any(start <= at < end for start, end, _ in sleeps)
            slew = sum(rate for start, end, rate in slews if start <= at < end)
            rates = (0, PPT) if asleep else (raw_rate, raw_rate + raw_rate * slew // PPT)
            self._at.append(at)
            self._values.append((raw_ns, realtime_ns, *rates))
            before = at

    def _row(self, base_raw_ns):
        index = max(bisect_right(self._at, base_raw_ns) - 1, 0)
        return base_raw_ns - self._at[index], self._values[index]

    def raw_at(self, base_raw_ns):
        since_ns, (raw_ns, _, rate, _) = self._row(base_raw_ns)
        return raw_ns + since_ns * rate // PPT

    def realtime_at(self, base_raw_ns):
        since_ns, (_, realtime_ns, _, rate) = self._row(base_raw_ns)
        return realtime_ns + since_ns * rate // PPT

    def slept_ns(self, base_raw_ns):
        spans = ((self._ns(start), self._ns(end), error) for start, end, error in self.life.sleeps)
        return sum(
            min(base_raw_ns, end) - start + error * (base_raw_ns >= end)
            for start, end, error in spans
            if start <= base_raw_ns
        )

    def kernel_state(self):
        if not self.life.reports_state:
            return None
        index = bisect_right(self._states, self.base.raw_ns(), key=lambda entry: entry[0]) - 1
        return self._states[index][1] if index >= 0 else KernelState(status=STA_UNSYNC)

    def set_between(self, first_ns, last_ns):
        """Whether realtime was set after the one base instant and not after the other."""
        return any(first_ns < self._ns(at_s) <= last_ns for at_s, _ in self.life.steps)

    def is_awake(self, base_raw_ns):
        """Whether the machine is on and does not sleep."""
        on = self._ns(self.life.from_s) <= base_raw_ns < self._start_ns + self.life.until_s * S
        sleeps = ((self._ns(start), self._ns(end)) for start, end, _ in self.life.sleeps)
        return on and not any(start <= base_raw_ns < end for start, end in sleeps)

    def shown_at(self, realtime_ns, until_ns):
        """Each base instant until then at which realtime first was at least `realtime_ns`."""
        off_ns = min(until_ns, self._start_ns + round(min(self.life.until_s, 10**6) * S))
        ends = [*self._at[1:], off_ns]
        found = []
        for at, end, (_, begins_ns, _, rate) in zip(self._at, ends, self._values, strict=True):
            since_ns = -(-(realtime_ns - begins_ns) * PPT // rate)
            if 0 <= since_ns <= min(end, off_ns) - at:
                found.append(at + since_ns)
        return found


def rate_state(ppm):
    """The kernel's state for a rate set by tick and frequency."""
    ticks = round(ppm / 100)
    return KernelState(NOMINAL_TICK_US + ticks, round((ppm - ticks * 100) * 65_536), status=STA_UNSYNC)


@dataclass
class Discipline:
    """Draws what the daemons of a machine do, one slew after the other, until `until_s`."""

    chance: random.Random
    from_s: float
    until_s: float
    slews: list = field(default_factory=list)
    states: list = field(default_factory=list)

    def __post_init__(self):
        self.at_s = self.from_s + self.chance.uniform(2, 30)
        self.base_ppm = self.chance.choice([0.0, 0.0, self.chance.uniform(-40, 40)])
        self._rate(self.from_s, self.base_ppm)

    def draw(self):
        kinds = self.chance.choice([(), ("chrony",), ("pll",), ("adjtime",), ("chrony", "pll", "adjtime")])
        for _ in range(self.chance.randrange(4) if kinds else 0):
            if self.at_s < self.until_s:
                getattr(self, "_" + self.chance.choice(kinds))()
                self.at_s += LEAST_SLEW_S + self.chance.expovariate(1 / 30)
        return tuple(self._spans()), tuple(self.states)

    def _rate(self, at_s, ppm, state=None):
        self.slews.append((at_s, ppm))
        self.states.append((at_s, state or rate_state(ppm)))

    def _chrony(self):
        """A slew by tick and frequency, and then perhaps another frequency than before."""
        ppm = self.chance.choice([-1, 1]) * self.chance.choice(
            [10 ** self.chance.uniform(2, 5), 500.0, 20_000.0, 50_000.0, 83_333.0, FASTEST_PPM]
        )
        self._rate(self.at_s, ppm)
        self.at_s += LEAST_SLEW_S + self.chance.expovariate(1 / 8)
        self.base_ppm = self.chance.choice([self.base_ppm, self.chance.uniform(-40, 40)])
        self._rate(self.at_s, self.base_ppm)

    def _adjtime(self):
        """500 ppm, which adjtimex does not show."""
        self.slews.append((self.at_s, self.base_ppm + self.chance.choice([-500, 500])))
        self.at_s += LEAST_SLEW_S + self.chance.expovariate(1 / 20)
        self.slews.append((self.at_s, self.base_ppm))

    def _pll(self):
        """The kernel's loop: from the next full second on a share of what is left, each second."""
        constant = self.chance.choice([0, 0, 1, 2, 4, 6])
        share = 2.0 ** -(2 + constant)
        size_ns = self.chance.choice([-1, 1]) * 10 ** self.chance.uniform(5, 8.6)
        size_ns = max(min(size_ns, FASTEST_PPM * 1000 / share), -FASTEST_PPM * 1000 / share)
        kept = rate_state(self.base_ppm)._replace(constant=constant, status=STA_PLL)
        self.states.append((self.at_s, kept._replace(offset_ns=round(size_ns))))
        at_s = self.at_s + self.chance.uniform(0, 1)
        while abs(size_ns) > 1000 and at_s < self.until_s:
            self._rate(
                at_s,
                self.base_ppm + size_ns * share / 1000,
                kept._replace(offset_ns=round(size_ns * (1 - share))),
            )
            size_ns *= 1 - share
            at_s += 1
        self._rate(at_s, self.base_ppm, kept)
        self.at_s = at_s

    def _spans(self):
        ends = [at_s for at_s, _ in self.slews[1:]] + [self.until_s + 1000]
        return [(at_s, end, ppm) for (at_s, ppm), end in zip(self.slews, ends, strict=True) if ppm]


def draw_life(chance, from_s, until_s, *, asleep=0.35):
    """The life of a machine that is powered from `from_s` on; events until `until_s`."""
    slews, states = Discipline(chance, from_s, until_s).draw()
    life = Life(
        from_s=from_s,
        offset_ns=chance.choice([0, 5 * S, -S, -1_700_000_000 * S, round(chance.uniform(-1, 1) * S)]),
        drift_ppm=chance.choice([chance.uniform(-60, 60)] * 6 + [chance.uniform(-5000, 5000), 0.0]),
        slews=slews,
        states=states,
        sleeps=tuple(_sleeps(chance, from_s + 8, until_s)) if chance.random() < asleep else (),
        reports_state=chance.random() < 0.85,
        has_history=chance.random() < 0.75,
    )
    life = replace(life, notices=life.reports_state and chance.random() < 0.8)
    return replace(life, steps=tuple(_steps(chance, life, from_s + 3, until_s)))


def _sleeps(chance, from_s, until_s):
    at_s = chance.uniform(from_s, until_s)
    for _ in range(chance.choice([1, 1, 2])):
        for_s = chance.choice([0.3, 2.0, chance.uniform(0.05, 60)])
        if at_s + for_s < until_s:
            yield (
                at_s,
                at_s + for_s,
                chance.choice([0, 0, round(chance.uniform(-0.4, 0.4) * min(for_s, 1) * S)]),
            )
        at_s += for_s + chance.uniform(1, 60)


def _steps(chance, life, from_s, until_s):
    """Steps while the machine is awake."""
    changes = [life.from_s, *(each for span in life.slews for each in span[:2])]
    for _ in range(chance.choice([0, 0, 1, 1, 2, 3])):
        at_s, size = chance.uniform(from_s, until_s), round(10 ** chance.uniform(4.5, 10.5))
        asleep = any(start - 0.001 <= at_s <= end + 0.001 for start, end, _ in life.sleeps)
        near = not life.notices and any(abs(at_s - each) < APART_S for each in changes)
        if not asleep and not near:
            changes.append(at_s)
            yield at_s, chance.choice([-1, 1]) * size
