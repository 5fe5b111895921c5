"""Accounts and ACL on a real mosquitto: every role can do its work, and nothing of anyone else's."""

import json
import shutil
from contextlib import ExitStack

import pytest

from broker.settings import ConnectionSettings
from tests.command_line import tidesync
from tests.deadline import until
from tests.intruder import ROOT, Intruder, TopicReader
from tests.network.boats import Boat
from tests.network.brokers import MOSQUITTO
from tests.network.recording import assert_offset, until_written
from tests.network.secured import SecuredBroker
from tidesync.sessions.recorder.agent import RecorderAgent
from tidesync.sessions.recorder.settings import RecorderSettings
from topside_agent.group.ownership import ranked

S = 1_000_000_000
ACCOUNTS = {
    "rov1": "vehicle",
    "rov2": "vehicle",
    "laptop": "topside",
    "tablet": "topside",
    "recorder": "recorder",
    "viewer": "dashboard",
    "operator": "operator",
}
OF_A_VEHICLE = [
    "status",
    "info",
    "event",
    *(
        f"{kind}/{topside}"
        for kind in ("ping", "pong", "udp_request", "udp_answer", "exchange", "offset")
        for topside in ("laptop", "tablet")
    ),
]
EVERY_TOPIC = {
    *(f"vehicle/{vehicle}/{rest}" for vehicle in ("rov1", "rov2") for rest in OF_A_VEHICLE),
    *(
        f"topside/{topside}/{rest}"
        for topside in ("laptop", "tablet")
        for rest in ("status", "command", "member", "heartbeat")
    ),
    "session/s1/command",
    "session/s1/state",
}
VEHICLES = ("rov1", "rov2")
TOPSIDES = ("laptop", "tablet")
SHOWN = {
    *(f"vehicle/{vehicle}/{rest}" for vehicle in VEHICLES for rest in ("status", "info", "event")),
    *(
        f"vehicle/{vehicle}/{kind}/{topside}"
        for vehicle in VEHICLES
        for kind in ("exchange", "offset")
        for topside in TOPSIDES
    ),
    *(f"topside/{topside}/status" for topside in TOPSIDES),
    "session/s1/state",
}
MEMBERS = {f"topside/{topside}/{rest}" for topside in TOPSIDES for rest in ("member", "heartbeat")}
# Written out by hand, not made from the topic table: what is in neither set is forbidden.
MAY_PUBLISH = {
    "rov2": {
        *(f"vehicle/rov2/{rest}" for rest in ("status", "info", "event")),
        *(f"vehicle/rov2/{kind}/{topside}" for kind in ("pong", "udp_answer") for topside in TOPSIDES),
    },
    "laptop": {
        *(
            f"vehicle/{vehicle}/{kind}/laptop"
            for vehicle in VEHICLES
            for kind in ("ping", "udp_request", "exchange", "offset")
        ),
        *(f"topside/laptop/{rest}" for rest in ("status", "member", "heartbeat")),
    },
    "recorder": {"topside/laptop/command", "topside/tablet/command", "session/s1/state"},
    "viewer": set(),
    "operator": {"topside/laptop/command", "topside/tablet/command", "session/s1/command"},
}
MAY_READ = {
    "rov2": {
        *(f"vehicle/rov2/{rest}" for rest in ("status", "info")),
        *(f"vehicle/rov2/{kind}/{topside}" for kind in ("ping", "udp_request") for topside in TOPSIDES),
        *(f"topside/{topside}/status" for topside in TOPSIDES),
    },
    "laptop": {
        *(
            f"vehicle/{vehicle}/{rest}"
            for vehicle in VEHICLES
            for rest in ("status", "info", "event", "pong/laptop", "udp_answer/laptop")
        ),
        *(
            f"vehicle/{vehicle}/{kind}/{topside}"
            for vehicle in VEHICLES
            for kind in ("exchange", "offset")
            for topside in TOPSIDES
        ),
        "topside/laptop/command",
        "topside/laptop/status",
        *MEMBERS,
    },
    "recorder": (SHOWN - {f"vehicle/{vehicle}/{rest}" for vehicle in VEHICLES for rest in ("status", "info")})
    - {"session/s1/state"}
    | {"session/s1/command"},
    "viewer": SHOWN | MEMBERS,
    "operator": SHOWN | MEMBERS,
}
WILDCARDS = [
    "#",
    "tidesync/#",
    "tidesync/v1/vehicle/+/#",
    "+/+/+/+/+/+",
    "$SYS/#",
    "$share/all/tidesync/v1/#",
]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """A folder with all accounts, made once."""
    if MOSQUITTO is None:
        pytest.skip("mosquitto is not installed")
    made = SecuredBroker(tmp_path_factory.mktemp("fleet"))
    for name, role in ACCOUNTS.items():
        made.add(role, name)
    return made.folder


