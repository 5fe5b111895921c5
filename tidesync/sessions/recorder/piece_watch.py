"""The pieces of one process, pure: what was skipped, what is older than the first heard, what to ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from schemas.base import Message
from schemas.exchange import Identifier
from tidesync.sessions.clock_pieces import ClockPieces, Machine, end_number
from tidesync.sessions.recorder.missing_ranges import LARGEST_REQUEST, MissingRanges

if TYPE_CHECKING:
    from schemas.clock_history import ClockPiece
    from tidesync.sessions.clock_pieces import Owner

LAST_NUMBER = 2**53
"""Asked for up to this: whatever there is."""
_FEWEST_EARLIER = 16
_MOST_REPEATS_OF_NEWEST = 3
"""A process that has ended may have left no journal: its successor then answers nothing."""
_MARGIN_NS = 2_000_000_000
_RATE_SHARE = 10
"""A tenth: the rates of two RAW clocks differ by less."""


class PieceWatchState(Message):
    """A watch as an index keeps it, and whose it is; its pieces, so many, are apart."""

    machine: Machine
    name: str
    instance_id: Identifier
    boot_id: Identifier
    pieces: Annotated[int, Field(ge=0)]
    next: int
    missing: list[tuple[int, int, int, bool]]
    """First, last, the stamp before which they are missing, and whether they are lost."""


class PieceWatch:
    """Follows the pieces of one process: what was skipped, and what is older than the first one heard."""

    def __init__(self, boot_id: str) -> None:
        self.pieces = ClockPieces(boot_id)
        self.heard_ns: int | None = None
        self._next = 0
        self._missing = MissingRanges()
        self._newest = MissingRanges(_MOST_REPEATS_OF_NEWEST)
        self._earlier = _FEWEST_EARLIER

    @classmethod
    def restored(cls, state: PieceWatchState, pieces: ClockPieces, now_ns: int) -> PieceWatch:
        """A watch that goes on from `state`: what was missing then is due soon."""
        watch = cls(state.boot_id)
        watch.pieces, watch._next = pieces, state.next
        watch._missing.restore(state.missing, now_ns)
        return watch

    def state(self, owner: Owner, instance_id: str) -> PieceWatchState:
        """What `restored` goes on from."""
        machine, name = owner
        return PieceWatchState(
            machine=machine,
            name=name,
            instance_id=instance_id,
            boot_id=self.pieces.boot_id,
            pieces=len(self.pieces),
            next=self._next,
            missing=self._missing.state,
        )

    @property
    def missing(self) -> int:
        """Numbers skipped since the first that is recorded, lost ones included."""
        first = self.pieces.first
        return 0 if first is None else max(0, self._next - first[0] - self.pieces.numbers)

    @property
    def newest(self) -> int:
        """The number of the newest piece, -1 before the first."""
        newest = self.pieces.newest
        return -1 if newest is None else newest[0]

    @property
    def waiting(self) -> bool:
        """Whether something is missing that may still come."""
        return self._missing.waiting or self._newest.waiting

    def reaches(self, raw_ns: int) -> bool:
        """Whether the newest piece ends at `raw_ns` of the machine or later."""
        newest = self.pieces.newest
        return newest is not None and newest[1].to_raw_ns >= raw_ns

    def hear(self, now_ns: int) -> None:
        """The machine is alive: a request that it does not answer counts."""
        self._missing.hear(now_ns)
        self._newest.hear(now_ns)

    def take(self, number: int, piece: ClockPiece, now_ns: int, *, follows: bool = False) -> bool:
        """Take a piece; returns whether it is to be written.

        `follows`: the one before it has come in the same message, so that it is as long as it will be.
        """
        last, first, newest = end_number(number, piece), self.pieces.first, self.pieces.newest
        if first is None or newest is None:
            self._next = number
        elif last + 1 < first[0] and not self._missing.any_of(number, last):
            return False  # from long before the session: someone else has asked for it
        elif number >= self._next:
            self._note_skipped(newest, number, piece, now_ns, follows=follows)
        new = self.pieces.add(number, piece)
        if (self.pieces.reach_ns(last) or 0) <= piece.to_raw_ns:  # else an older version of a longer piece
            self._next = max(self._next, last + 1)
            self._missing.fill(number, last, now_ns)
        return new

    def reach_back(self, elapsed_ns: int, now_ns: int) -> None:
        """Look for pieces before the first one, until they cover the last `elapsed_ns` of the history.

        The machine's RAW then is not known: it is reckoned from the newest piece, too early rather than too
        late, which costs some lines and no row. It would be too late if the machine's RAW ran slow by more
        than a tenth against the recorder's clock.
        """
        first, newest = self.pieces.first, self.pieces.newest
        if first is None or newest is None:
            return
        wanted_ns = newest[1].to_raw_ns - elapsed_ns - elapsed_ns // _RATE_SHARE - _MARGIN_NS
        number, piece = first
        if number == 0 or piece.from_raw_ns <= wanted_ns or self._missing.any_of(0, number - 1):
            return
        self._missing.add(max(0, number - self._earlier), number - 1, piece.from_raw_ns, now_ns)
        self._earlier = min(2 * self._earlier, LARGEST_REQUEST)

    def ask_newest(self, now_ns: int) -> None:
        """Ask for the newest piece as it is now, and for what has followed it."""
        newest = self.pieces.newest
        if newest is None:
            return
        self._newest.clear()
        self._newest.add(newest[0], newest[0], newest[1].to_raw_ns, now_ns)
        self._newest.request_all()

    def answered(self) -> int | None:
        """Something has come since `ask_newest`; returns the number that was the newest, None if none was."""
        asked = self.newest if self._newest.count else None
        self._newest.clear()
        return asked

    def request_all(self) -> None:
        """Make everything that is missing due at once."""
        self._missing.request_all()

    def requests(self, now_ns: int) -> list[tuple[int, int]]:
        """`(from, to)` to ask for now; counts them as requested."""
        newest = [(first, LAST_NUMBER) for first, _ in self._newest.requests(now_ns)]
        return self._missing.requests(now_ns) + newest

    def give_up(self) -> list[tuple[int, int]]:
        """`(from, to)` of what cannot be had; each is returned once."""
        self._newest.give_up()
        return [(lost.first, lost.last) for lost in self._missing.give_up()]

    def end(self) -> list[tuple[int, int]]:
        """Everything still missing is lost: the recording ends."""
        self._newest.clear()
        return [(lost.first, lost.last) for lost in self._missing.end()]

    def _note_skipped(
        self, newest: tuple[int, ClockPiece], number: int, piece: ClockPiece, now_ns: int, *, follows: bool
    ) -> None:
        """What lies between the newest piece and this one; the newest too, if it may have grown since."""
        grown = not follows and newest[1].to_raw_ns < piece.from_raw_ns
        skipped_from = newest[0] if grown else self._next
        if skipped_from < number:
            self._missing.add(skipped_from, number - 1, piece.from_raw_ns, now_ns)
