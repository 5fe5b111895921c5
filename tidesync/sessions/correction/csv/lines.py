"""The lines of a block of bytes, as arrays.

A line ends with LF, with LF after any number of CRs, or with a CR that no LF follows: what the usual readers
take for a line end, and CR CR LF as one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from topside_agent.estimator.blocks import Integers

Bytes = NDArray[np.uint8]

_LF, _CR = 10, 13


class Lines(NamedTuple):
    """Where each line begins, where its text ends, and where the next line begins."""

    start: Integers
    end: Integers
    next: Integers

    @property
    def used(self) -> int:
        """How many bytes the lines have together."""
        return int(self.next[-1]) if self.next.size else 0


def lines_of(data: bytes, *, at_end: bool) -> Lines:
    """The lines of `data`; without `at_end` a last one whose end may not have been read is left out."""
    characters = np.frombuffer(data, dtype=np.uint8)
    end, following = _line_ends(data, characters, at_end=at_end)
    used = int(following[-1]) if following.size else 0
    if at_end and used < len(data):
        end, following = np.append(end, len(data)), np.append(following, len(data))
    start = np.concatenate([np.zeros(1, dtype=np.int64), following[:-1]])[: end.size]
    return Lines(start, end, following)


def _line_ends(data: bytes, characters: Bytes, *, at_end: bool) -> tuple[Integers, Integers]:
    """Of every line that ends: the end of its text, and the place after its line end."""
    feeds = np.flatnonzero(characters == _LF)
    returns = data.count(b"\r")
    if not returns:
        return feeds, feeds + 1
    if returns == feeds.size and feeds[0] and bool((characters[feeds - 1] == _CR).all()):
        return feeds - 1, feeds + 1
    return _with_returns(characters, at_end=at_end)


def _with_returns(characters: Bytes, *, at_end: bool) -> tuple[Integers, Integers]:
    """Runs of CRs end a line each where no LF follows them, and one line with it where it does."""
    place = np.flatnonzero((characters == _LF) | (characters == _CR))
    feed = characters[place] == _LF
    run_begins = np.concatenate([[True], (np.diff(place) != 1) | feed[:-1]])
    run = np.cumsum(run_begins) - 1
    last_of_run = np.append(np.flatnonzero(run_begins)[1:] - 1, place.size - 1)
    with_feed = feed[last_of_run]
    if not at_end and not with_feed[-1] and place[-1] == characters.size - 1:  # an LF may follow
        open_run = run == run[-1]
        place, run, run_begins, feed = (each[~open_run] for each in (place, run, run_begins, feed))
    end, following = place[run_begins | ~with_feed[run]], place[feed | ~with_feed[run]] + 1
    return end, following
