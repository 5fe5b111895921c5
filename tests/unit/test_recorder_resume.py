"""A session is resumed in the background, from an index as far as its journal confirms it."""

import os
import random
import sys
import tracemalloc

import pytest

from schemas.clock_history import TopsideClock
from schemas.messages import ResendCommand
from tests.effort import tries
from tests.unit.test_clock_log import piece
from tests.unit.test_clock_pieces import line
from tests.unit.test_recorder_session import at, exchange, recording, step
from tidesync.sessions.errors import TornIndexError
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.journal import lines_of
from tidesync.sessions.recorder import index_file, store
from tidesync.sessions.recorder.held import Held
from tidesync.sessions.recorder.recorded import MOST_LAYERS, SLOTS, Numbers, RecordedExchanges
from tidesync.sessions.recorder.resumption import resume
from tidesync.sessions.recorder.session_log import SessionLog
from tidesync.sessions.recorder.session_recorder import SessionRecorder
from tidesync.sessions.recorder.settings import RecorderSettings

SOME = [exchange(seq, seq / 4, vehicle=vehicle) for seq in range(30) for vehicle in ("rov1", "rov2")]


SENSORS = {"inWater": "rov1"}
CLOCK = TopsideClock(topside="topside", boot_id="b", instance_id="i", first=0, pieces=(piece(0, 3),))


def recorder(root, second=0, *, sensors=(), **settings):
    made = RecorderSettings(root=root, broker="mqtt://localhost", **settings)
    return SessionRecorder(recording(sensors=dict(sensors)), root / "session_s1", made, at(second))


def resumed(session, second):
    assert session.begin_to_resume(at(second))
    assert session.resumed(session.read_folder(at(second)), at(second)) == 0
    return session


@pytest.fixture
def indexed(tmp_path, monkeypatch):
    """A session of `SOME`, killed after its index was written, and its folder."""
    monkeypatch.setattr(store, "_INDEX_LINES", 20)
    session = recorder(tmp_path)
    session.take_batch(SOME, 0, at(8))
    session.update(at(8))
    return session.store.folder


def read_from(folder):
    """How many lines a restart has to read, and whether it then takes any of `SOME` for new."""
    found = resume(folder, recording(sensors={}), {}, at(20))
    return found.unindexed, found.log.take(SOME, None, at(20)).exchanges


def add(folder, *exchanges):
    with folder.exchanges_path.open("ab") as journal:
        journal.write(lines_of(exchanges))


@pytest.mark.parametrize("seed", range(tries(10)))
def test_numbers_are_remembered_exactly_and_survive_being_saved(seed, tmp_path):
    chance = random.Random(seed)
    numbers, known = Numbers(), set()
    for _ in range(2000):
        seq = chance.choice((chance.randrange(40), chance.randrange(3 * SLOTS), chance.randrange(2**53)))
        bits = chance.randrange(1, MOST_LAYERS * 2)
        assert numbers.has(seq, bits) == ((seq, bits) in known)
        assert numbers.add(seq, bits) != ((seq, bits) in known)
        known.add((seq, bits))
    path = tmp_path / "parts"
    path.write_bytes(b"".join(numbers.parts()))
    with path.open("rb") as stream:
        again = Numbers.from_parts(index_file.Parts(stream, path.stat().st_size))
    assert all(again.has(*each) for each in known)
    assert not any(again.add(*each) for each in known)


def test_an_exchange_is_remembered_in_a_few_bytes():
    known = RecordedExchanges()
    many = (exchange(seq, seq / 4) for seq in range(20_000))
    tracemalloc.start()
    try:
        assert all(map(known.add, many))
        assert tracemalloc.get_traced_memory()[0] < 8 * 20_000
    finally:
        tracemalloc.stop()


def test_a_restart_reads_only_what_follows_the_index(indexed):
    assert read_from(indexed) == (0, [])
    add(indexed, exchange(30, 9), exchange(31, 9.25))
    assert read_from(indexed) == (2, [])


