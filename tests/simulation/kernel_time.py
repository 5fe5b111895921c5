"""A Linux machine's realtime against RAW as its kernel moves it, by seconds and ticks; and the truth.

After kernel/time/ntp.c and timekeeping.c: at a full second what is pending of an offset or of adjtime is
spread over the next one; the rate is made of two multipliers in turns; a set clock forgets what was pending.
"""

import math
from bisect import bisect_right

from runtime.realtime_rate import KernelRate

S, MS, US = 10**9, 10**6, 10**3
LEVEL = 1_700_000_000 * S
PLL, UNSYNC, NANO = 0x0001, 0x0040, 0x2000


class KernelTime:
    """A machine's clocks, read by a program that may be stopped anywhere; actions are (RAW, name, value)."""

    boot_id, resolution_ns = "boot", 1

    def __init__(self, chance, actions=(), *, tick_ns=4 * MS, unit=2.0**-23, starved=0.0, notice_ns=10 * US):
        self.chance, self.tick_ns, self.unit, self.starved = chance, tick_ns, unit, starved
        self.notice_ns = notice_ns
        self.now = 5.0 * S
        self.actions = sorted(actions, reverse=True)
        self.tick_us, self.frequency, self.offset, self.adjust = 10_000, 0, 0.0, 0
        self.constant, self.status = 2, UNSYNC
        self.slewed = 0.0
        """This second's part of what was pending."""
        self.behind = 0.0
        """The wanted clock less the shown one."""
        self.at, self.ahead, self.rate, self.wanted = self.now, 0.0, 0.0, 0.0
        self.pieces = [(self.at, self.ahead, self.rate)]
        self.adjust_shown = True
        self.unseen_ns = -math.inf
        """When an adjtime began that the program could not see pending, which nobody can tell it."""
        self.sets = []
        self.acknowledged = 0
        self.next_tick = self.now
        self.second = self._shown() // S

    # The truth

    def difference(self, raw):
        """Realtime − RAW, less LEVEL."""
        at, ahead, rate = self.pieces[bisect_right(self.pieces, (raw, math.inf)) - 1]
        return ahead + (raw - at) * rate

    def is_set_between(self, begin, end):
        return any(begin <= at <= end for at in self.sets)

    # The program

    def spend(self, ns=None):
        """A call takes time, or the program gets no processor."""
        if ns is None:
            ns = 20 + self.chance.expovariate(1 / 15)
            if self.chance.random() < self.starved:
                ns += 10 ** self.chance.uniform(3, 8.8)
        self._advance(self.now + ns)

    def raw_ns(self):
        self.spend()
        return math.floor(self.now)

    def realtime_ns(self):
        self.spend()
        return self.stamp()

    def stamp(self):
        """The kernel's, now."""
        return math.floor(self._shown()) + LEVEL

    # The kernel

    def _shown(self):
        return self.now + self.ahead + (self.now - self.at) * self.rate

    def _advance(self, to):
        while True:
            due = min(self.next_tick, self.actions[-1][0] if self.actions else math.inf)
            if due > to:
                break
            self.now = max(self.now, due)
            self._accumulate()
            if due == self.next_tick:
                self.next_tick += self.tick_ns * self.chance.uniform(0.5, 1)
            else:
                _, name, value = self.actions.pop()
                getattr(self, name)(value)
            self._steer()
        self.now = to

    def _accumulate(self):
        """Up to now; and what a full second does."""
        span = self.now - self.at
        self.ahead += span * self.rate
        self.behind += span * (self.wanted - self.rate)
        self.at = self.now
        while self._shown() // S > self.second:
            self.second += 1
            part = self.offset / 2 ** (2 + self.constant)
            self.offset -= part
            adjusted = max(-500, min(500, self.adjust))
            if adjusted and not self.adjust_shown:
                self.unseen_ns = self.now
            self.adjust -= adjusted
            self.slewed = part / S + adjusted * 1e-6

    def _steer(self):
        self.wanted = (self.tick_us - 10_000) * 1e-4 + self.frequency / 65_536e6 + self.slewed
        below = math.floor(self.wanted / self.unit) * self.unit if self.wanted % self.unit else self.wanted
        rate = below + (self.unit if self.behind > 0 else 0.0)
        if rate != self.rate or self.pieces[-1][1] != self.ahead:
            self.rate = rate
            self.pieces.append((self.at, self.ahead, rate))

    # System calls of other programs

    def set_frequency(self, ppm):
        self.frequency = round(ppm * 65_536)

    def set_tick(self, tick_us):
        self.tick_us = tick_us

    def adjtime(self, us):
        self.adjust, self.adjust_shown = us, False

    def loop(self, offset_ns):
        """By the kernel's loop, whose frequency stays."""
        self.offset, self.status = offset_ns, PLL | NANO

    def set_constant(self, constant):
        self.constant = constant

    def step(self, ns):
        self.ahead += ns
        self.offset = self.slewed = 0.0
        self.adjust, self.status = 0, self.status | UNSYNC
        self.second = self._shown() // S
        self.sets.append(self.now)

    # Of the program's own

    def timex(self):
        """`struct timex`, with what adjtime has pending as its offset, and with the loop's."""
        self.spend()
        shown, self.adjust_shown = self._shown(), True
        rest = (self.frequency, 0, 0, self.status, self.constant, 1, 0)
        rest += (LEVEL // S + int(shown // S), int(shown % S), self.tick_us)
        return (0, self.adjust, *rest), (0, int(self.offset), *rest)

    def was_set(self):
        self.spend()
        seen = sum(at + self.notice_ns <= self.now for at in self.sets)
        seen, self.acknowledged = seen - self.acknowledged, seen
        return seen > 0


class Rate(KernelRate):
    """What the agent asks of that kernel."""

    def __init__(self, kernel):
        self._offset, self._unasked = 0, 3
        self._kernel = kernel
        self.was_set = kernel.was_set

    def _ask(self, modes):
        pending, shown = self._kernel.adjust, self._kernel.adjust_shown
        adjusting, offset = self._kernel.timex()
        if modes:
            return adjusting
        self._kernel.adjust_shown = shown and pending == self._kernel.adjust  # the offset does not show it
        return offset

    def close(self):
        pass


class NoSleep:
    """Of a machine that never sleeps."""

    def slept_ns(self):
        return 0
