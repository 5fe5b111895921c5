"""The compose project under attack: honest vehicles are measured meanwhile, and every row is checked."""

import json
import os
import platform
import threading
import time
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict
from pathlib import Path

import pytest
from docker.errors import APIError, NotFound

from broker.settings import ConnectionSettings
from tests.attack_rows import Row
from tests.containers.fleet import Fleet, FleetChecker
from tests.containers.raw_mqtt import CONNACK, RawClient, connect
from tests.containers.usage import usage
from tests.deadline import until
from tests.intruder import Intruder, TopicReader

ACCOUNTS = {"watcher": "dashboard", "viewer": "dashboard", "tablet": "topside", "checker": "operator"}
"""Made besides those of the project: of these, `checker` may read and write everything."""
HONEST = ("rov1", "rov3")
"""Vehicles that are there all the time; rov2 is away while somebody else has its password."""


BROKER_MB = 300
"""Its heap of 256 MiB, and the program."""
BROKER_CPU_PERCENT = 90
"""Of its one core: there is some left for those that are measured."""


class ResultChecker(FleetChecker):
    """Keeps each result with the truth at its instant."""

    def __init__(self, settings, fleet):
        super().__init__(settings, fleet)
        self.checked = []

    def _check(self, result, clock, message):
        before = self.results
        super()._check(result, clock, message)
        if self.results > before:
            self.checked.append(self.latest[result.vehicle])


