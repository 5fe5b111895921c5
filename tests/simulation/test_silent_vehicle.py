"""What a vehicle's clock did while it could not be measured reaches results and rows from its own history."""

import csv

import numpy as np
import pytest

from runtime.clock import Step
from schemas.compat import from_iso
from schemas.instants import iso_from_ns, ns_from_utc
from tests.simulation.moving_clocks import judged
from tests.simulation.simulated_machines import Link, S
from tests.simulation.test_moving_clocks import jittery, simulated, wrong
from tests.simulation.test_recorder import Recorded
from tidesync.command_line import run

MOVED = {"slews": ((24, 36, 83_333), (70, 75, -20_000)), "steps": (Step(40.05, 2_500_000_000),)}
SILENCE_S = (20, 85)
END_S = 100
FIFTH_OF_A_MS = 200_000


def corrected(recorded, tmp_path, at_s):
    """(state, error, error stated), ns, of rows that the vehicle stamps at the instants `at_s`."""
    simulation = recorded.simulation
    instants = [simulation.start_ns + round(second * S) for second in at_s]
    table = tmp_path / "rows.csv"
    stamps = [iso_from_ns(simulation.vehicle.realtime_at(each)) for each in instants]
    table.write_text("timestamp\n" + "".join(f"{stamp}\n" for stamp in stamps))
    assert run(["correct", str(recorded.folder.path), "--csv", str(table), "--vehicle", "rov1"]) == 0
    with table.with_suffix(".topside.csv").open() as file:
        rows = list(csv.DictReader(file))
    states = np.array([row["time_state"] for row in rows])
    error, stated = np.zeros(len(rows)), np.full(len(rows), np.nan)
    for index, (row, base_ns) in enumerate(zip(rows, instants, strict=True)):
        if row["timestamp_topside"]:
            topside_ns = ns_from_utc(from_iso(row["timestamp_topside"]))
            error[index] = abs(topside_ns - base_ns - simulation.clock.difference_ns)
            stated[index] = float(row["time_max_error_ms"]) * 1e6
    return states, error, stated


@pytest.mark.parametrize("journal", [True, False])
def test_an_agent_killed_in_a_silence_sends_the_history_of_before_from_its_journal(tmp_path, journal):
    path = tmp_path / "clock.jsonl" if journal else None
    recorded = Recorded(tmp_path, Link(), stop_s=END_S, vehicle={**MOVED, "journal": path})
    simulation = recorded.simulation
    simulation.vehicles["rov1"].link.down = (SILENCE_S,)
    simulation.reboot(55, off_s=2, clock=simulation.vehicle, journal=path)
    recorded.kill(60, 15)
    simulation.run(130)

    at_s = np.arange(6, END_S - 2, 0.05)
    states, error, stated = corrected(recorded, tmp_path, at_s)
    right = np.isin(states, ["ok", "holdover"])
    assert not (right & (error > stated + 1000)).any()
    good = right & (error <= FIFTH_OF_A_MS)
    assert good[(at_s < 18) | (at_s > 87)].all()
    histories = recorded.folder.clock_history("vehicle", "rov1").values()
    ends_ns = [one.newest[1].to_raw_ns - simulation.vehicle.started_raw_ns for one in histories]
    assert (ends_ns[0] > 45 * S) is journal  # else nobody knows any more what it did before the kill
    assert ends_ns[-1] > 95 * S


HEARD = {
    "step": {"steps": (Step(30, 1_500_000_000),)},
    "step_back": {"steps": (Step(30, -2_000_000),)},
    "slew": {"slews": ((30, 45, 83_333),)},
}


@pytest.mark.parametrize("moved", HEARD)
def test_a_change_that_topside_hears_of_and_no_exchange_has_followed_is_in_every_result(moved):
    link = jittery()
    simulation = simulated(link, pi=HEARD[moved])
    simulation.at(20, lambda: setattr(link, "lost", 1.0))  # exchanges, not what the vehicle reports
    simulation.run(60)
    results = judged(simulation)
    assert wrong(results) == []
    silent = [entry for entry in results if entry.at_s > 31.2]
    assert all(entry.conditional for entry in silent)
    heard_of = [entry for entry in silent if not 30 <= entry.at_s < 46.2] if moved == "slew" else silent
    assert [entry for entry in heard_of if entry.wrong] == []
    assert simulation.results()[-1].state in {"holdover", "unsynced"}
