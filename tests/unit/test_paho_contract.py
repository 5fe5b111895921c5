"""The contract with paho: each private name that is used, and what is done where another paho changed one."""

import ast
import importlib.metadata
import re
import socket
import ssl
import threading
from base64 import b64encode
from hashlib import sha1
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from broker.client import make, paho_compat
from broker.client.make import client_class, hooks_fault
from broker.client.paho_compat import ATTRIBUTES, METHODS, WebSocketFramer, contract_fault
from broker.client.plain import PlainClient
from broker.client.stamping import StampingClient
from schemas.toml import tomllib

ROOT = Path(__file__).parents[2]
WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@pytest.fixture(autouse=True)
def chosen_again():
    client_class.cache_clear()
    yield
    client_class.cache_clear()


def test_this_paho_is_as_tested():
    """Fails with the sentence that names what a new paho changed."""
    assert hooks_fault() is None, hooks_fault()
    assert client_class() is StampingClient


def test_the_tested_versions_are_those_that_are_installed_and_required():
    assert importlib.metadata.version("paho-mqtt") == paho_compat.VERSION
    document = tomllib.loads((ROOT / "distributions/tidesync-pi/pyproject.toml").read_text(encoding="utf-8"))
    required = [one for one in document["project"]["dependencies"] if one.startswith("paho-mqtt")]
    assert required == [f"paho-mqtt~={paho_compat.TESTED[0]}"]


@pytest.mark.parametrize(("version", "named"), [("2.3.0", "2.3.0"), ("2.1.0", "2.1.0"), ("3.0", "3.0")])
def test_a_version_that_was_not_tested_gets_the_plain_client(monkeypatch, caplog, version, named):
    monkeypatch.setattr(paho_compat, "VERSION", version)
    with caplog.at_level("INFO"):
        assert client_class() is PlainClient
        assert client_class() is PlainClient
    assert caplog.text.count(f"stamps are taken in user space: paho {named} was not tested, only 2.2.x") == 1


@pytest.mark.parametrize("name", [one.name for one in METHODS])
def test_a_method_that_is_gone_is_named(monkeypatch, name):
    monkeypatch.delattr(Client, name)
    assert re.search(rf"has no Client\.{name} any more \(.+\)$", contract_fault() or "")
    assert client_class() is PlainClient


@pytest.mark.parametrize(("name", "expected"), [one[:2] for one in METHODS])
def test_a_method_with_other_parameters_is_named(monkeypatch, name, expected):
    monkeypatch.setattr(Client, name, lambda *one, **more: (one, more))
    changed = f"changed Client.{name} from {expected} to (one, more)"
    assert changed in (contract_fault() or "")


@pytest.mark.parametrize("name", [one.name for one in ATTRIBUTES])
@pytest.mark.parametrize("gone", [True, False])
def test_an_attribute_that_is_gone_or_of_another_type_is_named(monkeypatch, name, gone):
    class Changed(Client):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            if gone:
                delattr(self, name)
            else:
                setattr(self, name, 1j)

        def __del__(self):
            pass

    monkeypatch.setattr(paho_compat, "Client", Changed)
    wanted = f"has no Client.{name} any more" if gone else f"changed Client.{name} from "
    assert wanted in (contract_fault() or "")


def called_differently(monkeypatch, name, changed):
    monkeypatch.setattr(Client, name, changed)
    monkeypatch.setattr(make, "contract_fault", lambda: None)
    fault = hooks_fault()
    assert client_class() is PlainClient
    return fault


def test_a_paho_that_connects_in_another_way_is_named(monkeypatch):
    monkeypatch.setattr(StampingClient, "_create_socket", lambda _: socket.socketpair()[0])
    assert "does not connect through Client._create_socket_connection" in (hooks_fault() or "")


def test_a_paho_that_handles_packets_in_another_way_is_named(monkeypatch):
    fault = called_differently(monkeypatch, "_packet_handle", lambda _: 0)
    assert "does not take a CONNACK from Client._in_packet" in fault


def test_a_paho_that_ends_a_connection_in_another_way_is_named(monkeypatch):
    fault = called_differently(monkeypatch, "_loop_rc_handle", lambda _, rc: rc)
    assert "does not close the socket in Client._loop_rc_handle" in fault


def test_a_paho_that_copies_queued_packets_before_their_send_is_named(monkeypatch):
    original = Client._packet_write

    def copying(self):
        for packet in self._out_packet:
            packet["packet"] = bytes(bytearray.__getitem__(packet["packet"], slice(None)))
        return original(self)

    fault = called_differently(monkeypatch, "_packet_write", copying)
    assert "does not slice packets of Client._out_packet" in fault


def test_a_paho_that_fails_in_another_way_is_named(monkeypatch):
    def fail(_):
        raise RuntimeError("no identifiers today")

    fault = called_differently(monkeypatch, "_create_socket", fail)
    assert fault.endswith("failed the self-test: RuntimeError: no identifiers today")


def test_the_internal_switch_forces_the_plain_client(monkeypatch, caplog):
    monkeypatch.setenv(make.FORCE_PLAIN, "1")
    with caplog.at_level("INFO"):
        assert client_class() is PlainClient
    assert f"{make.FORCE_PLAIN} is set" in caplog.text


def test_pahos_websocket_has_the_buffer_of_a_frame_that_is_left():
    """`_sendbuffer` of the wrapper: without it frames could be torn."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def upgrade():
            peer, _ = server.accept()
            request = peer.recv(4096).decode()
            key = re.search(r"Sec-WebSocket-Key: (\S+)", request).group(1)
            accept = b64encode(
                sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
            ).decode()
            peer.sendall(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
            )

        threading.Thread(target=upgrade, daemon=True).start()
        client = StampingClient(CallbackAPIVersion.VERSION2, transport="websockets")
        client.connect("127.0.0.1", server.getsockname()[1])
        framer = client.socket()
        assert isinstance(framer, WebSocketFramer), f"paho {paho_compat.VERSION} has no _sendbuffer any more"
        assert isinstance(framer._frames._sendbuffer, bytearray)
        client.disconnect()


def test_a_renewed_tls_context_is_taken():
    client = PlainClient(CallbackAPIVersion.VERSION2)
    client.tls_set_context(ssl.create_default_context())
    renewed = ssl.create_default_context()
    paho_compat.aim(client, websocket=False, context=renewed, timeout_s=1.0, client_id=None)
    assert client._ssl_context is renewed
    paho_compat.aim(client, websocket=False, context=None, timeout_s=1.0, client_id=None)
    assert client._ssl_context is None


def names_in(path):
    """Attributes read, written or defined as methods in a module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.FunctionDef):
            yield node.name


def test_no_other_module_touches_a_private_name_of_paho():
    names = {one.name for one in (*METHODS, *ATTRIBUTES)}
    names |= {"_sendbuffer", "_sock", "_sock_send", "_out_messages", "_last_msg_out"}
    modules = [path for path in (ROOT / "broker").rglob("*.py") if path.name != "paho_compat.py"]
    assert {path.name: found for path in modules if (found := names & set(names_in(path)))} == {}
