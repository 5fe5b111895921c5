"""Watches a machine's own clock, without a network: its steps, slews and suspends, and its clock history."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from runtime import kernel_clock
from runtime.clock import Reading, SimulatedClock
from runtime.clock_daemons import Discipline, running_daemons
from runtime.clock_pieces import PieceBuilder
from runtime.clock_sampler import MIN_SUSPEND_NS, ClockSampler
from runtime.clock_samples import SHARP_NS, Interval, is_step
from runtime.clock_slews import MOVING_PPM, SlewChange, SlewTracker
from runtime.watchdog import Loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.clock import Clock
    from runtime.clock_samples import Sample
    from runtime.kernel_clock import KernelState
    from schemas.clock_history import ClockPiece

POLL_S = 0.2
"""Between two readings of a clock at rest."""
MOVING_POLL_S = 0.02
"""Between two readings while the clock is slewed."""
_PATIENCE_NS = 350_000_000
"""A blurred reading that is worse than the last good one is used only when that is older than this."""
_MOST_WAITING = 9
"""Of a clock at rest ten samples are observed at a time: each alone finds the processor's caches cold."""
_RESTS_NS, _RESTS_OVER_NS = 10_000, 140_000_000
"""A move of at most so much in at least so long, 71 ppm, is neither a step nor a slew."""
_WIDTH_PARTS = 8
"""Half-widths that differ by less than this part of them do not matter: a coarse clock's never are equal."""
_NO_SUSPEND_NS = MIN_SUSPEND_NS // 100


@dataclass(frozen=True, slots=True)
class ClockChange:
    """A step or a suspend, first visible in the reading `seen`."""

    kind: Literal["step", "suspend"]
    seen: Reading
    moved_ns: int
    """The change of realtime − RAW: positive when realtime moved forward."""


