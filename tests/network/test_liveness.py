"""Agents as processes: one that waits for a broker is alive, a stuck one ends, a paused one continues."""

import os
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress

import pytest

from runtime.heartbeat import problem
from tests.deadline import BUSY, until
from tests.ports import free_port

_IMPATIENT = """
import sys, threading, time
import runtime.watchdog
runtime.watchdog.Loop.__init__.__defaults__ = (3.0,)
{fault}
from tidesync.command_line import run
sys.exit(run(sys.argv[1:]))
"""
_WEDGED = """
from pi_agent.agent import PiAgent
began = time.monotonic()
def tick(self, now):
    if time.monotonic() - began > 2:
        threading.Event().wait()
    return 0.1
PiAgent.tick = tick
"""
_DEAD = """
from broker.connection import Connection
def connect_once(self):
    raise SystemError("made up")
Connection._connect_once = connect_once
"""


@pytest.fixture
def run(tmp_path):
    """Start a program of Python's with the agent's arguments; ended at the end."""
    processes = []

    def start(arguments, script=None):
        python = [sys.executable, "-c", script] if script else [sys.executable, "-m", "tidesync"]
        log = (tmp_path / "log").open("wb")
        process = subprocess.Popen([*python, *arguments], stderr=log, cwd=tmp_path)
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
        process.wait()


def arguments_of(agent, heartbeat, tmp_path, url):
    own = {
        "pi": ["--vehicle", "rov1", "--no-http"],
        "topside": [],
        "dashboard": ["--port", "0"],
        "record": ["--root", str(tmp_path / "root")],
    }
    return [agent, *own[agent], "--broker", url, "--heartbeat-file", str(heartbeat)]


def fresh(heartbeat):
    return problem(heartbeat, time.monotonic_ns()) is None


@pytest.mark.parametrize("agent", ["pi", "topside", "record", "dashboard"])
def test_an_agent_without_its_broker_is_alive_and_reports_what_it_waits_for(agent, tmp_path, run):
    heartbeat = tmp_path / "heartbeat"
    url = f"mqtt://127.0.0.1:{free_port('127.0.0.1')}"
    process = run(arguments_of(agent, heartbeat, tmp_path, url))
    until(lambda: heartbeat.exists() and "waiting for the broker" in heartbeat.read_text(), 15, "a heartbeat")
    check = [sys.executable, "-m", "runtime.heartbeat", heartbeat]
    until(lambda: subprocess.run(check, check=False).returncode == 0, what="a fresh heartbeat")
    first = heartbeat.read_text()
    until(lambda: heartbeat.read_text() != first, 15, "the next heartbeat")
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


def test_an_agent_with_its_broker_reports_it(mosquitto, tmp_path, run):
    heartbeat = tmp_path / "heartbeat"
    run(arguments_of("pi", heartbeat, tmp_path, mosquitto.url))
    until(lambda: heartbeat.exists() and "connected to broker" in heartbeat.read_text(), 15, "connected")


def test_a_stuck_agent_logs_its_threads_and_ends(mosquitto, tmp_path, run):
    heartbeat = tmp_path / "heartbeat"
    script = _IMPATIENT.format(fault=_WEDGED)
    process = run(arguments_of("pi", heartbeat, tmp_path, mosquitto.url), script)
    assert process.wait(60) == 1
    log = (tmp_path / "log").read_text()
    assert "the network thread has been stuck" in log
    assert "in tick" in log
    assert "in _work" in log


def test_an_agent_whose_network_thread_dies_ends_with_1(tmp_path, run):
    script = _IMPATIENT.format(fault=_DEAD)
    process = run(arguments_of("topside", tmp_path / "heartbeat", tmp_path, "mqtt://127.0.0.1:9"), script)
    assert process.wait(60) == 1
    assert "made up" in (tmp_path / "log").read_text()


def test_a_paused_agent_has_no_heartbeat_and_continues_when_it_is_resumed(mosquitto, tmp_path, run):
    heartbeat = tmp_path / "heartbeat"
    script = _IMPATIENT.format(fault="")
    process = run(arguments_of("pi", heartbeat, tmp_path, mosquitto.url), script)
    until(heartbeat.exists, 15, "a heartbeat")
    process.send_signal(signal.SIGSTOP)
    until(lambda: not fresh(heartbeat), 15, "an old heartbeat")  # three times its limit
    process.send_signal(signal.SIGCONT)
    until(lambda: fresh(heartbeat), 5, "a fresh heartbeat")
    stamp = heartbeat.read_text()
    until(lambda: heartbeat.read_text() != stamp, 15, "the next heartbeat")
    until(lambda: "connected to broker" in heartbeat.read_text(), 10, "connected again")
    assert process.poll() is None


def test_an_unwritable_heartbeat_file_does_not_end_the_agent(mosquitto, tmp_path, run):
    process = run(arguments_of("pi", tmp_path / "none" / "heartbeat", tmp_path, mosquitto.url))
    until(lambda: "cannot write the heartbeat file" in (tmp_path / "log").read_text(), 15, "the warning")
    assert process.poll() is None


def test_systemd_is_notified_that_the_agent_is_ready_before_its_broker_is_there(tmp_path, run, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(60)
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setitem(os.environ, "NOTIFY_SOCKET", str(tmp_path / "notify"))
        process = run(arguments_of("pi", tmp_path / "heartbeat", tmp_path, "mqtt://127.0.0.1:9"))
        assert manager.recv(1000).decode().startswith("READY=1\nSTATUS=waiting for the broker: ")
        assert manager.recv(1000).decode().startswith("WATCHDOG=1")
        process.send_signal(signal.SIGTERM)
        until(lambda: manager.recv(1000).startswith(b"STOPPING=1"), 15, "STOPPING=1")
        assert process.wait(60) == 0


def test_blueos_gets_its_answers_within_a_second_without_a_broker(run):
    port = free_port("127.0.0.1")
    http = ["--http-host", "127.0.0.1", "--http-port", str(port)]
    run(["pi", "--vehicle", "rov1", "--broker", "mqtt://192.0.2.1", *http])  # nobody is there, nor refuses

    def answer(path):
        began_s = time.monotonic()
        with (
            suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as reply,
        ):
            return reply.read(), time.monotonic() - began_s
        return None

    until(lambda: answer("/"), 20, "the page")
    for path, words in (("/", b"<title>Tidesync</title>"), ("/register_service", b'"name":"Tidesync"')):
        answers = [until(lambda path=path: answer(path), what=path) for _ in range(10)]
        assert all(words in text for text, _ in answers)
        assert statistics.median(took_s for _, took_s in answers) < 1 * BUSY


def test_an_agent_whose_http_service_hangs_ends_itself(mosquitto, tmp_path, run):
    fault = """
import pi_agent.http_service
def stuck(health): threading.Event().wait()
pi_agent.http_service.page = stuck
"""
    port = free_port("127.0.0.1")
    process = run(
        ["pi", "--vehicle", "rov1", "--broker", mosquitto.url, "--http-port", str(port)],
        _IMPATIENT.format(fault=fault),
    )

    def answers(path):
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=1.0):
            return True
        return False

    until(lambda: answers("/health"), 20, "HTTP")
    assert not answers("/")
    assert process.wait(60) == 1
    assert "the HTTP service has been stuck" in (tmp_path / "log").read_text()
