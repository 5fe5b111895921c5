"""The doctor's checks: what was found in, the finding out."""

import socket
import sys
import threading
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from broker.errors import CredentialsError
from broker.inbox import Letter
from broker.settings import ConnectionSettings
from runtime import chrony
from runtime.clock import SystemClock, read
from runtime.clock_daemons import Daemon
from runtime.interface_stamps import InterfaceStamps
from runtime.kernel_clock import KernelState
from runtime.realtime_rate import RateState
from runtime.version import VERSION
from schemas import topics
from schemas.choice import FRESH_S
from schemas.compat import UTC
from schemas.instants import utc_from_ns
from schemas.messages import Info, OffsetResult
from schemas.presence import Member
from tests.ports import free_port
from tests.unit.dashboards import LONG_AGO, S, info, letter, reading
from tests.unit.dashboards import result as dashboards_result
from tests.unit.metric_examples import RESULT
from tidesync.doctor import (
    broker_checks,
    certificate_checks,
    clock_checks,
    fleet_checks,
    group_checks,
    machine_checks,
)
from tidesync.doctor.broker_checks import broker_nodelay
from tidesync.doctor.observations import Burst, Observations
from tidesync.doctor.self_test import Outcome, offset_sign
from tidesync.doctor.settings import DoctorSettings
from tidesync.fleet.model import Fleet
from tidesync.fleet.vehicle import Row, topsides_twice

SETTINGS = ConnectionSettings(broker="mqtt://boat:1883", username="operator")
NOW = datetime(2026, 5, 1, tzinfo=UTC)
CHRONYD = Daemon("chronyd")


def result(**fields):
    values = dict.fromkeys(OffsetResult.model_fields) | {
        "schema_version": 1, "vehicle": "rov1", "topside": "laptop", "method": "mqtt_exchange_v1",
        "state": "locked", "conditional": False,
        "offset_ms": -150.0, "lower_ms": -150.4, "upper_ms": -149.6, "max_error_ms": 0.4, "delay_min_ms": 0.6,
        "exchanges": 9, "rejected": 0, "segment": 0, "steps": 0, "measured_at": utc_from_ns(0),
    }  # fmt: skip
    return OffsetResult(**values | fields)


def row(age_s=0.5, **fields):
    fresh = age_s is not None and age_s <= FRESH_S
    return Row("rov1", "laptop", result(**fields), age_s, fresh=fresh, status="online")


# Broker


@pytest.mark.parametrize(
    ("problem", "advice"),
    [
        ("connection refused (is it running?)", "start the broker"),
        ("host name not found (DNS: x)", "check the name"),
        ("timed out", "firewall"),
        ("TLS certificate not accepted (certificate has expired); is ca_file the right one?", "--ca-file"),
        ("it does not accept the client id (CONNACK 2)", "client id"),
        ("server unavailable (CONNACK 3)", "max_connections"),
        ("something new", "log"),
    ],
)
def test_an_unreachable_broker_fails_with_the_reason_and_what_to_do(problem, advice):
    finding = broker_checks.reached(SETTINGS, Observations(problem=f"broker mqtt://boat:1883: {problem}"))
    assert finding.verdict == "FAIL"
    assert problem in finding.found
    assert advice in finding.advice


def test_a_refused_account_is_a_reached_broker_and_failed_credentials():
    seen = Observations(failure=CredentialsError(SETTINGS.address, "operator", "not authorized"), problem="x")
    assert broker_checks.reached(SETTINGS, seen).verdict == "ok"
    finding = broker_checks.credentials(SETTINGS, seen)
    assert finding.verdict == "FAIL"
    assert "'operator'" in finding.found


def test_a_lost_connection_points_at_the_other_user_of_the_account():
    finding = broker_checks.undisturbed(SETTINGS, Observations(connect_ms=1.0, lost=["connection lost"]))
    assert finding.verdict == "warn"
    assert "account 'operator'" in finding.advice


@pytest.mark.parametrize(
    ("why", "advice"),
    [
        ("the system refuses them: Operation not permitted", "seccomp"),
        ("the connection goes through a proxy library", "proxy"),
    ],
)
def test_stamps_in_user_space_are_reported_with_the_reason(why, advice):
    finding = broker_checks.stamps(Observations(receive_stamp="user", unstamped_because=why))
    assert finding.verdict == "warn"
    assert why in finding.found
    assert advice in finding.advice


