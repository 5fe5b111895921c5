"""An hour off the air: the Pi's clock is stepped and slewed, the recorder killed, and all rows are right."""

import json
import threading

import numpy as np

from broker.connection import Connection
from broker.interface import Outgoing
from broker.settings import ConnectionSettings
from runtime.clock import SystemClock
from schemas import topics
from schemas.clock_history import MAX_PIECES, ClockPiece, ClockResendCommand
from schemas.messages import MAX_BATCH, ExchangeBatch, ResendCommand
from tests.clock_publisher import ROOT, TOPICS
from tests.deadline import until
from tests.network.recording import start, stop
from tests.unit.moving_clocks import MovingClock, exchanges_of, history_of
from tidesync.sessions.correction.clock_limits import limits_of
from tidesync.sessions.correction.histories import read_histories
from tidesync.sessions.correction.order import RowCorrector
from tidesync.sessions.correction.session import timeline_of
from tidesync.sessions.correction.timeline import HOLDOVER
from tidesync.sessions.folder import SessionFolder
from topside_agent.estimator import EstimatorSettings

GAP_S = (20, 3620)
END_S = 3640
FIFTH_OF_A_MS = 200_000
MAX_ERROR_MS = 100.0
"""What two RAW clocks may wander in an hour without an exchange is more than the 25 ms that are usual."""
SETTINGS = EstimatorSettings()


class Replay:
    """A machine that publishes parts of a history and of exchanges, and sends again what it is asked for."""

    def __init__(self, url, machine, name, pieces, exchanges=()):
        self.kind, self.command_kind, self.message = TOPICS[machine]
        self.machine, self.name = machine, name
        self.pieces = [ClockPiece(**one.model_dump(exclude={"begin_s"})) for one in pieces]
        self.exchanges = exchanges
        self.asked = threading.Event()
        settings = ConnectionSettings(broker=url)
        self.connection = Connection(settings, self, SystemClock(), name=f"replay-{machine}")
        self.connection.start()
        assert self.connection.wait_until_subscribed(60)

    def connected(self):
        topic = topics.build(ROOT, self.command_kind, **{self.machine: self.name})
        self.connection.subscribe([(topic, 1)])

    def disconnected(self, reason):
        pass

    def tick(self, now):  # noqa: ARG002 - the connection's signature
        return 1.0

    def received(self, message):
        command = self.command_kind.decode(message.payload)
        if isinstance(command, ClockResendCommand):
            self.asked.set()
            self._publish_pieces(command.from_number, min(command.to_number, len(self.pieces) - 1))
        elif isinstance(command, ResendCommand):
            self._publish_exchanges(command.from_seq, command.to_seq)

    def publish(self, first, last):
        self.connection.post(lambda: self._publish_pieces(first, last))

    def finish(self, first, last):
        self.connection.post(lambda: self._publish_exchanges(first, last))

    def _publish_pieces(self, first, last):
        for begin in range(first, last + 1, MAX_PIECES):
            message = self.message(
                **{self.machine: self.name},
                boot_id="b1",
                instance_id=f"i-{self.machine}",
                first=begin,
                pieces=tuple(self.pieces[begin : min(last + 1, begin + MAX_PIECES)]),
            )
            topic = topics.build(ROOT, self.kind, **{self.machine: self.name})
            self.connection.publish(Outgoing(topic, message.encode(), 1))

    def _publish_exchanges(self, first, last):
        for begin in range(first, last + 1, MAX_BATCH):
            batch = ExchangeBatch(
                batch=begin, exchanges=tuple(self.exchanges[begin : min(last + 1, begin + MAX_BATCH)])
            )
            topic = topics.build(ROOT, topics.EXCHANGE, vehicle="rov1", topside=self.name)
            self.connection.publish(Outgoing(topic, batch.encode(), 1))


def pieces_until(pieces, at_s):
    """The number of the last piece that begins before `at_s`."""
    return max(number for number, one in enumerate(pieces) if one.begin_s < at_s)


def test_an_hour_off_the_air_comes_out_right_by_the_clocks_own_histories(place):
    pi = MovingClock("pi", -1_200_000_000, 40e-6)
    pi.steps, pi.slews = [(700.05, 2.5)], [(1500, 1512, 83_333), (2500, 2550, -20_000)]
    topside = MovingClock("topside", slews=[(3000, 3010, 500)])
    exchanges = [
        one.model_copy(update={"seq": seq, "topside_boot_id": "b1"})
        for seq, one in enumerate(exchanges_of(pi, topside, seconds=END_S, gaps=[GAP_S]))
    ]
    histories = history_of(pi, END_S), history_of(topside, END_S)
    machines = [
        Replay(place.broker.url, "vehicle", "rov1", histories[0]),
        Replay(place.broker.url, "topside", "topside", histories[1], exchanges),
    ]
    try:
        record_the_hour(place, machines, histories, exchanges)
    finally:
        for machine in machines:
            machine.connection.stop()
    assert machines[0].asked.is_set()

    folder = SessionFolder(place.folder())
    (measured,) = folder.measure().values()
    limits = limits_of(SETTINGS, measured.exchanges, slew_ppm=None, max_error_ms=MAX_ERROR_MS)
    found = read_histories(folder, "rov1", "topside")
    corrector = RowCorrector(timeline_of(measured, limits, found, SETTINGS))
    at_s = np.arange(2, END_S - 2, 0.25)
    stamps = pi.realtime_ns(at_s)
    if corrector.passes > 1:
        corrector.note(stamps)
    topside_ns, stated, state, _ = corrector.correct(stamps)
    error = np.abs(topside_ns - topside.realtime_ns(at_s))
    right = state <= HOLDOVER
    assert not (right & (error > stated)).any()
    assert (right & (error <= FIFTH_OF_A_MS)).mean() > 0.99


def record_the_hour(place, machines, histories, exchanges):
    vehicle, topside = machines
    before = sum(one.destination_ns < exchanges[0].destination_ns + 25 * 10**9 for one in exchanges)
    place.record()
    assert start(place, "--sensor", "inWater=rov1")[0] == 0
    topside.finish(0, before - 1)
    until(lambda: len(place.recorded()) == before, 15, "the exchanges before the hour")
    for machine, pieces in zip(machines, histories, strict=True):
        machine.publish(0, pieces_until(pieces, GAP_S[0]))
    journal = place.folder() / "time_sync" / "clock.jsonl"
    until(lambda: set(recorded_machines(journal)) == {"vehicle", "topside"}, 15, "pieces of both clocks")
    place.kill()
    topside.publish(0, pieces_until(histories[1], 2000))
    place.record()
    vehicle.publish(len(vehicle.pieces) - 1, len(vehicle.pieces) - 1)
    topside.publish(len(topside.pieces) - 1, len(topside.pieces) - 1)
    topside.finish(before, len(exchanges) - 1)
    history = SessionFolder(place.folder()).clock_history
    for machine in machines:
        until(
            lambda machine=machine: _held(history(machine.machine, machine.name)) == len(machine.pieces),
            30,
            f"the whole history of {machine.name}",
        )
    until(lambda: len(place.recorded()) == len(exchanges), 15, "the exchanges after the hour")
    assert stop(place)[0] == 0


def recorded_machines(journal):
    lines = journal.read_bytes().splitlines(keepends=True) if journal.exists() else []
    return [json.loads(line)["machine"] for line in lines if line.endswith(b"\n")]


def _held(processes):
    return sum(len(pieces) for pieces in processes.values())
