"""A table's timestamps: how they are written, read and written again, and how finely they resolve."""

from tidesync.sessions.correction.stamps.legacy import (
    EARLIEST_NS,
    LATEST_NS,
    NS_OF_UNIT,
    UNITS,
    Form,
    StampReader,
    StampWriter,
    milliseconds_up,
    stamp_arrays,
)

__all__ = [
    "EARLIEST_NS",
    "LATEST_NS",
    "NS_OF_UNIT",
    "UNITS",
    "Form",
    "StampReader",
    "StampWriter",
    "milliseconds_up",
    "stamp_arrays",
]
