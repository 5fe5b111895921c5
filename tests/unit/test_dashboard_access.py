"""Who may ask the dashboard for what: by host name, origin, token, and the shape of a POST."""

import socket

import pytest

from tidesync.dashboard.access import COOKIE, MOST_BODY_BYTES, AccessPolicy, RequestInfo
from tidesync.dashboard.host_names import HostNames

TOKEN = "a token long enough"
JSON = {"content-type": "application/json", "content-length": "2"}


def asked(method="GET", path="/api/vehicles", host="localhost:8780", **headers):
    return RequestInfo(
        method, path, {"host": host} | {name.replace("_", "-"): text for name, text in headers.items()}
    )


def refused(policy, request):
    refusal = policy.refuse(request)
    return refusal and refusal.status


OWN = {"192.168.2.1", "fe80::1", "2001:db8::7"}


def hosts():
    configured = ["boat.example", "blueos.local", "192.168.2.2", "fd00::2"]
    return HostNames(configured, "Laptop.fritz.box", lambda address: str(address) in OWN)


@pytest.fixture
def policy():
    return AccessPolicy(None, hosts())


@pytest.fixture
def locked():
    return AccessPolicy(TOKEN, hosts())


GOOD = [
    "localhost",
    "127.0.0.1",
    "127.8.9.1",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "192.168.2.1",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "[2001:db8::7]",
    "[2001:0DB8:0:0::0007]",
    "laptop",
    "laptop.local",
    "laptop.fritz.box",
    "boat.example",
    "blueos.local",
    "192.168.2.2",
    "[fd00::2]",
]
EVIL = [
    "evil.example",
    "evil.local",
    "blueos-wifi.local",
    "laptop.local.evil.example",
    "evil-laptop.local",
    "local",
    ".local",
    "fritz.box",
    "laptop.evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "127.0.0.1.local",
    "boat.example.evil.com",
    "8.8.8.8",
    "192.168.2.3",
    "0.0.0.0",
    "[::]",
    "2130706433",
    "0x7f.1",
    "[2001:db8::8]",
    "[::ffff:8.8.8.8]",
    "",
]


@pytest.mark.parametrize("port", ["", ":80", ":8780", ":65535"])
@pytest.mark.parametrize("host", GOOD)
def test_names_and_addresses_of_this_computer_are_answered_however_they_are_written(policy, host, port):
    for written in (host, host.upper(), host if host.startswith("[") else f"{host}."):
        assert policy.refuse(asked(host=written + port)) is None


@pytest.mark.parametrize("port", ["", ":80", ":8780"])
@pytest.mark.parametrize("host", EVIL)
def test_a_name_that_was_led_to_this_computer_is_refused_however_it_is_written(policy, host, port):
    for written in (host, host.upper(), f"{host}."):
        assert refused(policy, asked(host=written + port)) == 403


@pytest.mark.parametrize(
    "header",
    [
        "user@localhost",
        "localhost@evil.example",
        "localhost/",
        "localhost#.evil.example",
        "evil.com#.local",
        "localhost?",
        "localhost, evil.example",
        "localhost evil.example",
        "localhost:80:80",
        "localhost:",
        "localhost:http",
        "localhost..",
        "[",
        "[::1",
        "::1",
        "[localhost]",
        "locälhost",
        "localhost\\",
    ],
)
def test_what_is_no_host_is_refused(policy, header):
    assert refused(policy, asked(host=header)) == 403


def test_a_refusal_names_the_host_and_the_option(policy):
    assert policy.refuse(asked(host="evil.local")).detail == (
        "'evil.local' is no name or address of this computer; see --allowed-host"
    )


def test_the_addresses_of_this_computer_are_its_own_and_no_others():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        outward = probe.getsockname()[0]
    known = HostNames()
    for host in (
        outward,
        "127.0.0.1",
        socket.gethostname(),
        f"{socket.gethostname().partition('.')[0]}.local",
    ):
        assert known.is_known(host.lower())
    for host in ("192.0.2.1", "8.8.8.8", "0.0.0.0", "224.0.0.1", "::", "ff02::1", "2001:db8::1"):
        assert not known.is_known(host)


