"""All that runs: broker, three vehicles, two topsides, recorder, dashboard; each on a link of its own."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.soak_fleet import clocks
from bench.soak_fleet.links import Links
from bench.soak_fleet.observer import Observer
from bench.soak_fleet.plan import (
    BROKER,
    DASHBOARD,
    HOST,
    MISSION,
    RATE_HZ,
    RECORDER,
    SESSION,
    TOPSIDES,
    VEHICLES,
)
from bench.soak_fleet.programs import Program
from runtime.listener import free_port
from tidesync.sessions.folder import SessionFolder

if TYPE_CHECKING:
    from bench.soak_fleet.plan import Plan
    from runtime.clock import SimulatedClock

_DISK_MB = 256
_BACKLOG_S = 300
"""Kept by a topside to send again: shorter than the soak, so that its memory can be seen to stay flat."""
_VEHICLE_MEAN_S, _TOPSIDE_MEAN_S = 30.0, 90.0
_START_S = 60.0


class Fleet:
    """All files are below `folder`; the recorder's root is a small file system of its own if this may be."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.folder, self.plan = folder, plan
        self.root = folder / "root"
        self.root.mkdir()
        self.has_own_disk = _mount(self.root)
        self.broker_port, self.dashboard_port = free_port(HOST), free_port(HOST)
        self.http_port = free_port(HOST)
        """Of the first vehicle; the others serve no HTTP."""
        self.links = Links(self.broker_port)
        self.programs = {BROKER: Program(BROKER, folder, lambda _: self._mosquitto())}
        self.link = {}
        for name in (*VEHICLES, *TOPSIDES, RECORDER, DASHBOARD):
            self.link[name] = self.links.link()
            self.programs[name] = self._program(name)
        self.ended_raw_ns = 0
        """The machine's RAW at the end of the disturbances."""
        self.observer = Observer(f"mqtt://{HOST}:{self.broker_port}", self.clock_of)

    def start(self) -> None:
        self.programs[BROKER].start()
        self.observer.connection.start()
        if not self.observer.connection.wait_until_up(_START_S):
            raise TimeoutError("no connection to the broker")
        for name, program in self.programs.items():
            if name != BROKER:
                program.start()

    def stop(self) -> None:
        for program in self.programs.values():
            program.stop()
        self.observer.connection.stop()
        if self.has_own_disk:
            subprocess.run([_found("umount"), "--lazy", str(self.root)], check=False)

    def clock_of(self, pid: int) -> SimulatedClock | None:
        """The simulated clock of the process that had this pid, in whatever life."""
        lives = (life for program in list(self.programs.values()) for life in program.lives)
        return next((life.clock for life in lives if life.pid == pid), None)

    def has_ended(self, pid: int) -> bool:
        """Whether a process of ours had this pid, and another of its name came after it or it was stopped."""
        lives = (
            (life, program.runs and life is program.lives[-1])
            for program in list(self.programs.values())
            for life in program.lives
        )
        return any(life.pid == pid and not running for life, running in lives)

    def namesake(self, name: str) -> Program:
        """A second program of that name with a clock of its own; the caller starts and stops it."""
        program = self._program(name, label=f"{name}-namesake-{len(self.programs)}")
        self.programs[program.name] = program
        return program

    def asleep_until_ns(self) -> int:
        """The machine's RAW at which the last of the machines that sleep now wakes; 0 if none sleeps."""
        now_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
        running = (self.programs[name].lives[-1].clock for name in (*VEHICLES, *TOPSIDES))
        return max(clocks.asleep_until_ns(clock, now_ns) if clock else 0 for clock in running)

    def session(self, action: str, *arguments: str) -> dict[str, Any]:
        """Run `tidesync session`; RuntimeError with what it wrote when it fails."""
        url = f"mqtt://{HOST}:{self.broker_port}"
        command = [*_tidesync("session"), action, *arguments, "--json", "--broker", url]
        done = subprocess.run(command, capture_output=True, timeout=300, check=False)
        if done.returncode:
            raise RuntimeError(f"session {action}: {done.stderr.decode()}")
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    @property
    def recorded(self) -> SessionFolder:
        return SessionFolder(self.root / MISSION / f"session_{SESSION}")

    def _program(self, name: str, label: str | None = None) -> Program:
        link = self.link[name].url
        if name in VEHICLES:
            return Program(label or name, self.folder, lambda truth: self._pi(name, link, truth, label))
        if name in TOPSIDES:
            return Program(label or name, self.folder, lambda truth: self._topside(name, link, truth, label))
        if name == RECORDER:
            options = ["--root", str(self.root), "--broker", link]
            return Program(name, self.folder, lambda _: [*_tidesync("record"), *options])
        options = ["--port", str(self.dashboard_port), "--broker", link]
        return Program(name, self.folder, lambda _: [*_tidesync("dashboard"), *options])

    def _pi(self, name: str, url: str, truth: Path, label: str | None) -> list[str]:
        drawn = self._drawn_clock(label or name, _VEHICLE_MEAN_S)
        serves = name == VEHICLES[0] and label is None
        http = ["--http-host", HOST, "--http-port", str(self.http_port)] if serves else ["--no-http"]
        options = [*http, *drawn.options, "--simulate-truth", str(truth)]
        return [*_tidesync("pi"), "--vehicle", name, "--broker", url, *options]

    def _topside(self, name: str, url: str, truth: Path, label: str | None) -> list[str]:
        options = ["--rate", str(RATE_HZ), "--backlog-s", str(_BACKLOG_S), "--publish-interval-s", "0.25"]
        if name != TOPSIDES[0] or label:
            drawn = self._drawn_clock(label or name, _TOPSIDE_MEAN_S)
            options += [*drawn.options, "--simulate-truth", str(truth)]
        return [*_tidesync("topside"), "--topside", name, "--broker", url, *options]

    def _drawn_clock(self, label: str, mean_s: float) -> clocks.ClockOptions:
        """By the seed, the program's name and the number of its life."""
        lives = len(self.programs[label].lives) if label in self.programs else 0
        offset_s = clocks.boot_offset_s(random.Random(f"{self.plan.seed} {label}"), lives)
        chance = random.Random(f"{self.plan.seed} {label} {lives}")
        return clocks.draw(chance, offset_s, self.plan.seconds, mean_s)

    def _mosquitto(self) -> list[str]:
        config = self.folder / "mosquitto.conf"
        config.write_text(
            f"set_tcp_nodelay true\nlistener {self.broker_port} {HOST}\nallow_anonymous true\nuser root\n"
        )
        return [_found("mosquitto"), "-c", str(config)]


def _tidesync(command: str) -> list[str]:
    return [sys.executable, "-m", "tidesync", command]


def _mount(path: Path) -> bool:
    """A file system in memory at `path`, small enough to be filled; False where we may not mount."""
    if os.geteuid() != 0:
        return False
    command = [_found("mount"), "-t", "tmpfs", "-o", f"size={_DISK_MB}m", "tmpfs", str(path)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _found(program: str) -> str:
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin:/usr/local/sbin")
    if path is None:
        raise FileNotFoundError(f"{program} is not installed")
    return path
