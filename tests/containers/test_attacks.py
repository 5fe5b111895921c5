"""The attack table of docs/security.md, on a broker in a container, while honest vehicles are measured.

`make attacks` writes the document from such a run; here it must show the same rows and verdicts.
"""

import http.client
import json
import os
import ssl
import threading
import time
import urllib.request
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import docker
import pytest

from bench.attacks.document import rows_of
from broker.settings import ConnectionSettings
from broker.tls.authority import Authority, Host, Signed
from schemas.compat import UTC
from schemas.exchange import Exchange
from schemas.messages import Event, ExchangeBatch, Ping
from tests.containers.agent_attacks import HOLD, MAD_BROKER, REWRITE, AgentUse, beside, last_numbers, script
from tests.containers.attack_bench import AttackBench, certificate_files
from tests.containers.fleet import Session
from tests.containers.impostor import Impostor, StrictBroker
from tests.containers.raw_mqtt import (
    CONNACK,
    PING,
    PINGRESP,
    PUBACK,
    PUBREC,
    SUBACK,
    RawClient,
    SlowConnect,
    connect,
    header,
    packet,
    publish,
    subscribe,
    text,
)
from tests.deadline import PATIENCE_S, until
from tests.intruder import ROOT
from tidesync.client import Client

DOCUMENT = Path(__file__).parents[2] / "docs" / "security.md"
OUTPUT = os.environ.get("ATTACKS_JSON")
"""Where `make attacks` wants the figures; the document is then made from them."""
STOLEN = "rov2's password"
WITH = {"expired": "an expired", "foreign": "somebody else's"}
HUNDRED_MB = 100_000_000
MOST_GUESSES_HZ = 10_000
"""At this rate a password of 160 random bits lasts longer than the universe."""
IN_FLIGHT_MB = 40
"""100 messages of 63 KB in flight, and what an allocator keeps beside them."""
LARGE = bytes(63_000)
FILTERS_IN_HEAP = 1000
"""Fewer of 63 KB than the broker may hold, each in two copies: not the packet is what was refused."""
SILENT = """
import selectors, socket, sys, time

def ended(one):
    one.settimeout(0)
    try:
        return one.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True

opened = [socket.create_connection(("broker", 1883), 60) for _ in range(int(sys.argv[1]))]
until_s = time.monotonic() + 3
readable = selectors.DefaultSelector()
for one in opened:
    readable.register(one, selectors.EVENT_READ)
while readable.get_map() and (left_s := until_s - time.monotonic()) > 0:
    for key, _ in readable.select(left_s):
        if ended(key.fileobj):
            readable.unregister(key.fileobj)
            until_s = time.monotonic() + 3
open_count = len(readable.get_map())
late = socket.create_connection(("broker", 1883), 60)
try:
    late.sendall(bytes.fromhex("100c00044d5154540402003c0000"))
    answered = bool(late.recv(4))
except OSError:
    answered = False
print(open_count, int(answered))
"""
PACE = threading.Event()
ATTACKED = ("attacked", "attacked")
"""The session that is recorded, and its mission."""
MANY_FILES = [docker.types.Ulimit(name="nofile", soft=4096, hard=4096)]
EVENTS_A_MINUTE, BURST_MINUTES = 120, 15
"""The budget of a vehicle's events."""
LONG_AGO = datetime(2021, 1, 1, tzinfo=UTC)

ASKING, KEY = "udp_request", "udp_answer"
"""Of direct exchanges."""
OF_ROV1 = [
    *("vehicle/rov1/status", "vehicle/rov1/info", "vehicle/rov1/event"),
    *(f"vehicle/rov1/{kind}/topside" for kind in ("ping", "pong", ASKING, KEY, "exchange", "offset")),
]
OF_TOPSIDE = [
    *("topside/topside/status", "topside/topside/heartbeat", "topside/topside/command"),
    *(
        f"vehicle/{name}/{kind}/topside"
        for name in ("rov1", "rov2")
        for kind in ("ping", ASKING, "exchange", "offset")
    ),
]
OF_SESSIONS = ["session/attacked/command", "session/attacked/state"]
TOPICS_OF = {"rov1": OF_ROV1, "topside": OF_TOPSIDE, "sessions": OF_SESSIONS}
ALL = sorted({*OF_ROV1, *OF_TOPSIDE, *OF_SESSIONS})
RIGHT_OF_ROV2 = f"{ROOT}vehicle/rov2/ping/topside"
READABLE = "topside/topside/status"
"""What every vehicle may read: it announces itself to a topside that comes online."""
WILDCARDS = ["#", "+/#", "tidesync/v1/vehicle/+/ping/+", "+/+/+/+/+/+", "$share/all/tidesync/v1/#"]


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    made = AttackBench(tmp_path_factory.mktemp("attacks"))
    try:
        made.begin()
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def slow(bench):
    """Begun early: these take the broker's own time."""
    return {
        "byte by byte": SlowConnect(bench.address, connect("rov1", "rov1", "x" * 200), 2.0),
        "silent": SlowConnect(bench.address, b"\x10", 2.0),
    }


