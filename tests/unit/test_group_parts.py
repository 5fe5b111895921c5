"""The parts of a shared fleet: handing over, a name's later start, what a standby keeps, the same clock."""

import random
import socket
import sys

import pytest

from schemas.messages import ExchangeBatch
from schemas.presence import Heartbeat, Member
from tests.unit.followed_exchanges import exchange_at
from topside_agent.group.actions import Follow, Release, Take, Unfollow, Watch
from topside_agent.group.decisions import Decisions, OwnResult
from topside_agent.group.followed import KEEP_NS, Followed, usable
from topside_agent.group.hearing import Hearing
from topside_agent.group.later_start import LaterStart
from topside_agent.group.members import LIVENESS_NS, SETTLED_NS, Members, Peer
from topside_agent.group.ownership import ranked
from topside_agent.group.same_clock import ClockProof

S = 1_000_000_000
START = 1000 * S
USEFUL = OwnResult(useful=True, max_error_ms=1.0)


def member(name, instance_id=None, **changes):
    fields = {"group": "fleet", "weight": 1.0, "boot_id": "boot", **changes}
    return Member(topside=name, instance_id=instance_id or f"{name}-1", **fields)


def peer(name, since_ns=0, **changes):
    return Peer(member(name, **changes), since_ns)


def vehicle_of(name, *others):
    """A vehicle that `name` owns among all, and `others[0]` without it."""
    wanted = [name, *others[:1]]
    weights = dict.fromkeys((name, *others), 1.0)
    return next(
        v for v in map("rov{}".format, range(1000)) if ranked("fleet", v, weights)[: len(wanted)] == wanted
    )


# Members


def heartbeat(name, instance_id=None, uptime_s=None):
    return Heartbeat(topside=name, instance_id=instance_id or f"{name}-1", boot_id="boot", uptime_s=uptime_s)


def test_a_member_is_there_while_the_heartbeats_of_its_process_are_heard():
    members = Members("fleet", "own")
    members.announced(member("other"))
    assert members.present(START) == {}
    assert members.beat(heartbeat("other"), START)
    assert set(members.present(START + LIVENESS_NS - 1)) == {"other"}
    assert members.present(START + LIVENESS_NS) == {}
    assert not members.beat(heartbeat("other"), START + 2 * S)
    assert members.present(START + 2 * S)["other"].since_ns == START
    assert members.beat(heartbeat("other"), START + 9 * S), "it was away"
    assert members.present(START + 9 * S)["other"].since_ns == START + 9 * S


def test_an_earlier_process_another_group_and_ones_own_name_do_not_count():
    members = Members("fleet", "own")
    for each in (member("restarted", "earlier"), member("foreign", group="other"), member("own", "namesake")):
        members.announced(each)
    for name in ("restarted", "foreign", "own", "never-announced"):
        members.beat(heartbeat(name), START)
    assert members.present(START) == {}
    members.announced(member("restarted"))
    assert set(members.present(START)) == {"restarted"}
    members.beat(heartbeat("restarted", "a second one"), START)
    assert set(members.present(START)) == {"restarted"}, "another process of its name hides nothing"
    members.left("restarted")
    assert members.present(START) == {}


def test_names_without_end_fill_no_memory():
    members = Members("fleet", "own")
    for number in range(1200):
        members.announced(member(f"t{number}"))
        members.beat(heartbeat(f"t{number}"), START)
    for number in range(20):
        members.beat(heartbeat("t7", f"forged {number}"), START)
    assert len(members.present(START)) == 999
    members.beat(heartbeat("t7"), START)
    assert len(members.present(START)) == 1000


# Handing over


def measuring(vehicle, present):
    """A member that has measured `vehicle` for long, and then `present` are there."""
    decisions = Decisions("fleet", "own", 1.0)
    decisions.online(vehicle)
    decisions.arrived(START, START)
    assert decisions.decide(START, {}, frozenset(), lambda _: USEFUL) == []
    now_ns = START + LIVENESS_NS
    assert decisions.decide(now_ns, {}, frozenset(), lambda _: USEFUL) == [Take(vehicle)]
    now_ns += 60 * S
    return decisions, decisions.decide(now_ns, present, frozenset(), lambda _: USEFUL), now_ns


def hear(decisions, vehicle, now_ns, **changes):
    fields = {"locked": True, "max_error_ms": 1.0, "interval_s": 1.0, **changes}
    decisions.heard(
        vehicle, fields.pop("topside", "new"), fields.pop("instance_id", "new-1"), now_ns, **fields
    )


def released(decisions, now_ns, present, own=USEFUL):
    actions = decisions.decide(now_ns, present, frozenset(), lambda _: own)
    return any(isinstance(action, Release) for action in actions)


