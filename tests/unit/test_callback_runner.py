"""What an agent's code raises ends nothing, is counted, and cannot fill the log."""

import logging
from types import SimpleNamespace

import pytest

from broker.callback_runner import CallbackRunner
from runtime.clock import SimulatedClock, SystemClock
from runtime.faults import faults

PLACES = ("received", "tick", "work")


class Agent:
    """Raises wherever it is called."""

    def received(self, message):
        raise ValueError(f"no use for {message.payload!r}")

    def tick(self, now):
        return now / 0

    def work(self):
        raise KeyError("nothing posted")


class Clock(SimulatedClock):
    """Its RAW is set."""

    now_ns = 10**12

    def raw_ns(self):
        return self.now_ns


@pytest.fixture
def runner():
    client = SimpleNamespace(reads=1, last_of_read=True, arrival=lambda: None, unstamped_because="t")
    log = SimpleNamespace(info=print)
    return CallbackRunner(Agent(), Clock(SystemClock()), client, log)


def test_a_thousand_faults_of_each_kind_are_a_traceback_each(runner, caplog, monkeypatch):
    before = faults.total()
    with caplog.at_level(logging.ERROR):
        for number in range(1000):
            runner.post(runner._callbacks.work)
            runner.deliver("topic", b"%d" % number, False)
            runner.run_due()
    assert faults.total() - before == 3000
    assert sorted(record.exc_info[0].__name__ for record in caplog.records) == [
        "KeyError",
        "TypeError",
        "ValueError",
    ]
    monkeypatch.setattr(Clock, "now_ns", Clock.now_ns + 61 * 10**9)
    runner.deliver("topic", b"one more", False)
    assert "a message of 8 bytes" in caplog.text
    assert "(and 999 more since)" in caplog.text
