"""Files whose names are no UTF-8, as those of old cards and archives: every command takes them as others."""

import gzip
import json
import os
import shutil
import sys

import pytest
from pyarrow import csv, parquet

from tests.unit.test_correction_session import TABLE, correct, session
from tidesync.command_line import run

__all__ = ["session"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have text as names")

WATER = ("--sensor", "inWater=rov1")


@pytest.fixture
def odd(session):
    """A session whose in-water tables have such names."""
    folder = session / "in-water_7"
    table = csv.read_csv(folder / "session.csv")
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / os.fsdecode(b"d\xe9p.csv")).write_text(TABLE)
    (folder / os.fsdecode(b"d\xe9p.csv.gz")).write_bytes(gzip.compress(TABLE.encode()))
    parquet.write_table(table, session / "x.parquet")
    (session / "x.parquet").rename(folder / os.fsdecode(b"d\xe9p.parquet"))
    return session


def test_they_are_corrected_and_nothing_is_said_to_be_gone(odd, capfd):
    for _ in range(2):
        assert correct(odd, *WATER, "--json") == 0
        made = json.loads(capfd.readouterr().out)
        assert (made["failed"], made["forgotten"]) == ([], [])
    assert len([*(odd / "in-water_7").glob("*.topside.*")]) == 3
    assert run(["-q", "export", str(odd), "--format", "ro-crate"]) == 1
    assert "its name cannot be published" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("fuse", "{}", *WATER, "--out", "{}/fused.csv"), 0),
        (("fuse", "{}", *WATER, "--out", "{}/fused.parquet"), 0),
        (("export", "{}", "--format", "netcdf", *WATER, "--output", "{}/netcdf"), 0),
        (("report", "{}"), 0),
        (("correct", "{}", *WATER, "--for-cockpit", "{}-cockpit"), 1),
    ],
)
def test_all_that_is_made_of_tables_has_them(command, code, odd, capfd):
    assert run(["-q", *(each.format(odd) for each in command)]) == code
    captured = capfd.readouterr()
    assert "internal fault" not in captured.err
    assert "codec" not in captured.err
    if code:
        assert captured.err.count("Cockpit reads tables of text only") == 1
