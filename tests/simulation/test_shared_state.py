"""`tidesync.interval` beside the real agents: what topside shares holds the truth of past stamps too."""

import random
from collections import Counter

import pytest

import tests.simulation.simulated
from tests.effort import few, tries
from tests.simulation.random_worlds import Plan, World, draw
from tests.simulation.simulated import jitter
from tests.simulation.simulated_machines import Link, S
from tests.simulation.world_clocks import Life
from tests.simulation.world_truth import changes_s
from tidesync.library.live import SharedState
from topside_agent.shared_state.agent import SharingAgent
from topside_agent.shared_state.writer import SharedFile

SEEDS = [*range(3_000, 3_000 + tries(1)), *few([3_005])]
BACK_S = (0.0, 0.01, 0.3, 1, 3, 10, 30, 120)


class Asked:
    """A world in which another program of the topside's computer asks about stamps of the vehicle's."""

    def __init__(self, plan, folder, monkeypatch, asked=200):
        self.states, self.answers = [], []
        """Of each topside process; (base instant of the stamp, when it was asked, answer, truth,
        whether topside has read the vehicle's clock since the stamp was made)."""

        def agent(settings, clock, **others):
            path = folder / f"shared-{len(self.states)}" / "state"

            def boottime_ns():
                return clock.raw_ns() + clock.suspended_ns()

            self.states.append(SharedState([path], boottime_ns))
            return SharingAgent(settings, clock, SharedFile.create(path), boottime_ns=boottime_ns, **others)

        monkeypatch.setattr(tests.simulation.simulated, "GroupAgent", agent)
        self.world = World(plan, folder)
        self._chance = random.Random(f"asked {plan.seed}")
        moments = [self._chance.uniform(2, plan.seconds) for _ in range(asked)]
        moments += [
            max(edge + self._chance.gauss(0.3, 0.5), 1) for edge in changes_s(plan) for _ in range(10)
        ]
        for moment in moments:
            self.world.at(moment, self._ask)
        self.world.run(plan.seconds)
        self.world.close()

    def _ask(self):
        world, now_ns = self.world, self.world.clock.now_ns
        topside = world.topside_at(now_ns)
        if topside is None or not topside.is_awake(now_ns):
            return
        state = self.states[world.topside_clocks.index(topside)]
        since_ns = world.start_ns + round(topside.life.from_s * S)
        for longest_s in BACK_S:
            made_ns = now_ns - round(longest_s * self._chance.random() * S)
            awake = [clock for clock in world.pi_clocks() if clock.is_awake(made_ns)]
            if made_ns > since_ns and awake and topside.is_awake(made_ns):
                answer = state.interval(awake[0].realtime_at(made_ns), "rov1")
                read = self._has_read(awake[0], made_ns)
                self.answers.append((made_ns, now_ns, answer, topside.realtime_at(made_ns), read))

    def _has_read(self, clock, made_ns):
        measurement = self.world.topside._vehicles.get("rov1")
        knots = measurement.offsets.past._knots if measurement and measurement.offsets.past else ()
        if not knots or knots[-1].boot_id != clock.boot_id:
            return False
        return clock.raw_at(made_ns) <= knots[-1].read_ns

    def wrong(self, *states):
        """Those that break no assumption."""
        return [
            each
            for each in self.answers
            if each[2] is not None
            and each[2].state in states
            and each[4]
            and not each[2].lower_ns <= each[3] <= each[2].upper_ns
        ]


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_the_truth_is_within_the_interval_wherever_it_is_ok(seed, tmp_path, monkeypatch):
    asked = Asked(draw(seed), tmp_path, monkeypatch)
    assert asked.wrong("ok") == []
    assert sum(each[4] and each[2] is not None and each[2].state == "ok" for each in asked.answers) > 10


def quiet(seconds=120.0, **link):
    pi, topside = Life(offset_ns=5 * S, drift_ppm=18.0), Life(drift_ppm=-7.0)
    delay = jitter(0.5, 0.2)
    return Plan(1, seconds, [pi], [topside], Link(to_ns=delay, from_ns=delay, **link), None, None, 4, (), ())


@pytest.mark.slow
@pytest.mark.parametrize("down", [(), ((60.0, 90.0),)], ids=["connected", "an outage"])
def test_while_the_clocks_run_on_every_answer_holds_and_nearly_all_have_one(down, tmp_path, monkeypatch):
    asked = Asked(quiet(down=down), tmp_path, monkeypatch)
    assert asked.wrong("ok", "conditional") == []
    newest = [each for each in asked.answers if each[2] is not None and each[2].state == "conditional"]
    assert all(each[2].lower_ns <= each[3] <= each[2].upper_ns for each in newest)
    late = [each for each in asked.answers if each[0] - asked.world.start_ns > 12 * S]
    counts = Counter(each[2].state if each[2] else None for each in late)
    assert counts["ok"] + counts["conditional"] > 0.98 * len(late)
    old = [each[2].state for each in late if each[1] - each[0] > 16 * S and not down]
    assert set(old) <= {"ok"}
    widths = [each[2].upper_ns - each[2].lower_ns for each in late if each[2].state == "ok"]
    assert sorted(widths)[len(widths) // 2] < 1_500_000


@pytest.mark.slow
def test_a_fault_of_what_is_shared_ends_that_alone(tmp_path, monkeypatch):
    def fault(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("topside_agent.shared_state.past.Past.advance", fault)
    asked = Asked(quiet(30.0), tmp_path, monkeypatch, asked=20)
    assert {each[2] for each in asked.answers} == {None}
    assert asked.world.published()[-1].result.state == "locked"
