"""HTTP takes over on real sockets: while the vehicle is away from MQTT, and while the broker itself is."""

import socket
import threading

import pytest
import uvicorn
from fastapi import FastAPI

from broker.interface import Outgoing
from broker.settings import ConnectionSettings
from pi_agent.http import router, served_clock
from runtime.clock import SimulatedClock, SystemClock
from schemas import topics
from schemas.exchange import HTTP, MQTT
from schemas.messages import ResendCommand
from tests.deadline import until
from tests.network.boats import AttentiveChecker, drift_is_known
from tests.ports import free_port

S = 1_000_000_000


class LoggingChecker(AttentiveChecker):
    """Also keeps every exchange that is published."""

    exchanges = ()

    def connected(self):
        super().connected()
        self.connection.subscribe([("tidesync/v1/vehicle/+/exchange/+", 1)])

    def received(self, message):
        super().received(message)
        letter = self._inbox.open(message)
        if letter and letter.topic.kind is topics.EXCHANGE:
            self.exchanges += letter.body.exchanges

    def ask_again(self):
        command = ResendCommand(request_id="again", vehicle="rov1", from_seq=0, to_seq=2**53)
        outgoing = Outgoing("tidesync/v1/topside/topside/command", command.encode())
        self.connection.post(lambda: self.connection.publish(outgoing))

    def methods(self):
        return {exchange.method for exchange in tuple(self.exchanges)}

    def over_http(self):
        return [exchange for exchange in self.exchanges if exchange.method == HTTP.name]

    def by_method(self, method, after=0):
        return [result for result in self.heard[after:] if result.method == method]


@pytest.fixture
def clock():
    return SimulatedClock(SystemClock(), offset_ns=-3 * S, drift_ppm=25.0)


@pytest.fixture
def vehicle_url(clock):
    """An existing FastAPI service on the vehicle that has taken the router over, with `clock`."""
    app = FastAPI()
    app.include_router(router)

    async def own_clock():
        return clock

    app.dependency_overrides[served_clock] = own_clock
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(5)


def running(boat, clock, url):
    checker = LoggingChecker(ConnectionSettings(broker=boat.url), boat.clock, boat.clocks, 0.25)
    boat.start(checker.connection)
    assert checker.connection.wait_until_subscribed(60)
    topside = boat.topside(
        no_udp=True, vehicle=(f"rov1={url}",), holdover_after_s=3.0, handshake_interval_s=0.2, timeout_s=0.5
    )
    pi = boat.vehicle("rov1", clock=clock)
    checker.until_state("rov1", "locked")
    return checker, topside, pi


def test_a_vehicle_without_mqtt_is_measured_over_http_until_it_is_back(boat, clock, vehicle_url):
    checker, _, pi = running(boat, clock, vehicle_url)
    assert until(checker.methods, what="exchanges") == {MQTT.name}
    pi.stop()
    sound = until(lambda: [each for each in checker.by_method(HTTP.name) if not each.error], what="over HTTP")
    over_http = sound[0]
    assert over_http.boot_id is None
    assert abs(over_http.offset_ms + 3000) <= over_http.max_error_ms + 1
    until(
        lambda: any(result.state == "locked" for result in checker.by_method(HTTP.name)),
        10,
        "locked over HTTP",
    )

    boat.vehicle("rov1", clock=clock)
    heard = len(checker.heard)
    until(lambda: checker.by_method(MQTT.name, heard), 10, "MQTT again")
    until(lambda: checker.last("rov1").state == "locked", 10, "locked again")
    until(lambda: checker.methods() == {MQTT.name, HTTP.name}, 5, "both kinds published")
    seqs = [exchange.seq for exchange in checker.exchanges]
    assert seqs == list(range(len(seqs)))
    assert checker.wrong == []


def test_what_http_measured_while_the_broker_was_away_is_published_when_it_is_back(
    broker, boat, clock, vehicle_url
):
    checker, topside, _ = running(boat, clock, vehicle_url)
    broker.kill()
    until(lambda: not checker.connection.up, 5, "the loss noticed")
    heard = len(checker.heard)
    before = topside.counts().vehicles[0].exchanges
    until(lambda: topside.counts().vehicles[0].exchanges >= before + 3, 15, "three handshakes")
    broker.start()
    until(lambda: checker.by_method(MQTT.name, heard), 15, "MQTT again")
    until(lambda: checker.last("rov1").state == "locked", 10, "locked again")
    checker.ask_again()  # it may have come before the checker was there
    until(lambda: len(checker.over_http()) >= 3, 10, "what was made over HTTP")
    for exchange in checker.over_http():
        difference_ns = exchange.topside_realtime_minus_raw_ns
        assert clock.realtime_at(exchange.destination_ns - difference_ns) >= exchange.transmit_ns
        assert clock.realtime_at(exchange.origin_ns - difference_ns) <= (
            exchange.receive_ns + exchange.resolution_ns
        )
    assert checker.wrong == []


def test_an_address_that_answers_nothing_is_said_and_mqtt_is_untouched(mosquitto_boat, clock):
    url = f"http://127.0.0.1:{free_port()}"
    checker, _, pi = running(mosquitto_boat, clock, url)
    until(lambda: drift_is_known(checker.last("rov1")), what="a drift that holds for some seconds")
    pi.stop()
    failed = until(lambda: [one for one in checker.heard if one.error == "network_error"], what="its error")
    assert (failed[0].method, failed[0].state) == (MQTT.name, "holdover")
    mosquitto_boat.vehicle("rov1", clock=clock)
    assert checker.until_state("rov1", "locked", after=len(checker.heard)).error is None
