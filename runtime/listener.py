"""The listening socket of every web server of ours."""

from __future__ import annotations

import errno
import socket

from runtime.errors import ListenError


def open_listener(setting: str, host: str, port: int) -> socket.socket:
    """Listen on a TCP port, IPv4 or IPv6 by `host`; 0 takes a free port, and `::` serves both protocols.

    ListenError names `setting`, the address and the reason: in use, not permitted, not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = host == "::" and socket.has_dualstack_ipv6()
    try:
        return socket.create_server((host, port), family=family, backlog=128, dualstack_ipv6=both)
    except OSError as error:
        reason, _, _ = (error.strerror or str(error)).partition(" (while")  # the address follows
        in_use = error.errno == errno.EADDRINUSE
        raise ListenError(setting, host, port, reason.lower(), in_use=in_use) from error


def url_of(listener: socket.socket, host: str) -> str:
    """The URL of the server on `listener`, with `host` as the settings name it."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listener.getsockname()[1]}/"
