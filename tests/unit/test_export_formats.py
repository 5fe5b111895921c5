"""Each exported file is read back by the library that its users have, and states its sign."""

import csv
import io
import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from mcap.reader import make_reader
from pyarrow import parquet
from pyxdf.pyxdf import _clock_sync

from tests.unit.test_correction_session import log
from tests.unit.tracks import MS, S, row, stepped
from tidesync.command_line import run
from tidesync.sessions.export.fields import FIELDS, NOTES
from tidesync.sessions.export.formats import FORMATS
from tidesync.sessions.folder import OFFSET_COLUMNS
from tidesync.sessions.journal import lines_of

ROOT = Path(__file__).parents[2]
ROWS, TRUTH = stepped(3 * S)
MARKED = row(300, 0, 2, state="ambiguous")._replace(u95_ns=None)
TRACKS = {
    ("rov1", "topside"): [*ROWS, MARKED],
    ("rov2", "topside"): [row(1, -5 * MS)._replace(vehicle="rov2")],
}
ALL = [dict(zip(FIELDS, each, strict=True)) for rows in TRACKS.values() for each in rows]


@pytest.fixture
def session(tmp_path):
    (tmp_path / "time_sync").mkdir()
    (tmp_path / "time_sync" / "exchanges.jsonl").write_bytes(lines_of(log()))
    return tmp_path


def written(kind):
    stream = io.BytesIO()
    FORMATS[kind].write(TRACKS.items(), stream)
    return stream.getvalue()


def test_the_fields_are_those_of_offsets_csv():
    assert tuple(FIELDS) == OFFSET_COLUMNS


def test_csv_opens_with_plain_pandas_and_loses_no_nanosecond():
    table = pd.read_csv(io.BytesIO(written("csv")))
    assert list(table.columns) == list(FIELDS)
    assert table["topside_unix_ns"].tolist() == [each["topside_unix_ns"] for each in ALL]
    assert table["offset_ns"].tolist() == [each["offset_ns"] for each in ALL]
    assert table["u95_ns"].isna().tolist() == [each["u95_ns"] is None for each in ALL]
    found = list(csv.DictReader(written("csv").decode().splitlines()))
    assert found == [
        {name: "" if value is None else str(value) for name, value in each.items()} for each in ALL
    ]


def test_the_meaning_of_the_csv_is_in_a_file_beside_it(session, capsys):
    path = session / "out.csv"
    assert run(["export", str(session), "--format", "csv", "--output", str(path), "--json"]) == 0
    beside = session / "out.csv-metadata.json"
    assert json.loads(capsys.readouterr().out)["notes"] == str(beside)
    notes = json.loads(beside.read_text())
    assert notes["url"] == "out.csv"
    assert notes["notes"][0]["sign"] == NOTES["sign"]
    assert "no message travels back in time" in notes["notes"][0]["error"]
    assert [column["name"] for column in notes["tableSchema"]["columns"]] == list(FIELDS)


def test_parquet_reads_back_with_its_meaning():
    table = parquet.read_table(io.BytesIO(written("parquet")))
    assert table.to_pylist() == ALL
    assert table.schema.metadata[b"sign"].decode() == NOTES["sign"]
    assert table.schema.metadata[b"error"].decode() == NOTES["error"]
    assert b"positive when the Pi is ahead" in table.schema.field("offset_ns").metadata[b"description"]


def test_mcap_reads_back_with_a_channel_for_each_vehicle():
    reader = make_reader(io.BytesIO(written("mcap")))
    messages = list(reader.iter_messages())
    found = [json.loads(message.data) for _, _, message in messages]
    key = "topside_unix_ns"
    assert sorted(found, key=lambda each: (each["vehicle"], each[key])) == ALL
    assert all(message.log_time == json.loads(message.data)[key] for _, _, message in messages)
    schema, channel, _ = messages[0]
    assert json.loads(schema.data)["properties"]["offset_ns"]["description"].endswith(NOTES["sign"])
    assert channel.metadata == dict(NOTES)
    assert {channel.topic for _, channel, _ in messages} == {
        "tidesync/offset/rov1/topside",
        "tidesync/offset/rov2/topside",
    }


EXAMPLE = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "correction.md").read_text("utf-8"), re.DOTALL)[
    1
]


def test_the_example_of_the_documents_fits_each_segment_by_itself_with_pyxdf():
    """A step of 3 s in the middle, which pyxdf alone takes for noise."""
    document = json.loads(written("xdf-offsets"))
    assert "added to the Pi's timestamps" in document["sign"]
    pairs = document["streams"][0]
    assert len(pairs["clock_times"]) == len(ROWS)  # the ambiguous row is left out
    assert pairs["clock_segments"] == [[0, 399], [400, len(ROWS) - 1]]
    names = {}
    exec(EXAMPLE, names)
    pi = np.array(pairs["clock_times"])
    topside = np.array([each.topside_unix_ns / 1e9 for each in ROWS])
    assert np.abs(names["to_topside"](pi, pairs) - topside).max() < 2e-6
    between = (pi[399] + pi[400]) / 2
    assert np.isnan(names["to_topside"](np.array([between, pi[0] - 1]), pairs)).all()
    alone = SimpleNamespace(
        time_stamps=pi.copy(),
        clock_times=pairs["clock_times"],
        clock_values=pairs["clock_values"],
        clock_segments=[],
    )
    _clock_sync({1: alone})
    assert np.abs(alone.time_stamps - topside).max() > 1


def test_stamps_that_a_step_back_repeats_have_no_answer_in_the_example():
    rows, _ = stepped(-3 * S)
    stream = io.BytesIO()
    FORMATS["xdf-offsets"].write([(("rov1", "topside"), rows)], stream)
    pairs = json.loads(stream.getvalue())["streams"][0]
    names = {}
    exec(EXAMPLE, names)
    pi = np.array([each.pi_unix_ns / 1e9 for each in rows])
    found = names["to_topside"](pi, pairs)
    repeated = (pi >= pi[400]) & (pi <= pi[399])
    assert (np.isnan(found) == repeated).all()


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("csv", "track.csv"),
        ("parquet", "track.parquet"),
        ("xdf-offsets", "track.xdf-offsets.json"),
        ("mcap", "track.mcap"),
    ],
)
def test_the_command_writes_each_format_twice_the_same(session, kind, name, capsys):
    path = session / "time_sync" / name
    assert run(["export", str(session), "--format", kind, "--json"]) == 0
    first = path.read_bytes()
    assert json.loads(capsys.readouterr().out)["rows"] == {"ok": 40}
    assert run(["export", str(session), "--format", kind]) == 0
    assert path.read_bytes() == first
    elsewhere = session / "elsewhere"
    assert run(["export", str(session), "--format", kind, "--output", str(elsewhere)]) == 0
    assert elsewhere.read_bytes() == first


def test_an_output_that_cannot_be_written_and_a_session_without_exchanges_are_errors(
    session, tmp_path, capsys
):
    nowhere = str(tmp_path / "no" / "where.csv")
    assert run(["export", str(session), "--format", "csv", "--output", nowhere]) == 1
    assert "No such file or directory; nothing was written" in capsys.readouterr().err
    (session / "time_sync" / "exchanges.jsonl").unlink()
    assert run(["export", str(session), "--format", "csv"]) == 1
    assert run(["export", str(session), "--format", "tapes"]) == 2
    assert run(["export", nowhere, "--format", "csv"]) == 2
