"""`tidesync fuse`: each instant has the right rows of every sensor, and says how wrong their times may be."""

import json
from itertools import product

import numpy as np
import pytest
from pyarrow import parquet

from tests.effort import few
from tests.unit.fused_sessions import (
    TOPSIDE,
    instant_ns,
    make_session,
    pi,
    rows_of,
    true_ns,
    write_metadata,
    write_table,
)
from tests.unit.tracks import S
from tidesync.command_line import run

MS = 1_000_000
WATER_S = np.arange(5, 115, 0.1)
JITTER_S = 0.000_137
"""So that stamps are seen to be written to the microsecond."""
SURFACE_S = np.arange(5.02, 115, 0.25 + JITTER_S)
CLOCKS = {
    "steady": pi(),
    "step": pi(steps=[(60.03, 3.0)]),
    "step back": pi(steps=[(60.03, -3.0)]),
    "slew": pi(slews=[(40, 50, 400)]),
}


def field(at):
    return f'"free, {at:.2f}",{at:.3f}'


def two_sensors(folder, clock=CLOCKS["steady"], water_s=WATER_S, surface_s=SURFACE_S):
    return make_session(
        folder,
        clock,
        {
            "in-water_1/session.csv": (clock, water_s, field),
            "surface_1/session.csv": (TOPSIDE, surface_s, field),
        },
    )


def fuse(session, *options, out="fused.csv", code=0):
    path = session / out
    assert run(["-q", "fuse", str(session), "--out", str(path), *options]) == code
    return path


def nearest_ns(at_ns, times_ns):
    """How far the nearest one is, by brute force."""
    return int(np.abs(times_ns - at_ns).min())


@pytest.mark.parametrize(("name", "tolerance_ms"), few(product(CLOCKS, [50, 25])))
def test_each_instant_has_the_nearest_row_of_each_sensor_by_their_true_times(name, tolerance_ms, tmp_path):
    session = two_sensors(tmp_path, CLOCKS[name])
    rows = rows_of(fuse(session, "--every", "100ms", "--tolerance", f"{tolerance_ms}ms"))
    assert len(rows) > 1_000
    times = {"inWater": (true_ns(WATER_S), WATER_S), "surface": (true_ns(SURFACE_S), SURFACE_S)}
    unpaired = 0
    for row in rows:
        at = instant_ns(row["timestamp_topside"])
        assert at % (100 * MS) == 0
        for sensor, (true, seconds) in times.items():
            apart = nearest_ns(at, true)
            error = float(row["time_max_error_ms"] or 0) * MS
            if not row[f"{sensor}.value"]:
                unpaired += sensor == "inWater" and apart <= tolerance_ms * MS - error
                assert row[f"{sensor}.age_ms"] == row[f"{sensor}.mode"] == ""
                continue
            taken = int(np.abs(seconds - float(row[f"{sensor}.value"])).argmin())
            assert abs(abs(true[taken] - at) - apart) <= 2 * error
            assert abs(float(row[f"{sensor}.age_ms"]) * MS - (at - true[taken])) <= error
            assert row[f"{sensor}.mode"] == f"free, {seconds[taken]:.2f}"
    assert unpaired <= (0 if name in {"steady", "slew"} else 12)


def test_columns_stand_in_the_order_that_is_promised(tmp_path):
    header = fuse(two_sensors(tmp_path), "--every", "1s").read_text().splitlines()[0]
    assert header.split(",") == [
        "timestamp_topside",
        *(f"inWater.{name}" for name in ("timestamp", "mode", "value", "age_ms")),
        *(f"surface.{name}" for name in ("timestamp", "mode", "value", "age_ms")),
        "time_max_error_ms",
        "time_state",
    ]


@pytest.mark.slow
def test_on_a_sensor_there_is_a_row_for_each_of_its_own_and_its_text_is_kept(tmp_path):
    session = two_sensors(tmp_path)
    for options in (("--on", "inWater"), ()):
        rows = rows_of(fuse(session, *options))
        assert [row["inWater.value"] for row in rows] == [f"{at:.3f}" for at in WATER_S]
        assert {row["inWater.age_ms"] for row in rows} == {"0"}
        found = np.array([instant_ns(row["timestamp_topside"]) for row in rows])
        errors = np.array([float(row["time_max_error_ms"]) * MS for row in rows])
        assert (np.abs(found - true_ns(WATER_S)) <= errors).all()
    rows = rows_of(fuse(session, "--on", "surface"))
    assert [row["surface.value"] for row in rows] == [f"{at:.3f}" for at in SURFACE_S]


def test_rows_of_one_sensor_at_the_same_instant_are_all_kept_on_it(tmp_path):
    session = two_sensors(tmp_path, water_s=np.array([10.0, 20.0, 20.0, 30.0]))
    assert len(rows_of(fuse(session, "--on", "inWater"))) == 4


