"""How far two vehicles' clocks were apart, as a topside on the computer of one of them measured the other.

Its clock is that vehicle's, so that its exchanges bound the offset between the two without a third clock.

Assumption: two processes that read the same boot id run under one kernel, which has one realtime for all of
them, in containers and time namespaces too. Two virtual machines that were resumed from one snapshot break
it: the loop over topside's clock then does not close.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tidesync.library.session import USED
from tidesync.sessions.errors import SessionError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from tidesync.library.session import Session

_RATES = 0.12
"""So much two clocks may run apart, as `Session.to_vehicle` allows."""


class Shown(NamedTuple):
    """What a vehicle's clock showed at instants of topside's, all of shape (instants,)."""

    vehicle: str
    at_ns: NDArray[np.int64]
    """The instants, Unix ns of topside's clock."""
    shown_ns: NDArray[np.int64]
    """The vehicle's clock then, Unix ns, within ± `max_error_ns`."""
    max_error_ns: NDArray[np.float64]


class Direct(NamedTuple):
    """The offset as measured without a third clock; the arrays have shape (instants,)."""

    topside: str
    """Which topside measured it."""
    host: str
    """The vehicle on whose computer it ran."""
    host_unix_ns: NDArray[np.int64]
    """When by the clock of `host`, Unix ns: about the instants of topside's."""
    offset_ns: NDArray[np.int64]
    """The other's clock less one's, ns; 0 where it is not known."""
    max_error_ns: NDArray[np.float64]
    """The true offset is within ± this, ns; NaN where it is not known."""
    u95_ns: NDArray[np.float64]
    """95 % half-width, ns; NaN where it is not known."""
    moved_ns: NDArray[np.float64]
    """By how much more it may be wrong at the instants of topside's, ns: these are known within an error."""

    @property
    def known(self) -> NDArray[np.bool_]:
        """At which of the instants it is."""
        return ~np.isnan(self.max_error_ns)


def direct(session: Session, one: Shown, other: Shown) -> Direct | None:
    """The best of the topsides on either's computer, by the middle of its errors; None if there is none."""
    found = [
        _turned(each, sign)
        for host, far, sign in ((one, other, 1), (other, one, -1))
        for each in _measured_at(session, host, far.vehicle)
    ]
    return min(found, key=lambda each: float(np.nanmedian(each.max_error_ns)), default=None)


def _turned(measured: Direct, sign: int) -> Direct:
    return measured._replace(offset_ns=sign * measured.offset_ns)


def _measured_at(session: Session, host: Shown, far: str) -> Iterable[Direct]:
    for topside in session.on_computer_of(host.vehicle, far):
        try:
            measured = _of_topside(session, topside, host, far)
        except SessionError:  # nothing that it measured can be relied on
            continue
        if measured.known.any():
            yield measured


def _of_topside(session: Session, topside: str, host: Shown, far: str) -> Direct:
    there = session.of_topside(topside)
    known = _of_one_boot(session, there, host, far)
    error_ns = np.ceil(host.max_error_ns).astype(np.int64)
    asked = []
    for stamps_ns in (host.shown_ns, host.shown_ns - error_ns, host.shown_ns + error_ns):
        found = there.to_vehicle(stamps_ns, far, resolution_ns=0)
        known &= np.isin(found["state"], USED)
        asked.append((found["vehicle_unix_ns"] - stamps_ns, found["max_error_ns"], found["u95_ns"]))
    offset_ns, max_error_ns, u95_ns = asked[0]
    away_ns = [np.abs(each_ns - offset_ns) + half_ns for each_ns, half_ns, _ in asked]
    return Direct(
        topside,
        host.vehicle,
        host.shown_ns,
        np.where(known, offset_ns, 0),
        np.where(known, max_error_ns, np.nan),
        np.where(known, u95_ns, np.nan),
        np.where(known, np.max(away_ns, axis=0) - max_error_ns + _RATES * host.max_error_ns, np.nan),
    )


def _of_one_boot(session: Session, there: Session, host: Shown, far: str) -> NDArray[np.bool_]:
    """At which instants `far` was measured by the clock of the boot that `host` had then."""
    known = np.zeros(host.at_ns.shape, dtype=np.bool_)
    spans = there.measured_by(far)
    for boot, (begin_ns, end_ns) in session.boots_of(host.vehicle).items():
        if boot in spans:
            begun_ns, ended_ns = spans[boot]
            known |= (
                (begin_ns <= host.at_ns)
                & (host.at_ns <= end_ns)
                & (begun_ns <= host.shown_ns)
                & (host.shown_ns <= ended_ns)
            )
    return known
