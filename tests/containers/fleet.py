"""The compose project on real containers, and a checker that holds every result against the truth."""

import io
import json
import os
import re
import subprocess
import tarfile
import time
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import docker
import pytest
from docker.errors import APIError, NotFound
from testcontainers.compose import DockerCompose

from broker.settings import ConnectionSettings
from runtime.clock import SimulatedClock, SystemClock, read
from schemas import topics
from schemas.instants import ns_from_utc
from tests.deadline import until
from tests.ports import free_port
from tidesync.demo.checker import Checker

PROJECT = "tidesync-test"
REPOSITORY = Path(__file__).parents[2]
VEHICLES = ("rov1", "rov2")
AGENTS = (*VEHICLES, "topside", "recorder", "dashboard")
ROLES = (*AGENTS, "rov3", "operator")
"""Who has an account and a volume with its password."""
INTERVAL_S = 0.25


def sweep(engine):
    """Remove what runs left behind that were killed before they could clean up."""

    def orphaned(labels):
        project = (labels or {}).get("com.docker.compose.project", "")
        found = re.fullmatch(rf"{PROJECT}-(\d+)-\d+", project)
        return bool(found) and not Path(f"/proc/{found[1]}").exists()

    for container in engine.containers.list(all=True):
        if orphaned(container.labels):
            container.remove(force=True, v=True)
    for volume in engine.volumes.list():
        if orphaned(volume.attrs["Labels"]):
            volume.remove()
    for network in engine.networks.list():
        if orphaned(network.attrs["Labels"]):
            with suppress(APIError):  # an engine may hold endpoints of containers that are gone
                network.remove()