class ClockWatch:
    """Compares each sample with the one before, and keeps the clock history.

    A suspend is recognised by BOOTTIME − MONOTONIC alone; a change of realtime during it belongs to it. A
    move that no slewing explains (`clock_samples.is_step`) is a step, forward or back. On a system without
    BOOTTIME a suspend that stops RAW is therefore reported as a step forward, which ends the segment as well.
    """

    def __init__(self, builder: PieceBuilder | None = None) -> None:
        self.builder = builder or PieceBuilder()
        self.last: Sample | None = None
        """The newest that was not ignored."""
        self._interval: Interval | None = None
        self._slews = SlewTracker()
        self._notified = False

    @property
    def is_moving(self) -> bool:
        """Whether the clock is slewed, or was less than two seconds ago."""
        return self._slews.is_moving

    def rested_s(self) -> float:
        """How long realtime − RAW has rested by the last sample, s; 0 before the second one."""
        since_ns = self._slews.rests_since_ns
        return 0.0 if self.last is None or since_ns is None else (self.last.raw_ns - since_ns) / 1e9

    def observe(self, sample: Sample) -> list[ClockChange | SlewChange]:
        """What the sample shows to have happened since the last one."""
        last = self.last
        if self._notified:
            sample = sample._replace(notified=True)
        if last is not None and self._is_ignored(last, sample):
            self._notified = sample.notified
            return []
        self.last, self._notified = sample, False
        if last is None:
            self.builder.add(sample, "start")
            return []
        if sample.suspended_ns - last.suspended_ns > MIN_SUSPEND_NS:
            return [self._cut("suspend", last, sample)]
        interval = Interval(last, sample)
        if is_step(interval, self._interval):
            return [self._cut("step", last, sample)]
        self.builder.extend(interval)
        self._interval = interval
        return [*self._slews.observe(interval)]

    def _is_ignored(self, last: Sample, sample: Sample) -> bool:
        slept = sample.suspended_ns - last.suspended_ns > MIN_SUSPEND_NS
        if sample.raw_ns <= last.raw_ns:
            return not slept
        blurred = sample.half_ns > max(SHARP_NS, last.half_ns + last.half_ns // _WIDTH_PARTS)
        return blurred and not slept and sample.raw_ns - last.raw_ns < _PATIENCE_NS

    def _cut(self, kind: Literal["step", "suspend"], last: Sample, sample: Sample) -> ClockChange:
        self.builder.add(sample, kind)
        self._slews.cut(sample)
        self._interval = None
        seen = Reading(sample.raw_ns, sample.realtime_minus_raw_ns, 2 * sample.half_ns)
        return ClockChange(kind, seen, sample.realtime_minus_raw_ns - last.realtime_minus_raw_ns)


def shows_rest(sample: Sample, before: Sample) -> bool:
    """Whether `sample` surely shows no change, whichever samples since `before` that rest too are ignored."""
    state = sample.state
    return (
        state is not None
        and state == before.state
        and state.offset_ns == 0
        and abs(state.rate_ppm) <= MOVING_PPM
        and abs(sample.realtime_minus_raw_ns - before.realtime_minus_raw_ns) <= _RESTS_NS
        and sample.raw_ns - before.raw_ns >= _RESTS_OVER_NS
        and abs(sample.suspended_ns - before.suspended_ns) <= _NO_SUSPEND_NS
        and not sample.notified
    )


class SetNotice(Protocol):
    """A file descriptor that becomes readable when the clock is set."""

    def fileno(self) -> int:
        """For `select`."""

    def acknowledge(self) -> bool:
        """Whether the clock was set since the last call."""

    def close(self) -> None:
        """Release it."""


class ClockWatcher:
    """A thread that reads a clock, and immediately when the kernel reports that it was set.

    Five times a second, fifty while it is slewed (`poll_s`). Without its thread, call `check` as often.
    """

    def __init__(
        self,
        clock: Clock,
        report: Callable[[ClockChange], None],
        *,
        report_slew: Callable[[SlewChange], None] = lambda _: None,
        suspended_ns: Callable[[], int] | None = None,
        state: Callable[[], KernelState | None] | None = None,
        notice: SetNotice | None = None,
    ) -> None:
        simulated = clock if isinstance(clock, SimulatedClock) else None
        self._clock = clock
        self._report = report
        self._report_slew = report_slew
        self._state = state or (simulated.kernel_state if simulated else lambda: None)
        self._asleep = simulated.suspended_now if simulated else lambda: False
        self._notice = notice
        self._sampler = ClockSampler(
            clock,
            self._state,
            suspended_ns or (simulated.suspended_ns if simulated else lambda: 0),
            notice.acknowledge if notice else lambda: False,
        )
        self._watch = ClockWatch()
        self.is_moving = False
        """Whether the clock is slewed, or was less than two seconds ago."""
        self._waiting: list[Sample] = []
        """Samples that show rest, not observed yet."""
        self._lock = threading.Lock()
        self.loop = Loop("the clock watch")
        self._stopping = threading.Event()
        self._wake_read, self._wake_write = socket.socketpair()
        self._sources = [source.fileno() for source in (self._wake_read, notice) if source is not None]
        self._thread = threading.Thread(target=self._run, name="clock-watch", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and settle the history's last interval."""
        self._stopping.set()
        self._wake_write.close()
        if self._thread.is_alive():
            self._thread.join(POLL_S)
        with self._lock:
            self._observe_waiting()
            self._watch.builder.close()

    def check(self) -> None:
        """Read the clock once, and report what changed since the last reading."""
        if self._asleep():
            return
        sample = self._sampler.sample()
        if sample is None:
            return
        with self._lock:
            changes = self._take(sample)
        for change in changes:
            if isinstance(change, SlewChange):
                self._report_slew(change)
            else:
                self._report(change)

    def _take(self, sample: Sample) -> list[ClockChange | SlewChange]:
        before = self._waiting[-1] if self._waiting else self._watch.last
        if before is not None and not self.is_moving and shows_rest(sample, before):
            self._waiting.append(sample)
            if len(self._waiting) <= _MOST_WAITING:
                return []
            return self._observe_waiting()
        changes = [*self._observe_waiting(), *self._watch.observe(sample)]
        self.is_moving = self._watch.is_moving
        return changes

    def _observe_waiting(self) -> list[ClockChange | SlewChange]:
        waiting, self._waiting = self._waiting, []
        return [change for sample in waiting for change in self._watch.observe(sample)]

    @property
    def poll_s(self) -> float:
        """When the next reading is due, in seconds after the last one."""
        return MOVING_POLL_S if self.is_moving else POLL_S

    def discipline(self) -> Discipline:
        """Who disciplines the clock now. From any thread; reads every process's name: some milliseconds."""
        with self._lock:
            self._observe_waiting()
            rested_s = self._watch.rested_s()
        daemons = [] if isinstance(self._clock, SimulatedClock) else running_daemons()
        return Discipline.of(self._state(), daemons, rested_s)

    @property
    def number(self) -> int:
        """The number of the open piece of the clock history; −1 before the first reading. From any thread.

        At rest it may lag behind the readings by two seconds; what `pieces` returns does not.
        """
        return self._watch.builder.number

    def pieces(self, first: int, last: int) -> list[tuple[int, ClockPiece]]:
        """The pieces `first` to `last` of the clock history, the open one included. From any thread."""
        with self._lock:
            self._observe_waiting()
            return self._watch.builder.pieces(first, last)

    def wait(self) -> None:
        """Wait until the next reading is due."""
        readable, _, _ = select.select(self._sources, [], [], self.poll_s)
        if readable and self._notice is not None and self._notice.fileno() in readable:
            self._sampler.acknowledge()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.loop.iterations += 1
            self.check()
            self.wait()
        self._wake_read.close()
        if self._notice is not None:
            self._notice.close()


def watch_machine(
    clock: Clock,
    report: Callable[[ClockChange], None],
    *,
    report_slew: Callable[[SlewChange], None] = lambda _: None,
) -> ClockWatcher:
    """A watcher of this machine's clock, with the notices that its system has; or of a simulated clock."""
    if isinstance(clock, SimulatedClock):
        return ClockWatcher(clock, report, report_slew=report_slew)
    notice = None
    with contextlib.suppress(OSError):  # no timerfd: polling detects steps within POLL_S
        notice = kernel_clock.ClockSetTimer()
    return ClockWatcher(
        clock,
        report,
        report_slew=report_slew,
        suspended_ns=kernel_clock.suspended_ns,
        state=kernel_clock.kernel_state,
        notice=notice,
    )
