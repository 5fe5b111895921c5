"""The offset between two vehicles as a topside on the computer of one of them measures it."""

import json
import math

import pytest

from schemas import topics
from tests.command_line import tidesync
from tests.simulation.simulated import Simulation, jitter
from tests.simulation.simulated_machines import Link, S
from tests.simulation.simulated_udp import DirectLink
from tests.simulation.test_two_paths import FAR
from tidesync.library.pair import pair
from tidesync.library.session import open_session
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.heard import Heard
from tidesync.sessions.journal import lines_of
from topside_agent.settings import TopsideSettings

ON_ROV1 = TopsideSettings(topside="on-rov1", vehicle=("rov2",), for_pair=True)
NAMES = ("rov1", "rov2")


class Pair:
    """Two vehicles with a far broker, which reach each other; a topside on the first's computer."""

    def __init__(self, *, seed=1, **rov2):
        delay = jitter(0.1, 0.02)
        self.simulation = Simulation(seed=seed)  # the surface's topside has no direct path
        self.simulation.direct = DirectLink(out_ns=delay, back_ns=delay)
        self.simulation.add_vehicle("rov1", Link(**FAR), offset_ns=-1_234_567_000, drift_ppm=18.0)
        self.simulation.add_vehicle("rov2", Link(**FAR), **({"offset_ns": 42 * S, "drift_ppm": -35.0} | rov2))
        self.host()

    def host(self):
        """Start the topside on the first vehicle's computer."""
        self.simulation.topside_clock = self.simulation.vehicles["rov1"].clock
        self.on_rov1 = self.simulation.add_topside(ON_ROV1, Link(**FAR))

    def session(self, folder, *, changed=lambda each: each):
        """What a recorder or `tidesync pair` hears, as a session."""
        heard = Heard(NAMES)
        for message in self.simulation.broker.log:
            heard.take(message.topic, message.body)
        heard.write(SessionFolder(folder))
        exchanges = [changed(each) for each in heard._exchanges.values()]
        SessionFolder(folder).exchanges_path.write_bytes(lines_of(exchanges))
        return open_session(folder, max_error_ms=10_000.0)

    def when(self, stamp_ns):
        """When, on topside's clock, the first vehicle's showed that."""
        clock, difference_ns = self.simulation.vehicles["rov1"].clock, self.simulation.clock.difference_ns
        at_raw_ns = stamp_ns - difference_ns
        for _ in range(4):
            at_raw_ns += stamp_ns - clock.realtime_at(at_raw_ns)
        return at_raw_ns + difference_ns

    def since_start_s(self, topside_unix_ns):
        return (topside_unix_ns - self.simulation.clock.difference_ns - self.simulation.start_ns) / S

    def true_ns(self, topside_unix_ns):
        at_raw_ns = topside_unix_ns - self.simulation.clock.difference_ns
        one, other = (self.simulation.stamp_ns(at_raw_ns, name) for name in NAMES)
        return None if one is None or other is None else other - one

    def wrong(self, found, direct):
        """Instants at which an offset is not within its bound of the truth."""
        given = found.direct if direct else found
        at = (
            [self.when(ns) for ns in given.host_unix_ns.tolist()]
            if direct
            else found.topside_unix_ns.tolist()
        )
        rows = zip(at, given.offset_ns.tolist(), given.max_error_ns.tolist(), strict=True)
        return [
            (at_ns, offset_ns, max_error_ns)
            for at_ns, offset_ns, max_error_ns in rows
            if not math.isnan(max_error_ns) and not abs(offset_ns - self.true_ns(at_ns)) <= max_error_ns + 1
        ]


@pytest.fixture(scope="module")
def apart():
    made = Pair()
    made.simulation.run(40)
    return made


