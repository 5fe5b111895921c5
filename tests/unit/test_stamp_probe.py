"""Whether the kernel stamps with the clock that a program is shown, as it is tried on this machine."""

import time

import pytest

from broker.client.stamps import ArrivalStamper, KernelStamp
from runtime.clock import SystemClock
from runtime.stamp_clock import StampClock
from runtime.stamp_probe import stamps_by
from runtime.stamped_socket import StampedSocket

MS = 1_000_000
needs_stamps = pytest.mark.skipif(StampedSocket.refusal() is not None, reason="the system gives no stamps")


class ShownClock(SystemClock):
    """A clock as a program sees it whose library shows it another time."""

    def __init__(self, ahead_ns):
        super().__init__()
        self.realtime_ns = lambda: time.time_ns() + ahead_ns


@needs_stamps
@pytest.mark.parametrize("ahead_ns", [MS, -MS, 3_600_000 * MS])
def test_stamps_of_another_clock_are_recognised_and_none_is_converted(ahead_ns, caplog):
    clock = ShownClock(ahead_ns)
    assert not stamps_by(clock.realtime_ns)
    stamps = StampClock(clock)
    first = stamps.look()
    looks = [stamps.look() for _ in range(3)]
    assert stamps.raw_of(first.raw_ns + first.realtime_minus_raw_ns) is None
    assert looks[-1].sets == 0
    stamps.close()
    assert "another clock" in caplog.text


@needs_stamps
@pytest.mark.parametrize(("ahead_ns", "kind"), [(0, "kernel"), (MS, "user")])
def test_nor_is_a_message_stamped_by_another_clock(ahead_ns, kind):
    clock = ShownClock(ahead_ns)
    stamper = ArrivalStamper(clock)
    stamper.observe(stamper.now)
    kernel = KernelStamp(clock.realtime_ns() - ahead_ns, exact=True)
    assert stamper.arrived(kernel)[1] == kind


def test_those_of_this_machine_are_of_its_realtime():
    assert stamps_by(time.time_ns)


def test_without_datagrams_over_loopback_they_are_not_relied_on(monkeypatch):
    monkeypatch.setattr(StampedSocket, "receive", lambda *_: None)
    assert not stamps_by(time.time_ns)