def test_a_vehicle_is_left_to_its_new_owner_once_that_is_settled_and_locked():
    vehicle = vehicle_of("new", "own")
    present = {"new": peer("new", START + 63 * S)}
    decisions, actions, now_ns = measuring(vehicle, present)
    assert actions == [Watch(vehicle, "new")]
    hear(decisions, vehicle, now_ns)
    assert not released(decisions, now_ns, present), "it has just come"
    now_ns += SETTLED_NS
    assert not released(decisions, now_ns, present), "what was heard is old"
    hear(decisions, vehicle, now_ns, locked=False)
    assert not released(decisions, now_ns, present)
    hear(decisions, vehicle, now_ns, instance_id="new-2")
    assert not released(decisions, now_ns, present), "another process"
    hear(decisions, vehicle, now_ns, topside="third")
    hear(decisions, vehicle, now_ns, max_error_ms=2.1)
    assert not released(decisions, now_ns, present), "its bound is more than twice as wide"
    hear(decisions, vehicle, now_ns, max_error_ms=1.9)
    assert released(decisions, now_ns, present)
    assert decisions.measured == set()


def test_one_that_stays_locked_with_a_wide_bound_is_left_the_vehicle_after_a_second():
    vehicle = vehicle_of("new", "own")
    present = {"new": peer("new")}
    decisions, _, now_ns = measuring(vehicle, present)
    hear(decisions, vehicle, now_ns, max_error_ms=9.0)
    assert not released(decisions, now_ns, present)
    now_ns += S
    hear(decisions, vehicle, now_ns, max_error_ms=9.0)
    assert released(decisions, now_ns, present)


def test_a_vehicle_of_which_nothing_is_known_is_left_to_its_owner_although_that_is_not_locked():
    vehicle = vehicle_of("new", "own")
    present = {"new": peer("new")}
    decisions, _, now_ns = measuring(vehicle, present)
    assert released(decisions, now_ns, present, OwnResult(useful=False, max_error_ms=None))


def test_a_new_owner_that_has_gone_again_is_not_waited_for():
    vehicle = vehicle_of("new", "own")
    decisions, _, now_ns = measuring(vehicle, {"new": peer("new")})
    hear(decisions, vehicle, now_ns)
    assert not released(decisions, now_ns, {})
    assert decisions.measured == {vehicle}


def test_a_standby_follows_only_where_others_have_its_clock():
    vehicle = vehicle_of("other", "own")
    decisions = Decisions("fleet", "own", 1.0)
    decisions.online(vehicle)
    decisions.arrived(START, START)
    now_ns, present = START + 9 * S, {"other": peer("other")}
    assert decisions.decide(now_ns, present, frozenset(), lambda _: USEFUL) == []
    assert decisions.is_anothers(vehicle)
    assert decisions.decide(now_ns, present, frozenset({"other"}), lambda _: USEFUL) == [Follow(vehicle)]
    assert decisions.decide(now_ns, {}, frozenset(), lambda _: USEFUL) == [Take(vehicle), Unfollow(vehicle)]


# Hearing


