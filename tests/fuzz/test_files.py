"""Files of a session: whatever their lines hold, the honest vehicle's track stays as it is."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.altered import VALUES, budget, documents, payloads
from tests.unit import contracts
from tests.unit.test_correction_session import TABLE, log
from tidesync.sessions.correction.prepared import prepare
from tidesync.sessions.correction.session import Options
from tidesync.sessions.document import NotMetadataError, parse, render
from tidesync.sessions.errors import SessionError
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.journal import lines_of
from tidesync.sessions.recorder import closing
from tidesync.sessions.report.page import report_on
from tidesync.sessions.report.session import load

HONEST = log()
LINE = json.loads(log(vehicle="rov2")[5].encode())
EVENT = json.loads(contracts.VALID["event"].encode())
PIECE = json.loads(contracts.CLOCK_LINE.encode()) | {"machine": "vehicle", "name": "rov1"}
METADATA = {
    "schemaVersion": 1,
    "mission": "reef",
    "sensors": {"inWater": {"directory": "in-water_7", "vehicle": "rov1", "timezone": "UTC"}},
    "timeSync": {
        "inWater": {
            "method": "x",
            "offsetMs": 1.0,
            "uncertaintyMs": 2.0,
            "measuredAt": "2026-05-01T12:00:00Z",
        },
        "driftModel": None,
        "tidesync": {
            "sensors": {"inWater": "rov1"},
            "vehicles": {"rov1": {"topside": "topside", "missing": 0}},
        },
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("session")
    for name in ("time_sync", "in-water_7"):
        (path / name).mkdir()
    (path / "in-water_7" / "session.csv").write_text(TABLE)
    made = SessionFolder(path)
    made.exchanges_path.write_bytes(lines_of(HONEST))
    return made


@pytest.fixture(scope="module")
def honest(folder):
    return folder.measure()["rov1", "topside"].track


@budget(40)
@given(st.lists(payloads(LINE), min_size=1, max_size=6), st.integers(0, len(HONEST)))
def test_lines_of_another_vehicle_change_nothing_of_the_honest_ones_track(folder, honest, lines, place):
    lines = [line.replace(b"\n", b" ") for line in lines]
    before, after = lines_of(HONEST[:place]), lines_of(HONEST[place:])
    folder.exchanges_path.write_bytes(before + b"\n".join(lines) + b"\n" + after)
    try:
        measured = folder.measure()
        ended = closing.close(folder, {"rov1": "topside"}, 5)
    finally:
        folder.exchanges_path.write_bytes(lines_of(HONEST))
    if all(b"rov2" in line for line in lines):
        assert measured["rov1", "topside"].track == honest
    assert not measured.failed
    assert ended.summaries
    for each in measured.values():
        for row in each.track.rows:
            assert row.lower_ns <= row.offset_ns <= row.upper_ns


@budget(30)
@given(st.lists(payloads(EVENT), max_size=4), st.lists(payloads(PIECE), max_size=6), documents(METADATA))
def test_events_pieces_and_metadata_leave_a_report_and_a_plan(folder, events, pieces, metadata):
    paths = folder.events_path, folder.clock_path, folder.metadata_path
    contents = b"\n".join(events), b"\n".join(pieces), json.dumps(metadata).encode()
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    try:
        report_on(load(folder.path), "")
        with suppress(SessionError):
            prepared = prepare(folder, Options(sensors={"inWater": "rov1"}))
            assert not any("internal fault" in failure for failure in prepared.failed)
    finally:
        for path in paths:
            path.unlink()


@budget(60)
@given(st.one_of(VALUES.map(lambda value: json.dumps(value).encode()), payloads(METADATA)))
def test_a_document_is_kept_or_refused(content):
    with suppress(NotMetadataError):
        assert parse(render(parse(content))) == parse(content)