@pytest.fixture
def secured(fleet, tmp_path):
    shutil.copytree(fleet, tmp_path, dirs_exist_ok=True)
    running = SecuredBroker(tmp_path)
    yield running
    running.stop()


@pytest.fixture
def boat(secured):
    secured.start()
    with ExitStack() as stack:
        yield Boat(secured.url, stack)


@pytest.fixture
def checker(secured):
    """One who sees everything, on a running broker that also knows the accounts."""
    secured.add("operator", "checker")
    with (secured.config / "acl").open("a") as acl:
        acl.write(TopicReader.ACL)
    secured.start()
    made = TopicReader(secured.url, "checker", secured.password("checker"))
    made.subscribe("#")
    yield made
    made.end()


def enter(secured, name, **more):
    return Intruder(secured.url, name, secured.password(name), **more)


def ours(topics):
    return {ROOT + topic for topic in topics}


def test_a_boat_with_an_account_for_each_measures_and_records(secured, boat, tmp_path):
    root = tmp_path / "dives"
    boat.connection = secured.account("viewer")
    checker = boat.checker()
    boat.connection = secured.account("rov1")
    boat.vehicle("rov1", offset_ns=-3 * S)
    boat.connection = secured.account("rov2")
    boat.vehicle("rov2", offset_ns=45 * S, drift_ppm=25.0)
    boat.connection = secured.account("laptop")
    boat.topside(topside="laptop")
    boat.start(RecorderAgent(RecorderSettings(**secured.account("recorder"), root=root), boat.clock))
    for vehicle in ("rov1", "rov2"):
        checker.until_state(vehicle, "locked", 15)
    until(lambda: checker.topside_is_online, 5, "the topside's status, read by a dashboard")

    session = ("--mission", "reef-42", "--name", "s1", "--sensor", "inWater=rov1")
    started = tidesync("session", "start", *session, *secured.options("operator"))
    assert started.returncode == 0, started.stderr
    written = root / "reef-42" / "session_s1" / "time_sync" / "exchanges.jsonl"
    until(lambda: written.exists() and written.read_bytes().count(b"\n") >= 10, 20, "exchanges recorded")
    stopped = tidesync("session", "stop", "s1", *secured.options("operator"))
    assert stopped.returncode == 0, stopped.stderr
    until_written(root / "reef-42" / "session_s1")
    metadata = json.loads((root / "reef-42" / "session_s1" / "sync_metadata.json").read_bytes())
    assert_offset(metadata["timeSync"]["inWater"], -3000)

    shown = tidesync("status", "--json", *secured.options("operator"))
    assert shown.returncode == 0, shown.stderr
    assert [row["vehicle"] for row in json.loads(shown.stdout)["vehicles"]] == ["rov1", "rov2"]
    assert [row["session"] for row in json.loads(shown.stdout)["sessions"]] == ["s1"]
    assert checker.wrong == []


def test_topsides_with_accounts_of_their_own_share_the_vehicles_and_take_over(secured, boat):
    vehicles = {ranked("reef", name, {"laptop": 1.0, "tablet": 1.0})[0]: name for name in VEHICLES}
    assert set(vehicles) == set(TOPSIDES)
    boat.connection = secured.account("viewer")
    checker = boat.checker()
    for name in VEHICLES:
        boat.connection = secured.account(name)
        boat.vehicle(name, offset_ns=7 * S)
    agents = {}
    for name in TOPSIDES:
        boat.connection = secured.account(name)
        agents[name] = boat.topside(topside=name, group="reef")
    for name in VEHICLES:
        checker.until_state(name, "locked", 15)

    def measured_by(topside):
        return {each.vehicle for each in list(agents[topside]._vehicles) if not each.resting}

    until(
        lambda: all(measured_by(owner) == {vehicle} for owner, vehicle in vehicles.items()),
        what="a share each",
    )
    laptops = vehicles["laptop"]
    until(
        lambda: agents["tablet"].group._nearby._followed._batches.get(laptops),
        what="exchanges that the standby reads",
    )
    agents["laptop"].stop()
    until(lambda: measured_by("tablet") == set(VEHICLES), what="the takeover")
    assert {agent._connection.refusal for agent in agents.values()} == {None}


