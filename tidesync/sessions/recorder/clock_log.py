"""The clock histories of one session, pure: what is new, what is missing, what to ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from schemas.clock_history import numbered
from tidesync.sessions.clock_pieces import line_of, piece_of
from tidesync.sessions.recorder.piece_watch import PieceWatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from schemas.clock_history import ClockLine, TopsideClock, VehicleClock
    from schemas.exchange import Exchange
    from tidesync.sessions.clock_pieces import ClockPieces, Machine, Owner
    from tidesync.sessions.recorder.piece_watch import PieceWatchState

LIVE_NS = 25_000_000_000
"""A process publishes its history at least every ten seconds."""
MOST_MACHINES = 10_000
MOST_PROCESSES = 1000
"""Of one machine."""
MOST_PIECES = 200_000
"""Of one process: a week in which a new one begins every three seconds."""
_BEHIND_NS = 1_000_000_000
"""A history up to this long before the last exchange is complete: it is sampled five times a second."""


class ClockRequest(NamedTuple):
    """Pieces to ask for; both ends are included."""

    owner: Owner
    instance_id: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class ClockCounts:
    """What is recorded of one machine's clock."""

    owner: Owner
    processes: int
    pieces: int
    missing: int
    """Numbers that are lost, or still requested."""


class ClockLog:
    """Takes every message of a session's vehicles and topsides; `now_ns` is the recorder's RAW."""

    def __init__(self) -> None:
        self._watches: dict[Owner, dict[str, PieceWatch]] = {}
        self._newest_raw_ns: dict[tuple[Owner, str], int] = {}
        self.refused = 0
        """Pieces for which there was no room."""
        self._awaited: list[tuple[PieceWatch, int]] = []

    @property
    def waiting(self) -> bool:
        """Whether something is missing that may still come."""
        return any(watch.waiting for _, _, watch in self._all()) or any(
            not watch.reaches(raw_ns) for watch, raw_ns in self._awaited
        )

    def restore(self, lines: Iterable[ClockLine], now_ns: int) -> None:
        """Take what an earlier process has recorded."""
        for line in lines:
            processes = self._watches.setdefault((line.machine, line.name), {})
            watch = processes.setdefault(line.instance_id, PieceWatch(line.boot_id))
            watch.take(line.number, piece_of(line), now_ns)

    def take(
        self, owner: Owner, message: VehicleClock | TopsideClock, now_ns: int, elapsed_ns: int
    ) -> list[ClockLine]:
        """The lines to write. `elapsed_ns`: since the session began."""
        if not self._has_room(owner, message.instance_id):
            self.refused += len(message.pieces)
            return []
        processes = self._watches.setdefault(owner, {})
        if message.instance_id not in processes:
            self._note_new_process(processes, now_ns)
        watch = processes.setdefault(message.instance_id, PieceWatch(message.boot_id))
        watch.heard_ns = now_ns
        for each in processes.values():
            each.hear(now_ns)
        ended = next(reversed(processes.values())) is not watch
        newest = watch.answered()
        new = [
            (number, piece)
            for index, (number, piece) in enumerate(numbered(message))
            if watch.take(number, piece, now_ns, follows=index > 0)
        ]
        watch.reach_back(elapsed_ns, now_ns)
        if ended and newest is not None and watch.newest > newest:  # a long answer comes in portions
            watch.ask_newest(now_ns)
        return [line_of(owner, message.boot_id, message.instance_id, *each) for each in new]

    def requests(self, now_ns: int) -> list[ClockRequest]:
        """What to ask for again now."""
        return [
            ClockRequest(owner, instance_id, first, last)
            for owner, instance_id, watch in self._all()
            for first, last in watch.requests(now_ns)
        ]

    def request_all(self, now_ns: int) -> None:
        """Ask for everything that is missing, or may have been published unheard, at the next update."""
        for _, _, watch in self._all():
            watch.request_all()
            watch.ask_newest(now_ns)

    def note_exchange(self, exchange: Exchange) -> None:
        """How far each machine's clock is known to have run."""
        pi, topside = exchange.pi_realtime_minus_raw_ns, exchange.topside_realtime_minus_raw_ns
        if pi is not None and exchange.boot_id:
            self._note_raw(("vehicle", exchange.vehicle), exchange.boot_id, exchange.transmit_ns - pi)
        if topside is not None and exchange.topside_boot_id:
            raw_ns = exchange.destination_ns - topside
            self._note_raw(("topside", exchange.topside), exchange.topside_boot_id, raw_ns)

    @property
    def raw_state(self) -> list[tuple[Machine, str, str, int]]:
        """How far each machine's clock is known to have run: its kind, name, boot, and RAW in ns."""
        return [(*owner, boot_id, raw_ns) for (owner, boot_id), raw_ns in self._newest_raw_ns.items()]

    @property
    def state(self) -> list[PieceWatchState]:
        """What is known of each process; its pieces are those of `pieces`, in the same order."""
        return [watch.state(owner, instance_id) for owner, instance_id, watch in self._all()]

    @property
    def pieces(self) -> list[ClockPieces]:
        """Those of each process."""
        return [watch.pieces for _, _, watch in self._all()]

    def restore_state(
        self,
        raw_ns: Iterable[tuple[Machine, str, str, int]],
        state: Iterable[PieceWatchState],
        pieces: Iterable[ClockPieces],
        now_ns: int,
    ) -> None:
        """Go on from a `raw_state`, and from a `state` with its `pieces`."""
        self._newest_raw_ns = {((machine, name), boot): raw for machine, name, boot, raw in raw_ns}
        for each, of_process in zip(state, pieces, strict=True):
            processes = self._watches.setdefault((each.machine, each.name), {})
            processes[each.instance_id] = PieceWatch.restored(each, of_process, now_ns)

    def await_last(self, now_ns: int) -> None:
        """The recording ends: ask each machine that is alive for its history up to now, and wait for it."""
        for _, _, watch in self._all():
            watch.request_all()
        for owner, processes in self._watches.items():
            watch = max(processes.values(), key=lambda each: each.heard_ns or 0)
            if watch.heard_ns is None or now_ns - watch.heard_ns > LIVE_NS:
                continue
            watch.ask_newest(now_ns)
            raw_ns = self._newest_raw_ns.get((owner, watch.pieces.boot_id))
            if raw_ns is not None:
                self._awaited.append((watch, raw_ns - _BEHIND_NS))

    def give_up(self) -> list[ClockRequest]:
        """What cannot be had any more; each is returned once."""
        return self._lost([(owner, name, watch.give_up()) for owner, name, watch in self._all()])

    def end(self) -> list[ClockRequest]:
        """End the recording: what is missing is lost."""
        return self._lost([(owner, name, watch.end()) for owner, name, watch in self._all()])

    def counts(self) -> list[ClockCounts]:
        """What is recorded of each machine; any thread may ask."""
        watches = sorted(self._watches.items(), key=lambda item: item[0])
        return [_counts(owner, list(processes.values())) for owner, processes in watches]

    def _has_room(self, owner: Owner, instance_id: str) -> bool:
        """Whether there is room for more of a process: names, ids and pieces come from the network."""
        processes = self._watches.get(owner)
        if processes is None:
            return len(self._watches) < MOST_MACHINES
        watch = processes.get(instance_id)
        return len(processes) < MOST_PROCESSES if watch is None else len(watch.pieces) < MOST_PIECES

    def _note_raw(self, owner: Owner, boot_id: str, raw_ns: int) -> None:
        key = (owner, boot_id)
        if key not in self._newest_raw_ns and len(self._newest_raw_ns) >= MOST_MACHINES:
            return
        self._newest_raw_ns[key] = max(raw_ns, self._newest_raw_ns.get(key, 0))

    def _note_new_process(self, processes: dict[str, PieceWatch], now_ns: int) -> None:
        """The one before has ended: what it published last may not have been heard."""
        if processes:
            next(reversed(processes.values())).ask_newest(now_ns)

    def _all(self) -> list[tuple[Owner, str, PieceWatch]]:
        return [
            (owner, instance_id, watch)
            for owner, processes in self._watches.items()
            for instance_id, watch in processes.items()
        ]

    def _lost(self, found: list[tuple[Owner, str, list[tuple[int, int]]]]) -> list[ClockRequest]:
        return [
            ClockRequest(owner, instance_id, first, last)
            for owner, instance_id, ranges in found
            for first, last in ranges
        ]


def _counts(owner: Owner, watches: Sequence[PieceWatch]) -> ClockCounts:
    pieces, missing = sum(len(each.pieces) for each in watches), sum(each.missing for each in watches)
    return ClockCounts(owner, len(watches), pieces, missing)
