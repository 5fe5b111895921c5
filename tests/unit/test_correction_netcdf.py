"""Corrected netCDF files: no answered time outside its error, and everything else as it was."""

import contextlib
import random

import h5netcdf
import h5py
import numpy as np
import pytest

from tests.effort import tries
from tests.unit.recorded_clock import CLOCKS, timeline_of, write_session
from tests.unit.test_messages_mcap_damage import KINDS, damaged
from tests.unit.tracks import START, S
from tidesync.command_line import run
from tidesync.sessions.correction.driver import correct
from tidesync.sessions.correction.formats import is_output, output_of
from tidesync.sessions.correction.instrument_clock import InstrumentClock, instrument_clock
from tidesync.sessions.correction.stamps.options import StampOptions
from tidesync.sessions.correction.table import COLUMNS, Job
from tidesync.sessions.errors import NoTimestampError, UnusableFileError

DAY = 86_400
WRITTEN = {
    "s": ("seconds since 1970-01-01T00:00:00Z", lambda ns: ns / S),
    "s of a second": ("seconds since 2026-05-01 12:00:00.25", lambda ns: (ns - START) / S - 0.25),
    "ms": ("milliseconds since 1970-01-01 00:00:00 UTC", lambda ns: ns // 1_000_000),
    "ns": ("nanoseconds since 2026-05-01T13:00:00+01:00", lambda ns: ns - START),
    "days": ("days since 1950-01-01 00:00:00 Z", lambda ns: ns / S / DAY + 7_305),
    "hours": ("hours since 2026-05-01", lambda ns: (ns - START) / S / 3_600 + 12),
}


def write_netcdf(path, clock, form="s", *, seconds=120, rate=4, name="time", group="", unlimited=False):
    """Ensembles at a steady rate; topside's instants of them, ns."""
    chance = np.random.default_rng(3)
    truth = START + np.arange(seconds * rate) * S // rate + chance.integers(0, S // rate, seconds * rate)
    truth = np.array([at for at in truth.tolist() if not clock.off((at - START) / S)])
    units, counted = WRITTEN[form]
    stamps = np.asarray(counted(clock.shows(truth)))
    with h5netcdf.File(path, "w") as file:
        target = file.create_group(group) if group else file
        target.dimensions = {name: None if unlimited else truth.size, "beam": 3}
        if unlimited:
            target.resize_dimension(name, truth.size)
        time = target.create_variable(name, (name,), stamps.dtype)
        time[:] = stamps
        time.attrs["units"] = units
        velocity = target.create_variable(
            "velocity", ("beam", name), np.float32, chunks=(3, 50), compression="gzip"
        )
        velocity[:] = chance.normal(size=(3, truth.size))
        velocity.attrs["long_name"] = "speed"
        number = target.create_variable("number", (name,), np.int32)
        number[:] = np.arange(truth.size)
        target.create_variable("gps", (name,), np.int64).attrs["units"] = "seconds since 1970-01-01"
        file.attrs["inst_make"] = "ours"
    return truth


def corrected(path, timeline, **stated):
    job = Job(path, "rov1", **{"clock": InstrumentClock("vehicle"), **stated})
    return correct(job, timeline, lambda _: None)


def contents(path):
    """All datasets but ours with their bytes and attributes, by path."""
    found = {}

    def take(name, each):
        attributes = {key: value for key, value in each.attrs.items() if "REFERENCE_LIST" not in key}
        if isinstance(each, h5py.Dataset) and name.rpartition("/")[2] not in COLUMNS:
            found[name] = each.dtype, each.shape, each[...].tobytes(), str(sorted(attributes))

    with h5py.File(path) as file:
        file.visititems(take)
        found["/"] = dict(file.attrs)["inst_make"]
    return found


def answers(path, group=""):
    with h5netcdf.File(path) as file:
        return {name: file[f"{group}/{name}".strip("/")][:] for name in COLUMNS}


@pytest.mark.parametrize(
    ("form", "name"), [*((form, "back") for form in WRITTEN), *(("s", name) for name in CLOCKS)]
)
def test_no_answered_time_is_outside_its_error_and_all_else_is_kept(form, name, tmp_path, tmp_path_factory):
    path = tmp_path / "adcp.nc"
    truth = write_netcdf(path, CLOCKS[name], form)
    original = path.read_bytes()
    result = corrected(path, timeline_of(name, tmp_path_factory), stamps=StampOptions(zone="UTC"))
    assert path.read_bytes() == original
    assert result.rows == len(truth)
    assert result.corrected > 0.9 * len(truth)
    assert contents(path) == contents(output_of(path))
    found = answers(output_of(path))
    answered = found["time_state"] < 2
    assert answered.sum() == result.corrected
    off_ns = np.abs(found["timestamp_topside"] * 1_000 - truth)[answered]
    assert (off_ns <= found["time_max_error_ms"][answered] * 1e6).all()
    assert result.max_error_ns <= 10_000_000


def test_a_second_run_gives_the_same_bytes(tmp_path, tmp_path_factory):
    path, timeline = tmp_path / "adcp.nc", timeline_of("back", tmp_path_factory)
    write_netcdf(path, CLOCKS["back"])
    corrected(path, timeline)
    written = output_of(path).read_bytes()
    corrected(path, timeline)
    assert output_of(path).read_bytes() == written


def test_a_file_of_groups_and_an_unlimited_dimension(tmp_path, tmp_path_factory):
    path = tmp_path / "adcp.nc"
    truth = write_netcdf(path, CLOCKS["drift"], group="Data/Burst", name="t", unlimited=True)
    timeline = timeline_of("drift", tmp_path_factory)
    with pytest.raises(NoTimestampError, match="there is no variable 'time'"):
        corrected(path, timeline)
    assert corrected(path, timeline, column="/Data/Burst/t").corrected > 0.9 * len(truth)
    assert contents(path) == contents(output_of(path))
    found = answers(output_of(path), "Data/Burst")
    answered = found["time_state"] < 2
    off_ns = np.abs(found["timestamp_topside"] * 1_000 - truth)[answered]
    assert (off_ns <= found["time_max_error_ms"][answered] * 1e6).all()


def test_epic_counts_days_and_milliseconds(tmp_path, tmp_path_factory):
    path, clock = tmp_path / "adcp.cdf", CLOCKS["drift"]
    truth = START + np.arange(480) * S // 4 + np.random.default_rng(1).integers(0, S // 4, 480)
    shown_ms = clock.shows(truth) // 1_000_000
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {"time": truth.size}
        for name, values, units in (
            ("time", shown_ms // (DAY * 1_000) + 2_440_588, "True Julian Day"),
            ("time2", shown_ms % (DAY * 1_000), "msec since 0:00 GMT"),
        ):
            file.create_variable(name, ("time",), np.int32, data=values.astype(np.int32)).attrs["units"] = (
                units
            )
    result = corrected(path, timeline_of("drift", tmp_path_factory))
    found = answers(output_of(path))
    answered = found["time_state"] < 2
    assert (result.rows, result.corrected) == (480, int(answered.sum()))
    off_ns = np.abs(found["timestamp_topside"] * 1_000 - truth)[answered]
    assert (off_ns <= found["time_max_error_ms"][answered] * 1e6).all()
    assert answered.sum() > 430


def test_absent_times_are_malformed_and_counted(tmp_path, tmp_path_factory):
    path = tmp_path / "adcp.nc"
    write_netcdf(path, CLOCKS["drift"])
    with h5netcdf.File(path, "a") as file:
        file["time"][5:8] = np.nan
        file["time"].attrs["missing_value"] = -9999.0
        file["time"][9] = -9999.0
    result = corrected(path, timeline_of("drift", tmp_path_factory))
    assert (result.malformed, [each.place for each in result.shown]) == (4, [6, 7, 8, 10])
    assert (answers(output_of(path))["time_state"][[5, 6, 7, 9]] == -1).all()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"units": "fortnights since 1970-01-01"}, "units that are not known"),
        ({"units": "Seconds Since 1970-01-01 00:00:00 TAI"}, "units that are not known"),
        ({"units": "seconds\tSINCE 1970-01-01 00:00:00 TAI"}, "units that are not known"),
        ({"units": "seconds after 1970-01-01"}, "units that are not known"),
        ({"calendar": "noleap"}, "calendar 'noleap'"),
        ({"units": "s", "calendar": "noleap"}, "calendar 'noleap'"),
        ({"units": "days since 0001-01-01"}, "proleptic_gregorian"),
        ({"units": "days since 2026-13-01"}, "month must be"),
        ({"scale_factor": 0.1}, "is packed"),
    ],
)
def test_what_is_not_known_of_a_time_is_refused(change, reason, tmp_path, tmp_path_factory):
    path = tmp_path / "adcp.nc"
    write_netcdf(path, CLOCKS["drift"], seconds=20)
    with h5netcdf.File(path, "a") as file:
        file["time"].attrs.update(change)
    with pytest.raises(UnusableFileError, match=reason):
        corrected(path, timeline_of("drift", tmp_path_factory))
    assert not output_of(path).exists()