@pytest.fixture
def slow_ended(slow):
    for one in slow.values():
        one.join(120)
        assert one.lasted_s is not None, "it is still open"
    return slow


@pytest.fixture
def stolen(bench, slow):  # noqa: ARG001 - it has begun by then
    """rov2's password is in other hands, and rov2 itself is away."""
    if bench.fleet.container("rov2").status == "running":
        bench.fleet.container("rov2").stop(timeout=3)
    return "rov2"


@pytest.fixture
def rov2_back(bench):
    """The same, and rov2 itself is there and measured."""
    if bench.fleet.container("rov2").status != "running":
        bench.fleet.container("rov2").start()
        bench.checker.until_locked(["rov2"], 40)
    return "rov2"


@pytest.fixture(scope="module")
def authority(bench):
    made = bench.fleet.files("accounts", "/authority")
    (bench.folder / "ca.crt").write_bytes(made["ca.crt"])
    return Authority.load(Signed(made["ca.crt"], made["ca.key"]))


def try_to_publish(bench, name, topics):
    """The topics of those on which something of `name`'s got through."""
    bench.arrived(b"")
    intruder = bench.enter(name)
    mark = f"by {name}".encode()
    for topic in topics:
        for qos in (0, 1, 2):
            for retain in (False, True):
                sent = intruder.client.publish(topic, mark, qos, retain)
        sent.wait_for_publish(60)
    intruder.end()
    return bench.arrived(mark)


def heard_by(bench, name, filters, may_read):
    """The topics that `name` hears besides `may_read`, while everything is going on."""
    intruder = bench.enter(name)
    intruder.subscribe(*filters, may_read)
    for topic in ALL:
        bench.everything.publish(ROOT + topic, b"live")  # whose topic it is drops it, as it does any rubbish
    bench.everything.publish(may_read, b"mark")
    until(lambda: any(payload == b"mark" for _, payload, _ in intruder.heard), 10, "the mark")
    intruder.end()
    return sorted({topic for topic, _, _ in intruder.heard if topic != may_read})


def pour(client, size):
    """Send so many bytes, or as many as are taken."""
    chunk, sent = bytes(1_000_000), 0
    while sent < size and client.send(chunk):
        sent += len(chunk)
    return sent


def silent(bench, count):
    """Open so many connections that say nothing: how many the broker leaves open, when it has ended the rest.

    From a container: the engine's proxy on the way from this machine would hold on to each.
    """
    with script(bench.fleet, SILENT, count, ulimits=MANY_FILES) as silent_one:
        assert silent_one.wait(timeout=120)["StatusCode"] == 0, silent_one.logs()
        open_count, answered = last_numbers(silent_one)
    assert not answered, "one more was let in"
    return open_count


def flood_pings(flooder, rate_hz, seconds):
    """Send as evenly as can be; gives how many, and in what time."""
    ping = Ping(seq=0, nonce="0" * 16, origin_ns=time.time_ns()).encode()
    message = publish(f"{ROOT}vehicle/rov1/ping/tablet", ping)
    began, sent = time.monotonic(), 0
    while (took_s := time.monotonic() - began) < seconds:
        due = int(took_s * rate_hz) - sent
        assert flooder.send(message * due)
        sent += due
        PACE.wait(0.01)  # sent in small groups, evenly
    return sent, time.monotonic() - began


def retained(bench):
    """The topics under which the broker keeps a message; the checker must not be listening."""
    bench.everything.heard.clear()
    bench.everything.subscribe("#")
    kept = {topic for topic, _, retain in bench.everything.since_the_last_mark() if retain}
    bench.everything.client.unsubscribe("#")
    return kept


# Speaking and listening


@pytest.mark.parametrize("of", TOPICS_OF)
def test_a_vehicle_cannot_speak_for_others(bench, stolen, of):
    topics = [ROOT + topic for topic in TOPICS_OF[of]]
    with bench.attack(f"publish on every topic of {of}", STOLEN) as row:
        assert try_to_publish(bench, stolen, topics) == []
        row.refused(f"{len(topics)} topics at QoS 0, 1 and 2, retained and not: nothing got through")


@pytest.mark.parametrize("of", TOPICS_OF)
def test_a_vehicle_cannot_listen_to_others(bench, stolen, of):
    filters = [ROOT + topic for topic in TOPICS_OF[of] if "rov2" not in topic and topic != READABLE]
    with bench.attack(f"read every topic of {of}", STOLEN) as row:
        assert heard_by(bench, stolen, filters, RIGHT_OF_ROV2) == []
        row.refused(f"{len(filters)} subscriptions, granted and silent")


