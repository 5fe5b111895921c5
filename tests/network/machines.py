"""Machines with networks of their own, in this process: network namespaces of Linux, joined by cables."""

import ctypes
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from functools import cache

import pytest

_NEW_NETWORK = 0x40000000
"""CLONE_NEWNET; Python names it, and has both calls, from 3.12 on."""


class Machine:
    """What is started within `inside`, programs and threads, has this machine's network."""

    def __init__(self):
        self._network = _new_network()
        self.run("ip", "link", "set", "lo", "up")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self._network)

    @contextmanager
    def inside(self):
        """Sockets that are opened in the block are its own, and those of all threads that begin there."""
        before = _own_network()
        _call("setns", self._network, _NEW_NETWORK)
        try:
            yield self
        finally:
            _call("setns", before, _NEW_NETWORK)
            os.close(before)

    def run(self, *command):
        with self.inside():
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout

    def plug(self, cable, other, *addresses):
        """A cable to the `other` machine, of one name on both, with `addresses` (here, there) alone."""
        there = f"/proc/{os.getpid()}/fd/{other._network}"
        link = ("ip", "link", "add", "name", cable, "type", "veth", "peer", "name", cable, "netns", there)
        self.run(*link)
        for machine in (self, other):
            machine.run("ip", "link", "set", cable, "addrgenmode", "none", "up")
        for here, far in addresses:
            self.add(cable, here)
            other.add(cable, far)

    def add(self, cable, address):
        self.run("ip", "address", "add", address, "dev", cable, *_at_once(address))

    def remove(self, cable, address):
        self.run("ip", "address", "delete", address, "dev", cable)

    def firewall(self, what, *rule):
        """Put a rule before what arrives (`-I`), or take it away (`-D`), for IPv4 and IPv6."""
        for program in ("iptables", "ip6tables"):
            self.run(program, "-w", what, "INPUT", *rule)


def _at_once(address):
    """IPv6 would first ask whether somebody else has the address."""
    return ("nodad",) if ":" in address else ()


@cache
def why_absent():
    """Why no such machine can be made here, or None."""
    if sys.platform != "linux":
        return "network namespaces are Linux's"
    try:
        with Machine() as one, Machine() as other:
            one.plug("cable", other, ("10.73.0.1/24", "10.73.0.2/24"))
            one.firewall("-I", "-p", "udp", "-j", "REJECT")
    except (OSError, AssertionError) as error:
        return f"no network namespace: {error}"
    return None


def need_machines():
    if why_absent():
        pytest.skip(why_absent())


def _new_network():
    """A thread that enters a new one opens it, and ends."""
    opened = []

    def enter():
        try:
            _call("unshare", _NEW_NETWORK)
            opened.append(_own_network())
        except OSError as error:
            opened.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if isinstance(opened[0], OSError):
        raise opened[0]
    return opened[0]


def _own_network():
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _call(name, *arguments):
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments):
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
