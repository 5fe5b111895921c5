"""The web server of agents: how long it waits for a client, how much it reads, how often it answers."""

import asyncio
import socket
import threading
import time

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from runtime.listener import Limits, open_listener
from runtime.request_rate import RequestRate
from runtime.watchdog import Loop
from runtime.web_server import make_server
from tests.deadline import until

LIMITS = Limits(connections=20, per_address=20, first_s=0.5, idle_s=0.5)


@pytest.fixture(scope="module")
def port():
    app = FastAPI()

    @app.get("/")
    async def front():
        return "here"

    @app.post("/body")
    async def body(request: Request):
        return len(await request.body())

    @app.get("/stream")
    async def stream():
        return StreamingResponse(parts(), media_type="text/plain")

    listener = open_listener("--port", "127.0.0.1", 0, LIMITS)
    server = make_server(app, Loop("test"), ws="none")
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(5)


async def parts():
    for _ in range(8):
        yield b"part\n"
        await asyncio.sleep(0.2)


@pytest.fixture
def client(port):
    with socket.create_connection(("127.0.0.1", port), 5) as connected:
        yield connected


def rest(client):
    """All that comes until the server ends the connection, and after how many seconds it does."""
    began_s, received = time.monotonic(), b""
    try:
        while data := client.recv(65536):
            received += data
    except ConnectionError:
        pass
    return received, time.monotonic() - began_s


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Endless: ",
        b"POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{",
    ],
)
def test_what_is_not_asked_in_time_is_not_waited_for_however_it_trickles(client, begun):
    client.sendall(begun)
    for _ in range(3):
        client.send(b"x" if begun else b"")
    received, took_s = rest(client)
    assert b" 200 " not in received
    assert took_s < 2


def test_a_connection_without_a_further_request_is_ended(client):
    client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    received, took_s = rest(client)
    assert b" 200 OK" in received
    assert 0.3 < took_s < 2


def test_a_stream_goes_on_for_longer_than_a_connection_may_be_idle(client):
    client.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    received, took_s = rest(client)
    assert received.count(b"part\n") == 8
    assert took_s > 1


def test_a_header_is_read_up_to_its_limit(client):
    client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 15_000 + b"\r\n\r\n")
    until(lambda: b" 200 OK" in client.recv(4096), 15, "an answer")
    client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 20_000)
    assert b" 400 " in rest(client)[0]


def test_what_would_wait_too_long_gets_429(client, monkeypatch):
    monkeypatch.setattr(RequestRate, "wait_s", lambda *_: None)
    client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    received, took_s = rest(client)
    assert b" 429 " in received
    assert took_s < 0.4
