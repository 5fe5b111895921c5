"""The configurations that we ship: both bound what a client may do, on every listener."""

from importlib.resources import files

import pytest

from schemas.base import MAX_MESSAGE_BYTES, MAX_PACKET_BYTES

FILES = ["mosquitto.conf", "mosquitto-tls.conf"]


def lines_of(name):
    text = files("broker").joinpath(name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def listeners_of(name):
    listeners = []
    for line in lines_of(name):
        if line.startswith("listener "):
            listeners.append([])
        elif listeners:
            listeners[-1].append(line)
    return listeners


def global_part(name):
    lines = lines_of(name)
    return lines[: next(at for at, line in enumerate(lines) if line.startswith("listener "))]


@pytest.mark.parametrize("name", FILES)
def test_nobody_gets_in_without_a_password_and_rights(name):
    assert {
        "set_tcp_nodelay true",
        "allow_anonymous false",
        "password_file /mosquitto/config/passwords",
        "acl_file /mosquitto/config/acl",
    } <= set(global_part(name))


@pytest.mark.parametrize("name", FILES)
def test_what_a_client_may_cost_is_bounded(name):
    bounded = {line.split()[0] for line in global_part(name)}
    assert {"message_size_limit", "max_packet_size", "max_queued_messages", "max_queued_bytes"} <= bounded
    assert {
        "max_inflight_messages",
        "max_keepalive",
        "persistent_client_expiration",
        "memory_limit",
    } <= bounded


@pytest.mark.parametrize("name", FILES)
def test_no_account_can_have_a_packet_sent_that_ends_the_connections_of_ours(name):
    values = {line.split()[0]: line.split()[-1] for line in global_part(name)}
    assert int(values["max_packet_size"]) <= MAX_PACKET_BYTES
    assert int(values["message_size_limit"]) <= MAX_MESSAGE_BYTES


@pytest.mark.parametrize("name", FILES)
def test_every_listener_binds_client_ids_and_counts_connections(name):
    for listener in listeners_of(name):
        assert "use_username_as_clientid true" in listener
        assert "max_connections 500" in listener


@pytest.mark.parametrize("name", FILES)
def test_nothing_before_a_listener_opens_one_more(name):
    opening = {"use_username_as_clientid", "max_connections", "port", "bind_address", "certfile", "protocol"}
    assert not opening & {line.split()[0] for line in global_part(name)}


def test_over_tls_the_rest_is_the_same_and_every_listener_is_encrypted():
    assert global_part("mosquitto-tls.conf") == global_part("mosquitto.conf")
    for listener in listeners_of("mosquitto-tls.conf"):
        assert any(line.startswith("certfile ") for line in listener)
        assert any(line.startswith("keyfile ") for line in listener)
    assert "protocol websockets" in listeners_of("mosquitto-tls.conf")[1]
