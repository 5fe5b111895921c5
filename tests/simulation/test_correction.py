"""A session's rows corrected by the whole command, compared with the simulated instants of the rows."""

import csv

import numpy as np
import pytest

from bench.estimators import traces
from bench.estimators.clocks import ClockLaw, Step
from bench.estimators.delays import exponential
from bench.estimators.families import FAMILIES, Family
from runtime.clock import Step as ClockStep
from schemas.compat import from_iso
from schemas.instants import iso_from_ns, ns_from_utc
from tests.effort import few
from tests.simulation.simulated import Simulation, jitter
from tests.simulation.simulated_machines import Link
from tidesync.command_line import run
from tidesync.sessions.journal import lines_of
from topside_agent.settings import TopsideSettings

S = 1_000_000_000
DURATION_S = 600.0
EVERY_S = 0.1


def loopback(*steps):
    """40 ppm, delays as on loopback: 0.1 ms and a little queueing."""
    return Family(
        "loopback",
        clock=lambda _: ClockLaw(drift=40e-6, steps=steps),
        delays=lambda _: exponential(5e-5, 5e-5, base_out_s=1e-4, base_back_s=1e-4),
    )


HALF = DURATION_S / 2
LOOPBACK = {
    "drift": loopback(),
    "step_3s": loopback(Step(HALF, 3 * S, "reported")),
    "step_back_3s": loopback(Step(HALF, -3 * S, "reported")),
    "step_3s_unreported": loopback(Step(HALF, 3 * S, "unreported")),
    "two_steps_back": loopback(Step(200.0, -3 * S, "reported"), Step(202.0, -2 * S, "reported")),
    "reboot_to_the_past": loopback(Step(HALF, -100 * S, "reboot", 25.0)),
}
ANY = (
    "clean",
    "lognormal",
    "skewed",
    "held",
    "asymmetric",
    "cold_dunk",
    "step_5ms_unreported",
    "suspend",
    "outage_5min",
    "reordering",
    "bursts_of_8",
    "decades",
)


