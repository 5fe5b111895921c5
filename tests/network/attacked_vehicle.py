"""A `tidesync pi` process on loopback that strangers send datagrams to, while topsides measure it."""

import json
import os
import platform
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import asdict

import psutil

from schemas.datagram import ANSWER, SIZE, Request, Seal, pack_request, parse_answer
from schemas.direct_path import UdpAnswer, UdpRequest
from tests.attack_rows import Row
from tests.deadline import delay, until
from tests.intruder import ROOT, Intruder
from tests.ports import free_port
from tidesync.demo.checker import Verdict

GROUP, PAUSE_S = 150, 0.035
"""So many datagrams at once are fewer than a socket holds, and so many a second fewer than are read."""
GROWN_MB, MOST_CPU_PERCENT = 32, 75
"""As for the agents in tests/containers."""

FLOOD = """
import ctypes, socket, sys, time

class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_char_p), ("length", ctypes.c_size_t)]

class Message(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_void_p), ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.POINTER(Vector)), ("vectors_length", ctypes.c_size_t),
        ("control", ctypes.c_void_p), ("control_length", ctypes.c_size_t), ("flags", ctypes.c_int),
        ("sent", ctypes.c_uint32),
    ]

port, rate, seconds, data = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), bytes.fromhex(sys.argv[4])
sendmmsg, vector = ctypes.CDLL(None).sendmmsg, Vector(data, len(data))
most = 1024
messages = (Message * most)(*[Message(vectors=ctypes.pointer(vector), vectors_length=1)] * most)
stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
stranger.connect(("127.0.0.1", port))
stranger.setblocking(False)
began, sent, answers = time.monotonic(), 0, 0
while (took := time.monotonic() - began) < seconds:
    if (due := int(took * rate) - sent) > 0:
        sent += max(0, sendmmsg(stranger.fileno(), messages, min(due, most), 0))
    if due < most:
        time.sleep(0.001)
try:
    while stranger.recv(2048):
        answers += 1
except BlockingIOError:
    pass
print(sent, took, answers)
"""
"""Sends one datagram again and again, many by one call of Linux, and counts what comes back."""


class SameClock:
    """The vehicle's clock is this computer's own, as topside's is."""

    def true_offset_ns(self, reading):  # noqa: ARG002 - a clock's signature
        return 0.0


