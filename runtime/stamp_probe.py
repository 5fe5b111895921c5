"""Whether the kernel stamps datagrams with the realtime that this process reads: tried over loopback.

A library that shows a process another time (libfaketime) does not change the kernel's stamps, and a system
that emulates Linux may take them of another clock. Converted as if they were of this one, they would be off
by as much, in silence.
"""

from __future__ import annotations

import socket
from functools import cache
from typing import TYPE_CHECKING

from runtime.clock import SystemClock
from runtime.stamped_socket import StampedSocket

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.clock import Clock

_DATAGRAMS = 16
_WAIT_S = 0.1
_MOST_SET = 1
"""Of so few the clock may have been set just then."""


def kernel_stamps_by(machine: Clock) -> bool:
    """Whether the kernel stamps by `machine`, which a process tries once; any other clock: yes."""
    return not isinstance(machine, SystemClock) or _known(machine.realtime_ns)


@cache
def _known(realtime_ns: Callable[[], int]) -> bool:
    return stamps_by(realtime_ns)


def stamps_by(realtime_ns: Callable[[], int]) -> bool:
    """Whether the kernel's stamps of datagrams to itself lie between readings of `realtime_ns` around them.

    A difference shows if it is longer than a datagram's way over loopback, some 20 µs. True, too, where there
    are no stamps; False where that cannot be tried, since no datagram arrives.
    """
    try:
        probe = StampedSocket(socket.AF_INET)
    except OSError:
        return False
    try:
        probe.socket.bind(("127.0.0.1", 0))
        probe.wait_at_most(_WAIT_S)
        return sum(_contradicts(probe, realtime_ns) for _ in range(_DATAGRAMS)) <= _MOST_SET
    except OSError:
        return False
    finally:
        probe.close()


def _contradicts(probe: StampedSocket, realtime_ns: Callable[[], int]) -> bool:
    before_ns = realtime_ns()
    number = probe.send(b"", probe.socket.getsockname())
    received = None if number is None else probe.receive(1)
    if number is None or received is None:
        raise OSError("no datagram comes over loopback")
    left_ns, after_ns = probe.left(number), realtime_ns()
    return any(stamp_ns and not before_ns <= stamp_ns <= after_ns for stamp_ns in (received[1], left_ns))
