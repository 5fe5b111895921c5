"""The journal of a clock history: it outlives the process, is bounded, and a full disk ends nothing."""

import errno

import pytest

from runtime import files
from runtime.clock_journal import ClockJournal
from schemas.clock_history import ClockLine

S = 1_000_000_000


def line(number, instance="first", until_s=10):
    return ClockLine(
        from_raw_ns=number * S,
        from_realtime_ns=1_777 * S + number * S,
        to_raw_ns=(number + until_s) * S,
        to_realtime_ns=1_777 * S + (number + until_s) * S,
        half_width_ns=800,
        begins="start" if number == 0 else None,
        machine="vehicle",
        name="rov1",
        boot_id="boot",
        instance_id=instance,
        number=number,
    )


def test_a_process_finds_the_pieces_of_the_one_before_it_each_once(tmp_path):
    path = tmp_path / "state" / "clock.jsonl"
    ClockJournal(path).append([line(0), line(1, until_s=5)])
    ClockJournal(path).append([line(1, until_s=9), line(0, "other")])
    boot_id, pieces = ClockJournal(path).earlier("first")
    assert boot_id == "boot"
    assert [(number, piece.to_raw_ns) for number, piece in pieces] == [(0, 10 * S), (1, 10 * S)]
    assert ClockJournal(path).earlier("nobody") is None


def test_a_line_torn_by_a_power_cut_costs_nothing_else(tmp_path):
    path = tmp_path / "clock.jsonl"
    ClockJournal(path).append([line(0), line(1)])
    path.write_bytes(path.read_bytes()[:-40])
    ClockJournal(path).append([line(2)])
    _, pieces = ClockJournal(path).earlier("first")
    assert [number for number, _ in pieces] == [0, 2]


def test_it_is_bounded_and_keeps_the_newest(tmp_path):
    path = tmp_path / "clock.jsonl"
    journal = ClockJournal(path, most_bytes=20_000)
    for number in range(500):
        journal.append([line(number)])
    assert path.stat().st_size <= 20_000
    _, pieces = journal.earlier("first")
    assert pieces[-1][0] == 499
    assert len(pieces) > 20


def test_versions_of_one_piece_do_not_drive_out_others(tmp_path):
    journal = ClockJournal(tmp_path / "clock.jsonl", most_bytes=20_000)
    journal.append([line(number) for number in range(10)])
    for until_s in range(500):
        journal.append([line(10, until_s=until_s)])
    _, pieces = journal.earlier("first")
    assert [number for number, _ in pieces] == list(range(11))


def test_a_full_disk_is_warned_of_once(tmp_path, monkeypatch, caplog):
    journal = ClockJournal(tmp_path / "clock.jsonl")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "write_all", full)
    journal.append([line(0)])
    journal.append([line(1)])
    (record,) = caplog.records
    assert "No space left on device" in record.message
    monkeypatch.undo()
    journal.append([line(2)])
    assert [number for number, _ in journal.earlier("first")[1]] == [2]


def test_a_folder_that_cannot_be_made_is_warned_of_and_no_hindrance(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    journal = ClockJournal(tmp_path / "file" / "clock.jsonl")
    journal.append([line(0)])
    assert len(caplog.records) == 1
    assert journal.earlier("first") is None


@pytest.mark.parametrize("path", [None])
def test_without_a_path_nothing_is_kept(path):
    journal = ClockJournal(path)
    journal.append([line(0)])
    assert journal.earlier("first") is None