@pytest.mark.parametrize("name", MAY_PUBLISH)
def test_an_account_publishes_what_is_its_own_and_nothing_else(secured, checker, name):
    intruder = enter(secured, name)
    for topic in sorted(EVERY_TOPIC):
        intruder.publish(ROOT + topic, retain=True)
        intruder.publish(ROOT + topic + "/more")
    stranger = f"{ROOT}vehicle/{name}/pong/stranger"  # no topside of that name has an account
    foreign = ("$SYS/broker/version", "other", "tidesync/v1", "homeassistant/sensor/rov1/config")
    for topic in (stranger, *foreign):
        intruder.publish(topic, retain=True)
    assert {topic for topic, _, _ in checker.since_the_last_mark()} == ours(MAY_PUBLISH[name])
    intruder.end()


@pytest.mark.parametrize("name", MAY_READ)
def test_an_account_reads_what_is_meant_for_it_and_nothing_else(secured, checker, name):
    for topic in EVERY_TOPIC:
        checker.publish(ROOT + topic, b"kept", retain=True)
    intruder = enter(secured, name)
    intruder.subscribe(*WILDCARDS, *ours(EVERY_TOPIC))
    for topic in EVERY_TOPIC:
        checker.publish(ROOT + topic, b"live")
    last = ROOT + min(MAY_READ[name])
    checker.publish(last, b"mark")
    until(lambda: (last, b"mark", False) in intruder.heard, 10, "the mark")
    for payload in (b"kept", b"live"):
        assert {topic for topic, published, _ in intruder.heard if published == payload} == ours(
            MAY_READ[name]
        )
    assert {topic for topic, _, _ in intruder.heard} == ours(MAY_READ[name])
    intruder.end()


def test_a_will_on_anothers_status_is_never_published(secured, checker):
    intruder = enter(secured, "rov2", will="vehicle/rov1/status")
    if intruder.refusal is None:
        intruder.break_off()
    own = enter(secured, "rov2", will="vehicle/rov2/status")
    own.break_off()
    until(
        lambda: (ROOT + "vehicle/rov2/status", b"intruder", False) in checker.heard, 10, "a will of its own"
    )
    assert {topic for topic, _, _ in checker.since_the_last_mark()} == {ROOT + "vehicle/rov2/status"}


def test_anothers_client_id_is_not_had_by_asking_for_it(secured, checker):
    honest = enter(secured, "rov1")
    honest.subscribe(ROOT + "vehicle/rov1/ping/+")
    intruder = enter(secured, "rov2", client_id="rov1")
    intruder.subscribe(ROOT + "vehicle/rov1/ping/+")
    checker.publish(ROOT + "vehicle/rov1/ping/laptop", b"ping")
    until(lambda: honest.heard, 10, "the ping")
    assert not honest.ended.is_set()
    assert intruder.heard == []
    stranger = Intruder(secured.url, "rov1", "wrong", client_id="rov1")
    assert stranger.refusal is not None
    checker.since_the_last_mark()
    assert not honest.ended.is_set()
    honest.end()
    intruder.end()


@pytest.mark.parametrize(
    ("username", "password"),
    [(None, None), ("rov1", "wrong"), ("rov1", None), ("nobody", "x"), ("ROV1", "x")],
)
def test_who_has_no_account_is_refused(secured, username, password):
    secured.start()
    assert Intruder(secured.url, username, password).refusal is not None


def test_a_revoked_account_is_out_after_a_reload_and_another_is_not(secured, checker):
    gone, stays = enter(secured, "rov2"), enter(secured, "rov1")
    gone.publish(ROOT + "vehicle/rov2/status", b"online", retain=True)
    assert secured.broker("revoke", "rov2").returncode == 0
    with (secured.config / "acl").open("a") as acl:
        acl.write(TopicReader.ACL)
    secured.reload()
    assert gone.ended.wait(60)
    assert enter(secured, "rov2").refusal is not None
    checker.since_the_last_mark()
    stays.publish(ROOT + "vehicle/rov1/status", b"online")
    assert checker.since_the_last_mark() == [(ROOT + "vehicle/rov1/status", b"online", False)]
    stays.end()


def test_a_renewed_password_is_the_only_one_that_is_taken(secured):
    secured.start()
    old = secured.password("rov1")
    connected = enter(secured, "rov1")
    assert secured.broker("add-vehicle", "rov1").returncode == 2
    (secured.secrets / "rov1").unlink()
    secured.add("vehicle", "rov1", "--replace")
    secured.reload()
    assert connected.ended.wait(60)
    assert enter(secured, "rov1").refusal is None
    assert Intruder(secured.url, "rov1", old).refusal is not None


