"""`status`, `watch`, `wait`, `forget` and the session commands' leftovers, as a user runs them."""

import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import termios
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.command_line import tidesync
from tests.deadline import stays, until
from tests.network.boats import Boat
from tests.network.brokers import MOSQUITTO, RunningBroker
from tests.network.recording import start
from tests.ports import free_port

S = 1_000_000_000
DOCS = Path(__file__).parents[2] / "docs"


def publish(broker, topic, payload, *more):
    command = ["mosquitto_pub", "-p", str(broker.port), "-t", topic, *more]
    subprocess.run([*command, *(["-n"] if payload is None else ["-m", payload])], check=True, timeout=60)


@pytest.fixture
def measured(mosquitto_boat):
    """A boat whose rov1 is locked."""
    boat = mosquitto_boat
    boat.checker_ = boat.checker()
    boat.topside_ = boat.topside()
    boat.pi_ = boat.vehicle("rov1", offset_ns=-3 * S)
    boat.checker_.until_state("rov1", "locked")
    return boat


# status


def test_status_knows_vehicles_without_a_result_and_the_topsides(measured, mosquitto):
    publish(mosquitto, "tidesync/v1/vehicle/rov2/status", "offline", "-r")

    def locked():
        document = json.loads(tidesync("status", "--json", "--broker", measured.url).stdout)
        first = document["vehicles"][0]
        return first["state"] == "locked" and 0 <= first["measured_ago_s"] < 3 and document

    document = until(locked, what="rov1 measured just now")
    rov1, rov2 = document["vehicles"]
    assert (rov1["vehicle"], rov1["status"]) == ("rov1", "online")
    assert rov1["info"]["simulated"] is True
    assert (rov2["vehicle"], rov2["state"], rov2["topside"], rov2["status"]) == (
        "rov2",
        None,
        None,
        "offline",
    )
    assert set(rov1) == set(rov2)
    assert document["topsides"] == [{"topside": "topside", "status": "online"}]
    shown = tidesync("status", "--broker", measured.url).stdout
    assert re.search(r"rov2 +offline +nobody", shown)


def test_status_of_one_vehicle_is_shown_key_by_key_and_an_unknown_one_is_exit_one(measured):
    output = tidesync("status", "rov1", "--broker", measured.url).stdout
    assert re.search(r"^Offset +: -\d+\.\d{4,6} ms \(the vehicle is behind topside\)$", output, re.MULTILINE)
    assert re.search(r"^Agent +: ", output, re.MULTILINE)
    unknown = tidesync("status", "rov9", "--broker", measured.url)
    assert unknown.returncode == 1
    assert "rov9" in unknown.stderr


# watch


