"""`tidesync pi` refuses what it cannot use: exit code 2, one line that names the option and the value."""

import json
import subprocess
import sys

import pytest

from pi_agent.settings import PiSettings
from runtime.clock import Clock, SimulatedClock, Slew, Step, Suspend, SystemClock
from tidesync.cli import pi
from tidesync.cli.simulation import truth_of
from tidesync.command_line import run

S = 1_000_000_000


@pytest.fixture(autouse=True)
def no_settings_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "--vehicle"),
        (["--vehicle", "ROV 1"], "'ROV 1'"),
        (["--vehicle", "rov1", "--broker", "http://host"], "http://host"),
        (["--vehicle", "rov1", "--http-port", "0"], "'0'"),
        (["--vehicle", "rov1", "--http-port", "many"], "'many'"),
        (["--vehicle", "rov1", "--simulate-offset-s", "soon"], "'soon'"),
        (["--vehicle", "rov1", "--simulate-offset-s", "nan"], "nan"),
        (["--vehicle", "rov1", "--simulate-offset-s", "1e10"], "1000000000"),
        (["--vehicle", "rov1", "--simulate-drift-ppm", "inf"], "inf"),
        (["--vehicle", "rov1", "--simulate-drift-ppm", "100001"], "100001"),
        (["--vehicle", "rov1", "--simulate-step", "3"], "'3'"),
        (["--vehicle", "rov1", "--simulate-step", "-1:3"], "'-1:3'"),
        (["--vehicle", "rov1", "--simulate-step", "1:"], "''"),
        (["--vehicle", "rov1", "--simulate-slew", "1:500"], "'1:500'"),
        (["--vehicle", "rov1", "--simulate-slew", "1:200000:5"], "100500"),
        (["--vehicle", "rov1", "--simulate-slew", "1:500:0"], "'0'"),
        (["--vehicle", "rov1", "--simulate-suspend", "5"], "'5'"),
        (["--vehicle", "rov1", "--simulate-suspend", "5:-3"], "'-3'"),
        (["--vehicle", "rov1", "--simulate-kernel-flag", "maybe"], "maybe"),
        (["--vehicle", "rov1", "--simulate-truth", "/nowhere/truth.json"], "/nowhere/truth.json"),
    ],
)
def test_a_bad_value_ends_with_one_line(arguments, named, capsys):
    assert run(["pi", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert named in captured.err


def started_with(arguments, monkeypatch):
    made: list[tuple[PiSettings, Clock]] = []
    monkeypatch.setattr(pi, "PiAgent", lambda settings, clock: made.append((settings, clock)))
    monkeypatch.setattr(pi, "run_agent", lambda _agent, _file: 0)
    assert run(["pi", "--vehicle", "rov1", *arguments]) == 0
    return made[0]


def test_without_simulation_it_answers_from_this_machines_clock(monkeypatch):
    settings, clock = started_with([], monkeypatch)
    assert isinstance(clock, SystemClock)
    assert (settings.vehicle, settings.http_port, settings.http_port_wanted) == ("rov1", 9150, False)


def test_each_simulate_option_reaches_the_clock(monkeypatch):
    arguments = ["--simulate-offset-s", "-2.5", "--simulate-drift-ppm", "20"]
    arguments += ["--simulate-step", "30:3.0", "--simulate-step", "60:-0.001"]
    _, clock = started_with(arguments, monkeypatch)
    assert isinstance(clock, SimulatedClock)
    assert (clock.offset_ns, clock.drift_ppm) == (-2_500_000_000, 20.0)
    assert clock.steps == (Step(30.0, 3_000_000_000), Step(60.0, -1_000_000))


def test_slews_suspends_and_the_kernels_flag_reach_the_clock_and_the_truth_is_written(monkeypatch, tmp_path):
    arguments = [
        "--simulate-slew",
        "10:83333:24",
        "--simulate-slew",
        "60:-500:5",
        "--simulate-suspend",
        "5:3",
    ]
    arguments += ["--simulate-kernel-flag", "synchronized", "--simulate-offset-s", "1"]
    _, clock = started_with([*arguments, "--simulate-truth", str(tmp_path / "truth")], monkeypatch)
    assert isinstance(clock, SimulatedClock)
    assert clock.slews == (Slew(10.0, 83_333.0, 24.0), Slew(60.0, -500.0, 5.0))
    assert clock.suspends == (Suspend(5.0, 3.0),)
    assert clock.kernel_flag == "synchronized"
    (line,) = (tmp_path / "truth").read_text(encoding="utf-8").splitlines()
    assert json.loads(line) == {
        "suspends": [{"after_s": 5.0, "seconds": 3.0}],
        "started_raw_ns": clock.started_raw_ns,
        "started_realtime_ns": clock.started_realtime_ns,
        "offset_ns": S,
        "drift_ppm": 0.0,
        "steps": [],
        "slews": [
            {"after_s": 10.0, "ppm": 83_333.0, "seconds": 24.0},
            {"after_s": 60.0, "ppm": -500.0, "seconds": 5.0},
        ],
    }


@pytest.mark.parametrize("drift_ppm", [0.0, 40.0])
def test_the_written_truth_gives_the_clock_at_every_instant(drift_ppm):
    clock = SimulatedClock(
        SystemClock(),
        3 * S,
        drift_ppm,
        (Step(7.0, -2 * S),),
        slews=(Slew(4.0, 83_333.0, 6.0), Slew(20.0, -500.0, 5.0)),
        suspends=(Suspend(5.0, 3.0),),
    )
    truth = truth_of(clock)
    for t in range(0, 40 * S, S // 7):
        within = lambda part: min(max(t - round(part["after_s"] * S), 0), round(part["seconds"] * S))  # noqa: B023, E731
        asleep = sum(within(suspend) for suspend in truth["suspends"])
        ran = (t - asleep) * (1 + truth["drift_ppm"] / 1e6)
        stepped = sum(step["step_ns"] for step in truth["steps"] if step["after_s"] * S <= t)
        slewed = sum(within(slew) * slew["ppm"] / 1e6 for slew in truth["slews"])
        at = truth["started_raw_ns"] + t
        assert clock.raw_at(at) - truth["started_raw_ns"] == pytest.approx(ran, abs=2)
        moved = clock.realtime_at(at) - truth["started_realtime_ns"] - truth["offset_ns"]
        assert moved == pytest.approx(ran + asleep + stepped + slewed, abs=4)
    assert clock.raw_at(clock.started_raw_ns + 6 * S) == clock.raw_at(clock.started_raw_ns + 7 * S)


def test_an_offset_of_nought_is_a_simulated_clock_too(monkeypatch):
    _, clock = started_with(["--simulate-offset-s", "0"], monkeypatch)
    assert isinstance(clock, SimulatedClock)


def test_a_port_that_is_set_anywhere_is_wanted(monkeypatch, tmp_path):
    (tmp_path / "tidesync.toml").write_text("[pi]\nhttp_port = 9150\n", encoding="utf-8")
    settings, _ = started_with([], monkeypatch)
    assert settings.http_port_wanted


@pytest.mark.slow
def test_the_agent_starts_without_loading_the_web_libraries():
    heavy = {"fastapi", "uvicorn", "numpy", "asyncio"}
    script = f"import sys, tidesync.cli.pi; print({heavy} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"
