"""`tidesync pair` at a broker: what topsides publish just now, and one on the computer of a vehicle."""

import json
from contextlib import ExitStack

import pytest

from broker.interface import Outgoing
from broker.settings import ConnectionSettings
from tests.command_line import tidesync
from tests.deadline import until
from tests.network.boats import Boat
from tests.network.direct_boats import Listener
from tests.network.running import running
from tests.network.secured import SecuredBroker
from topside_agent.group.agent import GroupAgent
from topside_agent.settings import TopsideSettings

OFFSETS_NS = {"rov1": -150_000_000, "rov2": 2_500_000_000}
APART_NS = OFFSETS_NS["rov2"] - OFFSETS_NS["rov1"]


def begin(boat):
    for name, offset_ns in OFFSETS_NS.items():
        boat.vehicle(name, offset_ns=offset_ns)
    return boat.topside()


def on_rov1(boat, **connection):
    """A topside on that vehicle's computer: its clock is the vehicle's."""
    settings = {"broker": boat.url} | connection
    made = TopsideSettings(topside="on-rov1", vehicle=("rov2",), for_pair=True, **settings)
    return boat.start(GroupAgent(made, boat.clocks["rov1"]))


def measured(topside, *vehicles):
    return {each.vehicle for each in topside.counts().vehicles if each.paths.get("udp")} >= {*vehicles}


def paired(*options):
    """What is printed where the offset is known directly too; None where a busy machine made too little."""
    done = tidesync("pair", "rov1", "rov2", *options, "--for-s", "4", "--every-s", "0.2", "--json")
    assert "contradict" not in done.stderr
    document = json.loads(done.stdout) if done.stdout else None
    return document if document and document["direct"] else None


def test_the_offset_is_that_of_now_over_topside_and_directly(mosquitto_boat):
    topside = begin(mosquitto_boat)
    host = on_rov1(mosquitto_boat)
    until(lambda: measured(topside, "rov1", "rov2") and measured(host, "rov2"), what="direct exchanges")
    document = until(lambda: paired("--broker", mosquitto_boat.url), what="the offset, directly too")
    assert (document["direct"]["topside"], document["direct"]["host"]) == ("on-rov1", "rov1")
    assert document["loop"]["worst_share"] <= 1
    assert document["direct"]["loop"]["instants"] > 0
    for each in document["instants"]:
        assert abs(each["offset_ns"] - APART_NS) <= each["max_error_ns"]
        if each["direct_offset_ns"] is not None:
            assert abs(each["direct_offset_ns"] - APART_NS) <= each["direct_max_error_ns"]


def test_a_vehicle_that_nobody_measures_is_named(mosquitto_boat):
    mosquitto_boat.vehicle("rov1")
    mosquitto_boat.topside()
    done = tidesync("pair", "rov1", "rov2", "--for-s", "2", "--broker", mosquitto_boat.url)
    assert done.returncode == 1
    assert "no exchange of" in done.stderr
    assert "rov2" in done.stderr


@pytest.fixture
def secured(tmp_path):
    broker = SecuredBroker(tmp_path)
    for role, name, *more in (
        ("vehicle", "rov1"),
        ("vehicle", "rov2"),
        ("vehicle", "rov3"),
        ("topside", "on-rov1", "--for-pair", "rov2"),
        ("operator", "op"),
        ("dashboard", "view"),
    ):
        broker.add(role, name, *more)
    with running(broker):
        yield broker


def test_an_account_for_pairs_measures_that_vehicle_publishes_no_result_and_no_other_reads_its_keys(secured):
    with ExitStack() as stack:
        boat = Boat(secured.url, stack)

        def listener(account, kind):
            made = Listener(ConnectionSettings(**secured.account(account)), kind)
            boat.start(made.connection)
            assert made.connection.wait_until_up(60)
            return made

        thieves = [listener(name, "udp_answer") for name in ("rov1", "rov3", "view", "op")]
        results, exchanges = listener("op", "offset"), listener("op", "exchange")
        for name in ("rov2", "rov3"):
            boat.connection = secured.account(name)
            boat.vehicle(name)
        boat.connection = secured.account("rov1")
        boat.vehicle("rov1")
        host = on_rov1(boat, **secured.account("on-rov1"))
        until(lambda: measured(host, "rov2"), what="direct exchanges")
        until(lambda: exchanges.heard, what="what it publishes")
        forged = [f"tidesync/v1/vehicle/{name}/offset/on-rov1" for name in ("rov2", "rov3")]
        host._connection.post(lambda: host._connection.publish(*(Outgoing(each, b"{}") for each in forged)))
        before = len(exchanges.heard)
        until(lambda: len(exchanges.heard) > before + 2, what="more of it")
        assert results.heard == []
        assert [message for each in thieves for message in each.heard] == []
