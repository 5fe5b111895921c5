"""Publishes a machine's clock history as it grows, and again on request; used in the network thread alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from schemas.clock_history import MAX_PIECES, ClockLine, ClockPiece, ClockResendCommand

if TYPE_CHECKING:
    from broker.interface import Outgoing
    from runtime.clock_journal import ClockJournal

MOVING_EVERY_NS = 1_000_000_000
RESTING_EVERY_NS = 10_000_000_000
"""The open piece is published again after so long at rest; the journal is written no more often."""
_AT_ONCE = 20 * MAX_PIECES
"""Pieces published or written at a time, at most: a day of them would hold up the exchanges."""

Numbered = tuple[int, ClockPiece]
MakeMessage = Callable[[str, str, int, tuple[ClockPiece, ...]], "Outgoing"]
"""From boot id, instance id, first number and consecutive pieces."""


class PieceSource(Protocol):
    """Keeps the pieces of this process's history, as `runtime.clock_watch.ClockWatcher`; for any thread."""

    @property
    def is_moving(self) -> bool:
        """Whether the clock is slewed, or was a moment ago."""

    @property
    def number(self) -> int:
        """The number of the open piece; −1 before the first."""

    def pieces(self, first: int, last: int) -> list[Numbered]:
        """The pieces that hold the numbers `first` to `last`, both included; the last may be the open one."""


class ClockPublisher:
    """Decides which pieces go out, and when; those of a time without a broker follow when it is back."""

    def __init__(
        self,
        machine: Literal["vehicle", "topside"],
        name: str,
        *,
        boot_id: str,
        instance_id: str,
        source: PieceSource,
        make: MakeMessage,
        send: Callable[..., bool],
        journal: ClockJournal,
    ) -> None:
        self._machine, self._name = machine, name
        self._boot_id, self._instance_id = boot_id, instance_id
        self._source, self._make, self._send, self._journal = source, make, send, journal
        self._publish_from = 0
        """The number of the piece that was open when the last one was published."""
        self._write_from = 0
        self._urgent = True
        self._published_ns = self._written_ns = 0

    def hurry(self) -> None:
        """The clock was set, or the machine slept: publish at once."""
        self._urgent = True

    def tick(self, now_raw_ns: int, *, connected: bool) -> None:
        """Publish and write what is due at RAW `now_raw_ns`."""
        if connected and self._due(now_raw_ns):
            self._publish(now_raw_ns)
        if now_raw_ns - self._written_ns >= RESTING_EVERY_NS:
            self.write(now_raw_ns)

    def write(self, now_raw_ns: int) -> None:
        """Write to the journal what is not in it."""
        self._written_ns = now_raw_ns
        pieces = self._source.pieces(self._write_from, self._write_from + _AT_ONCE)
        self._journal.append([self._line(number, piece) for number, piece in pieces])
        self._write_from = pieces[-1][0] if pieces else self._write_from

    def resend(self, command: ClockResendCommand) -> None:
        """Publish what is known of the pieces that `command` asks for, of this process or one before it.

        Where nothing is, the open piece is published: whoever asks learns that the machine has not got them.
        """
        first, last = command.from_number, min(command.to_number, command.from_number + _AT_ONCE)
        if command.instance_id == self._instance_id:
            boot_id, pieces = self._boot_id, self._source.pieces(first, last)
        else:
            boot_id, found = self._journal.earlier(command.instance_id) or ("", [])
            pieces = [(n, one) for n, one in found if n <= last and _last(n, one) >= first]
        self._urgent |= not pieces
        for message in self._messages(boot_id, command.instance_id, pieces):
            self._send(message)

    def _due(self, now_raw_ns: int) -> bool:
        moving = self._source.is_moving or self._source.number > self._publish_from
        every_ns = MOVING_EVERY_NS if moving else RESTING_EVERY_NS
        return self._urgent or now_raw_ns - self._published_ns >= every_ns

    def _publish(self, now_raw_ns: int) -> None:
        pieces = self._source.pieces(self._publish_from, self._publish_from + _AT_ONCE)
        for message in self._messages(self._boot_id, self._instance_id, pieces):
            if not self._send(message):
                return
        self._published_ns = now_raw_ns
        self._publish_from = pieces[-1][0] if pieces else self._publish_from
        self._urgent = not pieces or self._publish_from < self._source.number

    def _messages(self, boot_id: str, instance_id: str, pieces: Sequence[Numbered]) -> Iterator[Outgoing]:
        for run in _runs(pieces):
            yield self._make(boot_id, instance_id, run[0][0], tuple(piece for _, piece in run))

    def _line(self, number: int, piece: ClockPiece) -> ClockLine:
        return ClockLine(
            machine=self._machine,
            name=self._name,
            boot_id=self._boot_id,
            instance_id=self._instance_id,
            number=number,
            **{field: getattr(piece, field) for field in ClockPiece.model_fields},
        )


def _runs(pieces: Sequence[Numbered]) -> Iterator[list[Numbered]]:
    """Pieces whose numbers follow each other, at most a message's worth."""
    run: list[Numbered] = []
    for number, piece in pieces:
        if run and (number != _last(*run[-1]) + 1 or len(run) == MAX_PIECES):
            yield run
            run = []
        run.append((number, piece))
    if run:
        yield run


def _last(number: int, piece: ClockPiece) -> int:
    return number if piece.last is None else piece.last