def test_linear_takes_numbers_between_two_rows_and_the_nearest_text(tmp_path):
    session = two_sensors(tmp_path)
    write_table(
        session / "in-water_1" / "session.csv",
        CLOCKS["steady"],
        WATER_S,
        lambda at: f"{round(at * 10):07d},{2 * at:.4f}",
    )
    for row in rows_of(fuse(session, "--on", "surface", "--method", "linear")):
        at_s = float(row["surface.value"])
        assert float(row["inWater.value"]) == pytest.approx(2 * at_s, abs=2e-3)
        assert row["inWater.mode"] == f"{round(float(row['inWater.mode'])):07d}"
        assert abs(float(row["inWater.mode"]) / 10 - at_s) <= 0.051


def test_integers_that_doubles_do_not_hold_are_kept_as_they_are(tmp_path):
    session = two_sensors(tmp_path)
    number = 12_345_678_901_234_567
    write_table(
        session / "in-water_1" / "session.csv",
        CLOCKS["steady"],
        WATER_S,
        lambda at: f"{number + round(at * 10)},{at}",
    )
    rows = rows_of(fuse(session, "--on", "surface", "--method", "linear"))
    apart_s = [(int(row["inWater.mode"]) - number) / 10 - float(row["surface.value"]) for row in rows]
    assert max(map(abs, apart_s)) <= 0.051


@pytest.mark.parametrize("suffix", ["csv", "nc"])
def test_every_column_has_a_name_of_its_own(tmp_path, suffix):
    session = make_session(tmp_path, pi(), {})
    path = session / "in-water_1" / "session.csv"
    write_table(path, pi(), WATER_S, lambda at: f"{at:.2f},1,2,3", "timestamp,age_ms,age_ms (table),a/b,a_b")
    fused = fuse(session, out=f"fused.{suffix}")
    if suffix == "csv":
        names = fused.read_text().splitlines()[0].split(",")
    else:
        with pytest.importorskip("h5py", reason="it reads NetCDF").File(fused) as file:
            names = list(file)
    assert len({*names}) == len(names) == 9
    assert {"inWater.age_ms", "inWater.age_ms (table)", "inWater.age_ms (table)_2"} <= {*names}


def test_the_error_and_the_state_are_the_worst_of_the_rows_at_an_instant(tmp_path):
    """Rows outside the limit keep their instant."""
    session = two_sensors(tmp_path, water_s=np.arange(5, 115, 1.0))
    rows = rows_of(fuse(session, "--on", "surface", "--max-error-ms", "0.05"))
    with_water = [row for row in rows if row["inWater.value"]]
    assert with_water
    assert {row["time_state"] for row in with_water} == {"outside"}
    assert all(float(row["time_max_error_ms"]) > 0.05 for row in with_water)
    alone = [row for row in rows if not row["inWater.value"]]
    assert {row["time_state"] for row in alone} == {"ok"}
    assert all(float(row["time_max_error_ms"]) <= 0.003 for row in alone)


def test_instants_without_any_row_stay_on_the_grid_and_are_counted(tmp_path, capsys):
    session = two_sensors(
        tmp_path, water_s=np.r_[5:20:0.1, 80:90:0.1], surface_s=np.arange(5, 20, 0.1 + JITTER_S)
    )
    rows = rows_of(fuse(session, "--every", "1s", "--json"))
    document = json.loads(capsys.readouterr().out)
    empty = [row for row in rows if not row["time_state"]]
    assert len(rows) == document["rows"] == 85
    assert document["states"]["none"] == len(empty) == 60
    assert all(not row["time_max_error_ms"] for row in empty)
    assert [each["unpaired"] for each in document["sensors"]] == [{"tolerance": 60}, {"tolerance": 70}]
    assert sum(document["states"].values()) == document["rows"]
    for each in document["sensors"]:
        assert each["paired"] + sum(each["unpaired"].values()) == document["rows"]
    fuse(session, "--every", "1s")
    *sensors, summary = capsys.readouterr().out.splitlines()
    assert "fused.csv: 85 instants: " in summary
    assert summary.endswith(", 60 none (no sensor has a row there)")
    assert sensors[0].endswith("; a row at 25 instants, none at 60 (tolerance)")


def test_a_decimal_comma_does_not_move_the_columns_behind_it(tmp_path):
    session = two_sensors(tmp_path)
    path = session / "in-water_1" / "session.csv"
    expected = rows_of(fuse(session, "--on", "inWater"))
    lines = [line.split(",", 1) for line in path.read_text().splitlines()[1:]]
    path.write_text(
        "timestamp,mode,value\n" + "".join(f"{at[:19]},{at[20:23]},{rest}\n" for at, rest in lines)
    )
    rows = rows_of(fuse(session, "--on", "inWater"))
    for row, other in zip(rows, expected, strict=True):
        assert (row["inWater.mode"], row["inWater.value"]) == (other["inWater.mode"], other["inWater.value"])


