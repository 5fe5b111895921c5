"""The handshake agrees with the consumer's algorithm: pure verdicts, and a real server that misbehaves."""

import json
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from runtime.clock import Reading, SystemClock
from schemas.metadata import SensorTimeSync
from tests.deadline import delay, until
from tests.ports import free_port
from tidesync.command_line import run
from topside_agent.http_fallback import http_get
from topside_agent.http_fallback.handshake import from_response, parse_response
from topside_agent.http_fallback.http_get import (
    Answer,
    Failure,
    InvalidUrlError,
    TimedResponse,
    get,
    parse_url,
)

MS = 1_000_000
T1 = 1_777_636_800_000 * MS
KEYS = ["method", "offsetMs", "uncertaintyMs", "measuredAt", "error"]


def reply(**changes):
    fields = {
        "pi_iso": "2026-05-01T12:00:00.123456+00:00",
        "pi_unix_ms": 1_777_636_800_123,
        "container_version": "1",
        "schema_version": 1,
    }
    return {key: value for key, value in (fields | changes).items() if value is not None}


def verdict(body, rtt_ms=10, status=200):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_response(Answer(status, content), T1, T1 + round(rtt_ms * MS))


def entry_of(body, **changes):
    return json.loads(verdict(body, **changes).entry().model_dump_json(by_alias=True))


def test_offset_is_pi_minus_the_middle_with_the_microseconds_of_pi_iso():
    assert entry_of(reply()) == {
        "method": "ntp_handshake_v1",
        "offsetMs": 118.456,  # 123.456 − (0 + 10/2)
        "uncertaintyMs": 5.001,  # 10/2, and the microsecond to which the stamp was cut
        "measuredAt": "2026-05-01T12:00:00.010Z",
        "error": None,
    }


@pytest.mark.parametrize(
    "iso", ["2026-05-01T12:00:00Z", "2026-05-01T12:00:00.123Z", "soon", "2026-05-01T14:00:00.123456+00:00"]
)
def test_without_microseconds_that_agree_whole_milliseconds_are_used_and_widen_the_uncertainty(iso):
    entry = entry_of(reply(pi_iso=iso))
    assert (entry["offsetMs"], entry["uncertaintyMs"]) == (118.0, 6.0)


