"""`python -m bench.messages.plain FORMAT IN OUT`: one plain pass over a file, by the library that others use.

Where something is written, the times are shifted by a constant: no error, no state, no clock that was set.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SHIFT_NS = 1_198_000_000
SHIFT = timedelta(milliseconds=1198)


def copy_mcap(source: Path, target: Path) -> None:
    """Message by message with the mcap library, in the order of the file, with its compression."""
    from mcap.reader import NonSeekingReader, make_reader  # noqa: PLC0415 - each pass loads what it needs
    from mcap.writer import CompressionType, Writer  # noqa: PLC0415

    with source.open("rb") as stream:
        summary = make_reader(stream).get_summary()
        assert summary is not None
        compression = summary.chunk_indexes[0].compression.upper() or "NONE"
    with source.open("rb") as stream, target.open("wb") as out:
        writer = Writer(out, compression=CompressionType[compression])
        writer.start()
        channels: dict[int, int] = {}
        for _, channel, message in NonSeekingReader(stream).iter_messages(log_time_order=False):
            if channel.id not in channels:
                channels[channel.id] = writer.register_channel(channel.topic, channel.message_encoding, 0)
            writer.add_message(
                channels[channel.id],
                message.log_time,
                message.data,
                message.publish_time,
                message.sequence,
            )
        writer.finish()  # type: ignore[no-untyped-call]


def read_tlog(source: Path, _: Path) -> None:
    """Every packet, as pymavlink's tools read it."""
    from pymavlink import mavutil  # noqa: PLC0415

    log = mavutil.mavlogfile(str(source), robust_parsing=True)
    while log.recv_match() is not None:
        pass


def read_dataflash(source: Path, tlog: Path) -> None:
    """Every record, and every packet of the .tlog of the same dive."""
    from pymavlink import DFReader  # noqa: PLC0415

    log = DFReader.DFReader_binary(str(source))
    while log.recv_msg() is not None:
        pass
    read_tlog(tlog, tlog)


def copy_bag(source: Path, target: Path) -> None:
    """Message by message with rosbags."""
    from rosbags.rosbag1 import Reader, Writer  # noqa: PLC0415

    target.unlink(missing_ok=True)
    writer = Writer(target)
    writer.set_compression(Writer.CompressionFormat.LZ4)
    with Reader(source) as reader, writer:
        connections = {
            each.id: writer.add_connection(
                each.topic, each.msgtype, msgdef=each.msgdef.data, md5sum=each.digest
            )
            for each in reader.connections
        }
        for connection, at_ns, data in reader.messages():
            writer.write(connections[connection.id], at_ns + SHIFT_NS, data)


def copy_bag_2(source: Path, target: Path) -> None:
    """A copy of the database, whose times are updated."""
    shutil.copyfile(source, target)
    with closing(sqlite3.connect(target)) as database:
        database.execute("UPDATE messages SET timestamp = timestamp + ?", (SHIFT_NS,))
        database.commit()


def copy_log(source: Path, target: Path) -> None:
    """Each line divided at its first space."""
    with source.open(encoding="utf-8") as lines, target.open("w", encoding="utf-8") as out:
        for line in lines:
            stamp, _, rest = line.partition(" ")
            out.write(f"{_shifted(stamp)} {rest}")


def copy_json_lines(source: Path, target: Path) -> None:
    """Each object read and written with `json`."""
    with source.open(encoding="utf-8") as lines, target.open("w", encoding="utf-8") as out:
        for line in lines:
            found = json.loads(line)
            found["timestamp"] = _shifted(found["timestamp"])
            out.write(json.dumps(found) + "\n")


def copy_points(source: Path, target: Path) -> None:
    """Each line divided at its last space."""
    with source.open(encoding="utf-8") as lines, target.open("w", encoding="utf-8") as out:
        for line in lines:
            rest, _, stamp = line.rpartition(" ")
            out.write(f"{rest} {int(stamp) + SHIFT_NS}\n")


def copy_subtitles(source: Path, target: Path) -> None:
    """Start and end of each event."""
    with source.open(encoding="utf-8") as lines, target.open("w", encoding="utf-8") as out:
        for line in lines:
            if line.startswith("Dialogue:"):
                layer, start, end, rest = line.split(",", 3)
                out.write(f"{layer},{_later(start)},{_later(end)},{rest}")
            else:
                out.write(line)


def copy_netcdf(source: Path, target: Path) -> None:
    """A copy with a variable more."""
    import h5netcdf  # noqa: PLC0415

    shutil.copyfile(source, target)
    with h5netcdf.File(target, "r+") as file:
        file.create_variable("shifted", ("time",), data=file["time"][:] + SHIFT_NS / 1e9)


def table_of_cnv(source: Path, target: Path) -> None:
    """The last column of each scan, as a table."""
    with source.open(encoding="ascii") as lines, target.open("w", encoding="utf-8") as out:
        for line in lines:
            if line.startswith("*END*"):
                break
        for number, line in enumerate(lines):
            out.write(f"{number},{float(line.split()[-1]) + SHIFT_NS / 1e9:.6f}\n")


def table_of_rsk(source: Path, target: Path) -> None:
    """The time of each sample, as a table."""
    with closing(sqlite3.connect(source)) as database, target.open("w", encoding="utf-8") as out:
        for number, (at_ms,) in enumerate(database.execute("SELECT tstamp FROM data ORDER BY tstamp")):
            out.write(f"{number},{at_ms + SHIFT_NS // 1_000_000}\n")


def _shifted(stamp: str) -> str:
    return (datetime.fromisoformat(stamp.replace("Z", "+00:00")) + SHIFT).isoformat()


def _later(text: str) -> str:
    hours, minutes, seconds = text.split(":")
    passed = int(hours) * 3600 + int(minutes) * 60 + float(seconds) + SHIFT_NS / 1e9
    return f"{int(passed) // 3600:02}:{int(passed) // 60 % 60:02}:{passed % 60:05.2f}"


PASSES: Mapping[str, Callable[[Path, Path], None]] = {
    ".ass": copy_subtitles,
    ".bag": copy_bag,
    ".bin": read_dataflash,
    ".cnv": table_of_cnv,
    ".db3": copy_bag_2,
    ".jsonl": copy_json_lines,
    ".lp": copy_points,
    ".mcap": copy_mcap,
    ".nc": copy_netcdf,
    ".nmea": copy_log,
    ".rsk": table_of_rsk,
    ".tlog": read_tlog,
}

if __name__ == "__main__":
    PASSES[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
