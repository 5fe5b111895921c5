"""A result that is read by its pattern is what the model makes of it, whatever is done to its bytes."""

import json
import math
import random

import pytest

from broker.inbox import Inbox
from schemas.base import InvalidMessageError
from schemas.messages import OffsetResult
from tests.effort import tries
from tests.unit.dashboards import LONG_AGO, S, incoming, reading, result
from tidesync.fleet.model import Fleet
from tidesync.fleet.renewal import LISTED, renewal

NUMBERS = {
    "offset_ms": -150.31245,
    "lower_ms": -150.7,
    "upper_ms": -149.9,
    "max_error_ms": 0.42,
    "u95_ms": 0.03,
    "precision_ms": 0.02,
    "drift_ppm": -3.4,
    "drift_error_ppm": 0.8,
    "delay_min_ms": 0.61,
    "age_s": 0.0,
}
KNOWN = {"measured_unix_ms": 1_777_636_900_000, "instance_id": "i", "rate": 1.0, "interval_s": 1.0}


def ours(**changes):
    return result("rov1", **{"measured_ns": LONG_AGO} | NUMBERS | KNOWN | changes)


def differing(chance):
    """Bytes like those of a result: other numbers, absent ones, odd forms, changed bytes."""
    fields = json.loads(ours().encode())
    texts = {name: json.dumps(value) for name, value in fields.items()}
    for name in chance.sample([*texts, *list(NUMBERS) * 4], chance.randrange(1, 4)):
        texts[name] = chance.choice(
            [
                *[
                    "null",
                    "0.0",
                    "-0.0",
                    "1e5",
                    "1E-7",
                    "-1.5",
                    "01.5",
                    "1.",
                    ".5",
                    "+1.5",
                    "NaN",
                    "Infinity",
                    "12",
                ],
                *[
                    "123456789012.5",
                    "1234567890123456.5",
                    "9214646400000",
                    "9214646400001",
                    "true",
                    '"1.5"',
                    "1_0.5",
                ],
                *[
                    '"2026-13-01T12:01:40.000000Z"',
                    '"2026-05-01T12:01:60.000000Z"',
                    '"x,"',
                    '"\\u0041"',
                    "[]",
                ],
                *[repr(chance.gauss(0, 1e3)), repr(chance.expovariate(1.0))] * 15,
                str(chance.randrange(10**12)),
            ]
        )
    payload = bytearray(
        b"{" + b",".join(b'"%b":%b' % (n.encode(), t.encode()) for n, t in texts.items()) + b"}"
    )
    if chance.random() < 0.3:
        place = chance.randrange(len(payload))
        payload[place : place + chance.randrange(3)] = chance.choice(
            [b"", b",", b'"', b"0", b" ", b"\xff", b"}"]
        )
    return bytes(payload)


def decoded(payload):
    try:
        return OffsetResult.decode(payload)
    except InvalidMessageError:
        return None


def test_what_is_taken_by_its_pattern_is_what_the_model_decodes():
    chance = random.Random(3)
    before, now = incoming(ours()), reading(LONG_AGO + S)
    taken = 0
    for _ in range(tries(2000)):
        payload = differing(chance)
        fleet = Fleet(histories=True)
        letter = Inbox("tidesync").open(before)
        fleet.take(letter)
        if not fleet.renew(letter.topic, payload, now):
            assert fleet.result("rov1", "laptop") == letter.body
            continue
        taken += 1
        wanted = decoded(payload)
        assert wanted is not None, payload
        assert fleet.result("rov1", "laptop") == wanted
        slow = Fleet(histories=True)
        slow.take(letter)
        slow.take(Inbox("tidesync").open(before._replace(payload=payload, received=now)))
        assert fleet.row("rov1", "laptop", now) == slow.row("rov1", "laptop", now)
        points = [list(each.history("rov1", "laptop").points()) for each in (fleet, slow)]
        assert str(points[0]) == str(points[1])  # nan is not nan
    assert taken > tries(2000) / 20


def test_its_numbers_are_those_of_the_model():
    payload = ours(drift_ppm=None, u95_ms=None).encode()
    found, model = renewal(payload), OffsetResult.decode(payload)
    assert json.loads(b"[" + found.listed + b"]") == [getattr(model, name) for name in LISTED]
    assert (found.max_error_ms, found.age_s) == (model.max_error_ms, model.age_s)
    assert [None if math.isnan(value) else value for value in found.curves()] == [
        getattr(model, name)
        for name in ("offset_ms", "lower_ms", "upper_ms", "max_error_ms", "drift_ppm", "delay_min_ms")
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "holdover"},
        {"error": "timeout"},
        {"segment": 1},
        {"steps": 1},
        {"boot_id": "other"},
        {"instance_id": "other"},
        {"conditional": True},
        {"interval_s": 5.0},
        {"rate": 0.5},
        {"measured_ns": LONG_AGO + 60 * S},
    ],
)
def test_other_words_are_decoded(changes):
    fleet, letter = Fleet(), Inbox("tidesync").open(incoming(ours()))
    fleet.take(letter)
    assert not fleet.renew(letter.topic, ours(**changes).encode(), reading(LONG_AGO + S))
    assert fleet.renew(letter.topic, ours(offset_ms=-151.0).encode(), reading(LONG_AGO + S))


@pytest.mark.parametrize("word", ["duplicate_vehicle", "duplicate_topside", "a word of a later version"])
def test_a_result_in_doubt_is_always_decoded(word):
    doubtful = ours(state="acquiring", error=word)
    fleet, letter = Fleet(), Inbox("tidesync").open(incoming(doubtful))
    fleet.take(letter)
    assert not fleet.renew(letter.topic, doubtful.encode(), reading(LONG_AGO + S))


def test_a_retained_result_is_not_renewed_and_two_processes_by_turns_are_still_noticed():
    fleet, letter = Fleet(), Inbox("tidesync").open(incoming(ours(), retained=True))
    fleet.take(letter)
    assert not fleet.renew(letter.topic, ours().encode(), reading(LONG_AGO))
    for second, name in enumerate("ijij"):
        message = incoming(ours(instance_id=name), LONG_AGO + second * S)
        assert not fleet.renew(letter.topic, message.payload, message.received)
        fleet.take(Inbox("tidesync").open(message))
    assert fleet.result("rov1", "laptop").error == "duplicate_topside"
