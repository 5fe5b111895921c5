"""A long-running command from start to a clean stop: signals, failures that do not heal, exit codes."""

from __future__ import annotations

import contextlib
import queue
import signal
import threading
import time
from typing import TYPE_CHECKING, Protocol

from runtime.watchdog import Watchdog, Watched, end_wedged
from tidesync.errors import NotSoError

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType

    from broker.errors import BrokerError

_LOOK_S = 0.5


class Service(Protocol):
    """An agent: it runs in threads of its own until it is stopped or fails for good."""

    @property
    def failure(self) -> BrokerError | None:
        """Why it ended by itself, once it has."""

    def start(self) -> None:
        """Begin; returns at once."""

    def stop(self) -> None:
        """Say goodbye and end, within a second."""

    def wait_until_finished(self, timeout_s: float | None) -> bool:
        """Whether it has ended by itself within `timeout_s`; None waits for ever."""


class Agent(Service, Watched, Protocol):
    """A service that says whether it is alive."""


def run_agent(agent: Agent, heartbeat_file: Path | None) -> int:
    """Run `agent` as `run_until_stopped` does, with a watchdog; NotSoError when it is wedged."""
    return run_until_stopped(agent, Watchdog(agent, heartbeat_file))


def run_until_stopped(service: Service, watchdog: Watchdog | None = None) -> int:
    """Run `service` until SIGTERM (exit code 0), SIGINT (130), or its failure, which is raised."""
    heard: queue.SimpleQueue[int | None] = queue.SimpleQueue()  # unlike an Event, safe in a signal handler

    def note(number: int, _frame: FrameType | None) -> None:
        heard.put(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, note)

    def watch() -> None:
        if service.wait_until_finished(None):
            heard.put(None)

    service.start()
    threading.Thread(target=watch, name="end-watch", daemon=True).start()
    if watchdog:
        watchdog.started()
    stuck = received = None
    try:
        while stuck is None and not service.wait_until_finished(0):
            with contextlib.suppress(queue.Empty):
                received = heard.get(timeout=_LOOK_S)
                break
            stuck = watchdog.look(time.monotonic_ns()) if watchdog else None
    finally:
        _end(service, watchdog, stuck)
    if service.failure is not None:
        raise service.failure
    if stuck or received is None:
        raise NotSoError(f"{stuck or 'it ended by itself'}; the log above says why, or where")
    return 130 if received == signal.SIGINT else 0


def _end(service: Service, watchdog: Watchdog | None, stuck: str | None) -> None:
    if watchdog:
        watchdog.stopping()
    if stuck:
        end_wedged(service.stop, stuck)
    else:
        service.stop()