def test_what_was_not_paired_is_counted_by_reason(tmp_path, capsys):
    session = two_sensors(tmp_path, CLOCKS["step"])
    path = session / "in-water_1" / "session.csv"
    lines = path.read_text().splitlines()
    lines[101:111] = ["yesterday,free,1"] * 10
    path.write_text("\n".join(lines) + "\n")
    fuse(session, "--every", "100ms", "--json")
    water, surface = json.loads(capsys.readouterr().out)["sensors"]
    assert (water["sensor"], water["vehicle"], water["rows"], water["malformed"]) == (
        "inWater",
        "rov1",
        1100,
        10,
    )
    assert water["ambiguous"] > 0
    assert water["unpaired"]["malformed"] in {9, 10, 11}
    assert abs(water["unpaired"]["ambiguous"] - water["ambiguous"]) <= 1
    assert (surface["vehicle"], surface["ok"]) == (None, SURFACE_S.size)


def test_parquet_has_the_same_rows_with_types(tmp_path):
    session = two_sensors(tmp_path)
    rows = rows_of(fuse(session, "--every", "100ms"))
    table = parquet.read_table(fuse(session, "--every", "100ms", out="fused.parquet"))
    assert table.column_names == list(rows[0])
    assert table["timestamp_topside"].cast("int64").to_pylist() == [
        instant_ns(row["timestamp_topside"]) for row in rows
    ]
    for name in ("inWater.value", "surface.age_ms"):
        assert str(table[name].type) == "double"
        assert [value is None for value in table[name].to_pylist()] == [not row[name] for row in rows]
    assert [value or "" for value in table["inWater.mode"].to_pylist()] == [
        row["inWater.mode"] for row in rows
    ]
    assert b"greatest error" in table.schema.field("time_max_error_ms").metadata[b"description"]


@pytest.mark.slow
def test_netcdf_has_the_same_rows_with_a_time_coordinate(tmp_path):
    h5py = pytest.importorskip("h5py", reason="it writes NetCDF")
    session = two_sensors(tmp_path)
    rows = rows_of(fuse(session, "--every", "100ms"))
    with h5py.File(fuse(session, "--every", "100ms", out="fused.nc")) as file:
        assert file["timestamp_topside"][:].tolist() == [instant_ns(row["timestamp_topside"]) for row in rows]
        assert file["timestamp_topside"].attrs["units"] == "nanoseconds since 1970-01-01T00:00:00Z"
        assert [text.decode() for text in file["inWater.mode"][:]] == [row["inWater.mode"] for row in rows]
        values = file["inWater.value"][:]
        assert np.isnan(values).tolist() == [not row["inWater.value"] for row in rows]
        assert np.nanmax(np.abs(values - [float(row["inWater.value"] or "nan") for row in rows])) == 0


def test_tables_in_parquet_are_fused_as_those_of_text(tmp_path):
    import pyarrow as pa  # noqa: PLC0415

    session = two_sensors(tmp_path)
    expected = rows_of(fuse(session, "--every", "1s"))
    path = session / "in-water_1" / "session.csv"
    rows = rows_of(path)
    stamps = pa.array([instant_ns(row["timestamp"]) for row in rows], pa.timestamp("ns", tz="UTC"))
    table = pa.table(
        {
            "timestamp": stamps,
            "mode": [row["mode"] for row in rows],
            "value": [float(row["value"]) for row in rows],
        }
    )
    parquet.write_table(table, path.with_suffix(".parquet"))
    path.unlink()
    found = rows_of(fuse(session, "--every", "1s"))
    assert [row["inWater.mode"] for row in found] == [row["inWater.mode"] for row in expected]
    assert [float(row["inWater.value"] or 0) for row in found] == [
        float(row["inWater.value"] or 0) for row in expected
    ]


def test_several_tables_of_a_sensor_are_one_and_others_get_names(tmp_path):
    session = two_sensors(tmp_path, water_s=np.arange(5, 40, 0.1))
    write_table(session / "in-water_2" / "session.csv", CLOCKS["steady"], np.arange(80, 100, 0.1), field)
    for path, column in (("in-water_1/depth.csv", "m"), ("sonar.csv", "age_ms")):
        header = f"timestamp,{column}"
        write_table(session / path, CLOCKS["steady"], np.arange(5, 50), str, header)
    rows = rows_of(fuse(session, "--every", "1s", "--file", str(session / "sonar.csv")))
    by_second = {round((instant_ns(row["timestamp_topside"]) - true_ns([0])[0]) / S): row for row in rows}
    assert by_second[10]["inWater.value"] == "10.000"
    assert by_second[90]["inWater.value"] == "90.000"
    assert by_second[10]["inWater_depth.m"] == "10"
    assert by_second[10]["sonar.age_ms (table)"] == "10"
    assert abs(float(by_second[10]["sonar.age_ms"])) < 1


