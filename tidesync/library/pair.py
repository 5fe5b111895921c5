"""How far two vehicles' clocks were apart, from what one topside measured of both.

At an instant of topside's clock each vehicle's clock showed a time that is known within its error, from
exchanges that do not depend on the other's: the difference is known within both errors together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tidesync.library.direct_pair import Shown, direct
from tidesync.library.session import USED
from tidesync.sessions.errors import NothingMeasuredError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tidesync.library.direct_pair import Direct
    from tidesync.library.session import Session

_MOST_LOOPS = 1_000
"""Instants at which the loop is closed; more would show nothing new."""


class Loop(NamedTuple):
    """The way one's clock → topside → the other's → topside → one's, closed at many instants."""

    instants: int
    worst_ns: int
    """How far the end was from the beginning, at the most, ns."""
    worst_share: float
    """And that in parts of what the errors allow: above 1 the measurements contradict each other."""


class Pair(NamedTuple):
    """Two vehicles' clocks; the arrays have shape (instants,)."""

    topside_unix_ns: NDArray[np.int64]
    """Instants of topside's clock, Unix ns, at which both are known."""
    offset_ns: NDArray[np.int64]
    """The other's clock less one's, ns: positive where the other is ahead."""
    max_error_ns: NDArray[np.float64]
    """The true offset is within ± this, ns."""
    u95_ns: NDArray[np.float64]
    """95 % half-width, ns, as if both errors had one cause; NaN where it is not known."""
    unknown: int
    """Instants at which one of them is not known."""
    loop: Loop
    direct: Direct | None
    """As a topside on the computer of one of them measured the other; None: none did."""
    direct_loop: Loop | None
    """One's clock → topside → the other's, against that."""


def pair(session: Session, one: str, other: str, every_s: float = 1.0) -> Pair:
    """`other` less `one`, every `every_s` seconds of the time in which both were measured.

    Assumptions: those of `Session.to_vehicle`, for both. Errors: UsageError for one vehicle twice, no
    interval, or vehicles that were measured against the clocks of different computers; NothingMeasuredError
    for a vehicle that was not measured, or two that were not at the same time.
    """
    if one == other:
        raise UsageError(f"expected two vehicles, received {one!r} twice")
    if not 0 < every_s <= 86_400:  # noqa: PLR2004 - a day
        raise UsageError(f"every_s: expected more than 0, at most 86400, received {every_s!r}")
    spans = _together(session, one, other)
    begin, end = min(begin for begin, _ in spans), max(end for _, end in spans)
    instants = np.arange(begin, end + 1, max(1, round(every_s * 1e9)), dtype=np.int64)
    first, second = (session.to_vehicle(instants, vehicle, resolution_ns=0) for vehicle in (one, other))
    known = np.isin(first["state"], USED) & np.isin(second["state"], USED)
    known &= np.any([(begin <= instants) & (instants <= end) for begin, end in spans], axis=0)
    if not known.any():
        raise NothingMeasuredError(f"{one} and {other} are known together at no instant")
    first, second, instants = first[known], second[known], instants[known]
    offset_ns = second["vehicle_unix_ns"] - first["vehicle_unix_ns"]
    max_error_ns = first["max_error_ns"] + second["max_error_ns"]
    shown = (
        Shown(name, instants, each["vehicle_unix_ns"], each["max_error_ns"])
        for name, each in ((one, first), (other, second))
    )
    directly = direct(session, *shown)
    return Pair(
        instants,
        offset_ns,
        max_error_ns,
        first["u95_ns"] + second["u95_ns"],
        int((~known).sum()),
        _loop(session, one, other, first),
        directly,
        None if directly is None else _direct_loop(offset_ns, max_error_ns, directly),
    )


def _together(session: Session, one: str, other: str) -> list[tuple[int, int]]:
    """From when to when both were measured against one boot of one computer, on its clock."""
    of_one, of_other = session.measured_by(one), session.measured_by(other)
    boots = of_one.keys() & of_other.keys()
    if not boots:
        raise UsageError(f"{one} and {other} were measured against the clocks of different computers")
    both = [(*of_one[boot], *of_other[boot]) for boot in boots]
    spans = [(max(begin, begun), min(end, ended)) for begin, end, begun, ended in both]
    spans = [(begin, end) for begin, end in spans if begin <= end]
    if not spans:
        raise NothingMeasuredError(f"{one} and {other} were not measured at the same time")
    return spans


def _loop(session: Session, one: str, other: str, first: NDArray[np.void]) -> Loop:
    """Whether the way round ends where it began, within the errors of its four steps."""
    begun = first["vehicle_unix_ns"][:: max(1, -(-first.size // _MOST_LOOPS))]
    allowed, usable, at_ns = np.zeros(begun.size), np.ones(begun.size, dtype=np.bool_), begun
    for vehicle, back in ((one, False), (other, True), (other, False), (one, True)):
        if back:
            found, name = session.to_vehicle(at_ns, vehicle, resolution_ns=0), "vehicle_unix_ns"
        else:
            found, name = (
                session.to_topside(at_ns, vehicle, ordered=False, resolution_ns=0),
                "topside_unix_ns",
            )
        usable &= np.isin(found["state"], USED)
        allowed += np.where(usable, found["max_error_ns"], 0.0)
        at_ns = np.where(usable, found[name], begun)
    return _closed(np.abs(at_ns - begun)[usable], allowed[usable])


def _direct_loop(offset_ns: NDArray[np.int64], max_error_ns: NDArray[np.float64], directly: Direct) -> Loop:
    known = directly.known
    apart = np.abs(offset_ns - directly.offset_ns)[known]
    allowed = max_error_ns + directly.max_error_ns + directly.moved_ns
    return _closed(apart, allowed[known])


def _closed(apart_ns: NDArray[np.int64], allowed_ns: NDArray[np.float64]) -> Loop:
    if not apart_ns.size:
        return Loop(0, 0, 0.0)
    worst_share = float((apart_ns / (allowed_ns + 1.0)).max())
    return Loop(int(apart_ns.size), int(apart_ns.max()), worst_share)