@contextmanager
def watching(url, *arguments):
    command = [sys.executable, "-u", "-m", "tidesync", "watch", "--broker", url, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    shown = bytearray()
    os.set_blocking(process.stdout.fileno(), False)

    def read():
        """The lines that are whole by now."""
        with suppress(BlockingIOError):
            while data := os.read(process.stdout.fileno(), 65536):
                shown.extend(data)
        return shown[: shown.rfind(b"\n") + 1].decode().splitlines(keepends=True)

    try:
        yield process, read
    finally:
        process.kill()
        process.communicate()


def identity(result):
    return tuple(result[name] for name in ("measured_at", "exchanges", "lower_ms", "upper_ms"))


def test_watch_json_gives_an_object_for_each_new_thing(measured, mosquitto):
    with watching(measured.url, "--json") as (process, read):
        until(lambda: sum('"offset"' in line for line in read()) >= 3, 15, "three results")
        publish(mosquitto, "tidesync/v1/vehicle/rov2/status", "online")
        until(lambda: any('"rov2"' in line for line in read()), 10, "a vehicle that appears")
        mosquitto.kill()
        until(lambda: any('"connected": false' in line for line in read()), 5, "the broker's end")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        objects = [json.loads(line) for line in read()]
    kinds = [thing["what"] for thing in objects]
    assert kinds[0] == "broker"
    assert {"status", "info", "offset", "topside_status"} <= set(kinds)
    live = [thing for thing in objects if thing["what"] == "offset" and not thing["retained"]]
    # On a busy machine nothing may be measured between two results: they may be equal.
    published = Counter(identity(json.loads(result.encode())) for result in [*measured.checker_.heard])
    shown = Counter(map(identity, live))
    assert [one for one, times in shown.items() if times > max(1, published[one])] == []
    assert "locked" in {thing["state"] for thing in live}


def test_watch_into_a_pipe_writes_plain_lines_of_the_vehicle_asked_for(measured, mosquitto):
    publish(mosquitto, "tidesync/v1/vehicle/rov2/status", "online", "-r")
    with watching(measured.url, "--vehicle", "rov1") as (process, read):
        until(lambda: sum("locked" in line for line in read()) >= 2, 15, "two results")
        process.terminate()
        assert process.wait(60) == 0
        output = "".join(read())
    assert "\x1b" not in output
    assert "rov1 by topside: locked" in output
    assert "rov2" not in output


def test_watch_without_a_broker_says_so_at_once_and_waits():
    with watching(f"mqtt://127.0.0.1:{free_port('127.0.0.1')}") as (process, read):
        until(lambda: "BROKER AWAY" in "".join(read()), 10, "the broker's absence")
        until(lambda: "connection refused" in "".join(read()), 10, "the reason")
        assert process.poll() is None


class Terminal:
    """`tidesync watch` on a terminal of its own."""

    def __init__(self, url):
        self.leader, self._follower = pty.openpty()
        self.before = termios.tcgetattr(self._follower)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tidesync", "watch", "--broker", url],
            stdin=self._follower,
            stdout=self._follower,
            stderr=self._follower,
            env=os.environ | {"TERM": "xterm", "COLUMNS": "100", "LINES": "24"},
            preexec_fn=self._own,  # noqa: PLW1509 - one thread of ours forks
        )
        self.shown = ""

    def _own(self):
        os.setsid()
        os.close(os.open(os.ttyname(0), os.O_RDWR))  # becomes the controlling terminal: ^C reaches it

    def settings(self):
        return termios.tcgetattr(self._follower)

    def has(self, words):
        while select.select([self.leader], [], [], 0)[0]:
            self.shown += os.read(self.leader, 65536).decode(errors="replace")
        return words in self.shown

    def times(self, words):
        """How often it has shown them so far."""
        self.has(words)
        return self.shown.count(words)

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.leader)
        os.close(self._follower)


def test_watch_in_a_terminal_ages_without_a_broker_and_gives_the_terminal_back(measured, mosquitto):
    terminal = Terminal(measured.url)
    try:
        until(lambda: terminal.times("locked") > terminal.times("old: locked"), 15, "a row that is not old")
        assert "\x1b[?1049h" in terminal.shown
        before = terminal.times("old: locked")
        mosquitto.kill()
        until(lambda: terminal.has("BROKER AWAY"), 3, "the broker's end")
        until(lambda: terminal.times("old: locked") > before, 3, "rows that say how old they are")
        os.write(terminal.leader, b"\x03")
        until(lambda: terminal.process.poll() is not None, 30, "its end")
        terminal.has("")
        assert terminal.process.returncode == 130
        assert terminal.shown.rindex("\x1b[?1049l") > terminal.shown.rindex("\x1b[?1049h")
        assert terminal.shown.rindex("\x1b[?25h") > terminal.shown.rindex("\x1b[?25l")
        assert terminal.settings() == terminal.before
        assert "Traceback" not in terminal.shown
    finally:
        terminal.close()


# wait


def test_wait_is_exit_zero_on_a_fresh_locked_result(measured):
    result = tidesync(
        "wait", "--vehicle", "rov1", "--max-error-ms", "50", "--timeout", "60", "--broker", measured.url
    )
    assert result.returncode == 0, result.stderr
    assert "rov1 is locked" in result.stdout


