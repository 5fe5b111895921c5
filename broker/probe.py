"""Whether a broker can be reached, asked in a thread: the connection's own has other work meanwhile."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from broker.address import BrokerAddress


def reach(address: BrokerAddress, timeout_s: float, meanwhile: Callable[[], bool]) -> None:
    """Connect to `address` and hang up; the OSError of that where it fails.

    `meanwhile` is called again and again until that is done; it returns whether to wait on.
    """
    errors: list[OSError] = []

    def try_it() -> None:
        try:
            socket.create_connection((address.host, address.port), timeout_s).close()
        except OSError as error:
            errors.append(error)

    probe = threading.Thread(target=try_it, name="mqtt-probe", daemon=True)
    probe.start()
    while probe.is_alive() and meanwhile():
        pass
    if errors:
        raise errors[0]