@pytest.mark.parametrize("texts", [False, True])
def test_rows_of_which_the_time_was_never_written_are_malformed(texts, tmp_path, tmp_path_factory):
    path = tmp_path / "adcp.nc"
    shown_ns = CLOCKS["drift"].shows(START + 10 * S + np.arange(50) * S)
    values = [f"{np.datetime64(int(each), 'ns')}Z" for each in shown_ns] if texts else (shown_ns - START) / S
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {"time": None}
        file.resize_dimension("time", 100)
        kind = h5py.string_dtype() if texts else np.float64
        time = file.create_variable("time", ("time",), kind)
        time.attrs["units"] = "" if texts else WRITTEN["s of a second"][0].replace("00.25", "00Z")
        file.create_variable("number", ("time",), data=np.arange(100))
    with h5py.File(path, "r+") as file:
        file["time"].resize((50,))
        file["time"][:] = values
    result = corrected(path, timeline_of("drift", tmp_path_factory))
    assert (result.rows, result.malformed, result.shown[0].place) == (100, 50, 51)
    found = answers(output_of(path))["time_state"]
    assert (found[50:] == -1).all()
    assert (found[:50] < 2).sum() > 40


def test_rows_of_a_part_of_the_file_that_was_never_written_are_malformed(tmp_path, tmp_path_factory):
    path = tmp_path / "adcp.nc"
    shown_s = (CLOCKS["drift"].shows(START + 10 * S + np.arange(100) * S) - START) / S
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {"time": 100}
        time = file.create_variable("time", ("time",), np.float64, chunks=(10,))
        time.attrs["units"] = WRITTEN["s of a second"][0].replace("00.25", "00Z")
        time[:30], time[40:] = shown_s[:30], shown_s[40:]
    result = corrected(path, timeline_of("drift", tmp_path_factory))
    assert (result.rows, result.malformed, result.shown[0].place) == (100, 10, 31)
    found = answers(output_of(path))["time_state"]
    assert (found[30:40] == -1).all()
    assert (np.delete(found, slice(30, 40)) < 2).sum() > 80


