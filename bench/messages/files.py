"""Files of each format, stamped by a simulated vehicle's clock throughout a session's hour."""

from __future__ import annotations

import json
import sqlite3
import struct
from contextlib import closing
from typing import TYPE_CHECKING, Any

import h5netcdf
import numpy as np
from mcap.writer import CompressionType, Writer
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from bench.correction.session import DURATION_S
from tidesync.sessions.correction.stamps.writing import iso_block

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from bench.estimators.traces import Trace

_S = 1_000_000_000
_AT_ONCE = 100_000
_MANY = 3_000
_CNV_HEAD = """* Sea-Bird SBE 9 Data File:
# nquan = 8
# nvalues = {rows}
# units = specified
{names}
# interval = seconds: {interval:.9f}
# start_time = {start} [System UTC, header]
# bad_flag = -9.990e-29
# datcnv_skipover = 0
# file_type = ascii
*END*
"""
_ASS_HEAD = """[Script Info]
ScriptType: v4.00+

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def instants(trace: Trace, count: int) -> NDArray[np.int64]:
    """Topside's instants of messages at a steady rate, ns: throughout the session; of few, ten a second."""
    span_ns = (int(DURATION_S) - 15 if count >= _MANY else count // 10) * _S
    at_ns: NDArray[np.int64] = trace.exchanges[0].origin_ns + 5 * _S + np.arange(count) * (span_ns // count)
    return at_ns


def shown(trace: Trace, at_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """What the vehicle's clock shows at them."""
    found: NDArray[np.int64] = at_ns + trace.truth_at(at_ns)
    return found


def write_mcap(path: Path, trace: Trace, count: int, payload: int = 1_000, compression: str = "ZSTD") -> None:
    """Ten channels; half of each payload is random, half zeros."""
    with path.open("wb") as stream:
        writer = Writer(stream, compression=CompressionType[compression])
        writer.start()
        channels = [writer.register_channel(f"/topic{each}", "cdr", 0) for each in range(10)]
        at_ns = shown(trace, instants(trace, count)).tolist()
        for place, (log_ns, body) in enumerate(zip(at_ns, bodies(payload), strict=False)):
            writer.add_message(channels[place % 10], log_ns, body, log_ns - 1_000_000, place)
        writer.finish()  # type: ignore[no-untyped-call]


def bodies(size: int) -> Iterator[bytes]:
    """Payloads without end: half of each random, and not again for 16 MB, half zeros."""
    pool, half = np.random.default_rng(1).bytes(16_000_000), size // 2
    while True:
        for begin in range(0, len(pool) - half + 1, half):
            yield pool[begin : begin + half] + bytes(size - half)


def write_log(path: Path, trace: Trace, count: int) -> None:
    """A sentence of NMEA behind each stamp."""
    rest = "$GPGGA,120000.00,4807.038,N,01131.000,E,1,08,0.9,545.4,M,,*47"
    _write_lines(path, trace, count, lambda stamp, number: f"{stamp} {rest} {number}")


def write_json_lines(path: Path, trace: Trace, count: int) -> None:
    """Objects of six members."""
    _write_lines(
        path,
        trace,
        count,
        lambda stamp, number: json.dumps(
            {"timestamp": stamp, "number": number, "depth": 12.5, "mode": "hold", "volts": 12.05, "ok": True}
        ),
    )


def _write_lines(path: Path, trace: Trace, count: int, line: Callable[[str, int], str]) -> None:
    at_ns = shown(trace, instants(trace, count))
    with path.open("w", encoding="utf-8") as stream:
        for begin in range(0, count, _AT_ONCE):
            block = iso_block(at_ns[begin : begin + _AT_ONCE], fine=False)
            stamps = block.tobytes().decode()
            width = block.shape[1]
            for place in range(block.shape[0]):
                stream.write(line(stamps[place * width : (place + 1) * width], begin + place) + "\n")


def write_points(path: Path, trace: Trace, count: int) -> None:
    """Points of InfluxDB's line protocol."""
    with path.open("w", encoding="utf-8") as stream:
        for number, at_ns in enumerate(shown(trace, instants(trace, count)).tolist()):
            stream.write(f"ctd,vehicle=rov1 depth=12.5,temperature=4.25,number={number}i {at_ns}\n")


def write_subtitles(path: Path, trace: Trace, count: int) -> None:
    """Telemetry of Cockpit's, five texts at each instant, of which one is the time of day."""
    at_cs = shown(trace, instants(trace, count)) // 10_000_000
    begin_cs = int(at_cs[0])
    days = np.datetime_as_string((at_cs // 100).astype("datetime64[s]"))
    texts = [f"Depth: {number} m" for number in range(4)]
    with path.open("w", encoding="utf-8") as stream:
        stream.write(_ASS_HEAD)
        ends_cs = [*at_cs[1:].tolist(), int(at_cs[-1]) + 10]
        for begin, end, day in zip(at_cs.tolist(), ends_cs, days.tolist(), strict=True):
            times = f"{_hundredths(begin - begin_cs)},{_hundredths(end - begin_cs)}"
            for style, text in enumerate([*texts, f"May 01, 2026\\N{day[11:19]} GMT+0"]):
                stream.write(f"Dialogue: 0,{times},Style{style},,0,0,0,,{text}\n")


def _hundredths(passed_cs: int) -> str:
    seconds, rest = divmod(passed_cs, 100)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:02}"


def write_tlog(path: Path, trace: Trace, count: int) -> None:
    """Attitudes by an autopilot that started when the session did, at most 10 ms on their way."""
    at_ns = instants(trace, count)
    heard_ns = at_ns + 1_000_000 + np.random.default_rng(2).integers(0, 5_000_000, count)
    stamps = (
        np.sort(shown(trace, heard_ns) // 1_000)
        if trace.family == "clean"
        else shown(trace, heard_ns) // 1_000
    )
    sender = mavlink.MAVLink(None, srcSystem=1, srcComponent=1)
    with path.open("wb") as stream:
        for us, boot_ns, turn in zip(
            stamps.tolist(), _boot(trace, at_ns).tolist(), _turn(trace, at_ns), strict=True
        ):
            message = mavlink.MAVLink_attitude_message(boot_ns // 1_000_000, *turn, 0.0, 0.0, 0.0)
            stream.write(struct.pack(">Q", us) + message.pack(sender))


def write_dataflash(path: Path, trace: Trace, count: int) -> None:
    """Of five records one attitude, else pressures, by the same autopilot's clock."""
    kinds = (
        (128, 89, b"FMT", b"BBnNZ", b"Type,Length,Name,Format,Columns"),
        (129, 23, b"ATT", b"QccccCC", b"TimeUS,DesRoll,Roll,DesPitch,Pitch,DesYaw,Yaw"),
        (130, 19, b"BARO", b"Qff", b"TimeUS,Alt,Press"),
    )
    at_ns = instants(trace, count // 5)
    step_us = int(at_ns[1] - at_ns[0]) // 5_000
    with path.open("wb") as stream:
        for kind in kinds:
            stream.write(b"\xa3\x95\x80" + struct.pack("<BB4s16s64s", *kind))
        for boot_ns, turn in zip(_boot(trace, at_ns).tolist(), _turn(trace, at_ns), strict=True):
            roll, pitch, yaw = (round(np.degrees(each) * 100) for each in turn)
            boot_us = boot_ns // 1_000
            stream.write(
                b"\xa3\x95\x81" + struct.pack("<QhhhhHH", boot_us, roll, roll, pitch, pitch, yaw, yaw)
            )
            for later in range(1, 5):
                stream.write(b"\xa3\x95\x82" + struct.pack("<Qff", boot_us + later * step_us, 1.5, 2.5))


def _boot(trace: Trace, at_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """The autopilot's time since its start, ns: it runs 35 ppm too fast."""
    passed = at_ns - trace.exchanges[0].origin_ns
    found: NDArray[np.int64] = passed + (passed * 35e-6).astype(np.int64)
    return found


def _turn(trace: Trace, at_ns: NDArray[np.int64]) -> Iterator[tuple[float, float, float]]:
    at_s = (at_ns - trace.exchanges[0].origin_ns) / _S
    columns = (0.35 * np.sin(at_s), 0.17 * np.cos(at_s / 2), 1.6 + 1.4 * np.sin(at_s / 5))
    return zip(*(each.tolist() for each in columns), strict=True)


def write_bag(path: Path, trace: Trace, count: int) -> None:
    """A ROS 1 bag with payloads of 1 KB."""
    from rosbags.rosbag1 import Writer as Bag  # noqa: PLC0415 - a second Writer
    from rosbags.typesys import Stores, get_typestore  # noqa: PLC0415

    path.unlink(missing_ok=True)
    bag = Bag(path)
    bag.set_compression(Bag.CompressionFormat.LZ4)
    with bag:
        store = get_typestore(Stores.ROS1_NOETIC)
        connections = [
            bag.add_connection(f"/t{each}", "std_msgs/msg/String", typestore=store) for each in range(10)
        ]
        at_ns = shown(trace, instants(trace, count)).tolist()
        for number, (each, body) in enumerate(zip(at_ns, bodies(1_000), strict=False)):
            bag.write(connections[number % 10], each, body)


def write_bag_2(path: Path, trace: Trace, count: int) -> None:
    """The database of a ROS 2 bag with payloads of 1 KB."""
    at_ns = shown(trace, instants(trace, count)).tolist()
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as database:
        database.execute(
            "CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL,"
            " serialization_format TEXT NOT NULL, offered_qos_profiles TEXT NOT NULL)"
        )
        database.execute(
            "CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER NOT NULL,"
            " timestamp INTEGER NOT NULL, data BLOB NOT NULL)"
        )
        database.execute("CREATE INDEX timestamp_idx ON messages (timestamp ASC)")
        database.execute("INSERT INTO topics VALUES (1, '/imu', 'std_msgs/msg/String', 'cdr', '')")
        pairs = enumerate(zip(at_ns, bodies(1_000), strict=False))
        rows = ((number + 1, 1, each, body) for number, (each, body) in pairs)
        database.executemany("INSERT INTO messages VALUES (?, ?, ?, ?)", rows)
        database.commit()


def write_netcdf(path: Path, trace: Trace, count: int) -> None:
    """Ensembles with 20 velocities each."""
    at_ns, chance = instants(trace, count), np.random.default_rng(3)
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {"time": count, "range": 20}
        time = file.create_variable("time", ("time",), np.float64)
        time[:] = shown(trace, at_ns) / _S
        time.attrs["units"] = "seconds since 1970-01-01T00:00:00Z"
        velocity: Any = file.create_variable("velocity", ("time", "range"), np.float32)
        velocity[:] = chance.normal(size=(count, 20))


def write_cnv(path: Path, trace: Trace, count: int) -> None:
    """Scans of eight columns, with their time since the start."""
    at_ns = instants(trace, count)
    start = (shown(trace, at_ns[:1]) // _S).astype("datetime64[s]")[0].item()
    names = "\n".join(f"# name {number} = c{number:02}: Value {number}" for number in range(7))
    interval = (int(at_ns[1]) - int(at_ns[0])) / _S
    head = _CNV_HEAD.format(
        rows=count,
        names=f"{names}\n# name 7 = timeS: Time",
        interval=interval,
        start=f"{start:%b %d %Y %H:%M:%S}",
    )
    values = "".join(f"{value:11.4f}" for value in (1.5, 20.25, 3.125, 0.5, 35.25, 1_500.5, 7.75))
    passed = (at_ns - at_ns[0]) / _S
    with path.open("w", newline="", encoding="ascii") as stream:
        stream.write(head.replace("\n", "\r\n"))
        for each in passed.tolist():
            stream.write(f"{values}{each:11.3f}\r\n")


def write_rsk(path: Path, trace: Trace, count: int) -> None:
    """A logger's database."""
    at_ms = np.unique(shown(trace, instants(trace, count)) // 1_000_000).tolist()
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE dbInfo (version VARCHAR(50) PRIMARY KEY, type VARCHAR(50))")
        database.execute("INSERT INTO dbInfo VALUES ('2.10.0', 'full')")
        database.execute(
            "CREATE TABLE data (tstamp BIGINT PRIMARY KEY ASC, channel01 DOUBLE, channel02 DOUBLE)"
        )
        database.executemany(
            "INSERT INTO data VALUES (?, ?, ?)", ((each, each % 97 / 7, 1.5) for each in at_ms)
        )
        database.commit()
