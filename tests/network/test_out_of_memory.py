"""Processes that get no memory: a sentence and an exit code, or one thing given up and the rest goes on."""

import subprocess
import sys
from pathlib import Path

import pytest

from broker.client.stamping import StampingClient
from broker.connection import Connection
from broker.embedded import EmbeddedBroker
from broker.interface import Outgoing
from broker.settings import ConnectionSettings, EmbeddedBrokerSettings
from runtime.clock import SystemClock
from runtime.memory import LEAST_BYTES, shortages
from tests.deadline import until
from tests.network.test_packet_limit import Owner

ROOT = Path(__file__).parents[2]
linux = pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
NOWHERE = ("--broker", "mqtt://127.0.0.1:1")
AGENTS = {
    "pi": ("pi", "--vehicle", "rov1", "--no-http", *NOWHERE),
    "topside": ("topside", "--topside", "laptop", *NOWHERE),
    "record": ("record", "--root", "sessions", *NOWHERE),
    "dashboard": ("dashboard", "--port", "0", *NOWHERE),
}


def started(mib, *command, folder, stack_mib=8):
    """A process with `mib` of address space; each thread takes `stack_mib` of it."""
    limits = f'ulimit -c 0; ulimit -s {stack_mib << 10}; ulimit -v {mib << 10}; exec "$@"'
    return subprocess.Popen(
        ["sh", "-c", limits, "sh", sys.executable, "-m", "tidesync", *command],
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            "PATH": "/usr/bin:/bin",
            "XDG_RUNTIME_DIR": str(folder),
        },
    )


@linux
@pytest.mark.parametrize("agent", AGENTS)
def test_an_agent_that_may_have_too_little_says_how_much_and_how_much_it_needs(agent, tmp_path):
    process = started(100, *AGENTS[agent], folder=tmp_path)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors == (
        "tidesync: this process may have 100 MiB of address space (ulimit -v, RLIMIT_AS); it needs 192 MiB\n"
    )


@linux
@pytest.mark.parametrize("agent", AGENTS)
def test_an_agent_that_may_have_just_enough_runs(agent, tmp_path):
    process = started(LEAST_BYTES >> 20, *AGENTS[agent], folder=tmp_path)
    lines = []
    until(lambda: lines.append(process.stderr.readline()) or "trying again" in lines[-1], 20, "a connect")
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, "".join(lines) + errors


@linux
@pytest.mark.parametrize("agent", AGENTS)
def test_an_agent_whose_threads_find_no_room_ends_with_one_sentence(agent, tmp_path):
    process = started(LEAST_BYTES >> 20, *AGENTS[agent], folder=tmp_path, stack_mib=150)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "tidesync: out of memory: RuntimeError: can't start new thread\n" in errors
    assert "Traceback" not in errors


@linux
def test_a_command_that_ends_by_itself_needs_no_more(tmp_path):
    process = started(LEAST_BYTES >> 20, "estimate", "missing.jsonl", folder=tmp_path)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, "missing.jsonl" in errors) == (2, True)


@pytest.fixture
def connected():
    embedded = EmbeddedBroker(EmbeddedBrokerSettings(port=0))
    embedded.start()
    owner = Owner()
    connection = Connection(ConnectionSettings(broker=embedded.url), owner, SystemClock(), name="test")
    owner.connected = lambda: connection.subscribe([("t", 1)])
    connection.owner = owner
    connection.start()
    assert connection.wait_until_subscribed(60)
    yield connection
    connection.stop()
    embedded.stop()


def publish(connection, payload):
    connection.post(lambda: connection.publish(Outgoing("t", payload, 1)))


def test_a_message_for_which_there_is_no_memory_is_given_up_and_the_next_is_taken(connected, caplog):
    before = shortages["message"]
    taken = []

    def received(message):
        if len(message.payload) > 100:
            raise MemoryError
        taken.append(message.payload)

    connected.owner.received = received
    for _ in range(25):
        publish(connected, bytes(1000))
    publish(connected, b"small")
    until(lambda: taken == [b"small"], 5, "the next message")
    assert shortages["message"] - before == 25
    assert caplog.text.count("out of memory, a message of 1000 bytes is given up") <= 2
    assert connected.reconnects == 0


def test_a_connection_that_gets_no_memory_ends_and_is_made_again(connected, monkeypatch):
    real, failing = StampingClient.loop_read, [True]

    def loop_read(self, *arguments):
        if failing and failing.pop():
            raise MemoryError
        return real(self, *arguments)

    before = shortages["connection"]
    monkeypatch.setattr(StampingClient, "loop_read", loop_read)
    publish(connected, b"lost")
    until(lambda: connected.reconnects == 1, 10, "the connection")
    until(lambda: publish(connected, b"later") or connected.owner.heard, 5, "a message")
    assert shortages["connection"] - before == 1
    assert connected.owner.lost == ["connection lost"]
