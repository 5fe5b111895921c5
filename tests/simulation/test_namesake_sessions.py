"""A session that two topsides of one name measured: recorded apart, and answered for one that was named."""

import json

import pytest

from schemas.compat import from_iso
from schemas.instants import iso_from_ns, ns_from_utc
from tests.simulation.simulated import jitter
from tests.simulation.simulated_machines import Link, S
from tests.simulation.test_namesakes import AHEAD_NS, another_laptop, power_cut
from tests.simulation.test_recorder import Recorded
from tidesync.command_line import run
from tidesync.sessions.processes import concurrent

OFFSET_MS = -1_234.567


def link():
    return Link(jitter(1, 0.5), jitter(1, 0.5))


def session_with(root, *, together=True, recorder_killed=False):
    """A namesake, or a successor, from 20 s on in a session from 5 to 60 s; the processes' ids in order."""
    recorded = Recorded(root, Link.instant())
    simulation, first, others = recorded.simulation, recorded.simulation.topside, []
    if not together:
        simulation.at(20, lambda: power_cut(first))
    simulation.at(20.5, lambda: others.append(another_laptop(simulation, link())))
    if recorder_killed:
        recorded.kill(30, 3)
    simulation.run(90)
    ids = [agent._namesakes.instance_id for agent in (first, *others)]
    return recorded, ids


@pytest.fixture(scope="module")
def namesakes(tmp_path_factory):
    return session_with(tmp_path_factory.mktemp("namesakes"))


def seqs_by_process(recorded):
    found = {}
    for exchange in recorded.folder.read_exchanges().exchanges:
        found.setdefault(exchange.instance_id, []).append(exchange.seq)
    return found


@pytest.mark.slow
def test_each_processs_exchanges_are_recorded_without_a_hole_though_the_recorder_was_killed(tmp_path):
    recorded, ids = session_with(tmp_path, recorder_killed=True)
    found = seqs_by_process(recorded)
    assert set(found) == set(ids)
    for seqs in found.values():
        assert sorted(seqs) == list(range(min(seqs), max(seqs) + 1))
        assert len(seqs) > 100
    assert min(found[ids[1]]) == 0
    vehicle = recorded.folder.read_metadata()["timeSync"]["tidesync"]["vehicles"]["rov1"]
    assert (vehicle["exchanges"], vehicle["missing"]) == (sum(map(len, found.values())), 0)
    missing = {each["instance_id"]: each["missing"] for each in vehicle["processes"]}
    assert missing == dict.fromkeys(ids, 0)


COMMANDS = {
    "correct": ("correct", "{session}"),
    "fuse": ("fuse", "{session}", "--out", "{session}/fused.csv"),
    "export": ("export", "{session}", "--format", "csv"),
    "estimate": ("estimate", "{session}/time_sync/exchanges.jsonl"),
}


def arguments(recorded, command, *more):
    return [each.format(session=recorded.folder.path) for each in COMMANDS[command]] + list(more)


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_mixes_the_clocks_of_namesakes_and_each_names_the_options(namesakes, command, capsys):
    recorded, ids = namesakes
    assert run(arguments(recorded, command)) == 2
    complaint = capsys.readouterr().err.splitlines()[-1]
    assert "--topside topside" in complaint
    assert all(f"--instance {each}" in complaint for each in ids)


@pytest.mark.parametrize("number", [0, 1])
def test_with_the_option_just_that_ones_clock_counts(namesakes, number, capsys):
    recorded, ids = namesakes
    chosen = ("--topside", "topside", "--instance", ids[number])
    assert run(arguments(recorded, "estimate", *chosen, "--json")) == 0
    (vehicle,) = json.loads(capsys.readouterr().out)["vehicles"]
    true_ms = OFFSET_MS - number * AHEAD_NS / 1e6
    assert vehicle["offset_ms"] == pytest.approx(true_ms, abs=10)
    assert vehicle["lower_ms"] - 2 <= true_ms <= vehicle["upper_ms"] + 2
    assert run(arguments(recorded, "export", *chosen)) == 0
    assert run(arguments(recorded, "correct", *chosen)) in {0, 1}