def test_it_is_within_a_bound_that_owes_nothing_to_the_broker_and_the_loop_closes(apart, tmp_path):
    found = pair(apart.session(tmp_path), *NAMES, every_s=0.3)
    assert apart.wrong(found, direct=False) == apart.wrong(found, direct=True) == []
    known = found.direct.known
    assert (found.direct.topside, found.direct.host) == ("on-rov1", "rov1")
    assert known.sum() > 80
    assert found.max_error_ns[known].min() > 50e6
    assert sorted(found.direct.max_error_ns[known])[known.sum() // 2] < 0.3e6
    assert 0 <= found.direct_loop.worst_share <= 1


def test_the_other_way_round_it_is_the_negative(apart, tmp_path):
    session = apart.session(tmp_path)
    there, back = pair(session, *NAMES), pair(session, *NAMES[::-1])
    assert (there.direct.offset_ns == -back.direct.offset_ns).all()
    assert back.direct.host == "rov1"


def test_one_that_runs_elsewhere_is_not_taken_for_it(apart, tmp_path):
    def elsewhere(each):
        moved = {"topside_boot_id": "another computer"} if each.topside == "on-rov1" else {}
        return each.model_copy(update=moved)

    session = apart.session(tmp_path, changed=elsewhere).of_topside("topside")
    assert pair(session, *NAMES).direct is None


def test_a_loop_that_does_not_close_is_said_and_is_exit_code_1(apart, tmp_path):
    def lies(each):
        if each.topside != "on-rov1":
            return each
        moved = {name: getattr(each, name) + S for name in ("receive_ns", "transmit_ns")}
        return each.model_copy(update=moved | {"pi_realtime_minus_raw_ns": each.pi_realtime_minus_raw_ns + S})

    apart.session(tmp_path, changed=lies)
    (tmp_path / "time_sync" / "clock.jsonl").unlink()
    done = tidesync("pair", *NAMES, str(tmp_path), "--json")
    assert done.returncode == 1
    assert "the way rov1, topside, rov2 ends" in done.stderr
    assert json.loads(done.stdout)["direct"]["loop"]["worst_share"] > 1


def test_the_command_prints_both(apart, tmp_path):
    apart.session(tmp_path)
    done = tidesync("pair", *NAMES, str(tmp_path), "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    last = document["instants"][-2]
    true_ns = apart.true_ns(apart.when(last["host_unix_ns"]))
    assert document["direct"]["host"] == "rov1"
    assert abs(last["direct_offset_ns"] - true_ns) <= last["direct_max_error_ns"]
    text = tidesync("pair", *NAMES, str(tmp_path))
    assert "Directly, by topside on-rov1 on the computer of rov1:\nrov2 is 43" in text.stdout
    assert "(the clock of rov1)" in text.stdout


def test_it_publishes_no_result_that_others_would_take_for_the_surfaces(apart):
    sent = {each.topic.kind for each in apart.simulation.broker.log if each.topic.topside == "on-rov1"}
    assert topics.EXCHANGE in sent
    assert not {topics.OFFSET, topics.TOPSIDE_MEMBER} & sent


def test_what_it_measured_corrects_no_table_where_the_surface_measured_too(apart, tmp_path):
    """Although it may have made more exchanges: its time is a vehicle's."""
    seen = []

    def thinned(each):
        seen.append(each)
        return each

    session = apart.session(tmp_path, changed=thinned)
    assert sum(each.topside == "on-rov1" for each in seen) > 100
    assert session.measured_by("rov2").keys() == {"topside"}


def rebooted(name, offset_s, *, at_s=20, off_s=3):
    """With the vehicle's clock elsewhere afterwards; the topside on its computer ends and starts with it."""
    made = Pair()
    made.simulation.reboot(at_s, off_s=off_s, name=name, offset_ns=offset_s * S, drift_ppm=11.0)
    if name == "rov1":

        def end():
            made.on_rov1.machine.on = False
            made.on_rov1.simulated.vanish()

        made.simulation.at(at_s, end)
        made.simulation.at(at_s + off_s + 1, made.host)
    made.simulation.run(50)
    return made


@pytest.mark.parametrize(("name", "offset_s"), [("rov1", 30), ("rov1", -7), ("rov2", 90), ("rov2", -7)])
def test_after_a_reboot_of_either_it_is_right_or_not_given(name, offset_s, tmp_path):
    """A clock that shows again what it showed before is one whose times may mean two instants."""
    made = rebooted(name, offset_s)
    found = pair(made.session(tmp_path), *NAMES, every_s=0.3)
    at_s = [made.since_start_s(ns) for ns in found.topside_unix_ns.tolist()]
    known_s = [at for at, known in zip(at_s, found.direct.known.tolist(), strict=True) if known]
    if offset_s > 0:
        assert min(at_s) < 15
        assert min(known_s) < 15
        assert max(known_s) > 40
    assert made.wrong(found, direct=False) == []
    allowed_ns = found.direct.max_error_ns + found.direct.moved_ns
    for at_ns, offset_ns, most_ns in zip(
        found.topside_unix_ns.tolist(), found.direct.offset_ns.tolist(), allowed_ns.tolist(), strict=True
    ):
        if not math.isnan(most_ns):
            assert abs(offset_ns - made.true_ns(at_ns)) <= most_ns
    assert found.loop.worst_share <= 1
    assert found.direct_loop.worst_share <= 1