def test_wildcards_widen_no_right(bench, stolen):
    with bench.attack(
        f"read through wildcards ({', '.join(f'`{one}`' for one in WILDCARDS)})", STOLEN
    ) as row:
        heard = heard_by(bench, stolen, WILDCARDS, RIGHT_OF_ROV2)
        others = [topic for topic in heard if not topic.startswith(f"{ROOT}vehicle/rov2/")]
        assert set(others) <= {ROOT + READABLE}
        row.refused("only its own topics arrived, and that topside is online")


def test_the_brokers_own_topics_are_closed(bench, stolen):
    topics = ["$SYS/broker/version", "$SYS/broker/clients/connected", "$CONTROL/dynamic-security/v1"]
    with bench.attack("publish below `$SYS` and `$CONTROL`, and read them", STOLEN) as row:
        assert try_to_publish(bench, stolen, topics) == []
        assert heard_by(bench, stolen, ["$SYS/#", "$SYS/broker/+", "$CONTROL/#"], RIGHT_OF_ROV2) == []
        row.refused("nothing got through, nothing was heard")


def test_a_dashboard_publishes_nothing(bench):
    with bench.attack("publish on every topic there is", "a dashboard's password") as row:
        assert try_to_publish(bench, "viewer", [ROOT + topic for topic in ALL] + ["other", "$SYS/x"]) == []
        row.refused(f"{len(ALL) + 2} topics: nothing got through")


def test_an_operator_speaks_for_no_agent(bench):
    own = {"topside/topside/command", "session/attacked/command"}
    with bench.attack("publish on every topic but commands", "the operator's password") as row:
        assert try_to_publish(bench, "operator", [ROOT + topic for topic in ALL if topic not in own]) == []
        row.refused(f"{len(ALL) - len(own)} topics: nothing got through")


def test_anothers_client_id_is_not_had_by_asking_for_it(bench, stolen):
    before = bench.health("rov1")["reconnects"]
    with bench.attack("connect with rov1's client id", STOLEN) as row:
        bench.enter(stolen, client_id="rov1").end()
        RawClient(bench.address).close()
        assert bench.health("rov1")["reconnects"] == before
        row.refused("the client id is the account's own, whatever is asked for: rov1 stayed connected")


def test_a_will_is_not_published_in_anothers_name(bench, stolen):
    with bench.attack("leave a will on rov1's status, and break off", STOLEN) as row:
        bench.arrived(b"")
        intruder = bench.enter(stolen, will="vehicle/rov1/status")
        if intruder.refusal is None:
            intruder.break_off()
        bench.enter(stolen, will="vehicle/rov2/status").break_off()
        heard = bench.everything.heard
        until(lambda: any(topic == f"{ROOT}vehicle/rov2/status" for topic, _, _ in heard), 10, "its own will")
        assert bench.arrived(b"intruder") == [f"{ROOT}vehicle/rov2/status"]
        row.refused("never published; a will on its own status is")


# Getting in


def test_nobody_gets_in_without_an_account(bench):
    with bench.attack(
        "connect without a name, with an unknown one, with a wrong password", "no password"
    ) as row:
        before = bench.health("rov1")["reconnects"]
        tried = [(None, None), ("rov1", None), ("rov1", "wrong"), ("nobody", "x"), ("ROV1", "x"), ("", "x")]
        for name, password in tried:
            with RawClient(bench.address) as stranger:
                stranger.send(connect("rov1", name, password))
                stranger.wait_for(CONNACK)
                assert stranger.refusal != 0
        assert bench.health("rov1")["reconnects"] == before
        row.refused(f"{len(tried)} ways, and rov1 stayed connected")


def test_guessing_passwords_is_slow_and_delays_nobody(bench):
    with bench.attack("guess rov1's password for 4 s, as fast as it goes", "no password") as row:
        tries, until_s = 0, time.monotonic() + 4
        while time.monotonic() < until_s:
            with RawClient(bench.address) as stranger:
                stranger.send(connect("rov1", "rov1", f"guess {tries}"))
                stranger.wait_for(CONNACK)
                assert stranger.refusal != 0
            tries += 1
        assert tries / 4 < MOST_GUESSES_HZ
        row.refused(f"{tries / 4:.0f} tries a second, against 160 random bits")


def test_plain_mqtt_is_no_tls(bench):
    with bench.attack("speak plain MQTT to the TLS port", "rov2's password") as row:
        with RawClient(bench.tls_address) as stranger:
            stranger.send(connect("rov2", "rov2", bench.passwords["rov2"]))
            assert not stranger.wait_for(CONNACK)
            assert stranger.closed.wait(PATIENCE_S)
        row.refused("closed without an answer")


