"""Kinds of stamp on their way: from a hardware stamp at either end into the exchange's line and back."""

import json

import pytest

from runtime.realtime_line import RawStamp
from schemas.datagram import EARLIER_BY_HARDWARE, EARLIER_BY_KERNEL, RECEIVE_BY_HARDWARE, RECEIVE_BY_KERNEL
from schemas.exchange import Exchange
from tests.unit.test_udp_answerer import Departures, answered, answerer, asked
from tests.unit.udp_conversation import LEVEL, US, S, alive
from topside_agent.estimator import Exchanges
from topside_agent.measuring.exchange_lines import LineWriter, labels_of, numbers_of
from topside_agent.udp.exchange import exchange_of

__all__ = ["answerer"]


@pytest.mark.parametrize("by_hardware", [False, True])
def test_the_vehicle_says_that_its_hardware_took_a_stamp(answerer, by_hardware):
    arrived = RawStamp(5 * S - 3000, 70, 10**18, by_hardware=by_hardware)
    left = RawStamp(5 * S + 1500, 60, 10**18, by_hardware=by_hardware)
    departures = Departures({100: left})
    first = answered(answerer, asked(1), kernel=arrived, number=100)
    assert first.flags == RECEIVE_BY_KERNEL | RECEIVE_BY_HARDWARE * by_hardware
    for seq in (2, 3):
        answer = answered(answerer, asked(seq, earlier=1), departures=departures, number=100 + seq)
        assert answer.flags == EARLIER_BY_KERNEL | EARLIER_BY_HARDWARE * by_hardware


def exchanged(*, flags=0, own=False):
    """A finished exchange of a path whose own stamps are the kernel's, or the hardware's."""
    talk = alive()
    talk.raw_of = lambda stamp_ns: RawStamp(stamp_ns - LEVEL, 45, LEVEL, by_hardware=own)
    talk.departed_at = lambda stamp_ns, _: RawStamp(stamp_ns - LEVEL, 45, LEVEL, by_hardware=own)
    for _ in range(4):
        (to_send,) = talk.next_sent()
        left_ns = talk.now_ns
        earlier = flags and talk.now_ns + 50 * S - 100 * US
        data = talk.answer(to_send, earlier=earlier, flags=flags or RECEIVE_BY_KERNEL)
        talk.take(data, kernel_ns=left_ns + 210 * US)
    return talk.exchanges()[-1]


def line(direct):
    return exchange_of(direct, topside="surface", seq=1, boot_id="b")


@pytest.mark.parametrize(
    ("flags", "receive"),
    [
        (RECEIVE_BY_KERNEL, "kernel"),
        (RECEIVE_BY_KERNEL | RECEIVE_BY_HARDWARE, "hardware"),
        (RECEIVE_BY_HARDWARE, "user"),
        (EARLIER_BY_HARDWARE, "user"),
    ],
)
def test_topside_takes_the_vehicles_kinds_by_its_flags(flags, receive):
    assert exchanged(flags=flags).receive_stamp == receive


def test_topsides_own_kinds_are_recorded_where_its_hardware_took_a_stamp():
    with_hardware = line(exchanged(own=True))
    assert (with_hardware.origin_stamp, with_hardware.destination_stamp) == ("hardware", "hardware")
    without = line(exchanged())
    assert (without.origin_stamp, without.destination_stamp) == (None, None)


@pytest.mark.parametrize("own", [False, True])
def test_a_line_has_topsides_kinds_or_is_as_long_as_before(own):
    exchange = line(exchanged(own=own))
    text = exchange.encode()
    assert ("origin_stamp" in json.loads(text)) is own
    assert Exchange.decode(text) == exchange
    assert LineWriter(labels_of(exchange)).line(numbers_of(exchange)) == text
    assert list(Exchanges.of([exchange])) == [exchange]
