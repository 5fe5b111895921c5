"""What a fleet's model knows, as readers ask for it: a row for each vehicle and topside; pure.

A row is never more certain and never more current than what was heard. A live result ages from its arrival, a
retained one from `measured_at` by this computer's clock; `fresh_for_s` decides up to which age it is fresh.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.choice import FRESH_S
from schemas.messages import OffsetResult
from tidesync.fleet.heard import Announced
from tidesync.fleet.in_use import TopsidesInUse
from tidesync.fleet.measured import Measured
from tidesync.fleet.removals import Removals
from tidesync.fleet.sessions import SessionEntry, Sessions
from tidesync.fleet.topsides import Topsides
from tidesync.fleet.unshown import Unshown
from tidesync.fleet.vehicle import Row, VehicleInfo, since_s

if TYPE_CHECKING:
    from collections.abc import Iterator

    from broker.inbox import Letter
    from runtime.clock import Reading
    from tidesync.fleet.history import ResultHistory
    from tidesync.fleet.vehicle import Results

MOST_NAMES = 20_000
"""Names come from the network: of each kind this many are kept; the one quiet for longest is dropped, and
`unshown` counts it. A vehicle takes some 5 KB, and with histories 130 KB or less: see `share_of`."""
_MOST_SESSIONS = 2000
_CHOOSE_NS = 1_000_000_000


class FleetState:
    """Every vehicle, topside and session; `version` counts changes, `removals` has what was dropped."""

    def __init__(self, fresh_s: float = FRESH_S, *, most: int = MOST_NAMES, histories: bool = False) -> None:
        self.version = 0
        self.removals = Removals()
        self._rows_version = 0  # when rows changed last without a letter of theirs
        self._topsides = Topsides(most)
        self._in_use = TopsidesInUse()
        self._choose_ns = 0
        self._fresh_s = fresh_s
        self._most = most
        self._measured = Measured(most, histories=histories)
        self._vehicles: dict[str, VehicleInfo] = {}
        """The one quiet for longest first."""
        self._announced = Announced()
        self._unshown = Unshown()
        self._sessions = Sessions(min(most, _MOST_SESSIONS))

    def expire(self, now: Reading) -> None:
        """What time alone changes: who is online for all that is known, and whose results are in use."""
        for vehicle in self._announced.silent(now.raw_ns):
            if known := self._vehicles.get(vehicle):
                known.status, known.version = None, self._changed()
                self._rows_version = self.version
        if now.raw_ns >= self._choose_ns:
            self._choose_ns = now.raw_ns + _CHOOSE_NS
            self._choose(now)

    @property
    def topsides(self) -> dict[str, str]:
        """Their statuses."""
        return self._topsides.statuses

    @property
    def unshown(self) -> int:
        """How many vehicles there is no room for: they have no row."""
        return len(self._unshown)

    def rows(self, now: Reading, after: int = 0) -> list[Row]:
        """What has changed since version `after`, as it is at `now`; sorted by vehicle and topside."""
        self.expire(now)
        if after == 0:
            self._choose(now)
        changed = sorted((vehicle, by or "") for vehicle, by, _ in self.changes(after))
        return [self.row(vehicle, by or None, now) for vehicle, by in changed]

    def changes(self, after: int = 0) -> Iterator[tuple[str, str | None, Results | None]]:
        """The rows that have changed since version `after`; with the results where only its numbers have."""
        return self._measured.changes(self._vehicles, after, any_row=self._rows_version > after)

    def row(self, vehicle: str, topside: str | None, now: Reading) -> Row:
        """A vehicle that is known, as `topside` measures it at `now`."""
        info = self._vehicles.get(vehicle) or VehicleInfo()
        results = self._measured.get(vehicle, topside) if topside else None
        known = results.known(now, self._fresh_s) if results else {}
        return Row(
            vehicle,
            topside,
            status=info.status,
            info=info.info,
            event=info.event,
            event_age_s=since_s(info.event_raw_ns, now) if info.event else None,
            topside_status=self.topsides.get(topside or ""),
            group=self._topsides.group_of(topside),
            recording=self._sessions.recording(vehicle),
            in_use=results is not None and self._in_use.is_in_use(vehicle, results),
            **known,
        )

    def sessions(self, after: int = 0) -> Iterator[SessionEntry]:
        """Every session that has changed since version `after`."""
        return self._sessions.entries(after)

    def session(self, session: str) -> SessionEntry | None:
        """The session of this name, if known."""
        return self._sessions.get(session)

    def vehicles(self) -> set[str]:
        """Every vehicle that was heard of."""
        return self._vehicles.keys() | self._measured.topsides.keys()

    def result(self, vehicle: str, topside: str) -> OffsetResult | None:
        """The newest result of a vehicle by one topside, however old."""
        known = self._measured.get(vehicle, topside)
        return known.result if known else None

    def as_known(self, letter: Letter) -> Letter:
        """`letter`, which was taken, with its result as it may be relied on."""
        body = letter.body
        known = self._measured.get(body.vehicle, body.topside) if isinstance(body, OffsetResult) else None
        return letter._replace(body=known.result) if known else letter

    def topsides_of(self, vehicle: str) -> list[str]:
        """Those that measure it, by name."""
        return list(self._measured.topsides.get(vehicle, ()))

    def topside_in_use(self, vehicle: str) -> str | None:
        """Whose results of it are in use; else the first by name that has measured it."""
        return self._in_use.of(vehicle) or next(iter(self.topsides_of(vehicle)), None)

    def history(self, vehicle: str, topside: str) -> ResultHistory | None:
        """The last hours of a vehicle as one topside measured it, where histories are kept."""
        known = self._measured.get(vehicle, topside)
        return known.history if known else None

    # For what changes it

    def _choose(self, now: Reading) -> None:
        for vehicle in self._measured.several:
            fresh = [known for known in self._measured.of(vehicle) if known.is_fresh(now, self._fresh_s)]
            if self._in_use.choose(vehicle, fresh):
                self._rows_changed(vehicle)

    def _rows_changed(self, vehicle: str) -> None:
        version = self._rows_version = self._changed()
        for known in self._measured.of(vehicle):
            known.version = known.row_version = version
        if info := self._vehicles.get(vehicle):
            info.version = version

    def _changed(self) -> int:
        self.version += 1
        return self.version