class Dive:
    """A session folder with one vehicle's exchanges and a CSV of rows whose true instants are known."""

    def __init__(self, folder, exchanges, true_ns, stamps):
        self.folder, self.true_ns = folder, true_ns
        self.table = folder / "in-water_1" / "session.csv"
        self.table.parent.mkdir(parents=True)
        (folder / "time_sync").mkdir()
        (folder / "time_sync" / "exchanges.jsonl").write_bytes(lines_of(exchanges))
        rows = "".join(f"{iso_from_ns(stamp)},A1,freerun,1.5,20.1,12.0\n" for stamp in stamps)
        self.table.write_text("timestamp,sensor_id,mode,value,TempC,Vin\n" + rows)

    def correct(self, *options):
        assert run(["-q", "correct", str(self.folder), "--sensor", "inWater=rov1", *options]) == 0
        with self.table.with_name("session.topside.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        given = np.array([bool(row["timestamp_topside"]) for row in rows])
        found = [
            ns_from_utc(from_iso(row["timestamp_topside"])) if row["timestamp_topside"] else 0 for row in rows
        ]
        claimed = np.array([float(row["time_max_error_ms"] or "nan") * 1e6 for row in rows])
        error = np.abs(np.array(found) - self.true_ns)
        return np.array([row["time_state"] for row in rows]), given, error, claimed


def dive(tmp_path, family, seed=1, instants=None):
    trace = traces.make_trace(family, seed=seed, duration_s=DURATION_S)
    instants = np.arange(1.0, DURATION_S - 1, EVERY_S) if instants is None else instants
    stamps = traces._pi_realtime_ns(trace.clock, instants).tolist()
    return Dive(tmp_path, trace.exchanges, traces._topside_ns(instants), stamps)


@pytest.mark.parametrize("name", few(LOOPBACK))
def test_rows_are_within_their_error_and_nearly_all_within_a_fifth_of_a_millisecond(
    name, tmp_path, monkeypatch
):
    monkeypatch.setitem(FAMILIES, name, LOOPBACK[name])
    states, given, error, claimed = dive(tmp_path, name).correct()
    assert (error[given] <= claimed[given]).all()
    assert np.percentile(error[given], 95) < 200_000
    assert set(states) <= {"ok", "ambiguous"}
    dead_s = sum(step.dead_s + 2 for step in LOOPBACK[name].clock(DURATION_S).steps)
    assert given.sum() >= given.size - (dead_s + 2) / EVERY_S


@pytest.mark.parametrize("name", few(ANY))
def test_no_row_is_off_by_more_than_its_error_in_any_family(name, tmp_path):
    _, given, error, claimed = dive(tmp_path, name, seed=7).correct()
    assert (error[given] <= claimed[given]).all()
    assert given.mean() > 0.85


def test_beyond_the_measured_time_the_error_grows_until_there_is_no_topside_instant(tmp_path):
    instants = np.arange(0.0, DURATION_S + 3_000, 5.0)
    session = dive(tmp_path, "clean", instants=instants)
    states, given, *_ = session.correct()
    after = instants > DURATION_S
    assert not given[after].any()  # nobody knows whether a clock was set there
    assert list(dict.fromkeys(states[after])) == ["ambiguous", "outside"]
    states, given, error, claimed = session.correct("--slew-limit-ppm", "0")  # a promise
    assert (error[given] <= claimed[given]).all()
    assert (np.diff(claimed[after & given]) > 0).all()
    assert list(dict.fromkeys(states[after])) == ["holdover", "outside"]


def test_a_constant_offset_would_be_off_by_seconds(monkeypatch):
    """What the session would be left with: the reason for all this."""
    monkeypatch.setitem(FAMILIES, "step_3s", LOOPBACK["step_3s"])
    trace = traces.make_trace("step_3s", seed=1, duration_s=DURATION_S)
    truth = trace.truth_at(traces.START_REALTIME_NS + (np.arange(0, DURATION_S) * S).astype(np.int64))
    assert np.abs(truth - truth[0]).max() > 3 * S


@pytest.mark.slow
def test_a_second_run_gives_the_same_bytes_and_leaves_the_original(tmp_path, monkeypatch):
    monkeypatch.setitem(FAMILIES, "step_3s", LOOPBACK["step_3s"])
    session = dive(tmp_path, "step_3s")
    before = session.table.read_bytes()
    session.correct()
    first = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    session.correct()
    assert first == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert session.table.read_bytes() == before
    assert [path.name for path in sorted(session.table.parent.iterdir())] == [
        "session.csv",
        "session.topside.csv",
    ]


def agents(link=None, *, vehicle="rov1", **options):
    """A session that the real agents measured."""
    jittery = {"to_ns": jitter(0.1, 0.05), "from_ns": jitter(0.1, 0.05)}
    return Simulation(
        Link(**jittery | (link or {})),
        settings=TopsideSettings(vehicle=(vehicle,)),
        simulated={"drift_ppm": 40.0} | options,
    )


def rebooting():
    simulation = agents()
    simulation.reboot(100, off_s=25, offset_ns=-60 * S)  # some times are of one life only
    return simulation


def sleeping():
    simulation = agents()
    simulation.suspend(100, 25)
    return simulation


def restarting():
    simulation = agents()
    simulation.broker.restart(100, off_s=5)
    return simulation


BY_AGENTS = {
    "drift": agents,
    "loss": lambda: agents({"lost": 0.2}),
    "duplicates": lambda: agents({"doubled": 0.5}),
    "reorder": lambda: agents({"to_ns": jitter(0.1, 300), "from_ns": jitter(0.1, 300)}),
    "outage": lambda: agents({"down": ((60, 120),)}),
    "http_fallback": lambda: agents({"down": ((60, 120),)}, vehicle="rov1=http://rov1:9150"),
    "step": lambda: agents(steps=(ClockStep(100.05, 3 * S),)),
    "step_back": lambda: agents(steps=(ClockStep(100.05, -3 * S),)),
    "small_step": lambda: agents(steps=(ClockStep(100.05, 5_000_000),)),
    "two_steps_back": lambda: agents(steps=(ClockStep(100.05, -3 * S), ClockStep(102.05, -2 * S))),
    "step_in_an_outage": lambda: agents({"down": ((60, 120),)}, steps=(ClockStep(100.05, 3 * S),)),
    "reboot_to_the_past": rebooting,
    "suspend": sleeping,
    "broker_restart": restarting,
}


@pytest.mark.parametrize("fault", few(BY_AGENTS))
def test_rows_of_a_session_that_the_real_agents_measured_are_within_their_error(fault, tmp_path):
    simulation = BY_AGENTS[fault]()
    simulation.run(200)
    raw_ns = [simulation.start_ns + round(at_s * S) for at_s in np.arange(1.000123, 199.0, EVERY_S)]
    rows = [(at_ns, stamp_ns) for at_ns in raw_ns if (stamp_ns := simulation.stamp_ns(at_ns)) is not None]
    true_ns = np.array([at_ns + simulation.clock.difference_ns for at_ns, _ in rows])
    session = Dive(tmp_path, simulation.exchanges(), true_ns, [stamp_ns for _, stamp_ns in rows])
    _, given, error, claimed = session.correct()
    assert (error[given] <= claimed[given]).all()
    assert given.mean() > (0.6 if fault == "step_in_an_outage" else 0.95)
