"""A vehicle's place in topside's shared file, decoded: which interval of topside's time a stamp was."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from topside_agent.shared_state import layout
from topside_agent.shared_state.layout import DOUBT, OK, Entry, Head

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterable, Sequence

_STATES = ("ok", "conditional")
_sequence = layout.SEQUENCE.unpack_from


class Interval(NamedTuple):
    """Topside's time, Unix ns in UTC, when the vehicle's clock showed a stamp: from `lower_ns` to `upper_ns`.

    `state`: `ok`; `conditional`, where the vehicle's clock is known by its readings alone; `ambiguous`,
    where it may have shown the stamp several times or near a step, and `outside`, where nothing is known:
    then both are None.
    """

    lower_ns: int | None
    upper_ns: int | None
    state: str


_AMBIGUOUS, _OUTSIDE = Interval(None, None, "ambiguous"), Interval(None, None, "outside")


class _Run(NamedTuple):
    """Entries over which the clock only rose, in their order."""

    number: int
    low_ns: int
    high_ns: int
    starts: Sequence[int]
    entries: Sequence[tuple[int, int, int, float, int, int, int]]
    """from, to, difference at the beginning, its slope, half width, reach, kind."""
    reach_ns: int

    def with_entries(self, added: Sequence[Entry]) -> _Run:
        """The same and these after them."""
        reach = max(self.reach_ns, *(entry.reach_ns for entry in added))
        return _Run(
            self.number,
            min(self.low_ns, added[0].from_ns - reach),
            max(self.high_ns, added[-1].to_ns + reach),
            [*self.starts, *(entry.from_ns for entry in added)],
            [*self.entries, *map(_line, added)],
            reach,
        )

    def interval(self, stamp_ns: int) -> Interval:
        """Of a stamp between its ends: the hull of all entries that may hold it."""
        entries, reach = self.entries, self.reach_ns
        place = bisect_right(self.starts, stamp_ns) - 1
        if place >= 0:  # nearly always far from its ends
            from_ns, to_ns, difference, slope, half, _, kind = entries[place]
            if from_ns + reach < stamp_ns < to_ns - reach:
                centre = stamp_ns + difference + int((stamp_ns - from_ns) * slope)
                return Interval(centre - half, centre + half, _STATES[kind])
        first = max(place, 0)
        while first > 0 and entries[first - 1][1] + reach >= stamp_ns:
            first -= 1
        last = place + 1
        while last < len(entries) and entries[last][0] - reach <= stamp_ns:
            last += 1
        lower, upper, worst = None, None, OK
        for from_ns, to_ns, difference, slope, half, near, kind in entries[first:last]:
            if from_ns - near <= stamp_ns <= to_ns + near:
                centre = stamp_ns + difference + int((stamp_ns - from_ns) * slope)
                lower = centre - half if lower is None else min(lower, centre - half)
                upper = centre + half if upper is None else max(upper, centre + half)
                worst = max(worst, kind)
        return _OUTSIDE if lower is None else Interval(lower, upper, _STATES[worst])


def _line(entry: Entry) -> tuple[int, int, int, float, int, int, int]:
    slope = (entry.last_ns - entry.first_ns) / max(entry.to_ns - entry.from_ns, 1)
    return (entry.from_ns, entry.to_ns, entry.first_ns, slope, entry.half_ns, entry.reach_ns, entry.kind)


class _Known(NamedTuple):
    """What a head of a vehicle says, decoded; never changed, so that threads need no lock."""

    sequence: int
    written_ns: int
    following: int
    settled: tuple[_Run, ...]
    runs: tuple[_Run, ...]
    """With the tail."""
    spans: tuple[layout.Span, ...]

    def interval(self, stamp_ns: int) -> Interval:
        """Of any stamp."""
        found, passed = None, False
        for low, high, kind in self.spans:
            if low <= stamp_ns <= high:
                if kind == DOUBT:
                    return _AMBIGUOUS
                passed = True
        for run in self.runs:
            if run.low_ns <= stamp_ns <= run.high_ns:
                if found is not None or passed:
                    return _AMBIGUOUS
                found = run
        return _OUTSIDE if found is None else found.interval(stamp_ns)


def _grown(runs: tuple[_Run, ...], entries: Iterable[Entry]) -> tuple[_Run, ...]:
    """The runs with these entries after them."""
    by_run: dict[int, list[Entry]] = {}
    for entry in entries:
        by_run.setdefault(entry.run, []).append(entry)
    found = {run.number: run for run in runs}
    for number, added in by_run.items():
        run = found.get(number) or _Run(number, layout.EVER_NS, -layout.EVER_NS, (), (), 0)
        found[number] = run.with_entries(added)
    return tuple(found.values())


def _without(runs: tuple[_Run, ...], surplus: int) -> tuple[_Run, ...]:
    """The runs without their oldest entries."""
    found = []
    for run in runs:
        gone, surplus = min(surplus, len(run.entries)), surplus - min(surplus, len(run.entries))
        if gone < len(run.entries):
            low = run.low_ns if not gone else run.starts[gone]
            found.append(run._replace(low_ns=low, starts=run.starts[gone:], entries=run.entries[gone:]))
    return tuple(found)


class Place:
    """A vehicle's place in the mapped file."""

    def __init__(self, memory: mmap.mmap, index: int) -> None:
        self._memory, self._index = memory, index
        self._begin = layout.place_of(index)
        self._other = self._begin
        """Where the next head will be."""
        self.known = _Known(-1, -layout.EVER_NS, 0, (), (), ())

    def changed(self) -> bool:
        """Whether topside has begun to write a newer head."""
        return bool(_sequence(self._memory, self._other)[0] > self.known.sequence)

    def load(self) -> None:
        """Decode the newest whole head; what is torn is left for the next call."""
        heads = [self._head(number) for number in (0, 1)]
        head = max((each for each in heads if each), key=lambda each: each.sequence, default=None)
        known = self.known
        if head is None or head.sequence <= known.sequence:
            return
        if head.following < known.following:  # the vehicle was forgotten, and is measured again
            known = known._replace(following=0, settled=())
        entries = []
        for number in range(max(known.following, head.first), head.following):
            begin = layout.entry_at(self._index, number)
            entry = layout.decode_entry(self._memory[begin : begin + layout.ENTRY_BYTES])
            if entry is None or entry.number != number:
                return
            entries.append(entry)
        settled = _grown(known.settled, entries)
        surplus = sum(len(run.entries) for run in settled) - (head.following - head.first)
        settled = _without(settled, surplus) if surplus > 0 else settled
        runs = _grown(settled, head.tail)
        self.known = _Known(head.sequence, head.written_ns, head.following, settled, runs, head.spans)
        self._other = self._begin + (head.sequence + 1) % 2 * layout.HEAD_BYTES

    def _head(self, number: int) -> Head | None:
        begin = self._begin + number * layout.HEAD_BYTES
        return layout.decode_head(self._memory[begin : begin + layout.HEAD_BYTES])


def place_of(memory: mmap.mmap, vehicle: str) -> Place | None:
    """The vehicle's place in a mapped file; None where it has none."""
    if not vehicle.isascii() or not vehicle.isprintable():  # no vehicle has such a name
        return None
    wanted = layout.encode_name(vehicle)
    for index in range(layout.PLACES):
        begin = layout.DIRECTORY + index * layout.NAME_BYTES
        if memory[begin : begin + layout.NAME_BYTES] == wanted:
            place = Place(memory, index)
            place.load()
            return place
    return None
