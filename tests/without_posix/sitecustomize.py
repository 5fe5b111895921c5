"""A child process without what only POSIX has, as far as Linux can imitate Windows.

A test puts this folder on PYTHONPATH. Missing are locks, users, limits, poll, messages beside bytes, timers
that report a step, all clocks but Python's own, SIGHUP, fork, sockets in files, and whatever needs a folder
to be opened. The wall clock moves in steps of 15.6 ms. Names and replacements that Windows refuses are
refused, and text without a stated encoding is an error. STEP_NS in the environment is another step, 0 none.
"""
# An audit hook asks the system itself, and a function keeps the arguments of the one that it replaces.
# ruff: noqa: PTH100, PTH112, PTH115, PTH119, PTH208, ARG001

import ctypes
import errno
import importlib.abc
import os
import select
import shutil
import signal
import socket
import subprocess  # noqa: F401
import sys
import tempfile
import time
import warnings

import range_locks

STEP_NS = int(os.environ.get("STEP_NS", "15625000"))
HIDDEN_MODULES = {"fcntl", "pwd", "grp", "resource", "termios", "tty", "pty", "syslog"}
HIDDEN_NAMES = {
    os: [
        "fork", "forkpty", "geteuid", "getegid", "setsid", "killpg", "getpgid",
        "chown", "lchown", "fchown", "fchmod", "mkfifo", "statvfs", "getloadavg", "sched_getaffinity",
        "timerfd_create", "timerfd_settime_ns", "pread", "pwrite", "lockf",
        "O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK", "O_DIRECTORY",
    ],
    select: ["poll", "epoll", "POLLIN", "POLLOUT", "POLLERR", "POLLHUP"],
    signal: ["SIGHUP", "SIGKILL", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGCHLD", "pthread_sigmask"],
    socket: ["AF_UNIX", "CMSG_SPACE", "CMSG_LEN", "SCM_RIGHTS"],
    time: ["clock_gettime", "clock_gettime_ns", "clock_getres", "clock_settime", "tzset"]
    + [name for name in dir(time) if name.startswith("CLOCK_")],
}  # fmt: skip
_real_socket = socket.socket


class _Hides(importlib.abc.MetaPathFinder):
    def find_spec(self, name, _path, _target=None):
        if name in HIDDEN_MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def hide():
    sys.modules["msvcrt"] = range_locks  # after `subprocess`, which takes its presence for Windows
    sys.meta_path.insert(0, _Hides())
    for name in HIDDEN_MODULES:
        sys.modules.pop(name, None)
    for module, names in HIDDEN_NAMES.items():
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    for name in ("recvmsg", "recvmsg_into"):
        setattr(_real_socket, name, property(_absent(name)))
    ctypes.CDLL = _without_c_library(ctypes.CDLL)
    shutil._use_fd_functions = False
    tempfile.TemporaryFile = tempfile.NamedTemporaryFile  # as `tempfile` itself does elsewhere
    socket.socketpair = _pair


def _absent(name):
    def absent(_self):
        raise AttributeError(name)

    return absent


def _without_c_library(real):
    def load(name, *more, **options):
        if name is None:
            raise TypeError("LoadLibrary() argument 1 must be str, not None")
        return real(name, *more, **options)

    return load


def _pair(family=socket.AF_INET, kind=socket.SOCK_STREAM, proto=0):
    """As `socket` itself makes one where the system has none: over loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        near = socket.create_connection(listening.getsockname())
        far, _ = listening.accept()
    return near, far


def coarsen():
    """The wall clock in steps; its true readings stay at `time.true_time_ns`."""
    true_ns = time.true_time_ns = time.time_ns

    def time_ns():
        return true_ns() // STEP_NS * STEP_NS

    time.time_ns = time_ns
    time.time = lambda: time_ns() / 1e9


_INVALID = set('<>:"|?*') | {chr(code) for code in range(32)}
_inside = []


def _open_paths():
    """The files that this process has open."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            continue
    return found


def refuse(event, arguments):
    """An audit hook: what Windows would not do raises what it would raise there."""
    if event not in {"open", "os.mkdir", "os.rename", "os.remove"} or _inside:
        return
    _inside.append(event)
    try:
        _refuse(event, arguments)
    finally:
        _inside.pop()


def _refuse(event, arguments):
    path = arguments[0]
    if not isinstance(path, str | os.PathLike) or str(path).startswith(("/proc", "/sys", "/dev")):
        return
    text = os.path.abspath(os.fspath(path))
    names = [text] if event != "os.rename" else [text, os.path.abspath(os.fspath(arguments[1]))]
    for name in names:
        last = os.path.basename(name)
        if _INVALID & set(last) or last.endswith((" ", ".")):
            raise OSError(
                errno.EINVAL, "The filename, directory name, or volume label syntax is incorrect", name
            )
    if event == "open" and arguments[1] is None and os.path.isdir(text):
        raise PermissionError(errno.EACCES, "Permission denied", text)
    if (
        event in {"os.rename", "os.remove"}
        and not os.path.isdir(text)
        and _open_paths() & set(map(os.path.realpath, names))
    ):
        raise PermissionError(
            errno.EACCES, "The process cannot access the file because it is being used", text
        )


hide()
if STEP_NS:
    coarsen()
warnings.filterwarnings("error", category=EncodingWarning)
sys.addaudithook(refuse)
