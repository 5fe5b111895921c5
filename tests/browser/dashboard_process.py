"""The dashboard in a process of its own, which can be killed, frozen and started again on its port."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from contextlib import suppress

import pytest

from tests.deadline import until
from tests.ports import free_port


class Dashboard:
    def __init__(self, broker_url, folder, *options, **environment):
        self.port = free_port("127.0.0.1")
        self.url = f"http://127.0.0.1:{self.port}/"
        self._command = ["dashboard", "--broker", broker_url, "--port", str(self.port), *options]
        self._environment = os.environ | environment
        self._log = folder / "dashboard.log"
        self._process = None

    def start(self):
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tidesync", *self._command],
                stdout=log,
                stderr=log,
                env=self._environment,
            )
        try:
            until(self._serves, 20, "the dashboard serving what its broker sends")
        except pytest.fail.Exception:
            self.stop()
            raise

    def send(self, number):
        self._process.send_signal(number)

    def kill(self):
        self.send(signal.SIGKILL)
        self._process.wait()

    def stop(self):
        if self._process.poll() is None:
            self.send(signal.SIGCONT)
            self._process.terminate()
            self._process.wait(60)

    def _serves(self):
        with suppress(OSError), urllib.request.urlopen(f"{self.url}health", timeout=5) as answer:
            return answer.status == 200 and json.load(answer)["broker_connected"]
        return False
