"""A session whose clocks are simulated, with a table of 8 columns in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.estimators.traces import Trace, make_trace
from tidesync.sessions.correction.stamps.writing import iso_block
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.journal import lines_of

if TYPE_CHECKING:
    from pathlib import Path

FAMILIES = {"one pass": "clean", "two passes": "step_back_3s_reported"}
"""A clock that runs on is corrected in one pass; one that was set back by 3 s in the middle in two."""
DURATION_S = 3600.0
HEADER = b"timestamp,sensor_id,mode,value,TempC,Vin,depth,roll\n"
ROW_BYTES = 71
_AT_ONCE = 100_000


def make_session(session: Path, family: str, rows: int) -> Path:
    """Write it into `session`; the path of the table, whose rows are spread over the session's hour."""
    trace = make_trace(family, seed=1, duration_s=DURATION_S)
    SessionFolder(session).time_sync_path.mkdir(parents=True)
    SessionFolder(session).exchanges_path.write_bytes(lines_of(trace.exchanges))
    table = session / "in-water_1" / "session.csv"
    table.parent.mkdir()
    with table.open("wb") as file:
        file.write(HEADER)
        for begin in range(0, rows, _AT_ONCE):
            file.write(_rows(trace, np.arange(begin, min(begin + _AT_ONCE, rows)), rows))
    return table


def _rows(trace: Trace, numbers: np.ndarray, rows: int) -> bytes:
    """Rows of 71 bytes each: the Pi's time, and values of which each row has its own."""
    at_ns = trace.exchanges[0].origin_ns + numbers * (int(DURATION_S * 1e9 - 2e9) // rows)
    stamps = iso_block(at_ns + trace.truth_at(at_ns), fine=False)
    rest = np.frombuffer(b",A1,freerun,1.234567,20.12,12.05,12.34,0.12\n", dtype=np.uint8)
    made = np.concatenate([stamps, np.tile(rest, (numbers.size, 1))], axis=1)
    for place, digit in ((46, 1), (45, 10), (44, 100), (43, 1000)):
        made[:, place] = numbers // digit % 10 + ord("0")
    return made.tobytes()