def test_a_paho_without_the_hooks_is_named(monkeypatch):
    monkeypatch.setattr(broker_checks, "hooks_fault", lambda: "paho 9.9.9 was not tested, only 2.2.x")
    finding = broker_checks.stamps(Observations(receive_stamp="user"))
    assert "paho 9.9.9 was not tested, only 2.2.x" in finding.found
    assert "paho-mqtt~=2.2" in finding.advice


def test_a_socket_that_keeps_nagle_on_fails():
    assert broker_checks.own_nodelay(Observations(nodelay=False)).verdict == "FAIL"


# Bursts


def test_bursts_held_back_for_forty_milliseconds_are_nagles():
    held = [Burst(43.0 + n % 3, 43.0 + n % 3) for n in range(10)] + [Burst(0.2, 0.4)] * 10
    finding = broker_nodelay(held, round_trip_ms=0.2)
    assert finding.verdict == "warn"
    assert "10 of 20" in finding.found
    assert "set_tcp_nodelay true" in finding.advice


def test_a_slow_link_that_jitters_is_not_taken_for_it():
    jitter = [Burst(80.0 + 7 * n, 85.0 + 7 * n) for n in range(20)]
    assert broker_nodelay(jitter, round_trip_ms=80.0).verdict == "ok"


def test_one_late_burst_is_no_proof():
    assert broker_nodelay([Burst(0.2, 0.4)] * 20 + [Burst(0.2, 41.0)], 0.2).verdict == "ok"


def test_too_few_bursts_are_no_verdict():
    assert broker_nodelay([], 0.2).verdict == "skipped"


# Fleet


@pytest.mark.parametrize(
    ("given", "verdict", "words"),
    [
        (row(), "ok", "locked by laptop"),
        (row(age_s=90), "warn", "not renewed for 1 min 30 s"),
        (row(error="duplicate_vehicle"), "FAIL", "duplicate_vehicle"),
        (row(error="duplicate_topside"), "FAIL", "duplicate_topside"),
        (row(error="clock_rate"), "warn", "clock_rate"),
        (row(state="acquiring"), "warn", "acquiring"),
        (row(delay_min_ms=41.0), "warn", "41 ms"),
        (Row("rov1", status="online"), "warn", "nobody"),
    ],
)
def test_a_vehicle_is_shown_with_what_is_wrong(given, verdict, words):
    finding = fleet_checks.vehicle(given)
    assert finding.verdict == verdict
    assert words in finding.found


def test_topsides_of_one_name_fail_by_that_name():
    fleet = Fleet()
    fleet.topsides.update({"laptop": "online", "ship": "online"})
    rows = [row(error="duplicate_topside"), row()]
    found = fleet_checks.topsides(fleet, None, topsides_twice(rows))
    assert (found.verdict, "two topsides are named laptop" in found.found) == ("FAIL", True)
    assert "rename one" in found.advice
    old = [row(age_s=90, error="duplicate_topside")]
    assert fleet_checks.topsides(fleet, None, topsides_twice(old)).verdict == "ok"


@pytest.mark.parametrize(
    ("version", "receive_stamp", "verdict", "words"),
    [
        (VERSION, "kernel", "ok", "as here"),
        ("99.0", "kernel", "warn", "99.0"),
        (VERSION, "user", "warn", "user space"),
    ],
)
def test_an_agent_of_another_version_or_without_kernel_stamps_is_warned_of(
    version, receive_stamp, verdict, words
):
    info = Info(
        vehicle="rov1",
        version=version,
        boot_id="b",
        instance_id="i",
        started_at=NOW,
        receive_stamp=receive_stamp,
        clock_synchronized=False,
        http_port=None,
    )
    finding = fleet_checks.agent("rov1", info)
    assert finding.verdict == verdict
    assert words in finding.found


