"""The demo with its dashboard: it says where, goes on, and ends with its verdict on Ctrl-C."""

import json
import signal
import subprocess
import sys
import urllib.request
from contextlib import suppress

import pytest

from tests.deadline import stays, until
from tests.ports import free_port


def vehicles(port):
    with (
        suppress(OSError),
        urllib.request.urlopen(f"http://127.0.0.1:{port}/api/vehicles", timeout=10) as answer,
    ):
        return json.load(answer)["vehicles"]
    return []


@pytest.fixture
def demo(tmp_path):
    port = free_port("127.0.0.1")
    command = ["demo", "--dashboard", "--dashboard-port", str(port), "--duration", "3", "--json"]
    log = tmp_path / "stderr"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "tidesync", *command, "--root", str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    yield process, port, log
    process.kill()
    process.communicate()


def test_it_shows_the_fleet_until_ctrl_c_and_then_its_verdict(demo):
    process, port, log = demo
    until(lambda: f"http://127.0.0.1:{port}/" in log.read_text(), 60, "the page's address")
    until(lambda: {row["state"] for row in vehicles(port)} == {"locked"}, 60, "two locked vehicles")
    stays(lambda: process.poll() is None, 3.5, "the demo")  # longer than without a dashboard
    process.send_signal(signal.SIGINT)
    stdout, _ = process.communicate(timeout=120)
    assert process.returncode == 0, log.read_text()
    assert json.loads(stdout)["ok"] is True