def test_times_without_a_zone_are_local_until_it_is_clear(tmp_path, tmp_path_factory):
    path = tmp_path / "adcp.nc"
    write_netcdf(path, CLOCKS["drift"])
    with h5netcdf.File(path, "a") as file:
        file["time"].attrs["units"] = "seconds since 1970-01-01"
        file["time"][:] = file["time"][:] + 7_200
    timeline = timeline_of("drift", tmp_path_factory)
    with pytest.raises(UnusableFileError, match="--zone"):
        corrected(path, timeline)
    assert corrected(path, timeline, stamps=StampOptions(zone="+02:00")).corrected > 400


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"CDF\x01" + bytes(90), "nccopy -k nc4"),
        (b"time,x\n1,2\n", "it is no netCDF 4 file"),
    ],
)
def test_what_is_no_netcdf_4_is_named(content, reason, tmp_path, tmp_path_factory):
    path = tmp_path / "adcp.nc"
    path.write_bytes(content)
    with pytest.raises(UnusableFileError, match=reason):
        corrected(path, timeline_of("drift", tmp_path_factory))
    assert [each.name for each in tmp_path.iterdir()] == ["adcp.nc"]


def test_damage_is_contained_and_what_is_answered_is_right(tmp_path, tmp_path_factory):
    path, timeline = tmp_path / "adcp.nc", timeline_of("back", tmp_path_factory)
    truth = write_netcdf(path, CLOCKS["back"], seconds=90)
    known = {round(CLOCKS["back"].shows(at) / S, 5): at for at in truth.tolist()}
    whole, chance = path.read_bytes(), random.Random(6)
    for number in range(tries(12)):
        path.write_bytes(damaged(whole, KINDS[number % len(KINDS)], chance))
        output_of(path).unlink(missing_ok=True)
        with contextlib.suppress(UnusableFileError, NoTimestampError):
            corrected(path, timeline)
            found = answers(output_of(path))
            with h5netcdf.File(path) as file:
                stamps = file["time"][:].tolist()
            for row in np.flatnonzero(found["time_state"] < 2).tolist():
                at_ns = known.get(round(stamps[row], 5))
                if at_ns is not None:  # a flipped bit of a stamp cannot be seen
                    off_ns = abs(int(found["timestamp_topside"][row]) * 1_000 - at_ns)
                    assert off_ns <= found["time_max_error_ms"][row] * 1e6


