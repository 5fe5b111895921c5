"""Worlds drawn from a seed: agents and a recorder on clocks that are set, slewed, asleep and rebooted."""

import os
import random
import select
import socket
from dataclasses import dataclass, replace
from functools import partial

from runtime.clock_watch import ClockWatcher
from schemas import topics
from schemas.messages import StartCommand, StopCommand
from tests.simulation.simulated import ROOT, Simulation, jitter
from tests.simulation.simulated_machines import MS, BaseClock, Http, Link, Machine, S
from tests.simulation.world_clocks import WorldClock, draw_life
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.recorder.agent import RecorderAgent
from tidesync.sessions.recorder.background import at_once
from tidesync.sessions.recorder.settings import RecorderSettings
from topside_agent.settings import TopsideSettings

SESSION = "s1"
STARTS_S = 3.0
QUIET_S = 25.0
"""The end of a world, in which everything is recorded that is to be."""


class BusyClock(BaseClock):
    """The time that passes: reading a clock takes some of it, and now and then another program runs."""

    chance = random.Random(0)

    def raw_ns(self):
        chance = self.chance.random()
        self.now_ns += 30 + int(chance * 70) if chance < 0.997 else int(self.chance.uniform(500, 40_000))
        return self.now_ns


class SetNotice:
    """A file descriptor that is readable once the clock was set, until that is acknowledged."""

    def __init__(self):
        self._read, self._write = socket.socketpair()

    def fileno(self):
        return self._read.fileno()

    def ring(self):
        self._write.send(b"x")

    def acknowledge(self):
        return bool(select.select([self._read], [], [], 0)[0] and self._read.recv(64))

    def close(self):
        self._read.close()
        self._write.close()


@dataclass(frozen=True)
class Plan:
    """A world as it was drawn; lists of lives are the boots of a machine, one after the other."""

    seed: int
    seconds: float
    pi: list
    topside: list
    link: Link
    topside_link: Link | None
    http: Http | None
    rate: float
    recorder_off: tuple
    gaps: tuple
    journals: bool = False
    """Whether agents keep clock histories on a disk, so that a later boot sends those of earlier ones."""
    unheard: frozenset = frozenset()
    """Boots, as (0: the Pi's or 1: topside's, number), of which no clock history reaches the recorder."""


def draw(seed):
    chance = random.Random(f"world {seed}")
    gaps, at_s = [], chance.uniform(8, 60)
    for _ in range(chance.choice([0, 1, 1, 2, 3])):
        for_s = chance.choice([3, 5, 10, 25, 60, 120, 300])
        gaps.append((at_s, at_s + for_s))
        at_s += for_s + chance.uniform(2, 60)
    seconds = max(at_s, 60) + 20 + QUIET_S
    until_s = seconds - QUIET_S
    lives = [_boots(chance, until_s, share) for share in (0.25, 0.2)]
    recorder = chance.uniform(10, until_s)
    return Plan(
        seed,
        seconds,
        *lives,
        link=_link(chance, gaps),
        topside_link=_link(chance, ()) if chance.random() < 0.2 else None,
        http=Http(delay_ns=jitter(1, chance.choice([1, 8, 60])), unit_ns=chance.choice([1000, MS]))
        if chance.random() < 0.35
        else None,
        rate=chance.choice([4, 4, 4, 1, 10]),
        recorder_off=((recorder, recorder + chance.choice([1, 10, 30])),) if chance.random() < 0.2 else (),
        gaps=tuple(gaps),
    )


def _boots(chance, until_s, share):
    first = draw_life(chance, 0.0, until_s)
    if chance.random() > share:
        return [first]
    off_s = chance.uniform(15, until_s - 10)
    on_s = off_s + chance.choice([1, 5, 20, 40])
    again = draw_life(chance, on_s, max(until_s, on_s + 15))
    kept = {name: getattr(first, name) for name in ("reports_state", "has_history")}
    return [
        replace(first, until_s=off_s),
        replace(again, **kept, notices=again.notices and first.reports_state),
    ]


def _link(chance, gaps):
    delay = jitter(chance.choice([0.1, 0.1, 1, 9]), chance.choice([0.05, 0.05, 0.5, 5, 80, 300]))
    back = (
        jitter(chance.choice([0.1, 1, 9]), chance.choice([0.05, 0.5, 5, 80]))
        if chance.random() < 0.5
        else delay
    )
    return Link(
        to_ns=delay,
        from_ns=back,
        lost=chance.choice([0, 0, 0.05, 0.2]),
        doubled=chance.choice([0, 0, 0.3]),
        down=tuple(gaps),
    )


