"""What a session's journal has, counted by its lines and not by the recorder."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.journal import LineCounts, each_exchange, journal_lines, source_of

if TYPE_CHECKING:
    from pathlib import Path

    from tidesync.sessions.journal import Source


class Counted(NamedTuple):
    """Lines of exchanges, numbers between the first and last of a source that none has, and gap events."""

    recorded: int
    skipped: int
    gaps: int


def counted(session: Path) -> Counted:
    """Count them; a line that is no exchange counts too, as is one number that two lines have."""
    folder, counts = SessionFolder(session), LineCounts()
    numbers: dict[Source, list[int]] = {}
    for exchange in each_exchange(journal_lines(folder.exchanges_path), counts):
        numbers.setdefault(source_of(exchange), []).append(exchange.seq)
    wrong = counts.malformed
    for seqs in numbers.values():
        once = set(seqs)
        wrong += max(once) - min(once) + 1 - len(once) + len(seqs) - len(once)
    return Counted(counts.valid, wrong, sum(event.kind == "gap" for event in folder.each_event()))
