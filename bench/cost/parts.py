"""Where an exchange's processor time goes: its parts by themselves, repeated in this process.

Repeated, a part finds everything in the processor's caches. In the agents it does not, and takes several
times as long: the sum here is the least that an exchange can cost.
"""

from __future__ import annotations

import select
import socket
import time
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from bench.cost.stand_in import AGE_S, exchanges_at
from broker.client.packets import PacketReader, publish_packet, read_publish
from broker.client.stamping_socket import READ_AHEAD, StampingSocket
from broker.client.stamps import ArrivalStamper, KernelStamp
from broker.inbox import Inbox
from broker.interface import Incoming
from pi_agent.messages import MessageBuilder as PiMessageBuilder
from pi_agent.responder import Answerer, answer
from runtime.clock import SystemClock, read
from schemas.messages import Ping, Pong
from topside_agent.estimator import EstimatorSettings, OffsetEstimator
from topside_agent.measuring.backlog import Backlog
from topside_agent.measuring.exchanger import Exchanger
from topside_agent.measuring.publisher import MessageBuilder
from topside_agent.measuring.result import Progress, result_of
from topside_agent.settings import TopsideSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from schemas.exchange import Exchange

_REPEATS, _RUNS = 500, 5
_NONCE = "9f1c000000000000"


class Part(NamedTuple):
    """us of CPU each time, and how often it comes in an exchange on each side, at one exchange a second."""

    name: str
    us: float
    topside: float
    pi: float


def parts() -> list[Part]:
    """Every part, in the order in which an exchange meets them."""
    return [*_system(), *_transport(), *_messages(), *_estimator()]


def _us(work: Callable[[], object]) -> float:
    """The least of a few runs: whatever disturbs a run adds to it."""
    times = []
    for _ in range(_RUNS):
        began_ns = time.thread_time_ns()
        for _ in range(_REPEATS):
            work()
        times.append((time.thread_time_ns() - began_ns) / 1e3 / _REPEATS)
    return min(times)


def _system() -> Iterator[Part]:
    """Over loopback TCP; sending does the receiver's work in the kernel too."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        plain = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    poll, packet = select.poll(), bytes(450)
    with StampingSocket.adopt(plain) as near, far:
        poll.register(near, select.POLLIN)
        send_us = _us(lambda: (far.send(packet), near.recv(READ_AHEAD)))
        far.send(packet)
        poll_us = _us(lambda: poll.poll(0))
        yield Part("system: send a message and read it with its stamp", send_us, 1.2, 1.0)
        yield Part("system: poll", poll_us, 2.0, 1.0)


def _transport() -> Iterator[Part]:
    clock, reader = SystemClock(), PacketReader()
    stamper, packet = ArrivalStamper(clock), publish_packet(b"tidesync/v1/vehicle/rov1/pong/a", bytes(400))
    yield Part("read the clock", _us(lambda: read(clock)), 1.0, 1.0)
    yield Part("from the kernel's stamp to a reading", _us(partial(_arrived, stamper)), 1.0, 1.0)
    yield Part("cut a packet out and read it", _us(lambda: read_publish(reader.feed(packet)[0])), 1.0, 1.0)
    yield Part("make a packet", _us(lambda: publish_packet(b"topic", packet)), 3.0, 1.0)


def _arrived(stamper: ArrivalStamper) -> None:
    stamper.arrived(KernelStamp(time.time_ns(), exact=True))


def _messages() -> Iterator[Part]:
    clock = SystemClock()
    now = read(clock)
    answerer = Answerer("boot", "instance", 1)
    inbox, builder = Inbox("tidesync"), MessageBuilder("tidesync", "topside")
    pi_builder = PiMessageBuilder("tidesync", "rov1", answerer, now.realtime_ns, simulated=False)
    ping = Ping(seq=1, nonce=_NONCE, origin_ns=now.realtime_ns)
    pong = answer(ping, now, "kernel", now, answerer, transmit_stamp="write")
    assert isinstance(pong, Pong)
    heard = Incoming("tidesync/v1/vehicle/rov1/pong/topside", pong.encode(), retain=False, received=now)
    asked = Incoming("tidesync/v1/vehicle/rov1/ping/topside", ping.encode(), retain=False, received=now)
    exchanger = Exchanger("rov1", "topside", timeout_ns=10**9, resolution_ns=1)

    def matched() -> None:
        begun = exchanger.begin(now, _NONCE)
        exchanger.finish(pong.model_copy(update={"seq": begun.seq}), now)

    def answered() -> None:
        made = answer(ping, now, "kernel", now, answerer, transmit_stamp="write")
        assert isinstance(made, Pong)
        pi_builder.pong(pi_builder.pong_topic("topside"), made)

    yield Part("topside: encode a ping", _us(lambda: builder.ping("rov1", ping, now)), 1.0, 0.0)
    yield Part("Pi: decode a ping", _us(lambda: inbox.open(asked)), 0.0, 1.0)
    yield Part("Pi: make and encode a pong", _us(answered), 0.0, 1.0)
    yield Part("topside: decode a pong", _us(lambda: inbox.open(heard)), 1.0, 0.0)
    yield Part("topside: match it, make the exchange", _us(matched), 1.0, 0.0)


def _estimator() -> Iterator[Part]:
    estimator, backlog = OffsetEstimator(EstimatorSettings()), Backlog(10**12)
    made = exchanges_at(1.0, AGE_S)
    inside_us, closing_us = _aged(estimator, made)
    progress = Progress(since_cut=100, rejected=0, segment=0, steps=0, error=None)
    settings, builder = TopsideSettings(topside="topside"), MessageBuilder("tidesync", "topside")

    def batched() -> None:
        backlog.add(made[-1], 0)
        list(backlog.take_batches())

    def published() -> None:
        builder.result(result_of("rov1", estimator.estimate(), progress, settings))

    yield Part("topside: encode the exchange, batch it", _us(batched), 1.0, 0.0)
    yield Part("topside: estimate, within a block of 2 s", inside_us, 0.5, 0.0)
    yield Part("topside: estimate, at a block's end: all windows", closing_us, 0.5, 0.0)
    yield Part("topside: make and encode a result", _us(published), 1.0, 0.0)


def _aged(estimator: OffsetEstimator, made: list[Exchange]) -> tuple[float, float]:
    """Medians within a block and at its end, over the last third."""
    times: tuple[list[float], list[float]] = ([], [])
    for number, exchange in enumerate(made):
        index = estimator.timebase.blocks.index if estimator.timebase else None
        began_ns = time.thread_time_ns()
        estimator.add(exchange)
        us = (time.thread_time_ns() - began_ns) / 1e3
        closed = estimator.timebase is not None and estimator.timebase.blocks.index != index
        if number > 2 * len(made) / 3:
            times[closed].append(us)
    return median(times[0]), median(times[1])