class Stranger:
    """Somebody who reaches the vehicle's port."""

    def __init__(self, port):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(("127.0.0.1", port))
        self._socket.setblocking(False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def send(self, data):
        with suppress(BlockingIOError):
            self._socket.send(data)

    def received(self):
        """What has come so far."""
        found = []
        with suppress(BlockingIOError):
            while True:
                found.append(self._socket.recv(2048))
        return found

    def ask(self, session):
        """Ask with a session's key until an answer comes: what was sent before has been read by then."""
        asked = []

        def answer():
            if not asked or time.monotonic() - asked[-1] > 0.3:
                asked.append(time.monotonic())
                self.send(session.request())
            return next(iter(self.received()), None)

        return until(answer, what="an answer to who has a key")


class Session:
    """A session of a topside's own, asked for at the broker."""

    def __init__(self, url, name="intruder"):
        client = Intruder(url, name)
        client.subscribe(f"{ROOT}vehicle/rov1/udp_answer/{name}")
        asked = UdpRequest(request_id="r1", rate=50.0, train=1)
        client.publish(f"{ROOT}vehicle/rov1/udp_request/{name}", asked.encode())
        until(lambda: client.heard, what="a key")
        client.end()
        self.terms = UdpAnswer.decode(client.heard[0][1])
        self.seal = Seal(bytes.fromhex(self.terms.key))
        self.asked = 0
        """Requests with its key, so far."""

    def request(self):
        self.asked += 1
        return pack_request(Request(self.terms.session, self.asked, os.urandom(8)), self.seal)


class AttackedVehicle:
    """rov1, measured over MQTT by the topside `tablet`, and over both by `laptop` once that is there."""

    def __init__(self, boat, folder):
        self.boat, self.rows = boat, []
        self._http_port = free_port("127.0.0.1")
        command = [sys.executable, "-m", "tidesync", "-q", "pi", "--vehicle", "rov1", "--broker", boat.url]
        self.process = subprocess.Popen([*command, "--http-port", str(self._http_port)], cwd=folder)
        self._used = psutil.Process(self.process.pid)
        boat.clocks["rov1"] = SameClock()
        self.checker = boat.checker()

    def begin(self):
        self.tablet = self.boat.topside(topside="tablet", no_udp=True)
        self.until_locked("tablet", "mqtt")
        self.port = self.health()["udp_port"]
        self.session = Session(self.boat.url)

    def end(self):
        self.process.kill()
        self.process.wait()

    def until_locked(self, topside, path):
        after = len(self.checker.heard)

        def locked():
            new = [one for one in self.checker.heard[after:] if one.topside == topside]
            return bool(new) and (new[-1].state, new[-1].path) == ("locked", path)

        until(locked, what=f"{topside} locked over {path}")

    def health(self):
        address = f"http://127.0.0.1:{self._http_port}/health"
        return json.load(urllib.request.urlopen(address, timeout=60))

    @contextmanager
    def attack(self, what, by):
        """Measure and check one row: results are right throughout, and `tablet`'s locked in the end."""
        row, samples, ended = Row(what, by), [self._sample()], threading.Event()
        first, began_s = len(self.checker.heard), time.monotonic()

        def sample():
            while not ended.wait(0.2):
                samples.append(self._sample())

        sampler = threading.Thread(target=sample, daemon=True)
        sampler.start()
        try:
            yield row
        finally:
            ended.set()
            sampler.join()
        row.take([*samples, self._sample()])
        row.seconds = time.monotonic() - began_s
        self.until_locked("tablet", "mqtt")
        row.check([verdict(one) for one in self.checker.heard[first:] if one.measured_at is not None])
        assert self.checker.wrong == []
        assert row.verdict
        assert row.memory_mb[1] - row.memory_mb[0] < GROWN_MB, row.memory_mb
        assert row.cpu_percent < MOST_CPU_PERCENT, row.cpu_percent
        self.rows.append(row)

    def refuse(self, row, datagrams, reasons, *, evenly):
        """Send them all: none is answered, and those that are read are refused for these `reasons`."""
        before, sent = self.health(), 0
        with Stranger(self.port) as stranger, Stranger(self.port) as friend:
            for sent, data in enumerate(datagrams, 1):
                stranger.send(data)
                if evenly and sent % GROUP == 0:
                    delay(PAUSE_S)
            friend.ask(self.session)
            assert stranger.received() == []
            after = self.health()
        dropped = {
            reason: count - before["datagrams_dropped"].get(reason, 0)
            for reason, count in after["datagrams_dropped"].items()
        }
        dropped = {reason: count for reason, count in dropped.items() if count}
        read = sum(dropped.values())
        assert set(dropped) == set(reasons)
        assert after["datagrams_answered"] <= self.session.asked, "more were answered than asked with a key"
        counted = ", ".join(f"{count} for `{reason}`" for reason, count in sorted(dropped.items()))
        unread = f"; the kernel dropped {sent - read}" if read < sent else ""
        row.refused(f"{sent} sent, none answered; refused {counted}{unread}")
        return sent

    def flood(self, data, port, rate, seconds):
        """Sent by a process of its own; how many a second, and how many were answered."""
        command = [sys.executable, "-c", FLOOD, str(port), str(rate), str(seconds), data.hex()]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        sent, took_s, answers = done.stdout.split()
        return int(sent) / float(took_s), int(answers)

    def figures(self):
        """Everything that the document is made from."""
        return {
            "machine": f"{platform.system()} {platform.release()}, {os.cpu_count()} cores",
            "rows": [asdict(row) for row in self.rows],
        }

    def _sample(self):
        times = self._used.cpu_times()
        used_ns = round((times.user + times.system) * 1e9)
        return time.monotonic(), self._used.memory_info().rss / 1e6, used_ns


def verdict(result):
    return Verdict(result, 0.0, result.lower_ms <= 0 <= result.upper_ms)


def genuine(session, port, count):
    """Requests that were answered, and their answers."""
    asked, answers = [], []
    with Stranger(port) as topside:
        for _ in range(count):
            asked.append(session.request())
            topside.send(asked[-1])
            until(lambda: answers.extend(topside.received()) or len(answers) >= len(asked), what="an answer")
    assert all(len(one) == SIZE and one[4] == ANSWER and parse_answer(one) for one in answers)
    return asked, answers