def clock(first, *pieces, instance_id="i", topside="topside"):
    return TopsideClock(topside=topside, boot_id="b", instance_id=instance_id, first=first, pieces=pieces)


def test_a_restart_knows_clock_histories_from_the_index_and_from_the_lines_after_it(tmp_path, monkeypatch):
    """Pieces that are missing, merged and open, of several processes; their number is the lines read."""
    monkeypatch.setattr(store, "_INDEX_LINES", 8)
    session, owner = recorder(tmp_path), ("topside", "topside")
    session.take_batch(SOME[:4], 0, at(1))
    for message in (
        clock(0, piece(0, 3, begins="start"), piece(3, 5, last=2)),
        clock(7, piece(11, 12)),
        clock(0, piece(20, 21, begins="start"), instance_id="other"),
    ):
        session.take_clock(owner, message, at(2))
    session.update(at(3))
    folder = session.store.folder
    assert folder.index_path.exists()
    assert read_from(folder)[0] == 0
    for message in (clock(7, piece(11, 15)), clock(1, piece(3, 6, last=5))):
        session.take_clock(owner, message, at(4))
    by_index = resume(folder, recording(sensors={}), {}, at(20))
    folder.index_path.unlink()
    by_lines = resume(folder, recording(sensors={}), {}, at(20))
    assert (by_index.unindexed, by_lines.unindexed) == (2, 10)
    assert by_index.log.clock.counts() == by_lines.log.clock.counts()
    assert [each.pieces for each in by_index.log.clock.pieces] == [
        each.pieces for each in by_lines.log.clock.pieces
    ]
    assert by_index.log.clock.state == by_lines.log.clock.state
    assert by_index.log.clock.requests(at(30).raw_ns) == by_lines.log.clock.requests(at(30).raw_ns) != []


def test_pieces_of_clock_histories_are_remembered_in_a_few_bytes(tmp_path):
    lines = [line(number, piece(number, number + 1)) for number in range(4000)]
    folder = SessionFolder(tmp_path / "session_s1")
    folder.time_sync_path.mkdir(parents=True)
    folder.clock_path.write_bytes(lines_of(lines))
    tracemalloc.start()
    try:
        found = resume(folder, recording(), {}, at(0))
        histories = folder.read_clock()
        assert tracemalloc.get_traced_memory()[0] < 2 * len(lines) * 100
    finally:
        tracemalloc.stop()
    assert found.log.clock.pieces == [histories.histories["vehicle", "rov1"]["i1"]]
    assert len(found.log.clock.pieces[0]) == len(lines)


def test_a_restart_from_the_index_knows_what_a_restart_from_the_journal_knows(indexed):
    add(indexed, exchange(35, 10, boot_id="other"), exchange(2, 11, boot_id="other"))
    indexed.events_path.write_bytes(lines_of([step()]))
    by_index = resume(indexed, recording(sensors={}), {}, at(20))
    indexed.index_path.unlink()
    by_lines = resume(indexed, recording(sensors={}), {}, at(20))
    assert (by_index.unindexed, by_lines.unindexed) == (2, len(SOME) + 2)
    assert by_index.events == by_lines.events
    assert by_index.log.metadata_update() == by_lines.log.metadata_update()
    assert by_index.log.requests(at(30)) == by_lines.log.requests(at(30))
    assert by_index.log.snapshot()[0] == by_lines.log.snapshot()[0]


def truncated(folder):
    with folder.exchanges_path.open("r+b") as journal:
        journal.truncate(folder.exchanges_path.stat().st_size - 500)
    return len(SOME)


def copied(folder):
    content = folder.exchanges_path.read_bytes()
    folder.exchanges_path.rename(folder.exchanges_path.with_name("kept"))
    folder.exchanges_path.write_bytes(content)
    return len(SOME)


