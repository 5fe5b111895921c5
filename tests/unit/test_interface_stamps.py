"""What an interface can stamp: drivers' answers as they were recorded, and this machine's own."""

import struct
import sys

import pytest

from runtime.interface_stamps import ask_driver, interface_stamps, stamps_of


def answer(flags, clock, transmits, filters):
    return struct.pack("@IIiI12xI12x", 0x41, flags, clock, transmits, filters)


@pytest.mark.parametrize(
    ("recorded", "words"),
    [
        (answer(26, -1, 0, 0), "eth0: arrivals and departures, no hardware clock"),
        (answer(24, -1, 0, 0), "eth0: arrivals alone, no hardware clock"),
        (
            answer(95, 0, 3, 0b11),
            "eth0: arrivals and departures; its hardware clock (ptp0) can stamp every datagram",
        ),
        (
            answer(95, 1, 7, 1 | 1 << 12),
            "eth0: arrivals and departures; its hardware clock (ptp1) can stamp PTP datagrams alone",
        ),
        (answer(26, 2, 0, 0), "eth0: arrivals and departures, no hardware clock"),
    ],
)
def test_a_drivers_answer_is_put_into_words(recorded, words):
    assert str(stamps_of("eth0", recorded)) == words


def test_only_interfaces_that_are_devices_are_asked(tmp_path):
    for name in ("wlan0", "eth0"):
        (tmp_path / name / "device").mkdir(parents=True)
    (tmp_path / "veth1").mkdir()
    asked = []

    def ask(name):
        asked.append(name)
        return None if name == "wlan0" else answer(26, -1, 0, 0)

    assert [each.name for each in interface_stamps(tmp_path, ask)] == ["eth0"]
    assert asked == ["eth0", "wlan0"]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's drivers are asked")
def test_an_interface_that_is_not_there_answers_nothing():
    assert ask_driver("nothere0") is None