def test_a_broker_that_asks_for_certificates_believes_only_its_authoritys(bench, authority):
    files = {
        "valid": certificate_files(bench.folder, "valid", authority.client("rov2", authority.ends)),
        "expired": certificate_files(bench.folder, "expired", authority.client("rov2", LONG_AGO)),
        "foreign": certificate_files(bench.folder, "foreign", foreign().client("rov2", foreign().ends)),
        "none": None,
    }
    what = "log in with an expired, a foreign and no certificate, where the broker asks for one"
    with StrictBroker(bench.fleet) as strict, bench.attack(what, "rov2's password") as row:
        until(lambda: is_let_in(bench, strict, files["valid"]), 30, "a valid certificate to be let in")
        assert [name for name, paths in files.items() if is_let_in(bench, strict, paths)] == ["valid"]
        row.refused("the handshake fails; a valid one is let in")


@pytest.mark.parametrize("kind", ["expired", "foreign"])
def test_an_impostor_of_the_broker_hears_no_password(bench, authority, kind):
    here = Host(names=(), addresses=("127.0.0.1",))
    signed = authority.server(here, LONG_AGO) if kind == "expired" else foreign().server(here, foreign().ends)
    with bench.attack(f"pretend to be the broker, with {WITH[kind]} certificate", "the network") as row:
        with Impostor(*certificate_files(bench.folder, f"impostor-{kind}", signed)) as impostor:
            client = Client(
                ConnectionSettings(
                    broker=impostor.url,
                    username="rov2",
                    password=bench.passwords["rov2"],
                    ca_file=bench.folder / "ca.crt",
                ),
                "test",
                [],
            )
            client.connection.start()
            until(lambda: impostor.greeted >= 1 and client.connection.last_problem, 10, "a problem")
            assert "certificate" in client.connection.last_problem
            assert not client.connection.up
            client.connection.stop()
            assert impostor.received == b""
        row.refused("no word was said to it, so no password either")


def foreign():
    return Authority.make(datetime.now(UTC))


def is_let_in(bench, strict, paths):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(bench.folder / "ca.crt")
    if paths:
        context.load_cert_chain(*paths)
    try:
        client = RawClient(
            strict.address, lambda plain: context.wrap_socket(plain, server_hostname="127.0.0.1")
        )
    except OSError:
        return False
    with client:
        client.send(connect("rov2", "rov2", bench.passwords["rov2"]))
        return client.wait_for(CONNACK) and client.refusal == 0


# Too much


def test_a_message_of_100_mb_is_refused_by_its_header(bench, stolen):
    with bench.attack("send a message of 100 MB", STOLEN) as row:
        with bench.raw(stolen) as intruder:
            intruder.send(header(0x30, HUNDRED_MB))
            taken = pour(intruder, HUNDRED_MB)
            assert intruder.closed.wait(PATIENCE_S)
        row.refused(f"closed at the header, {taken / 1e6:.1f} MB were on their way")


def test_a_stranger_cannot_announce_a_long_connect(bench):
    with bench.attack("send a CONNECT of 100 MB", "no password") as row:
        with RawClient(bench.address) as stranger:
            stranger.send(header(0x10, HUNDRED_MB))
            taken = pour(stranger, HUNDRED_MB)
            assert stranger.closed.wait(PATIENCE_S)
        row.refused(f"closed at the header, {taken / 1e6:.1f} MB were on their way")


def test_500_connections_of_one_account_are_one(bench, stolen):
    with bench.attack("open 500 connections", STOLEN) as row, ExitStack() as stack:
        opened = [stack.enter_context(bench.raw(stolen)) for _ in range(500)]
        until(lambda: sum(not one.closed.is_set() for one in opened) <= 1, 10, "all but one closed")
        assert not opened[-1].closed.is_set()
        row.bounded("each ends the one before: 1 stayed open")


@pytest.mark.usefixtures("slow_ended")  # each would leave its place to one more
def test_connections_that_say_nothing_are_counted(bench):
    with bench.attack("open 600 connections and say nothing", "no password") as row:
        open_count = silent(bench, 600)
        assert 400 <= open_count <= 500
        row.bounded(
            f"{open_count} stayed open beside the fleet's, the rest was closed: nobody new got in meanwhile"
        )
    until(lambda: bench.is_let_in("operator"), 10, "room for the next")


def test_a_flood_of_pings_costs_a_vehicle_its_share_and_no_more(bench):
    with bench.attack(
        "ping rov1 5000 times a second, for 10 s", "another topside's password", flood=True
    ) as row:
        before = bench.health("rov1")
        with bench.raw("tablet") as flooder:
            flooder.send(subscribe([f"{ROOT}vehicle/rov1/pong/tablet"]))
            assert flooder.wait_for(SUBACK)
            began = time.monotonic()
            sent, took_s = flood_pings(flooder, 5000, 10)
            flooder.send(PING)
            assert flooder.wait_for(PINGRESP)
            until(lambda: bench.health("rov1")["messages_dropped"].get("flood", 0), 10, "dropped pings")
            took_all_s = time.monotonic() - began  # some are answered only after the last was sent
            answered_hz = flooder.answers.count(0x30) / took_all_s
        after = bench.health("rov1")
        dropped = after["messages_dropped"].get("flood", 0) - before["messages_dropped"].get("flood", 0)
        assert answered_hz < 250
        assert dropped > 0
        assert bench.health("rov1")["reconnects"] == before["reconnects"]
        row.bounded(
            f"{sent / took_s:.0f} sent a second; rov1 answered {answered_hz:.0f} of them"
            f" and dropped {dropped / took_s:.0f} unread"
        )


