"""Strangers' crates, and records of corrections: whatever these hold, nothing outside of them is touched."""

import json
import shutil
import tempfile
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.altered import budget, payloads
from tests.unit.test_correction_session import TABLE, log
from tidesync.command_line import run
from tidesync.sessions.crate.document import METADATA
from tidesync.sessions.crate.reading import read_contents
from tidesync.sessions.crate.reproduction import reproduce
from tidesync.sessions.errors import SessionError
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.journal import lines_of

SENSOR = ("--sensor", "inWater=rov1")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A session that was corrected, and its crate."""
    root = tmp_path_factory.mktemp("crates")
    session = root / "session_1"
    for name in ("time_sync", "in-water_7"):
        (session / name).mkdir(parents=True)
    (session / "in-water_7" / "session.csv").write_text(TABLE)
    (session / "in-water_7" / "second.csv").write_text(TABLE)
    SessionFolder(session).exchanges_path.write_bytes(lines_of(log()))
    elsewhere = root / "elsewhere.csv"
    elsewhere.write_text(TABLE)
    assert run(["-q", "correct", str(session), *SENSOR, "--file", str(elsewhere), "--vehicle", "rov1"]) == 0
    assert run(["-q", "export", str(session), "--format", "ro-crate"]) == 0
    (root / "temporary").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(root / "temporary"))
        yield root


@pytest.fixture(scope="module")
def valid(place):
    return json.loads((place / "session_1.ro-crate" / METADATA).read_text("utf-8"))


def contents_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@budget(40)
@given(st.data())
def test_a_crate_is_reproduced_or_refused_and_nothing_is_written(place, valid, data):
    crate = place / "session_1.ro-crate"
    before = contents_of(place)
    content = data.draw(payloads(valid))
    (crate / METADATA).write_bytes(content)
    try:
        with suppress(SessionError):
            result = reproduce(crate, lambda _: None)
            contents = read_contents(crate)
            assert {*result.reproduced} <= {*contents.results}
            assert not any("internal fault" in each for each in result.failed)
            assert result.reproduced or not result.complete
    finally:
        (crate / METADATA).write_text(json.dumps(valid))
    assert contents_of(place).keys() == before.keys()
    assert not any((place / "temporary").iterdir())


@budget(15)
@given(st.data())
def test_a_record_of_corrections_that_is_damaged_costs_no_correction(place, data):
    session = place / "copy"
    shutil.rmtree(session, ignore_errors=True)
    shutil.copytree(place / "session_1", session)
    record = SessionFolder(session).corrections_path
    record.write_bytes(data.draw(payloads(json.loads(record.read_bytes()))))
    outside = contents_of(place / "session_1")
    try:
        assert run(["-q", "correct", str(session), *SENSOR, "--again"]) == 0
        assert json.loads(record.read_bytes())["runs"]
        assert contents_of(place / "session_1") == outside
    finally:
        shutil.rmtree(session)
