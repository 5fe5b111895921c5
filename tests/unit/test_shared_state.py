"""The shared file: torn, stale, replaced and foreign ones are never taken for an answer."""

import multiprocessing
import os
import random
import re
import stat
import subprocess
import sys
import threading

import numpy as np
import pytest

import tidesync
from tests.deadline import until
from tidesync.library import live
from tidesync.library.live import SharedState
from tidesync.library.places import Interval
from topside_agent.shared_state import layout
from topside_agent.shared_state.layout import (
    CONDITIONAL,
    DOUBT,
    ENTRIES,
    KEPT,
    OK,
    PASSED,
    Entry,
    Head,
    Span,
)
from topside_agent.shared_state.runs import Runs
from topside_agent.shared_state.writer import SharedFile, shared_file

S = 1_000_000_000
T0 = 1_777_636_800 * S
OFFSET = -150_000_000
HALF = 400_000


def entry(number, *, run=0, at_s=None, kind=OK, half_ns=HALF, reach_ns=10):
    """A second of the vehicle's clock; topside's is OFFSET more."""
    from_ns = T0 + round((number if at_s is None else at_s) * S)
    return Entry(number, run, from_ns, from_ns + S, OFFSET, OFFSET + 1_000, half_ns, reach_ns, kind)


class Topside:
    """A writer and a reader, whose BOOTTIME is `now_ns`."""

    def __init__(self, path):
        self.path, self.now_ns = path, 10 * S
        self.file = SharedFile.create(path)
        self.reader = SharedState([path], lambda: self.now_ns)
        self.following = 0

    def write(self, *entries, vehicle="rov1", first=0, tail=(), spans=()):
        self.following += len(entries)
        self.file.write(
            self.file.place(vehicle),
            entries,
            counts=(first, self.following),
            tail=tail,
            spans=spans,
            written_ns=self.now_ns,
        )

    def ask(self, at_s, vehicle="rov1"):
        return self.reader.interval(T0 + round(at_s * S), vehicle)


@pytest.fixture
def topside(tmp_path):
    return Topside(tmp_path / "run" / "state")


def expected(at_s, state="ok", half_ns=HALF):
    centre = T0 + round(at_s * S) + OFFSET + round(at_s % 1 * 1_000)
    return Interval(centre - half_ns, centre + half_ns, state)


def test_an_entry_answers_and_what_follows_answers_conditionally(topside):
    topside.write(entry(0), entry(1), tail=(entry(0, at_s=2, kind=CONDITIONAL),))
    assert topside.ask(0.5) == expected(0.5)
    assert topside.ask(1.25) == expected(1.25)
    assert topside.ask(2.5) == expected(2.5, "conditional")
    for at_s in (-0.5, 3.5):
        assert topside.ask(at_s) == Interval(None, None, "outside")
    topside.write(entry(2), tail=(entry(0, at_s=3, kind=CONDITIONAL),))
    assert topside.ask(2.5) == expected(2.5)
    assert topside.ask(3.5).state == "conditional"


def test_where_two_entries_may_hold_a_stamp_both_count(topside):
    topside.write(entry(0), entry(1, half_ns=3 * HALF, reach_ns=1_000_000, kind=CONDITIONAL))
    assert topside.ask(0.9).state == "ok"
    near = topside.ask(0.9995)
    assert near.state == "conditional"
    assert near.upper_ns - near.lower_ns > 5 * HALF


