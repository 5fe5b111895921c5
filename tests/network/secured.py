"""A mosquitto with our own configuration, and the accounts that `tidesync broker add-…` makes for it."""

import json
import signal
from contextlib import suppress
from pathlib import Path

import psutil

from tests.command_line import tidesync
from tests.network.brokers import MOSQUITTO, RunningBroker
from tests.ports import free_port

CONFIGURATIONS = Path(__file__).parents[2] / "broker"
PASSWORDS = "passwords-in-clear"


class SecuredBroker(RunningBroker):
    """Runs one of the files that we ship, with its folders and ports made this test's own."""

    def __init__(self, folder, configuration="mosquitto.conf"):
        super().__init__("mosquitto", folder)
        self.configuration = configuration
        self.ports = {1883: self.port}
        self.config = folder / "config"
        self.secrets = folder / PASSWORDS
        for made in (self.config, self.secrets, folder / "data"):
            made.mkdir(exist_ok=True)

    def add(self, role, name, *more):
        """Make an account; gives the settings to connect with."""
        done = self.broker(f"add-{role}", name, "--password-out", self.secrets / name, *more)
        assert done.returncode == 0, done.stderr
        return self.account(name)

    def account(self, name):
        return {"broker": self.url, "username": name, "password_file": self.secrets / name}

    def options(self, name):
        """The same for the command line."""
        return ("--broker", self.url, "--username", name, "--password-file", str(self.secrets / name))

    def password(self, name):
        return (self.secrets / name).read_text().strip()

    def broker(self, *arguments):
        return tidesync("broker", *arguments, "--folder", self.config)

    def accounts(self):
        listed = json.loads(self.broker("list", "--json").stdout)
        return {account["name"]: account for account in listed["accounts"]}

    def certify(self, *arguments):
        """Make certificates where the configuration expects them."""
        done = tidesync("broker", "make-certs", *arguments, "--folder", self.certs)
        assert done.returncode == 0, done.stderr

    @property
    def certs(self):
        return self.config / "certs"

    def reload(self):
        self._process.send_signal(signal.SIGHUP)

    def log(self):
        return (self.folder / "mosquitto.log").read_text()

    def _listens(self):
        """At every port."""
        with suppress(psutil.Error):
            ends = psutil.Process(self._process.pid).net_connections("tcp")
            return {*self.ports.values()} <= {end.laddr.port for end in ends if end.status == "LISTEN"}
        return False

    def _command(self):
        text = (CONFIGURATIONS / self.configuration).read_text(encoding="utf-8")
        path = self.folder / "mosquitto.conf"
        path.write_text("user root\n" + self._own(text))
        return [MOSQUITTO, "-c", str(path)]

    def _own(self, text):
        for theirs, ours in self.ports.items():
            assert f"listener {theirs}\n" in text
            text = text.replace(f"listener {theirs}\n", f"listener {ours} 127.0.0.1\n")
        return text.replace("/mosquitto/", f"{self.folder}/")


class EncryptedBroker(SecuredBroker):
    """The same over TLS and inside a WebSocket; whoever connects has the authority's certificate."""

    def __init__(self, folder, *, asks_for_certificates=False):
        super().__init__(folder, "mosquitto-tls.conf")
        self.ports = {8883: self.port, 9001: free_port("127.0.0.1")}
        self.url = f"mqtts://localhost:{self.port}"
        self.websocket_url = f"wss://localhost:{self.ports[9001]}"
        self.asks_for_certificates = asks_for_certificates

    def account(self, name, **more):
        return super().account(name) | {"ca_file": self.certs / "ca.crt"} | more

    def options(self, name):
        return (*super().options(name), "--ca-file", str(self.certs / "ca.crt"))

    def _own(self, text):
        if self.asks_for_certificates:
            text = text.replace("# cafile", "cafile").replace("# require_certificate", "require_certificate")
        return super()._own(text)