@pytest.mark.parametrize(
    ("udp", "public", "path", "verdict", "words"),
    [
        (None, None, "mqtt", "ok", "offers none"),
        (1, False, "udp", "ok", "in use"),
        (1, False, None, "ok", "offered"),
        (1, False, "mqtt", "warn", "came over mqtt"),
        (1, True, "udp", "warn", "can read the key"),
        (1, True, "mqtt", "warn", "came over mqtt; its agent has no account"),
    ],
)
def test_whether_the_direct_path_is_used_and_who_reads_its_key_is_said(udp, public, path, verdict, words):
    info = Info(
        vehicle="rov1",
        version="1",
        boot_id="b",
        instance_id="i",
        started_at=NOW,
        receive_stamp="kernel",
        clock_synchronized=False,
        http_port=None,
        udp=udp,
        udp_key_public=public,
    )
    result = None if path is None else RESULT.model_copy(update={"path": path})
    finding = fleet_checks.direct_path("rov1", info, result)
    assert finding.verdict == verdict
    assert words in finding.found


def test_a_message_of_another_schema_fails_and_names_the_topic():
    (finding,) = fleet_checks.unreadable(
        Observations(unreadable={"tidesync/v1/vehicle/rov1/info": "schema_version: 2"})
    )
    assert finding.verdict == "FAIL"
    assert "vehicle/rov1/info" in finding.found


# Clocks


def chrony_conf(folder, text):
    path = folder / "chrony.conf"
    path.write_text(text)
    return path


def test_chronys_slewing_is_named_and_is_well(tmp_path):
    path = chrony_conf(tmp_path, "pool pool.ntp.org iburst\n# maxslewrate 100\n")
    finding = clock_checks.chrony_slew([CHRONYD], [tmp_path / "absent", path])
    assert finding.verdict == "ok"
    assert "83,333 ppm" in finding.found
    path.write_text("maxslewrate 200000\n")
    assert clock_checks.chrony_slew([CHRONYD], [path]).verdict == "warn"


def test_no_chrony_is_not_looked_at(tmp_path):
    path = chrony_conf(tmp_path, "maxslewrate 400\n")
    assert clock_checks.chrony_slew([CHRONYD], [path]).verdict == "ok"
    assert clock_checks.chrony_slew([], [path]).verdict == "skipped"
    assert clock_checks.chrony_slew([CHRONYD], []).verdict == "skipped"


def test_chronys_folders_are_read_too_and_the_last_word_counts(tmp_path):
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "boat.conf").write_text("MaxSlewRate 400\n")
    (tmp_path / "conf.d" / "boat.conf.bak").write_text("maxslewrate 1\n")
    path = chrony_conf(tmp_path, f"maxslewrate 9000\nconfdir {tmp_path}/conf.d\n")
    assert chrony.max_slew_ppm(path) == 400
    path = chrony_conf(tmp_path, f"include {tmp_path}/conf.d/*.conf\nmaxslewrate 500\n")
    assert chrony.max_slew_ppm(path) == 500


def test_a_chrony_configuration_that_includes_itself_ends(tmp_path):
    path = chrony_conf(tmp_path, f"include {tmp_path}/chrony.conf\n")
    assert chrony.max_slew_ppm(path) == chrony.DEFAULT_PPM


def test_two_masters_of_one_clock_are_warned_of():
    timesyncd, ptp4l = Daemon("systemd-timesyncd"), Daemon("ptp4l")
    assert clock_checks.discipline([CHRONYD, timesyncd], KernelState()).verdict == "warn"
    assert clock_checks.discipline([CHRONYD, ptp4l], KernelState()).verdict == "ok"


@pytest.mark.parametrize(
    ("daemons", "state", "words"),
    [
        ([], KernelState(), "free once it has rested for 60 s"),
        ([], KernelState(frequency=12 * 65_536), "+12.0 ppm"),
        (
            [Daemon("ntpd")],
            KernelState(),
            "running: ntpd; the kernel moves it by +0.0 ppm; it may slew by up to 500 ppm",
        ),
        (
            [Daemon("systemd-timesyncd")],
            KernelState(offset_ns=-300_000_000),
            "-300.000 ms are still to be slewed",
        ),
        ([], None, "does not say"),
    ],
)
def test_what_disciplines_the_clock_is_said(daemons, state, words):
    finding = clock_checks.discipline(daemons, state)
    assert finding.verdict == "ok"
    assert words in finding.found