def test_the_page_itself_may_command(policy):
    own = asked("POST", "/api/sessions", origin="http://localhost:8780", **JSON)
    assert policy.refuse(own) is None
    behind_a_proxy = asked(
        "POST", "/api/sessions", host="127.0.0.1:8780", origin="http://blueos.local", **JSON
    )
    assert policy.refuse(behind_a_proxy) is None
    internet = "[2001:db8::7]:8780"
    by_address = asked("POST", "/api/sessions", host=internet, origin=f"http://{internet}", **JSON)
    assert policy.refuse(by_address) is None


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://8.8.8.8", "null", "", "file://", "http://[", "http://x.local.evil.com"],
)
def test_a_foreign_page_may_not(policy, origin):
    assert refused(policy, asked("POST", "/api/sessions", origin=origin, **JSON)) == 403


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; x=application/json"]
)
def test_what_a_foreign_form_could_send_is_refused(policy, kind):
    assert refused(policy, asked("POST", content_type=kind, content_length="2")) == 415


def test_json_may_say_its_character_set(policy):
    request = asked("POST", content_type="Application/JSON; charset=utf-8", content_length="2")
    assert policy.refuse(request) is None


@pytest.mark.parametrize(
    ("length", "status"),
    [("", 411), ("x", 411), ("-1", 411), ("²", 411), (str(MOST_BODY_BYTES + 1), 413), ("9" * 5000, 413)],
)
def test_a_body_says_its_length_and_is_short(policy, length, status):
    assert refused(policy, asked("POST", content_type="application/json", content_length=length)) == status


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_no_other_method_slips_by(policy, method):
    assert refused(policy, asked(method, origin="https://evil.example")) == 403


def test_with_a_token_nothing_of_the_fleet_is_shown_without_it(locked):
    for path in (
        "/api/vehicles",
        "/api/events",
        "/api/sessions",
        "/metrics",
        "/api/login/",
        "/page",
    ):
        assert refused(locked, asked(path=path)) == 401
    for path in ("/", "/page/app.js", "/health", "/register_service", "/docs", "/openapi.json"):
        assert locked.refuse(asked(path=path)) is None


@pytest.mark.parametrize(
    "shown",
    [{"authorization": f"Bearer {TOKEN}"}, {"authorization": f"bearer  {TOKEN}"}],
)
def test_the_token_opens(locked, shown):
    assert locked.refuse(asked(**shown)) is None


def test_the_cookie_opens_and_is_not_the_token(locked):
    cookie = locked.cookie()
    assert TOKEN not in cookie
    assert locked.refuse(asked(cookie=f"other=1; {COOKIE}={cookie}")) is None
    assert AccessPolicy("another token, long", hosts()).cookie() != cookie


@pytest.mark.parametrize(
    "shown",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": f"Basic {TOKEN}"},
        {"cookie": f"{COOKIE}={TOKEN}"},
        {"cookie": f"{COOKIE}="},
        {"cookie": "\x00;;=;"},
        {"authorization": "Bearer ü"},
    ],
)
def test_nothing_else_does(locked, shown):
    assert refused(locked, asked(**shown)) == 401


def test_a_websocket_of_a_foreign_page_is_refused(policy):
    assert refused(policy, asked("WEBSOCKET", origin="https://evil.example")) == 403
    assert policy.refuse(asked("WEBSOCKET", origin="http://localhost:8780")) is None
    assert policy.refuse(asked("WEBSOCKET")) is None


def listening(path="/cockpit", token=None, **headers):
    given = {"host": "127.0.0.1:8780"} | headers
    return RequestInfo("WEBSOCKET", path, given, token)


