"""The systemd units: systemd's own verification, and what our agents must be able to do in them."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pi_agent.settings import PiSettings
from tidesync.command_line import COMMANDS

UNITS = sorted((Path(__file__).parents[2] / "deploy/systemd").glob("*.service"))
ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")


def read(unit):
    """The last value of each key of [Unit] and [Service]; keys that repeat are joined by a space."""
    parser = configparser.RawConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    joined, seen = [], {}
    section = ""
    for line in unit.read_text().splitlines():
        if line.startswith("["):
            section = line
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            seen[section, key] = f"{seen[section, key]} {value}" if (section, key) in seen else value
    for name in ("[Unit]", "[Service]"):
        joined += [name, *(f"{key}={value}" for (where, key), value in seen.items() if where == name)]
    parser.read_string("\n".join(joined))
    return parser


def test_every_agent_has_a_unit_that_runs_its_command():
    assert {unit.stem for unit in UNITS} == {
        f"tidesync-{n}" for n in ("pi", "topside", "record", "dashboard")
    }
    for unit in UNITS:
        name = unit.stem.removeprefix("tidesync-")
        words = read(unit)["Service"]["ExecStart"].split()
        assert words[:2] == ["/opt/tidesync/bin/tidesync", name]
        assert name in {*COMMANDS, "dashboard"}


@pytest.mark.slow
@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_finds_no_fault(unit, tmp_path):
    copy = tmp_path / unit.name  # with a program that is there: ours is installed on the boat
    copy.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.MULTILINE))
    verified = subprocess.run(
        [ANALYZE, "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False
    )
    assert unit.name not in verified.stderr, verified.stderr
    assert verified.returncode == 0, verified.stderr


@pytest.mark.slow
@needs_systemd
def test_systemd_finds_no_fault_in_the_unit_with_a_vehicles_file(tmp_path):
    unit = next(unit for unit in UNITS if unit.stem == "tidesync-pi")
    shutil.copytree(f"{unit}.d", tmp_path / f"{unit.name}.d")
    test_systemd_finds_no_fault(unit, tmp_path)


def test_a_vehicles_file_is_handed_to_the_agent_as_a_credential():
    unit = next(unit for unit in UNITS if unit.stem == "tidesync-pi")
    added = read(Path(f"{unit}.d") / "join.conf")["Service"]
    assert added["LoadCredential"] == "join:/etc/tidesync/vehicle.tidesync"
    assert added["Environment"] == "TIDESYNC_JOIN=%d/join"
    assert "join" in PiSettings.model_fields


@pytest.mark.slow
@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_calls_its_exposure_low(unit):
    analysed = subprocess.run(  # the threshold is in tenths: 2.0 of 10
        [ANALYZE, "security", "--offline=yes", "--threshold=20", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Overall exposure level" in analysed.stdout
    assert analysed.returncode == 0, analysed.stdout[-200:]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_it_waits_for_no_network_and_no_clock_and_is_always_started_again(unit):
    content = read(unit)
    assert content["Unit"]["After"] == "network.target"
    assert content["Unit"]["StartLimitIntervalSec"] == "0"
    assert content["Service"]["Restart"] == "always"
    assert content["Service"]["Type"] == "notify"
    assert int(content["Service"]["WatchdogSec"]) > 10  # our own watchdog acts first, and logs where


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_the_boot_id_can_be_read_and_the_pi_may_ask_whether_ntp_steers_the_clock(unit):
    service = read(unit)["Service"]
    assert "ProcSubset" not in service
    if unit.stem == "tidesync-pi":
        assert "ProtectClock" not in service
        denied, _, allowed_again = service["SystemCallFilter"].partition("@resources")
        assert "~@privileged" in denied  # which holds adjtimex; what comes last wins
        assert {"adjtimex", "clock_adjtime"} <= set(allowed_again.split())


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_the_password_is_a_credential_and_not_in_the_environment(unit):
    service = read(unit)["Service"]
    name = unit.stem.removeprefix("tidesync-")
    assert service["LoadCredential"] == f"password:/etc/tidesync/{name}.password"
    assert "TIDESYNC_PASSWORD_FILE=%d/password" in service["Environment"]
    assert "TIDESYNC_PASSWORD=" not in unit.read_text()
