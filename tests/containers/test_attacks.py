"""The attack table of docs/security.md, on a broker in a container, while honest vehicles are measured.

`make attacks` writes the document anew from such a run; here it must tell of the same rows and verdicts.
"""

import json
import os
import ssl
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench.attacks.document import rows_of
from broker.settings import ConnectionSettings
from broker.tls.authority import Authority, Host, Signed
from schemas.messages import Ping
from tests.containers.attack_bench import AttackBench, certificate_files
from tests.containers.fleet import Session
from tests.containers.impostor import Impostor, StrictBroker
from tests.containers.raw_mqtt import (
    CONNACK,
    PING,
    PINGRESP,
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
from tests.deadline import until
from tests.intruder import ROOT
from tidesync.client import Client

DOCUMENT = Path(__file__).parents[2] / "docs" / "security.md"
OUTPUT = os.environ.get("ATTACKS_JSON")
"""Where `make attacks` wants the figures; the document is then made from them."""
STOLEN = "rov2's password"
WITH = {"expired": "an expired", "foreign": "somebody else's"}
HUNDRED_MB = 100_000_000
LARGE = bytes(131_000)
SILENT = """
import socket, sys, time

def ended(one):
    one.settimeout(0)
    try:
        return one.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True

opened = [socket.create_connection(("broker", 1883), 10) for _ in range(int(sys.argv[1]))]
time.sleep(3)
standing = sum(not ended(one) for one in opened)
late = socket.create_connection(("broker", 1883), 10)
try:
    late.sendall(bytes.fromhex("100c00044d5154540402003c0000"))
    answered = bool(late.recv(4))
except OSError:
    answered = False
print(standing, int(answered))
"""
LONG_AGO = datetime(2021, 1, 1, tzinfo=UTC)

OF_ROV1 = [
    *("vehicle/rov1/status", "vehicle/rov1/info", "vehicle/rov1/event"),
    *(f"vehicle/rov1/{kind}/topside" for kind in ("ping", "pong", "exchange", "offset")),
]
OF_TOPSIDE = [
    *("topside/topside/status", "topside/topside/command"),
    *(
        f"vehicle/{name}/{kind}/topside"
        for name in ("rov1", "rov2")
        for kind in ("ping", "exchange", "offset")
    ),
]
OF_SESSIONS = ["session/siege/command", "session/siege/state"]
TOPICS_OF = {"rov1": OF_ROV1, "topside": OF_TOPSIDE, "sessions": OF_SESSIONS}
ALL = sorted({*OF_ROV1, *OF_TOPSIDE, *OF_SESSIONS})
RIGHT_OF_ROV2 = f"{ROOT}vehicle/rov2/ping/topside"
WILDCARDS = ["#", "+/#", "tidesync/v1/vehicle/+/ping/+", "+/+/+/+/+/+", "$share/all/tidesync/v1/#"]


@pytest.fixture(scope="module")
def siege(tmp_path_factory):
    made = AttackBench(tmp_path_factory.mktemp("siege"))
    try:
        made.begin()
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def slow(siege):
    """Begun early: these take the broker's own time."""
    return {
        "byte by byte": SlowConnect(siege.address, connect("rov1", "rov1", "x" * 200), 2.0),
        "silent": SlowConnect(siege.address, b"\x10", 2.0),
    }


@pytest.fixture
def stolen(siege, slow):  # noqa: ARG001 - it has begun by then
    """rov2's password is in other hands, and rov2 itself is away."""
    if siege.fleet.container("rov2").status == "running":
        siege.fleet.container("rov2").stop(timeout=3)
    return "rov2"


@pytest.fixture
def rov2_back(siege):
    """The same, and rov2 itself is there and measured."""
    if siege.fleet.container("rov2").status != "running":
        siege.fleet.container("rov2").start()
        siege.judge.until_locked(["rov2"], 40)
    return "rov2"


@pytest.fixture(scope="module")
def authority(siege):
    made = siege.fleet.files("accounts", "/authority")
    (siege.folder / "ca.crt").write_bytes(made["ca.crt"])
    return Authority.load(Signed(made["ca.crt"], made["ca.key"]))


def try_to_publish(siege, name, topics):
    """The topics of those on which something of `name`'s got through."""
    siege.arrived(b"")
    intruder = siege.enter(name)
    mark = f"by {name}".encode()
    for topic in topics:
        for qos in (0, 1, 2):
            for retain in (False, True):
                sent = intruder.client.publish(topic, mark, qos, retain)
        sent.wait_for_publish(10)
    intruder.end()
    return siege.arrived(mark)


def heard_by(siege, name, filters, may_read):
    """The topics that `name` was told of besides `may_read`, while everything is going on."""
    intruder = siege.enter(name)
    intruder.subscribe(*filters, may_read)
    for topic in ALL:
        siege.witness.publish(ROOT + topic, b"live")  # whose topic it is drops it, as it does any rubbish
    siege.witness.publish(may_read, b"mark")
    until(lambda: any(said == b"mark" for _, said, _ in intruder.heard), 10, "the mark")
    intruder.end()
    return sorted({topic for topic, _, _ in intruder.heard if topic != may_read})


def pour(client, size):
    """Send so many bytes, or as many as are taken."""
    chunk, sent = bytes(1_000_000), 0
    while sent < size and client.send(chunk):
        sent += len(chunk)
    return sent


def silent(siege, count):
    """Open so many connections that say nothing, for some seconds: how many the broker leaves standing.

    From a container: the engine's proxy on the way from this machine would hold on to each.
    """
    done = siege.fleet.container("recorder").exec_run(["python", "-c", SILENT, str(count)])
    assert done.exit_code == 0, done.output
    standing, answered = map(int, done.output.split())
    assert not answered, "one more was let in"
    return standing


def flood_pings(flooder, rate_hz, seconds):
    """Send as evenly as can be; gives how many, and in what time."""
    ping = Ping(seq=0, nonce="0" * 16, origin_ns=time.time_ns()).encode()
    message = publish(f"{ROOT}vehicle/rov1/ping/tablet", ping)
    began, sent = time.monotonic(), 0
    while (took_s := time.monotonic() - began) < seconds:
        due = int(took_s * rate_hz) - sent
        assert flooder.send(message * due)
        sent += due
        time.sleep(0.01)  # the flood's own beat
    return sent, time.monotonic() - began


def retained(siege):
    """The topics under which the broker keeps a message; the witness must not be listening."""
    siege.witness.heard.clear()
    siege.witness.subscribe("#")
    kept = {topic for topic, _, retain in siege.witness.since_the_last_mark() if retain}
    siege.witness.client.unsubscribe("#")
    return kept


# Speaking and listening


@pytest.mark.parametrize("of", TOPICS_OF)
def test_a_vehicle_cannot_speak_for_others(siege, stolen, of):
    topics = [ROOT + topic for topic in TOPICS_OF[of]]
    with siege.attack(f"publish on every topic of {of}", STOLEN) as row:
        assert try_to_publish(siege, stolen, topics) == []
        row.refused(f"{len(topics)} topics at QoS 0, 1 and 2, retained and not: nothing got through")


@pytest.mark.parametrize("of", TOPICS_OF)
def test_a_vehicle_cannot_listen_to_others(siege, stolen, of):
    filters = [ROOT + topic for topic in TOPICS_OF[of] if "rov2" not in topic]
    with siege.attack(f"read every topic of {of}", STOLEN) as row:
        assert heard_by(siege, stolen, filters, RIGHT_OF_ROV2) == []
        row.refused(f"{len(filters)} subscriptions, granted and silent")


def test_wildcards_widen_no_right(siege, stolen):
    with siege.attack(
        f"read through wildcards ({', '.join(f'`{one}`' for one in WILDCARDS)})", STOLEN
    ) as row:
        heard = heard_by(siege, stolen, WILDCARDS, RIGHT_OF_ROV2)
        assert [topic for topic in heard if not topic.startswith(f"{ROOT}vehicle/rov2/")] == []
        row.refused("only its own topics arrived")


def test_the_brokers_own_topics_are_closed(siege, stolen):
    topics = ["$SYS/broker/version", "$SYS/broker/clients/connected", "$CONTROL/dynamic-security/v1"]
    with siege.attack("publish below `$SYS` and `$CONTROL`, and read them", STOLEN) as row:
        assert try_to_publish(siege, stolen, topics) == []
        assert heard_by(siege, stolen, ["$SYS/#", "$SYS/broker/+", "$CONTROL/#"], RIGHT_OF_ROV2) == []
        row.refused("nothing got through, nothing was heard")


def test_a_dashboard_publishes_nothing(siege):
    with siege.attack("publish on every topic there is", "a dashboard's password") as row:
        assert try_to_publish(siege, "viewer", [ROOT + topic for topic in ALL] + ["other", "$SYS/x"]) == []
        row.refused(f"{len(ALL) + 2} topics: nothing got through")


def test_an_operator_speaks_for_no_agent(siege):
    own = {"topside/topside/command", "session/siege/command"}
    with siege.attack("publish on every topic but commands", "the operator's password") as row:
        assert try_to_publish(siege, "operator", [ROOT + topic for topic in ALL if topic not in own]) == []
        row.refused(f"{len(ALL) - len(own)} topics: nothing got through")


def test_anothers_client_id_is_not_had_by_asking_for_it(siege, stolen):
    before = siege.health("rov1")["reconnects"]
    with siege.attack("connect with rov1's client id", STOLEN) as row:
        siege.enter(stolen, client_id="rov1").end()
        RawClient(siege.address).close()
        assert siege.health("rov1")["reconnects"] == before
        row.refused("the client id is the account's own, whatever is asked for: rov1 stayed connected")


def test_a_will_is_not_published_in_anothers_name(siege, stolen):
    with siege.attack("leave a will on rov1's status, and break off", STOLEN) as row:
        siege.arrived(b"")
        intruder = siege.enter(stolen, will="vehicle/rov1/status")
        if intruder.refusal is None:
            intruder.break_off()
        siege.enter(stolen, will="vehicle/rov2/status").break_off()
        heard = siege.witness.heard
        until(lambda: any(topic == f"{ROOT}vehicle/rov2/status" for topic, _, _ in heard), 10, "its own will")
        assert siege.arrived(b"intruder") == [f"{ROOT}vehicle/rov2/status"]
        row.refused("never published; a will on its own status is")


# Getting in


def test_nobody_gets_in_without_an_account(siege):
    with siege.attack(
        "connect without a name, with an unknown one, with a wrong password", "no password"
    ) as row:
        tried = [(None, None), ("rov1", None), ("rov1", "wrong"), ("nobody", "x"), ("ROV1", "x"), ("", "x")]
        for name, password in tried:
            with RawClient(siege.address) as stranger:
                stranger.send(connect("rov1", name, password))
                stranger.wait_for(CONNACK)
                assert stranger.refusal != 0
        row.refused(f"{len(tried)} ways, and rov1 stayed connected")


def test_guessing_passwords_is_slow_and_delays_nobody(siege):
    with siege.attack("guess rov1's password for 4 s, as fast as it goes", "no password") as row:
        tries, until_s = 0, time.monotonic() + 4
        while time.monotonic() < until_s:
            with RawClient(siege.address) as stranger:
                stranger.send(connect("rov1", "rov1", f"guess {tries}"))
                stranger.wait_for(CONNACK)
                assert stranger.refusal != 0
            tries += 1
        row.refused(f"{tries / 4:.0f} tries a second, against 160 random bits")


def test_plain_mqtt_is_no_tls(siege):
    with siege.attack("speak plain MQTT to the TLS port", "rov2's password") as row:
        with RawClient(siege.tls_address) as stranger:
            stranger.send(connect("rov2", "rov2", siege.passwords["rov2"]))
            assert not stranger.wait_for(CONNACK, 5)
            assert stranger.closed.wait(10)
        row.refused("closed without an answer")


def test_a_broker_that_asks_for_certificates_believes_only_its_authoritys(siege, authority):
    files = {
        "valid": certificate_files(siege.folder, "valid", authority.client("rov2", authority.ends)),
        "expired": certificate_files(siege.folder, "expired", authority.client("rov2", LONG_AGO)),
        "foreign": certificate_files(siege.folder, "foreign", foreign().client("rov2", foreign().ends)),
        "none": None,
    }
    what = "log in with an expired, a foreign and no certificate, where the broker asks for one"
    with StrictBroker(siege.fleet) as strict, siege.attack(what, "rov2's password") as row:
        let_in = {name: is_let_in(siege, strict, paths) for name, paths in files.items()}
        assert let_in == {"valid": True, "expired": False, "foreign": False, "none": False}
        row.refused("the handshake fails; a valid one is let in")


@pytest.mark.parametrize("kind", ["expired", "foreign"])
def test_an_impostor_of_the_broker_hears_no_password(siege, authority, kind):
    here = Host(names=(), addresses=("127.0.0.1",))
    signed = authority.server(here, LONG_AGO) if kind == "expired" else foreign().server(here, foreign().ends)
    with siege.attack(f"pretend to be the broker, with {WITH[kind]} certificate", "the network") as row:
        with Impostor(*certificate_files(siege.folder, f"impostor-{kind}", signed)) as impostor:
            client = Client(
                ConnectionSettings(
                    broker=impostor.url,
                    username="rov2",
                    password=siege.passwords["rov2"],
                    ca_file=siege.folder / "ca.crt",
                ),
                "test",
                [],
            )
            client.connection.start()
            until(lambda: impostor.greeted >= 1 and client.connection.last_problem, 10, "a problem")
            assert "certificate" in client.connection.last_problem
            assert not client.connection.up
            client.connection.stop()
            assert impostor.said == b""
        row.refused("no word was said to it, so no password either")


def foreign():
    return Authority.make(datetime.now(UTC))


def is_let_in(siege, strict, paths):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(siege.folder / "ca.crt")
    if paths:
        context.load_cert_chain(*paths)
    try:
        client = RawClient(
            strict.address, lambda plain: context.wrap_socket(plain, server_hostname="127.0.0.1")
        )
    except OSError:
        return False
    with client:
        client.send(connect("rov2", "rov2", siege.passwords["rov2"]))
        return client.wait_for(CONNACK, 5) and client.refusal == 0


# Too much


def test_a_message_of_100_mb_is_refused_by_its_header(siege, stolen):
    with siege.attack("send a message of 100 MB", STOLEN) as row:
        with siege.raw(stolen) as intruder:
            intruder.send(header(0x30, HUNDRED_MB))
            taken = pour(intruder, HUNDRED_MB)
            assert intruder.closed.wait(10)
        row.refused(f"closed at the header, {taken / 1e6:.1f} MB were on their way")


def test_a_stranger_cannot_announce_a_long_connect(siege):
    with siege.attack("send a CONNECT of 100 MB", "no password") as row:
        with RawClient(siege.address) as stranger:
            stranger.send(header(0x10, HUNDRED_MB))
            taken = pour(stranger, HUNDRED_MB)
            assert stranger.closed.wait(10)
        row.refused(f"closed at the header, {taken / 1e6:.1f} MB were on their way")


def test_500_connections_of_one_account_are_one(siege, stolen):
    with siege.attack("open 500 connections", STOLEN) as row, ExitStack() as stack:
        opened = [stack.enter_context(siege.raw(stolen)) for _ in range(500)]
        until(lambda: sum(not one.closed.is_set() for one in opened) <= 1, 10, "all but one closed")
        assert not opened[-1].closed.is_set()
        row.bounded("each ends the one before: 1 stood in the end")


def test_connections_that_say_nothing_are_counted(siege):
    with siege.attack("open 600 connections and say nothing", "no password") as row:
        standing = silent(siege, 600)
        assert 400 <= standing <= 500
        row.bounded(f"{standing} stood beside the fleet's, the rest was closed: nobody new got in meanwhile")
    until(lambda: siege.is_let_in("operator"), 10, "room for the next")


def test_a_flood_of_pings_costs_a_vehicle_its_share_and_no_more(siege):
    with siege.attack(
        "ping rov1 5000 times a second, for 10 s", "another topside's password", flood=True
    ) as row:
        before = siege.health("rov1")
        with siege.raw("tablet") as flooder:
            flooder.send(subscribe([f"{ROOT}vehicle/rov1/pong/tablet"]))
            assert flooder.wait_for(SUBACK)
            sent, took_s = flood_pings(flooder, 5000, 10)
            flooder.send(PING)
            assert flooder.wait_for(PINGRESP, 20)
            until(lambda: siege.health("rov1")["messages_dropped"].get("flood", 0), 10, "dropped pings")
            answered = flooder.answers.count(0x30)
        after = siege.health("rov1")
        dropped = after["messages_dropped"].get("flood", 0) - before["messages_dropped"].get("flood", 0)
        assert answered / took_s < 250
        assert siege.health("rov1")["reconnects"] == before["reconnects"]
        row.bounded(
            f"{sent / took_s:.0f} sent a second; rov1 answered {answered / took_s:.0f} of them"
            f" and dropped {dropped / took_s:.0f} unread"
        )


def test_large_messages_on_its_own_topic_are_read_and_dropped(siege, stolen):
    with siege.attack("send 500 messages of 128 KiB on rov2's own event topic", STOLEN, flood=True) as row:
        with siege.raw(stolen) as intruder:
            for number in range(500):
                assert intruder.send(publish(f"{ROOT}vehicle/rov2/event", LARGE, qos=1, number=number + 1))
            assert intruder.wait_for(0x40, 30, 500)
        for reader in ("topside", "recorder"):
            said = siege.fleet.logs(reader).count("dropped a message on tidesync/v1/vehicle/rov2/event")
            assert 1 <= said <= 3, f"{reader} said it {said} times"
        row.bounded("topside and recorder drop them as invalid, and say so once a minute")


def test_what_is_never_released_is_not_kept_without_end(siege, stolen):
    with siege.attack("send 2000 messages of 100 KB at QoS 2, and release none", STOLEN, flood=True) as row:
        with siege.raw(stolen) as intruder:
            for number in range(2000):
                message = publish(f"{ROOT}vehicle/rov2/event", LARGE[:100_000], qos=2, number=number + 1)
                if not intruder.send(message):
                    break
            intruder.send(PING)
            intruder.wait_for(PINGRESP, 20)
            received = intruder.answers.count(PUBREC)
            siege.sample()
        row.bounded(f"{received} were answered, and no more were kept than may be in flight: 100")


def test_only_countable_messages_are_retained_for_a_vehicle(siege, stolen):
    with siege.attack(
        "have 1000 messages of 100 KB retained, under names of its own", STOLEN, flood=True
    ) as row:
        kept_before = retained(siege)
        with siege.raw(stolen) as intruder:
            for number in range(1000):
                intruder.send(publish(f"{ROOT}vehicle/rov2/pong/x{number}", LARGE[:100_000], retain=True))
                intruder.send(publish(f"{ROOT}vehicle/rov2/x{number}", b"x", retain=True))
            for rest in ("event", "pong/topside"):
                intruder.send(publish(f"{ROOT}vehicle/rov2/{rest}", LARGE, retain=True))
            intruder.send(PING)
            assert intruder.wait_for(PINGRESP, 30)
            siege.sample()
            kept = retained(siege) - kept_before
            for rest in ("event", "pong/topside"):
                intruder.send(publish(f"{ROOT}vehicle/rov2/{rest}", b"", retain=True))
        assert kept == {f"{ROOT}vehicle/rov2/event", f"{ROOT}vehicle/rov2/pong/topside"}
        row.bounded("4 topics are its own, and one more for each topside: 2 were kept, nothing else")


@pytest.mark.parametrize("clean", [True, False])
def test_subscriptions_without_end_end_the_subscriber(siege, stolen, clean):
    what = "subscribe to filters 64 KB long, without end" + (", in a session that stays" if not clean else "")
    with siege.attack(what, STOLEN, flood=True) as row:
        with siege.raw(stolen, clean=clean) as intruder:
            granted = subscribe_without_end(siege, intruder)
            assert intruder.closed.wait(10)
        siege.judge.until_locked(["rov1", "rov3"])  # while the broker has nothing left to give
        row.bounded(f"thrown out after {granted}: the broker's heap is limited to 256 MiB")
    siege.raw(stolen, clean=True).close()


def subscribe_without_end(siege, intruder):
    """How many filters were granted until the broker had enough, of 6000."""
    for number in range(3000):
        if not intruder.send(subscribe([f"{number}/{side}{'x' * 65_000}" for side in "ab"])):
            break
        if number % 250 == 249:
            siege.sample()
    return 2 * intruder.answers.count(SUBACK)


def test_many_short_subscriptions_delay_others_and_make_nothing_wrong(siege, stolen):
    with siege.attack("subscribe to 60,000 short filters", STOLEN, flood=True) as row:
        with siege.raw(stolen) as intruder:
            for number in range(600):
                assert intruder.send(subscribe([f"{number}/{one}" for one in range(100)]))
            assert intruder.wait_for(SUBACK, 60, 600)
            siege.sample()
        row.bounded("all were granted: mosquitto looks through all of an account's for each new one")


def test_packets_that_break_the_protocol_end_their_connection(siege, stolen):
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
    with siege.attack(f"break the protocol: {', '.join(broken)}", STOLEN) as row:
        siege.arrived(b"")
        for sent in broken.values():
            with siege.raw(stolen) as intruder:
                intruder.send(sent)
                assert intruder.closed.wait(10), sent
        assert siege.arrived(b"x") == []
        row.refused(f"{len(broken)} connections ended, nothing got through")


# While rov2 is there too


def test_two_that_have_one_password_harm_each_other_alone(siege, rov2_back):
    with siege.attack("connect again and again beside rov2 itself, for 5 s", "rov2's password") as row:
        first = len(siege.judge.judged)
        before, times, until_s = siege.health("rov2")["reconnects"], 0, time.monotonic() + 5
        while time.monotonic() < until_s:
            with siege.raw(rov2_back) as intruder:
                intruder.closed.wait(1)
            times += 1
        siege.judge.until_locked(["rov2"], 30)
        assert [one for one in siege.judge.judged[first:] if not one.right] == []
        again = siege.health("rov2")["reconnects"] - before
        row.bounded(
            f"they end each other ({again} times): gaps for rov2 and nobody else, no wrong result of it"
        )


def test_who_connects_slowly_is_ended(siege, slow):
    with siege.attack("send CONNECT byte by byte, or never", "no password") as row:
        for one in slow.values():
            one.join(120)
            assert one.lasted_s is not None, "it still stands"
        took = " and ".join(f"{name} after {one.lasted_s:.0f} s" for name, one in slow.items())
        row.bounded(f"ended: {took}")


def test_after_a_reload_the_system_counts_connections(siege):
    siege.fleet.container("broker").kill("SIGHUP")
    what = "open 1100 connections and say nothing, after mosquitto was told to reload"
    with siege.attack(what, "no password") as row:
        standing = silent(siege, 1100)
        assert 900 <= standing <= 1024
        row.bounded(f"mosquitto forgets its own limit then: {standing} stood, as many as it may open files")
    until(lambda: siege.is_let_in("operator"), 10, "room for the next")


def test_the_session_that_was_recorded_meanwhile_is_complete(siege, rov2_back):  # noqa: ARG001 - its last exchanges too
    siege.fleet.operator("session", "stop", "siege")
    session = Session(siege.fleet, "siege", "siege")
    session.assert_complete(siege.judge.published, ("rov1", "rov2", "rov3"))
    siege.judge.assert_never_wrong()


def test_the_document_tells_of_every_attack_and_its_verdict(siege, request):
    if OUTPUT:
        Path(OUTPUT).write_text(json.dumps(siege.figures(), indent=1, ensure_ascii=False) + "\n")
        return
    run = [(row.attack, row.by, row.verdict) for row in siege.rows]
    told = rows_of(DOCUMENT.read_text(encoding="utf-8"))
    if request.config.option.keyword or any("::" in one for one in request.config.args):
        assert set(run) <= set(told)
    else:
        assert run == told
