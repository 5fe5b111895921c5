"""What can go wrong before the dashboard serves anything."""

from __future__ import annotations


class DashboardError(Exception):
    """Base of this package's errors.

    DashboardError
    ├── AddressUnusableError  its port is taken, or the host is none of this machine
    └── TokenNeededError      it was asked to serve more than this machine without a usable token
    """


class AddressUnusableError(DashboardError):
    """The dashboard cannot listen where it was told to."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(f"the dashboard cannot listen on {host!r}, port {port}: {reason}")
        self.host = host
        self.port = port


class TokenNeededError(DashboardError):
    """Whoever reaches the dashboard could read and command; the sentence never repeats the token."""
