"""The attacks by datagrams in docs/security.md, on a `tidesync pi` process that is measured meanwhile.

`make attacks-datagrams` writes the document from such a run; here it must show the same rows and verdicts.
"""

import json
import os
import random
import socket
from itertools import cycle, islice
from pathlib import Path

import pytest

from bench.attacks.document import PARTS, rows_of
from schemas.datagram import ANSWER, KEY_SIZE, MAGIC, REQUEST, SIZE, Request, Seal, pack_request
from tests.network.attacked_vehicle import AttackedVehicle, genuine

DOCUMENT = Path(__file__).parents[2] / "docs" / "security.md"
OUTPUT = os.environ.get("ATTACKS_JSON")
"""Where `make attacks-datagrams` wants the figures: then they are sent so slowly that all are read."""
SENT = 20_000
NOBODY = "no key, knowing the port"
RATE_HZ, FLOOD_S = 50_000, 10.0 if OUTPUT else 3.0


@pytest.fixture
def vehicle(mosquitto_boat, tmp_path):
    made = AttackedVehicle(mosquitto_boat, tmp_path)
    try:
        made.begin()
        yield made
    finally:
        made.end()


def short(chance, _):
    return chance.randbytes(chance.randrange(SIZE))


def wrong(chance, _):
    """Of the right length: random, of another version, of another kind, with something where 0 belongs."""
    head = chance.choice(
        [b"TSx2\1\0\0\0", b"TSx1\2\0\0\0", b"TSx1\3\0\0\0", b"TSx1\1\1\0\0", chance.randbytes(8)]
    )
    return head + chance.randbytes(SIZE - len(head))


def foreign(chance, session):
    """Of a session that is not there, with a right tag by its key."""
    number = session.terms.session ^ chance.randrange(1, 2**32)
    return pack_request(
        Request(number, chance.randrange(1, 2**32), chance.randbytes(8)), Seal(chance.randbytes(KEY_SIZE))
    )


def bad_tag(chance, session):
    """Of a session that is there: by another key, or with one bit changed."""
    seq = chance.randrange(1, 2**32)
    request = Request(session.terms.session, seq, chance.randbytes(8))
    if chance.random() < 0.5:
        return pack_request(request, Seal(chance.randbytes(KEY_SIZE)))
    data = bytearray(pack_request(request, session.seal))
    data[chance.randrange(12, SIZE)] ^= 1 << chance.randrange(8)
    return bytes(data)


MADE = [
    ("shorter than a request", NOBODY, short, {"length"}),
    ("as long as a request, and none", NOBODY, wrong, {"kind"}),
    ("of sessions that are not there", NOBODY, foreign, {"session"}),
    ("of a session that is there, with a wrong tag", "a session's number", bad_tag, {"tag"}),
]
OVERHEARD = "what it overheard"


def test_no_datagram_without_a_key_is_answered_and_a_flood_of_them_makes_nothing_wrong(vehicle):
    chance = random.Random(18)
    for what, by, make, reasons in MADE:
        datagrams = [make(chance, vehicle.session) for _ in range(SENT)]
        with vehicle.attack(f"send {SENT} datagrams {what}", by) as row:
            vehicle.refuse(row, datagrams, reasons, evenly=OUTPUT)
    asked, answers = genuine(vehicle.session, vehicle.port, 50)
    with vehicle.attack(f"send again {SENT} times what was answered before", OVERHEARD) as row:
        vehicle.refuse(row, islice(cycle(asked), SENT), {"replay"}, evenly=OUTPUT)
    turned = [MAGIC + bytes([REQUEST, 0]) + answer[6:] for answer in answers]
    with vehicle.attack(
        f"send {SENT} of its answers back, half of them marked as requests", OVERHEARD
    ) as row:
        vehicle.refuse(row, islice(cycle(answers + turned), SENT), {"kind", "tag"}, evenly=OUTPUT)
    laptop = vehicle.boat.topside(topside="laptop")
    vehicle.until_locked("laptop", "udp")
    with vehicle.attack(f"send {RATE_HZ} a second with a wrong tag", "a session's number") as row:
        flood(vehicle, row, bad_tag(chance, vehicle.session), vehicle.port)
    vehicle.until_locked("laptop", "udp")
    with vehicle.attack(f"send {RATE_HZ} a second to the port of a second topside", OVERHEARD) as row:
        flood(vehicle, row, *wrong_answer(laptop))
    vehicle.until_locked("laptop", "udp")
    run = [(row.attack, row.by, row.verdict) for row in vehicle.rows]
    if OUTPUT:
        Path(OUTPUT).write_text(json.dumps(vehicle.figures(), indent=1, ensure_ascii=False) + "\n")
    else:
        assert run == rows_of(DOCUMENT.read_text(encoding="utf-8"), PARTS["datagrams"])


def wrong_answer(topside):
    """One of the session with rov1, with a wrong tag, and where topside waits for its answers."""
    session = topside.direct._agreements["rov1"].agreed.answer.session
    used = topside.direct.transport._sockets._families[socket.AF_INET]
    head = MAGIC + bytes([ANSWER, 0, 0, 0]) + session.to_bytes(4, "big")
    return head + bytes(SIZE - len(head)), used.socket.getsockname()[1]


def flood(vehicle, row, data, port):
    first = len(vehicle.checker.heard)
    sent_hz, answers = vehicle.flood(data, port, RATE_HZ, FLOOD_S)
    assert answers == 0
    paths = [one.path for one in vehicle.checker.heard[first:] if one.topside == "laptop"]
    direct = f"{paths.count('udp')} of {len(paths)} results of a second topside were direct"
    row.bounded(f"{sent_hz:.0f} sent a second for {FLOOD_S:.0f} s, none answered; {direct} meanwhile")