def test_which_clock_it_is_of_has_to_be_stated(tmp_path, capsys):
    session = tmp_path / "session_1"
    write_session(session, CLOCKS["step"])
    (session / "in-water_7").mkdir()
    path = session / "in-water_7" / "adcp.nc"
    truth = write_netcdf(path, CLOCKS["drift"])
    command = ["-q", "correct", str(session), "--sensor", "inWater=rov1"]
    assert run(command) == 1
    assert "say with --instrument-clock which one stamped it" in capsys.readouterr().out
    assert not output_of(path).exists()
    assert run([*command, "--instrument-clock", "vehicle+1±0.1"]) == 1
    assert "was set or restarted in this session" in capsys.readouterr().out
    assert run([*command, "--instrument-clock", "mine"]) == 2
    assert "vehicle+1.5±0.2" in capsys.readouterr().err
    own = [*command, "--zone", "UTC", "--max-error-ms", "200", "--instrument-clock", "topside-1.15±0.1"]
    assert run(own) == 0
    found = answers(output_of(path))
    assert (found["time_state"] == 0).all()
    off_ms = np.abs(found["timestamp_topside"] * 1_000 - truth) / 1e6
    assert (off_ms <= found["time_max_error_ms"]).all()
    assert ((off_ms > 40) & (found["time_max_error_ms"] < 102)).all()
    assert is_output(output_of(path))
    with output_of(path).open("r+b") as stream:
        stream.truncate(100)
    assert run(own) == 1
    assert "was not written by tidesync correct" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text", ["vehicle", "vehicle+1.5±0.2", "topside-3600±0", "topside+0.000000001±999999999"]
)
def test_a_statement_of_a_clock_is_recorded_as_it_was_made(text):
    assert instrument_clock(text).text == text
    assert instrument_clock(text.replace("±", "+-")) == instrument_clock(text)


def test_an_offset_from_the_vehicles_clock_is_taken_off(tmp_path, capsys):
    session = tmp_path / "session_1"
    write_session(session, CLOCKS["drift"])
    path = session / "adcp.nc"
    truth = write_netcdf(path, CLOCKS["drift"])
    with h5netcdf.File(path, "a") as file:
        file["time"][:] = file["time"][:] + 3_600.02
    own = ["--file", str(path), "--instrument-clock", "vehicle+3600.01+-0.015"]
    assert run(["-q", "correct", str(session), "--vehicle", "rov1", *own]) == 0
    assert "its clock is stated to be vehicle+3600.01±0.015 s" in capsys.readouterr().out
    found = answers(output_of(path))
    answered = found["time_state"] < 2
    assert answered.sum() > 400
    off_ms = (np.abs(found["timestamp_topside"] * 1_000 - truth) / 1e6)[answered]
    assert (off_ms <= found["time_max_error_ms"][answered]).all()
