"""What a new standby learns from the owner on its machine: asked for, answered, merged, and by whom."""

import logging
import random
import secrets
import socket
import sys
import zlib
from collections import deque

import pytest

from schemas.messages import ExchangeBatch
from tests.unit.followed_exchanges import exchange_at
from topside_agent.group import local_socket
from topside_agent.group.catch_up import CatchUp
from topside_agent.group.followed import Followed, usable
from topside_agent.group.local_socket import MOST_BYTES, LocalMessage, LocalSocket
from topside_agent.measuring.backlog import Backlog

S = 1_000_000_000
START = 1000 * S
NEAR = {"owner": "owner-1"}


class Channel:
    """Keeps what is sent; what came is put into `come`."""

    def __init__(self):
        self.sent, self.come = [], deque()

    def send(self, topside, instance_id, payload):
        self.sent.append((topside, instance_id, payload))
        return True

    def receive(self):
        return self.come.popleft() if self.come else None


class Standby:
    """Follows vehicles that `owner` measures."""

    def __init__(self, vehicles=("rov1",), known=()):
        self.followed, self.channel = Followed(), Channel()
        self.catch_up = CatchUp(self.followed, self.channel, lambda _vehicle: known)
        for vehicle in vehicles:
            self.followed.begin(vehicle)
            self.catch_up.begin(vehicle)
            self.catch_up.heard(vehicle, "owner")

    def look(self, at_s=0.0, near=NEAR):
        """What it asks for then."""
        self.channel.sent.clear()
        self.catch_up.look(START + round(at_s * S), near)
        return [payload for _, _, payload in self.channel.sent]

    def hear(self, payload, topside="owner", instance_id="owner-1"):
        self.channel.come.append(LocalMessage(topside, instance_id, payload))

    def known(self, now_ns=START, *, vehicle="rov1", awake_ns=0):
        batches = self.followed.take(vehicle)
        return usable(
            batches,
            vehicle=vehicle,
            boot_id="boot",
            now_ns=now_ns,
            same_clock=lambda topside, _: topside == "owner",
            awake_ns=awake_ns,
        )


def exchange(at_ns, **changes):
    return exchange_at(at_ns, **{"topside": "owner"} | changes)


def batch(*exchanges):
    return ExchangeBatch(batch=0, exchanges=exchanges).encode()


def answer_of(*batches, vehicle="rov1"):
    """An owner's answer, as it makes it."""
    owner = Standby((), known=batches)
    owner.hear(b"1?" + vehicle.encode(), "standby", "standby-1")
    owner.catch_up.look(START, {"standby": "standby-1"})
    assert not owner.catch_up.answer()
    [(topside, instance_id, payload)] = owner.channel.sent
    assert (topside, instance_id) == ("standby", "standby-1")
    return payload


def test_what_the_owner_tells_is_put_in_order_with_what_was_heard_and_nothing_is_used_twice():
    standby = Standby()
    assert standby.look() == [b"1?rov1"]
    made = [exchange(START - second * S) for second in range(40, 0, -1)]
    for each in made[-4:]:
        standby.followed.add("rov1", "owner", batch(each), START)
    standby.hear(answer_of(batch(*made[:20]), batch(*made[20:-2])))
    assert standby.look(1) == []
    assert standby.look(10) == [], "it has been answered"
    given = standby.known()
    assert given[0] == made[0]
    assert given[-1] == made[-1]
    assert len({each.seq for each in given}) == len(given)
    assert [each.destination_ns for each in given] == sorted(each.destination_ns for each in given)


def test_the_owner_vouches_for_what_others_with_its_clock_had_made_but_not_for_another_boot():
    standby = Standby()
    standby.look()
    gone = exchange(START - 5 * S, topside="gone", instance_id="gone-1")
    standby.followed.add("rov1", "gone", batch(gone), START)
    assert standby.known() == [], "who published it was not proved to have this clock"
    standby = Standby()
    standby.look()
    standby.hear(answer_of(batch(gone, exchange(START - 4 * S, topside_boot_id="another"))))
    standby.look(1)
    assert standby.known() == [gone]


def test_nothing_of_before_this_computer_slept_is_used_whenever_it_is_answer_of():
    standby = Standby()
    standby.look()
    standby.followed.clear(START)
    before, after = exchange(START - S), exchange(START + S)
    standby.hear(answer_of(batch(before, after)))
    standby.look(2)
    assert standby.followed.awake_ns == START
    assert standby.known(START + 2 * S, awake_ns=standby.followed.awake_ns) == [after]


def test_few_are_asked_for_at_a_time_and_only_of_those_with_this_clock():
    names = [f"rov{number}" for number in range(20)]
    standby = Standby(names)
    assert standby.look(near={}) == []
    asked = [standby.look(0.25 * number) for number in range(4)]
    assert [len(each) for each in asked] == [8, 8, 4, 0]
    assert [payload[2:].decode() for each in asked for payload in each] == names


def test_a_vehicle_is_asked_for_only_once_somebody_is_heard_to_measure_it_and_while_it_is_followed():
    standby = Standby(("rov1", "rov2"))
    standby.followed.begin("rov3")
    standby.catch_up.begin("rov3")
    standby.catch_up.end("rov2")
    assert standby.look() == [b"1?rov1"]
    standby.hear(answer_of(batch(exchange(START - S)), vehicle="rov2"))
    standby.look(0.25)
    assert standby.known(vehicle="rov2") == []