class AttackBench:
    """One compose project with profile tls, a session that is recorded, and everybody's password."""

    def __init__(self, folder):
        self.fleet = Fleet(
            folder,
            profiles=["tls"],
            services=["broker", "rov1", "rov2", "rov3", "topside", "recorder", "dashboard"],
        )
        self.folder = folder
        self.rows = []
        self.failed = False
        """An attack was not finished: its row is missing."""
        self.passwords = {}
        self._samples = []
        self._sampling = threading.Lock()
        self._ended = threading.Event()

    @property
    def address(self):
        return ("127.0.0.1", self.fleet.port)

    @property
    def tls_address(self):
        return ("127.0.0.1", self.fleet.tls_port)

    def begin(self):
        self.fleet.start()
        self.passwords = {
            name.removesuffix("/password"): secret for name, secret in self.fleet.secrets().items()
        }
        self._add_accounts()
        settings = ConnectionSettings(
            broker=self.fleet.url, username="watcher", password=self.passwords["watcher"], keepalive_s=5
        )
        self.checker = ResultChecker(settings, self.fleet)
        self.checker.connection.start()
        self._read_everything()
        self.checker.until_locked(["rov1", "rov2", "rov3"], 60)
        begin = ("start", "--mission", "attacked", "--name", "attacked", "--timeout", "60")
        self.fleet.operator("session", *begin)
        self.broker_began = self.broker_start()
        threading.Thread(target=self._sample, daemon=True).start()

    def end(self):
        self._ended.set()
        if hasattr(self, "checker"):
            self.checker.connection.stop()
        if hasattr(self, "everything"):
            self.everything.end()
        self.fleet.stop()

    def _read_everything(self):
        self.everything = TopicReader(self.fleet.url, "checker", self.passwords["checker"])
        self.everything.subscribe("#", "$SYS/#")

    def _add_accounts(self):
        """In one container: each takes seconds to start."""
        adding = "; ".join(f"tidesync broker add-{role} {name}" for name, role in ACCOUNTS.items())
        entry = TopicReader.ACL.replace("$", "\\$") + "topic readwrite \\$SYS/#\n"
        script = f'set -e; {adding}; printf "%s" "{entry}" >> /mosquitto/config/acl'
        printed = self.fleet.run("accounts", "sh", "-c", script).stdout.split()
        self.passwords |= dict(zip(ACCOUNTS, printed, strict=True))
        self.fleet.container("broker").restart(timeout=3)
        until(lambda: self.is_let_in("watcher"), 10, "the new accounts")

    def is_let_in(self, name):
        try:
            with RawClient(self.address) as client:
                client.send(connect(name, name, self.passwords.get(name, "x")))
                return client.wait_for(CONNACK, 3) and client.refusal == 0
        except OSError:
            return False

    # Who attacks

    def enter(self, name, **more):
        return Intruder(self.fleet.url, name, self.passwords[name], **more)

    def raw(self, name, **more):
        return RawClient(self.address).log_in(name, self.passwords[name], **more)

    # What came of it

    def arrived(self, payload):
        """The topics on which a message with this payload got through since the last call."""
        return sorted(
            {topic for topic, published, _ in self.everything.since_the_last_mark() if published == payload}
        )

    @contextmanager
    def unwatched(self):
        """The checker of all does not listen: it would be one more who has to read a flood."""
        self.everything.client.unsubscribe("#")
        try:
            yield
        finally:
            self.everything.heard.clear()
            if not self.everything.ended.is_set():
                self.everything.subscribe("#")

    @contextmanager
    def attack(self, what, by, *, vehicles=HONEST, flood=False, states=("locked", "holdover", "acquiring")):
        """Measure and check one row: `vehicles` must be right throughout, and locked in the end.

        `states`: those that their results may have meanwhile.
        """
        row = Row(what, by)
        try:
            with self._measured(row, vehicles, flood=flood):
                yield row
            assert set(row.states) <= set(states), row.states
        except (Exception, pytest.fail.Exception) as error:
            self.failed = True
            if not self._broker_died():
                raise
            ended = self._last_words()
            with suppress(pytest.fail.Exception):  # then those to come fail too; this is why
                self._until_broker_is_back()
            raise AssertionError(f"the broker died of it: {ended}") from error
        self.rows.append(row)

    @contextmanager
    def _measured(self, row, vehicles, *, flood):
        first, began_s = len(self.checker.checked), time.monotonic()
        self.sample()
        before = len(self._samples) - 1
        with self.unwatched() if flood else nullcontext():
            yield
        assert row.verdict, "an attack without a verdict"
        self.sample()
        row.seconds = time.monotonic() - began_s
        row.take(self._samples[before:])
        self.checker.until_locked(vehicles, 45)
        checked = [one for one in self.checker.checked[first:] if one.result.vehicle in vehicles]
        self._check(row, checked, vehicles)

    def _check(self, row, checked, vehicles):
        row.check(checked)
        assert {one.result.vehicle for one in checked} == set(vehicles)
        assert not self._broker_died(), "the broker died of it"
        assert row.memory_mb[1] < BROKER_MB, row.memory_mb
        assert row.cpu_percent < BROKER_CPU_PERCENT, row.cpu_percent

    def broker_start(self):
        return self.fleet.state("broker")["StartedAt"]

    def _broker_died(self):
        return self.broker_start() != self.broker_began or not self.fleet.state("broker")["Running"]

    def _last_words(self):
        """The broker's last exit code, and the end of its log."""
        broker = self.fleet.container("broker")
        wanted = {"container": broker.id, "event": "die"}
        died = list(self.fleet.engine.events(since=0, until=time.time(), filters=wanted, decode=True))
        codes = [event["Actor"]["Attributes"]["exitCode"] for event in died]
        code = codes[-1] if codes else "unknown"
        return f"exit code {code}\n{broker.logs(tail=20).decode(errors='replace')}"

    def crash_broker(self, vehicles=HONEST):
        """The seconds until Docker has it running again, and until all `vehicles` are locked again."""
        began_s = time.monotonic()
        self.fleet.crash("broker")
        self._until_broker_is_back()
        back_s = time.monotonic() - began_s
        self.checker.until_locked(vehicles, 45)
        return back_s, time.monotonic() - began_s

    def _until_broker_is_back(self):
        """As a new one, which Docker has started."""
        until(lambda: self.fleet.state("broker")["Running"] and self._broker_died(), 60, "the broker again")
        until(lambda: self.is_let_in("operator"), 30, "the broker's answer")
        self.broker_began = self.broker_start()
        self.everything.end()
        self._read_everything()

    def health(self, vehicle):
        """What a vehicle's agent reports of itself."""
        asked = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9150/health').read().decode())"
        command = ["python", "-c", asked]

        def answer():
            done = self.fleet.container(vehicle).exec_run(command)
            return done.exit_code == 0 and done.output

        return json.loads(until(answer, what=f"{vehicle}'s health"))

    def figures(self):
        """Everything that the document is made from."""
        return {
            "machine": f"{platform.system()} {platform.release()}, {os.cpu_count()} cores",
            "rows": [asdict(row) for row in self.rows],
        }

    def sample(self):
        """Take the broker's memory and CPU time into account now, unless it is just being started; MB."""
        with self._sampling:
            taken = usage(self.fleet.container("broker"))
            if taken:
                self._samples.append(taken)
            return self._samples[-1][1]

    def _sample(self):
        while not self._ended.wait(0.25):
            with suppress(APIError, NotFound):
                self.sample()


def certificate_files(folder, name, signed):
    """A certificate and its key as files."""
    paths = Path(folder) / f"{name}.crt", Path(folder) / f"{name}.key"
    for path, content in zip(paths, (signed.certificate, signed.key), strict=True):
        path.write_bytes(content)
    return paths
