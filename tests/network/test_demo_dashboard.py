"""The demo with its dashboard: it says where, goes on, and ends with its verdict on Ctrl-C."""

import json
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress

import pytest

from broker.embedded import free_port
from tests.deadline import until


def vehicles(port):
    with (
        suppress(OSError),
        urllib.request.urlopen(f"http://127.0.0.1:{port}/api/vehicles", timeout=2) as answer,
    ):
        return json.load(answer)["vehicles"]
    return []


@pytest.fixture
def demo(tmp_path):
    port = free_port("127.0.0.1")
    command = ["demo", "--dashboard", "--dashboard-port", str(port), "--duration", "3", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tidesync", *command, "--root", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process, port
    process.kill()
    process.communicate()


def test_it_shows_the_fleet_until_ctrl_c_and_then_its_verdict(demo):
    process, port = demo
    began = time.monotonic()
    until(lambda: {row["state"] for row in vehicles(port)} == {"locked"}, 30, "two locked vehicles")
    until(lambda: time.monotonic() - began > 5, 10, "more than the demo's usual length")
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == 0, stderr
    assert json.loads(stdout)["ok"] is True
    assert f"http://127.0.0.1:{port}/" in stderr
