"""A Parquet table keeps its columns, of whatever type its timestamps are."""

from datetime import time
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.unit.tracks import START, S, raw_of, stepped
from tidesync.sessions.correction import parquet_rows
from tidesync.sessions.correction.clock_limits import ClockLimits
from tidesync.sessions.correction.driver import correct
from tidesync.sessions.correction.formats import output_of
from tidesync.sessions.correction.from_track import timeline
from tidesync.sessions.correction.stamps.options import StampOptions
from tidesync.sessions.correction.table import Job
from tidesync.sessions.errors import NoTimestampError, UnusableFileError

ROWS, TRUTH = stepped(-3 * S)
TIMELINE = timeline(ROWS, raw_of(ROWS), ClockLimits())
ONE = timeline([each for each in ROWS if not each.segment], raw_of(ROWS), ClockLimits())
SECONDS = [1, 2, 100, 150]
PI = [START + at * S + round(TRUTH(at)) for at in SECONDS]
UTC = StampOptions(zone="UTC")


def write(path, stamps, **options):
    table = pa.table(
        {"timestamp": stamps, "value": pa.array(list("abcde")[: len(stamps)]).dictionary_encode()},
        metadata={"made by": "a test"},
    )
    parquet.write_table(table, path, **options)
    return table


@pytest.mark.parametrize(
    "stamps",
    [
        pa.array([*PI, None], pa.timestamp("ns")),
        pa.array([*(ns // 1000 for ns in PI), None], pa.timestamp("us", tz="Europe/Oslo")),
        pa.array([*PI, None], pa.int64()),
        pa.array([*(ns / 1e9 for ns in PI), float("nan")], pa.float64()),
        pa.array([*(str(ns) for ns in PI), "never"], pa.string()),
    ],
    ids=["ns", "us", "int", "float", "text"],
)
def test_each_kind_of_column_is_corrected_and_kept(tmp_path, stamps):
    path = tmp_path / "log.parquet"
    write(path, stamps, row_group_size=2, compression="zstd")
    table = parquet.read_table(path)
    result = correct(Job(path, "rov1"), TIMELINE, lambda _: None)
    found = parquet.read_table(output_of(path))
    kept = found.select(table.column_names)
    assert kept.schema == table.schema
    assert str(kept.to_pylist()) == str(table.to_pylist())  # NaN is not equal to itself
    assert found.schema.metadata[b"made by"] == b"a test"
    assert found["time_state"].to_pylist() == ["ok", "ok", "ambiguous", "ok", None]
    topside = found["timestamp_topside"].cast("int64").to_pylist()
    assert [None if ns is None else round((ns - START) / S, 5) for ns in topside] == [1, 2, None, 150, None]
    errors = found["time_max_error_ms"].to_pylist()
    assert [error is None for error in errors] == [False, False, True, False, True]
    u95 = found["time_u95_ms"].to_pylist()
    assert all(one < other for one, other in zip(u95, errors, strict=True) if other is not None)
    assert (result.rows, result.malformed, result.shown[0][0]) == (5, 1, 5)
    first = output_of(path).read_bytes()
    correct(Job(path, "rov1"), TIMELINE, lambda _: None)
    assert output_of(path).read_bytes() == first


def test_what_holds_no_timestamps_is_named(tmp_path):
    path = tmp_path / "log.parquet"
    write(path, pa.array([True]))
    with pytest.raises(UnusableFileError, match="holds bool"):
        correct(Job(path, "rov1"), TIMELINE, lambda _: None)
    with pytest.raises(NoTimestampError, match="no column 'when'"):
        correct(Job(path, "rov1", column="when"), TIMELINE, lambda _: None)


@pytest.mark.parametrize("tz", [None, "Europe/Oslo"])
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_timestamps_that_are_no_dates_are_malformed(tmp_path, unit, tz):
    path = tmp_path / "log.parquet"
    own = [ns // {"ms": 10**6, "us": 1000, "ns": 1}[unit] for ns in PI]
    write(path, pa.array([own[0], 2**63 - 1, -(2**63) + 1, own[1]], pa.timestamp(unit, tz=tz)))
    job = Job(path, "rov1", stamps=UTC)
    result = correct(job, timeline(ROWS, raw_of(ROWS), ClockLimits(max_error_ns=2 * S)), lambda _: None)
    assert (result.counts["ok"], result.malformed) == (2, 2)
    assert [each.place for each in result.shown] == [2, 3]


def test_progress_adds_up_to_what_is_read(tmp_path):
    path = tmp_path / "log.parquet"
    write(path, pa.array(PI))
    reported = []
    correct(Job(path, "rov1"), TIMELINE, reported.append)
    assert sum(reported) == pytest.approx(2 * path.stat().st_size, abs=4)


EVERY = {
    "f": pa.array([0.1, 1e30, -0.0, float("inf"), None], pa.float32()),
    "decimal": pa.array([Decimal("1.23")] * 4 + [None], pa.decimal128(9, 2)),
    "text": pa.array(["a", "b", "a", "b", None]).dictionary_encode(),
    "list": pa.array([[1, None], [], None, [2], [3]]),
    "of": pa.array([{"x": 1, "y": "q"}] * 5),
    "time": pa.array([time(1, 2)] * 5, pa.time64("us")),
    "fixed": pa.array([b"x" * 16] * 5, pa.binary(16)),
    "map": pa.array([[("k", 1)]] * 5, pa.map_(pa.string(), pa.int32())),
    "small": pa.array(range(5), pa.uint16()),
}


@pytest.mark.parametrize(
    "options",
    [
        {"compression": {"timestamp": "none", "f": "zstd", "text": "gzip", "small": "brotli"}},
        {"compression": "none", "store_decimal_as_integer": True, "write_time_adjusted_to_utc": True},
        {"compression": "lz4", "use_deprecated_int96_timestamps": True, "use_dictionary": ["text"]},
        {"row_group_size": 2, "sorting_columns": [parquet.SortingColumn(0)], "use_dictionary": False},
    ],
)
def test_a_table_is_written_as_it_was_written(tmp_path, options):
    path = tmp_path / "log.parquet"
    table = pa.table({"timestamp": pa.array([*PI, None], pa.timestamp("ns", tz="UTC"))} | EVERY)
    parquet.write_table(table, path, **options)
    assert correct(Job(path, "rov1"), TIMELINE, lambda _: None).counts["ok"] == 3
    before, after = parquet.ParquetFile(path), parquet.ParquetFile(output_of(path))
    assert after.read().select(table.column_names).equals(before.read())
    assert after.num_row_groups == before.num_row_groups
    for group in range(before.num_row_groups):
        old, new = before.metadata.row_group(group), after.metadata.row_group(group)
        assert (old.num_rows, old.sorting_columns) == (new.num_rows, new.sorting_columns)
        for index in range(old.num_columns):
            kept = ("path_in_schema", "physical_type", "compression", "encodings")
            assert [getattr(old.column(index), name) for name in kept] == [
                getattr(new.column(index), name) for name in kept
            ]


def test_row_groups_without_rows_stay_and_a_table_of_none_is_written(tmp_path):
    path = tmp_path / "log.parquet"
    table = pa.table({"timestamp": pa.array(PI)})
    for sizes in ([2, 0, 2, 0, 0], [0, 4], [0], []):
        with parquet.ParquetWriter(path, table.schema) as writer:
            for end, size in zip(np.cumsum(sizes).tolist(), sizes, strict=True):
                writer.write_table(table.slice(end - size, size))
        assert correct(Job(path, "rov1"), TIMELINE, lambda _: None).rows == sum(sizes)
        metadata = parquet.ParquetFile(output_of(path)).metadata
        assert [metadata.row_group(each).num_rows for each in range(metadata.num_row_groups)] == sizes


@pytest.mark.parametrize(
    "elapsed",
    [
        pa.array([1_000_000_007, 150_000_000_011]),
        pa.array([1_000_000_007.0, 150_000_000_011.0]),
        pa.array([1_000_007, 150_000_011], pa.duration("us")),
        pa.array(["1000000007", "150000000011"]),
    ],
    ids=["int", "float", "duration", "text"],
)
@pytest.mark.parametrize("anchored", [False, True])
def test_elapsed_times_count_from_their_anchor(tmp_path, elapsed, anchored):
    path = tmp_path / "log.parquet"
    rows, truth = stepped(0, at_s=1e9)
    rows = [each._replace(segment=0) for each in rows]
    start = START + round(truth(0))
    starts = pa.array([start, start], pa.timestamp("ns", tz="Europe/Oslo"))
    parquet.write_table(pa.table({"start": starts, "boot (ns)": elapsed}), path)
    since = "start" if anchored else str(np.datetime64(start, "ns")) + "Z"
    job = Job(path, "rov1", column="boot (ns)", stamps=StampOptions(since=since))
    own = timeline(rows, raw_of(rows), ClockLimits())
    if anchored and pa.types.is_duration(elapsed.type):
        with pytest.raises(UnusableFileError, match="holds duration"):
            correct(job, own, lambda _: None)
        return
    assert correct(job, own, lambda _: None).counts["ok"] == 2
    topside = parquet.read_table(output_of(path))["timestamp_topside"].cast("int64").to_pylist()
    assert [round((ns - START) / S, 2) for ns in topside] == [1, 149.99]


def test_timestamps_are_no_elapsed_times(tmp_path):
    path = tmp_path / "log.parquet"
    write(path, pa.array(PI, pa.timestamp("ns")))
    with pytest.raises(UnusableFileError, match="--since: column 'timestamp' holds timestamp"):
        correct(Job(path, "rov1", stamps=StampOptions(since="2026-05-01T12:00:00Z")), ONE, lambda _: None)


def test_a_page_that_its_checksum_refutes_is_refused(tmp_path):
    path = tmp_path / "log.parquet"
    options = {"compression": "none", "use_dictionary": False, "write_page_checksum": True}
    write(path, pa.array(PI), **options)
    content = path.read_bytes()
    place = content.index(PI[1].to_bytes(8, "little"))
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    with pytest.raises(UnusableFileError, match="checksum"):
        correct(Job(path, "rov1"), TIMELINE, lambda _: None)


def test_what_cannot_be_written_as_it_is_is_refused(tmp_path):
    path = tmp_path / "log.parquet"
    write(
        path,
        pa.array([253402300799 * 10**6, PI[0] // 1000], pa.timestamp("us")),
        use_deprecated_int96_timestamps=True,
    )
    with pytest.raises(UnusableFileError, match="'timestamp' has INT96 timestamps beyond 1677"):
        correct(Job(path, "rov1", stamps=UTC), TIMELINE, lambda _: None)
    parquet.write_table(pa.table([pa.array(PI), pa.array(PI)], names=["timestamp", "timestamp"]), path)
    with pytest.raises(UnusableFileError, match="several columns are named 'timestamp'"):
        correct(Job(path, "rov1"), TIMELINE, lambda _: None)
    assert not output_of(path).exists()


def test_what_is_no_parquet_is_named(tmp_path):
    path = tmp_path / "log.parquet"
    path.write_bytes(b"not parquet at all")
    with pytest.raises(UnusableFileError, match=r"log\.parquet"):
        correct(Job(path, "rov1"), TIMELINE, lambda _: None)
    assert not output_of(path).exists()


_POOLS = []
"""They have to live as long as what was allocated from them."""


@pytest.fixture(scope="module")
def huge_row_group(tmp_path_factory):
    """A million rows in one row group, of values that do not compress."""
    path = tmp_path_factory.mktemp("huge") / "log.parquet"
    stamps = np.linspace(PI[0], PI[1], 1_000_000).astype(np.int64)
    values = np.random.default_rng(1).normal(size=(6, stamps.size))
    columns = {"timestamp": pa.array(stamps, pa.timestamp("ns", tz="UTC"))}
    columns |= {f"v{number}": each for number, each in enumerate(values)}
    columns["mode"] = pa.array(np.array(["idle", "run"])[stamps % 2])
    order = [parquet.SortingColumn(0)]
    parquet.write_table(pa.table(columns), path, row_group_size=stamps.size, sorting_columns=order)
    return path


@pytest.mark.slow
def test_of_a_huge_row_group_only_a_part_is_in_memory_and_it_stays_one(huge_row_group, tmp_path):
    uncompressed = parquet.read_metadata(huge_row_group).row_group(0).total_byte_size
    output, usual = tmp_path / "out.parquet", pa.default_memory_pool()
    pool = pa.proxy_memory_pool(usual)
    _POOLS.append(pool)
    pa.set_memory_pool(pool)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(parquet_rows, "MOST_BYTES", 4 << 20)
            correct(Job(huge_row_group, "rov1"), ONE, lambda _: None, output)
    finally:
        pa.set_memory_pool(usual)
    assert 0 < pool.max_memory() < uncompressed / 2
    with parquet.ParquetFile(output) as found, parquet.ParquetFile(huge_row_group) as original:
        (group,) = (found.metadata.row_group(index) for index in range(found.num_row_groups))
        assert group.num_rows == original.metadata.num_rows
        assert group.sorting_columns == original.metadata.row_group(0).sorting_columns
        table = original.read()
        assert found.read(table.column_names).equals(table)
        assert found.read(["time_state"])["time_state"].to_pylist().count("ok") > 999_990


@pytest.mark.parametrize("most", [0, 1 << 30])
def test_a_row_group_from_a_file_is_written_as_one_from_memory(tmp_path, monkeypatch, most):
    """Dictionaries and nested columns too, in several row groups."""
    path = tmp_path / "log.parquet"
    rng = np.random.default_rng(2)
    stamps = np.linspace(PI[0], PI[1], 150_000).astype(np.int64)
    words = [["a", "b", None, f"w{number % 977}"][number % 4] for number in range(stamps.size)]
    table = pa.table(
        {
            "timestamp": stamps,
            "word": pa.array(words).dictionary_encode(),
            "list": pa.array([[1, 2]] * stamps.size),
            "value": rng.normal(size=stamps.size),
        }
    )
    parquet.write_table(table, path, row_group_size=70_000)
    monkeypatch.setattr(parquet_rows, "MOST_BYTES", most)
    correct(Job(path, "rov1"), ONE, lambda _: None)
    with parquet.ParquetFile(output_of(path)) as found:
        groups = [found.metadata.row_group(index) for index in range(found.num_row_groups)]
        assert [group.num_rows for group in groups] == [70_000, 70_000, 10_000]
        assert found.read(table.column_names).equals(table)