@pytest.mark.parametrize("fraction", range(0, 1000, 37))
@pytest.mark.parametrize("way_out", [0.0, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("fine", [True, False])
def test_the_truth_lies_within_the_uncertainty_whatever_the_way_took(fraction, way_out, fine):
    true_ms, rtt_ms = -150.3, 8.0
    stamp_us = 1_777_636_800_000_000 + round((true_ms + way_out * rtt_ms) * 1000) + fraction
    true_ms += fraction / 1000
    seconds, micros = divmod(stamp_us, 10**6)
    iso = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + (f".{micros:06d}Z" if fine else "Z")
    entry = entry_of(reply(pi_iso=iso, pi_unix_ms=stamp_us // 1000), rtt_ms=rtt_ms)
    assert abs(entry["offsetMs"] - true_ms) <= entry["uncertaintyMs"] + 1e-6


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (reply(pi_iso=None), "invalid_pi_time"),
        (reply(pi_iso=""), "invalid_pi_time"),
        (reply(pi_iso=12), "invalid_pi_time"),
        (reply(pi_unix_ms=None), "invalid_pi_time"),
        (reply(pi_unix_ms="1777636800123"), "invalid_pi_time"),
        (reply(pi_unix_ms=True), "invalid_pi_time"),
        (reply(pi_unix_ms=-1), "invalid_pi_time"),
        (reply(pi_unix_ms=10**400), "invalid_pi_time"),
        ([], "invalid_pi_time"),
        ("text", "invalid_pi_time"),
        (None, "network_error"),
        (b"<html>Not here</html>", "network_error"),
        (b"", "network_error"),
        (b"[" * 50_000, "network_error"),
        (b'{"pi_iso": "2026-05-01T12:00:00Z", "pi_unix_ms": NaN}', "network_error"),
        (b'{"pi_iso": "2026-05-01T12:00:00Z", "pi_unix_ms": 1e999}', "invalid_pi_time"),
        (b"\xff\xfe", "network_error"),
    ],
)
def test_a_bad_answer_is_unsynced_with_the_consumers_word(body, error):
    entry = entry_of(body)
    assert (entry["method"], entry["error"]) == ("unsynced", error)
    assert entry["offsetMs"] is None
    assert entry["uncertaintyMs"] is None


@pytest.mark.parametrize("status", [301, 404, 500, 503])
def test_a_status_that_is_not_ok_is_a_network_error(status):
    assert entry_of(reply(), status=status)["error"] == "network_error"


@pytest.mark.parametrize(("rtt_ms", "error"), [(200, None), (200.001, "high_rtt"), (300, "high_rtt")])
def test_a_round_trip_over_200_ms_gives_no_offset_and_keeps_the_method(rtt_ms, error):
    entry = entry_of(reply(), rtt_ms=rtt_ms)
    assert (entry["method"], entry["error"]) == ("ntp_handshake_v1", error)
    assert (entry["offsetMs"] is None) == (error is not None)


def test_a_bad_answer_that_was_slow_as_well_is_called_bad_as_the_consumer_does():
    assert entry_of(reply(pi_iso=None), rtt_ms=300)["error"] == "invalid_pi_time"


def test_the_exchange_holds_the_pis_stamp_and_admits_what_http_does_not_tell():
    exchange = verdict(reply()).exchange("rov1", "laptop", seq=7, topside_difference_ns=9, resolution_ns=100)
    assert (exchange.origin_ns, exchange.destination_ns) == (T1, T1 + 10 * MS)
    assert exchange.receive_ns == exchange.transmit_ns == T1 + 123_456_000
    assert (exchange.pi_realtime_minus_raw_ns, exchange.boot_id) == (None, None)
    assert (exchange.receive_stamp, exchange.transmit_stamp) == ("http", "http")
    assert (exchange.method, exchange.seq, exchange.resolution_ns) == ("ntp_handshake_v1", 7, 1100)
    slow = verdict(reply(), rtt_ms=300)
    assert slow.exchange("rov1", "laptop", seq=7, topside_difference_ns=9, resolution_ns=1) is None


def test_a_step_of_this_computers_clock_meanwhile_does_not_count_as_round_trip():
    response = TimedResponse(Failure("timeout", ""), Reading(1000, 0, 0), Reading(3000, 10**12, 0))
    assert from_response(response).rtt_ns == 2000


@pytest.mark.parametrize(
    "url",
    [
        "",
        "rov1",
        "ftp://rov1",
        "http://",
        "http://a b",
        "http://h:99999",
        "http://h:x",
        "http://h/?a=1",
        "http://h#a",
    ],
)
def test_a_url_that_cannot_be_asked_is_refused_and_named(url):
    with pytest.raises(InvalidUrlError) as refused:
        parse_url(url)
    assert repr(url) in str(refused.value)


def test_a_password_in_a_url_is_refused_and_not_repeated(capsys):
    assert run(["handshake", "http://pi:raspberry@rov1:9150"]) == 2
    assert "raspberry" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("http://h:9150", "/api/sync/time"),
        ("http://h/", "/api/sync/time"),
        ("http://h/sensor/", "/sensor/api/sync/time"),
        ("http://h/api/sync/time", "/api/sync/time"),
    ],
)
def test_the_endpoint_is_found_below_a_base(url, path):
    assert parse_url(url).path == path


# Over real sockets