def test_a_process_that_is_not_there_is_wrong_usage_and_those_there_are_listed(namesakes, capsys):
    recorded, ids = namesakes
    assert run(arguments(recorded, "export", "--topside", "topside", "--instance", "nobody")) == 2
    complaint = capsys.readouterr().err
    assert all(each in complaint for each in ids)


def test_the_report_trusts_neither_and_names_the_other_with_its_times(namesakes, capsys):
    recorded, ids = namesakes
    assert run(["report", str(recorded.folder.path), "--json"]) == 0
    vehicles = json.loads(capsys.readouterr().out)["vehicles"]
    assert [each["grade"] for each in vehicles] == ["no", "no"]
    for each, other in zip(vehicles, reversed(ids), strict=True):
        assert "another topside was called 'topside'" in each["headline"]
        assert other in each["headline"]
    assert "can be trusted" not in (recorded.folder.path / "report.html").read_text()


def test_the_stop_writes_no_track_of_mixed_clocks(namesakes):
    recorded, _ = namesakes
    block = recorded.folder.read_metadata()["timeSync"]["tidesync"]
    assert block["state"] == "stopped"
    assert block["vehicles"]["rov1"]["drift_model"] is None
    assert block["files"]["offsets"] is None


def test_a_topside_that_restarted_needs_no_choice(tmp_path):
    recorded, ids = session_with(tmp_path, together=False)
    assert set(seqs_by_process(recorded)) == set(ids)
    assert concurrent(recorded.folder.read_exchanges().exchanges) == []
    assert run(arguments(recorded, "export")) == 0
    vehicle = recorded.folder.read_metadata()["timeSync"]["tidesync"]["vehicles"]["rov1"]
    assert vehicle["missing"] == 0


@pytest.fixture(scope="module")
def two_vehicles(tmp_path_factory):
    """A session from 5 to 60 s, in which from 20 s on a second vehicle is called rov1."""
    recorded = Recorded(tmp_path_factory.mktemp("vehicles"), Link.instant())
    simulation = recorded.simulation
    simulation.at(20, lambda: simulation.add_vehicle("rov1", link(), offset_ns=7 * S))
    simulation.run(70)
    folder = recorded.folder.path / "in-water_1"
    folder.mkdir()
    stamps = [
        iso_from_ns(simulation.start_ns + simulation.clock.difference_ns + second * S) for second in (10, 40)
    ]
    (folder / "session.csv").write_text("timestamp,value\n" + "".join(f"{stamp},1\n" for stamp in stamps))
    return recorded


def test_the_recorder_dates_a_duplicate_and_raises_the_alarm(two_vehicles):
    events = [event for event in two_vehicles.folder.read_events() if event.kind == "duplicate"]
    start_ns = two_vehicles.simulation.start_ns + two_vehicles.simulation.clock.difference_ns
    first = min((ns_from_utc(event.at) - start_ns) / S for event in events)
    last = max((ns_from_utc(event.until) - start_ns) / S for event in events)
    assert {event.error for event in events} == {"duplicate_vehicle"}
    assert 20 <= first <= 23
    assert 57 <= last <= 62
    assert "two vehicles are named rov1" in {state.alarm for state in two_vehicles.states()}


def test_a_session_of_two_vehicles_of_one_name_is_not_trusted(two_vehicles, capsys):
    path = str(two_vehicles.folder.path)
    assert run(["report", path, "--json"]) == 0
    (vehicle,) = json.loads(capsys.readouterr().out)["vehicles"]
    assert vehicle["grade"] == "no"
    assert vehicle["headline"].startswith("two vehicles were named rov1 from ")
    assert run(["correct", path]) == 1
    assert "two vehicles were named rov1 between" in capsys.readouterr().err


def test_what_is_in_doubt_is_not_written_as_the_consumers_offset(two_vehicles):
    """Only what was measured before the second vehicle came."""
    document = two_vehicles.folder.read_metadata()
    measured_at = from_iso(document["timeSync"]["inWater"]["measuredAt"])
    start_ns = two_vehicles.simulation.start_ns + two_vehicles.simulation.clock.difference_ns
    assert (ns_from_utc(measured_at) - start_ns) / S <= 23
