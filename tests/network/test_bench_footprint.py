"""The benchmark of the footprint measures real programs, and its page holds what it measured."""

import sys

import pytest

from bench.footprint import __main__ as page
from bench.footprint import process
from bench.footprint.disk import Installed
from bench.footprint.process import Footprint, Requester


@pytest.mark.parametrize("name", ["tidesync pi --no-http", "the smallest paho echo"])
def test_a_program_is_measured_idle_and_asked(mosquitto, monkeypatch, name):
    monkeypatch.setattr(process, "_SETTLE_S", 1.5)
    requester = Requester(mosquitto.port)
    command = page._commands(mosquitto.port)[name]
    assert command[0] == sys.executable
    found = process.run(command, requester, seconds=1.0)
    requester.stop()
    assert found.pings >= 0.5 * process.RATE_HZ
    assert found.memory_mb > 5
    assert found.online_s > 0
    assert found.idle_cpu_percent < 50


def test_the_page_holds_the_figures():
    found = {"tidesync pi": Footprint(0.5, 40.0, 0.7, 300.0, 500)}
    how = {"processor": "armv8", "cores": 4, "python": "3.11.2", "rounds": 3, "seconds": 10.0}
    text = page._text(found, [Installed("paho-mqtt", "2.2.0", 1.25)], how)
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if "|" in line]
    assert ["tidesync pi", "0.5", "40", "0.7", "300"] in rows
    assert ["paho-mqtt", "2.2.0", "1.25"] in rows
    assert "1 distributions, 1.2 MB with bytecode" in text
