"""The benchmark of costs: a small fleet is counted and measured; limits fail where they are broken."""

import pytest

from bench.cost.agent import Agent
from bench.cost.document import Figures, document, line_through
from bench.cost.fleet import Fleet
from bench.cost.large import CASES, Case, Large, as_reported, large
from bench.cost.pairs import Pair, pairs
from bench.cost.parts import Part, parts
from bench.cost.read import read_figures
from bench.cost.run import judged, with_large
from bench.cost.scale import Load, Size, load
from bench.cost.verdicts import verdicts
from bench.tables import tell
from broker.client.packets import PacketReader, publish_packet, read_publish
from schemas.messages import Ping, Pong
from tests.network.brokers import MOSQUITTO

needs_mosquitto = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")

THRIFTY = Agent(39.0, 37.5, 0.3, 0.28, 0.02)


def made(vehicles, topside_us, achieved=1.0):
    return Load(vehicles, 1.0, achieved * vehicles, topside_us, 50.0, 50.0, 60.0)


def pair(name, pi_us):
    return Pair(name, 100, 200.0, pi_us, 50.0, 39.0)


@needs_mosquitto
def test_a_small_fleet_is_answered_at_the_pace_asked_for_and_measured():
    measured = load(Size(5, 4.0), seconds=2.0)
    assert 0.5 < measured.pace < 1.5  # of 40 exchanges a busy machine makes some later
    assert 10 < measured.topside_us < 50_000
    assert 1 < measured.broker_us < 50_000
    assert measured.topside_mb > 20


@needs_mosquitto
def test_three_pairs_exchange_in_the_same_seconds():
    found = {pair.name: pair for pair in pairs(2.0)}
    assert set(found) == {"ours", "paho", "asyncio, no MQTT"}
    for one in found.values():
        assert 10 <= one.exchanges <= 24  # of 20
        assert min(one.topside_us, one.pi_us) > 1
    assert found["asyncio, no MQTT"].pi_us < found["ours"].pi_us


def test_a_thrifty_run_keeps_every_limit():
    loads = [made(1, 900), made(100, 150), made(1000, 140)]
    found = verdicts([pair("ours", 200), pair("paho", 250)], THRIFTY, loads)
    assert len(found) == 6
    assert all(verdict.kept for verdict in found)


@pytest.mark.parametrize(
    ("loads", "agent", "pi_us", "broken"),
    [
        ([made(100, 250)], THRIFTY, 200, "CPU per exchange, 100"),
        ([made(100, 100), made(1000, 150)], THRIFTY, 200, "1000 vehicles to 100"),
        ([made(1000, 100, achieved=0.9)], THRIFTY, 200, "not made"),
        ([], THRIFTY._replace(memory_mb=45.0), 200, "resident memory"),
        ([], THRIFTY._replace(online_s=0.6), 200, "start to online"),
        ([], THRIFTY, 300, "no more than plain paho's"),
    ],
)
def test_a_broken_limit_is_named(loads, agent, pi_us, broken):
    found = verdicts([pair("ours", pi_us), pair("paho", 250)], agent, loads)
    failed = [verdict.promise for verdict in found if not verdict.kept]
    assert len(failed) == 1
    assert broken in failed[0]


def test_the_line_tells_what_is_spent_at_rest_from_what_an_exchange_costs():
    loads = [made(vehicles, 100 + 2000 / vehicles) for vehicles in (1, 10, 100, 1000)]
    rest_us, exchange_us = line_through(loads)
    assert rest_us == pytest.approx(2000)
    assert exchange_us == pytest.approx(100)
    assert line_through(loads[:1]) is None


def test_the_page_holds_all_parts():
    loads = [made(1, 900), made(100, 150)]
    some = [Part("decode a pong", 3.0, 1.0, 0.0), Part("poll", 2.0, 2.0, 1.0)]
    figures = Figures("a machine", 0.5, 2.0, 0.0, [pair("ours", 200)], THRIFTY, loads, some, [])
    page = document(figures)
    for part in ("One vehicle", "by itself", "A fleet", "us a second at rest", "Where it goes"):
        assert part in page
    sums = next(line for line in page.splitlines() if "sum, us" in line)
    assert [cell.strip() for cell in sums.split("|")[3:5]] == ["7", "2"]


