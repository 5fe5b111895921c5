"""Worlds drawn from a seed: both agents and the recorder on clocks that are set, slewed, asleep and rebooted."""

import os
import random
import socket
from dataclasses import dataclass, replace
from functools import partial

from runtime.clock_watch import ClockWatcher
from schemas import topics
from schemas.instants import ns_from_utc
from schemas.messages import StartCommand, StopCommand
from schemas.metadata import CONSUMER_TOLERANCE_MS
from tests.simulation.simulated import ROOT, Simulation, jitter
from tests.simulation.simulated_machines import MS, BaseClock, Http, Link, Machine, S
from tests.simulation.world_clocks import WorldClock, draw_life
from tidesync.sessions.correction.clock_limits import limits_of
from tidesync.sessions.correction.histories import read_histories
from tidesync.sessions.correction.order import RowCorrector
from tidesync.sessions.correction.session import measured_of, read_metadata, timeline_of
from tidesync.sessions.correction.timeline import STATES
from tidesync.sessions.errors import NothingMeasuredError
from tidesync.sessions.folder import SessionFolder
from tidesync.sessions.recorder.agent import RecorderAgent
from tidesync.sessions.recorder.settings import RecorderSettings
from topside_agent.estimator import EstimatorSettings
from topside_agent.settings import TopsideSettings

SESSION = "s1"
STARTS_S = 3.0
QUIET_S = 25.0
"""The end of a world, in which everything is recorded that is to be."""
DATED_NS = 1_200
"""A result's date is cut to µs; a slewed clock moves by a tenth of that, and what is read takes time."""


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
        return bool(self._read.recv(64))

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
    """The simulation of a plan. `root`: the folder that the recorder writes below."""

    def __init__(self, plan, root):
        self.plan, self.root = plan, root
        self.chance = random.Random(f"run {plan.seed}")
        self.topside_clocks = []
        vehicle = "rov1=http://rov1:9150" if plan.http else "rov1"
        settings = TopsideSettings(vehicle=(vehicle,), rate=plan.rate)
        super().__init__(seed=plan.seed, settings=settings, http=plan.http, topside_link=plan.topside_link)
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
        self._live(life, agent.machine, agent.simulated, agent.watcher)
        return agent

    def _power_vehicle(self, life):
        clock = WorldClock(self.clock, self.start_ns, life, self.chance)
        vehicle = self.add_vehicle("rov1", self.plan.link, clock=clock)
        self._live(life, vehicle.machine, vehicle.connection, vehicle.agent.watcher)

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

    def make_watch(self, clock):
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
            background=lambda work, _name: work(),
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
        self.broker.publish = lambda topic, *rest, **options: topic in muted or kept(topic, *rest, **options)

    def close(self):
        if self.recorder._claim is not None:
            os.close(self.recorder._claim)
            self.recorder._claim = None

    # The truth

    def pi_clocks(self, boot_id=None):
        clocks = [boot.clock for boot in self.boots]
        return [clock for clock in clocks if clock.boot_id == boot_id] or clocks

    def topside_at(self, base_ns):
        """Topside's clock then; None while its machine is off."""
        for clock in self.topside_clocks:
            if clock.life.from_s <= (base_ns - self.start_ns) / S < clock.life.until_s:
                return clock
        return None


def _noticed(watcher):
    watcher.wait()
    watcher.check()


# What was published online


@dataclass
class Judged:
    """A result, and by how much (ns) the truth is outside its bound; 0: it is not."""

    at_s: float
    result: object
    beyond_ns: float

    @property
    def wrong(self):
        return self.beyond_ns > 0


def judged(world):
    """Every result that has an offset."""
    results = [
        (message.at_s, message.body)
        for message in world._messages(topics.OFFSET, "topside", "rov1")
        if message.body.offset_ms is not None
    ]
    return [Judged(at_s, result, _beyond_ns(world, at_s, result)) for at_s, result in results]