def test_only_an_operator_that_may_forget_clears_what_others_had_retained(secured, checker):
    secured.add("operator", "cleaner", "--may-forget")
    with (secured.config / "acl").open("a") as acl:
        acl.write(TopicReader.ACL)
    secured.reload()
    kept = {"vehicle/rov1/status", "vehicle/rov1/info", "vehicle/rov1/offset/laptop", "topside/laptop/status"}
    foreign = {"session/s1/state", "vehicle/rov1/ping/laptop", "vehicle/rov1/event"}
    for topic in kept:
        checker.publish(ROOT + topic, b"kept", retain=True)
    checker.since_the_last_mark()
    for name, cleared in (("operator", set()), ("cleaner", kept)):
        intruder = enter(secured, name)
        for topic in EVERY_TOPIC - MAY_PUBLISH["operator"]:
            intruder.publish(ROOT + topic, b"", retain=True)
        seen = {topic for topic, payload, _ in checker.since_the_last_mark() if payload == b""}
        assert seen >= ours(cleared)
        assert not seen & ours(foreign)
        assert bool(seen) == bool(cleared)
        intruder.end()


def test_a_message_of_100_mb_is_refused_by_its_header(secured, checker):
    intruder = enter(secured, "rov1")
    intruder.client.publish(ROOT + "vehicle/rov1/status", b"x" * 100_000_000)
    assert intruder.ended.wait(60)
    assert checker.since_the_last_mark() == []


def test_a_settings_object_shows_no_password(secured):
    settings = ConnectionSettings(**secured.account("rov1"))
    assert settings.secret() == secured.password("rov1")
    assert secured.password("rov1") not in repr(settings)


def test_home_assistant_hears_of_vehicles_from_those_that_may_announce_them(secured, checker):
    secured.add("topside", "announcer", "--homeassistant")
    secured.add("dashboard", "house", "--homeassistant")
    with (secured.config / "acl").open("a") as acl:
        acl.write(TopicReader.ACL)
    secured.reload()
    checker.since_the_last_mark()
    house = enter(secured, "house")
    house.subscribe("#")
    for name in ("laptop", "house", "viewer", "announcer"):
        intruder = house if name == "house" else enter(secured, name)
        intruder.publish("homeassistant/device/tidesync_rov1/config", name.encode())
        intruder.publish("homeassistant/sensor/door/config", name.encode())
    announced = ("homeassistant/device/tidesync_rov1/config", b"announcer", False)
    assert checker.since_the_last_mark() == [announced]
    until(lambda: house.heard == [announced], 10, "the announcement")


def test_a_topside_mirrors_for_blueos_under_its_own_name_alone_and_only_if_it_may(secured, checker):
    secured.add("topside", "mirror", "--blueos-mirror")
    secured.add("dashboard", "telegraf", "--blueos-mirror")
    with (secured.config / "acl").open("a") as acl:
        acl.write(TopicReader.ACL)
    secured.reload()
    checker.since_the_last_mark()
    telegraf = enter(secured, "telegraf")
    telegraf.subscribe("#")
    for name in ("laptop", "telegraf", "viewer", "mirror"):
        intruder = telegraf if name == "telegraf" else enter(secured, name)
        for slug in ("tidesync-laptop", "tidesync-mirror", "site-steward"):
            intruder.publish(f"blueos/ext/{slug}/json", name.encode())
    mirrored = ("blueos/ext/tidesync-mirror/json", b"mirror", False)
    assert checker.since_the_last_mark() == [mirrored]
    until(lambda: telegraf.heard == [mirrored], 10, "the mirror")


def test_forget_needs_an_account_that_may_and_takes_the_device_too(secured, checker):
    secured.add("operator", "cleaner", "--may-forget")
    with (secured.config / "acl").open("a") as acl:
        acl.write(TopicReader.ACL)
    secured.reload()
    checker.since_the_last_mark()
    checker.publish(ROOT + "vehicle/rov1/status", b"offline", retain=True)
    checker.publish("homeassistant/device/tidesync_rov1/config", b"{}", retain=True)
    refused = tidesync("forget", "rov1", *secured.options("operator"))
    assert refused.returncode == 1
    assert "--may-forget" in refused.stderr
    done = tidesync("forget", "rov1", *secured.options("cleaner"))
    assert done.returncode == 0, done.stderr
    late = enter(secured, "checker", client_id="late")
    late.subscribe("#")
    late.publish("checker/mark")
    until(lambda: late.heard, 10, "the mark")
    assert [topic for topic, _, _ in late.heard] == ["checker/mark"]
