"""A Parquet table keeps its columns, of whatever type its timestamps are."""

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.unit.tracks import START, S, raw_of, stepped
from tidesync.sessions.correction.clock_limits import ClockLimits
from tidesync.sessions.correction.driver import correct
from tidesync.sessions.correction.formats import output_of
from tidesync.sessions.correction.table import Job
from tidesync.sessions.correction.timeline import timeline
from tidesync.sessions.errors import NoTimestampError, UnusableFileError

ROWS, TRUTH = stepped(-3 * S)
TIMELINE = timeline(ROWS, raw_of(ROWS), ClockLimits())
SECONDS = [1, 2, 100, 150]
PI = [START + at * S + round(TRUTH(at)) for at in SECONDS]


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


def test_progress_adds_up_to_what_is_read(tmp_path):
    path = tmp_path / "log.parquet"
    write(path, pa.array(PI))
    reported = []
    correct(Job(path, "rov1"), TIMELINE, reported.append)
    assert sum(reported) == pytest.approx(2 * path.stat().st_size, abs=4)


def test_what_is_no_parquet_is_named(tmp_path):
    path = tmp_path / "log.parquet"
    path.write_bytes(b"not parquet at all")
    with pytest.raises(UnusableFileError, match=r"log\.parquet"):
        correct(Job(path, "rov1"), TIMELINE, lambda _: None)
    assert not output_of(path).exists()
