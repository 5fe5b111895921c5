"""A flood of messages costs bounded work, and a normal burst passes whole."""

from pi_agent.incoming import MOST_TOPICS, PER_TOPIC_HZ, TOTAL_HZ, RateLimiter

MS = 1_000_000
S = 1_000_000_000


def admitted(limiter, topic, *, every_ns, for_ns):
    return sum(limiter.admit(topic, now_ns) for now_ns in range(0, for_ns, every_ns))


def test_a_ping_every_10_ms_always_passes():
    assert admitted(RateLimiter(0), "ping/a", every_ns=10 * MS, for_ns=60 * S) == 6000


def test_a_hundred_pings_at_once_pass_after_a_pause():
    limiter = RateLimiter(0)
    assert all(limiter.admit("ping/a", 0) for _ in range(100))
    assert not limiter.admit("ping/a", 0)
    assert all(limiter.admit("ping/a", S) for _ in range(100))


def test_a_flood_from_one_topside_is_cut_to_its_share():
    passed = admitted(RateLimiter(0), "ping/mad", every_ns=MS // 10, for_ns=10 * S)
    assert passed <= PER_TOPIC_HZ * 10.5 + 1
    assert passed >= PER_TOPIC_HZ * 10


def test_one_mad_topside_does_not_silence_another():
    limiter = RateLimiter(0)
    passed = 0
    for now_ns in range(0, 10 * S, MS // 10):
        limiter.admit("ping/mad", now_ns)
        if now_ns % (10 * MS) == 0:
            passed += limiter.admit("ping/sane", now_ns)
    assert passed == 1000


def test_a_flood_under_ever_new_names_is_bounded_and_silences_nobody_who_was_there_before():
    limiter = RateLimiter(0)
    strangers = friends = 0
    for number in range(100_000):
        now_ns = number * MS // 10
        if number % 100 == 0:
            friends += limiter.admit("ping/friend", now_ns)
        strangers += limiter.admit(f"ping/{number}", now_ns)
    assert friends == 1000
    assert strangers < MOST_TOPICS
    assert len(limiter._topics) <= MOST_TOPICS


def test_a_place_that_nobody_used_for_a_minute_is_free_again():
    limiter = RateLimiter(0)
    for number in range(MOST_TOPICS):
        assert limiter.admit(f"ping/{number}", number)
    assert not limiter.admit("ping/new", 59 * S)
    assert limiter.admit("ping/new", 60 * S)
    assert not limiter.admit("ping/newer", 60 * S)


def test_all_topics_together_have_a_share():
    limiter = RateLimiter(0)
    passed = sum(limiter.admit(f"ping/{n % 50}", n * MS // 10) for n in range(100_000))
    assert TOTAL_HZ * 10 <= passed <= TOTAL_HZ * 10.5 + 1