def changed_in_place(folder):
    content = folder.exchanges_path.read_bytes().replace(b'"seq":29', b'"seq":28')
    with folder.exchanges_path.open("r+b") as journal:
        journal.write(content)
    os.utime(folder.exchanges_path, ns=(0, folder.exchanges_path.stat().st_mtime_ns + 1))
    return len(SOME)


def replaced_by_a_longer_one(folder):
    with folder.exchanges_path.open("r+b") as journal:
        journal.write(lines_of([exchange(seq, seq, vehicle="rov3") for seq in range(99)]))
    return 99


def torn(folder):
    content = folder.index_path.read_bytes()
    folder.index_path.write_bytes(content[: len(content) // 2])
    return len(SOME)


def flipped(folder):
    content = bytearray(folder.index_path.read_bytes())
    content[-20] ^= 1
    folder.index_path.write_bytes(content)
    return len(SOME)


def emptied(folder):
    folder.index_path.write_bytes(b"")
    return len(SOME)


@pytest.mark.parametrize(
    "change", [truncated, copied, changed_in_place, replaced_by_a_longer_one, torn, flipped, emptied]
)
def test_an_index_counts_only_as_far_as_the_journal_confirms_it(indexed, change):
    lines = change(indexed)
    found = resume(indexed, recording(sensors={}), {}, at(20))
    assert found.unindexed in {lines, lines - 2}  # without those that were truncated
    assert found.log.exchanges == len(set(indexed.read_exchanges().exchanges))


def test_what_is_no_index_is_refused(tmp_path):
    journal, path = tmp_path / "journal", tmp_path / "index"
    journal.write_bytes(b"x")
    one_too_few = b'{"version": 2, "byteorder": "%s", "journals": []}' % sys.byteorder.encode()
    for head in (
        b"[]",
        b"{}",
        b'{"version": 1}',
        b"nothing",
        b'{"version": 9, "byteorder": "little"}',
        one_too_few,
    ):
        whole = head + b"\n"
        check = index_file.zlib.crc32(whole).to_bytes(8, "big")
        path.write_bytes(whole + check)
        with pytest.raises(TornIndexError), index_file.reading(path, [journal]):
            pass


def test_an_index_is_written_neither_often_nor_while_lines_wait(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_INDEX_LINES", 20)
    session = recorder(tmp_path)
    session.take_batch(SOME[:19], 0, at(8))
    session.update(at(8))
    assert not session.store.folder.index_path.exists()
    session.store._writer.problem = "the disk is away"
    session.take_batch(SOME[19:], 0, at(9))
    assert not session.store.index_due(len(SOME), at(9))
    session.update(at(9))
    session.update(at(9.5))
    written_ns = session.store.folder.index_path.stat().st_mtime_ns
    session.take_batch([exchange(99, 10)], 0, at(10))
    session.update(at(10))
    assert session.store.folder.index_path.stat().st_mtime_ns == written_ns


def test_the_index_ends_with_the_recording(indexed):
    session = resumed(recorder(indexed.path.parent, 9), 9)
    session.store.forget()
    assert not indexed.index_path.exists()


def test_what_comes_while_the_folder_is_read_is_recorded_once(indexed):
    session = recorder(indexed.path.parent, 9)
    session.take_batch([SOME[-1], exchange(30, 9.5)], 1, at(10))
    session.take_event(step(), at(10))
    session.take_event(step(), at(10))
    session.update(at(10))
    assert (session.state.exchanges, session.state.state) == (len(SOME), "recording")
    resumed(session, 12)
    session.update(at(12))
    assert [*indexed.read_exchanges().exchanges] == [*SOME, exchange(30, 9.5)]
    assert indexed.read_events() == [step()]
    assert session.state.exchanges == len(SOME) + 1


def test_a_stop_while_the_folder_is_read_is_executed_afterwards(indexed):
    session = recorder(indexed.path.parent, 9)
    session.stop("r2", at(10))
    assert not session.update(at(11)).smooth
    assert session.phase == "recording"
    resumed(session, 12)
    assert session.phase == "stopping"
    assert session.update(at(14)).smooth


def test_metadata_stays_as_it_is_while_the_folder_is_read(indexed):
    before = indexed.metadata_path.read_bytes()
    session = recorder(indexed.path.parent, 9)
    session.update(at(10))
    session.update(at(15))
    assert indexed.metadata_path.read_bytes() == before
    assert session.state.alarm == "what was recorded before is being read"


def test_a_folder_that_cannot_be_read_is_tried_again_and_nothing_is_recorded_twice(indexed):
    session = recorder(indexed.path.parent, 9)
    kept = indexed.exchanges_path.rename(indexed.exchanges_path.with_name("kept"))
    indexed.exchanges_path.mkdir()
    assert session.begin_to_resume(at(9))
    with pytest.raises(OSError, match=r"exchanges\.jsonl"):
        session.read_folder(at(9))
    session.resume_failed("Is a directory", at(10))
    assert "cannot be read: Is a directory" in session.state.alarm
    session.take_batch(SOME, 0, at(11))
    assert not session.begin_to_resume(at(11))
    indexed.exchanges_path.rmdir()
    kept.rename(indexed.exchanges_path)
    resumed(session, 16)
    assert [*indexed.read_exchanges().exchanges] == SOME


def test_what_is_held_is_bounded_and_the_rest_is_asked_for_afterwards(indexed):
    session = recorder(indexed.path.parent, 9, memory_exchanges=100)
    session.take_batch([exchange(seq, seq / 4) for seq in range(30, 130)], 1, at(10))
    session.take_batch([exchange(130, 33)], 2, at(33))
    assert session.begin_to_resume(at(34))
    assert session.resumed(session.read_folder(at(34)), at(34)) == 1
    session.take_batch([exchange(131, 33.25)], 3, at(34))
    ((_, command),) = session.update(at(36)).resend
    assert isinstance(command, ResendCommand)
    assert (command.from_seq, command.to_seq) == (130, 130)


def test_of_clocks_that_come_while_the_folder_is_read_those_of_its_topsides_are_recorded(tmp_path):
    first = recorder(tmp_path, sensors=SENSORS)
    first.take_batch([exchange(seq, seq / 4) for seq in range(8)], 0, at(3))
    first.update(at(3))
    session = recorder(tmp_path, 9, sensors=SENSORS)
    for name in ("topside", "stranger"):
        owner = "topside", name
        assert session.includes_clock(owner)
        session.take_clock(owner, CLOCK.model_copy(update={"topside": name}), at(10))
    resumed(session, 11)
    assert [count.owner for count in session.log.clock.counts()] == [("topside", "topside")]
    assert not session.includes_clock(("topside", "stranger"))


def test_held_messages_are_taken_in_the_order_of_arrival():
    taken, held = [], Held(3, {})
    for number in range(3):
        held.add(lambda number=number: taken.append(number), 1)
    held.add(lambda: taken.append("too much"), 1)
    for take in held:
        take()
    assert (taken, held.dropped) == ([0, 1, 2], 1)


@pytest.mark.slow
def test_the_memory_of_a_restart_does_not_grow_with_the_journal(tmp_path):
    folder = SessionFolder(tmp_path / "session_s1")
    folder.time_sync_path.mkdir(parents=True)
    few, many = 3000, 12_000
    add(folder, *(exchange(seq, seq / 4) for seq in range(many)))
    tracemalloc.start()
    try:
        found = resume(folder, recording(), {}, at(0))
        assert found.unindexed == many
        assert tracemalloc.get_traced_memory()[1] < few * 1500  # decoded, all of them take 30 MB
    finally:
        tracemalloc.stop()


def test_a_log_without_exchanges_has_a_snapshot_too():
    snapshot, parts = SessionLog(recording(), at(0)).snapshot()
    assert (snapshot.watches, list(parts)) == ([], [])
