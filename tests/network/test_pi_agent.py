"""`tidesync pi` as a process of its own, with a real mosquitto."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from schemas.messages import Event, Info, Pong
from tests.deadline import BUSY, until
from tests.host_clock import HostClock
from tests.network.brokers import MOSQUITTO, RunningBroker
from tests.ports import free_port

BASE = "tidesync/v1/vehicle/rov1"
ROOT = Path(__file__).parents[2]


class Listener:
    """A topside's subscriber: keeps what arrives, in order."""

    def __init__(self, port):
        self.heard: list[MQTTMessage] = []
        self._subscribed = False
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda *_: self._client.subscribe("tidesync/#", 1)
        self._client.on_subscribe = lambda *_: setattr(self, "_subscribed", True)
        self._client.on_message = lambda _client, _userdata, message: self.heard.append(message)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        until(lambda: self._subscribed, what="the listener's subscription")

    def say(self, level, payload, *, qos=0, retain=False):
        self._client.publish(f"{BASE}/{level}", payload, qos, retain)

    def on(self, level):
        return [message.payload for message in list(self.heard) if message.topic == f"{BASE}/{level}"]

    def wait_for(self, level, count=1):
        return until(lambda: len(found := self.on(level)) >= count and found, what=f"{count} on {level}")

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def listener(mosquitto):
    listener = Listener(mosquitto.port)
    yield listener
    listener.close()


@contextmanager
def pi(port, *options, folder):
    command = [sys.executable, "-m", "tidesync", "pi", "--vehicle", "rov1"]
    process = subprocess.Popen(
        [*command, "--broker", f"mqtt://127.0.0.1:{port}", *options],
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={"HOME": str(folder), "PYTHONPATH": str(ROOT)},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ping(seq):
    return json.dumps({"v": 1, "seq": seq, "nonce": f"{seq:016x}", "origin_ns": time.time_ns()}).encode()


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        content: dict[str, Any] = json.loads(answer.read())
    except ConnectionError:
        return {}
    finally:
        connection.close()
    assert answer.status == 200
    return content


def test_pings_are_answered_from_the_simulated_clock(mosquitto, listener, tmp_path):
    host = HostClock()
    with pi(mosquitto.port, "--no-http", "--simulate-offset-s", "2.5", folder=tmp_path):
        listener.wait_for("status")
        for seq in range(20):
            before_ns = time.time_ns()
            listener.say("ping/topside", ping(seq))
            pong = Pong.decode(listener.wait_for("pong/topside", seq + 1)[seq])
            after_ns = time.time_ns()
            assert (pong.seq, pong.nonce) == (seq, f"{seq:016x}")
            assert pong.receive_ns <= pong.transmit_ns
            slack_ns = 1_000_000 + host.moved_ns()  # the simulation runs on RAW
            assert before_ns - slack_ns <= pong.receive_ns - 2_500_000_000
            assert pong.transmit_ns - 2_500_000_000 <= after_ns + slack_ns
        info = Info.decode(listener.wait_for("info")[0])
        assert (info.boot_id, info.instance_id) == (pong.boot_id, pong.instance_id)
        assert (info.simulated, info.http_port) == (True, None)


def test_sigterm_leaves_a_retained_offline_and_exit_code_0_within_a_second(mosquitto, listener, tmp_path):
    port = free_port("127.0.0.1")
    with pi(mosquitto.port, "--http-port", str(port), "--http-host", "127.0.0.1", folder=tmp_path) as process:
        listener.wait_for("status")
        until(lambda: get(port, "/health"), what="HTTP")
        process.send_signal(signal.SIGTERM)
        assert process.wait(1.0 * BUSY) == 0
    assert listener.wait_for("status", 2) == [b"online", b"offline"]
    late = Listener(mosquitto.port)
    assert late.wait_for("status") == [b"offline"]
    late.close()


def test_a_killed_agent_is_offline_by_its_will(mosquitto, listener, tmp_path):
    with pi(mosquitto.port, "--no-http", folder=tmp_path) as process:
        listener.wait_for("status")
        process.kill()
        assert listener.wait_for("status", 2) == [b"online", b"offline"]


def test_a_port_that_is_taken_ends_with_one_line_and_exit_code_2(tmp_path):
    with socket.create_server(("0.0.0.0", 0)) as holder:
        port = holder.getsockname()[1]
        with pi(free_port("127.0.0.1"), "--http-port", str(port), folder=tmp_path) as process:
            _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert errors.count("\n") == 1
    assert str(port) in errors


@pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")
def test_http_and_mqtt_each_go_on_without_the_other(tmp_path):
    broker, port = RunningBroker("mosquitto", tmp_path), free_port("127.0.0.1")
    with pi(broker.port, "--http-port", str(port), "--http-host", "127.0.0.1", folder=tmp_path):
        until(lambda: "refused" in (get(port, "/health").get("broker_problem") or ""), what="the problem")
        assert get(port, "/health").get("broker_connected") is False
        assert get(port, "/api/sync/time").keys() >= {"pi_iso", "pi_unix_ms"}
        broker.start()
        listener = Listener(broker.port)
        assert listener.wait_for("status") == [b"online"]
        assert Info.decode(listener.wait_for("info")[0]).http_port == port
        listener.say("ping/topside", ping(1))
        listener.wait_for("pong/topside")
        until(lambda: get(port, "/health").get("last_ping_topside") == "topside", what="the ping in /health")
        listener.close()
        broker.kill()
        until(lambda: get(port, "/health").get("broker_connected") is False, what="the loss of the broker")


def test_rubbish_does_no_harm(mosquitto, listener, tmp_path):
    with pi(mosquitto.port, "--no-http", folder=tmp_path) as process:
        listener.wait_for("status")
        for rubbish in (b"", b"\x00\xff", b"[" * 10_000, b"{}", b"null", b'{"v":1e999}', b"x" * 60_000):
            listener.say("ping/topside", rubbish, qos=1)
        listener.say("ping/UPPER", ping(1))
        listener.say("info", b"rubbish", qos=1)
        listener.say("status", b"rubbish", qos=1)
        listener.say("ping/topside", ping(9))
        assert Pong.decode(listener.wait_for("pong/topside")[0]).seq == 9
        assert process.poll() is None


def test_a_message_beyond_the_limit_of_packets_costs_one_connection_and_the_agent_answers_again(
    mosquitto, listener, tmp_path
):
    with pi(mosquitto.port, "--no-http", folder=tmp_path) as process:
        listener.wait_for("status")
        listener.say("ping/topside", b"x" * 200_000)
        until(lambda: listener.say("ping/topside", ping(9)) or listener.on("pong/topside"), what="a pong")
        assert process.poll() is None


def test_an_offline_by_somebody_else_is_contradicted(mosquitto, listener, tmp_path):
    with pi(mosquitto.port, "--no-http", folder=tmp_path):
        listener.wait_for("status")
        listener.say("status", b"offline", qos=1, retain=True)
        assert listener.wait_for("status", 3) == [b"online", b"offline", b"online"]


def test_a_simulated_step_is_an_event(mosquitto, listener, tmp_path):
    with pi(mosquitto.port, "--no-http", "--simulate-step", "4:-3", folder=tmp_path):
        event = Event.decode(listener.wait_for("event")[0])
        assert (event.kind, event.step_ms) == ("step", pytest.approx(-3000, abs=0.2))