def test_every_part_is_measured_and_the_vehicles_are_the_least_of_it():
    found = parts()
    assert all(0 < part.us < 50_000 for part in found)
    assert any("decode a pong" in part.name for part in found)
    assert sum(part.us * part.pi for part in found) < sum(part.us * part.topside for part in found)


def aged(name="1000", topside_us=90.0, as_reported=1.0, timeouts=0, vehicle_mb=0.1):
    case = CASES[name]
    return Large(
        name=name,
        **case._asdict(),
        load_before=0.1,
        achieved_hz=float(case.vehicles),
        topside_us=topside_us,
        broker_us=30.0,
        fleet_us=30.0,
        most_busy=0.1,
        vehicle_mb=vehicle_mb,
        reported_hz=1.0,
        as_reported=as_reported,
        timeouts=timeouts,
    )


@pytest.mark.parametrize(
    ("larges", "broken"),
    [
        ([aged(), aged("3000"), aged("group", 110)], None),
        ([aged(topside_us=101)], "CPU per exchange, 1000"),
        ([aged(vehicle_mb=0.13)], "memory for each"),
        ([aged("3000", as_reported=0.999)], "as often as reported, 3000 vehicles, 1 topside"),
        ([aged("3000", timeouts=1)], "time-outs, 3000"),
        ([aged(), aged("group", 113)], "3000 vehicles with 3 topsides"),
    ],
)
def test_the_limits_of_large_fleets(larges, broken):
    failed = [verdict.promise for verdict in verdicts([], None, [], larges) if not verdict.kept]
    assert len(failed) == (broken is not None)
    assert broken is None or broken in failed[0]


def test_a_large_fleet_that_is_measured_again_replaces_its_row_alone(tmp_path, monkeypatch):
    path = tmp_path / "figures.json"
    first = Figures("a machine", 0.5, 2.0, 0.0, [pair("ours", 200)], THRIFTY, [made(1, 900)], [], [])
    tell(judged(first._replace(larges=[aged("1000"), aged("3000")])), "", None, path)
    monkeypatch.setattr("bench.cost.run.large", lambda name, case: aged(name, topside_us=case.age_s))
    again = with_large(read_figures(path), ["3000"], 7.0)
    assert (again.pairs, again.agent, again.loads) == (first.pairs, first.agent, first.loads)
    assert [(each.name, each.topside_us) for each in again.larges] == [("1000", 90.0), ("3000", 7.0)]
    assert "Fleets of thousands" in document(again)


def test_a_vehicle_is_measured_as_often_as_reported_within_a_tenth():
    reported = {0: 1.0, 1: 1.0, 2: 0.5, 3: None}
    assert as_reported(reported, [100, 89, 46, 100, 100], 100.0) == 0.4


def test_the_fleets_stand_in_answers_as_a_vehicle_does():
    counts = [0] * 8
    ping = Ping(seq=3, nonce="9f1c000000000000", origin_ns=5)
    packet = publish_packet(b"tidesync/v1/vehicle/rov6/ping/a", ping.encode())
    (answer,) = PacketReader().feed(Fleet(counts).answers(b"\x20\x02\x00\x00" + packet))
    topic, payload, *_ = read_publish(answer)
    pong = Pong.decode(payload)
    assert (topic, pong.seq, pong.nonce) == (b"tidesync/v1/vehicle/rov6/pong/a", ping.seq, ping.nonce)
    assert pong.receive_ns <= pong.transmit_ns
    assert counts == [1, 0, 0, 0, 0, 0, 0, 1]


@needs_mosquitto
def test_three_topsides_share_a_small_fleet_and_say_how_often_they_measure():
    measured = large("group", Case(12, 3, 1.0), cost_s=2.0, reported_s=6.0)
    assert 0 < measured.achieved_hz < 24
    assert 0 < measured.reported_hz <= 1.0  # a busy machine lowers the rate meanwhile
    assert 0 <= measured.as_reported <= 1
    assert min(measured.topside_us, measured.broker_us, measured.fleet_us) > 1
