"""A session of ten million exchanges, ten vehicles for three days, resumes in little memory."""

import json
import subprocess
import sys
from array import array

import pytest

from tests.unit.test_recorder_resume import recorder
from tests.unit.test_recorder_session import at, exchange, recording
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.journal import lines_of, source_of
from tidesync.sessions.recorder.recorded import SLOTS
from tidesync.sessions.recorder.session_log import SessionLog

VEHICLES = [f"rov{number}" for number in range(10)]
EACH = 1_000_000
LINE_BYTES = 434
MOST_MB = 150
RESUME = """
import json, sys, time
from pathlib import Path
from runtime.clock import Reading
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.recorder.recording import Recording
from tidesync.sessions.recorder.resumption import resume

folder, recording = SessionFolder(Path(sys.argv[1])), Recording.decode(sys.argv[2])
began_s = time.monotonic()
found = resume(folder, recording, {}, Reading(10**9, 0, 0))
resumed = {"seconds": time.monotonic() - began_s, "lines read": found.unindexed}
resumed["exchanges"] = found.log.exchanges
status = Path("/proc/self/status").read_text()  # ru_maxrss counts who started this process, too
resumed["most MB"] = int(status.partition("VmHWM:")[2].split()[0]) / 1000
print(json.dumps(resumed))
"""


def long_session(folder):
    """Its index, and a journal as long as all of it that has only its last lines."""
    folder.time_sync_path.mkdir(parents=True)
    log, last = SessionLog(recording(sensors={}), at(0)), []
    for vehicle in VEHICLES:
        log.expect(vehicle, EACH, at(0))
        last.append(exchange(EACH - 1, 9.0, vehicle=vehicle))
        numbers = log._recorded.of(source_of(last[-1]))
        numbers._layers.append({n: array("I", [0, *range(1, SLOTS + 1)]) for n in range(EACH // SLOTS)})
    log.take(last, 0, at(10))
    with folder.exchanges_path.open("wb") as journal:
        journal.truncate(len(VEHICLES) * EACH * LINE_BYTES)
        journal.seek(0, 2)
        journal.write(b"\n" + lines_of(last))
    snapshot, parts = log.snapshot()
    recorder(folder.path.parent).store.write_index(snapshot.encode(), parts)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc, and a sparse file")
def test_ten_million_exchanges_are_resumed_without_reading_them(tmp_path):
    folder = SessionFolder(tmp_path / "session_s1")
    long_session(folder)
    command = [sys.executable, "-c", RESUME, str(folder.path), recording(sensors={}).encode().decode()]
    asked = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert asked.returncode == 0, asked.stderr
    resumed = json.loads(asked.stdout)
    assert resumed["lines read"] == 0
    assert resumed["exchanges"] >= len(VEHICLES) * EACH
    assert resumed["most MB"] < MOST_MB
