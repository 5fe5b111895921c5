"""What the real agents publish beside results: nothing is lost, and nothing outdated stays retained."""

import re
from itertools import pairwise

import pytest

from runtime.clock import Step
from schemas.messages import BurstCommand, ResendCommand
from tests.effort import few
from tests.simulation.simulated import Simulation, wrong
from tests.simulation.simulated_machines import Link, S
from tests.simulation.test_both_agents import FAULTS, jittery
from topside_agent.settings import TopsideSettings


@pytest.mark.parametrize("fault", few(FAULTS))
def test_every_finished_exchange_is_published_and_numbered_without_a_gap(fault):
    simulation = Simulation(FAULTS[fault])
    simulation.run(60)
    simulation.topside.stop()
    simulation.run(61)
    published = simulation.exchanges()
    assert published == simulation.finished()
    assert [exchange.seq for exchange in published] == list(range(len(published)))
    numbers = [batch.batch for _, batch in simulation.batches()]
    assert numbers == list(range(len(numbers)))


def test_a_step_is_reported_by_the_vehicle_and_answered_with_a_burst():
    simulation = Simulation(jittery(), simulated={"steps": (Step(20.1, -3 * S),)})
    simulation.run(30)
    ((at_s, event),) = simulation.events()
    assert 20.1 <= at_s < 20.4
    assert (event.kind, event.step_ms) == ("step", -3000.0)
    after = [exchange for exchange in simulation.exchanges() if _at_s(simulation, exchange) > at_s]
    assert sum(_at_s(simulation, exchange) < at_s + 0.5 for exchange in after) >= 16


@pytest.mark.parametrize("off_s", [0.0, 2.0, 20.0])
def test_a_will_that_comes_after_the_reboot_is_contradicted(off_s):
    simulation = Simulation(jittery())
    simulation.reboot(20, off_s=off_s)
    simulation.run(50)
    assert simulation.status().count("offline") == 1
    assert simulation.status()[-1] == "online"
    assert simulation.broker.retained["tidesync/v1/vehicle/rov1/status"][0] == b"online"
    assert simulation.published()[-1].result.state == "locked"


def test_what_happened_to_the_clock_in_an_outage_is_reported_after_it():
    simulation = Simulation(
        jittery(down=((20, 40),)), simulated={"steps": (Step(30.1, 2 * S), Step(35.1, -S))}
    )
    published = simulation.run(60)
    events = simulation.events()
    assert [event.step_ms for _, event in events] == [2000.0, -1000.0]
    assert all(40 <= at_s < 44 for at_s, _ in events)
    assert wrong([entry for entry in published if entry.at_s < 30 or entry.at_s > 44]) == []
    assert published[-1].result.state == "locked"


def test_results_that_the_topside_could_not_publish_come_after_its_outage():
    simulation = Simulation(settings=TopsideSettings(topside="elsewhere"))
    simulation.add_vehicle("rov1", jittery(), drift_ppm=20.0)
    simulation.add_topside(TopsideSettings(), jittery(down=((20, 40),)))
    published = simulation.run(60)
    assert wrong(published) == []
    assert published[-1].result.state == "locked"
    simulation.topsides["topside"].stop()
    simulation.run(61)
    seqs = [exchange.seq for exchange in simulation.exchanges()]
    assert seqs == list(range(len(seqs)))
    assert len(wrong(simulation.published("elsewhere"))) == 0


@pytest.mark.parametrize("keeps_retained", [True, False])
def test_a_restart_of_the_broker_leaves_everything_as_it_was(keeps_retained):
    simulation = Simulation(jittery(), simulated={"drift_ppm": 20.0})
    simulation.broker.restart(20, off_s=2, keeps_retained=keeps_retained)
    published = simulation.run(50)
    assert wrong(published) == []
    assert published[-1].result.state == "locked"
    seqs = [exchange.seq for exchange in simulation.exchanges()]
    assert seqs == list(range(len(seqs)))
    assert _retained(simulation, "vehicle/rov1/status") == b"online"
    assert _retained(simulation, "topside/topside/status") == b"online"
    assert b'"state":"locked"' in _retained(simulation, "vehicle/rov1/offset/topside")
    assert _retained(simulation, "vehicle/rov1/info") is not None


def test_an_orderly_stop_publishes_what_is_finished_and_says_offline():
    simulation = Simulation(jittery())
    simulation.run(20)
    simulation.topside.stop()
    simulation.vehicles["rov1"].agent.stop()
    simulation.run(30)
    assert _retained(simulation, "topside/topside/status") == b"offline"
    assert _retained(simulation, "vehicle/rov1/status") == b"offline"
    assert simulation.exchanges() == simulation.finished()
    *announced, last = simulation.status()
    assert set(announced) == {"online"}
    assert last == "offline"


def test_a_resend_brings_what_is_asked_for_once_more():
    simulation = Simulation(jittery())
    simulation.command(20, ResendCommand(request_id="a", vehicle="rov1", from_seq=3, to_seq=40))
    simulation.command(21, ResendCommand(request_id="b", vehicle="rov9", from_seq=0, to_seq=9))
    simulation.run(25)
    (again,) = [batch for at_s, batch in simulation.batches() if batch.exchanges[0].seq == 3 and at_s >= 20]
    assert [exchange.seq for exchange in again.exchanges] == list(range(3, 41))
    assert simulation.topside.counts().agent.dropped == {"command": 1}


