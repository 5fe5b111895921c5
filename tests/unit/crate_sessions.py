"""A session with files of all formats, stamped by a clock with a known truth, to correct and to publish."""

import gzip
import json
import lzma

import pyarrow as pa
import zstandard
from pyarrow import parquet

from tests.unit.dataflash_files import Autopilot, write_tlog_of
from tests.unit.dataflash_files import write_log as write_dataflash
from tests.unit.instrument_files import write_cnv, write_rsk
from tests.unit.line_files import instants, iso, write_json_lines, write_log
from tests.unit.mcap_files import write_mcap
from tests.unit.recorded_clock import PiClock, write_session
from tests.unit.test_correction_netcdf import write_netcdf
from tests.unit.test_messages_rosbags import write_bag, write_bag2
from tests.unit.wav_files import recording

SECONDS = 20
CLOCK = PiClock(steps=((10, 3.0),))


def make_session(folder, *, logs=True):
    """`folder` with `time_sync`, metadata, and a sensor's folder with a file of each format."""
    sensor = folder / "in-water_7"
    sensor.mkdir(parents=True)
    write_session(folder, CLOCK, SECONDS)
    document = {
        "schemaVersion": 1,
        "mission": "reef 42",
        "timeSync": {"tidesync": {"sensors": {"inWater": "rov1"}}},
    }
    (folder / "sync_metadata.json").write_text(json.dumps(document))
    (folder / "notes of the dive.md").write_text("clear water\n")
    write_tables(sensor)
    if logs:
        write_logs(sensor)
    return folder


def write_tables(sensor):
    shown = [int(CLOCK.shows(at_ns)) for at_ns in instants(CLOCK, seconds=SECONDS, rate=5)]
    text = "timestamp,value\n" + "".join(f"{iso(at_ns)},{number}\n" for number, at_ns in enumerate(shown))
    (sensor / "session.csv").write_text(text)
    (sensor / "séance 2.csv.1").write_text(text)
    (sensor / "packed.csv.gz").write_bytes(gzip.compress(text.encode()))
    (sensor / "packed.tsv.xz").write_bytes(lzma.compress(text.replace(",", "\t").encode()))
    (sensor / "packed.txt.zst").write_bytes(zstandard.compress(text.encode()))
    table = pa.table({"timestamp": pa.array(shown, pa.timestamp("ns")), "value": range(len(shown))})
    parquet.write_table(table, sensor / "session.parquet")
    write_json_lines(sensor / "lines.jsonl", CLOCK, seconds=SECONDS)
    write_log(sensor / "sentences.nmea", CLOCK, seconds=SECONDS)
    points = "".join(f"depth value={number} {at_ns}\n" for number, at_ns in enumerate(shown))
    (sensor / "points.lp").write_text(points)


def write_logs(sensor):
    for compression in ("NONE", "LZ4", "ZSTD"):
        write_mcap(sensor / f"{compression}.mcap", CLOCK, seconds=SECONDS, compression=compression)
    write_bag(sensor / "dive.bag", CLOCK, "LZ4")
    write_netcdf(sensor / "adcp.nc", CLOCK, seconds=SECONDS)
    write_cnv(sensor / "ctd.cnv", CLOCK, at_s=2, seconds=8)
    write_rsk(sensor / "logger.rsk", CLOCK, seconds=SECONDS)
    recording(sensor, CLOCK, at_s=2, seconds=8)
    bag, _ = write_bag2(sensor.parent / "bag", CLOCK)
    bag.rename(sensor / "dive.db3")
    autopilot = Autopilot(booted_s=0.0)
    write_dataflash(sensor / "1.BIN", autopilot, seconds=SECONDS)
    write_tlog_of(sensor / "flight.tlog", autopilot, CLOCK, seconds=SECONDS)


def settings_of(session):
    """What `tidesync.toml` has to say of such files."""
    tables = [
        f'[correct."{path.relative_to(session).as_posix()}"]\ninstrument_clock = "vehicle"\nzone = "UTC"\n'
        for path in sorted((session / "in-water_7").iterdir())
        if path.suffix in {".cnv", ".nc", ".rsk", ".wav"}
    ]
    return "".join([*tables, '[correct."in-water_7/1.BIN"]\nsince = "flight.tlog"\n'])
