"""The offset between two vehicles, as one topside measured both: within its bound, and the loop closes."""

import json

import pytest

from tests.command_line import tidesync
from tests.simulation.simulated import Simulation, jitter
from tests.simulation.simulated_machines import Link, S
from tests.simulation.simulated_udp import DirectLink
from tidesync.library.pair import pair
from tidesync.library.session import open_session
from tidesync.sessions.errors import NothingMeasuredError, UsageError
from tidesync.sessions.journal import lines_of
from topside_agent.settings import TopsideSettings


class Recorded:
    """Two vehicles, one of them over the broker alone, and the truth."""

    def __init__(self, folder):
        link = Link(to_ns=jitter(1, 0.3), from_ns=jitter(1, 0.3))
        delay = jitter(0.1, 0.02)
        self.simulation = Simulation(
            link,
            simulated={"offset_ns": -1_234_567_000, "drift_ppm": 18.0},
            direct=DirectLink(out_ns=delay, back_ns=delay),
        )
        rov2 = self.simulation.add_vehicle("rov2", link, offset_ns=42 * S, drift_ppm=-35.0)
        rov2.agent.direct.service = None
        self.simulation.run(60)
        exchanges = [each for name in ("rov1", "rov2") for each in self.simulation.exchanges(vehicle=name)]
        (folder / "time_sync").mkdir()
        (folder / "time_sync" / "exchanges.jsonl").write_bytes(lines_of(exchanges))
        self.folder, self.session = folder, open_session(folder)

    def true_ns(self, topside_unix_ns):
        at_raw_ns = topside_unix_ns - self.simulation.clock.difference_ns
        one, other = (
            self.simulation.vehicles[name].clock.realtime_at(at_raw_ns) for name in ("rov1", "rov2")
        )
        return other - one


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    return Recorded(tmp_path_factory.mktemp("session"))


def test_the_offset_between_two_vehicles_is_within_its_bound_and_the_loop_closes(recorded):
    found = pair(recorded.session, "rov1", "rov2", every_s=0.5)
    assert found.offset_ns.size > 80
    for at_ns, offset_ns, max_error_ns in zip(
        found.topside_unix_ns.tolist(), found.offset_ns.tolist(), found.max_error_ns.tolist(), strict=True
    ):
        assert abs(offset_ns - recorded.true_ns(at_ns)) <= max_error_ns
    assert 0 < found.max_error_ns.max() < 3e6
    assert found.loop.instants > 80
    assert 0 <= found.loop.worst_share <= 1


def test_it_is_the_negative_of_the_other_way_round(recorded):
    there, back = (pair(recorded.session, *names) for names in (("rov1", "rov2"), ("rov2", "rov1")))
    assert (there.offset_ns == -back.offset_ns).all()
    assert (there.max_error_ns == back.max_error_ns).all()


def test_the_command_prints_it(recorded):
    done = tidesync("pair", "rov1", "rov2", str(recorded.folder), "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    last = document["instants"][-1]
    assert abs(last["offset_ns"] - recorded.true_ns(last["topside_unix_ns"])) <= last["max_error_ns"]
    text = tidesync("pair", "rov1", "rov2", str(recorded.folder))
    assert text.returncode == 0
    assert "rov2 is 43" in text.stdout
    assert "ahead of rov1" in text.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("rov1", "rov1"), 2, "received 'rov1' twice"),
        (("rov1", "rov9"), 1, "rov9"),
        (("rov1", "rov2", "--every-s", "0"), 2, "every_s"),
        (("ROV 1", "rov2"), 2, "VEHICLE"),
    ],
)
def test_what_cannot_be_answered_is_one_line(recorded, arguments, code, words):
    done = tidesync("pair", *arguments[:2], str(recorded.folder), *arguments[2:])
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_vehicles_of_different_surface_computers_are_refused(recorded, monkeypatch):
    monkeypatch.setattr(
        type(recorded.session), "measured_by", lambda _self, vehicle: {f"boot of {vehicle}": (0, S)}
    )
    with pytest.raises(UsageError, match="different computers"):
        pair(recorded.session, "rov1", "rov2")


def test_two_that_were_not_measured_at_the_same_time_have_none(tmp_path):
    simulation = Simulation(Link.instant(), settings=TopsideSettings(rate=4))
    simulation.run(10)
    first = simulation.exchanges()
    later = [
        each.model_copy(
            update={"vehicle": "rov2"}
            | {
                name: getattr(each, name) + 100 * S
                for name in ("origin_ns", "destination_ns", "receive_ns", "transmit_ns")
            }
        )
        for each in first
    ]
    (tmp_path / "time_sync").mkdir()
    (tmp_path / "time_sync" / "exchanges.jsonl").write_bytes(lines_of([*first, *later]))
    with pytest.raises(NothingMeasuredError, match="same time"):
        pair(open_session(tmp_path), "rov1", "rov2")


def test_an_instant_of_two_computers_is_not_one_instant(tmp_path):
    """Each measures one vehicle in the first half and the other one in the second, by a clock of its own."""
    simulation = Simulation(Link.instant(), settings=TopsideSettings(rate=4))
    simulation.run(20)
    first = simulation.exchanges()
    middle_ns = (first[0].destination_ns + first[-1].destination_ns) // 2
    moved = dict.fromkeys(("origin_ns", "destination_ns", "topside_realtime_minus_raw_ns"), 3 * S)

    def made(each, vehicle, *, backup):
        values = {name: getattr(each, name) + ns for name, ns in moved.items() if backup}
        boot = {"topside_boot_id": "backup", "instance_id": "other"} if backup else {}
        return each.model_copy(update={"vehicle": vehicle} | values | boot)

    early = [each for each in first if each.destination_ns < middle_ns]
    late = [each for each in first if each.destination_ns >= middle_ns]
    exchanges = [made(each, "rov1", backup=each in late) for each in first]
    exchanges += [made(each, "rov2", backup=each in early) for each in first]
    (tmp_path / "time_sync").mkdir()
    (tmp_path / "time_sync" / "exchanges.jsonl").write_bytes(lines_of(exchanges))
    with pytest.raises(NothingMeasuredError, match="same time"):
        pair(open_session(tmp_path), "rov1", "rov2")
