"""Small files of every format, with the session that they are of: `python -m tests.unit.sample_files`.

The vehicle's clock drifts, is 1.2 s behind, set forward by 3 s, slewed, and set back by 2.5 s as the vehicle
restarts. They lie in tests/samples; a test holds them against what this makes, and their corrected times
against the truth.
"""

import json
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import pyarrow as pa
from pyarrow import parquet

from tests.unit.cockpit_files import write_recording
from tests.unit.dataflash_files import Autopilot, write_tlog_of
from tests.unit.dataflash_files import write_log as write_dataflash
from tests.unit.instrument_files import write_cnv, write_rsk
from tests.unit.line_files import instants, iso, write_json_lines, write_log
from tests.unit.mcap_files import read_mcap, write_mcap
from tests.unit.recorded_clock import PiClock, write_session
from tests.unit.test_correction_netcdf import write_netcdf
from tests.unit.test_messages_influx import write_lp
from tests.unit.test_messages_rosbags import read_bag, write_bag, write_bag2
from tests.unit.tlog_files import write_tlog
from tests.unit.wav_files import recording

SAMPLES = Path(__file__).parents[1] / "samples"
SESSION = "session_2026-05-01T12-00-00Z"
SECONDS = 64
CLOCK = PiClock(steps=((15, 3.0),), slews=((20, 40, 450),), reboot=(48, 5, -2.5))
AUTOPILOT = Autopilot(booted_s=0.0)
HOW = {"seconds": SECONDS, "rate": 1}
_INFLUX = (
    "#datatype,string,long,dateTime:RFC3339,double\n#group,false,false,false,false\n#default,_result,,,\n"
)
_SETTINGS = {
    "adcp.nc": 'instrument_clock = "vehicle"',
    "ctd.cnv": 'instrument_clock = "vehicle"\nzone = "UTC"',
    "logger.rsk": 'instrument_clock = "vehicle"\nzone = "UTC"',
    "*.wav": 'instrument_clock = "vehicle"\nzone = "UTC"',
    "00000012.BIN": 'since = "flight.tlog"',
    "influx.csv": 'comment = "#"\ncolumn = "_time"',
}


def write_samples(folder):
    """A session and `tidesync.toml` in `folder`; topside's instants of messages, by their file's name."""
    sensor = folder / SESSION / "in-water_7"
    sensor.mkdir(parents=True)
    write_session(folder / SESSION, CLOCK, SECONDS)
    document = {"schemaVersion": 1, "timeSync": {"tidesync": {"sensors": {"inWater": "rov1"}}}}
    (folder / SESSION / "sync_metadata.json").write_text(json.dumps(document, indent=1) + "\n")
    truth = write_tables(sensor)
    truth["imu.mcap"] = [at_ns for at_ns, _ in write_mcap(sensor / "imu.mcap", CLOCK, **HOW)]
    truth["ros1.bag"] = write_bag(sensor / "ros1.bag", CLOCK, "LZ4", **HOW)
    bag, truth["ros2.db3"] = write_bag2(folder / "bag", CLOCK, **HOW)
    bag.rename(sensor / "ros2.db3")
    shutil.rmtree(folder / "bag")
    truth["packets.tlog"] = write_tlog(sensor / "packets.tlog", CLOCK, **HOW)
    write_tlog_of(sensor / "flight.tlog", AUTOPILOT, CLOCK, seconds=SECONDS, rate=2)
    truth["00000012.BIN"] = write_dataflash(sensor / "00000012.BIN", AUTOPILOT, seconds=SECONDS, rate=6)
    truth["adcp.nc"] = write_netcdf(sensor / "adcp.nc", CLOCK, **HOW).tolist()
    truth["ctd.cnv"] = write_cnv(sensor / "ctd.cnv", CLOCK, at_s=2, seconds=40, rate=1)
    truth["logger.rsk"] = write_rsk(sensor / "logger.rsk", CLOCK, **HOW)
    sound, begin, end = recording(sensor, CLOCK, at_s=2, seconds=20, rate=50)
    subtitles, _, points = write_recording(sensor, CLOCK, begin_s=3.2, seconds=SECONDS - 5)
    truth[sound.name], truth[subtitles.name] = [begin, end], points
    write_settings(folder / "tidesync.toml", sensor)
    return truth


def write_tables(sensor):
    """Tables of text and Parquet, and logs of text."""
    at_ns = instants(CLOCK, **HOW)
    shown = [int(each) for each in CLOCK.shows(at_ns)]
    (sensor / "session.csv").write_text(
        "timestamp,value\n" + "".join(f"{iso(each)},{number}\n" for number, each in enumerate(shown))
    )
    rows = "".join(f",_result,0,{iso(each)},{number}\n" for number, each in enumerate(shown))
    (sensor / "influx.csv").write_text(f"{_INFLUX},result,table,_time,_value\n{rows}")
    table = pa.table({"timestamp": pa.array(shown, pa.timestamp("ns")), "value": range(len(shown))})
    parquet.write_table(table, sensor / "session.parquet")
    return {
        **dict.fromkeys(("session.csv", "influx.csv", "session.parquet"), at_ns),
        "lines.jsonl": write_json_lines(sensor / "lines.jsonl", CLOCK, **HOW),
        "sentences.nmea": write_log(sensor / "sentences.nmea", CLOCK, **HOW),
        "points.lp": write_lp(sensor / "points.lp", CLOCK, **HOW),
    }


def write_settings(path, sensor):
    """What `tidesync.toml` has to say of files whose clock or start is not in them."""
    named = [(next(sensor.glob(name)).name, stated) for name, stated in _SETTINGS.items()]
    path.write_text("\n".join(f'[correct."in-water_7/{name}"]\n{stated}\n' for name, stated in named))


def content_of(path):
    """What a file says, where the library that wrote it may lay it out in another way; else its bytes."""
    if path.suffix == ".mcap":
        return read_mcap(path)[0]
    if path.suffix == ".bag":
        return read_bag(path)
    if path.suffix == ".parquet":
        return parquet.read_table(path).to_pydict()
    if path.suffix in {".db3", ".rsk"}:
        with closing(sqlite3.connect(path)) as database:
            return list(database.iterdump())
    if path.suffix == ".nc":
        found = {}
        with h5py.File(path) as file:
            file.visititems(lambda name, each: found.update({name: each[...].tobytes()}))
        return found
    return path.read_bytes()


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES
    with TemporaryDirectory() as made:
        write_samples(Path(made))
        for name in (SESSION, "tidesync.toml"):
            old = target / name
            shutil.rmtree(old) if old.is_dir() else old.unlink(missing_ok=True)
            target.mkdir(parents=True, exist_ok=True)
            shutil.move(Path(made) / name, old)
