"""Where a segment ends: steps, reboots, suspends, contradictions, and small steps that contradict nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from topside_agent.estimator.slews import FASTEST

if TYPE_CHECKING:
    from topside_agent.estimator.blocks import Floats
    from topside_agent.estimator.constraints import Constraint
    from topside_agent.estimator.settings import EstimatorSettings

Cause = Literal["start", "step", "reboot", "suspend", "topside_step", "inconsistent"]

Admits = Callable[[int], bool]
"""Whether the new exchange, had θ jumped by so many ns, would agree with all earlier ones."""

_SIDES = (4, 8, 16)
"""Blocks compared on either side of the tested instant."""
_PARTS = -np.array([*(2 * blocks for blocks in reversed(_SIDES)), _SIDES[0]])
"""Where, from the newest on, the blocks begin that only a longer side holds: each is twice the one before."""
_SPREADS = 3.0
_FLOOR_NS = 50_000.0
"""A step is accepted above so many times the greatest move of quiet times, plus this."""
_FEW = 20.0
"""The greatest of n independent moves says little while n is small: it then counts _FEW/n + 2 times."""
_WARMUP = 20
"""Moves measured of each length before a step is accepted."""
_KEEP = 0.999
_LEAST_SLEEP_NS = 10_000_000
"""No machine suspends and resumes in less; a shorter stop of RAW would go unnoticed beside a step."""
_SLEW_SEEN_NS = 2_000_000_000
"""Within so much a fast slew is followed; what happened in a longer silence counts as a step."""
_EQUAL = 0.5
"""A step moves both edges equally; a burst moves one by far more than noise moves the other."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The beginning of a new segment.

    `at_ns` is topside's realtime at the destination of the exchange that begins it, `ambiguous_from_ns` that
    of the last exchange that surely belongs to the old one; those in between may belong to either. `step_ns`
    is the measured size of a wall clock's step (positive: that clock was set forward), None if unknown.
    """

    cause: Cause
    at_ns: int
    step_ns: int | None
    ambiguous_from_ns: int


class Break(NamedTuple):
    """What happened between two exchanges; with `keeps_raw` RAW ran on and every bound is still true."""

    cause: Cause
    step_ns: int | None
    keeps_raw: bool
    keeps_drift: bool


class Seen(NamedTuple):
    """A constraint and the boot id of its exchange."""

    constraint: Constraint
    boot_id: str | None


def is_late(new: Constraint, newest: Constraint, difference_before_ns: int, tolerance_ns: int) -> bool:
    """Whether `newest` overtook `new`, rather than topside's clock having restarted.

    A late exchange carries topside's present difference realtime − RAW, or the one before its last step
    (`difference_before_ns`). After a boot the difference is far from both.
    """
    if new.raw != newest.raw or new.destination_ns > newest.destination_ns:
        return False
    known = (newest.topside_difference_ns, difference_before_ns)
    return min(abs(new.topside_difference_ns - difference) for difference in known) <= tolerance_ns


class Slews(NamedTuple):
    """The rates (ns/ns) at which both wall clocks were being slewed before."""

    pi: float = 0.0
    topside: float = 0.0


_AT_REST = Slews()


def break_before(
    new: Seen, last: Seen, admits: Admits, settings: EstimatorSettings, slews: Slews
) -> Break | None:
    """What happened between `last` and the later `new`; None when the clocks ran on undisturbed."""
    now, before = new.constraint, last.constraint
    if new.boot_id is not None and last.boot_id is not None and new.boot_id != last.boot_id:
        return Break("reboot", None, keeps_raw=False, keeps_drift=False)
    if now.raw != before.raw:
        return Break("start", None, keeps_raw=False, keeps_drift=True)
    if now.destination_ns <= before.destination_ns:
        return Break("topside_step", None, keeps_raw=False, keeps_drift=False)
    if now.origin_ns >= before.destination_ns and now.receive_ns < before.transmit_ns:
        # The ping left after the last pong had arrived, and yet the Pi read an earlier time. On RAW that is a
        # reboot if a boot id is unknown. With equal boot ids, or on realtime, it is a contradiction.
        boot = now.raw and (new.boot_id is None or last.boot_id is None)
        return Break("reboot" if boot else "inconsistent", None, keeps_raw=False, keeps_drift=not boot)
    return _jump(new, last, admits, settings, slews)


def _jump(now: Seen, before: Seen, admits: Admits, settings: EstimatorSettings, slews: Slews) -> Break | None:
    """A jump of realtime − RAW is a step if RAW ran on, a suspend if RAW stopped meanwhile.

    What the kernel can slew in the time is no step: chrony's default is 20 ms in a quarter of a second. Where
    RAW may also have stopped (`_may_have_stopped`), the old bounds are dropped: that is safe in either case.
    """
    new, old = now.constraint, before.constraint
    elapsed_ns = new.destination_ns - old.origin_ns
    pi = new.pi_difference_ns - old.pi_difference_ns
    topside = new.topside_difference_ns - old.topside_difference_ns
    if slews == _AT_REST and max(abs(pi), abs(topside)) < min(_LEAST_SLEEP_NS, settings.step_min_ns):
        return None if admits(0) else Break("inconsistent", None, keeps_raw=False, keeps_drift=True)
    resolution = new.resolution_ns + old.resolution_ns
    allowed = settings.step_min_ns + round(settings.slew_limit_ppm * 1e-6 * elapsed_ns) + resolution
    slewable = allowed + round(FASTEST * min(elapsed_ns, _SLEW_SEEN_NS))
    set_forward = pi > allowed or topside > allowed
    pi_jumped, topside_jumped = abs(pi) > allowed, abs(topside) > allowed
    if not admits(0):
        if set_forward:
            return Break("suspend", None, keeps_raw=False, keeps_drift=False)
        return Break("inconsistent", None, keeps_raw=False, keeps_drift=True)
    pi_moved = abs(pi) > slewable or pi - slews.pi * elapsed_ns >= _LEAST_SLEEP_NS
    topside_moved = abs(topside) > slewable or topside - slews.topside * elapsed_ns >= _LEAST_SLEEP_NS
    stopped = _may_have_stopped(admits, pi=pi_moved, topside=topside_moved)
    if not stopped and max(abs(pi), abs(topside)) <= slewable:
        return None
    if pi_jumped or topside_jumped:
        cause: Cause = "step" if pi_jumped else "topside_step"
        return Break(cause, pi if pi_jumped else topside, keeps_raw=not stopped, keeps_drift=True)
    return Break("suspend", None, keeps_raw=False, keeps_drift=True)


def _may_have_stopped(admits: Admits, *, pi: bool, topside: bool) -> bool:
    """Whether a RAW clock may have stopped for a while although the exchange agrees with all earlier ones.

    A step can hide a sleep of any length that the delays leave room for. If both sides moved, `pi` and
    `topside`, both may have slept, for times that differ by anything.
    """
    if pi and topside:
        return True
    return (pi and admits(-_LEAST_SLEEP_NS)) or (topside and admits(_LEAST_SLEEP_NS))


class StepDetector:
    """Compares the edges (least upper, greatest lower bound) before and after an instant.

    A longer or shorter route moves one edge, or both in opposite directions; queueing makes an edge sparse.
    A step of the offset moves both equally in the same direction, which collapses the margin of every window
    across it. The detector learns how far noise alone moves both, together or apart: either is as likely.
    """

    def __init__(self, block_s: float) -> None:
        self._block_s = block_s
        self._quiet = dict.fromkeys(_SIDES, 0.0)
        self._seen = dict.fromkeys(_SIDES, 0)

    def stepped(self, columns: Floats, slope: float, slope_error: float) -> int | None:
        """How many blocks ago the edges began to differ; None if they did not.

        `columns` are the closed blocks of one timebase (`Blocks.columns`), `slope` is its drift and
        `slope_error` the drift's greatest error, in ns/s: an unknown drift moves both edges too.
        """
        spans = [blocks for blocks in _SIDES if 2 * blocks <= columns.shape[1]]
        if not spans:
            return None
        moves = _moves(columns[:, -2 * spans[-1] :], slope, spans)
        for blocks, (move, common) in zip(spans, moves, strict=True):
            if common and self._seen[blocks] >= _WARMUP:
                spreads = max(_SPREADS, 2.0 + _FEW * blocks / self._seen[blocks])
                allowed = spreads * self._quiet[blocks] + slope_error * blocks * self._block_s
                if move > allowed + _FLOOR_NS:
                    return 2 * blocks
        for blocks, (move, _) in zip(spans, moves, strict=True):
            self._quiet[blocks] = max(self._quiet[blocks] * _KEEP, move)
            self._seen[blocks] += 1
        return None


def _moves(columns: Floats, slope: float, spans: list[int]) -> list[tuple[float, bool]]:
    """For each span the lesser of both edges' moves (ns), and whether both moved together; 0 if unknown."""
    along = columns[1::2] - slope * columns[::2]
    parts = _PARTS[-len(spans) - 1 :] + along.shape[1]
    high, low = np.minimum.reduceat(along[0], parts).tolist(), np.maximum.reduceat(along[1], parts).tolist()
    moves = []
    newer_high, newer_low = high.pop(), low.pop()
    for older_high, older_low in zip(reversed(high), reversed(low), strict=True):
        up, down = newer_high - older_high, newer_low - older_low
        less, more = abs(up), abs(down)
        if less > more:
            less, more = more, less
        known = more < inf
        moves.append((less if known else 0.0, known and up * down > 0 and less >= more * _EQUAL))
        newer_high, newer_low = min(newer_high, older_high), max(newer_low, older_low)
    return moves