def test_wait_says_why_not_in_one_sentence(measured):
    arguments = ("--timeout", "5", "--broker", measured.url)

    def why_not():
        small = tidesync("wait", "--vehicle", "rov1", "--max-error-ms", "1e-7", *arguments)
        assert (small.returncode, small.stderr.count("\n")) == (1, 1)
        return "locked with a max error of" in small.stderr

    until(why_not, what="the reason of one that is locked")
    unknown = tidesync("wait", "--vehicle", "rov9", "--json", *arguments)
    assert unknown.returncode == 1
    document = json.loads(unknown.stdout)
    assert document["ok"] is False
    assert "rov9" in document["error"]


def test_wait_is_not_taken_in_by_a_retained_result(measured):
    measured.topside_.stop()
    result = tidesync("wait", "--vehicle", "rov1", "--timeout", "4", "--broker", measured.url)
    assert result.returncode == 1
    assert "not being measured" in result.stderr


def test_wait_outlasts_a_broker_that_comes_later(mosquitto, mosquitto_boat):
    mosquitto.kill()
    waiting = subprocess.Popen(
        [
            *(sys.executable, "-m", "tidesync", "wait", "--vehicle", "rov1", "--timeout", "120"),
            *("--broker", mosquitto.url),
        ],
        stdout=subprocess.PIPE,
    )
    mosquitto.start()
    mosquitto_boat.topside()
    mosquitto_boat.vehicle("rov1", offset_ns=-3 * S)
    assert waiting.wait(150) == 0
    waiting.communicate()
    away = tidesync("wait", "--vehicle", "rov1", "--timeout", "1", "--broker", "mqtt://127.0.0.1:9")
    assert away.returncode == 1
    assert "connection refused" in away.stderr


# forget


def test_forget_refuses_a_vehicle_that_is_about_and_clears_one_that_is_gone(measured, mosquitto):
    refused = tidesync("forget", "rov1", "--broker", measured.url)
    assert refused.returncode == 1
    assert "--force" in refused.stderr
    publish(mosquitto, "homeassistant/device/tidesync_rov1/config", "{}", "-r")
    measured.pi_.stop()

    def forgotten():
        return tidesync("forget", "rov1", "--json", "--broker", measured.url).stdout or None

    document = json.loads(until(forgotten, 30, "the end of the measurement"))
    assert document["left"] == []
    assert document["cleared"] == [
        "homeassistant/device/tidesync_rov1/config",
        *(f"tidesync/v1/vehicle/rov1/{rest}" for rest in ("info", "offset/topside", "status")),
    ]

    def listed():
        return json.loads(tidesync("status", "--json", "--broker", measured.url).stdout)["vehicles"]

    stays(lambda: listed() == [], 1.5, "the absence of rov1")  # topside publishes once a second
    measured.vehicle("rov1", offset_ns=-3 * S)
    measured.checker_.until_state("rov1", "locked", 10, len(measured.checker_.heard))


def test_forget_by_force_says_what_came_back(measured):

    def reported():
        """Unless topside publishes too late, on a busy machine, for what is looked for a second later."""
        ended = tidesync("forget", "rov1", "--force", "--broker", measured.url)
        return ended.returncode == 1 and "rov1/offset/topside" in ended.stderr and ended

    result = until(reported, what="the result that came back")
    assert "published again: tidesync/v1/vehicle/rov1/" in result.stderr
    for level in ("status", "info"):  # cleared, or published again: it does so once a minute and to topsides
        assert f"tidesync/v1/vehicle/rov1/{level}" in result.stdout + result.stderr
    assert "may this account clear them?" not in result.stderr