class World(Simulation):
    """The simulation of a plan. `root`: the folder that the recorder writes below; `direct`: as elsewhere."""

    def __init__(self, plan, root, direct=None):
        self.plan, self.root = plan, root
        self.chance = random.Random(f"run {plan.seed}")
        self.topside_clocks = []
        vehicle = "rov1=http://rov1:9150" if plan.http else "rov1"
        settings = TopsideSettings(vehicle=(vehicle,), rate=plan.rate, clock_journal=self._journal("topside"))
        super().__init__(
            seed=plan.seed, settings=settings, http=plan.http, topside_link=plan.topside_link, direct=direct
        )
        self._power_vehicle(plan.pi[0])
        for life in plan.pi[1:]:
            self.at(life.from_s, partial(self._power_vehicle, life))
        for life in plan.topside[1:]:
            self.at(life.from_s, partial(self.add_topside, settings, plan.topside_link))
        self.folder = SessionFolder(root / "reef-42" / f"session_{SESSION}")
        self._record()
        self._mute()

    # Power

    def add_topside(self, settings, link=None):
        if not self.topside_clocks:
            self.clock = BusyClock()
            self.clock.chance = self.chance
        life = self.plan.topside[len(self.topside_clocks)]
        self.topside_clock = WorldClock(self.clock, self.start_ns, life, self.chance)
        self.topside_clocks.append(self.topside_clock)
        agent = super().add_topside(settings, link)
        self.topside_clock.instance_id = agent._namesakes.instance_id
        self._live(life, agent.machine, agent.simulated, agent.watcher)
        return agent

    def _power_vehicle(self, life):
        clock = WorldClock(self.clock, self.start_ns, life, self.chance)
        vehicle = self.add_vehicle("rov1", self.plan.link, clock=clock, journal=self._journal("pi"))
        self._live(life, vehicle.machine, vehicle.connection, vehicle.agent.watcher)

    def _journal(self, machine):
        return self.root / f"{machine}.clock" if self.plan.journals else None

    def _live(self, life, machine, connection, watcher):
        def power_off():
            machine.on = False
            connection.vanish()

        def sleep(from_s, until_s):
            machine.asleep_until_ns = self.start_ns + round(until_s * S)
            connection.stall(until_s - from_s)

        def notice():
            watcher._notice.ring()
            self.after(self.chance.uniform(1e-5, 3e-3), lambda: machine.do(partial(_noticed, watcher)))

        if life.until_s < float("inf"):
            self.at(life.until_s, power_off)
        for from_s, until_s, _ in life.sleeps:
            self.at(from_s, partial(sleep, from_s, until_s))
            self.at(until_s, partial(machine.do, notice if life.notices else watcher.check))
        for at_s, _ in life.steps if life.notices else ():
            self.at(at_s, notice)

    def make_watch(self, _clock):
        return partial(ClockWatcher, notice=SetNotice())

    def pause_s(self, watcher):
        """Late by a little; now and then starved of the processor."""
        late_s = self.chance.uniform(0.1, 5) if self.chance.random() < 0.0003 else 0.0
        return watcher.poll_s * (1 + abs(self.chance.gauss(0, 0.05))) + late_s

    # The recorder, on a machine of its own

    def _record(self):
        self._start_recorder()
        for number in range(10):
            self._command(
                STARTS_S + 2 * number,
                StartCommand(request_id="start", mission="reef-42", sensors={"inWater": "rov1"}),
            )
        self._command(self.plan.seconds - 2, StopCommand(request_id="stop"))
        for off_s, on_s in self.plan.recorder_off:
            self.at(off_s, self._kill_recorder)
            self.at(on_s, self._start_recorder)

    def _start_recorder(self):
        machine = Machine(self, BaseClock())
        self.recorder = RecorderAgent(
            RecorderSettings(root=self.root),
            self.clock,
            connect=partial(self._connect_recorder, machine),
            background=at_once,
            disk=at_once,
        )
        self.recorder.machine = machine
        self.recorder.start()

    def _connect_recorder(self, machine, *arguments, persistent, **options):
        assert persistent
        return self.broker.connection(machine, Link.instant(), *arguments, **options)

    def _kill_recorder(self):
        self.recorder.machine.on = False
        self.recorder._connection.vanish()
        os.close(self.recorder._claim)
        self.recorder._claim = None

    def _command(self, at_s, command):
        topic = topics.build(ROOT, topics.SESSION_COMMAND, session=SESSION)
        self.at(at_s, partial(self.broker.publish, topic, command.encode(), 1, retain=False))

    def _mute(self):
        """Agents that keep no clock history publish none."""
        kept, muted = self.broker.publish, set()
        if not self.plan.pi[0].has_history:
            muted.add(topics.build(ROOT, topics.VEHICLE_CLOCK, vehicle="rov1"))
        if not self.plan.topside[0].has_history:
            muted.add(topics.build(ROOT, topics.TOPSIDE_CLOCK, topside="topside"))
        clocks = {topics.build(ROOT, topics.VEHICLE_CLOCK, vehicle="rov1")}
        clocks.add(topics.build(ROOT, topics.TOPSIDE_CLOCK, topside="topside"))

        def publish(topic, payload, *rest, **options):
            unheard = topic in clocks and any(boot_id in payload for boot_id in self._unheard())
            return topic in muted or unheard or kept(topic, payload, *rest, **options)

        self.broker.publish = publish

    def _unheard(self):
        """The boot ids whose clock histories reach nobody."""
        boots = [boot.clock for boot in self.boots], self.topside_clocks
        for side, number in self.plan.unheard:
            if number < len(boots[side]):
                yield boots[side][number].boot_id.encode()

    def close(self):
        if self.recorder._claim is not None:
            os.close(self.recorder._claim)
            self.recorder._claim = None

    # The truth

    def pi_clocks(self, boot_id=None):
        clocks = [boot.clock for boot in self.boots]
        return [clock for clock in clocks if clock.boot_id == boot_id] or clocks

    def topside_of(self, instance_id):
        """The clock of the topside whose process has that id."""
        return next(clock for clock in self.topside_clocks if clock.instance_id == instance_id)

    def topsides_of(self, boot_id):
        """Topside's clock in that boot; all of them where the boot is not known."""
        return [clock for clock in self.topside_clocks if boot_id in {None, clock.boot_id}]

    def topside_at(self, base_ns):
        """Topside's clock then; None while its machine is off."""
        for clock in self.topside_clocks:
            if clock.life.from_s <= (base_ns - self.start_ns) / S < clock.life.until_s:
                return clock
        return None


def _noticed(watcher):
    watcher.wait()
    watcher.check()