class Fleet:
    """One compose project of its own name and port, from the first `up` to nothing left."""

    def __init__(self, folder, *, profiles=(), services=None):
        self.folder = folder
        self.project = f"{PROJECT}-{os.getpid()}-{free_port('127.0.0.1')}"
        self.port, self.tls_port, self.page_port = (free_port() for _ in range(3))
        self.engine = docker.from_env()
        sweep(self.engine)
        environment = folder / "compose.env"
        environment.write_text(
            f"COMPOSE_PROJECT_NAME={self.project}\n"
            f"BROKER_PORT=127.0.0.1:{self.port}\n"
            f"BROKER_TLS_PORT=127.0.0.1:{self.tls_port}\n"
            f"DASHBOARD_PORT=127.0.0.1:{self.page_port}\n"
        )
        self.compose = DockerCompose(
            REPOSITORY, build=True, env_file=str(environment), profiles=list(profiles), services=services
        )
        self.clocks = {}
        self.checkers = 0

    def start(self):
        try:
            self.compose.start()
        except subprocess.CalledProcessError as error:
            pytest.fail(f"docker compose up: {error.stderr.decode()}\n{self.logs()}")

    def stop_containers(self):
        """`docker compose stop`, the broker last; gives the seconds from each one's SIGTERM to its end."""
        began = time.time()
        self._compose("stop", "--timeout", "60")
        wanted = {"label": f"com.docker.compose.project={self.project}", "event": ["kill", "die"]}
        listed = self.engine.events(since=began, until=time.time(), filters=wanted, decode=True)
        moments = {}
        for event in listed:
            service = event["Actor"]["Attributes"]["com.docker.compose.service"]
            moments.setdefault(service, []).append(event["timeNano"])
        return {service: (max(at) - min(at)) / 1e9 for service, at in moments.items()}

    def start_containers(self):
        self._compose("up", "--wait", "--no-build")

    def stop(self):
        """Remove everything; an engine under load may keep the network for a container that has gone."""
        try:
            self._compose("down", "--volumes", "--remove-orphans", "--timeout", "3", timeout_s=120)
        except AssertionError as error:
            if "has active endpoints" not in str(error) or self.containers():
                raise

    @property
    def url(self):
        """The broker, as this machine reaches it."""
        return f"mqtt://127.0.0.1:{self.port}"

    # Containers

    def container(self, service):
        return self.engine.containers.get(f"{self.project}-{service}-1")

    def containers(self):
        wanted = {"label": f"com.docker.compose.project={self.project}"}
        return self.engine.containers.list(all=True, filters=wanted)

    def state(self, service):
        return self.container(service).attrs["State"]

    def health(self, service):
        return self.state(service)["Health"]["Status"]

    def until_healthy(self, service, timeout_s=40):
        until(lambda: self.health(service) == "healthy", timeout_s, f"{service} healthy")

    def crash(self, service):
        """End a service's program by a signal, as a fault of its own would.

        From the engine's machine: Docker restarts nothing that it was asked to kill, and a container's first
        process gets no such signal from inside.
        """
        ending = f"import os, signal; os.kill({self.state(service)['Pid']}, signal.SIGKILL)"
        self.engine.containers.run(
            "tidesync-topside", ["-c", ending], entrypoint=["python"], user="0", pid_mode="host", remove=True
        )

    def network(self):
        return self.engine.networks.get(f"{self.project}_default")

    def logs(self, *services):
        return self._compose("logs", "--no-color", *services).stdout

    # Command line

    def operator(self, *arguments, timeout_s=200):
        """What `tidesync …` prints with the operator's account, as a one-shot container."""
        return self._compose("run", "--rm", "-T", "--no-deps", "operator", *arguments, timeout_s=timeout_s)

    def run(self, service, *command):
        """What a one-shot container of `service` prints."""
        return self._compose("run", "--rm", "-T", "--no-deps", service, *command)

    def accounts(self, *arguments):
        """What `tidesync broker …` prints, beside the broker's configuration."""
        return self.run("accounts", "tidesync", "broker", *arguments)

    def add_account(self, kind, name):
        """Make an account as `add-KIND NAME` does; its password. The broker knows it when this returns."""
        password = self.accounts(f"add-{kind}", name).stdout.strip()
        self.reload_broker()
        return password

    def reload_broker(self):
        """Have mosquitto read its accounts again, as docs/containers.md says."""
        done = self.container("broker").exec_run(["sh", "-c", "kill -HUP 1"])
        assert done.exit_code == 0, done.output

    def unprofiled(self, *arguments):
        """`docker compose …` as one types it who does not repeat the profiles of `up`."""
        environment = str(self.folder / "compose.env")
        return self._finished(["docker", "compose", "--env-file", environment, *arguments])

    def _compose(self, *arguments, timeout_s=200):
        return self._finished([*self.compose.compose_command_property, *arguments], timeout_s)

    def _finished(self, command, timeout_s=200):
        done = subprocess.run(
            command,
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done

    # Volumes

    def files(self, service, path):
        """Every file below `path` of a service's container, which may be stopped, by relative name."""
        try:
            chunks, _ = self.container(service).get_archive(path)
        except NotFound:
            return {}
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
            members = [member for member in archive if member.isfile()]
            return {member.name.partition("/")[2]: archive.extractfile(member).read() for member in members}

    def secrets(self):
        """Every secret that the first `up` made, by its place, as `rov1/password`."""
        found = self.files("accounts", "/secrets")
        return {name: content.decode().strip() for name, content in found.items()}

    # Sessions

    @contextmanager
    def session(self, name, mission="reef-42"):
        """A session that is recorded meanwhile, and stopped at the end."""
        self.operator("session", "start", "--mission", mission, "--name", name, "--timeout", "60")
        session = Session(self, name, mission)
        yield session
        if self.container("recorder").status == "running":
            self.operator("session", "stop", name)
            until(lambda: session.state() == "stopped", 60, "all that is written of the stopped session")

    # Truth

    @contextmanager
    def checker(self):
        """Someone who reads along, with an account of his own; a broker that dies is waited for."""
        self.checkers += 1
        name = f"checker{self.checkers}"
        password = self.add_account("dashboard", name)
        settings = ConnectionSettings(broker=self.url, username=name, password=password, keepalive_s=5)
        watching = FleetChecker(settings, self)
        watching.connection.start()
        try:
            until(lambda: watching.connection.wait_until_up(1), 20, "the checker's connection")
            yield watching
        finally:
            watching.connection.stop()

    def pretended(self, vehicle):
        """The offset in ns and the drift in ppm that a vehicle of the project pretends."""
        words = self.container(vehicle).attrs["Config"]["Cmd"]
        options = dict(zip(words[1::2], words[2::2], strict=True))
        return round(float(options["--simulate-offset-s"]) * 1e9), float(options["--simulate-drift-ppm"])


class Numbered(NamedTuple):
    """An exchange by its number; `process` is topside's, which counts what it has finished."""

    vehicle: str
    process: str
    seq: int
    origin_ns: int


def places_of(exchanges, vehicle):
    """The place of each of that vehicle's exchanges: its process, counted from the first on, and its number.

    The numbers are in the order in which exchanges finished: a direct one may wait for its transmit stamp,
    while a ping that was sent later is answered.
    """
    of_vehicle = [one for one in exchanges if one.vehicle == vehicle]
    began = {}
    for one in of_vehicle:
        began[one.process] = min(one.origin_ns, began.get(one.process, one.origin_ns))
    processes = sorted(began, key=began.get)
    return {one: (processes.index(one.process), one.seq) for one in of_vehicle}


def following(place):
    """What may follow: the next number, or the first one of the next process."""
    process, seq = place
    return {(process, seq + 1), (process + 1, 0)}


class Session:
    """A session's folder on the recorder's volume."""

    def __init__(self, fleet, name, mission):
        self._fleet = fleet
        self.name = name
        self.path = f"/data/sessions/{mission}/session_{name}"

    def files(self):
        return self._fleet.files("recorder", self.path)

    def state(self):
        """What its `sync_metadata.json` says."""
        return json.loads(self.files()["sync_metadata.json"])["timeSync"]["tidesync"]["state"]

    def exchanges(self):
        """What is recorded."""
        lines = self.files().get("time_sync/exchanges.jsonl", b"").splitlines(keepends=True)
        rows = [json.loads(line) for line in lines if line.endswith(b"\n")]
        return [Numbered(row["vehicle"], row["instance_id"], row["seq"], row["origin_ns"]) for row in rows]

    def events(self):
        lines = self.files().get("time_sync/events.jsonl", b"").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith(b"\n")]

    def assert_complete(self, published, vehicles=VEHICLES):
        """Nothing is there twice, no number is left out, and all is there that was published meanwhile.

        What is missing at first is on its way: the recorder asks for it.
        """
        until(lambda: not self._missing(set(published), vehicles), 20, "all that was published")
        recorded = self.exchanges()
        assert len(set(recorded)) == len(recorded)
        for vehicle in vehicles:
            numbers = sorted(places_of(recorded, vehicle).values())
            assert numbers, f"no exchange of {vehicle} was recorded"
            gaps = [pair for pair in pairwise(numbers) if pair[1] not in following(pair[0])]
            assert gaps == [], f"{vehicle}: numbers that do not follow each other"
        assert [event for event in self.events() if event["kind"] == "gap"] == []

    def _missing(self, published, vehicles):
        """What was published between a vehicle's first and last recorded exchange, and is not there."""
        recorded = set(self.exchanges())
        missing = set()
        for vehicle in vehicles:
            places = places_of(recorded | published, vehicle)
            there = [place for one, place in places.items() if one in recorded]
            if there:
                wanted = {one for one, place in places.items() if min(there) <= place <= max(there)}
                missing |= wanted - recorded
        return missing


