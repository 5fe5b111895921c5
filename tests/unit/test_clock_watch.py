"""The clock watch distinguishes steps and suspends from slewing, dates and measures them."""

import errno
import os
import random
import socket
import sys

import pytest

from runtime import kernel_clock
from runtime.clock import Reading, SimulatedClock, Slew, Step, Suspend, SystemClock
from runtime.clock_samples import Sample
from runtime.clock_slews import SlewChange
from runtime.clock_watch import ClockChange, ClockWatch, ClockWatcher, watch_machine
from runtime.kernel_clock import KernelState
from tests.deadline import until
from tests.effort import part, tries
from tests.unit.clock_lookup import ClockHistory

MS = 1_000_000
S = 1_000_000_000
AHEAD_NS = 1_777_636_800_000_000_000
POLL_NS = 200 * MS


RESTING = KernelState()
START = Sample(10 * S, AHEAD_NS, 100, RESTING)


def after(last, moved_ns, *, elapsed_ns=POLL_NS, half_ns=100, **changes):
    moved = last.realtime_minus_raw_ns + moved_ns
    return last._replace(
        raw_ns=last.raw_ns + elapsed_ns, realtime_minus_raw_ns=moved, half_ns=half_ns, **changes
    )


def change(kind, seen, moved_ns):
    return ClockChange(kind, Reading(seen.raw_ns, seen.realtime_minus_raw_ns, 2 * seen.half_ns), moved_ns)


@pytest.fixture
def watch():
    begun = ClockWatch()
    assert begun.observe(START) == []
    return begun


@pytest.mark.parametrize("step_ns", [3 * S, -3 * S, MS, -MS])
def test_a_step_is_measured_with_its_sign_and_dated_by_the_reading_that_shows_it(watch, step_ns):
    seen = after(START, step_ns)
    assert watch.observe(seen) == [change("step", seen, step_ns)]


def test_a_step_is_reported_once(watch):
    seen = after(START, 3 * S)
    watch.observe(seen)
    assert watch.observe(after(seen, 0)) == []


