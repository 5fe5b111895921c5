"""Results whose numbers are not to be relied on in any state: of two processes, or not understood."""

from __future__ import annotations

from typing import get_args

from schemas.messages import DUPLICATES, ErrorWord, OffsetResult

UNDOUBTED: tuple[ErrorWord, ...] = tuple(word for word in get_args(ErrorWord) if word not in DUPLICATES)
"""Errors beside which the numbers of a result hold."""
_FIGURES = (
    "offset_ms",
    "lower_ms",
    "upper_ms",
    "max_error_ms",
    "u95_ms",
    "precision_ms",
    "drift_ppm",
    "drift_error_ppm",
    "delay_min_ms",
)


def is_doubtful(error: str | None) -> bool:
    """Whether a result with this `error` is not to be relied on: of a duplicate, or of a later version."""
    return error is not None and error not in UNDOUBTED


def for_people(result: OffsetResult) -> OffsetResult:
    """`result` as it may be shown: without its numbers if they are in doubt, as they may be of two clocks."""
    if not is_doubtful(result.error):
        return result
    return result.model_copy(update=dict.fromkeys(_FIGURES) | {"conditional": False})
