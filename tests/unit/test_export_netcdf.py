"""`tidesync export --format netcdf`: nothing lost, the times of `tidesync correct`, and what CF requires."""

import csv
import io
import json
from datetime import datetime, timedelta

import h5netcdf
import h5py
import numpy as np
import pytest

from schemas.compat import UTC
from schemas.instants import iso_from_ns
from tests.unit.test_correction_session import EPOCH_S, S, log
from tests.unit.test_netcdf_stream import FullDisk
from tests.unit.tracks import START, row
from tidesync.command_line import run
from tidesync.errors import SettingsError
from tidesync.sessions import netcdf_stream
from tidesync.sessions.export.netcdf.attributes import Dataset, midnight
from tidesync.sessions.export.netcdf.names import legal_names, units_of
from tidesync.sessions.export.netcdf.settings import ExportSettings, attributes_of, place_of, quantities_of
from tidesync.sessions.export.netcdf.tracks import track_content
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.journal import lines_of
from topside_agent.estimator import Rows

STATES = ("ok", "holdover", "ambiguous", "outside", "")
PLACE = ("--latitude", "60.1", "--longitude", "5.2", "--depth-m", "35")
ANY_US = 7_919


def stamp(row):
    """Distinct instants, to the microsecond, some 0.1 s apart."""
    return iso_from_ns(EPOCH_S * S + row * 100_000_000 + (row * row * ANY_US % 99_991) * 1000)


def table(rows, header="timestamp,number,mode,value,depth (m)"):
    lines = [f'{stamp(row)},{row},"a, {row}",{row / 8},{row}' for row in rows]
    return "\n".join([header, *lines]) + "\n"


@pytest.fixture
def session(tmp_path):
    path = tmp_path / "session_x"
    for folder in ("time_sync", "in-water_7"):
        (path / folder).mkdir(parents=True)
    (path / "time_sync" / "exchanges.jsonl").write_bytes(lines_of(log()))
    (path / "in-water_7" / "session.csv").write_text(table(range(-20, 110)))
    return path


def export(session, *options):
    return run(["-q", "export", str(session), "--format", "netcdf", *options])


def main_of(session, name="in-water_7/session.csv.nc"):
    return session / "time_sync" / "netcdf" / name


def read(path):
    """(attributes, values, dimensions and units of each variable) as plain Python; what is absent is None."""
    with h5netcdf.File(path, "r") as file:
        values = {name: plain(variable) for name, variable in file.variables.items()}
        dimensions = {name: variable.dimensions for name, variable in file.variables.items()}
        units = {name: variable.attrs.get("units") for name, variable in file.variables.items()}
        return dict(file.attrs), values, dimensions, units


def plain(variable):
    found, fill = variable[...], variable.attrs.get("_FillValue")
    if found.dtype.kind == "S" and found.ndim:
        found = np.ascontiguousarray(found).view(f"S{found.shape[-1]}")[..., 0].astype(object)
    values = np.ravel(found).tolist()
    return [None if fill is not None and each == fill else each for each in values]


