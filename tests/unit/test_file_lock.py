"""Locks between processes, by flock and by Windows' ranges alike: for one at a time, until it is closed."""

import importlib.util
import os
import sys
import threading
from pathlib import Path

import pytest

from runtime import file_lock, host
from runtime.file_lock import lock, lock_folder
from tests.deadline import stays, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Windows' locks are imitated with Linux's")


def windows_locks():
    path = Path(__file__).parents[1] / "without_posix" / "range_locks.py"
    spec = importlib.util.spec_from_file_location("range_locks", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["flock", "windows"])
def way(request, monkeypatch):
    if request.param == "windows":
        monkeypatch.setattr(file_lock, "fcntl", None)
        monkeypatch.setattr(file_lock, "msvcrt", windows_locks())


@pytest.fixture
def opened(tmp_path):
    made = [os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT) for _ in range(2)]
    yield made
    for descriptor in made:
        os.close(descriptor)


@pytest.mark.usefixtures("way")
def test_a_folder_is_locked_for_one_until_it_is_closed(tmp_path):
    first = lock_folder(tmp_path)
    assert lock_folder(tmp_path) is None
    os.close(first)
    again = lock_folder(tmp_path)
    assert again is not None
    os.close(again)


@pytest.mark.usefixtures("way")
def test_what_is_in_a_locked_file_can_be_read_and_is_written_where_it_was(tmp_path, opened):
    first, second = opened
    os.write(first, b"12345")
    assert (lock(first), lock(second)) == (True, False)
    os.write(first, b"6\n")
    assert os.read(second, 100) == b"123456\n"
    assert (tmp_path / "lock").read_bytes() == b"123456\n"


@pytest.mark.usefixtures("way")
def test_who_waits_has_it_once_the_other_is_done(opened, tmp_path):
    first = opened[0]
    assert lock(first)
    taken = []

    def take():
        descriptor = os.open(tmp_path / "lock", os.O_RDWR)
        taken.append(lock(descriptor, wait=True))
        os.close(descriptor)

    waiting = threading.Thread(target=take)
    waiting.start()
    stays(lambda: not taken, 0.2)
    os.dup2(opened[1], first)  # closes it
    until(lambda: taken == [True], 10)
    waiting.join()


def test_a_file_system_without_locks_goes_without(monkeypatch, opened):
    class Refusing:
        LOCK_EX = LOCK_NB = 0

        @staticmethod
        def flock(*_):
            raise OSError(95, "Operation not supported")

    monkeypatch.setattr(file_lock, "fcntl", Refusing)
    assert lock(opened[0])


def test_a_computer_whose_interfaces_cannot_be_listed_knows_the_addresses_of_its_routes(monkeypatch):
    listed = set(host.addresses())
    monkeypatch.setattr(host, "fcntl", None)
    found = host.addresses()
    assert all(not address.startswith("127.") for address in found)
    if listed and host._of_routes():
        assert listed & set(found)
