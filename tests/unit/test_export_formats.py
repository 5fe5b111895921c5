"""Each exported file is read back by the library that its users have, and states its sign."""

import csv
import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
from mcap.reader import make_reader
from pyarrow import parquet
from pyxdf.pyxdf import _clock_sync

from tests.unit.test_correction_session import log
from tests.unit.tracks import MS, S, row, stepped
from tidesync.__main__ import run
from tidesync.sessions.export.fields import FIELDS, NOTES
from tidesync.sessions.export.formats import FORMATS
from tidesync.sessions.folder import OFFSET_COLUMNS
from tidesync.sessions.journal import lines_of

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
    FORMATS[kind].write(TRACKS, stream)
    return stream.getvalue()


def test_the_fields_are_those_of_offsets_csv():
    assert tuple(FIELDS) == OFFSET_COLUMNS


def test_csv_states_its_meaning_before_its_header():
    lines = written("csv").decode().splitlines()
    comments = [line for line in lines if line.startswith("#")]
    assert comments[0] == "# sign: " + NOTES["sign"]
    assert any("no message travels back in time" in line for line in comments)
    found = list(csv.DictReader(lines[len(comments) :]))
    assert found == [
        {name: "" if value is None else str(value) for name, value in each.items()} for each in ALL
    ]


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


def test_pyxdf_corrects_the_pis_stamps_to_topside_by_the_pairs():
    document = json.loads(written("xdf-offsets"))
    assert "added to the Pi's timestamps" in document["sign"]
    pairs = document["streams"][0]
    assert len(pairs["clock_times"]) == len(ROWS)  # the ambiguous row is left out
    before = sum(segment == 0 for segment in pairs["segments"])
    pi = np.array(pairs["clock_times"][:before])
    stream = SimpleNamespace(
        time_stamps=pi.copy(),
        clock_times=pairs["clock_times"][:before],
        clock_values=pairs["clock_values"][:before],
        clock_segments=[],
    )
    _clock_sync({1: stream})
    topside = np.array([each.topside_unix_ns / 1e9 for each in ROWS[:before]])
    assert np.abs(stream.time_stamps - topside).max() < 2e-6
    assert np.abs(pi - topside).max() > 0.1


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