@pytest.mark.parametrize(("ppm", "known"), part([500, -500, 20_000, -83_333, 100_500], [True, False]))
def test_an_hour_of_slewing_at_any_rate_is_no_step(watch, ppm, known):
    state = KernelState(10_000 + ppm // 100, ppm % 100 * 65_536) if known else None
    reading, reported = START, []
    for _ in range(5 * 3600):
        reading = after(reading, POLL_NS * ppm // 1_000_000, state=state)
        reported += watch.observe(reading)
    assert [(type(one), one.kind) for one in reported] == [(SlewChange, "begin")]
    assert reported[0].rate_ppm == pytest.approx(ppm, rel=0.01)


def test_a_slew_is_reported_at_its_beginning_and_at_its_end_with_size_and_rate(watch):
    reading, reported = START, []
    for ppm in [50_000] * 50 + [0] * 20:
        state = KernelState(10_000 + ppm // 100)
        reading = after(reading, POLL_NS * ppm // 1_000_000, state=state)
        reported += watch.observe(reading)
    begin, end = reported
    assert (begin.kind, begin.at_raw_ns, begin.rate_ppm) == ("begin", START.raw_ns, pytest.approx(50_000))
    assert (end.kind, end.moved_ns, end.lasted_ns) == ("end", 500 * MS, 10 * S)
    assert end.rate_ppm == pytest.approx(50_000)
    assert "+500.000 ms in 10.0 s (+50,000 ppm)" in str(end)
    assert not watch.is_moving
    assert watch.rested_s() == pytest.approx(4.0)


def test_the_rate_of_a_disciplined_crystal_is_no_slew(watch):
    reading = START
    for _ in range(1000):
        reading = after(reading, POLL_NS * 90 // 1_000_000, state=KernelState(10_000, 90 * 65_536))
        assert watch.observe(reading) == []
    assert not watch.is_moving


def test_a_step_during_a_slew_is_distinguished_from_it(watch):
    reading = START
    for _ in range(10):
        reading = after(reading, 100_000)
        watch.observe(reading)
    (seen,) = watch.observe(after(reading, MS + 100_000))
    assert (seen.kind, seen.moved_ns) == ("step", MS + 100_000)


def test_what_slewing_could_have_done_is_not_called_a_step(watch):
    assert watch.observe(after(START, 100_100)) == []


def test_where_the_kernel_says_nothing_a_move_that_slewing_could_make_is_no_step():
    watch = ClockWatch()
    watch.observe(START._replace(state=None))
    moved = after(START, 19 * MS, state=None)
    assert watch.observe(moved) == []
    (seen,) = watch.observe(after(moved, 21 * MS))
    assert (seen.kind, seen.moved_ns) == ("step", 21 * MS)


def test_where_the_kernel_reports_that_the_clock_was_set_a_small_step_is_one_too():
    watch = ClockWatch()
    watch.observe(START._replace(state=None))
    (seen,) = watch.observe(after(START, MS, state=None, notified=True))
    assert (seen.kind, seen.moved_ns) == ("step", MS)


def test_a_step_hidden_by_a_blurred_reading_is_found_by_the_next_sharp_one(watch):
    blurred = after(START, MS, half_ns=5 * MS)
    assert watch.observe(blurred) == []
    (seen,) = watch.observe(after(blurred, 0))
    assert (seen.kind, seen.moved_ns) == ("step", MS)


def test_a_clock_that_is_never_sharp_is_watched_all_the_same():
    watch = ClockWatch()
    reading = Sample(S, AHEAD_NS, MS // 2, RESTING)
    watch.observe(reading)
    for _ in range(1000):
        reading = after(reading, 90_000, half_ns=MS // 2)
        assert not [one for one in watch.observe(reading) if isinstance(one, ClockChange)]
    (seen,) = watch.observe(after(reading, 3 * S, half_ns=MS // 2))
    assert seen.moved_ns == 3 * S


def test_time_asleep_is_a_suspend_that_takes_the_wall_clocks_move_along(watch):
    seen = after(START, 60 * S, suspended_ns=60 * S)
    assert watch.observe(seen) == [change("suspend", seen, 60 * S)]
    assert watch.observe(after(seen, 0)) == []


def test_a_suspend_during_which_the_wall_clock_stood_still_is_a_suspend_too(watch):
    (seen,) = watch.observe(after(START, 0, suspended_ns=60 * S))
    assert (seen.kind, seen.moved_ns) == ("suspend", 0)


def test_a_busy_processor_between_two_clock_reads_is_no_suspend(watch):
    assert watch.observe(after(START, 0, suspended_ns=5 * MS)) == []


def test_time_asleep_before_the_watch_began_is_no_news():
    watch = ClockWatch()
    asleep = START._replace(suspended_ns=3600 * S)
    assert watch.observe(asleep) == []
    assert watch.observe(after(asleep, 0)) == []


class FastBase:
    """A perfect clock that the test moves; each look takes 20 ns."""

    boot_id = "base"
    resolution_ns = 1

    def __init__(self):
        self.now_ns = 5 * S

    def raw_ns(self):
        self.now_ns += 20
        return self.now_ns

    def realtime_ns(self):
        self.now_ns += 20
        return AHEAD_NS + self.now_ns


def test_the_watcher_reports_each_step_of_a_simulated_clock_and_nothing_else():
    base = FastBase()
    steps = (Step(1.0, 3 * S), Step(2.0, -3 * S), Step(3.0, MS), Step(4.0, -MS))
    seen: list[ClockChange] = []
    watcher = ClockWatcher(SimulatedClock(base, 2 * S, 200.0, steps), seen.append)
    for _ in range(30):
        watcher.check()
        base.now_ns += POLL_NS
    assert [change.kind for change in seen] == ["step"] * 4
    assert [change.moved_ns for change in seen] == pytest.approx([step.step_ns for step in steps], abs=100)


def test_the_watcher_reports_a_simulated_clocks_slews_and_suspends_and_keeps_its_history():
    base = FastBase()
    clock = SimulatedClock(
        base, drift_ppm=20.0, slews=(Slew(1.0, 83_333.0, 2.0),), suspends=(Suspend(8.0, 3.0),)
    )
    seen: list[ClockChange] = []
    slews: list[SlewChange] = []
    watcher = ClockWatcher(clock, seen.append, report_slew=slews.append)
    truths = []
    while base.now_ns < 20 * S:
        if not clock.suspended_now():
            watcher.check()
            truths.append((clock.raw_at(base.now_ns), clock.realtime_at(base.now_ns)))
        base.now_ns += round(watcher.poll_s * S)
    watcher.stop()
    assert [(one.kind, round(one.moved_ns / MS)) for one in seen] == [("suspend", 3000)]
    assert [one.kind for one in slews] == ["begin", "end"]
    assert slews[1].moved_ns == pytest.approx(166.666 * MS, abs=0.2 * MS)
    history = ClockHistory.from_pieces([piece for _, piece in watcher.pieces(0, watcher.number)])
    for raw_ns, realtime_ns in truths[1:-1]:
        known = history.realtime_at(raw_ns)
        assert known is None or abs(known.ns - realtime_ns) <= known.half_width_ns


@pytest.mark.parametrize("seed", range(tries(20)))
def test_samples_that_wait_at_rest_show_the_same_as_those_observed_one_by_one(seed):
    chance = random.Random(seed)
    clock = SimulatedClock(
        FastBase(),
        drift_ppm=chance.uniform(-50, 50),
        steps=tuple(Step(chance.uniform(1, 100), chance.choice([-S, S, MS, -MS])) for _ in range(2)),
        slews=tuple(
            Slew(chance.uniform(1, 100), chance.choice([20.0, 60.0, 140.0, -500.0, 83_333.0]), 9.0)
            for _ in range(3)
        ),
        suspends=(Suspend(chance.uniform(1, 100), 3.0),),
    )
    seen = [], []
    waiting, at_once = (ClockWatcher(clock, one.append, report_slew=one.append) for one in seen)
    while clock.base.now_ns < 125 * S:
        began_ns = clock.base.now_ns
        waiting.check()
        clock.base.now_ns = began_ns
        at_once.check()
        at_once.pieces(0, 0)
        assert seen[0] == seen[1]
        assert waiting.poll_s == at_once.poll_s
        late_s = chance.choice([0, 0, 0, 0, 0, 0, 0.001, 0.1, 1])
        clock.base.now_ns = began_ns + round((waiting.poll_s + late_s) * S)
    assert waiting.pieces(0, 999) == at_once.pieces(0, 999)
    assert waiting.discipline() == at_once.discipline()


def test_a_suspend_between_its_two_sources_is_looked_at_again_and_reported_once():
    base = FastBase()
    asleep = iter([0, 0, 0, 0, 60 * S, 60 * S, 60 * S, 60 * S, 60 * S])
    seen: list[ClockChange] = []
    clock = SimulatedClock(base, steps=(Step(0.1, 60 * S),))
    watcher = ClockWatcher(clock, seen.append, suspended_ns=lambda: next(asleep))
    for _ in range(4):
        watcher.check()
        base.now_ns += POLL_NS
    assert [(change.kind, round(change.moved_ns / S)) for change in seen] == [("suspend", 60)]


class Notice:
    """Replaces the kernel's timer: readable immediately, as after the clock was set."""

    def __init__(self):
        self.ours, self.theirs = socket.socketpair()
        self.theirs.send(b"\0")
        self.acknowledged = 0

    def fileno(self):
        return self.ours.fileno()

    def acknowledge(self):
        self.ours.recv(1)
        self.acknowledged += 1
        return True

    def close(self):
        self.ours.close()
        self.theirs.close()


def test_a_notice_ends_the_wait_and_is_acknowledged(monkeypatch):
    monkeypatch.setattr("runtime.clock_watch.POLL_S", 60.0)  # the test's own time limit would end it
    notice = Notice()
    watcher = ClockWatcher(FastBase(), lambda _: None, notice=notice)
    watcher.wait()
    assert notice.acknowledged == 1
    notice.close()


def test_stopping_ends_the_wait_and_the_thread(monkeypatch):
    monkeypatch.setattr("runtime.clock_watch.POLL_S", 60.0)
    watcher = watch_machine(SystemClock(), lambda _: None)
    watcher.start()
    watcher.stop()
    assert not watcher._thread.is_alive()


linux = pytest.mark.skipif(sys.platform != "linux", reason="timerfd is Linux's")


@linux
def test_the_kernels_timer_is_silent_while_nobody_sets_the_clock():
    timer = kernel_clock.ClockSetTimer()
    try:
        assert timer.acknowledge() is False
    finally:
        timer.close()


@linux
def test_a_cancelled_timer_means_that_the_clock_was_set_and_is_armed_again(
    monkeypatch,
):
    timer = kernel_clock.ClockSetTimer()
    armed: list[int] = []

    def cancelled(_fd, _size):
        raise OSError(errno.ECANCELED, "cancelled")

    def arm_cancelled(fd):
        armed.append(fd)
        raise OSError(errno.ECANCELED, "set once more")

    monkeypatch.setattr(os, "read", cancelled)
    monkeypatch.setattr(kernel_clock, "_timerfd_arm", arm_cancelled)
    try:
        assert timer.acknowledge() is True
        assert armed == [timer.fileno()]
    finally:
        timer.close()


@linux
def test_a_timer_that_cannot_be_had_leaves_the_poll(monkeypatch):
    def refused():
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(kernel_clock, "_timerfd_create", refused)
    watcher = watch_machine(SystemClock(), lambda _: None)
    watcher.start()
    watcher.stop()
    assert not watcher._thread.is_alive()


def in_agreement():
    """Two readings; a pause within one of them would look like some time asleep."""
    once, again = kernel_clock.suspended_ns(), kernel_clock.suspended_ns()
    return abs(again - once) < 10 * MS and once > -MS and (once, again)


@linux
def test_this_machine_reports_its_time_in_suspend_and_whether_ntp_steers_it():
    once, again = until(in_agreement, what="two readings that nothing interrupted")
    assert abs(again - once) < 10 * MS
    assert once > -MS
    assert kernel_clock.clock_synchronized() in {True, False}


def test_a_system_that_does_not_report_it_may_be_steered(monkeypatch):
    monkeypatch.setattr(kernel_clock, "_libc", None)
    assert kernel_clock.clock_synchronized() is True


@pytest.mark.parametrize(("status", "synchronized"), [(0x0040, False), (0x2041, False), (0x2001, True)])
def test_sta_unsync_decides(monkeypatch, status, synchronized):
    class Libc:
        @staticmethod
        def adjtimex(state):
            state._obj.status = status  # type: ignore[attr-defined]
            return 0

    monkeypatch.setattr(kernel_clock, "_libc", Libc)
    assert kernel_clock.clock_synchronized() is synchronized