def test_running_daemons_are_found_by_name_but_no_chronyd_that_leaves_the_clock_alone(tmp_path):
    for number, name, option in [
        ("12", "chronyd", "-x"),
        ("13", "systemd-timesyn", "-"),
        ("14", "bash", "-i"),
    ]:
        process(tmp_path / number, name, option)
    assert [daemon.name for daemon in clock_checks.running_daemons(tmp_path)] == ["systemd-timesyncd"]
    process(tmp_path / "15", "chronyd", "-n")
    assert clock_checks.running_daemons(tmp_path)[0] == Daemon("chronyd", ("-n", ""))


def process(folder, name, *arguments):
    folder.mkdir()
    (folder / "comm").write_text(f"{name}\n")
    (folder / "cmdline").write_text("\0".join([name, *arguments, ""]))


def test_the_configuration_that_chronyd_was_given_is_read(tmp_path):
    named, usual = tmp_path / "boat.conf", chrony_conf(tmp_path, "maxslewrate 400\n")
    named.write_text("maxslewrate 1000\n")
    finding = clock_checks.chrony_slew([Daemon("chronyd", ("-f", str(named), ""))], [usual])
    assert "1,000 ppm" in finding.found
    assert str(named) in finding.found


@pytest.mark.parametrize(("year", "verdict"), [(1970, "FAIL"), (2021, "FAIL"), (2026, "ok"), (2106, "FAIL")])
def test_the_date_must_be_possible(year, verdict):
    assert clock_checks.wall_clock(datetime(year, 6, 1, tzinfo=UTC)).verdict == verdict


# Certificates


@pytest.mark.parametrize(("days", "verdict"), [(400, "ok"), (29, "warn"), (1, "warn"), (-1, "FAIL")])
def test_a_certificate_that_ends_soon_is_warned_of(days, verdict):
    assert certificate_checks.expiry("ours", NOW + timedelta(days=days), NOW).verdict == verdict


# This computer


def _hang_up(server):
    server.accept()[0].close()


def test_a_free_port_is_well_and_a_strangers_is_warned_of():
    with socket.create_server(("127.0.0.1", free_port())) as server:
        port = server.getsockname()[1]
        stranger = threading.Thread(target=_hang_up, args=(server,), daemon=True)
        stranger.start()
        assert machine_checks.http_port(port).verdict == "warn"
    assert machine_checks.http_port(port).verdict == "ok"


def test_a_port_that_serves_our_endpoint_is_well():
    class Serves(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"pi_unix_ms": 1}')

        def log_message(self, *_arguments):
            pass

    with HTTPServer(("127.0.0.1", 0), Serves) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        finding = machine_checks.http_port(server.server_address[1])
    assert (finding.verdict, finding.found) == ("ok", "serves GET /api/sync/time")


def test_the_brokers_port_matters_only_where_it_is_to_run_here():
    assert (
        machine_checks.broker_port(DoctorSettings(broker="mqtt://boat"), reached=False).verdict == "skipped"
    )
    with socket.create_server(("127.0.0.1", free_port())) as server:
        here = DoctorSettings(broker=f"mqtt://127.0.0.1:{server.getsockname()[1]}")
        assert machine_checks.broker_port(here, reached=True).verdict == "ok"
        assert machine_checks.broker_port(here, reached=False).verdict == "FAIL"
    assert machine_checks.broker_port(here, reached=False).verdict == "ok"


def test_a_folder_that_does_not_exist_yet_is_judged_by_the_one_it_would_stand_in(tmp_path):
    finding = machine_checks.disk(tmp_path / "dives" / "2026")
    assert finding.verdict in {"ok", "warn"}
    assert f"{tmp_path}:" in finding.found
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_fails():
    assert machine_checks.disk(Path("/proc/dives")).verdict == "FAIL"
    assert machine_checks.disk(None).verdict == "skipped"


