"""Rows that are outside only for what their stamps resolve are counted, with the ways out."""

import json
import re

import numpy as np
import pytest

from tests.unit.fused_sessions import make_session, pi
from tidesync.command_line import run


@pytest.fixture
def mixed(tmp_path):
    """A table of a logger in ms, most of whose stamps end in 0."""
    session, clock = make_session(tmp_path, pi(), {}), pi()
    (session / "in-water_1").mkdir()
    chance = np.random.default_rng(1)
    at_s = np.sort(chance.uniform(10, 100, 700))
    ns = clock.realtime_ns(at_s) // 10**6 * 10**6
    tens = chance.random(ns.size) < 0.8
    ns[tens] = ns[tens] // 10**7 * 10**7
    texts = ns.astype("datetime64[ns]").astype("datetime64[ms]").astype(str).tolist()
    table = session / "in-water_1" / "fifty.csv"
    table.write_text("timestamp\n" + "".join(f"{text}Z\n" for text in texts))
    return session


def corrected(session, capsys, *options):
    assert run(["-q", "correct", str(session), "--sensor", "inWater=rov1", "--json", *options]) == 0
    return json.loads(capsys.readouterr().out)["files"][0]


def test_the_hint_says_how_many_the_limit_and_both_ways_out(mixed, capsys):
    found = corrected(mixed, capsys)
    assert 0 < found["outside"] < found["rows"]
    shown = re.match(
        r"(\d+) rows are outside the limit of 25 ms only for .* resolve: --max-error-ms (\d+) ",
        found["hint"],
    )
    assert int(shown[1]) == found["outside"]
    assert "--resolution-ms" in found["hint"]
    served = corrected(mixed, capsys, "--max-error-ms", shown[2])
    assert served["outside"] == 0
    assert "rows are outside" not in (served["hint"] or "")
    assert corrected(mixed, capsys, "--resolution-ms", "10")["outside"] == 0


def test_the_summary_has_the_same_and_says_what_the_resolution_is_from(mixed, capsys):
    hint = corrected(mixed, capsys)["hint"]
    assert run(["-q", "correct", str(mixed), "--sensor", "inWater=rov1"]) == 0
    summary = capsys.readouterr().out
    assert hint in summary
    assert "resolve 20 ms (written to 1 ms; more than chance explains are multiples of 10 ms, as" in summary
    assert "ticks every" not in summary


def test_rows_that_are_outside_for_another_reason_are_not_counted(mixed, capsys):
    table = mixed / "in-water_1" / "fifty.csv"
    before = corrected(mixed, capsys)
    table.write_text(table.read_text() + "2031-01-01T00:00:00.123Z\n")
    after = corrected(mixed, capsys)
    assert after["outside"] == before["outside"] + 1
    assert after["hint"] == before["hint"]