def test_what_the_clock_showed_twice_or_near_a_cut_is_ambiguous(topside):
    again = [entry(number, run=1, at_s=number - 2) for number in (4, 5, 6)]
    topside.write(*map(entry, range(4)), *again, spans=(Span(T0 - S, T0 - S // 2, DOUBT),))
    assert topside.ask(1.5) == expected(1.5)
    for at_s in (2.5, 3.5):
        assert topside.ask(at_s) == Interval(None, None, "ambiguous")
    assert topside.ask(4.5) == expected(4.5)
    assert topside.ask(-0.75).state == "ambiguous"


def test_entries_that_are_no_longer_kept_still_count_as_shown(topside):
    runs = Runs()
    made = [runs.keep(entry(number)) for number in range(KEPT)]
    runs.cut([])
    later = [runs.keep(entry(0, at_s=number - 3.5)) for number in range(10)]
    assert runs.spans == [Span(T0, T0 + 10 * S, PASSED)]
    topside.write(*made)
    assert topside.ask(5.25).state == "ok"
    topside.write(*later, first=runs.first, spans=tuple(runs.spans))
    assert topside.ask(-2).state == "ok"
    assert topside.ask(5.25).state == "ambiguous"
    assert topside.ask(9.5).state == "outside"
    assert topside.ask(KEPT - 20.5) == expected(KEPT - 20.5)


def test_a_vehicle_that_is_measured_again_begins_again(topside):
    topside.write(*map(entry, range(5)))
    assert topside.ask(3.5).state == "ok"
    topside.following = 0
    topside.write()
    assert topside.ask(3.5).state == "outside"
    topside.write(entry(0, at_s=20), entry(1, at_s=21))
    assert topside.ask(3.5).state == "outside"
    assert topside.ask(21.5) == expected(21.5)


def test_old_cuts_are_merged_and_none_is_lost():
    runs = Runs()
    for number in range(100):
        runs.cut([Span(number, number, DOUBT)])
    assert len(runs.spans) <= layout.SPANS
    assert all(any(low <= number <= high for low, high, _ in runs.spans) for number in range(100))


def test_there_is_no_answer_without_a_file_a_vehicle_or_for_longer_than_three_seconds(tmp_path, topside):
    assert SharedState([tmp_path / "none"]).interval(T0, "rov1") is None
    assert SharedState([]).interval(T0, "rov1") is None
    topside.write(entry(0))
    assert topside.ask(0.5, "rov2") is None
    topside.now_ns -= 1000  # it was written just after the reader looked at the clock
    assert topside.ask(0.5) == expected(0.5)
    topside.now_ns += 3 * S + 999
    assert topside.ask(0.5) == expected(0.5)
    topside.now_ns += 1
    assert topside.ask(0.5) is None
    topside.write(entry(1))
    topside.now_ns += S
    assert topside.ask(0.5) == expected(0.5)


def test_a_pipe_in_its_place_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "state")
    assert SharedState([tmp_path / "state"], lambda: 0).interval(T0, "rov1") is None


def test_a_topside_that_ends_leaves_nothing_and_the_next_one_is_read(topside):
    topside.write(entry(0))
    assert topside.ask(0.5) is not None
    topside.file.close()
    assert not topside.path.exists()
    assert topside.ask(0.5) is None
    again = Topside(topside.path)
    again.now_ns = topside.now_ns = topside.now_ns + S
    again.write(entry(0, at_s=7))
    assert topside.ask(7.5) is not None
    assert topside.ask(0.5).state == "outside"


def test_one_that_was_killed_is_replaced(topside):
    topside.write(entry(0))
    assert topside.ask(0.5) is not None
    os.close(topside.file._lock)  # as the system does
    again = Topside(topside.path)
    topside.now_ns += 4 * S
    again.now_ns = topside.now_ns
    again.write(entry(0, at_s=7))
    assert topside.ask(7.5) is not None


def test_a_second_topside_writes_nothing_and_another_file_of_the_name_is_no_state(topside, caplog):
    assert SharedFile.create(topside.path) is None
    assert "another topside of this computer writes it" in caplog.text
    header = layout.encode_header()
    of_another_boot = header.replace(layout.machine_boot_id().encode()[:8], b"another ")
    for content in (b"", b"x" * layout.SIZE, header[:-1] + b"x" + bytes(layout.SIZE), of_another_boot):
        other = topside.path.with_name("other")
        other.write_bytes(content)
        assert SharedState([other]).interval(T0, "rov1") is None


def test_every_user_may_read_it_and_none_but_its_own_write(topside):
    assert stat.S_IMODE(topside.path.stat().st_mode) == 0o644
    assert stat.S_IMODE(topside.path.parent.stat().st_mode) & 0o022 == 0


def test_where_it_cannot_be_written_there_is_none(tmp_path, caplog, monkeypatch):
    (tmp_path / "file").touch()
    assert shared_file(tmp_path / "file" / "state") is None
    assert "not written" in caplog.text
    assert shared_file(type(tmp_path)("off")) is None

    def full(*_):
        raise OSError(28, "No space left on device")

    made = SharedFile.create(tmp_path / "state")
    monkeypatch.setattr(os, "posix_fallocate", full)
    assert made.place("rov1") is None
    assert "has no place for rov1: [Errno 28]" in caplog.text
    assert made.place("rov1") is None


def test_more_vehicles_than_there_are_places_are_left_out(topside):
    for number in range(layout.PLACES):
        assert topside.file.place(f"rov{number}") == number
    assert topside.file.place("another") is None
    assert topside.file.place("rov3") == 3


def records():
    tail = (entry(0, at_s=9),)
    head = Head(7, 8, 9, 10, tail, (Span(1, 2, DOUBT),))
    other = Head(8, 9, 9, 11, (entry(0, at_s=10),) * 3, ())
    yield layout.encode_head(head), layout.encode_head(other), layout.decode_head
    yield layout.encode_entry(entry(1)), layout.encode_entry(entry(2, half_ns=1)), layout.decode_entry


@pytest.mark.parametrize(("one", "other", "decode"), list(records()), ids=["head", "entry"])
def test_a_record_written_in_part_is_not_taken(one, other, decode):
    assert decode(one) != decode(other)
    for cut in range(0, len(one), 3):
        for torn in (other[:cut] + one[cut:], one[:cut] + other[cut:]):
            if torn not in {one, other}:
                assert decode(torn) is None or torn[:76] in {one[:76], other[:76]}  # an entry's end is void
    assert decode(bytes(len(one))) is None


def _write_for_ever(path, ready, stop):
    """Heads and entries whose numbers all agree with each other, as fast as they can be written."""
    file, chance, number = SharedFile.create(path), random.Random(1), 0
    place = file.place("rov1")
    while not stop.is_set():
        made = []
        for _ in range(chance.random() < 0.05):
            made.append(Entry(number, 0, T0 + number, T0 + number + 1, number, number, number, 0, OK))
            number += 1
        tail = (Entry(0, 0, T0 + number, T0 + number + 1, number, number, number, 0, CONDITIONAL),)
        counts = (max(number - KEPT, 0), number)
        file.write(place, made, counts=counts, tail=tail, spans=(), written_ns=layout.boottime_ns())
        ready.set()


@pytest.mark.slow
def test_a_reader_beside_a_writer_that_never_rests_sees_whole_records_alone(tmp_path):
    path = tmp_path / "state"
    context = multiprocessing.get_context("spawn")
    ready, stop = context.Event(), context.Event()
    writer = context.Process(target=_write_for_ever, args=(path, ready, stop), daemon=True)
    writer.start()
    try:
        assert ready.wait(60)
        reader = SharedState([path])
        assert until(lambda: reader.interval(T0, "rov1") is not None)
        place, newest, answers = reader._places["rov1"], 0, 0

        def look():
            """How many answers were right so far; a wrong one is a failure."""
            for _ in range(50):
                look_once()
            return answers

        def look_once():
            nonlocal newest, answers
            if reader.interval(T0, "rov1") is None:  # the writer waited for the processor
                return
            known = place.known
            assert known.following >= newest
            newest, (run,) = known.following, known.runs
            for stamp in (run.starts[0], run.starts[len(run.starts) // 2], T0 + newest):
                answer = known.interval(stamp)
                assert answer.state in {"ok", "conditional"}
                assert answer.lower_ns <= stamp + (stamp - T0) <= answer.upper_ns
                answers += 1

        assert until(lambda: look() > 3_000 and newest > ENTRIES)
    finally:
        stop.set()
        writer.join(60)


def test_threads_and_a_child_process_have_the_same_answers(topside):
    topside.write(*map(entry, range(20)))
    found = []
    threads = [threading.Thread(target=lambda: found.append(topside.ask(0.5))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected(0.5)] * 8
    with topside.reader._lock:  # as if another thread was decoding
        child = os.fork()
        if not child:
            topside.write(entry(20))
            os._exit(topside.ask(20.5) != expected(20.5))
    assert os.waitpid(child, 0)[1] == 0


def test_integers_alone_are_stamps(topside):
    topside.write(entry(0))
    assert topside.reader.interval(np.int64(T0 + S // 2), "rov1") == expected(0.5)
    for value in (1.5, True, np.float64(1), "1", None, np.array([1, 2])):
        with pytest.raises(tidesync.UsageError, match=re.escape(f"received {value!r}")):
            topside.reader.interval(value, "rov1")


@pytest.mark.parametrize("vehicle", [None, 5, b"rov1", ["rov1"]])
def test_names_alone_are_vehicles(topside, vehicle):
    topside.write(entry(0), entry(1))
    with pytest.raises(tidesync.UsageError, match="vehicle: expected a name, received"):
        topside.reader.interval(T0, vehicle)


@pytest.mark.parametrize("vehicle", ["", "rov1\0", "\ud800", "é", "x" * 5_000])
def test_a_name_that_no_vehicle_can_have_is_not_measured(topside, vehicle):
    topside.write(entry(0), entry(1))
    assert topside.reader.interval(T0 + S // 2, vehicle) is None


def test_the_function_looks_where_the_variable_says(topside, monkeypatch):
    topside.now_ns = layout.boottime_ns()
    topside.write(entry(0))
    monkeypatch.setattr(live, "_state", None)
    monkeypatch.setenv("TIDESYNC_SHARED_STATE", str(topside.path))
    assert tidesync.interval(T0 + S // 2, vehicle="rov1") == expected(0.5)
    monkeypatch.setattr(live, "_state", None)
    monkeypatch.setenv("TIDESYNC_SHARED_STATE", "off")
    assert tidesync.interval(T0, vehicle="rov1") is None


def test_the_usual_places(monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    assert list(map(str, layout.default_paths())) == ["/run/user/1000/tidesync/state", "/run/tidesync/state"]
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/one:/run/two")
    assert str(layout.default_paths()[0]) == "/run/one/state"


def test_asking_imports_no_numpy():
    code = "import sys, tidesync; tidesync.interval(1, 'rov1'); print('numpy' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "False\n"
