"""`tidesync.open_session`: the answers of `tidesync correct`, for whatever holds nanoseconds."""

import re
import subprocess
import sys
from datetime import datetime, timedelta, timezone

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet

import tidesync
from bench.estimators import traces
from bench.estimators.families import FAMILIES
from schemas.compat import UTC
from tests.simulation.test_correction import LOOPBACK
from tidesync.command_line import run
from tidesync.sessions.journal import lines_of

S = 1_000_000_000
SECONDS = 200.0
MISSING = -(2**63)


class Recorded:
    """A session in which the vehicle's clock was set back by 3 s, and its truth."""

    def __init__(self, folder):
        family = "step_back_3s"
        FAMILIES[family], before = LOOPBACK[family], FAMILIES.get(family)
        try:
            self.trace = traces.make_trace(family, seed=1, duration_s=2 * SECONDS)
        finally:
            FAMILIES.pop(family) if before is None else FAMILIES.update({family: before})
        self.folder = folder
        (folder / "time_sync").mkdir()
        (folder / "time_sync" / "exchanges.jsonl").write_bytes(lines_of(self.trace.exchanges))
        self.instants = np.arange(1.0, 2 * SECONDS - 1, 0.1)
        self.topside_ns = traces._topside_ns(self.instants)
        self.vehicle_ns = traces._pi_realtime_ns(self.trace.clock, self.instants)
        self.session = tidesync.open_session(folder)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    return Recorded(tmp_path_factory.mktemp("session"))


def test_the_session_names_its_vehicles_and_refuses_others(recorded):
    assert recorded.session.vehicles == ("rov1",)
    with pytest.raises(tidesync.NothingMeasuredError, match=r"'rov2' was not measured.*: rov1"):
        recorded.session.to_topside([0], vehicle="rov2")


def test_answers_are_those_of_correct(recorded):
    path = recorded.folder / "log.parquet"
    parquet.write_table(pa.table({"timestamp": pa.array(recorded.vehicle_ns)}), path)
    assert run(["-q", "correct", str(recorded.folder), "--file", str(path)]) == 0
    table = parquet.read_table(recorded.folder / "log.topside.parquet").to_pandas()
    found = recorded.session.to_topside(recorded.vehicle_ns, vehicle="rov1")
    assert found["state"].tolist() == table["time_state"].tolist()
    given = table["timestamp_topside"].notna().to_numpy()
    assert 0.95 < given.mean() < 1
    expected = table["timestamp_topside"].dt.tz_localize(None).to_numpy()
    assert (found["topside_unix_ns"].view("datetime64[ns]")[given] == expected[given]).all()
    assert (found["topside_unix_ns"][~given] == MISSING).all()
    for field, column in (("max_error_ns", "time_max_error_ms"), ("u95_ns", "time_u95_ms")):
        np.testing.assert_array_equal(found[field] / 1e6, table[column])
    off = np.abs(found["topside_unix_ns"] - recorded.topside_ns)[given]
    assert (off <= found["max_error_ns"][given]).all()
    assert (found["u95_ns"][given] <= found["max_error_ns"][given]).all()


def test_times_without_their_order_are_ambiguous_where_the_clock_showed_them_twice(recorded):
    found = recorded.session.to_topside(recorded.vehicle_ns, ordered=False)
    place = int(np.argmin(np.diff(recorded.vehicle_ns)))
    low, high = recorded.vehicle_ns[place + 1], recorded.vehicle_ns[place]
    twice = (recorded.vehicle_ns > low) & (recorded.vehicle_ns < high)
    assert twice.sum() > 50
    assert set(found["state"][twice]) == {"ambiguous"}
    assert (found["topside_unix_ns"][twice] == MISSING).all()
    assert np.isnan(found["max_error_ns"][twice]).all()
    apart = (recorded.vehicle_ns < low - S) | (recorded.vehicle_ns > high + S)
    assert set(found["state"][apart]) == {"ok"}
    one = recorded.session.to_topside(int(recorded.vehicle_ns[twice][20]))
    assert (one.shape, str(one["state"])) == ((), "ambiguous")