def unix_ns(seconds, units):
    begin = datetime.strptime(units, "seconds since %Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return [round(begin.timestamp()) * S + round(each * S) for each in seconds]


def corrected(session):
    """The rows of `tidesync correct`, by their number."""
    assert run(["-q", "correct", str(session), "--sensor", "inWater=rov1"]) == 0
    text = (session / "in-water_7" / "session.topside.csv").read_text()
    return {row["number"]: row for row in csv.DictReader(io.StringIO(text))}


def instant_ns(text):
    at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def test_every_row_is_there_with_the_time_error_and_state_of_correct(session):
    rows = [*range(40, 110), *range(-20, 40)]  # not in the order of time
    path = session / "in-water_7" / "session.csv"
    path.write_text(table(rows) + "garbage,999,x,,\n\n")
    expected = corrected(session)
    assert export(session) == 0
    _, known, _, units = read(main_of(session))
    others = read(main_of(session, "in-water_7/session.csv.unanswered.nc"))[1]
    found = dict(zip(map(str, known["number"]), unix_ns(known["time"], units["time"]), strict=True))
    assert found.keys() | {str(each) for each in others["number"]} == expected.keys()
    assert found.keys() == {number for number, row in expected.items() if row["timestamp_topside"]}
    assert known["time"] == sorted(known["time"])
    for place, number in enumerate(map(str, known["number"])):
        row = expected[number]
        assert abs(found[number] - instant_ns(row["timestamp_topside"])) <= 500
        wider_ms = float(row["time_max_error_ms"]) - known["time_max_error_ms"][place]
        assert (
            -1e-9 <= wider_ms <= 0.0021
        )  # the table's is rounded up, and has the microsecond it is written to
        assert STATES[known["time_state"][place]] == row["time_state"]
        assert known["value"][place] == float(row["value"])
        assert known["mode"][place].decode() == row["mode"]
        assert known["timestamp"][place].decode() == row["timestamp"]
        recorded = unix_ns([known["recorded_time"][place]], units["recorded_time"])[0]
        assert recorded == instant_ns(row["timestamp"])
    for place, number in enumerate(map(str, others["number"])):
        assert STATES[others["time_state"][place]] == expected[number]["time_state"]
        assert others["timestamp"][place].decode() == expected[number]["timestamp"]
    assert [
        number for number, at in zip(others["number"], others["recorded_time"], strict=True) if at is None
    ] == [999]
    assert set(others["time_qartod"]) == {4, 9}
    assert set(known["time_qartod"]) == {1}


def test_the_track_is_exact_to_the_nanosecond(session):
    assert export(session) == 0
    rows = SessionFolder(session).measure()["rov1", "topside"].track.rows
    _, found, dimensions, units = read(main_of(session, "track.rov1.topside.nc"))
    assert unix_ns(found["time"], units["time"]) == [row.topside_unix_ns for row in rows]
    assert unix_ns(found["vehicle_time"], units["vehicle_time"]) == [row.pi_unix_ns for row in rows]
    for name in ("offset_ns", "lower_ns", "upper_ns", "u95_ns", "segment"):
        assert found[name] == [getattr(row, name) for row in rows]
    assert dimensions["offset_ns"] == ("time",)
    assert {STATES[state] for state in found["offset_state"]} == {row.state for row in rows}


def test_bounds_of_offsets_beyond_doubles_stay_bounds(session):
    """A clock that begins in 1970: 56 years are more nanoseconds than a double holds."""
    back = 56 * 365 * 86_400 * S + 1
    early = [
        each.model_copy(update={"receive_ns": each.receive_ns - back, "transmit_ns": each.transmit_ns - back})
        for each in log()
    ]
    (session / "time_sync" / "exchanges.jsonl").write_bytes(lines_of(early))
    rows = SessionFolder(session).measure()["rov1", "topside"].track.rows
    export(session)
    found = read(main_of(session, "track.rov1.topside.nc"))[1]
    assert all(int(low) <= row.lower_ns for low, row in zip(found["lower_ns"], rows, strict=True))
    assert all(int(high) >= row.upper_ns for high, row in zip(found["upper_ns"], rows, strict=True))
    assert all(
        abs(int(each) - row.offset_ns) <= 256 for each, row in zip(found["offset_ns"], rows, strict=True)
    )


@pytest.mark.parametrize(("place", "dimensions"), [((), ("obs",)), (PLACE, ("station", "obs"))])
def test_repeated_instants_have_no_coordinate_variable(session, place, dimensions, capsys):
    lines = table(range(5, 60)).splitlines()
    (session / "in-water_7" / "session.csv").write_text("\n".join([*lines, *lines[1:]]) + "\n")
    assert export(session, *place) == 0
    assert "instants repeat" in capsys.readouterr().out
    attributes, found, shapes, _ = read(main_of(session))
    assert shapes["time"] == shapes["value"] == dimensions
    assert shapes["platform"] == ()
    assert found["number"] == sorted([*range(5, 60)] * 2)
    assert attributes.get("ncei_template_version", "").startswith(
        "NCEI_NetCDF_TimeSeries_Incomplete"
    ) == bool(place)


def test_without_a_position_nothing_is_claimed_of_one(session, capsys):
    assert export(session) == 0
    assert "no position is stated" in capsys.readouterr().out
    attributes, found, _, _ = read(main_of(session))
    assert (
        not {"featureType", "ncei_template_version", "geospatial_lat_min", "creator_name"} & attributes.keys()
    )
    assert "station_latitude" not in found


def test_what_is_stated_is_in_the_files_and_what_is_missing_is_named(session, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tidesync.toml").write_text(
        "[export]\nlatitude = 60.1\nlongitude = 5.2\ndepth_m = 35.0\n"
        "attribute = ['creator_name=Ada', 'license=none']\n"
    )
    stated = ("--variable", "value=sea_water_temperature degree_C", "--variable", "mode=x 1")
    assert export(session, *stated, "--license", "CC-BY-4.0", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert "creator_name" not in document["not_stated"]
    assert "institution" in document["not_stated"]
    assert document["unused_variables"] == ["mode"]  # it is text
    with h5netcdf.File(main_of(session), "r") as file:
        assert (file.attrs["creator_name"], file.attrs["license"]) == ("Ada", "CC-BY-4.0")
        assert file.attrs["featureType"] == "timeSeries"
        assert file.variables["value"].attrs["standard_name"] == "sea_water_temperature"
        assert file.variables["depth"].attrs["units"] == b"m"
        assert file.variables["station_depth"][()] == 35
        assert "station_latitude" in file.variables["value"].attrs["coordinates"]
        assert "export --format netcdf" in file.attrs["history"]


def test_columns_are_numbers_only_where_nothing_is_lost_by_it(session):
    texts = {
        "padded": "007",
        "long": "1234567890123456",
        "milliseconds": "1777636800123",
        "huge": "x" * 1001,
        "empty": "",
        "Prüfung °": "ä",
        "2nd": "-3",
    }
    header = ",".join(("timestamp", *texts, "time"))
    lines = [f"{stamp(row)},{','.join(texts.values())},{row}.5" for row in range(5, 60)]
    (session / "in-water_7" / "session.csv").write_text("\n".join([header, *lines]) + "\n", "utf-8")
    assert export(session) == 0
    attributes, found, _, _ = read(main_of(session))
    assert "CF-1.6" not in attributes["Conventions"]  # it has no strings
    assert found["padded"][0] == b"007"
    assert found["long"][0] == b"1234567890123456"
    assert found["milliseconds"][0] == 1777636800123
    assert found["huge"][0] == b"x" * 1001
    assert found["empty"][0] is None
    assert found["Prufung"][0].decode() == "ä"
    assert found["column_2nd"][0] == -3
    assert found["time_2"][0] == 5.5


def test_names_and_units_of_headers():
    headers = ("Temp (°C)", "temp [K]", "a-b", "a b", "(m)", "", "µ", "speed_ms", "p_mbar")
    names = legal_names(headers, ("time",))
    assert names == ["Temp", "temp_2", "a_b", "a_b_2", "m", "column", "column_2", "speed_ms", "p_mbar"]
    assert [units_of(each) for each in headers] == [
        *("degree_C", "K", None, None, "m", None, None, None, "mbar"),
    ]


def test_two_runs_of_one_time_have_the_same_bytes(session, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1777640000")
    contents = []
    for _ in range(2):
        assert export(session, *PLACE) == 0
        contents.append([path.read_bytes() for path in sorted(main_of(session, "").rglob("*.nc"))])
    assert contents[0] == contents[1]
    assert len(contents[0]) == 3
    assert read(main_of(session))[0]["date_created"] == "2026-05-01T12:53:20Z"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "noon")
    assert export(session) == 2


def test_a_later_export_removes_what_is_no_longer_so_and_no_file_of_others(session, capsys):
    assert export(session) == 0
    others = main_of(session, "in-water_7/session.csv.unanswered.nc")
    assert others.exists()
    (session / "in-water_7" / "session.csv").write_text(table(range(5, 60)))
    assert export(session) == 0
    assert not others.exists()
    main_of(session).write_text("mine")
    assert export(session) == 1
    assert "was not written by tidesync export" in capsys.readouterr().err
    assert main_of(session).read_text() == "mine"
    main_of(session).unlink()
    main_of(session).symlink_to(session / "elsewhere")
    assert export(session) == 1
    assert "it is a link" in capsys.readouterr().err


def test_a_table_without_an_answer_has_no_times(session, capsys):
    (session / "in-water_7" / "session.csv").write_text(table(range(5000, 5010)))
    assert export(session) == 1
    shown = capsys.readouterr()
    assert "no row could be corrected" in shown.err
    assert "in-water_7/session.csv.unanswered.nc: 10 rows of rov1: 10 ambiguous" in shown.out
    assert not main_of(session).exists()
    others = read(main_of(session, "in-water_7/session.csv.unanswered.nc"))[1]
    assert others["number"] == [*range(5000, 5010)]
    assert "time" not in others


def test_a_table_without_rows_is_left_and_has_no_file(session, capsys):
    (session / "in-water_7" / "empty.csv").write_text("timestamp,value\n\n")
    assert export(session) == 0
    assert "empty.csv: there is no row; left as it is" in capsys.readouterr().out
    assert not main_of(session, "in-water_7/empty.csv.nc").exists()


def test_a_track_is_in_the_order_of_time_though_topsides_clock_was_set_back():
    rows = [row(at_s, at_s) for at_s in (3, 4, 5, 1, 2, 4)]
    at = datetime(2026, 5, 1, tzinfo=UTC)
    dataset = Dataset("x", None, at, midnight(START), None, {})
    content = track_content(Rows.of(rows), dataset, "x.nc", "")
    time, offset = (
        next(each for each in content.variables if each.name == name) for name in ("time", "offset_ns")
    )
    assert unix_ns(time.values(0, 6), dataset.time_units) == [START + at_s * S for at_s in (1, 2, 3, 4, 4, 5)]
    assert offset.values(0, 6).tolist() == [1, 2, 3, 4, 4, 5]
    assert content.dimensions == ("obs",)


@pytest.mark.parametrize("room", [0, 20_000])
def test_a_full_disk_is_named_and_leaves_nothing_behind(session, room, monkeypatch, capsys):
    """HDF5 alone would crash the process."""
    make = netcdf_stream.TemporaryFile
    monkeypatch.setattr(netcdf_stream, "TemporaryFile", lambda **how: FullDisk(make(**how), room))
    assert export(session) == 1
    error = capsys.readouterr().err
    assert "track.rov1.topside.nc: No space left on device; it was not written" in error
    assert "session.csv.nc: No space left on device" in error
    assert [path for path in main_of(session, "").rglob("*") if path.is_file()] == []
    fused = session / "fused.nc"
    assert run(["-q", "fuse", str(session), "--out", str(fused)]) == 1
    assert not fused.exists()


def test_a_damaged_file_is_noticed_by_its_readers(session):
    assert export(session) == 0
    path = main_of(session)
    with h5py.File(path, "r") as file:
        chunk = file["value"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset + chunk.size // 2] ^= 1
    path.write_bytes(content)
    with h5py.File(path, "r") as file, pytest.raises(OSError, match=r"filter|checksum|read"):
        file["value"][...]


def test_an_export_is_not_corrected_again(session, capsys):
    assert export(session) == 0
    copy = session / "in-water_7" / "copy.nc"
    copy.write_bytes(main_of(session).read_bytes())
    options = ("--sensor", "inWater=rov1", "--instrument-clock", "vehicle", "--column", "timestamp")
    assert run(["-q", "correct", str(session), *options]) == 0
    assert "its times are topside's already" in capsys.readouterr().out
    assert run(["-q", "correct", str(session), *options, "--file", str(copy)]) == 1


def test_what_cannot_be_asked_for_is_named(session, tmp_path, capsys):
    assert (
        run(
            ["export", str(session), "--format", "csv", "--file", str(session / "in-water_7" / "session.csv")]
        )
        == 2
    )
    assert "--file: only --format netcdf takes it" in capsys.readouterr().err
    assert run(["export", str(session), "--format", "csv", "--latitude", "3"]) == 2
    file = tmp_path / "file"
    file.touch()
    assert export(session, "--output", str(file)) == 2
    assert "expected a folder" in capsys.readouterr().err
    assert run(["export", str(session), "--format", "csv", "--output", str(tmp_path)]) == 2
    (session / "time_sync" / "exchanges.jsonl").unlink()
    assert export(session) == 1
    assert "nothing was measured" in capsys.readouterr().err


@pytest.mark.parametrize(
    "settings",
    [
        {"latitude": 3.0},
        {"depth_m": 3.0},
        {"attribute": ("creator_name",)},
        {"attribute": ("creator_name=",)},
        {"attribute": ("creatr_name=x",)},
        {"attribute": ("history=x",)},
        {"attribute": ("geospatial_lat_min=3",)},
        {"attribute": ("license=a", "license=b")},
        {"variable": ("TempC",)},
        {"variable": ("TempC=Sea Temperature",)},
    ],
)
def test_statements_that_cannot_be_are_refused(settings):
    stated = ExportSettings(**settings)
    with pytest.raises(SettingsError):
        (place_of(stated), attributes_of(stated), quantities_of(stated))
