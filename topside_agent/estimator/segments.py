"""Where a segment ends: clock steps, reboots, suspends, and exchanges that contradict what went before."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from topside_agent.estimator.constraints import Constraint
    from topside_agent.estimator.settings import EstimatorSettings

Cause = Literal["start", "step", "reboot", "suspend", "topside_step", "inconsistent"]

Admits = Callable[[int], bool]
"""Whether the new exchange, had θ jumped by so many ns, would agree with all that went before."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The beginning of a new segment.

    `at_ns` is topside's realtime at the destination of the exchange that begins it, `ambiguous_from_ns` that
    of the last exchange that is surely from before; what lies between belongs to neither. `step_ns` is the
    measured size of a wall clock's step (positive: that clock was set forward), None where it is not known.
    """

    cause: Cause
    at_ns: int
    step_ns: int | None
    ambiguous_from_ns: int


class Break(NamedTuple):
    """What happened between two exchanges; `keeps_raw` when RAW ran on and every bound is still true."""

    cause: Cause
    step_ns: int | None
    keeps_raw: bool
    keeps_drift: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """An exchange beside the boot id that came with it."""

    constraint: Constraint
    boot_id: str | None


def is_late(new: Constraint, newest: Constraint, difference_before_ns: int, tolerance_ns: int) -> bool:
    """Whether `new` was overtaken by `newest`, rather than taken after topside's own clock began again.

    A late exchange still carries the difference realtime − RAW that topside has now, or the one that it had
    before its last step (`difference_before_ns`); after a boot it is far from both.
    """
    if new.raw != newest.raw or new.destination_ns > newest.destination_ns:
        return False
    known = (newest.topside_difference_ns, difference_before_ns)
    return min(abs(new.topside_difference_ns - difference) for difference in known) <= tolerance_ns


def break_before(new: Seen, last: Seen, admits: Admits, settings: EstimatorSettings) -> Break | None:
    """What happened between `last` and the later `new`, or None when the clocks ran on undisturbed."""
    now, before = new.constraint, last.constraint
    if new.boot_id is not None and last.boot_id is not None and new.boot_id != last.boot_id:
        return Break("reboot", None, keeps_raw=False, keeps_drift=False)
    if now.raw != before.raw:
        return Break("start", None, keeps_raw=False, keeps_drift=True)
    if now.destination_ns <= before.destination_ns:
        return Break("topside_step", None, keeps_raw=False, keeps_drift=False)
    if now.origin_ns >= before.destination_ns and now.receive_ns < before.transmit_ns:
        # The question was asked after the last answer had come, and yet the Pi read an earlier time. On RAW
        # that is a boot; without a boot id it is still one, with the same boot id it is beyond explanation.
        boot = now.raw and (new.boot_id is None or last.boot_id is None)
        return Break("reboot" if boot else "inconsistent", None, keeps_raw=False, keeps_drift=not boot)
    return _jump(now, before, admits, settings)


def _jump(now: Constraint, before: Constraint, admits: Admits, settings: EstimatorSettings) -> Break | None:
    """A jump of realtime − RAW is a step if RAW ran on, a suspend if RAW stood still meanwhile.

    Where both fit the exchange, the bounds from before are given up: that is safe whichever it was.
    """
    elapsed_ns = now.destination_ns - before.origin_ns
    allowed = settings.step_min_ns + round(settings.slew_limit_ppm * 1e-6 * elapsed_ns)
    allowed += now.resolution_ns + before.resolution_ns
    pi = now.pi_difference_ns - before.pi_difference_ns
    topside = now.topside_difference_ns - before.topside_difference_ns
    pi_jumped, topside_jumped = abs(pi) > allowed, abs(topside) > allowed
    ran_on = admits(0)
    if not (pi_jumped or topside_jumped):
        return None if ran_on else Break("inconsistent", None, keeps_raw=False, keeps_drift=True)
    stood_still = (pi_jumped and pi > 0 and admits(-pi)) or (
        topside_jumped and topside > 0 and admits(topside)
    )
    if ran_on:
        cause: Cause = "step" if pi_jumped else "topside_step"
        return Break(cause, pi if pi_jumped else topside, keeps_raw=not stood_still, keeps_drift=True)
    if stood_still or (pi_jumped and pi > 0) or (topside_jumped and topside > 0):
        return Break("suspend", None, keeps_raw=False, keeps_drift=False)
    return Break("inconsistent", None, keeps_raw=False, keeps_drift=True)


def last_clean(recent: deque[Constraint], new: Constraint, rate_limit: float) -> int | None:
    """Topside's realtime (ns) at the newest of `recent` that contradicts `new`: the step came after it.

    None when every one of them could also lie on the new side.
    """
    for old in reversed(recent):
        apart = rate_limit * abs(new.destination_ns - old.origin_ns)
        if new.lower_ns - apart > old.upper_ns or new.upper_ns + apart < old.lower_ns:
            return old.destination_ns + old.topside_difference_ns
    return None