@pytest.mark.parametrize(("free_bytes", "verdict"), [(50 * 10**6, "FAIL"), (10**9, "warn"), (10**11, "ok")])
def test_little_room_is_reported(tmp_path, monkeypatch, free_bytes, verdict):
    usage = (10**12, 0, free_bytes)
    monkeypatch.setattr(machine_checks.shutil, "disk_usage", lambda _: type("U", (), {"free": usage[2]}))
    assert machine_checks.disk(tmp_path).verdict == verdict


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux stamps datagrams")
@pytest.mark.parametrize(
    ("refused", "state", "verdict", "words"),
    [
        (None, RateState(), "ok", "in software. eth0: arrivals alone"),
        ("the system refuses them: not permitted", RateState(), "warn", "not permitted"),
        (None, None, "warn", "adjtimex"),
    ],
)
def test_stamps_of_datagrams_are_said_and_why_there_are_none(monkeypatch, refused, state, verdict, words):
    monkeypatch.setattr(machine_checks.StampedSocket, "refusal", lambda: refused)
    interfaces = [InterfaceStamps("eth0", software=False, hardware_clock=None)]
    finding = machine_checks.datagram_stamps(lambda: state, lambda: interfaces)
    assert finding.verdict == verdict
    assert words in finding.found


@pytest.mark.parametrize(("version", "verdict"), [("2.2.0", "ok"), ("1.6.1", "warn"), ("3.0.0", "warn")])
def test_a_library_of_another_version_is_warned_of(monkeypatch, version, verdict):
    monkeypatch.setattr(machine_checks.importlib.metadata, "version", lambda _: version)
    assert machine_checks._library("paho-mqtt", (2, 2)).verdict == verdict


# The exchange


@pytest.mark.parametrize(
    ("offset_ms", "verdict", "words"),
    [(-150.0, "ok", "right"), (150.0, "FAIL", "wrong"), (-140.0, "FAIL", "the bound does not contain")],
)
def test_sign_and_bound_of_the_pretended_vehicle_are_broker_nodelay(offset_ms, verdict, words):
    measured = result(offset_ms=offset_ms, lower_ms=offset_ms - 1, upper_ms=offset_ms + 1)
    finding = offset_sign(Outcome(measured, -150.2), "somewhere")
    assert finding.verdict == verdict
    assert words in finding.found


def test_the_bound_that_was_measured_is_not_shown_narrower_than_it_is():
    measured = result(offset_ms=-150.2001, lower_ms=-150.2005, upper_ms=-150.1997, max_error_ms=0.00043)
    assert "measured -150.20010 ± 0.00043 ms" in offset_sign(Outcome(measured, -150.2), "somewhere").found


def test_what_the_broker_refuses_is_named_with_the_account():
    seen = Observations(subscribed=True, refused=("tidesync/v1/vehicle/+/info",))
    finding = broker_checks.subscriptions(SETTINGS, seen)
    assert finding.verdict == "warn"
    assert "tidesync/v1/vehicle/+/info" in finding.found
    assert broker_checks.subscriptions(SETTINGS, Observations(subscribed=True)).verdict == "ok"
    assert broker_checks.subscriptions(SETTINGS, Observations()).verdict == "FAIL"


@pytest.mark.parametrize(
    ("sent", "kept", "verdict", "words"),
    [
        (None, None, "skipped", "nothing is retained yet"),
        (True, None, "ok", "wildcards too"),
        (False, True, "warn", "not sent to subscriptions with wildcards"),
        (False, False, "warn", "not sent to new subscriptions"),
    ],
)
def test_a_broker_that_keeps_retained_messages_to_itself_is_named(sent, kept, verdict, words):
    finding = broker_checks.retained(Observations(retained_sent=sent, retained_kept=kept))
    assert finding.verdict == verdict
    assert words in finding.found


def test_a_connection_that_never_lasts_fails_with_what_the_broker_may_refuse():
    problem = (
        "broker mqtt://boat:1883: connection lost again and again, when account 'x' asks to subscribe to y"
    )
    finding = broker_checks.undisturbed(SETTINGS, Observations(lost=["connection lost"] * 4, problem=problem))
    assert finding.verdict == "FAIL"
    assert finding.found.startswith("connection lost again and again, when account 'x'")


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (
            Observations(connect_ms=1.0, subscribed=True, lost=["keepalive"]),
            "the connection was lost (keepalive)",
        ),
        (Observations(connect_ms=1.0), "did not answer a subscription"),
        (Observations(connect_ms=1.0, subscribed=True, refused=("a/+",)), "the broker refuses a/+"),
    ],
)
def test_nothing_heard_of_a_broker_that_could_not_be_heard_is_not_nothing_there(seen, why):
    found = {each.check: each for each in fleet_checks.fleet_checks(seen, read(SystemClock()))}
    assert found["vehicles"].verdict == "FAIL"
    assert why in found["vehicles"].found
    assert "could not be found out" in found["topsides"].found