def test_forget_looks_again_when_the_account_may_only_read(tmp_path):
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed")
    passwords, acl = tmp_path / "passwords", tmp_path / "acl"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "viewer", "right"], check=True)
    subprocess.run(["mosquitto_passwd", "-b", passwords, "rov1", "right"], check=True)
    acl.write_text("user viewer\ntopic read #\nuser rov1\ntopic readwrite #\n")
    for path in (passwords, acl):
        path.chmod(0o600)
    access = f"allow_anonymous false\npassword_file {passwords}\nacl_file {acl}\n"
    broker = RunningBroker("mosquitto", tmp_path, access)
    broker.start()
    try:
        account = ("-u", "rov1", "-P", "right")
        publish(broker, "tidesync/v1/vehicle/rov1/status", "offline", "-r", *account)
        options = ("--broker", broker.url, "--username", "viewer")
        result = tidesync("forget", "rov1", *options, TIDESYNC_PASSWORD="right")
        assert result.returncode == 1
        assert "still there: tidesync/v1/vehicle/rov1/status; may this account clear them?" in result.stderr
    finally:
        broker.stop()


# Sessions


@pytest.mark.usefixtures("topside")
def test_stop_without_a_name_takes_the_only_session(place):
    place.record()
    assert start(place)[0] == 0
    until(lambda: len(place.recorded()) > 5, 15, "exchanges")
    code, output, _ = place.session("stop", "--broker", place.broker.url)
    assert (code, "stopped session s1" in output) == (0, True)
    code, _, complaint = place.session("stop", "--broker", place.broker.url)
    assert (code, "no session is being recorded" in complaint) == (1, True)


@pytest.mark.usefixtures("topside")
def test_stop_without_a_name_lists_several(place):
    place.record()
    start(place)
    place.session("start", "--mission", "reef-42", "--name", "s2", "--broker", place.broker.url)
    code, _, complaint = place.session("stop", "--broker", place.broker.url)
    assert (code, "s1, s2" in complaint) == (2, True)


def test_a_start_warns_of_a_vehicle_that_nobody_knows(place, topside):
    place.record()
    until(lambda: topside.finished, 10, "a vehicle that is known")
    code, _, complaint = start(place, "--sensor", "inWater=rvo1", "--sensor", "deck=rov1")
    assert code == 0
    assert "inWater=rvo1: no vehicle rvo1 is known at the broker yet (known: rov1)" in complaint
    assert "deck" not in complaint


def test_two_recorders_of_one_name_are_reported(place):
    place.record()
    rival = type(place)(place.broker, place.root.parent / "other", "rival.log").record()
    try:
        until(
            lambda: "does another program use the name 'tidesync-recorder-main'" in place.log() + rival.log(),
            30,
            "it",
        )
    finally:
        rival.stop()


# Other people's tools


@pytest.mark.usefixtures("measured")
@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_the_documented_mosquitto_sub_lines_show_usable_results(mosquitto):
    page = (DOCS / "terminal.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\$ (mosquitto_sub .*)$", page, re.MULTILINE)
    assert len(lines) >= 2
    for line in lines:
        assert shlex.split(line)
        here = line.replace("mosquitto_sub ", f"timeout 50 mosquitto_sub -C 1 -p {mosquitto.port} ", 1)
        shown = subprocess.run(["bash", "-c", here], capture_output=True, text=True, timeout=60, check=False)
        assert "rov1" in shown.stdout, (line, shown)
        assert re.search(r"-(2999|3000)\.\d+", shown.stdout), (line, shown)


def test_a_boat_without_vehicles_is_watched_in_peace(mosquitto):
    with ExitStack() as stack:
        Boat(mosquitto.url, stack)
        with watching(mosquitto.url, "--json") as (_, read):
            until(lambda: '"connected": true' in "".join(read()), 10, "the connection")


@pytest.mark.parametrize("command", ["watch", "wait --vehicle rov1", "forget rov1", "status"])
def test_a_wrong_password_is_exit_two_in_one_line(command, mosquitto_with_accounts):
    options = ("--broker", mosquitto_with_accounts, "--username", "rov1")
    result = tidesync(*command.split(), *options, TIDESYNC_PASSWORD="sea-slug")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "rov1" in result.stderr
    assert "sea-slug" not in result.stderr


def test_watch_ends_on_a_burst_of_signals(mosquitto):
    for _ in range(3):
        with watching(mosquitto.url, "--json") as (process, read):
            until(read, 15, "the broker's line")
            for _ in range(300):
                process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
