"""A long-running command from its start to an orderly stop: signals, permanent failures, exit codes."""

from __future__ import annotations

import queue
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Protocol

from runtime.errors import AgentEndedError
from runtime.watchdog import Watchdog, Watched, stop_stuck

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType

_CHECK_S = 0.5
_END_SIGNALS = [signal.SIGTERM, signal.SIGINT]
if sys.platform == "win32":
    _END_SIGNALS.append(signal.SIGBREAK)  # Ctrl-Break, which `tidesync up` sends there
_Events = queue.SimpleQueue[int | None]
"""Signals; None when the service ended by itself."""


class Service(Protocol):
    """An agent: it runs in its own threads until it is stopped or fails permanently."""

    @property
    def failure(self) -> Exception | None:
        """Why it ended by itself, once it has."""

    def start(self) -> None:
        """Start; returns immediately."""

    def stop(self) -> None:
        """Publish the last messages and end, within a second."""

    def wait_until_finished(self, timeout_s: float | None) -> bool:
        """Whether it has ended by itself within `timeout_s`; None waits for ever."""


class Agent(Service, Watched, Protocol):
    """A service that a watchdog can watch."""


def run_agent(agent: Agent, heartbeat_file: Path | None) -> int:
    """Run `agent` as `run_until_stopped` does, with a watchdog; AgentEndedError if it is stuck."""
    return run_until_stopped(agent, Watchdog(agent, heartbeat_file))


def run_until_stopped(service: Service, watchdog: Watchdog | None = None) -> int:
    """Run `service` until SIGTERM, SIGBREAK (exit code 0), SIGINT (130), or its failure, which is raised.

    SIGHUP, which comes when its terminal is closed, ends it as SIGTERM does, unless it is ignored (`nohup`).
    """
    events = _received_signals()
    service.start()
    threading.Thread(target=_wait_for_end, args=(service, events), name="end-watch", daemon=True).start()
    if watchdog:
        watchdog.started()
    stuck = received = None
    try:
        while stuck is None:
            try:
                received = events.get(timeout=_CHECK_S)
                break
            except queue.Empty:
                stuck = watchdog.check(time.monotonic_ns()) if watchdog else None
    finally:
        _end(service, watchdog, stuck)
    if service.failure is not None:
        raise service.failure
    if stuck or received is None:
        raise AgentEndedError(f"{stuck or 'it ended by itself'}; the log above shows why, or where")
    return 130 if received == signal.SIGINT else 0


def _received_signals() -> _Events:
    """The numbers of the signals that ask the process to end, as they arrive."""
    events: _Events = queue.SimpleQueue()  # unlike an Event, safe in a signal handler

    def note(number: int, _frame: FrameType | None) -> None:
        events.put(number)

    for number in _END_SIGNALS:
        signal.signal(number, note)
    hangup = getattr(signal, "SIGHUP", None)  # not on Windows
    if hangup and signal.getsignal(hangup) != signal.SIG_IGN:
        signal.signal(hangup, note)
    return events


def _wait_for_end(service: Service, events: _Events) -> None:
    if service.wait_until_finished(None):
        events.put(None)


def _end(service: Service, watchdog: Watchdog | None, stuck: str | None) -> None:
    if watchdog:
        watchdog.stopping()
    if stuck:
        stop_stuck(service.stop, stuck)
    else:
        service.stop()
