"""The report's headline names how finely the stamps of the session's tables resolve."""

import json
import re

import numpy as np
import pytest

from tests.unit.fused_sessions import make_session, pi, write_metadata
from tidesync.command_line import run


def headline(folder, capsys):
    assert run(["report", str(folder), "--json"]) == 0
    (vehicle,) = json.loads(capsys.readouterr().out)["vehicles"]
    return vehicle["headline"].replace("\N{NO-BREAK SPACE}", " ")


def session_cut_to(folder, length, column="timestamp"):
    """A session whose table has stamps of so many characters."""
    clock = pi()
    session = make_session(
        folder, clock, {"in-water_1/session.csv": (clock, np.arange(2, 110, 0.137_123), lambda _: "a,1")}
    )
    write_metadata(session, {"sensors": {"inWater": {"vehicle": "rov1"}}})
    path = session / "in-water_1" / "session.csv"
    head, *lines = path.read_text().splitlines()
    cut = (line.partition(",") for line in lines)
    rows = [f"{at[:length]}Z,{rest}" for at, _, rest in cut]
    path.write_text("\n".join([head.replace("timestamp", column), *rows]) + "\n")
    return session


@pytest.mark.parametrize(("digits", "resolves"), [(-1, "1.00 s"), (2, "2[0-3] ms"), (6, None)])
def test_the_headline_says_what_stamps_resolve_if_that_is_coarser_than_the_clocks(
    tmp_path, digits, resolves, capsys
):
    session = session_cut_to(tmp_path, 20 + digits)
    found = headline(session, capsys)
    if resolves is None:
        assert "resolve" not in found
    else:
        assert re.search(f"the stamps of its tables resolve {resolves}: no row is known better", found)


def test_the_headline_says_of_how_many_tables_it_speaks(tmp_path, capsys):
    session = session_cut_to(tmp_path, 26)
    fine = session / "in-water_1" / "session.csv"
    for cut, tables in ((22, 2), (19, 3)):
        lines = [line.partition(",") for line in fine.read_text().splitlines()[1:]]
        rows = [f"{at.removesuffix('Z')[:cut]}Z,{rest}" for at, _, rest in lines]
        (fine.parent / f"to_{cut}.csv").write_text("\n".join(["timestamp,mode,value", *rows]) + "\n")
        found = headline(session, capsys)
        assert f"the stamps of {tables - 1} of its {tables} tables resolve " in found
        assert "no row is known better" not in found
    assert re.search(r"tables resolve 2\d ms to 1\.00 s: no row of these", found)
    fine.unlink()
    assert re.search(r"of its tables resolve 2\d ms to 1\.00 s: no row of these", headline(session, capsys))


def warnings(session, capsys):
    assert run(["report", str(session)]) == 0
    return [line for line in capsys.readouterr().err.splitlines() if "WARNING" in line]


def test_a_table_is_read_as_it_was_corrected(tmp_path, capsys):
    session = session_cut_to(tmp_path, 26)
    table = session / "in-water_1" / "session.csv"
    local = [line.replace("Z,", ",").replace("T12:", "T05:") for line in table.read_text().splitlines()]
    table.write_text("\n".join(local) + "\n")
    (warning,) = warnings(session, capsys)
    assert warning.count(str(table)) == 1
    assert "has times without a zone" in warning
    assert run(["-q", "correct", str(session), "--zone", "-07:00"]) == 0
    assert not warnings(session, capsys)
    (session / "time_sync" / "corrections.json").write_text("{")
    assert "as if none had been corrected" in warnings(session, capsys)[0]


def test_a_table_that_cannot_be_read_does_not_cost_the_report(tmp_path, capsys):
    session = make_session(tmp_path, pi(), {})
    (session / "in-water_1").mkdir()
    (session / "in-water_1" / "session.csv").write_bytes(b"\0\0timestamp\xff\n")
    write_metadata(session, {"sensors": {"inWater": {"vehicle": "rov1"}}})
    assert "to within" in headline(session, capsys)


def test_tables_are_read_as_the_settings_of_the_file_state(tmp_path, capsys, monkeypatch):
    session = session_cut_to(tmp_path, 19, column="when")
    monkeypatch.chdir(tmp_path)
    assert "resolve" not in headline(session, capsys)
    for section in ("[correct]", '[correct."in-water_1/session.csv"]'):
        (tmp_path / "tidesync.toml").write_text(f'{section}\ncolumn = "when"\n')
        assert "stamps of its tables resolve 1.00 s:" in headline(session, capsys)
    (tmp_path / "tidesync.toml").write_text('[correct]\ndecimal = ";"\n')
    assert run(["report", str(session)]) == 2
    assert "--decimal" in capsys.readouterr().err
