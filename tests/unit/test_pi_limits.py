"""A flood of messages costs bounded work, and a normal burst passes whole."""

from __future__ import annotations

from pi_agent.limits import MOST_TOPICS, PER_TOPIC_HZ, TOTAL_HZ, Limits

MS = 1_000_000
S = 1_000_000_000


def admitted(limits: Limits, topic: str, *, every_ns: int, for_ns: int) -> int:
    return sum(limits.admit(topic, now_ns) for now_ns in range(0, for_ns, every_ns))


def test_a_ping_every_10_ms_always_passes() -> None:
    assert admitted(Limits(0), "ping/a", every_ns=10 * MS, for_ns=60 * S) == 6000


def test_a_hundred_pings_at_once_pass_after_a_pause() -> None:
    limits = Limits(0)
    assert all(limits.admit("ping/a", 0) for _ in range(100))
    assert not limits.admit("ping/a", 0)
    assert all(limits.admit("ping/a", S) for _ in range(100))


def test_a_flood_from_one_topside_is_cut_to_its_share() -> None:
    passed = admitted(Limits(0), "ping/mad", every_ns=MS // 10, for_ns=10 * S)
    assert passed <= PER_TOPIC_HZ * 10.5 + 1
    assert passed >= PER_TOPIC_HZ * 10


def test_one_mad_topside_does_not_silence_another() -> None:
    limits = Limits(0)
    passed = 0
    for now_ns in range(0, 10 * S, MS // 10):
        limits.admit("ping/mad", now_ns)
        if now_ns % (10 * MS) == 0:
            passed += limits.admit("ping/sane", now_ns)
    assert passed == 1000


def test_a_flood_under_ever_new_names_is_bounded_in_work_and_memory() -> None:
    limits = Limits(0)
    passed = sum(limits.admit(f"ping/{number}", number * MS // 10) for number in range(50_000))
    assert passed <= TOTAL_HZ * 5.5 + 1
    assert len(limits._topics) <= MOST_TOPICS
