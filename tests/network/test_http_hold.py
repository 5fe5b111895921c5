"""Servers whose connections a stranger holds: honest clients are answered, MQTT and its timing go on."""

import http.client
import json
import queue
import re
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from schemas.messages import Pong
from tests.deadline import BUSY, stays, until
from tests.network.http_hold import HttpHold, many_files  # noqa: F401 - a fixture
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
OTHER = "127.0.0.2"
"""An address from which nothing is held."""
pytestmark = [
    pytest.mark.usefixtures("many_files"),
    pytest.mark.skipif(sys.platform != "linux", reason="ulimit"),
]


@contextmanager
def agent(*command, folder, files=1024):
    """A process that may open so many files."""

    limited = f'ulimit -n {files}; exec "$@"'
    log = folder / "agent.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            ["sh", "-c", limited, "sh", sys.executable, "-m", "tidesync", *command],
            stderr=stream,
            cwd=folder,
            env={"HOME": str(folder), "PYTHONPATH": str(ROOT)},
        )
    process.log = log
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def get(port, path, *, address=OTHER, timeout_s=60.0):
    """The answer to an honest client, or None."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s, source_address=(address, 0))
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.read().decode() if answer.status == 200 else None
    except OSError:
        return None
    finally:
        connection.close()


class Pinger:
    """Pings rov1 as a topside would, and waits for each pong."""

    def __init__(self, port):
        self._pongs = queue.Queue()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda *_: self._client.subscribe("tidesync/v1/vehicle/rov1/pong/+", 0)
        self._client.on_message = lambda _client, _data, message: self._pongs.put(message.payload)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def __enter__(self):
        until(lambda: self.answered(10_000, within_s=2), what="a pong")
        return self

    def __exit__(self, *_):
        self._client.disconnect()
        self._client.loop_stop()

    def answered(self, seq, within_s=60):
        payload = json.dumps({"v": 1, "seq": seq, "nonce": f"{seq:016x}", "origin_ns": time.time_ns()})
        self._client.publish("tidesync/v1/vehicle/rov1/ping/topside", payload)
        with suppress(queue.Empty):
            while Pong.decode(self._pongs.get(timeout=within_s)).seq != seq:
                pass  # the answer to an earlier one
            return True
        return False

    def round_trip_s(self):
        """The median of many."""
        times = [timed(lambda seq=seq: self.answered(seq)) for seq in range(60)]
        return statistics.median(times)


def timed(work):
    began_s = time.perf_counter()
    assert work()
    return time.perf_counter() - began_s


def test_a_vehicle_whose_connections_are_held_stays_on_mqtt_and_answers_others(mosquitto, tmp_path):
    port = free_port("127.0.0.1")
    command = ("pi", "--vehicle", "rov1", "--broker", mosquitto.url, "--http-port", str(port))
    began_s = time.monotonic()
    with agent(*command, folder=tmp_path) as process:
        until(lambda: get(port, "/health"), what="the web service")
        with Pinger(mosquitto.port) as pinger, HttpHold(port, 1200) as hold:
            quiet_s = pinger.round_trip_s()
            until(lambda: hold.ended > 1000, 180, "the hold")
            until(lambda: pinger.round_trip_s() < 3 * quiet_s + 0.002, what="round trips as quick as before")
            assert answers_s(port, "/api/sync/time") < 1 * BUSY
            assert open_files(process) < 256
            mosquitto.kill()
            until(lambda: not health(port)["broker_connected"], what="the loss of the broker")
            mosquitto.start()
            until(lambda: health(port)["broker_connected"], 5, "the connection")
        metrics = until(lambda: get(port, "/metrics"), what="the metrics")
        refused = re.findall(r'connections_refused_total{reason="\w+"} (\d+)', metrics)
        assert sum(map(int, refused)) > hold.ended - 128  # its last ones it may have ended itself
        minutes = (time.monotonic() - began_s) // 60
        assert 1 <= process.log.read_text().count("too many connections") <= 1 + minutes


def health(port):
    return json.loads(until(lambda: get(port, "/health"), what="an answer"))


def answers_s(port, path):
    """All of many honest requests are answered; the median of their times."""
    return statistics.median(timed(lambda: get(port, path)) for _ in range(20))


def open_files(process):
    return len(list(Path(f"/proc/{process.pid}/fd").iterdir()))


@pytest.mark.parametrize(
    "command", [("dashboard", "--port"), ("topside", "--topside", "laptop", "--metrics-port")]
)
def test_any_other_server_whose_connections_are_held_answers_others_at_once(mosquitto, tmp_path, command):
    port, path = free_port("127.0.0.1"), "/health" if command[0] == "dashboard" else "/metrics"
    with agent(*command, str(port), "--broker", mosquitto.url, folder=tmp_path) as process:
        until(lambda: get(port, path), 180, "the web service")
        with HttpHold(port, 1100) as hold:
            until(lambda: hold.ended > 1000, 180, "the hold")
            assert answers_s(port, path) < 1 * BUSY
            assert open_files(process) < 256


def test_a_vehicle_that_may_open_few_files_serves_few_and_keeps_the_rest(mosquitto, tmp_path):
    port = free_port("127.0.0.1")
    command = ("pi", "--vehicle", "rov1", "--broker", mosquitto.url, "--http-port", str(port))
    with agent(*command, folder=tmp_path, files=96) as process:
        until(lambda: get(port, "/health"), what="the web service")
        with HttpHold(port, 40) as first, HttpHold(port, 40, address="127.0.0.3"):
            until(lambda: first.ended > 50, what="the hold")
            stays(lambda: open_files(process) < 64, 1, "the reserve")
            mosquitto.kill()
            until(lambda: "connection refused" in process.log.read_text(), what="the loss of the broker")
            mosquitto.start()
            with Pinger(mosquitto.port):
                until(lambda: get(port, "/api/sync/time"), what="an answer between two ended connections")
