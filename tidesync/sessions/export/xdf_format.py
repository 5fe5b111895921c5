"""The clock-offset pairs of XDF as JSON: what pyxdf calls `clock_times` and `clock_values`.

pyxdf looks for resets itself, and takes a step without a pause for noise: so the segments are named, and a
fit is to be made within each (docs/correction.md has an example).
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import BinaryIO

from tidesync.sessions.export.fields import ERROR, Tracks
from topside_agent.estimator import Rows

XDF_SIGN = (
    "LSL's sign, the opposite of ours: offset_s = topside - Pi, to be added to the Pi's timestamps;"
    " time_s is the Pi's clock when it held"
)
_SEGMENTS = (
    "clock_segments: first and last index (inclusive) of the pairs between two clock steps, suspends or"
    " reboots; fit each by itself, a line across two is wrong on both sides"
)
_PRECISION = "seconds since the Unix epoch; a 64-bit float holds them to 0.24 us"


def write_xdf_offsets(tracks: Tracks, stream: BinaryIO) -> None:
    """Write the pairs of each track, s, with the max error of each.

    Ambiguous rows are left out: a fit would take them for valid ones.
    """
    document = {
        "format": "xdf-offsets",
        "sign": XDF_SIGN,
        "error": f"max_error_s bounds each offset; {ERROR}",
        "units": _PRECISION,
        "segments": _SEGMENTS,
    }
    stream.write(json.dumps(document).encode()[:-1] + b', "streams": [')
    for number, ((vehicle, topside), rows) in enumerate(tracks):
        pairs = {"vehicle": vehicle, "topside": topside, **_pairs(Rows.of(rows).in_states("ok"))}
        del rows
        stream.write(b", " * bool(number) + json.dumps(pairs).encode())
        del pairs
    stream.write(b"]}\n")


def _pairs(rows: Rows) -> dict[str, list[float] | list[int] | list[list[int]]]:
    segments = rows.column("segment").tolist()
    begins = [index for index, number in enumerate(segments) if not index or number != segments[index - 1]]
    return {
        "clock_times": [row.pi_unix_ns / 1e9 for row in rows],
        "clock_values": [-row.offset_ns / 1e9 for row in rows],
        "max_error_s": [row.max_error_ns / 1e9 for row in rows],
        "segments": segments,
        "clock_segments": [[begin, end - 1] for begin, end in pairwise([*begins, len(rows)])],
    }
