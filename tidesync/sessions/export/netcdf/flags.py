"""The states of rows as QARTOD's flags, and as flags of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tidesync.sessions.correction.timeline import AMBIGUOUS, HOLDOVER, OK, OUTSIDE, STATES, UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_QARTOD = {1: "pass", 2: "not_evaluated", 3: "suspect", 4: "fail", 9: "missing_data"}
_STATE_OF_UNREADABLE = len(STATES)
_BY_STATE = {OK: 1, HOLDOVER: 3, AMBIGUOUS: 4, OUTSIDE: 4, UNREADABLE: 9}
REASONS = (
    "pass: ok, measured around it. suspect: holdover, nothing was measured around it, and the error has grown"
    " with time. fail: ambiguous, the clock may have shown this time more than once, or nobody knows when; or"
    " outside, no time within the greatest error that was asked for. missing_data: the row has no readable"
    " time."
)
_REFERENCE = "https://ioos.noaa.gov/project/qartod/ (QARTOD data flags)"


def qartod(states: NDArray[np.int8]) -> NDArray[np.int8]:
    """QARTOD's flag of each state (a place in STATES, or UNREADABLE)."""
    table = np.array([_BY_STATE[state] for state in (*range(len(STATES)), UNREADABLE)], dtype=np.int8)
    return table[numbered(states)]


def numbered(states: NDArray[np.int8]) -> NDArray[np.int8]:
    """The states as numbers from 0; the last one is that of an unreadable row."""
    return np.where(states == UNREADABLE, _STATE_OF_UNREADABLE, states).astype(np.int8)


def qartod_attributes(whose: str) -> Mapping[str, Any]:
    """Of a variable of QARTOD's flags."""
    return {
        "long_name": f"QARTOD flag of {whose}",
        "flag_values": np.array([*_QARTOD], dtype=np.int8),
        "flag_meanings": " ".join(_QARTOD.values()),
        "comment": REASONS,
        "references": _REFERENCE,
        "coverage_content_type": "qualityInformation",
    }


def state_attributes(whose: str) -> Mapping[str, Any]:
    """Of a variable of states."""
    return {
        "long_name": f"state of {whose}",
        "flag_values": np.arange(len(STATES) + 1, dtype=np.int8),
        "flag_meanings": " ".join((*STATES, "unreadable")),
        "coverage_content_type": "qualityInformation",
    }
