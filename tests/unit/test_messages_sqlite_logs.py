"""Databases with a log of SQLite's: it is read with them, and nothing beside them changes."""

import shutil
import sqlite3
from contextlib import closing

import pytest

from tests.unit.test_correction_dry_run import tree
from tests.unit.test_correction_session import correct, session
from tests.unit.tracks import START
from tidesync.sessions.messages.read_only import read_only

__all__ = ["session"]

MS = START // 1_000_000
WATER = ("--sensor", "inWater=rov1", "--instrument-clock", "vehicle")
TABLES = {
    ".rsk": "CREATE TABLE data (tstamp INTEGER PRIMARY KEY, channel01 REAL)",
    ".db3": "CREATE TABLE messages (id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, data BLOB)",
}
ROWS = {
    ".rsk": ("INSERT INTO data VALUES (?, 1)", [(MS + 2_000 + 137 * number,) for number in range(20)]),
    ".db3": (
        "INSERT INTO messages VALUES (NULL, 1, ?, x'00')",
        [((MS + 2_000 + 137 * number) * 1_000_000,) for number in range(20)],
    ),
}
FILES = {".rsk": ("dive.rsk.topside.csv",), ".db3": ("dive.topside.db3",)}


def write(path, folder, mode):
    """A database whose writer was ended: half of its rows are in its log alone, or are to be taken back."""
    made = folder / path.name
    insert, rows = ROWS[path.suffix]
    with closing(sqlite3.connect(made, isolation_level=None)) as database:
        database.execute(TABLES[path.suffix])
        database.executemany(insert, rows[:10])
        database.execute(f"PRAGMA journal_mode = {mode}")
        database.execute("PRAGMA cache_size = 1")
        database.execute("BEGIN")
        database.executemany(insert, rows[10:])
        if mode == "WAL":
            database.execute("COMMIT")
        else:
            database.execute("CREATE TABLE filled (content BLOB)")
            database.executemany("INSERT INTO filled VALUES (?)", [(b"x" * 200,)] * 3_000)
        for suffix in ("", "-wal", "-journal"):
            if (each := made.with_name(f"{made.name}{suffix}")).exists():
                shutil.copy(each, f"{path}{suffix}")


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
@pytest.mark.parametrize("suffix", FILES)
def test_nothing_is_left_beside_it_and_its_log_is_read(suffix, mode, session, tmp_path_factory):
    folder = session / "in-water_7"
    path = folder / f"dive{suffix}"
    write(path, tmp_path_factory.mktemp("writer"), mode)
    assert len([*folder.glob("dive*")]) == 2
    before = tree(session)
    with read_only(path) as database:
        table = "data" if suffix == ".rsk" else "messages"
        assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (20 if mode == "WAL" else 10,)
    assert correct(session, *WATER, "--dry-run") == 0
    assert tree(session) == before
    assert correct(session, *WATER) == 0
    after = {each.name for each in folder.iterdir()} - {each.name for each in before}
    assert after == {"session.topside.csv", *FILES[suffix]}
    for each in folder.glob(f"dive{suffix}*"):
        if each in before:
            assert each.read_bytes() == before[each][1]