def test_who_does_not_answer_is_asked_three_times_and_that_is_said_once(caplog):
    standby = Standby(("rov1", "rov2"))
    with caplog.at_level(logging.WARNING):
        asked = [payload for second in range(30) for payload in standby.look(second)]
    assert asked.count(b"1?rov1") == asked.count(b"1?rov2") == 3
    [sentence] = [record.message for record in caplog.records if "does not tell" in record.message]
    assert "topside owner does not tell" in sentence
    standby.catch_up.again()
    standby.catch_up.heard("rov1", "owner")
    assert standby.look(40) == [b"1?rov1"], "exchanges may have been missed since"


@pytest.mark.parametrize(
    ("topside", "instance_id"), [("other", "owner-1"), ("owner", "owner-2"), ("owner", "")]
)
def test_what_another_process_tells_is_not_used(topside, instance_id):
    standby = Standby()
    standby.look()
    standby.hear(answer_of(batch(exchange(START - S))), topside, instance_id)
    standby.look(1)
    assert standby.known() == []


def test_an_answer_that_was_not_asked_for_and_rubbish_change_nothing():
    standby = Standby()
    standby.hear(answer_of(batch(exchange(START - S))))
    standby.look()
    rubbish = [b"", b"1!", b"2?rov1", b"1!rov1\n", b"1?\xff\xfe", b"1!rov1\n\0\0\0\x09garbage"]
    source = random.Random(2)
    for each in [*rubbish, *(b"1!rov1\n" + source.randbytes(40) for _ in range(50))]:
        standby.hear(each)
        standby.look(0.5)
        standby.catch_up.begin("rov1")
        standby.catch_up.heard("rov1", "owner")
        standby.look(1)
        while standby.catch_up.answer():
            pass
    bomb = zlib.compress(b"0" * 100_000_000, 1)
    standby.hear(b"1!rov1\n" + len(bomb).to_bytes(4, "big") + bomb)
    standby.look(1.5)
    assert standby.known() == []


def test_an_owner_answers_one_question_at_a_time_and_keeps_few():
    owner = Standby((), known=[b"some"])
    for number in range(200):
        owner.hear(b"1?rov%d" % number, "standby", "standby-1")
    for _ in range(4):
        owner.catch_up.look(START, {"standby": "standby-1"})
    assert owner.channel.sent == []
    answered = 1
    while owner.catch_up.answer():
        assert len(owner.channel.sent) == answered
        answered += 1
    assert answered == 64


def test_of_more_than_a_message_holds_the_newest_is_answer_of():
    source = random.Random(3)
    answer = answer_of(*(source.randbytes(40_000) for _ in range(5)), newest := source.randbytes(500))
    assert len(answer) < MOST_BYTES
    assert zlib.compress(newest, 1) in answer
    assert len(answer) > 80_000


def test_a_backlog_gives_the_latest_in_order_and_takes_none_of_its_numbers():
    backlog = Backlog(10_000 * S)
    made = [exchange(START + second * S) for second in range(300)]
    for each in made:
        backlog.add(each, each.destination_ns)
    given = [e for b in backlog.latest(START + 100 * S, 150) for e in ExchangeBatch.decode(b).exchanges]
    assert given == made[150:]
    given = [e for b in backlog.latest(START + 200 * S, 150) for e in ExchangeBatch.decode(b).exchanges]
    assert given == made[200:]
    assert backlog.latest(START + 300 * S, 150) == Backlog(S).latest(0, 9) == []
    assert [ExchangeBatch.decode(b).batch for b in backlog.take_batches()] == [0, 1, 2]


# The socket


def instances():
    """Names of this test alone: all of this computer's programs share those of abstract sockets."""
    return [secrets.token_hex(8) for _ in range(3)]


@pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")
def test_a_message_names_its_sender_and_what_cannot_be_sent_is_lost_at_once():
    ours, theirs, nobodys = instances()
    one, other = LocalSocket("a", ours), LocalSocket("b", theirs)
    assert one.send("b", theirs, b"hello")
    assert other.receive() == LocalMessage("a", ours, b"hello")
    assert other.receive() is None
    assert other.send("a", ours, random.Random(1).randbytes(MOST_BYTES))
    assert len(one.receive().payload) == MOST_BYTES
    assert not one.send("b", theirs, b"x" * (MOST_BYTES + 1))
    assert not one.send("b", nobodys, b"hello")
    assert not one.send("b", "x" * 128, b"hello")
    other.close()
    assert not one.send("b", theirs, b"hello")
    assert other.receive() is None
    one.close()


@pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")
def test_what_another_user_or_a_socket_without_such_a_name_sends_is_dropped(monkeypatch):
    ours, theirs, elsewhere = instances()
    one, other = LocalSocket("a", ours), LocalSocket("b", theirs)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as nameless:
        nameless.sendto(b"hello", local_socket.socket_name("a", ours, "/messages"))
        nameless.bind(f"\0{elsewhere}/a/b")
        nameless.sendto(b"hello", local_socket.socket_name("a", ours, "/messages"))
    assert one.receive() is None
    other.send("a", ours, b"hello")
    monkeypatch.setattr(local_socket.os, "getuid", lambda: 2**20)
    assert one.receive() is None
    one.close()
    other.close()
