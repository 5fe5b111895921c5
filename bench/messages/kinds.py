"""What is measured: of each format a file, with the options that it needs, and the plain pass beside it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from bench.messages import files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.estimators.traces import Trace

    Write = Callable[[Path, Trace, int], None]

_INSTRUMENT = ("--instrument-clock", "vehicle", "--zone", "UTC", "--max-error-ms", "1500")


class Kind(NamedTuple):
    """One row of the page."""

    name: str
    file: str
    write: Write
    messages: int
    plain: str
    """What the pass beside it is."""
    options: tuple[str, ...] = ()
    payload: int = 0
    """Bytes of each message, where a rate is promised."""
    stepped: bool = True
    """Whether it is measured with a clock that was set back, too."""
    target: float | None = None
    """How many times the plain pass's CPU time it may take."""


_MCAP = "copied by the mcap library"
KINDS = (
    Kind("MCAP, 1 KB, zstd", "a.mcap", files.write_mcap, 300_000, _MCAP, payload=1_000, target=2),
    Kind(
        "MCAP, 1 KB, not compressed",
        "b.mcap",
        partial(files.write_mcap, compression="NONE"),
        200_000,
        _MCAP,
        payload=1_000,
        target=2,
    ),
    Kind(
        "MCAP, 100 KB, zstd",
        "c.mcap",
        partial(files.write_mcap, payload=100_000),
        4_000,
        _MCAP,
        payload=100_000,
        target=2,
    ),
    Kind("MAVLink .tlog", "flight.tlog", files.write_tlog, 400_000, "read by pymavlink", target=2),
    Kind(
        "dataflash .BIN, with its .tlog",
        "1.BIN",
        files.write_dataflash,
        600_000,
        "both read by pymavlink",
        ("--since", "flight.tlog"),
        target=2,
    ),
    Kind("ROS 1 bag, 1 KB, lz4", "a.bag", files.write_bag, 100_000, "copied by rosbags"),
    Kind("ROS 2 bag, SQLite, 1 KB", "a.db3", files.write_bag_2, 100_000, "copied, an UPDATE of the times"),
    Kind("NMEA log", "a.nmea", files.write_log, 200_000, "read and written line by line"),
    Kind("JSON lines", "a.jsonl", files.write_json_lines, 200_000, "read and written with `json`"),
    Kind("line protocol", "a.lp", files.write_points, 200_000, "read and written line by line"),
    Kind(
        "subtitles .ass",
        "a.ass",
        files.write_subtitles,
        20_000,
        "read and written line by line",
        ("--max-error-ms", "700"),
        stepped=False,
    ),
    Kind(
        "netCDF, 20 velocities", "a.nc", files.write_netcdf, 200_000, "copied, a variable added", _INSTRUMENT
    ),
    Kind(
        "Sea-Bird .cnv, 8 columns",
        "a.cnv",
        files.write_cnv,
        200_000,
        "a table of its last column",
        _INSTRUMENT,
    ),
    Kind("RBR .rsk", "a.rsk", files.write_rsk, 200_000, "a table of its times", _INSTRUMENT),
)
