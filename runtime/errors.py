"""The base of the packages' errors, and the errors of a process that runs for long."""

from __future__ import annotations

from typing import ClassVar


class TidesyncError(Exception):
    """An expected error: the command line prints its sentence and exits with `exit_code`.

    TidesyncError
    ├── AgentEndedError           an agent is stuck, or ended without a reason of its own: exit 1
    ├── MemoryLimitError          the process may have, or gets, too little memory: exit 1
    ├── ListenError               a server cannot listen on its address: exit 2
    ├── broker.errors.BrokerError
    └── tidesync.errors.CommandError
    """

    exit_code: ClassVar[int] = 2
    """1: what was asked for is not the case. 2: wrong usage, settings or credentials."""


class AgentEndedError(TidesyncError):
    """An agent is stuck, or ended although nobody stopped it; the log says why."""

    exit_code = 1


class MemoryLimitError(TidesyncError):
    """The process may have too little memory."""

    exit_code = 1


class ListenError(TidesyncError):
    """A server cannot listen on its address; the sentence begins with the setting that names the port."""

    def __init__(self, setting: str, host: str, port: int, reason: str, *, in_use: bool = False) -> None:
        super().__init__(f"{setting}: cannot listen on port {port}, host {host}: {reason}")
        self.host = host
        self.port = port
        self.reason = reason
        self.in_use = in_use
