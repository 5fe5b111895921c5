"""Whose exchanges are missing, pure: one count for each vehicle and topside process, also of one name."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from schemas.base import Message
from schemas.events import Gap
from schemas.exchange import Identifier
from schemas.instants import utc_from_ns
from schemas.metadata import ProcessBlock
from schemas.names import Topside, Vehicle
from tidesync.sessions.journal import Source, source_of
from tidesync.sessions.recorder.missing import SequenceWatch, WatchState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from runtime.clock import Reading
    from schemas.exchange import Exchange
    from tidesync.sessions.journal import Stream
    from tidesync.sessions.recorder.missing import Lost
    from tidesync.sessions.recorder.missing_ranges import MissingRange

ENDED_NS = 10_000_000_000
"""A process that is silent for this long, while a later one of its name is heard, has ended."""

MOST_PROCESSES = 1000
"""Of one vehicle and topside; later ones share a count. Ids come from the network, so they are bounded."""

MOST_STREAMS = 5000

MOST_UNDER_WAY = 10_000
"""Exchanges asked of one topside that have not come: 6 MB, which no broker's queue for us need drop. More
would wait there until they are asked for once more."""

MOST_BLOCKS = 100
"""Processes of a vehicle that the metadata names."""

LostOf = tuple[Source, "Lost"]


class SourceState(Message):
    """A source's watch as an index keeps it."""

    vehicle: Vehicle
    topside: Topside
    instance_id: Identifier | None
    watch: WatchState

    def all_missing(self) -> SourceState:
        """The same count, of which nothing is recorded."""
        watch = self.watch
        origin_ns = watch.newest.origin_ns if watch.newest else 0
        missing = [(watch.first, watch.next - 1, origin_ns, False)] if watch.next > watch.first else []
        return self.model_copy(update={"watch": watch.model_copy(update={"missing": missing})})


