"""`tidesync correct`: whose clock stamped each table, tables that are left as they are, exit codes."""

import json
import re
from datetime import datetime

import pytest

from schemas.compat import UTC
from schemas.instants import iso_from_ns
from tests.unit.test_recorder_session import EPOCH_S, at, exchange, recording
from tidesync.command_line import run
from tidesync.sessions.correction.clock_limits import slewed_sides
from tidesync.sessions.document import render
from tidesync.sessions.journal import lines_of
from tidesync.sessions.recorder.metadata import merge
from tidesync.sessions.recorder.session_log import SessionLog
from topside_agent.estimator import EstimatorSettings

S = 1_000_000_000
SETTINGS = EstimatorSettings()
TABLE = "timestamp,value\n" + "".join(
    f"{iso_from_ns((EPOCH_S + second) * S + second * 12_345_000)},1\n" for second in range(1, 9)
)


def log(vehicle="rov1", topside="topside", every_s=0.25, count=40):
    return [exchange(seq, seq * every_s, vehicle=vehicle, topside=topside) for seq in range(count)]


@pytest.fixture
def session(tmp_path):
    for folder in ("time_sync", "in-water_7", "surface_2"):
        (tmp_path / folder).mkdir()
    (tmp_path / "time_sync" / "exchanges.jsonl").write_bytes(lines_of(log()))
    for folder in ("in-water_7", "surface_2"):
        (tmp_path / folder / "session.csv").write_text(TABLE)
    return tmp_path


def correct(session, *options):
    return run(["-q", "correct", str(session), *options])


def outputs(session):
    return sorted(str(path.relative_to(session)) for path in session.rglob("*.topside.*"))


def write_metadata(session, vehicles, **changes):
    block = {"sensors": vehicles, "vehicles": {"rov1": {"topside": "topside"}}}
    document = {"schemaVersion": 1, "timeSync": {"inWater": None, "tidesync": block}} | changes
    (session / "sync_metadata.json").write_text(json.dumps(document))


def test_the_metadata_of_a_session_of_ours_suffices(session, capsys):
    write_metadata(session, {"inWater": "rov1"})
    assert correct(session) == 0
    assert outputs(session) == ["in-water_7/session.topside.csv"]
    assert (session / "time_sync" / "offsets.csv").read_text().count("\n") == 41
    out = capsys.readouterr().out
    assert "in-water_7/session.topside.csv: 8 rows of rov1: 8 ok" in out
    assert re.search("surface_2/session.csv +csv +left as it is +is taken to be stamped by topside", out)


def test_metadata_of_the_recorder_is_read(session):
    update = SessionLog(recording(), at(0)).metadata_update()
    document = merge(None, update, datetime(2026, 5, 1, tzinfo=UTC))
    (session / "sync_metadata.json").write_bytes(render(document))
    assert correct(session) == 0
    assert outputs(session) == ["in-water_7/session.topside.csv"]


