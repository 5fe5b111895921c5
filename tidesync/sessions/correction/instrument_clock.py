"""An instrument's own clock, as far as a user states it: how it stands to the vehicle's, or to topside's.

An instrument that writes its own files has a clock of its own, of which nothing was measured. So nothing is
assumed of it: `vehicle` says that the vehicle's clock stamped the file, `vehicle+1.5±0.2` that the clock
which did was ahead of the vehicle's by 1.3 s to 1.7 s throughout, and `topside-3600±1` likewise of topside's.

Assumption: the statement, for every time in the file: drift and slews of both clocks are within its error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from tidesync.sessions.errors import UnusableFileError

if TYPE_CHECKING:
    from pathlib import Path

    from tidesync.sessions.correction.interpolation import Instants, Inverse
    from tidesync.sessions.correction.timeline import Timeline
    from topside_agent.estimator.blocks import Integers

_STATED = re.compile(
    r"(?P<of>vehicle|topside)"
    r"(?:(?P<ahead>[+-]\d{1,9}(?:\.\d{1,9})?)(?:±|\+-|\+/-)(?P<error>\d{1,9}(?:\.\d{1,9})?))?",
    re.ASCII,
)
_S = 1_000_000_000
HOW = (
    "vehicle (the vehicle's clock stamped it), vehicle+1.5±0.2 (it was ahead of that by so many seconds, "
    "known within so many), or topside+1.5±0.2"
)


@dataclass(frozen=True, slots=True)
class InstrumentClock:
    """What is stated of the clock that stamped a file."""

    of: str
    """`vehicle` or `topside`: whose clock it is compared with."""
    ahead_ns: int = 0
    """It less that one; positive: it was ahead."""
    error_ns: int = 0
    """By how much that may be wrong, at any time in the file."""

    @property
    def is_topside(self) -> bool:
        """Whether the vehicle's clock has nothing to do with it."""
        return self.of == "topside"

    @property
    def differs(self) -> bool:
        """Whether it is another clock than the one that it is compared with."""
        return bool(self.ahead_ns or self.error_ns)

    @property
    def described(self) -> str:
        """The statement, for a summary; empty where it is the clock itself."""
        return f"its clock is stated to be {self.text} s (--instrument-clock)" if self.differs else ""

    @property
    def text(self) -> str:
        """The statement: the inverse of `instrument_clock`."""
        if not self.differs:
            return self.of
        return f"{self.of}{_decimal_s(self.ahead_ns, '+')}±{_decimal_s(self.error_ns)}"


def instrument_clock(text: str) -> InstrumentClock:
    """The statement; ValueError, which names what was received and what is accepted."""
    found = _STATED.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"--instrument-clock: expected {HOW}; received {text!r}")
    if found["ahead"] is None:
        return InstrumentClock(found["of"])
    ahead, error = (int(Decimal(found[name]) * _S) for name in ("ahead", "error"))
    return InstrumentClock(found["of"], ahead, error)


def _decimal_s(ns: int, sign: str = "") -> str:
    """Seconds, exactly."""
    return f"{(Decimal(ns) / _S).normalize():{sign}f}"


def on_clock(timeline: Timeline, clock: InstrumentClock | None, path: Path) -> Timeline:
    """The timeline of what `clock` shows, from that of the clock that it is compared with.

    UnusableFileError where that one was set or restarted: the other was not, so that the distance changed.
    """
    if clock is None or not clock.differs:
        return timeline
    if timeline.cuts:
        reason = (
            "--instrument-clock: the vehicle's clock was set or restarted in this session, the instrument's "
            "was not: state its distance from topside's (topside+1.5±0.2)"
        )
        raise UnusableFileError(path, reason)
    shifted = [
        replace(
            segment,
            interpolation=Shifted(segment.interpolation, clock.ahead_ns),
            from_ns=segment.from_ns + clock.ahead_ns,
            to_ns=segment.to_ns + clock.ahead_ns,
        )
        for segment in timeline.segments
    ]
    return timeline.of_segments([each.coarse(clock.error_ns) for each in shifted])


class Shifted:
    """`fine`, for a clock that shows `ahead_ns` more."""

    def __init__(self, fine: Inverse, ahead_ns: int) -> None:
        self._fine, self._ahead_ns = fine, ahead_ns
        self.first_ns, self.last_ns = fine.first_ns + ahead_ns, fine.last_ns + ahead_ns

    def instants(self, pi_ns: Integers) -> Instants:
        """The topside instants of `pi_ns`."""
        return self._fine.instants(pi_ns - self._ahead_ns)
