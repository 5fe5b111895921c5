"""How finely a column's timestamps resolve: the step in which they are *written*, as all of them show it.

The last digit is not enough: milliseconds may be cut off and filled up with zeros, six significant digits
or a float32 may stand behind any number of digits, a counter may tick in 1/1024 s, and a writer may drop
zeros at the end of some values. So the resolution is the greatest of

- the unit u of the last digit of the value with the most digits, or the greatest decimal step of up to 1 s
  that all values share; twice that below 1 s, as the clock may tick as coarsely,
- the coarsest tick of a clock that all values fit, and u where it is no multiple of that (ticks.py),
- a coarser decimal step, minutes or hours, of which more values are multiples than chance explains, as of
  two loggers, one coarser, in one table,
- the step of float32, added where every value is one as far as its digits show.

Single rows may be coarser: by their value (coarse_rows.py) or by how few digits they have (short_rows.py).

Assumption: the clock's ticks are those that ticks.py names. A sensor that samples at exact multiples of a
step is taken to resolve that step: safe, and `--resolution-ms` overrides it. A coarse logger's rows that are
too few to be noticed, or whose steps are not decimal, among those of another one (coarse_rows.py) break it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, lgamma, log
from typing import TYPE_CHECKING

import numpy as np

from tidesync.sessions.correction.stamps.coarse_rows import coarser_steps
from tidesync.sessions.correction.stamps.numbers import DAY_NS
from tidesync.sessions.correction.stamps.short_rows import own_steps
from tidesync.sessions.correction.stamps.ticks import MOST_HZ, S, ticks_of, twice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidesync.sessions.correction.stamps.ticks import Tick
    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator.blocks import Floats, Integers

_DECADES = tuple(10**power for power in range(1, 14))
_LONG_NS = (60 * S, 300 * S, 600 * S, 900 * S, 3600 * S)
_MIXED_CHANCE = log(1e-4)
_STRETCH, _SAMPLE, _ENOUGH, _STRETCH_HZ = 4096, 512, 64, 2048
_FEW = 0.15
"""A tenth of the values end in a zero by chance."""


def _once(at_ns: Integers) -> Integers:
    """The values without those that repeat the one before: rows of one instant are one evidence."""
    first: Flags = np.append(True, at_ns[1:] != at_ns[:-1])
    return at_ns[first]


def _shared(ticks: Sequence[Tick]) -> int:
    return round(max(tick.ns for tick in ticks if tick.sure))


def _log_chance(count: int, expected: float) -> float:
    """A bound of the chance of so many where so few are expected (Poisson)."""
    return count * log(expected) - lgamma(count + 1)


@dataclass(frozen=True, slots=True)
class Writing:
    """How a column is written, as far as single values show it."""

    step_ns: int
    """The unit of the last digit, of the value with the most digits; at least 1."""
    noise_ns: int = 0
    """How far a binary representation may be from the decimal number that it stands for."""
    unit_ns: int = 0
    """What one stands for, where the values are numbers."""
    shared_ns: int = 0
    """The step that all surveyed values share, where chance does not explain it."""
    digit_ns: int = 0
    """The greatest decimal step that all surveyed values share."""
    tick_ns: float = 0
    """The tick of a clock that all surveyed values fit, and that they resolve the least by."""
    mixed_ns: int = 0
    """A coarser decimal step, minutes or hours, of which more values are multiples than chance explains."""
    promised_ns: int | None = None
    """What the user promises that it resolves."""
    zero_ns: int = 0
    """The instant that times are elapsed since, where it is one."""
    anchor_ns: int = 0
    """What the instant that times are elapsed since resolves."""
    drops_zeros: bool = False
    """Whether a value with fewer digits may lack zeros at its end, see short_rows.py."""
    usual_steps: frozenset[int] = frozenset()
    """Where nearly all values have the same digits: the units of the last digit that several have."""
    varies: bool = False
    """Whether values have any number of digits, so that lost ones are not noticed; see widths.py."""
    unclear_ns: range = range(0)
    """Values with such a unit of the last digit are known to the end of this: see fractions.py."""

    def resolution_ns(
        self, at_ns: Integers, numbers: Floats | None = None, complete: Flags | None = None
    ) -> int:
        """The resolution that values show, ns, in the order of rows; `numbers` are they as written.

        Those that are not `complete` may be torn, or another clock's: the others may fit a tick without them.
        """
        if not at_ns.size:
            return self._written_ns if self.noise_ns else twice(self._written_ns)
        once = _once(at_ns - self.zero_ns)
        ticks = self._ticks(once)
        if complete is not None and 1 < complete.sum() < at_ns.size:
            ticks += self._ticks(at_ns[complete] - self.zero_ns)
        found = self._resolution(once, ticks)
        return found if numbers is None else found + self._float32_ns(numbers)

    def with_shared(self, at_ns: Integers) -> Writing:
        """The same with the step that these values share."""
        if not at_ns.size:
            return self
        at_ns = _once(at_ns - self.zero_ns)
        ticks = self._ticks(at_ns)
        shared = _shared(ticks)
        mixed = self._mixed(at_ns, shared)
        return replace(
            self,
            shared_ns=shared,
            digit_ns=self._digit(at_ns),
            tick_ns=max(ticks).ns,
            mixed_ns=mixed if mixed > shared else 0,
        )

    def _resolution(self, at_ns: Integers, ticks: Sequence[Tick]) -> int:
        """The greatest of what ticks show, and a coarser step of some values."""
        base = _shared(ticks)
        mixed = self._mixed(at_ns, base)
        coarsest = max(tick.resolution_ns for tick in ticks if tick.ns > base - 1)
        noise = self.noise_ns if base > self._written_ns else 0
        return max(ceil(coarsest), twice(mixed) if mixed > base else 0) + noise

    def coarsest(self, at_ns: Integers) -> int:
        """The greatest resolution of any long stretch: of each 4096 values 512 are looked at."""
        if self.promised_ns is not None:
            return self.promised_ns
        at_ns = at_ns - self.zero_ns
        parts = [_once(at_ns[begin : begin + _SAMPLE]) for begin in range(0, at_ns.size, _STRETCH)]
        return max((self._of_stretch(part) for part in parts if part.size >= _ENOUGH), default=0)

    def _of_stretch(self, at_ns: Integers) -> int:
        """The resolution of a stretch, if it surely is coarser than the last digit; else 0."""
        most_hz = min(_STRETCH_HZ, S // (2 * self.step_ns))  # more are never sure
        few = self._ticks(at_ns[:: at_ns.size // _ENOUGH], most_hz)
        if self._is_fine(at_ns) and max(tick.ns for tick in few if tick.sure) <= self._written_ns:
            return 0
        return self._resolution(at_ns, [tick for tick in self._ticks(at_ns, most_hz) if tick.sure])

    def of_rows(
        self, at_ns: Integers, known_ns: int, steps_ns: Integers | None = None, ends: Flags | None = None
    ) -> Integers:
        """Each value's resolution where it is coarser than `known_ns`, the column's; else 0.

        `steps_ns` is the unit of each one's last digit, where they are texts; those of `ends` may be torn.
        """
        if self.promised_ns is not None or not at_ns.size:
            return np.zeros(at_ns.shape, dtype=np.int64)
        at_ns = at_ns - self.zero_ns
        base = max(self.shared_ns, self._written_ns)
        steps = [step for step in (*_DECADES, *_LONG_NS) if step > base]
        found = coarser_steps(at_ns, steps, lambda step: self._by_chance(base, step), self._are_multiples)
        if steps_ns is not None and (self.unclear_ns or (steps_ns > self.step_ns).any()):
            found = np.maximum(found, self._written(at_ns, steps_ns, ends))
        ticks = np.where(found % S == 0, found, np.maximum(2 * found, found + known_ns - self.anchor_ns))
        found = np.where(found > 0, ticks + self.anchor_ns, 0)
        return np.where(found > known_ns, found, 0)

    def _written(self, at_ns: Integers, steps_ns: Integers, ends: Flags | None) -> Integers:
        """What values resolve that are written in fewer digits than the column; 0 where they are complete."""
        own = own_steps(at_ns, steps_ns, self.step_ns, drops=self.drops_zeros)
        if ends is not None:
            own = np.where(ends & (steps_ns > self.step_ns), steps_ns, own)
        if self.usual_steps:
            few = (steps_ns > self.step_ns) & ~np.isin(steps_ns, [*self.usual_steps])
            one_ns = self.unit_ns or S
            own = np.where(few, np.maximum(steps_ns, one_ns), own)
            if 10 * self.step_ns == one_ns:  # 12.3 may have become 13
                own = np.where(few & (steps_ns == one_ns), 10 * one_ns, own)
        unclear = (steps_ns >= self.unclear_ns.start) & (steps_ns < self.unclear_ns.stop)
        return np.where(unclear, self.unclear_ns.stop, own)

    def _is_fine(self, at_ns: Integers) -> bool:
        """Whether no more values than by chance are multiples of ten times the unit of the last digit."""
        tenth = int((at_ns % (10 * self.step_ns) == 0).sum())
        return not self.noise_ns and tenth <= _FEW * at_ns.size

    def _ticks(self, at_ns: Integers, most_hz: int = MOST_HZ) -> list[Tick]:
        """The coarsest ticks that all values fit."""
        unit = self._digit(at_ns)
        rounded = self.noise_ns > 0 and unit == self._written_ns
        if self.noise_ns and not rounded:
            at_ns = (at_ns + unit // 2) // unit * unit
        return ticks_of(at_ns, unit, rounded=rounded, days=self.unit_ns == DAY_NS, most_hz=most_hz)

    @property
    def _written_ns(self) -> int:
        """How far values that are written may be from what they stand for."""
        return self.step_ns + self.noise_ns

    def _digit(self, at_ns: Integers) -> int:
        """The greatest decimal step of up to a second that all values are multiples of."""
        best = self._written_ns
        for step in _DECADES:
            exact = self.noise_ns > 0 or step % self.step_ns == 0
            if best < step <= S and exact and self._by_chance(best, step) < 1:
                if not self._are_multiples(at_ns, step).all():
                    break
                best = step
        return best

    def _mixed(self, at_ns: Integers, base: int) -> int:
        """A coarser step of which more values, two different at least, are multiples than by chance."""
        found, among = base, at_ns
        for step in sorted((*_DECADES, *_LONG_NS)):
            if step > found:
                expected = among.size * self._by_chance(found, step)
                multiples = among[self._are_multiples(among, step)]
                count, different = multiples.size, bool((multiples != multiples[:1]).any())
                if different and count > expected and _log_chance(count, expected) <= _MIXED_CHANCE:
                    found, among = step, multiples
        return found

    def _off_ns(self, step: int) -> int:
        """How far a multiple of `step` may be from what is written of it."""
        return 0 if step % self.step_ns == 0 and not self.noise_ns else max(self.step_ns, self.noise_ns)

    def _by_chance(self, base: int, step: int) -> float:
        """The share of values in steps of `base` that are multiples of `step` by chance."""
        off_ns = self._off_ns(step)
        return min(max(base, 2 * off_ns + self.step_ns if off_ns else 0) / step, 1.0)

    def _are_multiples(self, at_ns: Integers, step: int) -> Flags:
        """Which values are multiples of `step`, as far as they are written."""
        rest = at_ns % step
        found: Flags = np.minimum(rest, step - rest) <= self._off_ns(step)
        return found

    def _float32_ns(self, numbers: Floats) -> int:
        """float32's step, where all numbers may be float32s by their digits, or are printed as they are."""
        with np.errstate(over="ignore"):
            singles = numbers.astype(np.float32)
        shown = self.step_ns / max(self.unit_ns, 1) / 2 + 2 * np.spacing(np.abs(numbers))
        off = np.abs(numbers - singles.astype(np.float64)) > shown
        odd = zip(singles[off], numbers[off].tolist(), strict=True)
        printed = all(float(str(single)) == number for single, number in odd)
        step = float(np.spacing(np.abs(singles).max())) if printed else 0.0
        return int(np.ceil(step * self.unit_ns)) if np.isfinite(step) else 0