class FleetChecker(Checker):
    """Judges each result by the clock that its vehicle says it pretends, and keeps what is published."""

    def __init__(self, settings, fleet):
        super().__init__(settings, SystemClock(), fleet.clocks, INTERVAL_S)
        self.heard = []
        self.published = set()
        self.statuses = {}
        self._fleet = fleet
        self._instances = {}
        self._clocks = {}
        self._unknown = {}

    def connected(self):
        root = self._settings.topic_root
        kinds = (topics.INFO, topics.EXCHANGE, topics.STATUS)
        self.connection.subscribe([(topics.subscription(root, kind), 1) for kind in kinds])
        super().connected()  # a result is judged by the clock of an info

    def received(self, message):
        letter = self._inbox.open(message)
        if letter is None:
            return
        if letter.topic.kind is topics.STATUS:
            self.statuses[letter.topic.vehicle] = letter.body
        elif letter.topic.kind is topics.INFO:
            self._follow(letter.body)
        elif letter.topic.kind is topics.EXCHANGE:
            self.published |= {
                Numbered(one.vehicle, one.instance_id, one.seq, one.origin_ns)
                for one in letter.body.exchanges
            }
        elif letter.topic.kind is topics.OFFSET and not message.retain:
            self.heard.append(letter.body)
        super().received(message)

    def _follow(self, info):
        """A vehicle's simulated clock starts with each of its processes."""
        if self._instances.get(info.vehicle) == info.instance_id:
            return
        offset_ns, drift_ppm = self._fleet.pretended(info.vehicle) if info.simulated else (0, 0.0)
        clock = SimulatedClock(SystemClock(), offset_ns, drift_ppm)
        clock.started_realtime_ns = ns_from_utc(info.started_at) - offset_ns  # it is said by that clock
        now = read(clock.base)
        clock.started_raw_ns = clock.started_realtime_ns - now.realtime_minus_raw_ns
        # `started_at` is later than the simulated clock's start, by less than 2 s: it has drifted meanwhile.
        self._unknown[info.boot_id] = now.width_ns / 2 + abs(drift_ppm) * 2000
        self._instances[info.vehicle] = info.instance_id
        self._vehicles[info.vehicle] = self._clocks[info.boot_id] = clock

    def _check(self, result, clock, message):
        """By the clock that was measured: the last result of one that has ended may come late."""
        super()._check(result, self._clocks.get(result.boot_id, clock), message)

    def _unknown_ns(self, result, now):
        return super()._unknown_ns(result, now) + self._unknown.get(result.boot_id, 0.0)

    def results_of(self, vehicle, after=0):
        return [result for result in self.heard[after:] if result.vehicle == vehicle]

    def states(self, vehicle, after=0):
        return [result.state for result in self.results_of(vehicle, after)]

    def until_state(self, vehicle, state, timeout_s=20.0, after=0):
        """The first result of `vehicle` in `state` after the first `after` results of all."""

        def found():
            return next((one for one in self.results_of(vehicle, after) if one.state == state), None)

        def what():
            return f"{vehicle} {state} (was {self.states(vehicle, after)})"

        return until(found, timeout_s, what)

    def until_locked(self, vehicles=VEHICLES, timeout_s=30.0):
        """Wait until each is locked from now on."""
        after = len(self.heard)
        for vehicle in vehicles:
            self.until_state(vehicle, "locked", timeout_s, after)

    def assert_never_wrong(self):
        wrong = [(one.true_offset_ms, one.result) for one in self.wrong]
        assert not wrong, wrong
