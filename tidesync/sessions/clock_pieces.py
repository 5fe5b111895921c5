"""Pieces of clock histories, pure: gathered from messages or lines in any order, each number once."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from schemas.base import InvalidMessageError
from schemas.clock_history import ClockLine, ClockPiece
from tidesync.sessions.journal import MOST_NAMED

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
    _numbers: list[int] = field(default_factory=list)
    _pieces: dict[int, ClockPiece] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def pieces(self) -> list[tuple[int, ClockPiece]]:
        """Number and piece, in the order of the numbers."""
        return [(number, self._pieces[number]) for number in self._numbers]

    @property
    def first(self) -> tuple[int, ClockPiece] | None:
        """The piece of the lowest number."""
        return (self._numbers[0], self._pieces[self._numbers[0]]) if self._numbers else None

    @property
    def newest(self) -> tuple[int, ClockPiece] | None:
        """The piece of the highest number."""
        return (self._numbers[-1], self._pieces[self._numbers[-1]]) if self._numbers else None

    def reach_ns(self, number: int) -> int | None:
        """The machine's RAW at the end of the piece that has `number`, itself or merged into it."""
        holder = self._around(number, number)
        return None if holder is None else self._pieces[holder].to_raw_ns

    def add(self, number: int, piece: ClockPiece) -> bool:
        """Take a piece; returns whether it says more than is known."""
        last = end_number(number, piece)
        if last < number:
            return False
        if (around := self._around(number, last)) is not None:
            before = self._pieces[around]
            same = (around, self._end(around)) == (number, last)
            if not same or piece.to_raw_ns < before.to_raw_ns or piece == before:
                return False
            self._pieces[number] = piece
            return True
        inside = self._inside(number, last)
        if self._complete(inside, number, last) and piece.to_raw_ns <= self._pieces[inside[-1]].to_raw_ns:
            return False
        self._replace(inside, number, piece)
        return True

    def _around(self, number: int, last: int) -> int | None:
        """The known piece that has all these numbers."""
        index = bisect_right(self._numbers, number) - 1
        found = index >= 0 and self._end(self._numbers[index]) >= last
        return self._numbers[index] if found else None

    def _inside(self, number: int, last: int) -> list[int]:
        return self._numbers[bisect_left(self._numbers, number) : bisect_right(self._numbers, last)]

    def _complete(self, inside: list[int], number: int, last: int) -> bool:
        """Whether the known pieces have all these numbers, and nothing is uncovered between them."""
        if not inside or inside[0] != number or self._end(inside[-1]) != last:
            return False
        return all(self._joined(each, later) for each, later in pairwise(inside))

    def _joined(self, number: int, later: int) -> bool:
        ends_ns, begins_ns = self._pieces[number].to_raw_ns, self._pieces[later].from_raw_ns
        return self._end(number) + 1 == later and ends_ns >= begins_ns

    def _replace(self, inside: list[int], number: int, piece: ClockPiece) -> None:
        at = bisect_left(self._numbers, number)
        self._numbers[at : at + len(inside)] = [number]
        self.numbers += end_number(number, piece) - number + 1
        self.numbers -= sum(self._end(each) - each + 1 for each in inside)
        for each in inside:
            del self._pieces[each]
        self._pieces[number] = piece

    def _end(self, number: int) -> int:
        return end_number(number, self._pieces[number])


@dataclass(slots=True)
class ClockJournal:
    """The content of `clock.jsonl`; malformed lines stay in the file."""

    lines: list[ClockLine] = field(default_factory=list)
    """In the order of the file."""
    malformed: int = 0
    faults: list[str] = field(default_factory=list)
    """The first malformed lines, each with its number and what is wrong with it."""

    @property
    def complaint(self) -> str:
        """How many lines are malformed, and what is wrong with the first."""
        lines = self.malformed + len(self.lines)
        return f"{self.malformed} of {lines} lines of clock.jsonl are no pieces ({self.faults[0]})"

    def history(self, machine: Machine, name: str) -> dict[str, ClockPieces]:
        """The pieces of each process of a machine, by instance id, in the order of the file."""
        found: dict[str, ClockPieces] = {}
        for line in self.lines:
            if (line.machine, line.name) == (machine, name):
                found.setdefault(line.instance_id, ClockPieces(line.boot_id)).add(line.number, piece_of(line))
        return found


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
    journal.lines.extend(each_clock_line(lines, journal))
    return journal


def each_clock_line(lines: Iterable[bytes], journal: ClockJournal) -> Iterator[ClockLine]:
    """The pieces, one at a time; empty lines are skipped, malformed ones counted in `journal`."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield ClockLine.decode(line)
        except InvalidMessageError as error:
            journal.malformed += 1
            if journal.malformed <= MOST_NAMED:
                journal.faults.append(f"line {number}: {error}")


def is_clock_line(line: bytes) -> bool:
    """Whether a line is a whole piece, so that at most its newline is missing."""
    try:
        ClockLine.decode(line)
    except InvalidMessageError:
        return False
    return True