def times_dropped(bench, reader):
    return bench.fleet.logs(reader).count("dropped a message on tidesync/v1/vehicle/rov2/event")


def test_large_messages_on_its_own_topic_are_read_and_dropped(bench, stolen):
    with bench.attack("send 500 messages of 63 KB on rov2's own event topic", STOLEN, flood=True) as row:
        with bench.raw(stolen) as intruder:
            for number in range(500):
                assert intruder.send(publish(f"{ROOT}vehicle/rov2/event", LARGE, qos=1, number=number + 1))
            assert intruder.wait_for(PUBACK, count=500)
        for reader in ("topside", "recorder"):
            times = until(lambda reader=reader: times_dropped(bench, reader), what=f"a line of {reader}'s")
            assert times <= 3, f"{reader} logged it {times} times"
        row.bounded("topside and recorder drop them as invalid, and say so once a minute")


def test_what_is_never_released_is_not_kept_without_end(bench, stolen):
    with bench.attack("send 2000 messages of 63 KB at QoS 2, and release none", STOLEN, flood=True) as row:
        began_mb = bench.sample()
        with bench.raw(stolen) as intruder:
            for number in range(2000):
                message = publish(f"{ROOT}vehicle/rov2/event", LARGE, qos=2, number=number + 1)
                if not intruder.send(message):
                    break
            intruder.send(PING)
            intruder.wait_for(PINGRESP)
            received = intruder.answers.count(PUBREC)
            grown_mb = bench.sample() - began_mb
        assert received
        assert grown_mb < IN_FLIGHT_MB
        row.bounded(f"{received} were answered, and no more were kept than may be in flight: 100")


def test_only_countable_messages_are_retained_for_a_vehicle(bench, stolen):
    with bench.attack(
        "have 1000 messages of 63 KB retained, under names of its own", STOLEN, flood=True
    ) as row:
        kept_before = retained(bench)
        with bench.raw(stolen) as intruder:
            for number in range(1000):
                intruder.send(publish(f"{ROOT}vehicle/rov2/pong/x{number}", LARGE, retain=True))
                intruder.send(publish(f"{ROOT}vehicle/rov2/x{number}", b"x", retain=True))
            for rest in ("event", "pong/topside"):
                intruder.send(publish(f"{ROOT}vehicle/rov2/{rest}", LARGE, retain=True))
            intruder.send(PING)
            assert intruder.wait_for(PINGRESP)
            bench.sample()
            kept = retained(bench) - kept_before
            for rest in ("event", "pong/topside"):
                intruder.send(publish(f"{ROOT}vehicle/rov2/{rest}", b"", retain=True))
        assert kept == {f"{ROOT}vehicle/rov2/event", f"{ROOT}vehicle/rov2/pong/topside"}
        row.bounded("4 topics are its own, and one more for each topside: 2 were kept, nothing else")


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.usefixtures("slow_ended")  # the broker will not last as long as they may
def test_subscriptions_without_end_end_the_subscriber(bench, stolen, clean):
    what = "subscribe to filters 63 KB long, without end" + (", in a session that stays" if not clean else "")
    with bench.attack(what, STOLEN, flood=True) as row:
        with bench.raw(stolen, clean=clean) as intruder:
            granted = subscribe_without_end(bench, intruder)
            assert intruder.closed.wait(PATIENCE_S)
        bench.checker.until_locked(["rov1", "rov3"])  # while the broker has nothing left to give
        assert granted > FILTERS_IN_HEAP
        back_s, locked_s = bench.crash_broker()
        row.bounded(
            f"thrown out after {granted}: the broker's heap is limited to 256 MiB. mosquitto 2.0 may crash of"
            f" it later: made to crash, it answered again after {back_s:.1f} s, all were locked after"
            f" {locked_s:.1f} s"
        )
    bench.raw(stolen, clean=True).close()


def subscribe_without_end(bench, intruder):
    """How many filters were granted until the broker had enough, of 6000."""
    for number in range(6000):
        if not intruder.send(subscribe([f"{number}/{'x' * 63_000}"])):
            break
        if number % 250 == 249:
            bench.sample()
    return intruder.answers.count(SUBACK)