def test_a_broker_that_was_heard_to_its_end_and_sent_nothing_has_no_vehicle():
    seen = Observations(connect_ms=1.0, subscribed=True)
    found = {each.check: each for each in fleet_checks.fleet_checks(seen, read(SystemClock()))}
    assert (found["vehicles"].verdict, found["vehicles"].found) == ("warn", "none is known")


@pytest.mark.parametrize(("state", "verdict"), [("locked", "warn"), ("holdover", "ok"), ("stale", "ok")])
def test_a_vehicle_that_does_not_answer_is_not_blamed_on_its_direct_path(state, verdict):
    letters = [letter(info(udp=1)), letter(dashboards_result(state=state, path="mqtt"))]
    seen = Observations(connect_ms=1.0, subscribed=True, letters=letters)
    found = {each.check: each for each in fleet_checks.fleet_checks(seen, reading(LONG_AGO + S))}
    assert found["direct path to rov1"].verdict == verdict


# Groups


def member(name, group="fleet"):
    body = Member(topside=name, group=group, weight=2.0, instance_id=f"{name}-1", boot_id="boot")
    return Letter(topics.Topic(topics.TOPSIDE_MEMBER, topside=name), body, None)


def test_a_group_is_listed_with_its_members_and_who_is_not_heard_is_warned_of():
    seen = Observations(
        letters=[member("bridge"), member("lab"), member("shore", "other")],
        heartbeats={"bridge": ["bridge-1"], "lab": ["lab-2"], "shore": ["shore-1"]},
    )
    fleet, other = group_checks.groups(seen)
    assert fleet.verdict == "warn"
    assert "bridge (weight 2); not heard: lab (weight 2)" in fleet.found
    assert (other.verdict, other.found) == ("ok", "shared by shore (weight 2)")
    assert not list(group_checks.groups(Observations()))


def test_of_a_member_that_is_gone_for_good_doctor_says_what_to_clear():
    gone = Observations(letters=[member("lab")], heartbeats={"lab": ["another process"]})
    (found,) = group_checks.groups(gone)
    assert found.found == "nobody; not heard: lab (weight 2)"
    assert "`tidesync forget --topside lab`" in found.advice
    assert "the others" not in found.advice


def test_members_are_not_called_gone_where_the_account_may_not_hear_them():
    deaf = Observations(letters=[member("lab")], refused=("tidesync/v1/topside/+/heartbeat",))
    (found,) = group_checks.groups(deaf)
    assert (found.verdict, "refuses tidesync/v1/topside/+/heartbeat" in found.found) == ("skipped", True)


def test_vehicles_that_topsides_of_two_groups_measure_are_named_and_are_right():
    measured = [
        Row(vehicle, topside, fresh=True, group=group)
        for vehicle in ("rov1", "rov2", "rov3", "rov4", "rov5")
        for topside, group in (("boat", "north"), ("shore", "south"))
    ]
    (found,) = group_checks.measured_by_several([*measured, Row("rov6", "boat", fresh=True)])
    assert found.verdict == "ok"
    assert found.found == (
        "5 vehicles (rov1, rov2, rov3, … and 2 more): each has results by boat (group north) and"
        " shore (group south); the one with the least bound is used"
    )
    assert not list(group_checks.measured_by_several([Row("rov1", "boat", fresh=True), Row("rov1", "shore")]))


def test_two_members_of_one_group_that_measure_a_vehicle_are_warned_of():
    both = [Row("rov1", topside, fresh=True, group="north") for topside in ("boat", "barge")]
    (found,) = group_checks.measured_by_several(both)
    assert found.verdict == "warn"
    assert "heartbeats" in found.advice
