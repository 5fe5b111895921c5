"""What systemd is told over its notification socket: sd_notify(3), "Standalone Implementations"."""

from __future__ import annotations

import contextlib
import os
import socket


class Notifier:
    """Tells the service manager that started us, where there is one; never waits, never fails."""

    def __init__(self, address: str | None = None) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "") if address is None else address
        self._address = "\0" + address[1:] if address.startswith("@") else address  # an abstract socket
        self._known = bool(self._address) and hasattr(socket, "AF_UNIX")
        self._status = ""

    def tell(self, *assignments: str, status: str | None = None) -> None:
        """Send assignments such as `READY=1`, and the status text when it is another than before."""
        if status is not None and status != self._status:
            self._status = status
            assignments = (*assignments, f"STATUS={' '.join(status.split())}")
        if not self._known or not assignments:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.setblocking(False)  # a manager that does not read must not hold us up
            manager.sendto("\n".join(assignments).encode(), self._address)
