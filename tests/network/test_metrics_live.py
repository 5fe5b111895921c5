"""`/metrics` of real agents on a real broker, scraped as Prometheus would."""

import signal
import subprocess
import sys
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.deadline import BUSY, until
from tests.ports import free_port

S = 1_000_000_000


@pytest.fixture
def agents():
    """Starts `tidesync …` in processes of their own; all are ended."""
    running = []

    def start(*arguments):
        running.append(subprocess.Popen([sys.executable, "-m", "tidesync", "-q", *arguments]))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.wait()


def scrape(port):
    """Value by name and labels; None while nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as reply:
            text = reply.read().decode()
    except OSError:
        return None
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(found, name, **labels):
    """The one sample of that name whose labels include these."""
    values = [
        value
        for (given, *pairs), value in (found or {}).items()
        if given == name and labels.items() <= dict(pairs).items()
    ]
    assert len(values) < 2
    return values[0] if values else None


def test_a_measured_vehicle_can_be_scraped_at_every_agent_and_loses_its_offset_with_the_broker(
    mosquitto, agents, place
):
    url, pi, topside, recorder = mosquitto.url, *(free_port("127.0.0.1") for _ in range(3))
    # The step comes once the agent is there to see it: it takes seconds to start on a busy machine.
    pretend = ("--simulate-offset-s", "-3", "--simulate-step", "15:1")
    agents("topside", "--broker", url, "--metrics-port", str(topside), "--no-udp")
    until(lambda: of(scrape(topside), "tidesync_broker_connected"), 20, "a topside that sees the step")
    agents("pi", "--vehicle", "rov1", "--broker", url, "--http-port", str(pi), *pretend)
    place.record("--metrics-port", str(recorder))

    def locked():
        found = scrape(topside)
        return found if of(found, "tidesync_state", state="locked") == 1 else None

    found = until(locked, 20, "locked, by the metrics")
    offset = of(found, "tidesync_offset_seconds", vehicle="rov1", topside="topside")
    assert min(abs(offset + 3), abs(offset + 2)) <= of(found, "tidesync_max_error_seconds") + 0.001
    assert of(found, "tidesync_exchange_delay_seconds_count", vehicle="rov1") >= 8
    assert of(found, "tidesync_build_info", role="topside") == 1

    until(lambda: (of(scrape(pi), "tidesync_pings_answered_total") or 0) >= 8, 10, "the Pi's count")
    step = until(lambda: of(scrape(pi), "tidesync_clock_changes_total", kind="step"), 10, "the Pi's step")
    assert step == 1
    assert until(lambda: of(scrape(topside), "tidesync_steps_total"), 10, "topside's step") == 1

    until(lambda: of(scrape(recorder), "tidesync_broker_connected"), 10, "the recorder's connection")
    place.session("start", "--mission", "reef-42", "--name", "s1", "--broker", url)
    names = {"session": "s1", "vehicle": "rov1"}
    until(lambda: of(scrape(recorder), "tidesync_recorder_exchanges_total", **names), 10, "a recorded one")
    found = until(lambda: scrape(recorder), what="the recorder's metrics")
    assert of(found, "tidesync_recorder_lag_seconds", **names) < 5 * BUSY
    assert of(found, "tidesync_recorder_free_bytes") > 0
    assert of(found, "tidesync_recorder_lost_exchanges_total", **names) == 0

    mosquitto.kill()

    def lost():
        found = scrape(topside)
        without = found and of(found, "tidesync_offset_seconds") is None
        return found if without and of(found, "tidesync_broker_connected") == 0 else None

    found = until(lost, what="no offset without a broker")
    assert of(found, "tidesync_state", state="locked") is None
    assert of(found, "tidesync_last_exchange_age_seconds") > 2

    mosquitto.start()
    found = until(locked, 20, "locked again")
    assert of(found, "tidesync_reconnects_total") == 1


def test_an_agent_with_metrics_ends_within_two_seconds(mosquitto, agents):
    port = free_port("127.0.0.1")
    topside = agents("topside", "--broker", mosquitto.url, "--metrics-port", str(port))
    until(lambda: of(scrape(port), "tidesync_broker_connected"), 20, "the connection")
    topside.send_signal(signal.SIGTERM)
    assert topside.wait(2 * BUSY) == 0
    assert scrape(port) is None


def test_a_vehicle_without_http_never_loads_what_metrics_need(mosquitto):
    program = f"""
import sys
from runtime.clock import SystemClock
from pi_agent.agent import PiAgent
from pi_agent.settings import PiSettings
agent = PiAgent(PiSettings(vehicle="rov1", broker={mosquitto.url!r}, no_http=True), SystemClock())
agent.start()
assert agent._connection.wait_until_up(60)
agent.health()
agent.stop()
print(sorted(set(sys.modules) & {{"prometheus_client", "fastapi", "uvicorn", "wsgiref"}}))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