def test_many_short_subscriptions_delay_others_and_make_nothing_wrong(bench, stolen):
    with bench.attack("subscribe to 60,000 short filters", STOLEN, flood=True) as row:
        with bench.raw(stolen) as intruder:
            for number in range(600):
                assert intruder.send(subscribe([f"{number}/{one}" for one in range(100)]))
            assert intruder.wait_for(SUBACK, count=600)
            bench.sample()
        row.bounded("all were granted: mosquitto looks through all of an account's for each new one")


def test_packets_that_break_the_protocol_end_their_connection(bench, stolen):
    topic = f"{ROOT}vehicle/rov2/event"
    broken = {
        "invalid UTF-8": packet(0x30, text(b"tidesync/\xff\xfe") + b"x"),
        "a NUL": packet(0x30, text("tidesync/\0") + b"x"),
        "half of a surrogate pair": packet(0x30, text(b"tidesync/\xed\xa0\x80") + b"x"),
        "a wildcard": packet(0x30, text(f"{ROOT}vehicle/+/event") + b"x"),
        "an empty topic": packet(0x30, text("") + b"x"),
        "QoS 3": packet(0x36, text(topic) + b"\0\1x"),
        "a topic longer than its packet": packet(0x30, b"\xff\xffx"),
        "a second CONNECT": connect("rov2", "rov2", "x"),
        "a fifth digit of length": b"\x30\xff\xff\xff\xff\x01",
    }
    with bench.attack(f"break the protocol: {', '.join(broken)}", STOLEN) as row:
        bench.arrived(b"")
        for sent in broken.values():
            with bench.raw(stolen) as intruder:
                intruder.send(sent)
                assert intruder.closed.wait(PATIENCE_S), sent
        assert bench.arrived(b"x") == []
        row.refused(f"{len(broken)} connections ended, nothing got through")


# Attacks on the agents


def test_connections_held_at_a_vehicle_keep_it_neither_from_mqtt_nor_from_others(bench):
    what = "hold 1200 connections with endless headers to rov1's web server, and end its MQTT connection"
    rov1 = bench.fleet.container("rov1")
    with bench.attack(what, "no password, and once rov1's") as row, AgentUse(rov1).sampled() as use:
        before = bench.health("rov1")["reconnects"]
        with script(bench.fleet, HOLD, "rov1", 9150, 1200, ulimits=MANY_FILES) as holding:
            until(lambda: (last_numbers(holding) or [0, 0])[1] > 2400, 60, "the hold")
            assert open_files(rov1) < 256
            bench.raw("rov1").close()
            until(lambda: bench.health("rov1")["reconnects"] > before, 30, "rov1 at the broker again")
            bench.checker.until_locked(["rov1"], 45)
            times = [timed(lambda: bench.health("rov1")) for _ in range(5)]
            opened, ended = last_numbers(holding)
        use.assert_bounded()
        row.bounded(
            f"{ended} of {opened} connections ended; rov1 came back to MQTT, and answered others within"
            f" {max(times):.1f} s; rov1: {use}"
        )


def test_connections_held_at_the_dashboard_leave_it_to_others(bench):
    dashboard = bench.fleet.container("dashboard")
    with (
        bench.attack("hold 1200 connections with endless headers to the dashboard", "no password") as row,
        AgentUse(dashboard).sampled() as use,
    ):
        with script(bench.fleet, HOLD, "dashboard", 8780, 1200, ulimits=MANY_FILES) as holding:
            until(lambda: (last_numbers(holding) or [0, 0])[1] > 2400, 60, "the hold")
            times = [timed(lambda: page(bench, "/health")) for _ in range(5)]
            assert open_files(dashboard) < 300
            opened, ended = last_numbers(holding)
        use.assert_bounded()
        row.bounded(
            f"{ended} of {opened} connections ended; /health answered others within {max(times):.1f} s;"
            f" dashboard: {use}"
        )


def test_a_foreign_host_name_or_origin_reads_and_commands_nothing(bench):
    asked = [
        ("GET", "/api/vehicles", {"Host": "evil.local"}),
        ("GET", "/", {"Host": "evil.local:8780"}),
        ("POST", "/api/sessions", {"Origin": "http://evil.local", "Content-Type": "application/json"}),
        ("GET", "/api/vehicles", {}),
    ]
    with bench.attack(
        "ask the dashboard under a foreign host name, from a foreign page, without its token",
        "a page in the operator's browser",
    ) as row:
        answered = [answer(bench, *one) for one in asked]
        assert set(answered) <= {401, 403}, answered
        row.refused(f"{len(asked)} requests: answered with {', '.join(map(str, sorted(set(answered))))}")