def _beyond_ns(world, at_s, result):
    """At the moment of its date: when topside's clock showed that, or the Pi's that and the offset."""
    dated_ns, until_ns = ns_from_utc(result.measured_at), world.start_ns + round(at_s * S)
    shown_ns = dated_ns + round(result.offset_ms * 1e6)
    found = []
    for pi in world.pi_clocks(result.boot_id):
        moments = [each for clock in world.topside_clocks for each in clock.shown_at(dated_ns, until_ns)]
        for at_ns in moments or pi.shown_at(shown_ns, until_ns):
            topside = world.topside_at(at_ns)
            if topside is not None and pi.life.from_s * S <= at_ns - world.start_ns <= pi.life.until_s * S:
                true_ns = pi.realtime_at(at_ns) - topside.realtime_at(at_ns)
                found.append(max(result.lower_ms * 1e6 - true_ns, true_ns - result.upper_ms * 1e6) - DATED_NS)
    return max(min(found, default=float("inf")), 0)


# What the session's rows were corrected to


@dataclass
class Row:
    """A row that the Pi stamped at `at_s`: its state, and its error beyond the stated one (ns)."""

    at_s: float
    state: str
    beyond_ns: int
    stated_ns: int

    @property
    def wrong(self):
        return self.state in {"ok", "holdover"} and self.beyond_ns > 0


def corrected(world, rows=4_000):
    """Rows of the vehicle as `tidesync correct` corrects them; none where nothing was measured."""
    made = timeline(world)
    if made is None:
        return []
    stamped = list(_stamped(world, rows))
    corrector = RowCorrector(made)
    stamps = [stamp for _, stamp in stamped]
    if corrector.passes > 1:
        corrector.note(stamps)
    topside_ns, stated, state = (column.tolist() for column in corrector.correct(stamps))
    found = []
    for (at_ns, _), found_ns, stated_ns, number in zip(stamped, topside_ns, stated, state, strict=True):
        true_ns = world.topside_at(at_ns).realtime_at(at_ns)
        beyond_ns = abs(found_ns - true_ns) - stated_ns
        found.append(Row((at_ns - world.start_ns) / S, STATES[number], beyond_ns, stated_ns))
    return found


def timeline(world):
    """What the command makes of the session's folder."""
    settings = EstimatorSettings()
    try:
        measured = measured_of(world.folder.measure(settings), "rov1", read_metadata(world.folder))
        limits = limits_of(
            settings,
            measured.exchanges,
            slew_ppm=None,
            max_error_ms=CONSUMER_TOLERANCE_MS,
            rate_ppm=measured.track.rate_ppm,
        )
        histories = read_histories(world.folder, "rov1", measured.topside)
        return timeline_of(measured, limits, histories, settings)
    except NothingMeasuredError:
        return None


def _stamped(world, rows):
    """(base instant, the Pi's stamp), spread over the world, and dense where something changes."""
    chance = random.Random(f"rows {world.plan.seed}")
    instants = {round(chance.uniform(0, world.plan.seconds) * S) for _ in range(rows)}
    for edge_s in changes_s(world.plan):
        instants |= {round((edge_s + chance.gauss(0, 0.2)) * S) for _ in range(20)}
        instants |= {round((edge_s + chance.gauss(0, 0.01)) * S) for _ in range(5)}
    for instant in sorted(instants):
        at_ns = world.start_ns + instant
        awake = [clock for clock in world.pi_clocks() if clock.is_awake(at_ns)]
        if instant > 0 and awake and world.topside_at(at_ns) is not None:
            yield at_ns, awake[0].realtime_at(at_ns)


def changes_s(plan):
    """When anything begins or ends."""
    spans = [*plan.gaps]
    for life in (*plan.pi, *plan.topside):
        spans += [(life.from_s, life.until_s), *(each[:2] for each in life.sleeps)]
        spans += [each[:2] for each in life.slews] + [(at_s, at_s) for at_s, _ in life.steps]
    return sorted({edge for span in spans for edge in span if 0 < edge < plan.seconds})