class SourceWatches:
    """A watch for each source. Exchanges without an instance id share one, which recognises restarts.

    A process that is first heard after another one of its name has restarted it, so that everything from its
    number 0 belongs to the session; unless the other one goes on: then they are namesakes, and a count begins
    where it was first heard. Instants are the recorder's RAW.
    """

    def __init__(self) -> None:
        self._streams: dict[Stream, dict[Source, SequenceWatch]] = {}
        self._reaching: list[SequenceWatch] = []
        self.is_resumed = False
        """Whether an earlier process may have known of a source what is not written."""
        self.has_reached_back = False
        """Whether that has come, which a restart should know."""

    def note_resumed(self) -> None:
        """All that was written is known; what a kill took of a source that is unknown is asked for."""
        self.is_resumed = True

    def __iter__(self) -> Iterator[tuple[Source, SequenceWatch]]:
        """Every source with its watch; any thread may ask."""
        for watches in list(self._streams.values()):
            yield from list(watches.items())

    @property
    def state(self) -> list[SourceState]:
        """What `restore` goes on from."""
        return [SourceState(**source._asdict(), watch=watch.state) for source, watch in self]

    def restore(self, states: Iterable[SourceState], now_ns: int) -> None:
        """Have the watches of a `state`."""
        for each in states:
            source = Source(each.vehicle, each.topside, each.instance_id)
            watches = self._streams.setdefault((each.vehicle, each.topside), {})
            watches[source] = watch = SequenceWatch.restored(each.watch, now_ns)
            if watch.reaches_back:
                self._reaching.append(watch)

    @property
    def waiting(self) -> bool:
        """Whether something is missing that may still come."""
        return any(watch.waiting for _, watch in self)

    @property
    def newest(self) -> dict[Stream, SequenceWatch]:
        """Of each stream the watch of which something new came last."""
        return {
            stream: max(watches.values(), key=lambda watch: watch.heard_ns)
            for stream, watches in self._streams.items()
        }

    @property
    def awaited_of(self) -> set[str]:
        """The topsides of which something is missing that may still come."""
        return {source.topside for source, watch in self if watch.waiting}

    def of(self, exchange: Exchange) -> SequenceWatch | None:
        """The watch of the exchange's source; None before it is first observed."""
        return self._streams.get((exchange.vehicle, exchange.topside), {}).get(source_of(exchange))

    @property
    def awaited(self) -> int:
        """How many are missing that may still come."""
        return sum(watch.awaited for _, watch in self)

    @property
    def missing(self) -> Counter[str]:
        """Exchanges that are not recorded by vehicle, lost ones included; any thread may ask."""
        missing: Counter[str] = Counter()
        for source, watch in self:
            missing[source.vehicle] += watch.missing
        return missing

    @property
    def processes(self) -> dict[str, list[ProcessBlock]]:
        """What each process misses by vehicle, of those topsides that had several; the first hundred."""
        found: dict[str, list[ProcessBlock]] = {}
        for (vehicle, topside), watches in self._streams.items():
            if len(watches) > 1:
                blocks = found.setdefault(vehicle, [])
                for source, watch in watches.items():
                    blocks.append(
                        ProcessBlock(topside=topside, instance_id=source.instance_id, missing=watch.missing)
                    )
        return {vehicle: blocks[:MOST_BLOCKS] for vehicle, blocks in found.items()}

    def admits(self, exchange: Exchange) -> bool:
        """Whether there is room for its vehicle and topside."""
        return (exchange.vehicle, exchange.topside) in self._streams or len(self._streams) < MOST_STREAMS

    def observe(self, exchange: Exchange, now_ns: int, *, known: bool, batch: int | None) -> list[LostOf]:
        """Take note of an exchange; returns what a restart lost."""
        watches = self._streams.setdefault((exchange.vehicle, exchange.topside), {})
        source = source_of(exchange)
        if source not in watches and len(watches) >= MOST_PROCESSES:
            source = source._replace(instance_id=None)
        watch, new = watches.get(source), source not in watches
        if watch is None:
            one = source.instance_id is not None
            watch = SequenceWatch(len(watches), follows=bool(watches), one_process=one)
            watches[source] = watch
        elif watch.is_ahead(exchange):
            for later in watches.values():
                if later.run > watch.run:
                    later.begin_where_heard(now_ns)
        lost = watch.observe(exchange, now_ns, known=known, batch=batch)
        if new and self.is_resumed:
            watch.begin_to_reach_back()
            self._reaching.append(watch)
        return [(source, each) for each in lost]

    def requests(
        self, now_ns: int, elapsed_ns: int = 0, late_ns: Callable[[str, int], int] = lambda *_: 0
    ) -> list[tuple[Source, int, int]]:
        """What to ask for again now, `elapsed_ns` after the session's start: source, first and last `seq`.

        As much as each topside is to have under way; what was asked for without an answer comes last, and of
        the others the source that was not asked for longest comes first. `late_ns`: of a topside, now: how
        long what it sends waits before it is read here.
        """
        for watch in self._reaching:
            watch.reach_back(elapsed_ns, now_ns)
        if self._reaching:
            self._reaching = [watch for watch in self._reaching if watch.reaches_back]
            self.has_reached_back = not self._reaching
        under_way: Counter[str] = Counter()
        due: list[tuple[Source, SequenceWatch, MissingRange]] = []
        for source, watch in self:
            if watch.waiting:
                late = late_ns(source.topside, now_ns)
                under_way[source.topside] += watch.under_way(now_ns, late)
                due += [(source, watch, missing) for missing in watch.due(now_ns, late)]
        due.sort(key=lambda each: (each[2].requests, each[1].asked_ns))
        asked = []
        for source, watch, missing in due:
            if under_way[source.topside] < MOST_UNDER_WAY:
                first, last = watch.ask(missing, now_ns)
                under_way[source.topside] += last - first + 1
                asked.append((source, first, last))
        return asked

    def request_all(self, topside: str | None = None, *, again: bool = True) -> None:
        """Make everything that is missing, of one topside or of all, due at once.

        `again`: what is asked for already too, as after a lost connection.
        """
        for source, watch in self:
            if topside in {None, source.topside}:
                watch.request_all(again=again)

    def give_up(self, now_ns: int) -> list[LostOf]:
        """What was requested often enough without an answer, or whose process has ended; each once."""
        found = []
        for watches in self._streams.values():
            newest_ns = max(watch.heard_ns for watch in watches.values())
            for source, watch in watches.items():
                ended = newest_ns > watch.heard_ns and now_ns - watch.heard_ns > ENDED_NS
                lost = watch.end() if ended and source.instance_id else watch.give_up()
                found += [(source, each) for each in lost]
        return found

    def end(self) -> list[LostOf]:
        """Everything still missing is lost: the recording ends."""
        return [(source, lost) for source, watch in self for lost in watch.end()]


def gap_of(source: Source, lost: Lost, now: Reading) -> Gap:
    """The event that exchanges of a source are lost."""
    return Gap(
        vehicle=source.vehicle,
        topside=source.topside,
        at=utc_from_ns(now.realtime_ns),
        run=lost.run,
        instance_id=source.instance_id,
        from_seq=lost.first,
        to_seq=lost.last,
        before_origin_ns=lost.before_origin_ns,
    )
