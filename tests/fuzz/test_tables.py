"""Tables: whatever rows they hold, a row that is answered is answered as in a table without the others."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.altered import TEXTS, budget
from tests.unit.test_correction_session import TABLE, log
from tidesync.command_line import run
from tidesync.sessions.journal import lines_of

ROWS = TABLE.splitlines()
FIELDS = st.one_of(
    TEXTS,
    st.sampled_from(["0", "-1", "nan", "1e400", "9" * 25, "1777636805", '"', "2026-05-01", ","]),
    st.integers(-(2**70), 2**70).map(str),
)


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    path = tmp_path_factory.mktemp("tables")
    for name in ("time_sync", "in-water_7"):
        (path / name).mkdir()
    (path / "time_sync" / "exchanges.jsonl").write_bytes(lines_of(log()))
    return path


def corrected(session, content):
    """The exit code, and the output's rows by the text of their timestamp."""
    table, output = (session / "in-water_7" / name for name in ("session.csv", "session.topside.csv"))
    output.unlink(missing_ok=True)
    table.write_bytes(content)
    code = run(["-q", "correct", str(session), "--sensor", "inWater=rov1"])
    if not output.exists():
        return code, {}
    with output.open(newline="", encoding="utf-8", errors="replace") as stream:
        return code, {row[0]: row for row in csv.reader(stream) if row}


@budget(15)
@given(st.lists(st.tuples(st.integers(1, len(ROWS)), FIELDS, FIELDS), min_size=1, max_size=3))
def test_rows_among_rubbish_are_answered_as_without_it_or_not_at_all(session, rubbish):
    _, alone = corrected(session, TABLE.encode())
    rows = list(ROWS)
    for place, stamp, value in rubbish:
        rows.insert(place, f"{stamp},{value}")
    code, found = corrected(session, "\n".join([*rows, ""]).encode("utf-8", "surrogatepass"))
    assert code in {0, 1, 2}
    for stamp, row in alone.items():
        if stamp in found and found[stamp][-1] == "ok":
            assert found[stamp][2] == row[2]


@budget(15)
@given(st.binary(max_size=200), st.integers(0, len(TABLE)), st.booleans())
def test_bytes_of_any_kind_end_without_an_exception(session, content, place, inside):
    table = TABLE.encode()
    made = table[:place] + content + table[place:] if inside else content
    assert corrected(session, made)[0] in {0, 1, 2}


@budget(10)
@given(st.binary(max_size=80), st.integers(0, 400), st.booleans())
def test_a_parquet_file_with_other_bytes_ends_without_an_exception(session, content, place, cut):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet  # noqa: PLC0415 - of an extra

    path = session / "in-water_7" / "session.parquet"
    stamps = [1_777_636_800_500_000_000 + number * 10**9 for number in range(8)]
    parquet.write_table(pyarrow.table({"timestamp": stamps}), path)
    made = path.read_bytes()
    place = min(place, len(made))
    path.write_bytes(made[:place] + content + (b"" if cut else made[place + len(content) :]))
    try:
        assert run(["-q", "correct", str(session), "--sensor", "inWater=rov1"]) in {0, 1, 2}
    finally:
        path.unlink()
