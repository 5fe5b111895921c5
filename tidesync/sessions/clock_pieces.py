"""Pieces of clock histories, pure: gathered from messages or lines in any order, each number once."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from schemas.base import InvalidMessageError
from schemas.clock_history import ClockLine, ClockPiece
from tidesync.sessions.journal import MOST_NAMED
from tidesync.sessions.piece_columns import PieceColumns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Machine = Literal["vehicle", "topside"]
Owner = tuple[Machine, str]
"""Whose clock: the kind of machine, and its name."""


@dataclass(slots=True)
class ClockPieces:
    """The pieces of one process, by number, without overlap.

    Of the versions of a piece the one that reaches furthest counts, of equal ones the last; a merged piece
    replaces those from its number to its `last`, unless they are all known and leave nothing uncovered. So
    neither the order of arrival nor a redelivered older version loses anything.
    """

    boot_id: str
    numbers: int = 0
    """How many numbers the pieces have, merged ones included."""
    columns: PieceColumns = field(default_factory=PieceColumns)
    """The pieces, in the order of their numbers."""
    _numbers: array[int] = field(default_factory=lambda: array("q"))

    def __len__(self) -> int:
        return len(self._numbers)

    @classmethod
    def restored(cls, boot_id: str, numbers: array[int], columns: PieceColumns) -> ClockPieces:
        """Pieces with these numbers, as `parts` had them."""
        made = cls(boot_id, columns=columns, _numbers=numbers)
        made.numbers = sum(made._end(place) - number + 1 for place, number in enumerate(numbers))
        return made

    def parts(self) -> tuple[memoryview[int], memoryview[int]]:
        """The numbers, eight bytes each, and the data of `columns`."""
        return memoryview(self._numbers).cast("B"), memoryview(self.columns.data)

    @property
    def pieces(self) -> list[tuple[int, ClockPiece]]:
        """Number and piece, in the order of the numbers."""
        return list(zip(self._numbers, self.columns, strict=True))

    @property
    def first(self) -> tuple[int, ClockPiece] | None:
        """The piece of the lowest number."""
        return (self._numbers[0], self.columns[0]) if self._numbers else None

    @property
    def newest(self) -> tuple[int, ClockPiece] | None:
        """The piece of the highest number."""
        return (self._numbers[-1], self.columns[-1]) if self._numbers else None

    def reach_ns(self, number: int) -> int | None:
        """The machine's RAW at the end of the piece that has `number`, itself or merged into it."""
        place = self._around(number, number)
        return None if place is None else self.columns[place].to_raw_ns

    def add(self, number: int, piece: ClockPiece) -> bool:
        """Take a piece; returns whether it says more than is known."""
        last = end_number(number, piece)
        if last < number:
            return False
        if (around := self._around(number, last)) is not None:
            before = self.columns[around]
            same = (self._numbers[around], self._end(around)) == (number, last)
            if not same or piece.to_raw_ns < before.to_raw_ns or piece == before:
                return False
            self.columns.put(around, around + 1, [piece])
            return True
        inside = self._inside(number, last)
        if self._complete(inside, number, last) and piece.to_raw_ns <= self.columns[inside[-1]].to_raw_ns:
            return False
        self._replace(inside, number, piece)
        return True

    def _around(self, number: int, last: int) -> int | None:
        """The place of the known piece that has all these numbers."""
        place = bisect_right(self._numbers, number) - 1
        return place if place >= 0 and self._end(place) >= last else None

    def _inside(self, number: int, last: int) -> range:
        """The places of the known pieces with one of these numbers."""
        return range(bisect_left(self._numbers, number), bisect_right(self._numbers, last))

    def _complete(self, inside: range, number: int, last: int) -> bool:
        """Whether the known pieces have all these numbers, and nothing is uncovered between them."""
        if not inside or self._numbers[inside[0]] != number or self._end(inside[-1]) != last:
            return False
        return all(self._joined(place) for place in inside[:-1])

    def _joined(self, place: int) -> bool:
        """Whether the piece after this one continues it."""
        ends_ns, begins_ns = self.columns[place].to_raw_ns, self.columns[place + 1].from_raw_ns
        return self._end(place) + 1 == self._numbers[place + 1] and ends_ns >= begins_ns

    def _replace(self, inside: range, number: int, piece: ClockPiece) -> None:
        self.numbers += end_number(number, piece) - number + 1
        self.numbers -= sum(self._end(place) - self._numbers[place] + 1 for place in inside)
        self._numbers[inside.start : inside.stop] = array("q", [number])
        self.columns.put(inside.start, inside.stop, [piece])

    def _end(self, place: int) -> int:
        last = self.columns.last(place)
        return self._numbers[place] if last is None else last


@dataclass(slots=True)
class ClockJournal:
    """The content of `clock.jsonl`; malformed lines stay in the file."""

    histories: dict[Owner, dict[str, ClockPieces]] = field(default_factory=dict)
    """The pieces of each process of each machine, by instance id, in the order of the file."""
    sound: int = 0
    """Lines that are pieces."""
    malformed: int = 0
    faults: list[str] = field(default_factory=list)
    """The first malformed lines, each with its number and what is wrong with it."""

    @property
    def complaint(self) -> str:
        """How many lines are malformed, and what is wrong with the first."""
        lines = self.malformed + self.sound
        return f"{self.malformed} of {lines} lines of clock.jsonl are no pieces ({self.faults[0]})"

    def add(self, line: ClockLine) -> None:
        """Take the piece of a line."""
        processes = self.histories.setdefault((line.machine, line.name), {})
        pieces = processes.setdefault(line.instance_id, ClockPieces(line.boot_id))
        pieces.add(line.number, piece_of(line))


def end_number(number: int, piece: ClockPiece) -> int:
    """The number of the last piece that was merged into this one, or its own."""
    return number if piece.last is None else piece.last


def piece_of(line: ClockLine) -> ClockPiece:
    """The piece in a line."""
    return ClockPiece.model_construct(**{name: getattr(line, name) for name in ClockPiece.model_fields})


def line_of(owner: Owner, boot_id: str, instance_id: str, number: int, piece: ClockPiece) -> ClockLine:
    """The line of a piece."""
    machine, name = owner
    return ClockLine(
        **piece.model_dump(),
        machine=machine,
        name=name,
        boot_id=boot_id,
        instance_id=instance_id,
        number=number,
    )


def read_clock_journal(lines: Iterable[bytes]) -> ClockJournal:
    """Decode line by line; empty lines are skipped, malformed ones counted."""
    journal = ClockJournal()
    for line in each_clock_line(lines, journal):
        journal.add(line)
    return journal


def each_clock_line(lines: Iterable[bytes], journal: ClockJournal) -> Iterator[ClockLine]:
    """The pieces, one at a time; empty lines are skipped, malformed ones counted in `journal`."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            decoded = ClockLine.decode(line)
        except InvalidMessageError as error:
            journal.malformed += 1
            if journal.malformed <= MOST_NAMED:
                journal.faults.append(f"line {number}: {error}")
        else:
            journal.sound += 1
            yield decoded


def is_clock_line(line: bytes) -> bool:
    """Whether a line is a whole piece, so that at most its newline is missing."""
    try:
        ClockLine.decode(line)
    except InvalidMessageError:
        return False
    return True
