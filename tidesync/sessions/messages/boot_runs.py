"""An autopilot's time since boot while topside's own clock is set and slewed: by runs of its RAW clock.

Packets are stamped on topside's realtime. Within a run (topside_raw.py) that is put on RAW, which the
autopilot's clock follows (boot_clock.py), and back; what is not known of either is in the error. Beyond the
end of a run at which topside's clock was stepped or slept, nothing is decided. Before the first reading and
after the last one it may move by 0.1 %, if it was at rest there; else nothing is decided either.

Where no reading is known, as in another tool's log, topside's clock is assumed to have run on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tidesync.sessions.correction.interpolation import Instants
from tidesync.sessions.correction.timeline import TimelineSegment
from tidesync.sessions.correction.topside_raw import RunClock
from tidesync.sessions.messages.boot_clock import Asked, BootClock, Heard

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tidesync.sessions.correction.interpolation import Inverse
    from tidesync.sessions.correction.topside_raw import OnOther, TopsideRaw
    from tidesync.sessions.correction.unexplained import Flags
    from topside_agent.estimator.blocks import Floats, Integers

_BEYOND_NS = 120_000_000_000
"""How far from the packets boot times may be answered."""
_BEYOND_RATE = 1e-3
_FEWEST = 2


class BootRuns(NamedTuple):
    """The boot times that packets relate to topside's clock."""

    segments: Sequence[TimelineSegment]
    proven: bool
    """Whether TIMESYNC bounds all of them."""
    drift_ppm: float | None
    """See `BootClock`; of the longest run."""
    by_raw: bool
    """Whether it is known what topside's clock did."""


class _OpenRun(NamedTuple):
    """A run, and whether topside's clock is taken to run on before it and after it."""

    clock: RunClock
    before: bool
    after: bool

    def beyond(self, found: OnOther) -> tuple[Integers, Flags]:
        """What instants beyond the ends add to their error, and which are beyond one that is not open."""
        closed = (found.early_ns > 0) & (not self.before) | (found.late_ns > 0) & (not self.after)
        far_ns = np.maximum(np.maximum(found.early_ns, found.late_ns), 0)
        return np.ceil(_BEYOND_RATE * far_ns).astype(np.int64), closed


class _BootInRun:
    """Topside's instants of boot times within a run; see `interpolation.Inverse`."""

    def __init__(self, clock: BootClock, run: _OpenRun) -> None:
        self._clock, self._run = clock, run
        self.first_ns, self.last_ns = clock.first_ns, clock.last_ns

    def instants(self, pi_ns: Integers) -> Instants:
        """The instants of boot times."""
        on_raw = self._clock.instants(pi_ns)
        reach_ns = np.where(on_raw.undecided, 0, np.minimum(np.ceil(on_raw.max_error_ns), 2.0**61))
        found = self._run.clock.real(on_raw.topside_ns, reach_ns.astype(np.int64))
        more_ns, closed = self._run.beyond(found)
        error: Floats = (found.error_ns + more_ns).astype(np.float64)
        return Instants(found.at_ns, error, on_raw.u95_ns, more_ns > 0, on_raw.undecided | closed)


def boot_runs(heard: Heard, topside: TopsideRaw | None) -> BootRuns:
    """What `heard`, on topside's realtime, says of boot times; no segment: nothing."""
    if topside is None or not topside.runs:
        whole = BootClock(heard)
        return BootRuns([*_segments([(whole, whole)])], whole.proven, whole.drift_ppm, by_raw=False)
    made = []
    for run, within, asked in _divided(heard, [RunClock(each) for each in topside.runs]):
        if int(within.sum()) >= _FEWEST:
            clock = BootClock(_on_raw(heard, run, within, asked))
            made.append((clock, _BootInRun(clock, run)))
    made.sort(key=lambda each: each[0].first_ns)
    longest = max(made, key=lambda each: each[0].last_ns - each[0].first_ns, default=None)
    drift_ppm = None if longest is None else longest[0].drift_ppm
    proven = bool(made) and all(clock.proven for clock, _ in made)
    return BootRuns([*_segments(made)], proven, drift_ppm, by_raw=True)


def _divided(heard: Heard, clocks: Sequence[RunClock]) -> Iterator[tuple[_OpenRun, Flags, Flags]]:
    """Each run with the packets and the requests that can be of no other one."""
    first = min(clocks, key=lambda each: each.real_ends_ns[0])
    last = max(clocks, key=lambda each: each.real_ends_ns[1])
    runs = [
        _OpenRun(each, each is first and each.rests[0], each is last and each.rests[1]) for each in clocks
    ]
    sides = (heard.topside_ns, heard.error_ns), (heard.asked.topside_ns, heard.asked.error_ns)
    touched = [sum((_touched(run, *side).astype(int) for run in runs), np.zeros(1, int)) for side in sides]
    for run in runs:
        only = [_touched(run, *side) & (count == 1) for side, count in zip(sides, touched, strict=True)]
        whole = [~run.beyond(run.clock.raw(*side))[1] for side in sides]
        yield run, only[0] & whole[0], only[1] & whole[1]


def _touched(run: _OpenRun, at_ns: Integers, error_ns: Integers) -> Flags:
    """Which instants may lie in a run."""
    first_ns, last_ns = run.clock.real_ends_ns
    found: Flags = (run.before | (at_ns + error_ns >= first_ns)) & (run.after | (at_ns - error_ns <= last_ns))
    return found


def _on_raw(heard: Heard, run: _OpenRun, within: Flags, requests: Flags) -> Heard:
    """What packets and requests of a run state, on RAW."""

    def moved(at_ns: Integers, error_ns: Integers) -> tuple[Integers, Integers, Integers]:
        found = run.clock.raw(at_ns, error_ns)
        return found.at_ns, found.error_ns + run.beyond(found)[0], run.clock.slept_ns(found.at_ns)[0]

    asked = heard.asked
    of_requests = moved(asked.topside_ns[requests], asked.error_ns[requests])
    of_packets = moved(heard.topside_ns[within], heard.error_ns[within])
    return Heard(heard.boot_ns[within], *of_packets, Asked(asked.boot_ns[requests], *of_requests))


def _segments(made: Sequence[tuple[BootClock, Inverse]]) -> Iterator[TimelineSegment]:
    """Each up to the packets of the next one."""
    for number, (clock, inverse) in enumerate(made):
        before = made[number - 1][0].last_ns if number else clock.first_ns - _BEYOND_NS
        after = made[number + 1][0].first_ns if number + 1 < len(made) else clock.last_ns + _BEYOND_NS
        cuts = bool(number), number + 1 < len(made)
        yield TimelineSegment(inverse, before, after, cut_before=cuts[0], cut_after=cuts[1])
