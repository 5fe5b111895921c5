"""`tidesync up`: one command at the surface, one file for a vehicle; no program is left behind."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.command_line import run_to_end
from tests.deadline import PATIENCE_S, until
from tests.host_clock import HostClock
from tests.network.recording import until_written
from tests.network.running import need_mosquitto
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="setpriv")


class Surface:
    """A home of its own, with ports of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.home = folder / "home"
        self.root = folder / "dives"
        self.local_port, self.broker_port, self.dashboard_port = (free_port("127.0.0.1") for _ in range(3))
        self.environment = os.environ | {
            "TIDESYNC_HOME": str(self.home),
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder / "config"),
        }
        self.environment.pop("TIDESYNC_TOPSIDE", None)

    @property
    def options(self):
        return (
            *("--root", str(self.root)),
            *("--broker-port", str(self.broker_port)),
            *("--local-port", str(self.local_port)),
            *("--dashboard-port", str(self.dashboard_port)),
        )

    def tidesync(self, *arguments):
        return run_to_end(arguments, self.environment, self.folder)

    @contextmanager
    def up(self, *more):
        log = self.folder / "up.log"
        with log.open("ab") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "tidesync", "up", *self.options, *more],
                cwd=self.folder,
                env=self.environment,
                stdout=stream,
                stderr=stream,
            )
        process.log = log
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(PATIENCE_S)

    def runs(self, process):
        assert process.poll() is None, process.log.read_text()
        return "Ctrl-C ends it" in process.log.read_text()

    def programs(self):
        """The processes that were started for this home, and the command line of each."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                environment, command = ((folder / name).read_bytes() for name in ("environ", "cmdline"))
                if str(self.folder).encode() in environment + command:
                    found[int(folder.name)] = command
        return found

    def program(self, words):
        """One with these in its command line, or None."""
        return next((pid for pid, command in self.programs().items() if words in command), None)

    @contextmanager
    def vehicle(self, *more):
        with (self.folder / "pi.log").open("wb") as log:
            command = [sys.executable, "-m", "tidesync", "pi", "--join", "rov1.tidesync", "--no-http", *more]
            process = subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE_S)

    def results(self):
        asked = self.tidesync("status", "--json")
        return json.loads(asked.stdout)["vehicles"] if asked.returncode == 0 else []


@pytest.fixture
def surface(tmp_path):
    need_mosquitto()
    return Surface(tmp_path)


@pytest.mark.parametrize("options", [(), ("--tls",)])
def test_a_vehicle_joins_and_its_dive_is_recorded_with_no_account_named(surface, options):
    host = HostClock()
    with surface.up(*options) as up:
        until(lambda: surface.runs(up), 60, "everything running")
        added = surface.tidesync("up", "--add-vehicle", "rov1")
        assert added.returncode == 0, added.stderr
        joined = surface.folder / "rov1.tidesync"
        assert joined.stat().st_mode & 0o777 == 0o600
        assert ("BEGIN CERTIFICATE" in joined.read_text()) is bool(options)
        with surface.vehicle("--simulate-offset-s", "2.5"):
            vehicle = until(lambda: [row for row in surface.results() if row["state"] == "locked"], 60)[0]
            moved_ms = host.moved_ns() / 1e6
            assert vehicle["offset_ms"] == pytest.approx(2500, abs=vehicle["max_error_ms"] + moved_ms)
            words = ("--mission", "reef-42", "--sensor", "inWater=rov1", "--timeout", "60")
            asked = surface.tidesync("session", "start", *words)
            assert asked.returncode == 0, asked.stderr
            with subprocess.Popen(
                [sys.executable, "-m", "tidesync", "watch", "--json"],
                cwd=surface.folder,
                env=surface.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            ) as watch:
                wait = ("wait", "--vehicle", "rov1", "--max-error-ms", "50", "--timeout", "100")
                assert surface.tidesync(*wait).returncode == 0
                assert surface.tidesync("status").returncode == 0
                assert watch.poll() is None
                watch.terminate()
                assert b"lost" not in watch.stdout.read()
            folder = next(surface.root.glob("reef-42/session_*"))
            lines = folder / "time_sync" / "exchanges.jsonl"
            until(lambda: lines.exists() and lines.read_bytes().count(b"\n") > 3, what="exchanges")
            ended = surface.tidesync("session", "stop", folder.name.removeprefix("session_"))
            assert ended.returncode == 0, ended.stderr
            until_written(folder)
        up.send_signal(signal.SIGINT)
        assert up.wait(PATIENCE_S) == 130
        assert up.log.read_text().endswith(f"Tidesync has stopped; the sessions are in {surface.root}\n")
    assert surface.programs() == {}


def test_killed_at_any_moment_it_leaves_no_program_and_the_next_start_completes_it(surface):
    for pause_s in (0.3, 0.6, 1.2, 2.5):
        with surface.up() as up, suppress(subprocess.TimeoutExpired):
            up.wait(pause_s)
        until(lambda: surface.programs() == {}, 20, "no program left")
    for _ in range(2):
        with surface.up() as up:
            until(lambda: surface.runs(up) and len(surface.programs()) >= 5, 60, "everything running")
            up.kill()
            up.wait()
            until(lambda: surface.programs() == {}, 20, "no program left")
            (surface.folder / "up.log").unlink()


def test_a_program_that_ends_is_started_again(surface):
    with surface.up() as up:
        until(lambda: surface.runs(up), 60, "everything running")
        for count, name in enumerate((b"\0record\0", b"mosquitto\0-c"), 1):
            victim = until(lambda name=name: surface.program(name), what=f"the program {name}")
            os.kill(victim, signal.SIGKILL)
            until(
                lambda count=count: up.log.read_text().count("it is started again") >= count,
                what="the restart shown",
            )
        until(lambda: surface.tidesync("status").returncode == 0, 30, "the broker again")


def refused(surface):
    ended = surface.tidesync("up", *surface.options)
    assert ended.returncode in {1, 2}
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1, ended.stderr
    assert surface.programs() == {}
    return ended.stderr


@pytest.mark.parametrize("option", ["broker", "local", "dashboard"])
def test_a_port_that_is_taken_is_one_line(surface, option):
    with socket.create_server(("127.0.0.1", getattr(surface, f"{option}_port"))) as other:
        shown = refused(surface)
        assert f"port {other.getsockname()[1]}: address already in use" in shown
        assert f"--{option}-port" in shown


def test_a_second_one_is_one_line(surface):
    with surface.up() as up:
        until(lambda: surface.runs(up), 60, "everything running")
        second = surface.tidesync("up")
        assert second.returncode == 1
        assert f"`tidesync up` runs already in {surface.home} (process {up.pid})" in second.stderr
        assert second.stderr.count("\n") == 1


def test_a_folder_that_cannot_be_made_is_one_line(surface):
    surface.home = Path("/proc/nowhere")
    surface.environment["TIDESYNC_HOME"] = str(surface.home)
    assert "/proc/nowhere" in refused(surface)


def test_a_root_that_cannot_be_written_is_named(surface):
    surface.root = Path("/proc/dives")
    with surface.up() as up:
        assert up.wait(PATIENCE_S) == 1
        assert "recorder cannot run (exit code 2): " in up.log.read_text()
    assert surface.programs() == {}


def test_on_the_embedded_broker_a_simulated_vehicle_is_measured(tmp_path):
    surface = Surface(tmp_path)
    with surface.up("--embedded") as up:
        until(lambda: surface.runs(up), 60, "everything running")
        assert "this computer only" in surface.tidesync("up", "--add-vehicle", "rov1").stderr
        broker = ("--broker", f"mqtt://127.0.0.1:{surface.local_port}")
        command = [sys.executable, "-m", "tidesync", "pi", "--vehicle", "rov1", "--no-http", *broker]
        with subprocess.Popen(
            command, cwd=tmp_path, env=surface.environment, stderr=subprocess.DEVNULL
        ) as pi:
            until(lambda: [row for row in surface.results() if row["state"] == "locked"], 60, "locked")
            pi.terminate()


def test_the_account_of_this_surface_is_not_shown_to_another_broker(surface):
    with surface.up() as up:
        until(lambda: surface.runs(up), 60, "everything running")
        with socket.create_server(("127.0.0.1", 0)) as other:
            other.settimeout(60)
            asked = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tidesync",
                    "status",
                    "--broker",
                    f"mqtt://127.0.0.1:{other.getsockname()[1]}",
                ],
                cwd=surface.folder,
                env=surface.environment,
                stderr=subprocess.DEVNULL,
            )
            connected, _ = other.accept()
            with connected:
                assert b"operator" not in connected.recv(1000)
            asked.wait(60)


def test_a_vehicles_file_is_not_made_twice_and_not_in_a_checkout(surface):
    assert surface.tidesync("up", *surface.options, "--add-vehicle", "rov1").returncode == 0
    before = (surface.folder / "rov1.tidesync").read_text()
    again = surface.tidesync("up", "--add-vehicle", "rov1")
    assert again.returncode == 1
    assert "--replace" in again.stderr
    assert surface.tidesync("up", "--add-vehicle", "rov1", "--replace").returncode == 0
    assert (surface.folder / "rov1.tidesync").read_text() != before
    (surface.folder / ".git").mkdir()
    made = json.loads(surface.tidesync("up", "--add-vehicle", "rov2", "--json").stdout)
    assert Path(made["file"]) == surface.home / "vehicles" / "rov2.tidesync"
    out = surface.tidesync("up", "--add-vehicle", "rov3", "--out", "rov3.tidesync")
    assert (out.returncode, "checkout" in out.stderr) == (2, True)


@pytest.mark.skipif(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN, reason="ignored here, and so by it")
def test_a_terminal_that_is_closed_ends_everything(surface):
    with surface.up() as up:
        until(lambda: surface.runs(up), 60, "everything running")
        up.send_signal(signal.SIGHUP)
        assert up.wait(PATIENCE_S) == 0
    assert surface.programs() == {}


def test_a_damaged_database_of_mosquitto_is_named(surface):
    with surface.up() as up:
        until(lambda: surface.runs(up), 60, "everything running")
    database = surface.home / "data" / "mosquitto.db"
    until(database.exists, 20, "the database")
    database.write_bytes(database.read_bytes()[:40])
    with surface.up() as up:
        assert up.wait(PATIENCE_S) == 1
        last = up.log.read_text().splitlines()[-1]
        assert f"{database} is damaged: move it away" in last
    assert surface.programs() == {}
    database.unlink()
    (surface.folder / "up.log").unlink()
    with surface.up() as up:
        until(lambda: surface.runs(up), 60, "everything running")
