"""Lines of `exchanges.jsonl` and `events.jsonl`, pure: written, recognised as whole, decoded."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from pydantic import ValidationError

from schemas.base import MAX_MESSAGE_BYTES, InvalidMessageError, Message
from schemas.events import LINE, EventLine
from schemas.exchange import Exchange, fault_of
from tidesync.sessions.frames import open_lines, parts_of
from topside_agent.estimator import Exchanges

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

Stream = tuple[str, str]
"""(vehicle, topside): whose exchanges make one track."""


class Source(NamedTuple):
    """Whose exchanges share one count of `seq`: a vehicle and a process of a topside."""

    vehicle: str
    topside: str
    instance_id: str | None
    """Of the process; null: not known, and then several that followed each other may share it."""


MOST_NAMED = 20
"""Malformed lines that are named; all are counted."""
_LONGEST = MAX_MESSAGE_BYTES + 2


@dataclass(slots=True)
class LineCounts:
    """How many lines of a journal are exchanges, and how many are not; malformed lines stay in the file."""

    valid: int = 0
    malformed: int = 0
    faults: list[str] = field(default_factory=list)
    """The first malformed lines, each with its number and what is wrong with it."""

    def refuse(self, fault: str) -> None:
        """Count a malformed line."""
        self.malformed += 1
        if self.malformed <= MOST_NAMED:
            self.faults.append(fault)

    @property
    def complaint(self) -> str:
        """How many lines are malformed, and what is wrong with the first."""
        lines = self.malformed + self.valid
        return f"{self.malformed} of {lines} lines of exchanges.jsonl are no exchanges ({self.faults[0]})"


@dataclass(slots=True)
class Journal(LineCounts):
    """All of a journal at once; `streams.read_streams` takes less memory."""

    exchanges: Exchanges = field(default_factory=lambda: Exchanges.of(()))
    """In the order of the file."""


def read_journal(lines: Iterable[bytes]) -> Journal:
    """Decode line by line; empty lines are skipped, malformed ones counted."""
    journal = Journal()
    journal.exchanges = Exchanges.of(each_exchange(lines, journal))
    return journal


def each_exchange(lines: Iterable[bytes], counts: LineCounts) -> Iterator[Exchange]:
    """The exchanges, one at a time; empty lines are skipped, the others counted in `counts`."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            exchange = Exchange.decode(line)
        except InvalidMessageError as error:
            counts.refuse(f"line {number}: {error}")
            continue
        if fault := fault_of(exchange):
            counts.refuse(f"line {number}: not a valid Exchange: {fault}")
            continue
        counts.valid += 1
        yield exchange


def lines_in(stream: BinaryIO) -> Iterator[bytes]:
    """The stream's lines; of one that is longer than any message only the beginning, so that it is malformed.

    Iterating over the stream would hold a line of any length.
    """
    while line := stream.readline(_LONGEST):
        rest = line
        while len(rest) == _LONGEST and not rest.endswith(b"\n"):
            rest = stream.readline(_LONGEST)
        yield line


def journal_lines(journal: Path, starts: Sequence[int] = (0, 0)) -> Iterator[bytes]:
    """The lines of its plain and its compressed file, from these bytes on; FileNotFoundError without both."""
    found = False
    for part, start in zip(parts_of(journal), starts, strict=True):
        with suppress(FileNotFoundError), open_lines(part, start) as stream:
            found = True
            yield from lines_in(stream)
    if not found:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(journal))


def source_of(exchange: Exchange) -> Source:
    """Whose count its `seq` belongs to."""
    return Source(exchange.vehicle, exchange.topside, exchange.instance_id)


def lines_of(messages: Iterable[Message]) -> bytes:
    """Each message's JSON and a newline: to be appended in one write."""
    return b"".join(message.encode() + b"\n" for message in messages)


def is_exchange(line: bytes) -> bool:
    """Whether a line is a whole exchange, so that at most its newline is missing."""
    try:
        Exchange.decode(line)
    except InvalidMessageError:
        return False
    return True


def decode_event(line: bytes) -> EventLine | None:
    """The event in a line, or None where it is none of ours: other tools may append theirs."""
    try:
        return LINE.validate_json(line)
    except ValidationError:
        return None


def is_event(line: bytes) -> bool:
    """Whether a line is a whole event, so that at most its newline is missing."""
    return decode_event(line) is not None
