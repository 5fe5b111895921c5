"""What the exchanger makes without asking the models is what they would accept, and never anything else."""

import random

import pytest
from pydantic import ValidationError

from runtime.clock import Reading
from schemas.base import LATEST_NS
from schemas.exchange import Exchange
from schemas.messages import Ping, Pong
from tests.effort import tries
from topside_agent.measuring.exchanger import Exchanger, Refused, _ping_of

NUMBERS = (0, 1, 10**9, 10**18, LATEST_NS - 1, LATEST_NS, LATEST_NS + 1, 2**63)
NONCE = "9f1c000000000000"


def number(source):
    return source.choice((-1, 1)) * max(0, source.choice(NUMBERS) + source.choice((-1, 0, 0, 1)))


def reading(source):
    return Reading(abs(number(source)), number(source), source.choice((0, 1, 50, 10**9, 3 * 10**9)))


def pong(source, nonce):
    while True:
        try:
            return Pong(
                seq=0,
                nonce=nonce,
                receive_ns=number(source),
                transmit_ns=number(source),
                realtime_minus_raw_ns=number(source),
                boot_id=source.choice(("boot", "b" * 128)),
                instance_id="i",
                receive_stamp="kernel",
                transmit_stamp="write",
                resolution_ns=source.choice((0, 1, 10**9)),
            )
        except ValidationError:
            continue


def finished(exchanger, sent, answer, received):
    exchanger.seq = 0
    exchanger.begin(sent, NONCE)
    return exchanger.finish(answer, received)


@pytest.mark.parametrize("seed", range(tries(3)))
def test_an_exchange_is_the_same_whether_the_model_was_asked_or_not(seed):
    source, made = random.Random(seed), 0
    for _ in range(1500):
        sent, received = reading(source), reading(source)
        if not 0 <= max(0, sent.realtime_ns) <= LATEST_NS:
            continue
        answer, outcomes = pong(source, NONCE), []
        for is_checked in (False, True):
            exchanger = Exchanger("rov1", "laptop", timeout_ns=1, resolution_ns=1)
            exchanger._checked = is_checked
            outcomes.append(finished(exchanger, sent, answer, received))
        assert outcomes[0] == outcomes[1]
        if isinstance(outcomes[1], Refused):
            continue
        made += 1
        assert outcomes[1] == Exchange.decode(outcomes[1].encode())
    assert made > 5


@pytest.mark.parametrize("seq", [-1, 0, 5, 2**53 - 1, 2**53, 2**53 + 1])
@pytest.mark.parametrize("nonce", [NONCE, "9F1C000000000000", "9f1c", NONCE + "\n", "٣" * 16])
@pytest.mark.parametrize("origin_ns", [-1, 0, LATEST_NS, LATEST_NS + 1])
def test_a_ping_is_one_that_the_model_accepts(seq, nonce, origin_ns):
    try:
        expected = Ping(seq=seq, nonce=nonce, origin_ns=origin_ns)
    except ValidationError:
        with pytest.raises(ValidationError):
            _ping_of(seq, nonce, origin_ns)
    else:
        made = _ping_of(seq, nonce, origin_ns)
        assert made == expected
        assert made.encode() == expected.encode()