def test_the_option_serves_other_sessions_and_overrides_the_metadata(session, capsys):
    assert correct(session, "--sensor", "inWater=rov1", "--sensor", "surface=rov1", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert [each["ok"] for each in document["files"]] == [8, 8]
    assert document["skipped"] == []
    assert outputs(session) == ["in-water_7/session.topside.csv", "surface_2/session.topside.csv"]


def test_an_output_is_not_corrected_again(session):
    for _ in range(2):
        assert correct(session, "--sensor", "inWater=rov1") == 0
    assert outputs(session) == ["in-water_7/session.topside.csv"]
    again = session / "in-water_7" / "session.topside.csv"
    assert correct(session, "--csv", str(again)) == 2


def test_a_sensor_folder_that_the_metadata_names_is_found(session):
    (session / "mast").mkdir()
    (session / "mast" / "log.csv").write_text(TABLE)
    write_metadata(session, {"camera": "rov1"}, sensors={"camera": {"directory": "C:\\dives\\x\\mast"}})
    assert correct(session) == 0
    assert outputs(session) == ["mast/log.topside.csv"]


def test_any_table_can_be_corrected(session, capsys):
    other = session / "elsewhere.csv"
    other.write_text(TABLE.replace("timestamp", "when"))
    assert correct(session, "--csv", str(other), "--column", "when") == 0
    assert outputs(session) == ["elsewhere.topside.csv"]
    assert "8 ok" in capsys.readouterr().out


def test_with_two_vehicles_a_table_needs_its_owner(session, capsys):
    (session / "time_sync" / "exchanges.jsonl").write_bytes(lines_of([*log(), *log("rov2")]))
    table = session / "x.csv"
    table.write_text(TABLE)
    assert correct(session, "--csv", str(table)) == 2
    assert "--vehicle whose clock stamped it: rov1, rov2" in capsys.readouterr().err
    assert correct(session, "--csv", str(table), "--vehicle", "rov2") == 0


def test_of_two_topsides_the_one_in_the_metadata_counts(session):
    ahead = [
        each.model_copy(update={"receive_ns": each.receive_ns + S, "transmit_ns": each.transmit_ns + S})
        for each in log(topside="b", count=60)
    ]
    (session / "time_sync" / "exchanges.jsonl").write_bytes(lines_of([*log(), *ahead]))
    write_metadata(session, {"inWater": "rov1"})
    assert correct(session) == 0
    row = (session / "in-water_7" / "session.topside.csv").read_text().splitlines()[1].split(",")
    assert row[2] == row[0]
    (session / "sync_metadata.json").unlink()
    assert correct(session, "--sensor", "inWater=rov1") == 0
    row = (session / "in-water_7" / "session.topside.csv").read_text().splitlines()[1].split(",")
    assert row[2] < row[0]


def test_a_track_that_cannot_be_written_is_named(session, capsys):
    (session / "time_sync" / "offsets.csv").mkdir()
    assert correct(session, "--sensor", "inWater=rov1") == 1
    assert "offsets.csv: Is a directory; it was not written" in capsys.readouterr().err


def test_a_session_with_broken_metadata_is_corrected(session):
    (session / "sync_metadata.json").write_text("{torn")
    assert correct(session, "--sensor", "inWater=rov1") == 0


@pytest.mark.parametrize("content", [None, b"", b'{"torn', b"\n\n"])
def test_without_an_exchange_nothing_is_corrected(session, content, capsys):
    path = session / "time_sync" / "exchanges.jsonl"
    path.unlink() if content is None else path.write_bytes(content)
    assert correct(session, "--sensor", "inWater=rov1") == 1
    assert "nothing was measured" in capsys.readouterr().err
    assert outputs(session) == []


def test_a_vehicle_that_was_not_measured_is_named_beside_those_that_were(session, capsys):
    assert correct(session, "--sensor", "inWater=rov9", "--sensor", "surface=rov1") == 1
    assert "'rov9' was not measured in this session; these were: rov1" in capsys.readouterr().err
    assert outputs(session) == ["surface_2/session.topside.csv"]


def test_a_session_without_a_table_says_so(session, capsys):
    assert correct(session) == 1
    captured = capsys.readouterr()
    assert "there is no table to correct" in captured.err
    assert re.search("in-water_7/session.csv +csv +left as it is +no vehicle is known for it", captured.out)


def test_rows_that_were_all_taken_at_another_time_are_a_failure(session, capsys):
    (session / "in-water_7" / "session.csv").write_text("timestamp\n2020-01-01T00:00:00Z\n")
    assert correct(session, "--sensor", "inWater=rov1") == 1
    assert "no row could be corrected" in capsys.readouterr().err
    assert outputs(session) == ["in-water_7/session.topside.csv"]


def test_malformed_rows_are_named_with_file_line_and_value(session, capsys):
    table = session / "in-water_7" / "session.csv"
    table.write_text(TABLE + "yesterday,1\n")
    assert correct(session, "--sensor", "inWater=rov1") == 0
    captured = capsys.readouterr()
    assert f"{table}, line 10: 'yesterday' is no timestamp" in captured.err
    assert "8 ok, 1 malformed" in captured.out


def test_a_table_without_timestamps_in_a_sensors_folder_is_left(session, capsys):
    (session / "in-water_7" / "notes.csv").write_text("who,what\n")
    assert correct(session, "--sensor", "inWater=rov1") == 0
    assert "line 1: there is no column 'timestamp'" in capsys.readouterr().out
    assert (
        correct(session, "--csv", str(session / "in-water_7" / "notes.csv"), "--sensor", "inWater=rov1") == 1
    )


@pytest.mark.parametrize(
    "options",
    [
        ["--sensor", "inWater"],
        ["--sensor", "inWater=Rov 1"],
        ["--sensor", "inWater=rov1", "--sensor", "inWater=rov2"],
        ["--vehicle", "../x"],
        ["--unit", "weeks"],
        ["--max-error-ms", "0"],
        ["--csv", "/nowhere.csv"],
    ],
)
def test_wrong_usage(session, options):
    assert correct(session, *options) == 2


def test_a_session_that_is_not_there_is_wrong_usage(tmp_path):
    assert correct(tmp_path / "nowhere") == 2


def test_the_limit_on_the_error_marks_rows(session):
    assert correct(session, "--sensor", "inWater=rov1", "--max-error-ms", "0.000001") == 1
    assert (session / "in-water_7" / "session.topside.csv").read_text().count(",outside") == 8


def moved(exchanges, **rates):
    """With realtime − RAW of a side drifting by `rates` in ppm."""
    start = exchanges[0].destination_ns
    return [
        each.model_copy(
            update={
                name: getattr(each, name) + round((each.destination_ns - start) * rate * 1e-6)
                for name, rate in rates.items()
            }
        )
        for each in exchanges
    ]


def test_the_exchanges_show_which_clocks_are_slewed():
    assert slewed_sides(log(), SETTINGS) == 0
    assert slewed_sides(moved(log(), pi_realtime_minus_raw_ns=5), SETTINGS) == 1
    both = moved(log(), pi_realtime_minus_raw_ns=5, topside_realtime_minus_raw_ns=-5)
    assert slewed_sides(both, SETTINGS) == 2
    unknown = [each.model_copy(update={"pi_realtime_minus_raw_ns": None}) for each in log()]
    assert slewed_sides(unknown, SETTINGS) == 2


def test_a_step_is_no_slewing():
    stepped = [
        each.model_copy(update={"pi_realtime_minus_raw_ns": 3 * S if each.seq > 20 else 0}) for each in log()
    ]
    assert slewed_sides(stepped, SETTINGS) == 0