def test_a_broker_gone_mad_fills_no_agents_memory(bench):
    with (
        ExitStack() as stack,
        bench.attack(
            "be a broker that announces packets of 200 MiB, and sends them", "the broker's machine"
        ) as row,
    ):
        mad = stack.enter_context(script(bench.fleet, MAD_BROKER, name="mad"))
        command = ["pi", "--vehicle", "rov9", "--no-http", "--broker", "mqtt://mad:1883"]
        limits = {"mem_limit": "128m", "read_only": True, "tmpfs": {"/tmp": "size=1m,mode=1777"}}
        agent = stack.enter_context(beside(bench.fleet, "tidesync-pi", command, **limits))
        until(lambda: (last_numbers(mad) or [0, 0])[0] >= 1, 60, "the first connection")
        with AgentUse(agent).sampled() as use:
            first = last_numbers(mad)
            until(lambda: last_numbers(mad)[0] >= first[0] + 5, 60, "five more")
            ended, sent = (now - then for now, then in zip(last_numbers(mad), first, strict=True))
        agent.reload()
        assert agent.status == "running"
        use.assert_bounded()
        assert sent / ended < 30 << 20  # what the buffers of two sockets hold
        row.refused(
            f"{ended} connections ended at the header, {sent / ended / 1e6:.1f} MB of each were on their way;"
            f" the agent: {use}"
        )


def test_a_flood_of_events_is_taken_up_to_a_budget(bench, stolen):
    what = "report 60,000 valid events of rov2, as fast as it goes"
    recorder, topside = (AgentUse(bench.fleet.container(name)) for name in ("recorder", "topside"))
    before, began_s = events_of_rov2(bench), time.monotonic()
    with bench.attack(what, STOLEN, flood=True) as row, recorder.sampled(), topside.sampled():
        with bench.raw(stolen) as intruder:
            for first in range(0, 60_000, 500):
                assert intruder.send(*(rov2_steps(at) for at in range(first, first + 500)))
            intruder.send(PING)
            assert intruder.wait_for(PINGRESP)
        until(lambda: bench.fleet.logs("recorder").count("events") > 0, 30, "the excess named")
        lines = until(lambda: events_of_rov2(bench) - before, 30, "the events in the journal")
        logged = bench.fleet.logs("topside").count("rov2 reports a step")
        minutes = (time.monotonic() - began_s) / 60
        assert 0 < lines <= EVENTS_A_MINUTE * (BURST_MINUTES + 1 + minutes)
        assert logged <= 20 * (2 + minutes)
        for use in (recorder, topside):
            use.assert_bounded()
        row.bounded(
            f"{lines} were recorded, {logged} logged, the rest counted and dropped; recorder: {recorder};"
            f" topside: {topside}"
        )


def test_exchanges_that_no_clock_can_have_made_cost_others_nothing(bench):
    with bench.attack(
        "publish exchanges of 1000 s, and of clocks that run backwards, in the session",
        "another topside's password",
    ) as row:
        with bench.raw("tablet") as intruder:
            batch = ExchangeBatch(batch=0, exchanges=tuple(unusable(seq) for seq in range(40)))
            intruder.send(publish(f"{ROOT}vehicle/rov7/exchange/tablet", batch.encode(), qos=1))
            assert intruder.wait_for(PUBACK)
        until(
            lambda: any(one.vehicle == "rov7" for one in Session(bench.fleet, *ATTACKED).exchanges()),
            30,
            "the lines in the journal",
        )
        row.bounded("they are in the journal as they came; the tracks of the others are made all the same")


def test_metadata_that_another_program_rewrites_without_pause_keeps_its_keys_and_ours(bench):
    path = f"{Session(bench.fleet, *ATTACKED).path}/sync_metadata.json"
    with bench.attack(
        "rewrite the session's metadata without pause for 5 s", "who writes files into a session's folder"
    ) as row:
        done = bench.fleet.container("recorder").exec_run(["python", "-c", REWRITE, path, "5"])
        assert done.exit_code == 0, done.output
        count = int(done.output)

        def settled():
            document = json.loads(Session(bench.fleet, *ATTACKED).files()["sync_metadata.json"])
            return document.get("rewritten") == count and "tidesync" in document["timeSync"] and document

        until(settled, 30, "both programs' keys")
        aside = [name for name in Session(bench.fleet, *ATTACKED).files() if name.startswith("sync_metadata")]
        assert aside == ["sync_metadata.json"]
        row.bounded(f"written {count} times: its keys and ours are in it, nothing was set aside")


def test_two_that_have_topsides_password_end_each_other(bench):
    with bench.attack(
        "connect again and again beside topside itself, for 5 s",
        "topside's password",
        states=("locked", "holdover", "acquiring", "stale", "unsynced"),
    ) as row:
        times, until_s = 0, time.monotonic() + 5
        while time.monotonic() < until_s:
            with bench.raw("topside") as intruder:
                intruder.closed.wait(1)
            times += 1
        row.bounded(f"they end each other ({times} times): gaps, and no wrong result")


def events_of_rov2(bench):
    return sum(event.get("boot_id") == "stolen" for event in Session(bench.fleet, *ATTACKED).events())


