"""`python -m bench.correction [MB …]`: peak memory and time of `tidesync correct`, one process per size.

The session is a simulated hour at 4 exchanges a second with a step of −3 s in its middle, so that each table
is read twice. Sizes are those of the input in MB; the peak is the process's (ru_maxrss), track included.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from bench.estimators.traces import Trace, make_trace
from schemas.instants import iso_from_ns
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.journal import lines_of

FAMILY = "step_back_3s_reported"
DURATION_S = 3600.0
SIZES_MB = (10, 100, 1000)


def main(sizes_mb: list[int]) -> None:
    trace = make_trace(FAMILY, seed=1, duration_s=DURATION_S)
    print("| table | peak memory | time | rate |\n|---|---|---|---|")
    for size_mb in sizes_mb:
        with tempfile.TemporaryDirectory() as folder:
            session = Path(folder)
            make_session(session, trace, size_mb * 1_000_000)
            peak_mb, took_s = corrected(session)
        print(
            f"| {size_mb} MB | {peak_mb:.0f} MB | {took_s:.1f} s | {size_mb / took_s:.1f} MB/s |", flush=True
        )


def make_session(session: Path, trace: Trace, size: int) -> None:
    SessionFolder(session).time_sync_path.mkdir()
    SessionFolder(session).exchanges_path.write_bytes(lines_of(trace.exchanges))
    table = session / "in-water_1" / "session.csv"
    table.parent.mkdir()
    row = ",A1,freerun,1.234567,20.12,12.05\n"
    rows = size // (len(row) + 27)
    start_ns = trace.exchanges[0].origin_ns
    with table.open("w") as file:
        file.write("timestamp,sensor_id,mode,value,TempC,Vin\n")
        for number in range(rows):
            at_ns = start_ns + number * int(DURATION_S * 1e9) // rows
            offset_ns = 123_456_789 - (3_000_000_000 if number * 2 >= rows else 0)
            file.write(iso_from_ns(at_ns + offset_ns) + row)


def corrected(session: Path) -> tuple[float, float]:
    """Peak memory in MB and seconds."""
    begun = perf_counter()
    arguments = ["-m", "tidesync", "-q", "correct", str(session), "--sensor", "inWater=rov1"]
    process = os.posix_spawn(sys.executable, [sys.executable, *arguments], os.environ)
    _, status, usage = os.wait4(process, 0)
    assert status == 0
    return usage.ru_maxrss * 1024 / 1e6, perf_counter() - begun


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or list(SIZES_MB))