def test_back_on_the_vehicles_clock_the_truth_is_within_the_error(recorded):
    found = recorded.session.to_vehicle(recorded.topside_ns, vehicle="rov1", resolution_ns=0)
    given = found["state"] == "ok"
    assert given.mean() > 0.95
    off = np.abs(found["vehicle_unix_ns"] - recorded.vehicle_ns)[given]
    assert (off <= found["max_error_ns"][given]).all()
    assert np.percentile(off, 95) < 100_000
    assert set(found["state"]) == {"ok", "ambiguous"}
    assert (found["vehicle_unix_ns"][~given] == MISSING).all()
    beyond = recorded.session.to_vehicle(recorded.topside_ns[:3] - 3_600 * S, resolution_ns=0)
    assert set(beyond["state"]) <= {"outside", "ambiguous"}


def kinds(ns):
    """The same times in all that is accepted, and how finely each resolves them."""
    stamps = ns.astype("datetime64[ns]")
    oslo = pd.DatetimeIndex(stamps, tz="UTC").tz_convert("Europe/Oslo")
    yield "ints", ns, 1
    yield "uint64", ns.astype(np.uint64), 1
    yield "list", ns.tolist(), 1
    yield "datetime64[ns]", stamps, 1
    yield "two dimensions", stamps.reshape(2, -1), 1
    yield "index", pd.DatetimeIndex(stamps), 1
    yield "index with a zone", oslo, 1
    yield "series", pd.Series(stamps), 1
    yield "series with a zone", pd.Series(oslo), 1
    yield "series of integers", pd.Series(ns, dtype="Int64"), 1
    yield "series of objects", pd.Series(list(oslo), dtype=object), 1
    yield "series of pyarrow's", pd.Series(oslo).astype("timestamp[ns, tz=Europe/Oslo][pyarrow]"), 1
    yield "polars", pl.Series(stamps), 1
    yield (
        "polars with a zone",
        pl.Series(stamps).dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Oslo"),
        1,
    )
    yield "polars of integers", pl.Series(ns), 1
    yield "masked", np.ma.MaskedArray(ns, mask=False), 1
    yield "timestamps", list(oslo), 1
    yield "datetime64[us]", stamps.astype("datetime64[us]"), 1000
    yield "series of us", pd.Series(stamps.astype("datetime64[us]")), 1000
    yield "polars of us", pl.Series(stamps).cast(pl.Datetime("us")), 1000
    yield (
        "datetimes",
        [datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(n) // 1000) for n in ns],
        1000,
    )


NS = np.array([traces.START_REALTIME_NS + at * S + 123_456_789 + at for at in (20, 30, 40, 50)])


@pytest.mark.parametrize("name", [name for name, *_ in kinds(NS)])
def test_every_kind_of_times_gets_the_same_answers(recorded, name):
    times, step_ns = next((times, step) for each, times, step in kinds(NS) if each == name)
    expected = recorded.session.to_topside(NS, resolution_ns=1)
    found = recorded.session.to_topside(times, resolution_ns=step_ns)
    assert found.shape == np.shape(times)
    found = found.ravel()
    assert set(found["state"]) == {"ok"}
    assert (np.abs(found["topside_unix_ns"] - expected["topside_unix_ns"]) <= step_ns).all()
    assert (found["max_error_ns"] >= expected["max_error_ns"]).all()


def kinds_of_unit(ns, unit):
    """Times that are whole in `unit`, in all that can hold them in it."""
    stamps = ns.astype("datetime64[ns]").astype(f"datetime64[{unit}]")
    oslo = pd.DatetimeIndex(stamps, tz="UTC").tz_convert("Europe/Oslo")
    yield "array", stamps
    yield "scalars", list(stamps)
    yield "series", pd.Series(stamps)
    yield "series with a zone", pd.Series(oslo)
    yield "index with a zone", oslo
    yield "timestamps", list(oslo)
    yield "series of objects", pd.Series(list(oslo), dtype=object)
    yield "series of pyarrow's", pd.Series(pd.array(oslo, dtype=f"timestamp[{unit}, tz=UTC][pyarrow]"))
    yield "pyarrow's", pa.array(stamps)
    if unit != "s":  # which polars does not have
        polars = pl.Series(ns).cast(pl.Datetime("ns")).cast(pl.Datetime(unit))
        yield "polars", polars
        yield "polars with a zone", polars.dt.replace_time_zone("UTC")


def unit_of(times):
    """The unit that a column really holds; None of a list or a column of objects."""
    found = re.search(r"\b(ns|us|ms|s)\b", str(getattr(times, "dtype", getattr(times, "type", ""))))
    return found and found[1]


@pytest.mark.parametrize(("unit", "step_ns"), [("us", 1_000), ("ms", 1_000_000), ("s", S)])
def test_each_column_is_read_by_its_own_unit(recorded, unit, step_ns):
    ns = NS // step_ns * step_ns
    there = recorded.session.to_topside(ns, resolution_ns=0)
    back = recorded.session.to_vehicle(ns, resolution_ns=0)
    assert set(there["state"]) == set(back["state"]) == {"ok"}
    for name, times in kinds_of_unit(ns, unit):
        assert unit_of(times) in {unit, None}, name
        found = recorded.session.to_topside(times, resolution_ns=0)
        np.testing.assert_array_equal(found, there, err_msg=name)
        np.testing.assert_array_equal(recorded.session.to_vehicle(times, resolution_ns=0), back, err_msg=name)
        default = recorded.session.to_topside(times)
        assert set(default["state"]) <= {"ok", "outside"}  # outside: whole seconds are too coarse
        off = np.abs(default["topside_unix_ns"] - there["topside_unix_ns"])
        assert (off <= default["max_error_ns"]).all(), name


def missing():
    at = int(NS[0])
    yield [at, None]
    yield np.array([at, MISSING]).astype("datetime64[ns]")
    yield pd.Series(pd.to_datetime([at, pd.NaT], utc=True))
    yield pd.Series(pd.to_datetime([at, pd.NaT]))
    yield pd.Series([at, None], dtype="Int64")
    yield pd.Series([pd.Timestamp(at), None], dtype=object)
    yield pl.Series([at, None])
    yield pl.Series([at, None]).cast(pl.Datetime("ns", "UTC"))
    yield np.ma.MaskedArray([at, at], mask=[False, True])
    yield [datetime(2026, 1, 1, tzinfo=UTC), None]


@pytest.mark.parametrize(
    "times", list(missing()), ids=lambda times: f"{type(times).__module__} {getattr(times, 'dtype', '')}"
)
def test_missing_stays_missing(recorded, times):
    for found in (recorded.session.to_topside(times), recorded.session.to_vehicle(times)):
        assert found["state"][0] != "missing"
        assert found["state"][1] == "missing"
        assert np.isnat(found[found.dtype.names[0]].view("datetime64[ns]")[1])
        assert np.isnan(found["max_error_ns"][1])


@pytest.mark.parametrize(
    "times",
    [
        [],
        np.array([]),
        pd.Series([], dtype="datetime64[ns]"),
        pd.Series([], dtype=float),
        [None, None],
        pl.Series([], dtype=pl.Int64),
        pl.Series([]),
        pl.Series([None, None]),
    ],
)
def test_nothing_is_answered_with_nothing(recorded, times):
    found = recorded.session.to_topside(times)
    assert found.shape == (len(times),)
    assert set(found["state"]) <= {"missing"}
    assert recorded.session.to_vehicle(times).shape == (len(times),)


@pytest.mark.parametrize(
    ("times", "received"),
    [
        (1777636800.5, "received 1777636800.5: float64"),
        ([1777636800.5], "received 1777636800.5: float64"),
        (np.array([1.0]), "an array of float64: float64"),
        (pd.Series([1.0, None]), "a column of float64: float64"),
        (pd.Series([1.0, None], dtype="Float64"), "a column of Float64"),
        (pl.Series([1.0]), "a column of Float64: float64"),
        (np.array([True]), "an array of bool"),
        ([True], "received True"),
        (["2026-05-01T12:00:00Z"], "received '2026-05-01T12:00:00Z'"),
        (np.array(["2026-05-01"]), "an array of <U10"),
        (pd.Series(["2026-05-01"]), "received ('2026-05-01'|a column of str)"),  # pandas 2, pandas 3
        (pl.Series(["2026-05-01"]), "a column of String"),
        (pl.Series([1]).cast(pl.Duration("ns")), "a column of Duration"),
        (pd.Series([pd.Timedelta(1)]), "a column of timedelta64"),
        (np.array([1], dtype="timedelta64[ns]"), "an array of timedelta64"),
        (np.array([1], dtype="datetime64[ps]"), r"an array of datetime64\[ps\]"),
        (np.array([2**63], dtype=np.uint64), "received 9223372036854775808"),
        ([2**63], "received 9223372036854775808"),
        ([[1], [2, 3]], "received"),
        (object(), "received <object"),
        ({"a": 1}, "received {'a': 1}"),
        (pd.Timestamp("2300-01-01").as_unit("s"), "received Timestamp"),
        ([pd.Timestamp("1500-01-01").as_unit("s")], "received Timestamp"),
        (pl.DataFrame({"a": [1.0]}), "an array of float64"),
        (pl.LazyFrame({"a": [1]}), "received <LazyFrame"),
        (pl.col("a"), "received <Expr"),
        (pl.Series([1], dtype=pl.Int128), "a column of Int128"),
    ],
)
def test_what_holds_no_nanoseconds_is_refused_by_its_value(recorded, times, received):
    with pytest.raises(tidesync.UsageError, match=received) as raised:
        recorded.session.to_topside(times)
    assert isinstance(raised.value, tidesync.SessionError)


def test_a_zone_counts(recorded):
    zone = timezone(timedelta(hours=2))
    at = datetime.fromtimestamp(int(NS[0]) // S, UTC) + timedelta(microseconds=123_457)
    found = [
        recorded.session.to_topside(each, resolution_ns=0)["topside_unix_ns"]
        for each in (at, at.astimezone(zone), at.replace(tzinfo=None), at.replace(tzinfo=zone))
    ]
    assert found[0] == found[1] == found[2] != found[3]


def test_how_finely_times_resolve_is_part_of_the_error(recorded):
    whole = NS // S * S
    assert set(recorded.session.to_topside(whole)["state"]) == {"outside"}
    assert set(recorded.session.to_vehicle(whole)["state"]) == {"outside"}
    assert set(recorded.session.to_topside(whole, resolution_ns=1)["state"]) == {"ok"}
    coarse = recorded.session.to_vehicle(NS, resolution_ns=5_000_000)["max_error_ns"]
    assert (coarse > 5_000_000).all()


def test_the_track_has_the_columns_of_offsets_csv(recorded):
    track = recorded.session.track("rov1")
    assert len(track) == len(recorded.trace.exchanges)
    assert (track["vehicle_unix_ns"] == track["topside_unix_ns"] + track["offset_ns"]).all()
    assert (track["lower_ns"] <= track["offset_ns"]).all()
    assert (track["offset_ns"] <= track["upper_ns"]).all()
    true_ns = recorded.trace.truth_at(track["topside_unix_ns"])
    ok = track["state"] == "ok"
    assert (track["lower_ns"][ok] <= true_ns[ok]).all()
    assert (true_ns[ok] <= track["upper_ns"][ok]).all()
    assert set(track["segment"]) == {0, 1}


@pytest.mark.parametrize(
    "limits",
    [
        {"max_error_ms": 0},
        {"max_error_ms": "5"},
        {"max_error_ms": None},
        {"slew_limit_ppm": -1},
        {"rate_limit_ppm": 1e6},
        {"rate_limit_ppm": 0},
        {"instances": "abc"},
        {"instances": [3]},
    ],
)
def test_a_limit_out_of_its_range_is_named(recorded, limits):
    (name,) = limits
    with pytest.raises(tidesync.UsageError, match=re.escape(f", received {limits[name]!r}")) as raised:
        tidesync.open_session(recorded.folder, **limits)
    assert str(raised.value).startswith(f"{name}: expected ")


@pytest.mark.parametrize("resolution", [-1, 1.5, "1", True, 10**30, float("nan")])
def test_a_resolution_that_is_none_is_named(recorded, resolution):
    for convert in (recorded.session.to_topside, recorded.session.to_vehicle):
        with pytest.raises(tidesync.UsageError, match=re.escape(f"received {resolution!r}")):
            convert([1], resolution_ns=resolution)


def test_a_year_that_wraps_round_64_bits_is_no_time_of_the_session(recorded):
    day = next(
        (2**64 * turn + int(recorded.vehicle_ns[0]) // S + 100) // 86_400
        for turn in range(1, 86_400)
        if (2**64 * turn + int(recorded.vehicle_ns[0]) // S + 100) % 86_400 < 100
    )
    (found,) = recorded.session.to_topside(np.array([day], dtype="datetime64[D]"), resolution_ns=0)
    assert found["state"] == "outside"


def test_a_folder_without_exchanges_is_named(tmp_path):
    with pytest.raises(
        tidesync.NothingMeasuredError, match=r"exchanges.jsonl is missing.*no session's folder"
    ):
        tidesync.open_session(tmp_path)


def test_importing_the_package_imports_nothing_else():
    shown = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, tidesync; print(*(n for n in sys.modules if n in ('numpy', 'pydantic')))",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.strip() == ""
    assert {"open_session", "SessionError"} <= set(dir(tidesync))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        tidesync.nothing  # noqa: B018