@pytest.mark.parametrize(
    "origin",
    [
        "file://",
        "http://localhost:5173",
        "http://127.0.0.1:8780",
        "http://192.168.2.2",
        "http://[fe80::1]:49153",
        "http://100.64.3.1",
        "http://blueos.local:49153",
        "https://boat.example",
    ],
)
def test_a_page_from_near_by_may_listen(policy, origin):
    assert policy.refuse(listening(origin=origin)) is None


def test_a_program_may_listen(policy):
    assert policy.refuse(listening()) is None


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://8.8.8.8",
        "http://[2606:4700::1111]",
        "null",
        "",
        "file://evil.example",
        "http://x.local.evil.com",
    ],
)
def test_a_page_of_the_internet_may_not_listen_to_this_computer(policy, origin):
    assert refused(policy, listening(origin=origin)) == 403


def test_only_the_socket_for_cockpit_is_for_desktop_applications(policy):
    assert refused(policy, listening("/another", origin="file://")) == 403


def test_where_there_is_a_token_a_page_listens_with_the_one_for_reading_whoever_it_is_of(locked):
    reading = locked.reading_token()
    assert locked.refuse(listening(token=reading, origin="https://cockpit.example")) is None
    assert refused(locked, listening(origin="file://")) == 401
    assert refused(locked, listening(token="wrong", origin="file://")) == 401
    assert refused(locked, listening(token="", origin="file://")) == 401
    assert refused(locked, listening(token="ü", origin="file://")) == 401


def test_the_token_for_reading_opens_nothing_else(locked):
    reading = locked.reading_token()
    assert reading != TOKEN
    assert refused(locked, listening("/another", token=reading)) == 401
    assert refused(locked, asked(authorization=f"Bearer {reading}")) == 401
    assert refused(locked, asked(cookie=f"{COOKIE}={reading}")) == 401


def test_the_token_itself_stays_out_of_addresses(locked):
    assert refused(locked, listening(token=TOKEN)) == 401
    assert locked.refuse(listening(authorization=f"Bearer {TOKEN}")) is None


def test_another_site_does_not_listen_with_the_cookie_of_this_one(locked):
    cookie = f"{COOKIE}={locked.cookie()}"
    assert refused(locked, listening(cookie=cookie, origin="https://evil.example")) == 403
    assert locked.refuse(listening(cookie=cookie, origin="http://127.0.0.1:8780")) is None


def test_the_socket_too_is_refused_under_a_name_that_was_rebound(policy):
    assert refused(policy, listening(host="evil.example", origin="file://")) == 403


APPLICATIONS = ["file://", "null", "app://cockpit"]


@pytest.mark.parametrize("origin", APPLICATIONS)
def test_a_desktop_application_commands_with_the_token_in_a_header_alone(locked, policy, origin):
    bearer = f"Bearer {TOKEN}"
    assert locked.refuse(asked("POST", origin=origin, authorization=bearer, **JSON)) is None
    assert refused(locked, asked("POST", origin=origin, **JSON)) == 401
    cookie = f"{COOKIE}={locked.cookie()}"
    assert refused(locked, asked("POST", origin=origin, cookie=cookie, **JSON)) == 401
    assert refused(locked, asked(origin=origin, cookie=cookie)) == 401
    assert refused(policy, asked("POST", origin=origin, **JSON)) == 403


@pytest.mark.parametrize("origin", APPLICATIONS)
def test_the_preflight_request_of_a_desktop_application_is_granted_where_there_is_a_token(
    locked, policy, origin
):
    request = asked("OPTIONS", origin=origin, access_control_request_method="POST")
    assert locked.is_preflight(request)
    assert locked.refuse(request) is None
    assert not policy.is_preflight(request)
    assert not locked.is_preflight(
        asked("OPTIONS", origin="https://evil.example", access_control_request_method="POST")
    )
    rebound = asked("OPTIONS", host="evil.example", origin=origin, access_control_request_method="POST")
    assert refused(locked, rebound) == 403