def rov2_steps(number):
    step = Event(
        vehicle="rov2", kind="step", at=LONG_AGO, at_raw_ns=number + 1, step_ms=0.001, boot_id="stolen"
    )
    return publish(f"{ROOT}vehicle/rov2/event", step.encode())


def unusable(seq):
    """Each takes 1000 s, overlaps the next, and has the Pi's clock run backwards."""
    origin_ns = time.time_ns() - 2_000_000_000_000 + seq * 17_000_000_000
    pi_ns = origin_ns + 3_000_000_000 - seq * 40_000_000_000
    return Exchange(
        vehicle="rov7",
        topside="tablet",
        seq=seq,
        boot_id="b0",
        origin_ns=origin_ns,
        receive_ns=pi_ns,
        transmit_ns=pi_ns,
        destination_ns=origin_ns + 1_000_000_000_000,
        pi_realtime_minus_raw_ns=pi_ns - 10**12,
        topside_realtime_minus_raw_ns=origin_ns - 10**12,
    )


def open_files(container):
    """How many files its process has open."""
    listed = container.exec_run(["python", "-c", "import os; print(len(os.listdir('/proc/1/fd')))"])
    return int(listed.output)


def timed(work):
    began_s = time.monotonic()
    work()
    return time.monotonic() - began_s


def page(bench, path):
    """The dashboard's answer to this machine."""
    with urllib.request.urlopen(f"http://127.0.0.1:{bench.fleet.page_port}{path}", timeout=60) as answered:
        return answered.read()


def answer(bench, method, path, headers):
    """The status of the dashboard's answer."""
    connection = http.client.HTTPConnection("127.0.0.1", bench.fleet.page_port, timeout=60)
    try:
        connection.request(method, path, b"{}" if method == "POST" else None, headers)
        return connection.getresponse().status
    finally:
        connection.close()


# While rov2 is there too


def test_two_that_have_one_password_harm_each_other_alone(bench, rov2_back):
    with bench.attack("connect again and again beside rov2 itself, for 5 s", "rov2's password") as row:
        first = len(bench.checker.checked)
        before, times, until_s = bench.health("rov2")["reconnects"], 0, time.monotonic() + 5
        while time.monotonic() < until_s:
            with bench.raw(rov2_back) as intruder:
                intruder.closed.wait(1)
            times += 1
        bench.checker.until_locked(["rov2"], 30)
        assert [one for one in bench.checker.checked[first:] if not one.right] == []
        again = bench.health("rov2")["reconnects"] - before
        assert again <= times, "rov2 lost its connection to something else as well"
        row.bounded(
            f"they end each other ({again} times): gaps for rov2 and nobody else, no wrong result of it"
        )


def test_who_connects_slowly_is_ended(bench, slow_ended):
    with bench.attack("send CONNECT byte by byte, or never", "no password") as row:
        took = " and ".join(f"{name} after {one.lasted_s:.0f} s" for name, one in slow_ended.items())
        row.bounded(f"ended: {took}")


def test_after_a_reload_the_system_counts_connections(bench):
    bench.fleet.reload_broker()
    until(lambda: bench.is_let_in("operator"), 10, "the reload")
    what = "open 1100 connections and say nothing, after mosquitto reloaded its configuration"
    with bench.attack(what, "no password") as row:
        open_count = silent(bench, 1100)
        assert 900 <= open_count <= 1024
        row.bounded(
            f"mosquitto forgets its own limit then: {open_count} stayed open, as many as it may open files"
        )
    until(lambda: bench.is_let_in("operator"), 10, "room for the next")


def test_the_recorded_session_is_complete(bench, rov2_back):  # noqa: ARG001 - its last exchanges too
    bench.fleet.operator("session", "stop", "attacked")
    session = Session(bench.fleet, *ATTACKED)
    until(lambda: session.state() == "stopped", 60, "all that is written of the stopped session")
    tracks = session.files()["time_sync/offsets.csv"].decode().splitlines()
    for vehicle in ("rov1", "rov2", "rov3"):
        assert [row for row in tracks if row.startswith(f"{vehicle},topside,") and row.endswith(",ok")]
    session.assert_complete(bench.checker.published, ("rov1", "rov2", "rov3"))
    bench.checker.assert_never_wrong()


def test_the_document_shows_every_attack_and_its_verdict(bench, request):
    if OUTPUT:
        Path(OUTPUT).write_text(json.dumps(bench.figures(), indent=1, ensure_ascii=False) + "\n")
        return
    run = [(row.attack, row.by, row.verdict) for row in bench.rows]
    shown = rows_of(DOCUMENT.read_text(encoding="utf-8"))
    selected = request.config.option.keyword or any("::" in one for one in request.config.args)
    if selected or bench.failed:
        assert set(run) <= set(shown)
    else:
        assert run == shown
