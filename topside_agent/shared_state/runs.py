"""The entries that are kept, in runs of the vehicle's clock, and the times of it that have none; pure."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from topside_agent.shared_state.layout import KEPT, PASSED, SPANS, Entry, Span

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_SPANS = SPANS - 8
"""The others are for cuts whose entries may still change."""


class Runs:
    """Within a run the vehicle's clock only rose; a cut ends it."""

    def __init__(self) -> None:
        self.run = 0
        """The number of the run that goes on."""
        self.following = 0
        """The number of the next entry."""
        self._kept: deque[Entry] = deque()
        self.spans: list[Span] = []
        """Times that the clock may have shown otherwise than the entries show; the oldest are merged."""

    @property
    def first(self) -> int:
        """The number of the oldest entry that is kept."""
        return self.following - len(self._kept)

    def clear(self) -> None:
        """Nothing is known of before."""
        self._kept.clear()
        self.spans.clear()
        self.run += 1

    def keep(self, entry: Entry) -> Entry:
        """Add the next entry of the run, and return it with its number."""
        entry = entry._replace(number=self.following, run=self.run)
        self._kept.append(entry)
        self.following += 1
        if len(self._kept) > KEPT:
            self._passed(self._kept.popleft())
        return entry

    def cut(self, doubts: Iterable[Span]) -> None:
        """End the run; `doubts` are the times that may have been shown meanwhile."""
        self.run += 1
        self.doubt(doubts)

    def doubt(self, doubts: Iterable[Span]) -> None:
        """Times that may have been shown, and no entry says when."""
        for span in doubts:
            self._add(span)

    def _passed(self, gone: Entry) -> None:
        """An entry is no longer kept, but the clock showed those times."""
        for place, span in enumerate(self.spans):
            if span.kind == PASSED and span.from_ns <= gone.from_ns <= span.to_ns <= gone.to_ns:
                self.spans[place] = span._replace(to_ns=gone.to_ns)
                return
        self._add(Span(gone.from_ns, gone.to_ns, PASSED))

    def _add(self, span: Span) -> None:
        self.spans = merged([*self.spans, span], _MOST_SPANS)


def merged(spans: list[Span], most: int) -> list[Span]:
    """At most so many, which cover the same times: the oldest are one."""
    while len(spans) > most:
        one, other, *rest = spans
        low, high = min(one.from_ns, other.from_ns), max(one.to_ns, other.to_ns)
        spans = [Span(low, high, max(one.kind, other.kind)), *rest]
    return spans
