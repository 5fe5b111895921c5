"""A long-running command from start to a clean stop: signals, failures that do not heal, exit codes."""

from __future__ import annotations

import logging
import signal
import threading
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from types import FrameType

    from broker.errors import BrokerError

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

    def wait_until_finished(self, timeout_s: float) -> bool:
        """Whether it has ended by itself within `timeout_s`."""


def run_until_stopped(service: Service) -> int:
    """Run `service` until SIGTERM (exit code 0), SIGINT (130), or its failure, which is raised."""
    received: list[int] = []
    wanted = threading.Event()

    def note(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        wanted.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, note)
    service.start()
    try:
        while not wanted.wait(0.1):
            if service.wait_until_finished(0):
                break
    finally:
        service.stop()
    if service.failure is not None:
        raise service.failure
    return 130 if signal.SIGINT in received else 0
