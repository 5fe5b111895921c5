"""Members of a group with their decisions alone: heartbeats that take their time, and faults at random.

The broker retains nothing, as some do for those who subscribe with a wildcard.
"""

import random

from schemas.presence import Heartbeat, Member
from topside_agent.group.actions import Release, Take, Unwatch, Watch
from topside_agent.group.decisions import Decisions, OwnResult
from topside_agent.group.members import Members

S = 1_000_000_000
STEP_NS = S // 4
LOCK_NS = S
"""A vehicle is locked so long after it is measured."""


class Node:
    """One process of a topside: up from its start to its death, perhaps stopped for a while (SIGSTOP)."""

    def __init__(self, world, name, weight, number):
        self.world, self.name, self.weight = world, name, weight
        self.instance_id = f"{name}-{number}"
        self.member = Member(
            topside=name, group="north", weight=weight, instance_id=self.instance_id, boot_id="boot"
        )
        self.members = Members("north", name)
        self.decisions = Decisions("north", name, weight)
        self.stopped = False
        self.side = 0
        self.since_ns = {}
        self.watched = {}
        self.waiting = []
        self.looked_ns = None
        self.announced = False
        self.started_ns = world.now_ns
        self.beat_due_ns = world.now_ns + world.random.randrange(S)
        self.announce_due_ns = world.now_ns + 22 * S // 10
        self.decisions.arrived(world.now_ns, world.now_ns)
        for vehicle in world.vehicles:
            self.decisions.online(vehicle)

    def own(self, vehicle):
        since_ns = self.since_ns.get(vehicle)
        return OwnResult(useful=since_ns is not None, max_error_ms=1.0)

    def deliver(self, message):
        now_ns = self.world.now_ns
        match message:
            case Heartbeat():
                if self.members.beat(message, now_ns):
                    self.announce_due_ns = now_ns
            case Member():
                self.members.announced(message)
            case ("left", name):
                self.members.left(name)
            case ("result", vehicle, name, instance_id, locked):
                self.decisions.heard(
                    vehicle, name, instance_id, now_ns, locked=locked, max_error_ms=1.0, interval_s=1.0
                )

    def step(self):
        now_ns = self.world.now_ns
        if self.looked_ns is not None and now_ns - self.looked_ns >= 1.5 * S:
            self.decisions.arrived(now_ns, now_ns - self.looked_ns)
        self.looked_ns = now_ns
        while self.waiting:
            self.deliver(self.waiting.pop(0))
        if now_ns >= self.beat_due_ns:
            self.beat_due_ns = max(self.beat_due_ns + S, now_ns - now_ns % STEP_NS)
            settling = self.decisions.settling(now_ns)
            beat = Heartbeat(
                topside=self.name, instance_id=self.instance_id, boot_id="boot", settling=settling
            )
            self.world.send(self, beat)
            self.publish_results()
        if now_ns >= self.announce_due_ns and now_ns - self.started_ns >= 2.2 * S:
            self.announce_due_ns, self.announced = now_ns + 2 * S, True
            self.world.send(self, self.member)
        if self.announced:
            present = self.members.present(now_ns)
            self.perform(self.decisions.decide(now_ns, present, frozenset(), self.own))

    def publish_results(self):
        for vehicle, since_ns in self.since_ns.items():
            locked = self.world.now_ns - since_ns >= LOCK_NS
            self.world.send(self, ("result", vehicle, self.name, self.instance_id, locked))

    def perform(self, actions):
        for action in actions:
            match action:
                case Take(vehicle):
                    self.since_ns[vehicle] = self.world.now_ns
                case Release(vehicle, _):
                    del self.since_ns[vehicle]
                case Watch(vehicle, successor):
                    self.watched[vehicle] = successor
                case Unwatch(vehicle, _):
                    self.watched.pop(vehicle, None)


class World:
    """What happens is drawn from `seed`; `step` moves time by a quarter of a second."""

    def __init__(self, seed, vehicles=24):
        self.random = random.Random(seed)
        self.now_ns = 1000 * S
        self.vehicles = [f"rov{number}" for number in range(vehicles)]
        self.nodes = {}
        self.under_way = []
        self.processes = 0
        self.event_ns = self.now_ns
        self.uncovered_ns = dict.fromkeys(self.vehicles, self.now_ns)
        self.twice_ns = {}

    # What happens

    def start(self, name, weight=1.0):
        self.event_ns = self.now_ns
        self.processes += 1
        self.nodes[name] = Node(self, name, weight, self.processes)

    def kill(self, name):
        self.event_ns = self.now_ns
        del self.nodes[name]

    def leave(self, name):
        node = self.nodes[name]
        self.kill(name)
        self.send(node, ("left", name))

    def stop(self, name):
        self.event_ns = self.now_ns
        self.nodes[name].stopped = True

    def resume(self, name):
        self.event_ns = self.now_ns
        self.nodes[name].stopped = False

    def divide(self, sides):
        self.event_ns = self.now_ns
        for name, side in sides.items():
            if name in self.nodes:
                self.nodes[name].side = side

    def any_event(self):
        """One at random of those that are possible."""
        names = ["a", "b", "c", "d"]
        down = [name for name in names if name not in self.nodes]
        running = [name for name, node in self.nodes.items() if not node.stopped]
        stopped = [name for name, node in self.nodes.items() if node.stopped]
        possible = [("start", name) for name in down] + [("resume", name) for name in stopped] * 2
        if len(running) > 1:
            possible += [(what, name) for name in running for what in ("kill", "leave", "stop")]
        possible += [("divide", None), ("heal", None), ("heal", None)]
        what, name = self.random.choice(possible)
        if what == "divide":
            self.divide({each: self.random.randrange(2) for each in names})
        elif what == "heal":
            self.divide(dict.fromkeys(names, 0))
        else:
            getattr(self, what)(name)

    # Time

    def send(self, sender, message):
        for node in self.nodes.values():
            if node is not sender and node.side == sender.side:
                self.under_way.append((self.now_ns + self.random.randrange(S // 5), node, message))

    def run(self, seconds, check=None):
        for _ in range(round(seconds * S / STEP_NS)):
            self.now_ns += STEP_NS
            arrived = [each for each in self.under_way if each[0] <= self.now_ns]
            self.under_way = [each for each in self.under_way if each[0] > self.now_ns]
            for _, node, message in sorted(arrived, key=lambda each: each[0]):
                if node.stopped:
                    node.waiting.append(message)
                elif self.nodes.get(node.name) is node:
                    node.deliver(message)
            for node in list(self.nodes.values()):
                if not node.stopped:
                    node.step()
            if check:
                check(self)

    # What it comes to

    def owners(self, vehicle, side=None):
        """The running nodes that measure `vehicle`."""
        return [
            node.name
            for node in self.nodes.values()
            if vehicle in node.since_ns and not node.stopped and side in {None, node.side}
        ]

    def sides(self):
        return {node.side for node in self.nodes.values() if not node.stopped}
