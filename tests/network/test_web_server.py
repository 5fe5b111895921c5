"""The web server of agents: how long it waits for a client, how much it reads, how often it answers."""

import asyncio
import socket
import threading
import time
from contextlib import contextmanager

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from runtime.listener import Limits, open_listener
from runtime.request_rate import RequestRate
from runtime.watchdog import Loop
from runtime.web_server import make_server
from tests.deadline import BUSY, until

SOON_S, LATE_S = 0.5, 60.0
PART_S = 0.3


@contextmanager
def served(first_s, idle_s):
    """A connection to a server with these limits."""
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

    limits = Limits(connections=20, per_address=20, first_s=first_s, idle_s=idle_s)
    listener = open_listener("--port", "127.0.0.1", 0, limits)
    server = make_server(app, Loop("test"), ws="none")
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        with socket.create_connection(listener.getsockname(), 60) as connected:
            yield connected
    finally:
        server.should_exit = True
        thread.join(60)


async def parts():
    for _ in range(12):
        yield b"part\n"
        await asyncio.sleep(PART_S)


def rest(client, sent):
    """All that comes until the server ends the connection, and how many seconds after `sent` is sent."""
    began_s, received = time.monotonic(), b""
    client.sendall(sent)
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
def test_what_is_not_asked_in_time_is_not_waited_for_however_it_trickles(begun):
    with served(SOON_S, LATE_S) as client:
        client.sendall(begun)
        for _ in range(3):
            client.send(b"x" if begun else b"")
        received, took_s = rest(client, b"")
    assert b" 200 " not in received
    assert took_s < 2 * BUSY


def test_a_connection_without_a_further_request_is_ended():
    with served(LATE_S, SOON_S) as client:
        received, took_s = rest(client, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b" 200 OK" in received
    assert SOON_S <= took_s < 2 * BUSY


def test_a_stream_goes_on_for_longer_than_a_connection_may_be_idle():
    asked = b"GET /stream HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with served(LATE_S, 7 * PART_S) as client:
        received, took_s = rest(client, asked)
    assert received.count(b"part\n") == 12
    assert took_s > 7 * PART_S


def test_a_header_is_read_up_to_its_limit():
    with served(LATE_S, LATE_S) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 15_000 + b"\r\n\r\n")
        until(lambda: b" 200 OK" in client.recv(4096), 15, "an answer")
        asked = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 20_000
        assert b" 400 " in rest(client, asked)[0]


def test_what_would_wait_too_long_gets_429(monkeypatch):
    monkeypatch.setattr(RequestRate, "wait_s", lambda *_: None)
    with served(LATE_S, LATE_S) as client:
        received, took_s = rest(client, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b" 429 " in received
    assert took_s < LATE_S / 2  # by the answer, and not for being idle