def only_csv(session, *options, code=0):
    fuse(session, "--every", "1s", *options, code=code)


def test_which_clock_stamped_a_sensor(tmp_path, capsys):
    session = two_sensors(tmp_path)
    (session / "time_sync" / "exchanges.jsonl").unlink()
    make_session(session, CLOCKS["steady"], {}, vehicles=("rov1", "rov2"))

    def owners(*options):
        run(
            ["-q", "fuse", str(session), "--every", "1s", "--out", str(session / "o.csv"), "--json", *options]
        )
        document = json.loads(capsys.readouterr().out)
        return {each["sensor"]: each["vehicle"] for each in document["sensors"]}, document["left"]

    found, left = owners()
    assert found == {"surface": None}
    assert "inWater: no vehicle is known for it: --sensor inWater=VEHICLE" in left
    write_metadata(session, {"sensors": {"inWater": {"vehicle": "rov2"}}})
    assert owners()[0] == {"inWater": "rov2", "surface": None}
    assert owners("--sensor", "inWater=rov1", "--sensor", "surface=rov1")[0] == dict.fromkeys(
        ("inWater", "surface"), "rov1"
    )
    block = {"timeSync": {"tidesync": {"sensors": {"inWater": "rov1"}}}}
    write_metadata(session, {"sensors": {"inWater": {"vehicle": "rov2"}}} | block)
    assert owners()[0] == {"inWater": "rov1", "surface": None}


def test_a_sensor_without_any_row_on_the_axis_is_a_failure_and_the_table_is_written(tmp_path, capsys):
    session = two_sensors(tmp_path, surface_s=np.arange(500.0123457, 510, 0.1 + JITTER_S))
    rows = rows_of(fuse(session, "--on", "inWater", code=1))
    assert len(rows) == WATER_S.size
    assert "surface: none of its rows is on the time axis (100 rows, 100 ok)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--every", "100"], "expected a number and one of ns, us"),
        (["--every", "0ms"], "expected a number"),
        (["--every", "0.3ns"], "expected a number"),
        (["--every", "1s", "--on", "inWater"], "expected one of them"),
        (
            ["--on", "sonar"],
            "no sensor 'sonar' can be corrected in this session (there are: inWater, surface)",
        ),
        (["--every", "1ns"], "at most 50,000,000"),
        (["--out", "fused.xlsx"], "expected a name that ends in .csv, .parquet, .nc"),
        (["--tolerance", "-1ms"], "expected a number"),
    ],
)
def test_wrong_usage_says_what_is_accepted(tmp_path, options, words, capsys):
    session = two_sensors(tmp_path)
    extra = [] if "--out" in options else ["--out", str(session / "fused.csv")]
    assert run(["-q", "fuse", str(session), *extra, *options]) == 2
    assert words in capsys.readouterr().err
    assert not (session / "fused.csv").exists()


def test_no_table_that_is_read_is_overwritten(tmp_path, capsys):
    session = two_sensors(tmp_path)
    path = session / "in-water_1" / "session.csv"
    before = path.read_bytes()
    assert run(["-q", "fuse", str(session), "--out", str(path)]) == 2
    assert "it is one of the tables to be read" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_a_session_without_a_table_says_so(tmp_path, capsys):
    session = make_session(tmp_path, CLOCKS["steady"], {})
    only_csv(session, code=1)
    assert "there is no table to fuse" in capsys.readouterr().err


def test_what_the_settings_say_of_a_table_holds_here_too(tmp_path, monkeypatch):
    session = two_sensors(tmp_path)
    path = session / "in-water_1" / "session.csv"
    path.write_text(path.read_text().replace("timestamp,", "when,", 1))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tidesync.toml").write_text('[correct."in-water_1/session.csv"]\ncolumn = "when"\n')
    rows = rows_of(fuse(session, "--every", "1s"))
    assert rows[3]["inWater.value"]
    (tmp_path / "tidesync.toml").write_text('[correct]\ncolumn = "when"\n')
    assert "inWater.when" in rows_of(fuse(session, "--every", "1s"))[0]


@pytest.mark.parametrize("method", ["nearest", "linear"])
def test_a_table_without_rows_beside_others_leaves_its_columns_empty(tmp_path, method, capsys):
    session = two_sensors(tmp_path, surface_s=np.array([]))
    rows = rows_of(fuse(session, "--on", "inWater", "--method", method, code=1))
    assert {row["surface.value"] for row in rows} == {""}
    assert len(rows) == WATER_S.size
    assert "surface: none of its rows is on the time axis" in capsys.readouterr().err
