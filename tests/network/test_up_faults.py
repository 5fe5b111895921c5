"""`tidesync up` on a full disk, without mosquitto, killed at random moments: a line each, nothing lost."""

import json
import os
import random
import subprocess
import sys
from collections import defaultdict
from contextlib import suppress

import pytest

from tests.deadline import PATIENCE_S, until
from tests.network.running import need_mosquitto
from tests.network.test_up import Surface, refused

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="setpriv")

MORE_THAN_A_PAGE = 16
"""Lines of exchanges; of a full disk the journal's last page, of 4 KiB, takes a few lines still."""


@pytest.fixture
def surface(tmp_path):
    need_mosquitto()
    return Surface(tmp_path)


@pytest.fixture
def disk(tmp_path):
    """A file system of 1.5 MB, for whoever may mount one."""
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(path)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(ballast):
    """Take all the room there is."""
    with ballast.open("wb", buffering=0) as file:
        for size in (4096, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))


def measured(surface):
    return [row for row in surface.results() if row["state"] == "locked"]


def counted(surface):
    """The exchanges of the vehicle's result; 0 while it is not locked."""
    return sum(row["exchanges"] for row in measured(surface))


def start_session(surface):
    words = ("session", "start", "--mission", "reef", "--sensor", "inWater=rov1", "--timeout", "60")
    asked = surface.tidesync(*words)
    assert asked.returncode == 0, asked.stderr


def exchanges(surface):
    """The journal's lines that are whole."""
    (text,) = [path.read_text() for path in surface.root.glob("*/*/time_sync/exchanges.jsonl")] or [""]
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def assert_nothing_missing(lines):
    """Of any process; what was sent again stands where it arrived."""
    seqs = defaultdict(list)
    for each in lines:
        seqs[each["instance_id"]].append(each["seq"])
    for found in seqs.values():
        assert sorted(found) == list(range(min(found), max(found) + 1))


def test_a_full_disk_is_one_line_and_a_start_that_needs_no_room_measures(surface, disk):
    surface.home, surface.root, ballast = disk / "home", disk / "dives", disk / "ballast"
    surface.environment["TIDESYNC_HOME"] = str(surface.home)
    fill(ballast)
    assert "home/config: No space left on device\n" in refused(surface)
    ballast.unlink()
    with surface.up() as up:
        until(lambda: surface.runs(up), 60, "everything running")
        assert surface.tidesync("up", "--add-vehicle", "rov1").returncode == 0
        fill(ballast)
        added = surface.tidesync("up", "--add-vehicle", "rov2")
        assert (added.returncode, added.stderr.count("\n")) == (1, 1)
        assert "No space left on device" in added.stderr
        up.kill()
        up.wait()
        until(lambda: surface.programs() == {}, 20, "no program left")
        up.log.unlink()
    with surface.up() as up, surface.vehicle():
        until(lambda: surface.runs(up), 60, "everything running")
        until(lambda: measured(surface), 60, "measured")
        ballast.unlink()
    assert surface.programs() == {}


def test_what_a_full_disk_has_not_taken_is_written_later_and_named_where_it_is_lost(surface, disk):
    surface.root, ballast = disk / "dives", disk / "ballast"
    with surface.up() as up:
        until(lambda: surface.runs(up), 60, "everything running")
        assert surface.tidesync("up", "--add-vehicle", "rov1").returncode == 0
        with surface.vehicle():
            until(lambda: measured(surface), 60, "measured")
            start_session(surface)
            until(lambda: len(exchanges(surface)) > 3, 30, "recorded")
            fill(ballast)
            until(lambda: "held in memory" in up.log.read_text(), 30, "the full disk noticed")
            ballast.unlink()
            until(lambda: "nothing is held back" in up.log.read_text(), 30, "written again")
            lines = up.log.read_text().count("held in memory")
            fill(ballast)
            until(lambda: up.log.read_text().count("held in memory") > lines, 30, "full again")
            enough = until(lambda: counted(surface), 60, "measured") + MORE_THAN_A_PAGE
            until(lambda: counted(surface) >= enough, 60, "lines that have no room left")
            up.terminate()
            up.wait(PATIENCE_S)
    assert "the disk has not taken the last " in up.log.read_text()
    assert_nothing_missing(exchanges(surface))


def test_a_dive_goes_on_after_all_was_killed_at_random_moments(surface):
    chance, wanted = random.Random(15), 0
    assert surface.tidesync("up", *surface.options, "--add-vehicle", "rov1").returncode == 0
    with surface.vehicle():
        for turn in range(3):
            with surface.up() as up:
                until(lambda up=up: surface.runs(up), 60, "everything running")
                if not turn:
                    start_session(surface)
                wanted += chance.randrange(3, 15)
                until(lambda wanted=wanted: len(exchanges(surface)) >= wanted, 90, "recorded")
                wanted = len(exchanges(surface))
                up.kill()
                up.wait()
                until(lambda: len(surface.programs()) == 1, 20, "no program left but the vehicle's")
            up.log.unlink()
    lines = exchanges(surface)
    assert len({each["instance_id"] for each in lines}) == 3
    assert_nothing_missing(lines)


def test_without_mosquitto_it_is_one_line_and_nothing_is_made(tmp_path):
    surface = Surface(tmp_path)
    surface.environment["PATH"] = "/nowhere"
    without = "from tidesync.up import mosquitto; mosquitto._PLACES = (); "
    ended = subprocess.run(
        [sys.executable, "-c", without + "from tidesync.command_line import main; main()", "up"],
        cwd=tmp_path,
        env=surface.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1), ended.stderr
    assert "mosquitto is not installed: sudo apt install mosquitto" in ended.stderr
    assert [path.name for path in surface.home.iterdir()] == ["lock"]
