"""Ranges of missing numbers, pure: when to request them, and when they are lost.

Whoever counts what it sends counts without a gap, so a skipped number is a loss on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

FIRST_REQUEST_NS = 500_000_000
"""The sender may be about to publish what it could not while the network was away."""
REPEAT_REQUEST_NS = 2_000_000_000
MOST_REPEATS = 10
"""Requests unanswered by a sender that was heard meanwhile, until what is missing counts as lost."""
LARGEST_REQUEST = 1000
MOST_REQUESTS = 4
"""Requests at a time: a long outage comes back in portions."""
MOST_RANGES = 2000
"""Half an hour in which every other batch is lost makes 900. Numbers come from the network: of more ranges
the lowest, which a sender forgets first, count as lost."""


@dataclass(slots=True)
class MissingRange:
    """Missing numbers, both ends included; instants are the recorder's RAW."""

    first: int
    last: int
    before_ns: int
    """The stamp, by its sender's clock, of what showed that they are missing: they are from before it."""
    due_ns: int
    requests: int = 0
    requested_at_ns: int | None = None
    requested_from: int = 0
    lost: bool = False

    def __len__(self) -> int:
        return self.last - self.first + 1


class MissingRanges:
    """What is missing of one count, in ascending order; lost after `most_repeats` unanswered requests."""

    def __init__(self, most_repeats: int = MOST_REPEATS) -> None:
        self._most_repeats = most_repeats
        self._heard_ns = 0
        self._ranges: list[MissingRange] = []
        self._dropped: list[MissingRange] = []
        self._dropped_count = 0

    def __contains__(self, number: int) -> bool:
        return self.any_of(number, number)

    @property
    def state(self) -> list[tuple[int, int, int, bool]]:
        """First, last, the stamp before which they are missing, and whether they are lost."""
        return [(each.first, each.last, each.before_ns, each.lost) for each in self._ranges]

    def restore(self, state: Iterable[tuple[int, int, int, bool]], now_ns: int) -> None:
        """Have the ranges of a `state`; those that are not lost are due soon."""
        due_ns = now_ns + FIRST_REQUEST_NS
        self._ranges = [
            MissingRange(first, last, before_ns, due_ns, lost=lost) for first, last, before_ns, lost in state
        ]

    @property
    def count(self) -> int:
        """How many are missing, lost ones included."""
        return self._dropped_count + sum(map(len, self._ranges))

    @property
    def awaited(self) -> int:
        """How many are missing that may still come."""
        return sum(len(missing) for missing in self._ranges if not missing.lost)

    @property
    def waiting(self) -> bool:
        """Whether something is missing that may still come."""
        return any(not missing.lost for missing in self._ranges)

    def any_of(self, first: int, last: int) -> bool:
        """Whether one of the numbers from `first` to `last` is missing."""
        return any(missing.first <= last and first <= missing.last for missing in self._ranges)

    def hear(self, now_ns: int) -> None:
        """The sender is alive: a request that it does not answer counts."""
        self._heard_ns = now_ns

    def add(self, first: int, last: int, before_ns: int, now_ns: int) -> None:
        """These are missing; they do not overlap others that are."""
        self._ranges.append(MissingRange(first, last, before_ns, now_ns + FIRST_REQUEST_NS))
        self._ranges.sort(key=lambda missing: missing.first)
        if len(self._ranges) > MOST_RANGES:
            self._drop_lowest()

    def _drop_lowest(self) -> None:
        """The lowest is lost, and returned by the next `give_up` or `end`."""
        lowest = self._ranges.pop(0)
        self._dropped_count += len(lowest)
        if not lowest.lost:
            self._dropped.append(lowest)

    def fill(self, first: int, last: int, now_ns: int) -> None:
        """The numbers from `first` to `last` have come."""
        if self._ranges:
            self._ranges = [
                rest for missing in self._ranges for rest in _without(missing, first, last, now_ns)
            ]

    def requests(self, now_ns: int) -> list[tuple[int, int]]:
        """`(from, to)` to ask for now; counts them as requested.

        The newest come first: a sender forgets the oldest first, so those are the last to be given up.
        """
        if not self._ranges:
            return []
        due = [missing for missing in reversed(self._ranges) if missing.due_ns <= now_ns and not missing.lost]
        for missing in due[:MOST_REQUESTS]:
            self._note_request(missing, now_ns)
        return [(missing.requested_from, missing.last) for missing in due[:MOST_REQUESTS]]

    def request_all(self) -> None:
        """Make everything that is missing due at once.

        After a lost connection, requests and answers may be lost with it, so no request counts as unanswered.
        """
        for missing in self._ranges:
            missing.due_ns = missing.requests = 0

    def give_up(self) -> list[MissingRange]:
        """What was requested often enough without an answer; each is returned once."""
        if not self._ranges and not self._dropped:
            return []
        waiting = [missing for missing in self._ranges if not missing.lost]
        return self._lose([missing for missing in waiting if missing.requests > self._most_repeats])

    def end(self) -> list[MissingRange]:
        """Everything still missing is lost: the recording ends."""
        return self._lose([missing for missing in self._ranges if not missing.lost])

    def clear(self) -> None:
        """A new count begins."""
        self._ranges.clear()
        self._dropped_count = 0

    def _lose(self, ranges: list[MissingRange]) -> list[MissingRange]:
        dropped, self._dropped = self._dropped, []
        for missing in ranges:
            missing.lost = True
        return dropped + ranges

    def _note_request(self, missing: MissingRange, now_ns: int) -> None:
        # A silent sender has not refused: a request counts only if it was heard since the last one.
        if missing.requested_at_ns is None or self._heard_ns > missing.requested_at_ns:
            missing.requests += 1
        missing.requested_at_ns = now_ns
        missing.requested_from = max(missing.first, missing.last - LARGEST_REQUEST + 1)
        missing.due_ns = now_ns + REPEAT_REQUEST_NS


def _without(missing: MissingRange, first: int, last: int, now_ns: int) -> list[MissingRange]:
    """What is left of `missing` once `first` to `last` are recorded."""
    if last < missing.first or missing.last < first:
        return [missing]
    rest = ((missing.first, first - 1), (last + 1, missing.last))
    return [_narrowed(missing, start, end, now_ns) for start, end in rest if start <= end]


def _narrowed(missing: MissingRange, first: int, last: int, now_ns: int) -> MissingRange:
    rest = MissingRange(first, last, missing.before_ns, missing.due_ns, lost=missing.lost)
    if missing.requested_at_ns is None:
        return rest
    if last < missing.requested_from:  # the next portion
        rest.due_ns = now_ns
        return rest
    rest.requested_at_ns, rest.requested_from = missing.requested_at_ns, missing.requested_from
    rest.due_ns = now_ns + REPEAT_REQUEST_NS  # the answer is under way
    return rest
