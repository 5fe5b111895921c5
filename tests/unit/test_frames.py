"""Journals in frames: whatever is torn or damaged, the other frames are read, and the tail is repaired."""

import io
import random

import pytest

from tests.effort import tries
from tests.unit.test_recorder_session import at, exchange, measured, recording
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.frames import FrameStream, frame_of, whole_end
from tidesync.sessions.journal import lines_of
from tidesync.sessions.recorder import files
from tidesync.sessions.recorder.resumption import resume
from tidesync.sessions.recorder.session_recorder import SessionRecorder
from tidesync.sessions.recorder.settings import RecorderSettings

EACH = 20
PARTS = [frame_of(b"".join(b"frame %d line %d\n" % (one, line) for line in range(EACH))) for one in range(5)]
WHOLE = b"".join(PARTS)
NAMES = [f"rov{number}" for number in range(60)]


def lines(content):
    return list(io.BufferedReader(FrameStream(io.BytesIO(content))))


LINES = lines(WHOLE)


def test_the_lines_of_all_frames_are_read_from_any_frame_on():
    assert len(LINES) == 5 * EACH
    first = len(PARTS[0])
    assert list(io.BufferedReader(FrameStream(io.BytesIO(WHOLE), first))) == LINES[EACH:]


def test_of_frames_that_are_cut_anywhere_the_whole_ones_are_read_and_the_rest_is_one_line():
    ends = [sum(map(len, PARTS[:count])) for count in range(6)]
    for cut in range(len(WHOLE)):
        whole = max(count for count in range(6) if ends[count] <= cut)
        found = lines(WHOLE[:cut])
        assert [line for line in found if line in LINES][: whole * EACH] == LINES[: whole * EACH]
        assert whole_end(io.BytesIO(WHOLE[:cut])) == ends[whole]
        if cut > ends[whole]:
            assert found[-1].startswith(b"no zstd frame in bytes %d to %d: " % (ends[whole], cut))


@pytest.mark.parametrize("seed", range(tries(40)))
def test_a_damaged_frame_costs_no_other(seed):
    chance = random.Random(seed)
    content = bytearray(WHOLE)
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    found = lines(bytes(content))
    assert len([line for line in found if line in LINES]) >= 4 * EACH
    other = [line for line in found if line not in LINES and line != b"\n"]
    assert all(line.startswith(b"no zstd frame") for line in other)  # and none that was altered
    assert other or found == LINES


def test_no_line_of_a_frame_whose_checksum_is_wrong_is_read():
    chance = random.Random(1)
    damaged = bytearray(frame_of(b"".join(b"%d\n" % chance.getrandbits(4000) for _ in range(200))))
    damaged[-1] ^= 1  # the checksum itself: the lines are decoded as they were
    found = lines(PARTS[0] + bytes(damaged) + PARTS[2])
    assert found[EACH:-EACH] == [
        b"\n",
        b"no zstd frame in bytes %d to %d: %b\n"
        % (
            len(PARTS[0]),
            len(PARTS[0]) + len(damaged),
            b"zstd decompressor error: Restored data doesn't match checksum",
        ),
    ]
    assert [line for line in found if line in LINES] == LINES[:EACH] + LINES[2 * EACH : 3 * EACH]


def test_a_torn_frame_is_kept_aside_before_the_next_is_appended(tmp_path):
    path = tmp_path / "exchanges.jsonl.zst"
    path.write_bytes(WHOLE[:-5])
    end = files.append_frame(path, PARTS[0], None)
    assert lines(path.read_bytes()) == LINES[: 4 * EACH] + LINES[:EACH]
    assert (tmp_path / "exchanges.jsonl.zst.torn").read_bytes() == PARTS[4][:-5]
    with path.open("ab") as file:
        file.write(b"somebody else's")
    files.append_frame(path, PARTS[1], end)
    assert lines(path.read_bytes()) == LINES[: 4 * EACH] + LINES[: 2 * EACH]


def recorder(root, second=0):
    settings = RecorderSettings(root=root, broker="mqtt://localhost")
    return SessionRecorder(recording(sensors={}), root / "m" / "session_s1", settings, at(second))


def taken(session, seqs, names):
    """Each of `names` has an exchange of each of `seqs`, a second."""
    for seq in seqs:
        session.take_batch([exchange(seq, seq, vehicle=name) for name in names], seq, at(seq))
        session.update(at(seq))


def seqs(folder, name):
    return [each.seq for each in folder.read_exchanges().exchanges if each.vehicle == name]


def test_a_session_of_few_vehicles_is_plain_and_goes_on_in_frames_once_there_are_many(tmp_path):
    session, folder = recorder(tmp_path), SessionFolder(tmp_path / "m" / "session_s1")
    taken(session, range(5), NAMES[:50])
    assert [path.name for path in folder.growing_paths if path.exists()] == ["exchanges.jsonl"]
    plain = folder.exchanges_path.read_bytes()
    taken(session, range(5, 20), NAMES)
    session.stop("r2", at(20))
    session.update(at(21.5))
    assert session.update(at(21.6)).smooth
    assert folder.exchanges_path.read_bytes().startswith(plain)
    assert folder.exchanges_path.read_bytes().count(b"\n") == 5 * 50 + 60
    assert seqs(folder, "rov0") == list(range(20))
    assert seqs(folder, "rov59") == list(range(5, 20))
    assert len(folder.read_streams().streams) == 60
    files_of = folder.read_metadata()["timeSync"]["tidesync"]["files"]
    assert files_of["exchanges"] == "time_sync/exchanges.jsonl.zst"


def test_a_fleet_that_is_known_at_the_start_is_in_frames_from_the_first_line(tmp_path):
    session, folder = recorder(tmp_path), SessionFolder(tmp_path / "m" / "session_s1")
    for name in NAMES:
        session.take_result(measured(0, vehicle=name), at(0), stored=True)
    session.update(at(0))
    taken(session, range(1, 9), NAMES)
    assert [path.name for path in folder.growing_paths if path.exists()] == ["exchanges.jsonl.zst"]


def test_what_a_kill_took_of_the_memory_or_tore_is_missing_after_the_restart(tmp_path):
    session, folder = recorder(tmp_path), SessionFolder(tmp_path / "m" / "session_s1")
    taken(session, range(30), NAMES)
    path = folder.growing_paths[1]
    recorded = seqs(folder, "rov3")
    assert 20 < len(recorded) < 30  # the last ones wait for their frame
    path.write_bytes(path.read_bytes()[:-7])
    again = resume(folder, recording(sensors={}), {}, at(40))
    assert path.with_name(path.name + ".torn").exists()
    last = seqs(folder, "rov3")[-1]
    assert last < recorded[-1]
    again.log.take([exchange(40, 40, vehicle="rov3")], 0, at(40))
    asked = [(first, last) for source, first, last in again.log.requests(at(41)) if source.vehicle == "rov3"]
    assert asked == [(last + 1, 39)]


def test_a_restart_reads_only_the_frames_after_the_index(tmp_path):
    session, folder = recorder(tmp_path), SessionFolder(tmp_path / "m" / "session_s1")
    taken(session, range(10), NAMES)
    snapshot, parts = session.log.snapshot()
    session.store.finish()
    session.store.write_index(snapshot.encode(), parts)
    frame = frame_of(lines_of([exchange(10, 10, vehicle=name) for name in NAMES]))
    files.append_frame(folder.growing_paths[1], frame, None)
    found = resume(folder, recording(sensors={}), {}, at(40))
    assert (found.unindexed, found.log.exchanges) == (60, 11 * 60)
