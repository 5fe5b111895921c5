"""Whole programs, wrongly used: one clear line and an exit code; the demo, rightly used."""

import json
import re
import signal
import socket
import subprocess
import sys

import pytest

from tests.command_line import tidesync
from tests.deadline import until
from tests.ports import free_port
from tidesync.command_line import run


def complaint(result):
    """The one line that a program said, its log lines left out."""
    lines = [line for line in result.stderr.splitlines() if line.startswith("tidesync: ")]
    assert "Traceback" not in result.stderr
    assert len(lines) == 1, result.stderr
    return lines[0]


@pytest.fixture
def taken_port():
    with socket.create_server(("0.0.0.0", 0)) as server:
        yield str(server.getsockname()[1])


def test_an_explicitly_named_http_port_that_is_taken(mosquitto, taken_port):
    result = tidesync("pi", "--vehicle", "rov1", "--broker", mosquitto.url, "--http-port", taken_port)
    assert result.returncode == 2
    assert taken_port in complaint(result)


def test_a_taken_port_of_the_embedded_broker(taken_port):
    result = tidesync("broker", "--port", taken_port)
    assert result.returncode == 2
    assert taken_port in complaint(result)


def test_a_recorders_folder_that_cannot_be_written(mosquitto, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    result = tidesync("record", "--root", str(tmp_path / "file" / "below"), "--broker", mosquitto.url)
    assert result.returncode == 2
    assert str(tmp_path / "file") in complaint(result)


@pytest.mark.parametrize("command", [["pi", "--vehicle", "rov1", "--no-http"], ["topside"]])
def test_a_wrong_password_ends_an_agent_with_one_line(command, mosquitto_with_accounts):
    url = mosquitto_with_accounts
    result = tidesync(*command, "--broker", url, "--username", "rov1", TIDESYNC_PASSWORD="sea-slug")
    assert result.returncode == 2
    assert url in complaint(result)
    assert "rov1" in complaint(result)
    assert "sea-slug" not in result.stderr


def test_a_broker_that_is_away_is_waited_for_and_said():
    url = f"mqtt://127.0.0.1:{free_port('127.0.0.1')}"
    process = subprocess.Popen(
        [sys.executable, "-m", "tidesync", "topside", "--broker", url], stderr=subprocess.PIPE, text=True
    )
    first = process.stderr.readline()
    assert url in first
    assert "connection refused" in first
    assert "trying again" in first
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


def test_an_interrupted_agent_ends_with_130(mosquitto):
    process = subprocess.Popen(
        [sys.executable, "-m", "tidesync", "topside", "--broker", mosquitto.url],
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: "connected" in process.stderr.readline(), 20, "a connection")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130


def test_a_one_shot_command_without_a_broker_exits_with_one():
    url = f"mqtt://127.0.0.1:{free_port('127.0.0.1')}"
    result = tidesync("session", "start", "--mission", "reef-42", "--broker", url)
    assert result.returncode == 1
    assert url in complaint(result)


def test_a_session_that_no_recorder_answers_exits_with_one(mosquitto):
    result = tidesync("session", "start", "--mission", "m", "--timeout", "4", "--broker", mosquitto.url)
    assert result.returncode == 1
    assert "recorder" in complaint(result)


def test_the_demo_says_what_it_promises_in_json(tmp_path):
    result = tidesync("demo", "--duration", "10", "--root", str(tmp_path), "--json")
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["ok"] is True
    assert [row["vehicle"] for row in document["vehicles"]] == ["rov1", "rov2"]
    keys = {"vehicle", "state", "offset_ms", "max_error_ms", "u95_ms", "drift_ppm"}
    keys |= {"true_offset_ms", "true_drift_ppm", "exchanges"}
    for row in document["vehicles"]:
        assert set(row) == keys
        assert abs(row["offset_ms"] - row["true_offset_ms"]) <= row["max_error_ms"]
    assert document["vehicles"][1]["true_offset_ms"] == pytest.approx(45_000, abs=2)
    metadata = json.loads((tmp_path / document["session"] / "sync_metadata.json").read_text())
    assert metadata["timeSync"]["inWater"]["offsetMs"] == pytest.approx(-1234.567, abs=2)


def test_the_demo_runs_on_a_broker_that_is_given(mosquitto, tmp_path):
    arguments = ("--duration", "10", "--vehicles", "3", "--root", str(tmp_path), "--json")
    result = tidesync("demo", "--broker", mosquitto.url, *arguments)
    assert result.returncode == 0, result.stderr
    assert [row["vehicle"] for row in json.loads(result.stdout)["vehicles"]] == ["rov1", "rov2", "rov3"]


@pytest.mark.parametrize(
    ("command", "warned"),
    [
        (["pi", "--vehicle", "rov1", "--no-http"], False),
        (["pi", "--vehicle", "rov2", "--no-http"], True),
        (["topside"], True),
    ],
)
def test_an_agent_whose_account_has_another_name_says_so_at_the_start(
    command, warned, mosquitto_with_accounts
):
    url = mosquitto_with_accounts
    result = tidesync(*command, "--broker", url, "--username", "rov1", TIDESYNC_PASSWORD="sea-slug")
    assert ("may use their own name only" in result.stderr) is warned


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["status", "Ab c"], "VEHICLE: expected a vehicle name (…), received 'Ab c'"),
        (["wait", "--vehicle", "rov1", "--timeout", "x"], "--timeout: expected a valid float, received 'x'"),
        (
            ["wait", "--vehicle", "rov1", "--timeout", "0"],
            "--timeout: expected 0.1<=x<=86400, received 0.0",
        ),
        (
            ["topside", "--topside", "a", "--rate", "0"],
            "--rate: expected a number greater than or equal to 0.05, received '0'",
        ),
        (["broker", "--port", "x"], "--port: expected a valid integer, received 'x'"),
        (
            ["session", "start", "--mission", "a", "--sensor", "x"],
            "--sensor: expected SENSOR=VEHICLE, as inWater=rov1, received 'x'",
        ),
    ],
)
def test_what_was_expected_and_received_is_said_in_one_form_with_its_option(command, sentence, capsys):
    assert run(command) == 2
    assert re.sub(r"name \(.*\)", "name (…)", capsys.readouterr().err.strip()) == f"tidesync: {sentence}"
