"""A long-running command from start to a clean stop: signals, failures that do not heal, exit codes."""

from __future__ import annotations

import logging
import signal
import threading
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from types import FrameType

    from broker.errors import BrokerError

_LOOK_S = 1.0

_log = logging.getLogger(__name__)


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


def run_until_stopped(service: Service) -> int:
    """Run `service` until SIGTERM (exit code 0), SIGINT (130), or its failure, which is raised."""
    received: list[int] = []
    wanted = threading.Event()

    def note(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        wanted.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, note)

    def watch() -> None:
        service.wait_until_finished(None)
        wanted.set()

    service.start()
    threading.Thread(target=watch, name="end-watch", daemon=True).start()
    try:
        while not wanted.wait(_LOOK_S):
            pass  # some systems notice a signal only between two waits
    finally:
        service.stop()
    if service.failure is not None:
        raise service.failure
    return 130 if signal.SIGINT in received else 0
