"""Another process of this topside's name: a living one is noticed, this topside's own past is not one."""

from topside_agent.measuring.namesakes import REMEMBER_NS, Namesakes

S = 1_000_000_000
TOPIC, OTHER_TOPIC = "…/rov1/offset/topside", "…/rov2/offset/topside"


def test_a_live_message_of_another_process_is_a_namesake_until_it_has_been_silent_for_a_while():
    namesakes = Namesakes("mine")
    namesakes.heard(TOPIC, "theirs", 10 * S, retained=False)
    assert namesakes.other == "theirs"
    assert namesakes.alive(10 * S + REMEMBER_NS - 1)
    assert not namesakes.alive(10 * S + REMEMBER_NS)


def test_a_namesake_that_publishes_rarely_is_not_forgotten_between_two_results():
    namesakes = Namesakes("mine")
    namesakes.heard(TOPIC, "theirs", 0, retained=False, interval_s=60.0)
    namesakes.heard(TOPIC, "theirs", S, retained=False, interval_s=1.0)
    assert namesakes.alive(149 * S)
    assert not namesakes.alive(151 * S)


def test_its_own_messages_and_what_an_earlier_process_left_are_no_namesake():
    namesakes = Namesakes("mine")
    for topic in (TOPIC, OTHER_TOPIC):
        namesakes.heard(topic, "earlier", 0, retained=True)
        namesakes.heard(topic, "mine", S, retained=False)
    namesakes.heard(TOPIC, "mine", 2 * S, retained=True)
    assert not namesakes.alive(2 * S)


def test_a_retained_message_that_replaced_its_own_is_a_namesakes_and_counts_once():
    namesakes = Namesakes("mine")
    namesakes.heard(TOPIC, "theirs", 0, retained=True)
    assert not namesakes.alive(0)
    namesakes.heard(TOPIC, "mine", S, retained=False)
    namesakes.heard(TOPIC, "theirs", 2 * S, retained=True)
    assert namesakes.alive(2 * S)
    namesakes.heard(TOPIC, "theirs", 9 * S, retained=True)
    assert not namesakes.alive(9 * S)


def test_a_namesake_of_a_version_without_ids_is_one_too():
    namesakes = Namesakes("mine")
    namesakes.heard(TOPIC, None, S, retained=False)
    assert namesakes.alive(S)
