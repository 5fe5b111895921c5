"""What can keep the vehicle's agent from starting; each error names the value that is at fault."""

from __future__ import annotations


class PiAgentError(Exception):
    """Base of this package's errors.

    PiAgentError
    └── HttpUnavailableError   an HTTP port that was asked for by name cannot be had
    """


class HttpUnavailableError(PiAgentError):
    """HTTP was asked for on a port, and cannot be served there."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(f"HTTP port {port} (host {host}): {reason}")
        self.host = host
        self.port = port
        self.reason = reason
