"""Turns hardware stamps of an interface on (SIOCSHWTSTAMP), where its driver can stamp every datagram."""

from __future__ import annotations

import errno
from struct import Struct
from typing import TYPE_CHECKING

from runtime.interface_stamps import ask_driver, stamps_of

if TYPE_CHECKING:
    from runtime.hardware_kernel import Kernel

_SET, _GET = 0x89B0, 0x89B1
"""SIOCSHWTSTAMP needs CAP_NET_ADMIN, SIOCGHWTSTAMP nothing."""
_CONFIG = Struct("@3i")
"""struct hwtstamp_config: flags, what is stamped on departure, and on arrival."""
_DEPARTURES_ON, _ARRIVALS_ALL = 1, 1
_MISSING = {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOTTY}


def is_on(name: str, kernel: Kernel) -> bool | None:
    """Whether the interface's hardware stamps every datagram now; None: its driver does not say."""
    try:
        _, departures, arrivals = _CONFIG.unpack(kernel.ask(name, _GET, bytes(_CONFIG.size)))
    except OSError:
        return None
    return bool(departures == _DEPARTURES_ON and arrivals == _ARRIVALS_ALL)


def clock_of(name: str, kernel: Kernel) -> int | str:
    """N of /dev/ptpN, with which the interface's hardware can stamp every datagram; else why it cannot."""
    answer = ask_driver(name, kernel)
    stamps = None if answer is None else stamps_of(name, answer)
    if stamps is None or stamps.hardware_clock is None:
        return "its driver names no hardware clock"
    if not stamps.hardware_all:
        return "its hardware stamps only datagrams that look like PTP events, which ours do not"
    return stamps.hardware_clock


def turn_on(name: str, kernel: Kernel) -> str | None:
    """Have the interface's hardware stamp every datagram; why it does not, None if it does.

    That adds to what another program set (ptp4l wants PTP events alone), and it is left on.
    """
    if is_on(name, kernel):
        return None
    try:
        _, departures, arrivals = _CONFIG.unpack(
            kernel.ask(name, _SET, _CONFIG.pack(0, _DEPARTURES_ON, _ARRIVALS_ALL))
        )
    except OSError as error:
        return _refusal(error)
    if departures != _DEPARTURES_ON or arrivals != _ARRIVALS_ALL:
        return "its driver stamps fewer datagrams than it says"
    return None


def _refusal(error: OSError) -> str:
    if error.errno in {errno.EPERM, errno.EACCES}:
        return "turning its stamps on needs CAP_NET_ADMIN, or `hwstamp_ctl -t 1 -r 1` before"
    if error.errno in _MISSING:
        return f"its driver refuses to stamp every datagram: {error.strerror}"
    return f"its stamps cannot be turned on: {error.strerror or error}"
