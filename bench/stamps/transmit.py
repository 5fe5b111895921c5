"""How much later than ours the kernel's own transmit stamp is: what waiting for it could gain at most."""

from __future__ import annotations

import socket
import struct
import time

_SO_TIMESTAMPING = 37
_TX_SOFTWARE, _SOFTWARE, _ID, _ONLY_STAMP = 1 << 1, 1 << 4, 1 << 7, 1 << 11
_MSG_ERRQUEUE = 0x2000


def transmit_stamps(count: int) -> tuple[list[int], list[int]]:
    """Over loopback TCP: kernel transmit stamp − stamp before `send`, and the cost of fetching it; ns."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    with near, far:
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        near.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, _SOFTWARE | _ID | _ONLY_STAMP)
        wanted = [(socket.SOL_SOCKET, _SO_TIMESTAMPING, struct.pack("I", _TX_SOFTWARE))]
        later, costs = [], []
        for _ in range(count):
            time.sleep(0.002)
            before_ns = time.time_ns()
            near.sendmsg([bytes(400)], wanted)
            sent_ns = time.time_ns()
            kernel_ns = _from_error_queue(near)
            costs.append(time.time_ns() - sent_ns)
            far.recv(65536)
            if kernel_ns is not None:
                later.append(kernel_ns - before_ns)
        return later, costs


def _from_error_queue(tcp: socket.socket) -> int | None:
    try:
        _, ancillary, _, _ = tcp.recvmsg(0, 512, _MSG_ERRQUEUE | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPING:
            seconds, nanoseconds = struct.unpack_from("@ll", content)
            return int(seconds) * 1_000_000_000 + int(nanoseconds)
    return None
