"""MAVLink .tlog files with a known truth, written and read with pymavlink."""

import struct

import numpy as np
from pymavlink import mavutil
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from tests.unit.tracks import START, S


def packets(count, seed=1):
    """So many packets of MAVLink 1 and 2, some of them signed; each has its number in it."""
    chance = np.random.default_rng(seed)
    senders = [mavlink.MAVLink(None, srcSystem=1 + each, srcComponent=each) for each in range(3)]
    senders[2].signing.secret_key, senders[2].signing.sign_outgoing = b"k" * 32, True
    for number in range(count):
        sender = senders[int(chance.integers(3))]
        kind = int(chance.integers(3))
        if kind == 0:
            message = mavlink.MAVLink_system_time_message(number, number)
        elif kind == 1:
            message = mavlink.MAVLink_attitude_message(number, *map(float, chance.uniform(-1, 1, 6)))
        else:
            message = mavlink.MAVLink_statustext_message(6, f"{number} \xfe\xfd \xfd".encode("latin-1"))
        yield message.pack(sender, force_mavlink1=sender.srcSystem == 1)


def write_tlog(path, clock, *, seconds=120, rate=20, link=0, tick_us=1):
    """Packets at a steady rate; topside's instants of them, ns."""
    chance, truth, parts = np.random.default_rng(2), [], []
    for number, packet in enumerate(packets(seconds * rate)):
        at_ns = START + number * S // rate + int(chance.integers(S // rate))
        if clock.off((at_ns - START) / S):
            continue
        stamp_us = int(clock.shows(at_ns)) // 1000 // tick_us * tick_us
        parts.append(struct.pack(">Q", stamp_us & ~3 | link if link else stamp_us) + packet)
        truth.append(at_ns)
    path.write_bytes(b"".join(parts))
    return truth


def read_tlog(path):
    """(µs as stamped, the packet) of each, as pymavlink reads them."""
    log = mavutil.mavlogfile(str(path), robust_parsing=True)
    found = []
    while (message := log.recv_match()) is not None:
        found.append((round(message._timestamp * 1e6), bytes(message.get_msgbuf())))
    log.close()
    return found