def test_who_paused_or_hears_not_even_itself_may_have_missed_heartbeats():
    hearing = Hearing()
    assert hearing.missed_ns(START) == START
    assert [hearing.missed_ns(START + quarter * S // 4) for quarter in range(1, 41)] == [None] * 40
    assert hearing.missed_ns(START + 12 * S) == 2 * S
    hearing.echoed(START + 12 * S)
    assert [hearing.missed_ns(START + 12 * S + quarter * S // 4) for quarter in range(1, 8)] == [None] * 7
    assert hearing.missed_ns(START + 14 * S) == 2 * S
    assert hearing.missed_ns(START + 15 * S) == 3 * S
    hearing.echoed(START + 15 * S)
    assert hearing.missed_ns(START + 16 * S) is None


# The later of two of one name


def beats(first_s, count, uptime_s, instance_id="a"):
    for second in range(count):
        yield heartbeat("own", instance_id, uptime_s + second), START + round((first_s + second) * S)


@pytest.mark.parametrize(
    ("own_id", "other_id", "other_ahead_s", "stops"),
    [
        ("a", "b", 30, True),
        ("a", "b", -30, False),
        ("b", "a", 0.4, True),
        ("a", "b", -0.4, False),
        ("a", "b", 0.4, False),
    ],
)
def test_the_later_start_stops_and_a_tie_goes_by_the_id(own_id, other_id, other_ahead_s, stops):
    later = LaterStart(own_id, START)
    heard = [later.later(*beat) for beat in beats(40, 3, 40 + other_ahead_s, other_id)]
    assert heard == [False, stops, stops]


def test_one_heartbeat_of_a_process_that_has_ended_stops_nobody():
    later = LaterStart("a", START)
    assert not any(later.later(*beat) for beat in beats(1, 1, 100.0, "earlier"))
    assert not any(later.later(*beat) for beat in beats(9, 1, 108.0, "earlier"))


def test_an_earlier_version_that_does_not_say_how_long_it_runs_stops_nobody():
    later = LaterStart("z", START)
    assert not any(later.later(heartbeat("own", "a"), START + second * S) for second in range(20))


def test_of_two_that_both_go_on_one_stops_after_all():
    later = LaterStart("b", START)
    assert [later.later(*beat) for beat in beats(100, 7, 50.0)] == [False] * 5 + [True] * 2
    assert not any(LaterStart("a", START).later(*beat) for beat in beats(100, 7, 50.0, "b"))


# What a standby keeps


def kept(*exchanges, now_ns, same=lambda *_: True, received_ns=None, topside="laptop", together=1):
    followed = Followed()
    followed.begin("rov1")
    for each in exchanges:
        payload = ExchangeBatch(batch=0, exchanges=(each,)).encode()
        followed.add("rov1", topside, payload, received_ns or each.destination_ns)
    return usable(
        followed.take("rov1"),
        vehicle="rov1",
        boot_id="boot",
        now_ns=now_ns,
        same_clock=same,
        together=together,
    )


def test_the_last_two_minutes_are_kept_and_given_in_their_order():
    made = [exchange_at(START + second * S) for second in range(300)]
    given = kept(*made, now_ns=START + 299 * S)
    assert {each.destination_ns for each in given} <= {START + second * S for second in range(179, 300)}
    assert len(given) > 60
    assert [each.destination_ns for each in given] == sorted(each.destination_ns for each in given)
    assert kept(*made[:5], now_ns=START + KEEP_NS + 5 * S) == []


def test_of_many_vehicles_at_once_fewer_exchanges_are_used_the_narrowest_and_the_newest_among_them():
    made = [exchange_at(START + second * S) for second in range(120)]
    made[30] = made[30].model_copy(update={"receive_ns": made[30].receive_ns - 900_000})
    given = {many: kept(*made, now_ns=START + 119 * S, together=many) for many in (1, 50, 300)}
    assert len(given[1]) > 2 * len(given[50]) > 2.4 * len(given[300])
    for some in given.values():
        assert made[30] in some
        assert some[-1] == made[-1]
        assert [each.destination_ns for each in some] == sorted(each.destination_ns for each in some)
        assert len([each for each in some if each.destination_ns > START + 105 * S]) >= 7


@pytest.mark.parametrize(
    "changes",
    [
        {"vehicle": "rov2"},
        {"topside_boot_id": "another"},
        {"topside_boot_id": None},
        {"instance_id": None},
        {"method": "ntp_handshake_v1"},
        {"pi_realtime_minus_raw_ns": None},
        {"topside_realtime_minus_raw_ns": None},
        {"topside_realtime_minus_raw_ns": -3 * S},
        {"receive_ns": 0, "pi_realtime_minus_raw_ns": 4},
    ],
)
def test_what_was_not_made_by_this_clock_or_cannot_be_true_is_left_out(changes):
    now_ns = START + S
    assert len(kept(exchange_at(START), now_ns=now_ns)) == 1
    assert kept(exchange_at(START, **changes), now_ns=now_ns, received_ns=now_ns) == []


def test_of_a_process_that_was_not_proved_to_have_this_clock_nothing_is_used():
    same = ("laptop", "owner-1").__ne__
    assert kept(exchange_at(START), now_ns=START + S, same=lambda *process: same(process)) == []
    assert kept(exchange_at(START), now_ns=START + S, topside="tablet") == [], "published by another one"


def test_rubbish_sleep_and_floods_are_borne():
    followed = Followed()
    followed.add("rov9", "laptop", b"not followed", START)
    followed.begin("rov1")
    followed.add("rov1", "laptop", b"{", START)
    followed.add("rov1", "laptop", b"x" * 10_000_000, START)
    batches = followed.take("rov1")
    assert usable(batches, vehicle="rov1", boot_id="boot", now_ns=START, same_clock=lambda *_: True) == []
    followed.begin("rov1")
    source = random.Random(1)
    for _ in range(3000):
        followed.add("rov1", "laptop", source.randbytes(400), START)
    assert len(followed.take("rov1")) < 3000
    followed.begin("rov1")
    followed.add("rov1", "laptop", b"before the sleep", START)
    followed.clear(START)
    assert followed.take("rov1") == []


# The same clock


@pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")
def test_only_a_process_that_runs_here_under_that_name_is_proved_to_have_this_clock():
    one, other = ClockProof("a", "one-8f1c"), ClockProof("b", "other-8f1c")
    assert one.same("b", "other-8f1c")
    assert other.same("a", "one-8f1c")
    assert not one.same("b", "elsewhere-8f1c")
    assert not one.same("c", "other-8f1c"), "its id under another name"
    one.accept()
    other.close()
    assert not ClockProof("c", "third-8f1c").same("b", "other-8f1c")
    assert ClockProof("d", "x" * 128).same("a", "one-8f1c") is False, "a name that is too long for a socket"
    one.close()


@pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")
def test_where_a_socket_cannot_be_had_nobody_counts_as_near(monkeypatch):
    near = ClockProof("a", "near-8f1c")
    monkeypatch.setattr(socket.socket, "bind", _refused)
    assert not ClockProof("b", "lonely-8f1c").same("a", "near-8f1c")
    near.close()


def _refused(*_):
    raise OSError("refused")
