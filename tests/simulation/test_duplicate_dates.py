"""A namesake that lived for ten seconds, and no two clocks alike: in doubt are just the rows of that time."""

import csv
from datetime import datetime

import numpy as np
import pytest

from runtime.clock import Step
from schemas.instants import iso_from_ns, ns_from_utc
from tests.effort import few
from tests.simulation.simulated_machines import Link, S
from tests.simulation.test_recorder import Recorded
from tidesync.command_line import run
from tidesync.sessions.correction.heard_twice import MARGIN_NS

pytestmark = pytest.mark.slow

FROM_S, TO_S, STOP_S = 40, 50, 90
MARGIN_S = MARGIN_NS / S + 2
"""Beside what is stated: four pings before, and one after."""


def session(root, *, recorder_off=None, recorder_down=(), steps=(), away_s=503, sleeps=False):
    """From 5 s on, by a topside 777 s ahead of the recorder; the clocks of vehicle and namesake."""
    topside = {"offset_ns": 777 * S, "steps": tuple(Step(*step) for step in steps)}
    recorded = Recorded(root, Link(down=recorder_down), stop_s=STOP_S, topside=topside)
    simulation, found = recorded.simulation, [recorded.simulation.vehicles["rov1"]]

    def arrive():
        found.append(simulation.add_vehicle("rov1", Link(), offset_ns=away_s * S))

    def leave():
        found[1].machine.on = False
        found[1].connection.vanish()

    def sleep():
        now_ns, vehicle = simulation.clock.now_ns, found[0]
        vehicle.machine.asleep_until_ns = now_ns + 2 * S
        vehicle.clock.sleeps.append((now_ns, vehicle.machine.asleep_until_ns))
        vehicle.connection.stall(2)

    simulation.at(FROM_S, arrive)
    if sleeps:
        simulation.at(FROM_S + 3, sleep)
    simulation.at(TO_S, leave)
    if recorder_off:
        recorded.kill(recorder_off[0], recorder_off[1] - recorder_off[0])
    simulation.run(STOP_S + 30)
    return recorded, [each.clock for each in found]


def rows_of(recorded, clock, at_s):
    """The states of rows that a vehicle stamped with its `clock`; those that are answered must be right."""
    start_ns, topside = recorded.simulation.start_ns, recorded.simulation.topside_clock
    raw_ns = [start_ns + round(at * S) for at in at_s]
    folder = recorded.folder.path / "in-water_1"
    folder.mkdir(exist_ok=True)
    stamps = "".join(f"{iso_from_ns(clock.realtime_at(at))},1\n" for at in raw_ns)
    (folder / "session.csv").write_text("timestamp,value\n" + stamps)
    assert run(["-q", "correct", str(recorded.folder.path)]) == 1
    with (folder / "session.topside.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row, at in zip(rows, raw_ns, strict=True):
        if row["time_state"] in ("ok", "holdover"):
            found_ns = ns_from_utc(datetime.fromisoformat(row["timestamp_topside"]))
            error_ns = abs(found_ns - topside.realtime_at(at))
            assert error_ns <= float(row["time_max_error_ms"]) * 1e6 + 1000
    return np.array([row["time_state"] for row in rows])


FAULTS = {
    "none": {},
    "its clock shows what the vehicle's will show soon": {"away_s": 150},
    "the vehicle sleeps, so that the other is measured": {"sleeps": True, "away_s": 150},
    "its clock shows what the vehicle's never did": {"away_s": -400, "sleeps": True},
    "the recorder is off all that time": {"recorder_off": (FROM_S - 5, TO_S + 15), "away_s": 150},
    "the recorder is cut off and killed": {"recorder_down": ((35, 58),), "recorder_off": (45, 48)},
    "topside's clock is set meanwhile": {"steps": ((FROM_S + 5, -3 * S),)},
    "topside's clock is set forward before": {"steps": ((20, 600 * S),)},
}
UNHEARD = {"the recorder is off all that time", "the recorder is cut off and killed"}
"""So what the other one's clock showed is not known."""


@pytest.mark.parametrize("fault", few(FAULTS))
def test_only_the_rows_of_a_namesakes_ten_seconds_are_in_doubt(tmp_path, fault, capsys):
    recorded, (own, namesake) = session(tmp_path, **FAULTS[fault])
    at_s = np.arange(8, STOP_S - 2, 0.25)
    states = rows_of(recorded, own, at_s)
    assert "two vehicles were named rov1 between" in capsys.readouterr().err
    together = (at_s >= FROM_S) & (at_s <= TO_S)
    assert not np.isin(states[together], ("ok", "holdover")).any()
    back_s = 3 if "meanwhile" in fault else 0
    sure = (at_s < FROM_S - MARGIN_S - back_s) | (at_s > TO_S + MARGIN_S + back_s)
    for stepped, _ in FAULTS[fault].get("steps", ()):
        sure &= abs(at_s - stepped) > 1
    assert (states[sure] == ("ambiguous" if fault in UNHEARD else "ok")).all(), [
        *zip(at_s[sure], states[sure], strict=True)
    ]
    its = np.arange(FROM_S, TO_S, 0.25)
    assert not np.isin(rows_of(recorded, namesake, its), ("ok", "holdover")).any()


def test_topside_dates_it_by_its_own_clock(tmp_path):
    recorded, _ = session(tmp_path)
    lines = [event for event in recorded.folder.read_events() if event.kind == "duplicate"]
    begun, ended = (each.by_topside for each in lines)
    start_ns = recorded.simulation.topside_clock.realtime_at(recorded.simulation.start_ns)
    assert (ns_from_utc(ended.at) - start_ns) / S == pytest.approx(FROM_S, abs=1)
    assert (ns_from_utc(ended.until) - start_ns) / S == pytest.approx(TO_S, abs=1)
    assert (begun.at_raw_ns, begun.ended, ended.ended) == (ended.at_raw_ns, False, True)
    assert {line.instance_id for line in lines} == {recorded.simulation.topside._namesakes.instance_id}