def test_a_burst_is_measured_at_once():
    simulation = Simulation(jittery())
    simulation.command(20, BurstCommand(request_id="a", vehicle="rov1"))
    simulation.run(25)
    times = [_at_s(simulation, exchange) for exchange in simulation.exchanges()]
    assert sum(20 <= at_s < 20.5 for at_s in times) >= 16


def test_a_vehicle_is_forgotten_when_its_status_is_cleared_and_it_is_silent():
    simulation = Simulation(
        jittery(), settings=TopsideSettings(homeassistant_discovery=True, blueos_mirror=True)
    )
    clear = lambda: simulation.broker.publish("tidesync/v1/vehicle/rov1/status", b"", 1, retain=True)  # noqa: E731
    simulation.at(10, clear)  # it answers: nothing happens
    simulation.run(15)
    assert _retained(simulation, "vehicle/rov1/offset/topside")
    discovery = "homeassistant/device/tidesync_rov1/config"
    assert discovery in simulation.broker.retained
    simulation.vehicles["rov1"].agent.stop()
    simulation.at(30, clear)
    simulation.run(40)
    assert _retained(simulation, "vehicle/rov1/offset/topside") is None
    assert discovery not in simulation.broker.retained
    assert simulation.exchanges() != []
    assert simulation.topside.counts().vehicles == []
    simulation.add_vehicle("rov1", jittery())
    simulation.run(50)
    assert simulation.published()[-1].result.state == "locked"
    assert discovery in simulation.broker.retained


def test_home_assistant_and_blueos_get_their_messages():
    simulation = Simulation(
        jittery(), settings=TopsideSettings(homeassistant_discovery=True, blueos_mirror=True)
    )
    simulation.broker.restart(20)
    simulation.run(40)
    others = [topic for topic, _, _ in simulation.broker.others]
    assert others.count("homeassistant/device/tidesync_rov1/config") == 2  # once a connection
    assert 35 <= others.count("blueos/ext/tidesync-topside/json") <= 41
    assert "homeassistant/device/tidesync_rov1/config" in simulation.broker.retained
    assert "blueos/ext/tidesync-topside/json" not in simulation.broker.retained


def test_forged_replayed_and_invalid_messages_change_nothing():
    simulation = Simulation(jittery(), simulated={"offset_ns": -S, "drift_ppm": 20.0})
    vehicle, heard = "tidesync/v1/vehicle/rov1", {}

    def replay():
        """Everything that was published a while ago, and what was never a message."""
        for topic, payload in list(heard.items()):
            simulation.broker.publish(topic, payload, 0, retain=False)
        for level in ("ping/topside", "pong/topside", "status", "info", "event", "pong/another", "none"):
            simulation.broker.forge(f"{vehicle}/{level}", b'{"rubbish": 1}')
        pong = heard.get(f"{vehicle}/pong/topside", b"{}")
        forged = re.sub(rb'"nonce":"\w+"', b'"nonce":"0000000000000000"', pong)
        simulation.broker.forge(f"{vehicle}/pong/topside", forged)

    def note():
        exchange = [m for m in simulation.broker.log[-40:] if m.topic.kind.name in {"ping", "pong"}]
        heard.update({message.name: message.payload for message in exchange})

    for tenth in range(50, 500):
        simulation.at(tenth / 10, note if tenth % 20 == 0 else replay)
    published = simulation.run(60)
    assert wrong(published) == []
    assert {entry.result.error for entry in published} == {None}
    assert published[-1].result.state == "locked"
    dropped = simulation.topside.counts().agent.dropped
    assert dropped["unknown_nonce"] > 400
    assert dropped["invalid"] > 400
    assert [each.seq for each in simulation.exchanges()] == list(range(len(simulation.exchanges())))


def test_the_same_seed_gives_the_same_messages():
    def messages(seed):
        simulation = Simulation(FAULTS["reorder"], seed=seed, simulated={"boot_id": "one"})
        simulation.run(20)
        return [(m.at_s, m.topic) for m in simulation.broker.log]

    assert messages(1) == messages(1)
    assert messages(1) != messages(2)


@pytest.mark.slow
def test_the_steady_pings_of_a_fleet_never_pile_up():
    simulation = Simulation()
    for number in range(20):
        simulation.add_vehicle(f"rov{number}", Link())
    simulation.run(30)
    pings = [m.at_s for m in simulation.broker.log if m.topic.kind.name == "ping" and m.at_s > 10]
    assert len(pings) == pytest.approx(20 * 4 * 20, rel=0.05)
    gaps = [after - before for before, after in pairwise(sorted(pings))]
    assert max(gaps) < 0.1


def _retained(simulation, level):
    return simulation.broker.retained.get(f"tidesync/v1/{level}", (None,))[0]


def _at_s(simulation, exchange):
    raw_ns = exchange.destination_ns - exchange.topside_realtime_minus_raw_ns
    return (raw_ns - simulation.start_ns) / S