@contextmanager
def serving(act):
    """The base URL of an HTTP server of which each GET is answered by `act(handler)`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            act(self)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def answer(handler, body, status=200, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def pi_now(ahead_ns=0):
    now_ns = time.time_ns() + ahead_ns
    seconds, rest = divmod(now_ns // 1000, 10**6)
    iso = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:06d}+00:00"
    return {"pi_iso": iso, "pi_unix_ms": now_ns // MS, "container_version": "1", "schema_version": 1}


def asked(url, timeout_s=5.0):
    return from_response(get(parse_url(url), SystemClock(), timeout_s))


def shown(capsys, *arguments):
    """What is printed once an answer has come in time: a busy machine may take longer."""

    def answered():
        capsys.readouterr()
        return run(["handshake", *arguments]) == 0

    until(answered, what="an answer in time")
    return capsys.readouterr().out


def test_a_good_answer_over_a_socket_holds_the_truth(capsys):
    def act(handler):
        assert handler.path == "/api/sync/time"
        answer(handler, pi_now(ahead_ns=-150_300_000))

    with serving(act) as url:
        entry = json.loads(shown(capsys, url, "--json"))
        assert list(entry) == KEYS
        assert "behind" in shown(capsys, url)
    SensorTimeSync.model_validate_json(json.dumps(entry))
    assert abs(entry["offsetMs"] + 150.3) <= entry["uncertaintyMs"]
    assert entry["error"] is None


@pytest.mark.parametrize(
    ("act", "method", "error"),
    [
        (lambda h: answer(h, b"broken", 500), "unsynced", "network_error"),
        (lambda h: answer(h, b"<html></html>", Content_Type="text/html"), "unsynced", "network_error"),
        (lambda h: answer(h, {"pi_iso": "2026-05-01T12:00:00Z"}), "unsynced", "invalid_pi_time"),
        (lambda h: answer(h, {"pi_unix_ms": 1}), "unsynced", "invalid_pi_time"),
        (lambda h: (delay(0.3), answer(h, pi_now())), "ntp_handshake_v1", "high_rtt"),
        (lambda h: answer(h, b" " * 10**6), "unsynced", "network_error"),
        (lambda h: h.wfile.write(b"SSH-2.0-OpenSSH\r\n"), "unsynced", "network_error"),
        (lambda h: h.connection.shutdown(socket.SHUT_RDWR), "unsynced", "network_error"),
    ],
    ids=["500", "html", "no unix_ms", "no iso", "300 ms", "huge", "not http", "hangs up"],
)
def test_what_goes_wrong_has_the_consumers_word_and_exit_one(act, method, error, capsys):
    with serving(act) as url:
        assert run(["handshake", url, "--json"]) == 1
        entry = json.loads(capsys.readouterr().out)
        assert (entry["method"], entry["offsetMs"], entry["error"]) == (method, None, error)
        assert run(["handshake", url]) == 1
    assert error in capsys.readouterr().err


def test_a_refused_connection_is_a_network_error(capsys):
    assert run(["handshake", f"http://127.0.0.1:{free_port()}", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"] == "network_error"


def test_a_redirect_is_not_followed_and_said():
    served = []

    def act(handler):
        served.append(handler.path)
        answer(handler, b"", 302, Location="/elsewhere")

    with serving(act) as url:
        handshake = asked(url)
    assert handshake.error == "network_error"
    assert "/elsewhere" in handshake.detail
    assert served == ["/api/sync/time"]


def silent(_handler, released):
    released.wait(60)


def dripping(handler, released):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not released.wait(0.05):
        handler.wfile.write(b"X")
        handler.wfile.flush()


def dripping_body(handler, released):
    handler.send_response(200)
    handler.end_headers()
    dripping(handler, released)


@pytest.mark.parametrize("behaviour", [silent, dripping, dripping_body])
def test_a_server_that_never_ends_is_a_timeout_in_the_whole(behaviour):
    released = threading.Event()
    with serving(lambda handler: behaviour(handler, released)) as url:
        handshake = asked(url, timeout_s=0.4)
        released.set()
    assert (handshake.entry().method, handshake.error) == ("unsynced", "timeout")


def test_a_name_server_that_hangs_is_a_timeout_too(monkeypatch):
    released = threading.Event()

    def connect(_connection):
        released.wait(10)
        raise OSError

    monkeypatch.setattr(http_get.http.client.HTTPConnection, "connect", connect)
    assert asked("http://rov1.local", timeout_s=0.2).error == "timeout"
    released.set()


def test_the_limit_is_the_consumers():
    assert http_get.TIMEOUT_S == 5.0


@pytest.mark.parametrize("url", ["rov1:9150", "mqtt://rov1", "http://"])
def test_a_bad_url_is_wrong_usage(url, capsys):
    assert run(["handshake", url, "--json"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert url in error
